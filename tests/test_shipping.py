"""Distribution: the wheel works on its own, and the evaluation accepts the output of ``fraudscan score``."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile

import pytest
from conftest import ROOT, lacking


def run(command, cwd=None, **environment):
    env = os.environ | environment
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=cwd)
    if done.returncode:
        if "onnection" not in done.stderr:
            pytest.fail(done.stderr)
        lacking("no package index can be reached")


def build_wheel(source, folder, **environment):
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, source], **environment)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


def kernels(wheel):
    return [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("fraudscan/_engine.")]


@pytest.mark.usefixtures("compiled")
def test_wheel_has_the_kernel(wheel):
    assert len(kernels(wheel)) == 1


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    backend = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--target",
        folder / "backend",
        "setuptools>=77",
    ]
    run(backend)
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    run([sys.executable, "-c", code], cwd=ROOT, PYTHONPATH=str(folder / "backend"))
    return next(folder.glob("*.tar.gz"))


def test_the_source_distribution_can_be_built_and_has_no_tests(sdist):
    """Tests are left out because their data are not included."""
    with tarfile.open(sdist) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {
        "fraudscan/_engine.c",
        "fraudscan/_read.c",
        "fraudscan/_survey.c",
        "fraudscan/_lattice.c",
        "fraudscan/_evidence.c",
        "fraudscan/_kernel.h",
        "models/default/weights.npy",
        "CHANGELOG.md",
        "docs/dumps.md",
        "LICENSE",
        "NOTICE",
    } <= names
    assert not [name for name in names if name.startswith("tests")]


def test_wheel_can_be_built_without_a_compiler(sdist, tmp_path):
    wheel = build_wheel(sdist, tmp_path, CC="false")
    assert "fraudscan/kernel.py" in zipfile.ZipFile(wheel).namelist()
    assert not kernels(wheel)


def environment(folder):
    """Make an empty environment; return its Python, and the command that installs there, without compiling modules."""
    venv.create(folder)
    python = folder / "bin" / "python"
    return python, [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]


def test_wheel_works_in_an_empty_environment(wheel, tmp_path):
    """It is installed without network, as the README describes it."""
    python, install = environment(tmp_path / "env")
    wheels = tmp_path / "wheels"
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "-w", wheels, wheel])
    subprocess.run([*install, "--no-index", "--find-links", wheels, "fraudscan"], check=True)
    code = (
        "import fraudscan; print(fraudscan.classify('老师带单，每天三只涨停股，进群免费领').label, fraudscan.__file__)"
    )
    offline = {"PATH": "/nonexistent", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run([python, "-c", code], cwd=tmp_path, env=offline, capture_output=True, text=True, check=True)
    label, path = done.stdout.split()
    assert label == "investment"
    assert str(tmp_path) in path
    (tmp_path / "in.txt").write_text("到楼下了，下来拿快递", "utf-8")
    command = [tmp_path / "env" / "bin" / "fraudscan", "score", "in.txt", "-o", "out.jsonl"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert json.loads((tmp_path / "out.jsonl").read_text("utf-8"))["fraud_label"] == "legitimate"


SCORES = """
import json, sys
import fraudscan
texts = [json.loads(line)["text"] for line in open(sys.argv[1], encoding="utf-8")]
texts += ["投·资·理·财，稳·赚·不·赔，加薇信", "返荔 稳赚不陪 贷歀 touzi", "".join(texts)]
scanner = fraudscan.load()
print([(r.label, round(r.score, 6), [s.text for s in r.explain().spans]) for r in scanner.classify_many(texts)])
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the oldest NumPy has no build for this Python")
def test_scores_are_the_same_with_the_oldest_numpy(wheel, tmp_path):
    python, install = environment(tmp_path / "env")
    run([*install, "--only-binary", "numpy", wheel, "numpy==1.24.*"])
    messages = ROOT / "examples" / "messages.jsonl"
    old, new = (
        subprocess.run([name, "-c", SCORES, messages], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for name in (python, sys.executable)
    )
    assert old == new


def test_evaluation_covers_every_row(shared, tmp_path):
    out = tmp_path / "figures.json"
    command = f"{sys.executable} -m fraudscan score {{input}} -o {{output}}"
    evaluate = [sys.executable, shared / "eval" / "evaluate.py", "--command", command, "--json", out]
    subprocess.run(evaluate, check=True, capture_output=True, cwd=ROOT)
    figures = json.loads(out.read_text())
    assert sum(s["n"] for s in figures["sets"].values()) == 7010
    assert figures["macro_f1"] > 0.5
    assert figures["auc"] > 0.9
