"""What users get: the wheel works on its own, and the evaluation runs on our output."""

import json
import os
import subprocess
import sys
import venv

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if os.environ.get("CI") == "true" or "onnection" not in done.stderr:
            pytest.fail(done.stderr)
        pytest.skip("no package index in reach")
    return next(folder.glob("*.whl"))


def test_wheel_works_in_an_empty_environment(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
    code = (
        "import fraudscan; print(fraudscan.classify('跟着老师操作稳赚不赔，加微信进内部群').label, fraudscan.__file__)"
    )
    environment = {"PATH": "/nonexistent", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    label, path = done.stdout.split()
    assert label == "investment"
    assert str(tmp_path) in path
    (tmp_path / "in.txt").write_text("到楼下了，下来拿快递", "utf-8")
    command = [tmp_path / "env" / "bin" / "fraudscan", "score", "in.txt", "-o", "out.jsonl"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert json.loads((tmp_path / "out.jsonl").read_text("utf-8"))["fraud_label"] == "legitimate"


def test_evaluation_takes_every_row_in_and_out(shared, tmp_path):
    out = tmp_path / "figures.json"
    command = f"{sys.executable} -m fraudscan score {{input}} -o {{output}}"
    evaluate = [sys.executable, shared / "eval" / "evaluate.py", "--command", command, "--json", out]
    subprocess.run(evaluate, check=True, capture_output=True, cwd=ROOT)
    figures = json.loads(out.read_text())
    assert sum(s["n"] for s in figures["sets"].values()) == 7010
    assert figures["macro_f1"] > 0.5
    assert figures["auc"] > 0.9
