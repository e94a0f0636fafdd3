"""Fixtures and data that the tests share, among them a small trained model and the shipped one."""

import contextlib
import functools
import json
import os
import pathlib
import random
import shutil
import tracemalloc

import pytest
from reference import Reference

import fraudscan
from fraudscan import kernel
from fraudscan.columns import COLUMNS, Column
from fraudscan.corpus import Row, read_corpus
from fraudscan.decisions import Decisions
from fraudscan.model import default_folder
from fraudscan.network import NetworkOptions
from fraudscan.train import TrainingOptions, train

ROOT = pathlib.Path(__file__).resolve().parent.parent

LURE = "跟着老师操作稳赚不赔，加微信进内部群，每天领取返利"
PLAIN = "到楼下了，下来拿快递"

COLUMN = [
    LURE,
    None,
    PLAIN,
    "",
    "爷爷奶奶免费领鸡蛋，养老项目年化百分之二十",
]
"""A text column as in tables, with a missing text and an empty one."""


def pytest_configure():
    from hypothesis import HealthCheck, settings

    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    settings.register_profile("fraudscan", deadline=None, suppress_health_check=checks, derandomize=True)
    settings.load_profile("fraudscan")


@pytest.fixture
def phone(tmp_path):
    """An empty folder for dumps."""
    folder = tmp_path / "phone"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def scanner():
    return fraudscan.load()


def lacking(what):
    """Skip a test because of something that this machine lacks; fail it in CI, which has everything."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(what)


@pytest.fixture(scope="session")
def reference():
    return Reference(default_folder())


@pytest.fixture(scope="session")
def compiled():
    """The kernel, which is missing from installations without a C compiler."""
    if kernel.compiled is None:
        lacking("fraudscan._engine was not built: is there a C compiler?")
    return kernel.compiled


@pytest.fixture(scope="module", params=["compiled", "NumPy alone"])
def engine(request):
    """Run the tests of a module twice: with the kernel, and with NumPy alone as if the kernel had not been built."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "compiled":
            request.getfixturevalue("compiled")
        elif request.param == "NumPy alone":
            patch.setattr(kernel, "compiled", None)
        yield


@pytest.fixture
def more_columns(monkeypatch):
    """Further columns, one of each kind; return what they hold in a row with this verdict and score."""
    values = {
        "loud": (str, lambda found: [verdict.upper() for verdict in found.verdict]),
        "half": (float, lambda found: found.scores / 2),
        "twice": (list, lambda found: [(verdict, verdict) for verdict in found.verdict]),
    }
    for name, (kind, value) in values.items():
        monkeypatch.setattr(Decisions, name, property(value), raising=False)
        monkeypatch.setitem(COLUMNS, f"fraud_{name}", Column(name, kind))
    return lambda verdict, score: (verdict.upper(), pytest.approx(score / 2, abs=1e-6), [verdict, verdict])


@pytest.fixture(scope="session")
def corpus() -> list[Row]:
    return read_corpus([ROOT / "corpus"])


@pytest.fixture(scope="session")
def small_corpus(corpus) -> list[Row]:
    """One row in a hundred of the corpus, with every label and enough to train on."""
    return corpus[::100]


QUICK = TrainingOptions(folds=2, network=NetworkOptions(epochs=1, min_steps=1))
"""Options for tests of models whose decisions do not matter."""


@pytest.fixture(scope="session")
def small_model(small_corpus, tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("small") / "model"
    train(small_corpus, options=QUICK).save(folder)
    return folder


@pytest.fixture
def few_folds(monkeypatch):
    """Have commands train with two folds, in fewer steps and without distillation, which saves most of the time."""
    network = NetworkOptions(units=128, distilled=0, epochs=6, min_steps=400, learning_rate=2e-2)
    options = functools.partial(TrainingOptions, folds=2, network=network)
    monkeypatch.setattr("fraudscan.train.TrainingOptions", options)


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of evaluation data beside a developer's checkout. A user's clone has none."""
    folder = ROOT.parent / "shared"
    if not (folder / "eval" / "evaluate.py").is_file():
        lacking("no evaluation data in ../shared")
    return folder


@pytest.fixture(scope="session")
def java() -> None:
    """Java, which Spark runs on."""
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        lacking("Spark needs Java 17, and there is no java on the PATH and no JAVA_HOME")


@contextlib.contextmanager
def traced():
    """Trace allocations; yield a function that returns the bytes held since then: now, and at most at one time."""
    tracemalloc.start()
    try:
        yield tracemalloc.get_traced_memory
    finally:
        tracemalloc.stop()


def write_corpus(path, rows):
    """Write rows as `read_corpus` reads them, without their pairs."""
    fields = ("id", "text", "labels", "targets", "channel", "scenario")
    path.write_text("".join(json.dumps({f: getattr(row, f) for f in fields}) + "\n" for row in rows), "utf-8")


WORDS = {
    "loan": ["低息贷款", "秒批到账", "无需抵押", "凭身份证", "额度五万", "资金周转"],
    "prize": ["恭喜中奖", "领取奖金", "点击链接", "幸运用户", "豪礼相送", "抽中大奖"],
    "normal": ["晚上吃饭", "明天开会", "帮我带伞", "周末爬山", "孩子放学", "快递到了"],
}


def logit_of(scanner, text, label):
    """Return a label's logit, from the heads: that of fraud plus that of the label's likeliest scheme.

    For the honest label, it is minus the logit of fraud.
    """
    logits = dict(zip(scanner.heads, scanner.logits([text])[0], strict=True))
    schemes = [scheme.name for scheme in scanner.taxonomy.label(label).schemes]
    return logits["fraud"] + max(logits[name] for name in schemes) if schemes else -logits["fraud"]


def made_up(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return random texts, and labels that a model can learn from them."""
    rng = random.Random(seed)
    labels = [rng.choice(list(WORDS)) for _ in range(count)]
    return [
        "，".join(rng.choice(WORDS[label]) for _ in range(3)) + rng.choice("的了吗吧呢") for label in labels
    ], labels
