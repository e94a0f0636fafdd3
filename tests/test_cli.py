"""Commands other than ``score`` and ``train``, and what all commands have in common."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from unittest.mock import Mock

import pytest
from conftest import LURE, ROOT, made_up
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan import TAXONOMY, __version__, kernel
from fraudscan.cli import main
from fraudscan.sklearn import FraudClassifier
from fraudscan.taxonomy import Taxonomy


def test_the_readme_shows_the_output_of_classify(capsys):
    shown = re.search(r'    \$ fraudscan classify "(.*)"\n((?:    .*\n)+)', (ROOT / "README.md").read_text("utf-8"))
    assert main(["classify", shown[1]]) == 0
    assert capsys.readouterr().out == textwrap.dedent(shown[2])


def test_labels_prints_the_taxonomy(capsys):
    assert main(["labels"]) == 0
    out = capsys.readouterr().out
    for scheme in TAXONOMY.schemes:
        assert scheme.name in out
        assert scheme.official in out
    assert main(["labels", "--json"]) == 0
    assert Taxonomy.from_dict(json.loads(capsys.readouterr().out)) == TAXONOMY


def test_an_unknown_scheme_is_named_in_the_error():
    assert TAXONOMY.label("games").schemes[0].label == "games"
    assert TAXONOMY.honest == "legitimate"
    with pytest.raises(KeyError, match="no scheme is called 'nonsense'; there are: investment"):
        TAXONOMY.scheme("nonsense")


def test_file_names_and_texts_cannot_forge_lines_of_output(tmp_path, capsys):
    assert main(["score", f"{tmp_path}/a\nfraudscan: all is well", "-o", str(tmp_path / "out.jsonl")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["classify", "--json", "\x9b2J\u202e" + LURE]) == 0
    printed = capsys.readouterr().out
    assert "\x9b" not in printed
    assert json.loads(printed)["text"] == "\x9b2J\u202e" + LURE


def test_classify_shows_which_label_an_honest_message_under_review_looks_like(scanner, capsys):
    text = "老师说群里发了资料，加微信领"
    pretence = scanner.with_thresholds(flag=1, review=0).classify(text).explain().label
    assert main(["classify", text, "--review", "0"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("review")
    assert f"       looks like: {pretence}\n" in printed
    assert main(["classify", "", "--review", "0"]) == 0
    assert "looks like" not in capsys.readouterr().out  # nothing in the text does


@pytest.mark.parametrize("option", ["—o", "——output", "–o", "—safe-csv"])
def test_an_option_with_another_dash_is_named(capsys, option):
    with pytest.raises(SystemExit):
        main(["score", "in.csv", *["-o", "out.csv"] * (option == "—safe-csv"), option, "out.csv"])
    assert capsys.readouterr().err.endswith(f"; {option} begins with {option[0]}, options with -\n")


def test_classify_prints_label_and_evidence(capsys):
    assert main(["classify", LURE, "你好"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("flag")
    assert "investment / investment (投资理财)" in out
    assert "legitimate (正常)" in out
    assert main(["classify", LURE, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["label"] == "investment"
    assert row["evidence"][0]["text"] in LURE
    assert row["window"] is None


def set_stdin(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "big5", "utf-16"])
def test_classify_reads_a_message_in_any_encoding(monkeypatch, capsys, encoding):
    text = "今天晚上回家吃飯嗎，我在樓下等你" if encoding == "big5" else LURE
    set_stdin(monkeypatch, text.encode(encoding))
    assert main(["classify", "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == text


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_classify_says_if_bytes_of_a_message_are_lost(monkeypatch, capsys, options):
    whole = LURE.encode(), LURE.encode("gb18030"), f"{LURE}\ufffd".encode()
    for data, lost in (*((data, False) for data in whole), (b"\xff" + LURE.encode(), True)):
        set_stdin(monkeypatch, data)
        assert main(["classify", "-", *options]) == 0
        assert ("could not be decoded" in capsys.readouterr().err) == lost


@given(data=st.binary(max_size=60))
@settings(max_examples=50)
def test_classify_reads_any_bytes(monkeypatch, data):
    set_stdin(monkeypatch, data)
    assert main(["classify", "-"]) == 0


@pytest.mark.parametrize("encoding", ["gbk", "ascii", "utf-8", "utf8"])
def test_output_is_written_in_any_encoding(monkeypatch, encoding):
    text = f"{LURE}😊\udcff"
    for arguments in (["classify", text], ["labels"], ["classify", text, "--json"], ["labels", "--json"]):
        out = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(out, encoding))
        assert main(arguments) == 0
        sys.stdout.flush()
        printed = out.getvalue().decode(encoding)
        if arguments[-1] == "--json":
            assert json.loads(printed).get("text", text) == text
            assert printed.isascii() != encoding.startswith("utf")
        else:
            assert "investment" in printed


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [(KeyboardInterrupt(), 130, "stopped"), (OSError(5, "Input/output error"), 2, "Input/output error")],
)
def test_an_interruption_or_a_read_error_ends_a_command_with_a_message(monkeypatch, capsys, error, status, sentence):
    set_stdin(monkeypatch, b"")
    monkeypatch.setattr(sys.stdin.buffer, "read", Mock(side_effect=error), raising=False)
    assert main(["classify", "-"]) == status
    assert sentence in capsys.readouterr().err


def test_messages_about_a_dump_contain_no_control_characters(tmp_path, capsys):
    (tmp_path / "\x1b[2J.csv").write_text("\x1b[31mred,b\n1,2\n")
    assert main(["score", str(tmp_path / "\x1b[2J.csv"), "-o", str(tmp_path / "out.csv")]) == 2
    message = capsys.readouterr().err
    assert r"\x1b[31mred" in message
    assert "\x1b" not in message


@pytest.mark.parametrize(
    "arguments", [["\x1b[2J"], ["labels", "\x1b[2J\nx"], ["score", "a", "-o", "b", "--workers", "\x9b2J\u202e"]]
)
def test_messages_about_arguments_contain_no_control_characters(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    message = capsys.readouterr().err
    assert caught.value.code == 2
    assert not set("\x1b\x9b\u202e") & set(message)
    assert r"2J" in message.splitlines()[-1]


def test_label_names_are_printed_without_control_characters(tmp_path, capsys):
    rows = [(f"text{'abcdefgh'[i]}", "\x1b[2J\nx") for i in range(8)] + [
        (f"{'abcdefgh'[i]} 你好", "ham") for i in range(8)
    ]
    classifier = FraudClassifier(max_n=1, min_df=1, idf_power=0.5, C=1.0, balanced=True)
    model = tmp_path / "model"
    classifier.fit(*map(list, zip(*rows, strict=True))).to_scanner().save(model)
    (tmp_path / "in.csv").write_text("text,label\n" + "".join(f'{text},"{label}"\n' for text, label in rows))
    for command in (
        ["classify", "text"],
        ["score", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv")],
        ["evaluate", str(tmp_path / "in.csv")],
    ):
        assert main([*command, "-m", str(model)]) == 0
        printed = "".join(capsys.readouterr())
        assert r"\x1b[2J\nx" in printed
        assert "\x1b" not in printed


def run(command):
    """Run a command line in a shell. FRAUDSCAN stands for our command; its output is buffered, as it is for a user."""
    program = f"{shlex.quote(sys.executable)} -m fraudscan"
    environment = {**os.environ, "PYTHONUNBUFFERED": "", "PYTHONUTF8": "1"}
    command = ["bash", "-c", command.replace("FRAUDSCAN", program)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)


@pytest.mark.parametrize(
    "command", ["labels", "classify 好", "score examples/exports/lines.txt -o - --quiet", "--version", "score --help"]
)
def test_failure_to_write_to_standard_output_is_reported(command):
    for nowhere, why in ("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor"):
        failed = run(f"FRAUDSCAN {command} {nowhere}")
        message = f"fraudscan: standard output cannot be written: {why}\n"
        assert (failed.returncode, failed.stderr) == (2, message)
    closed_early = run(f"FRAUDSCAN {command} | true; exit ${{PIPESTATUS[0]}}")
    assert (closed_early.returncode, closed_early.stderr) == (0, "")


@pytest.mark.parametrize("rows", [1, 100_000])
def test_rethreshold_reports_that_standard_output_cannot_be_written(tmp_path, rows):
    source = tmp_path / "scored.jsonl"
    source.write_text('{"fraud_score": 0.9, "fraud_verdict": "clear"}\n' * rows, "utf-8")
    full = run(f"FRAUDSCAN rethreshold {source} -o - > /dev/full")
    message = "fraudscan: standard output cannot be written: No space left on device\n"
    assert (full.returncode, full.stderr) == (2, message)


@pytest.mark.parametrize("rows", [40, 100])
def test_an_output_file_that_cannot_be_completed_is_named_and_left_without_a_summary(tmp_path, rows):
    source, out = tmp_path / "scored.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"fraud_score": 0.9, "fraud_verdict": "clear"}\n' * rows, "utf-8")
    done = run(f"ulimit -f 1; FRAUDSCAN rethreshold {source} -o {out}")  # one block of 1,024 bytes
    assert (done.returncode, done.stderr) == (2, f"fraudscan: {out} cannot be made from {source}: File too large\n")
    assert list(tmp_path.iterdir()) == [source]


def test_parquet_from_a_named_pipe_is_refused(tmp_path):
    pipe, out = tmp_path / "pipe", tmp_path / "out.parquet"
    os.mkfifo(pipe)
    for command in ("score", "rethreshold"):
        done = run(f"cat examples/exports/messages.parquet > {pipe} & timeout 60 FRAUDSCAN {command} {pipe} -o {out}")
        assert (done.returncode, "is read from a plain file only" in done.stderr) == (2, True)


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_rethreshold_ends_quietly_if_its_output_is_closed_early(tmp_path, name):
    out = tmp_path / name
    header, row = "fraud_label,fraud_scheme,fraud_score,fraud_verdict\n", "a,b,0.9,clear\n"
    if name == "out.jsonl":
        header, row = "", '{"fraud_score": 0.9, "fraud_verdict": "clear"}\n'
    out.write_text(header + row * 100_000, "utf-8")
    done = run(f"FRAUDSCAN rethreshold {out} -o - | head -1")
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


def test_a_command_runs_with_its_streams_closed(tmp_path):
    out = shlex.quote(str(tmp_path / "out.jsonl"))
    assert run(f"FRAUDSCAN score examples/exports/lines.txt -o {out} --workers 2 2>&- >&- <&-").returncode == 0
    assert (tmp_path / "out.jsonl").read_text("utf-8").startswith('{"text": ')
    assert run("FRAUDSCAN classify - <&-").stdout.startswith("clear")


def test_training_runs_with_its_standard_error_closed(tmp_path):
    rows = "".join(f"{text},{label}\n" for text, label in zip(*made_up(40), strict=True))
    (tmp_path / "mine.csv").write_text(f"text,label\n{rows}", "utf-8")
    mine, model = (shlex.quote(str(tmp_path / name)) for name in ("mine.csv", "model"))
    done = run(f"FRAUDSCAN train {mine} -o {model} 2>&-")
    assert (done.returncode, done.stdout.splitlines()[0].split()[-1]) == (0, "label")


def test_an_unwritable_standard_error_does_not_change_the_result(tmp_path):
    out, source = tmp_path / "out.jsonl", tmp_path / "in.gb.txt"
    source.write_bytes(f"{LURE}\n".encode("gb18030") * 9)
    for command, status in (
        (f"score {source} -o {out} --workers 2 --force", 0),
        (f"rethreshold {out} -o - --flag 0.5", 0),
        (f"score {source} -o -", 0),
        (f"score {out}.no -o -", 2),
        ("nonsense", 2),
    ):
        readable = run(f"FRAUDSCAN {command}")
        assert readable.returncode == status
        for nowhere in ("2> /dev/full", "2> >(true)", "2>&-"):
            unreadable = run(f"FRAUDSCAN {command} {nowhere}")
            assert (unreadable.returncode, unreadable.stdout, unreadable.stderr) == (status, readable.stdout, "")
    assert len(out.read_text("utf-8").splitlines()) == 9


@pytest.mark.parametrize(
    ("source", "out", "how"),
    [("in.txt", "out.csv", "--resume"), ("-", "out.csv", "the beginning"), ("in.txt", "-", "the beginning")],
)
def test_ctrl_c_says_whether_the_job_can_be_resumed(monkeypatch, capsys, source, out, how):
    monkeypatch.setattr("fraudscan.dump.score_dump", Mock(side_effect=KeyboardInterrupt))
    assert main(["score", source, "-o", out]) == 130
    assert capsys.readouterr().err.endswith(f"{how}\n")


@pytest.mark.parametrize(("terminal", "erase"), [("xterm", "\r\x1b[K"), ("dumb", "")])
def test_what_is_said_on_a_terminal_takes_the_place_of_the_progress(tmp_path, terminal, erase):
    (tmp_path / "in.jsonl").write_text("broken\n", "utf-8")
    command = [sys.executable, "-m", "fraudscan", "score", tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl"]
    shown, stderr = os.openpty()
    subprocess.run(command, stderr=stderr, env={**os.environ, "TERM": terminal}, check=False)
    said = os.read(shown, 1 << 16).decode()
    os.close(stderr)
    os.close(shown)
    assert ("100% done" in said) == bool(erase)
    assert said.rpartition(" left")[2].startswith(f"{erase}fraudscan: no row was scored: all 1 were rejected")


def test_rejects_that_cannot_be_written_to_standard_error_fail_the_command(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "好"}\nbroken\n', "utf-8")
    for nowhere in ("2> /dev/full", "2> >(true)"):
        assert run(f"FRAUDSCAN score {tmp_path}/in.jsonl -o - {nowhere}").returncode == 2


def test_an_argument_in_another_encoding_is_read(capsys):
    for text in (os.fsdecode(LURE.encode("gb18030")), LURE):
        assert main(["classify", text, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["text"] == LURE


def test_a_span_and_the_name_of_a_list_stay_on_one_line(tmp_path, capsys):
    deny = tmp_path / "deny\nclear  0.001  legitimate.txt"
    deny.write_text("稳赚不赔", "utf-8")
    assert main(["classify", "跟着老\n师操作稳赚\n不赔，加\n微信进内部群", "--deny", str(deny)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith(("clear", "review", "flag"))]) == 1
    assert all(line.startswith("  ") for line in lines[1:])


@pytest.mark.parametrize("compiled", [True, False])
def test_version_says_whether_the_kernel_is_there(compiled, monkeypatch, capsys):
    monkeypatch.setattr(kernel, "compiled", compiled)
    with pytest.raises(SystemExit):
        main(["--version"])
    build = "" if compiled else " (without the compiled kernel)"
    assert capsys.readouterr().out == f"fraudscan {__version__}{build}\n"


def test_unknown_command_exits_with_2():
    with pytest.raises(SystemExit) as caught:
        main(["nonsense"])
    assert caught.value.code == 2
