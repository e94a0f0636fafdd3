"""What the tests share: a small trained model, and the shipped one."""

import os
import pathlib

import pytest

import fraudscan
from fraudscan.corpus import Row, read_corpus
from fraudscan.train import train

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pytest_configure():
    from hypothesis import HealthCheck, settings

    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    settings.register_profile("fraudscan", deadline=None, suppress_health_check=checks, derandomize=True)
    settings.load_profile("fraudscan")


@pytest.fixture(scope="session")
def scanner():
    return fraudscan.load()


@pytest.fixture(scope="session")
def corpus() -> list[Row]:
    return read_corpus([ROOT / "corpus"])


@pytest.fixture(scope="session")
def small_corpus(corpus) -> list[Row]:
    """A tenth of the corpus: every label, enough to train on."""
    return corpus[::10]


@pytest.fixture(scope="session")
def small_model(small_corpus, tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("small") / "model"
    train(small_corpus).save(folder)
    return folder


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The evaluation data beside a developer's checkout; a user's clone has none."""
    folder = ROOT.parent / "shared"
    if not (folder / "eval" / "evaluate.py").is_file():
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs the evaluation data in ../shared")
        pytest.skip("no evaluation data in ../shared")
    return folder
