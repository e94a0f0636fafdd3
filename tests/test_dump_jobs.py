"""Jobs: killed, resumed, refused, and shared among workers."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import errno
import gzip
import hashlib
import io
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from unittest import mock
from xml.parsers import expat

import dumps
import fuzz
import kill
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from dumps import LURE, PLAIN, interrupt, refused, rejected, rows_of, score, scored
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fraudscan.cli import main
from fraudscan.dump import DumpError, Options, job, output, parquet, readers, rethreshold, score_dump, tables, workers
from fraudscan.dump.rows import Block, Place
from fraudscan.dump.streams import Head
from fraudscan.lists import read_lists
from fraudscan.model import default_folder, load


@pytest.mark.parametrize(
    ("number", "name"),
    enumerate(
        ["in.jsonl", "in.json", "in.csv", "in.parquet", "in.xlsx", "in.xml", "result.json", "wechat.txt", "in.zip"]
    ),
)
def test_a_killed_job_resumes_to_the_same_bytes(tmp_path, number, name):
    """One dump of each kind, with all outputs, by one worker and by two; the next test stops jobs on all dumps."""
    out = ("jsonl", "csv", "parquet")[number % 3]
    kill.kill_and_resume(name, tmp_path, random.Random(number), kills=2, workers=1 + number % 2, out=out, rows=300)


class Stop(Exception):  # noqa: N818
    """Raised instead of killing the process, where the moment must be exact."""


@pytest.mark.parametrize(
    ("name", "workers"),
    [*((name, 1) for name in dumps.MAKERS), ("in.csv", 2), ("in.parquet", 2), ("result.json", 2), ("broken.json", 1)],
)
def test_a_job_stopped_anywhere_resumes_to_the_same_bytes(tmp_path, scanner, monkeypatch, name, workers):
    monkeypatch.setattr(job, "SECONDS", 0)
    rng = random.Random(workers)
    sources = [tmp_path / name, tmp_path / "more.jsonl"] if name == "broken.json" else [tmp_path / name]
    for source in sources:
        make = dumps.MAKERS.get(source.name, dumps.jsonl)
        source.write_bytes(make(dumps.rows(rng, 300)))
    if name == "broken.json":
        sources[0].write_bytes(dumps.json_array(dumps.rows(rng, 300))[:-500])
    sources = list(map(str, sources))
    column = dumps.by(name)[1:] or [None]
    options = Options(by=column[0], max_message=4096)
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    score_dump(scanner, sources, str(whole), options)
    take = job._Job._take
    stops = 0
    while not broken.exists():
        left = [rng.randrange(1, 3 * workers)]

        def stopping(self, task, scored, left=left):
            take(self, task, scored)
            left[0] -= 1
            if not left[0]:
                self.out.write(b"torn")  # bytes that no checkpoint covers
                self.out.flush()
                raise Stop

        monkeypatch.setattr(job._Job, "_take", stopping)
        try:
            score_dump(scanner, sources, str(broken), options, workers=workers, resume=True)
        except Stop:
            stops += 1
            monkeypatch.setattr(job._Job, "_take", take)
            with pytest.raises(DumpError, match="is incomplete"):
                score_dump(scanner, sources, str(broken), options)
    assert stops > 0
    assert kill.results(broken) == kill.results(whole)


@pytest.mark.parametrize("names", [["in.jsonl.gz"], ["in.jsonl.gz", "more.jsonl"]])
def test_damage_is_rejected_once_wherever_a_job_is_stopped(tmp_path, scanner, monkeypatch, names):
    monkeypatch.setattr(job, "SECONDS", 0)
    data = dumps.jsonl(dumps.rows(random.Random(0), 60))
    packed = gzip.compress(data)
    (tmp_path / "in.jsonl.gz").write_bytes(packed[:-8] + bytes(4) + packed[-4:])  # another checksum
    (tmp_path / "more.jsonl").write_bytes(data)
    sources, whole, out = [tmp_path / name for name in names], tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    options = Options(max_message=4096)
    assert len(score_dump(scanner, sources, whole, options).damaged) == 1
    for moment in itertools.count(1):
        reports = itertools.count(1)

        def stop(_, moment=moment, reports=reports):
            if next(reports) == moment:
                raise KeyboardInterrupt

        try:
            score_dump(scanner, sources, out, options, force=True, progress=stop)
            break
        except KeyboardInterrupt:
            assert len(score_dump(scanner, sources, out, options, resume=True).damaged) == 1
        assert kill.results(out) == kill.results(whole)
    assert moment > 3


def lures_in_parts(scanner):
    """Return rows in which a window of a conversation and a later message have the same score, the highest of all."""
    first, second = (
        "王姐，上次说的那个平台我又提现了两万，你把身份证和银行卡拍给我，我帮你开户，跟着我",
        "的老师做，每天都有收益，先投五千试试，不满意随时退给你的，放心吧",
    )
    *parts, window, whole = scanner.decide([first, second, f"{first}\n{second}", first + second]).scores
    assert window == whole > max(parts)
    others = [{"chat": "other", "text": f"{i}楼到了，下来拿快递"} for i in range(100)]
    between = "今天天气不错，" * 18  # fills a window
    told = [{"chat": "c", "text": text} for text in (first, second, between, first + second)]
    return [*told[:2], *others, *told[2:], *others]


@pytest.mark.parametrize("name", [*dumps.MAKERS, "parts.jsonl"])
def test_blocks_give_the_same_results_alone_and_together(tmp_path, scanner, monkeypatch, name):
    source = tmp_path / name
    made = dumps.MAKERS[name](dumps.rows(random.Random(0), 300)) if name in dumps.MAKERS else None
    source.write_bytes(made or "".join(json.dumps(row) + "\n" for row in lures_in_parts(scanner)).encode())
    options = Options(by="chat" if made is None else (dumps.by(name)[1:] or [None])[0], max_message=4096)
    monkeypatch.setattr(job, "TASKS", 1)
    found = []
    for together, ending in itertools.product((1, 4), ("jsonl", "parquet")):
        monkeypatch.setattr(job, "TOGETHER", together)
        out = tmp_path / f"{together}.{ending}"
        score_dump(scanner, [str(source)], str(out), options)
        summary = out.with_name(out.name + ".summary.json").read_text("utf-8")
        found.append([kill.results(out), re.sub(r'"(?:seconds|rows_per_second|began|ended)": .*', "", summary)])
    assert found[:2] == found[2:]


@pytest.mark.parametrize("source", ["file", "pipe"])
def test_no_task_is_much_larger_than_its_blocks(tmp_path, scanner, monkeypatch, source):
    """Few blocks with many lines are scored together, and none of pipes, whose size is not known."""
    tasks = []
    score_all = job.score_all
    monkeypatch.setattr(job, "score_all", lambda score, given, *rest: score_all(score, map(noted, given), *rest))

    def noted(task):
        if task.reader.source == str(path):
            tasks.append([block.end.line - block.start.line for block in task.blocks])
        return task

    data = b"text\n" + b"1\n" * 60_000 + b"2" * 9000 + b"\n" + (b"3" * 999 + b"\n") * 2000
    path, beside = tmp_path / "in.csv", tmp_path / "beside.csv"
    beside.write_bytes(b"text\n" + b"4\n" * 100_000)
    if source == "pipe":
        os.mkfifo(path)
        threading.Thread(target=path.write_bytes, args=(data,), daemon=True).start()
    else:
        path.write_bytes(data)
    monkeypatch.setattr(job, "MOST_LINES", 5000)
    score_dump(scanner, [str(path), str(beside)], str(tmp_path / "out.jsonl"), Options(max_message=4096))
    assert sum(map(sum, tasks)) == 62_001
    assert max(map(len, tasks)) == (1 if source == "pipe" else 4)
    assert max(map(sum, tasks)) <= 5000 + max(map(max, tasks))


JSON = json.dumps({"text": LURE}, ensure_ascii=False) + "\n"
LIVE = {
    "jsonl": ([], [JSON[:5], JSON[5:] + JSON[:20], JSON[20:] + JSON], [0, 1, 3]),
    "objects without a text first": ([], ['{"kind": 1}\n', JSON], [0, 1]),
    "two workers": (["--workers", "2"], [JSON, JSON + JSON, JSON], [1, 3, 4]),
    "after lines that are no objects": ([], ["\n{broken\n", JSON, JSON], [0, 1, 2]),
    "csv": ([], [f"id,text\n1,{PLAIN},\n", f"2,{LURE},\n", f"3,{PLAIN},\n"], [0, 0, 0]),
    "lines": ([], [f"{PLAIN}\n", f"{LURE}\n"], [0, 0]),
    "lines by name": (["--format", "lines"], [f"{PLAIN}\n", f"{LURE}\n{PLAIN}", f"\n{LURE}\n"], [1, 2, 4]),
    "array": ([], ["[\n" + JSON, "," + JSON + "]\n"], [0, 0]),
}


@pytest.mark.skipif(sys.platform == "win32", reason="only sockets can be waited for there")
@pytest.mark.parametrize("name", LIVE)
def test_rows_of_a_live_source_are_written_as_they_come(tmp_path, name):
    """What other formats mean depends on more rows, so these are read as from a file, whenever they come."""
    options, sent, expected = LIVE[name]
    command = [sys.executable, "-m", "fraudscan", "score", "-", "-o", "-", "--quiet", *options]
    found, late = [], False
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ran:
        listening = threading.Thread(target=lambda: found.extend(ran.stdout), daemon=True)
        listening.start()
        for part, lines in zip(sent, expected, strict=True):
            ran.stdin.write(part.encode())
            ran.stdin.flush()
            until = time.monotonic() + (0 if late else 60)
            while len(found) < lines and time.monotonic() < until:
                time.sleep(0.01)
            late |= len(found) < lines
        ran.stdin.close()
        listening.join()
    assert not late
    source = tmp_path / "in"
    source.write_text("".join(sent), "utf-8")
    whole = tmp_path / ("out.csv" if name == "csv" else "out.jsonl")
    assert score(source, "-o", whole, *options) == 0
    assert b"".join(found) == whole.read_bytes()


def test_small_row_groups_are_scored_together(tmp_path, scanner, monkeypatch):
    """The results, the places of rejects and the bytes after a stop at any block are those of any other file."""
    rng = random.Random(0)
    records = [{**row, "text": row["text"] if row["id"] % 9 else None} for row in dumps.rows(rng, 600)]
    table = pa.Table.from_pylist(records)
    source, plain = tmp_path / "in.parquet", tmp_path / "plain.parquet"
    pq.write_table(table, plain)
    with pq.ParquetWriter(source, table.schema) as writer:
        begin = 0
        while begin < 600:
            size = rng.choice([0, 1, 1, 1, 2, 40])
            writer.write_table(table[begin : begin + size])
            begin += size
    sizes = []
    score_blocks = job.score_blocks
    monkeypatch.setattr(job, "score_blocks", lambda *given: sizes.append(len(given[2].blocks)) or score_blocks(*given))
    monkeypatch.setattr(job, "SECONDS", 0)
    options = Options(by="chat", max_message=1 << 14)  # 64 rows

    def stop(_):
        raise Stop

    groups = pq.ParquetFile(source).num_row_groups
    for ending in ("jsonl", "parquet"):
        one, whole, stopped = (tmp_path / f"{name}.{ending}" for name in ("one", "whole", "stopped"))
        score_dump(scanner, [plain], one, options)
        sizes.clear()
        score_dump(scanner, [source], whole, options)
        assert 600 / 64 <= len(sizes) < 20 < groups
        interrupt(scanner, source, stopped, options)
        while not stopped.exists():
            with contextlib.suppress(Stop):
                score_dump(scanner, [source], stopped, options, resume=True, progress=stop)
        assert kill.results(stopped) == kill.results(whole)
        for name in ("", ".rejects.jsonl", ".conversations.jsonl"):
            ours, theirs = (pathlib.Path(f"{out}{name}").read_bytes() for out in (whole, one))
            assert ours.replace(b"in.parquet", b"plain.parquet") == theirs


def test_a_dictionary_is_not_written_with_each_block(tmp_path, scanner, monkeypatch):
    """The categories that pandas and polars write as dictionaries may be as many as the rows."""
    texts = pa.array([f"{PLAIN}{i}" if i % 9 else None for i in range(4000)])
    kinds = [f"kind {i % 3000}" for i in range(4000)]
    columns = {"text": texts.dictionary_encode(), "kind": pa.array(kinds).dictionary_encode()}
    plain = pa.table({"text": texts, "kind": kinds})
    options = Options(max_message=1 << 14)  # 64 rows
    monkeypatch.setattr(parquet, "GROUP", 1 << 18)
    monkeypatch.setattr(parquet, "BLOCK", 1 << 14)
    for name, table in ("plain", plain), ("coded", pa.table(columns)):
        pq.write_table(table, tmp_path / f"{name}.parquet")
        score_dump(scanner, [tmp_path / f"{name}.parquet"], tmp_path / f"{name}.out.parquet", options)
        command = ["rethreshold", tmp_path / f"{name}.out.parquet", "-o", tmp_path / f"{name}.new.parquet"]
        assert main([*map(str, command), "--flag", "0.9", "--review", "0.1"]) == 0
    for step in ("out", "new"):
        ours, theirs = (tmp_path / f"{name}.{step}.parquet" for name in ("coded", "plain"))
        assert len(row_groups(ours)) <= len(row_groups(theirs))
        assert pq.read_schema(ours).field("kind").type == columns["kind"].type
        assert pq.read_table(ours).to_pylist() == pq.read_table(theirs).to_pylist()


def test_ordered_categories_keep_all_of_them_in_their_order(tmp_path, scanner):
    risks = pa.DictionaryArray.from_arrays([2, 1], ["low", "middle", "high"], ordered=True)
    pq.write_table(pa.table({"text": [LURE, PLAIN], "risk": risks}), tmp_path / "in.parquet")
    score_dump(scanner, [tmp_path / "in.parquet"], tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")["risk"]
    assert found.type.ordered
    assert found.chunk(0).dictionary.to_pylist() == ["low", "middle", "high"]
    assert found.to_pylist() == ["high", "middle"]


@pytest.mark.parametrize("step", ["replace", "unlink"])
@pytest.mark.parametrize("out", ["out.jsonl", "out.parquet"])
def test_a_job_stopped_while_its_files_are_renamed_or_deleted_resumes(tmp_path, scanner, monkeypatch, step, out):
    source = tmp_path / "in.jsonl"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 300)))
    options = Options(by="chat")
    whole, broken = tmp_path / f"whole-{out}", tmp_path / f"broken-{out}"
    folder = str(tmp_path)  # incomplete outputs in it are not read as dumps
    score_dump(scanner, [folder], str(whole), options)
    original = getattr(pathlib.Path, step)
    stops = 0
    while not broken.exists() or list(tmp_path.glob("broken*checkpoint")):
        calls = [0]

        def stopping(self, *arguments, calls=calls, stop=stops, **options):
            calls[0] += self.name.startswith("broken")
            if calls[0] > stop:
                raise Stop
            return original(self, *arguments, **options)

        monkeypatch.setattr(pathlib.Path, step, stopping)
        try:
            score_dump(scanner, [folder], str(broken), options, resume=True)
        except Stop:
            stops += 1
    assert stops > 2
    assert kill.results(broken) == kill.results(whole)


@pytest.mark.parametrize("out", ["out.jsonl", "out.parquet"])
def test_no_file_is_open_when_it_is_renamed(tmp_path, scanner, monkeypatch, out):
    files, create, rename = [], output.create, pathlib.Path.replace

    def creating(path):
        files.append(create(path))
        return files[-1]

    def renaming(path, target):  # as on Windows
        if any(file.name == str(path) and not file.closed for file in files):
            raise PermissionError(errno.EACCES, "another program uses the file", str(path))
        return rename(path, target)

    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"text": LURE}) + "\nbroken\n", "utf-8")
    for module in output, job, parquet:
        monkeypatch.setattr(module, "create", creating)
    monkeypatch.setattr(pathlib.Path, "replace", renaming)
    summary = score_dump(scanner, [source], tmp_path / out)
    assert len(files) == (4 if out == "out.parquet" else 3)
    assert (summary.scored, summary.rejected) == (1, 1)


def test_what_cannot_be_written_when_a_file_is_closed_is_reported(tmp_path, scanner, monkeypatch):
    class Quota(io.FileIO):
        def close(self):
            unreported = not self.closed and self.writable()
            super().close()
            if unreported:
                raise OSError(errno.EDQUOT, "Disk quota exceeded")

    create = output.create

    def creating(path):
        return Quota(path, "x") if path.name == "out.jsonl.part" else create(path)

    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"text": LURE}) + "\n", "utf-8")
    monkeypatch.setattr(output, "create", creating)
    with pytest.raises(DumpError, match=r"out\.jsonl\.part cannot be written to: Disk quota exceeded; fix this, then"):
        score_dump(scanner, [source], tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_source_that_disappears_while_others_are_looked_at_is_reported(tmp_path, scanner):
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"text": LURE}) + "\n", "utf-16")
    with pytest.raises(DumpError, match=r"in\.jsonl cannot be read"):
        score_dump(scanner, [source], tmp_path / "out.jsonl", notify=lambda _: source.unlink(missing_ok=True))


def stopped_job(tmp_path, scanner, monkeypatch, options=None):
    """Return a source and the output of a job that was stopped before it wrote its first block."""
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 300)))
    with monkeypatch.context() as patch:
        patch.setattr(job, "SECONDS", 0)
        patch.setattr(job, "score_blocks", lambda *_: (_ for _ in ()).throw(Stop))
        with pytest.raises(Stop):
            score_dump(scanner, [str(source)], str(out), options or Options())
    return source, out


def test_the_names_of_the_conversation_and_their_order_belong_to_a_job(tmp_path, scanner, monkeypatch, capsys):
    source, out = stopped_job(tmp_path, scanner, monkeypatch, Options(by=["chat", "会话"]))
    for names in (["chat"], ["会话", "chat"]):
        by = [part for name in names for part in ("--by", name)]
        assert score(source, "-o", out, "--resume", "--explain", *by) == 2
        assert "these options have changed: --by, --explain." in capsys.readouterr().err
    assert score(source, "-o", out, "--resume", "--by", "chat", "--by", "会话", "--explain") == 2
    assert "these options have changed: --explain." in capsys.readouterr().err
    assert score(source, "-o", out, "--resume", "--by", "chat", "--by", "会话") == 0
    score_dump(scanner, [source], out, Options(by="chat"), force=True)
    assert score(source, "-o", out, "--resume", "--by", "chat", "--by", "chat") == 0
    assert "is complete: there is nothing to resume" in capsys.readouterr().err


def test_resuming_with_another_input_model_or_option_is_refused_with_the_reason(
    tmp_path, scanner, monkeypatch, capsys, small_model
):
    source, out = stopped_job(tmp_path, scanner, monkeypatch)
    assert score(source, "-o", out) == 2
    assert "incomplete: continue with --resume, or start over with --force" in capsys.readouterr().err
    assert score(source, "-o", out, "--resume", "--proba") == 2
    assert "these options have changed: --proba" in capsys.readouterr().err
    assert score(source, "-o", out, "--resume", "-m", small_model) == 2
    assert "the model, its thresholds or its lists have changed" in capsys.readouterr().err
    before = source.read_bytes()
    source.write_bytes(before + b'\n{"text": "x"}\n')
    assert score(source, "-o", out, "--resume") == 2
    assert "the input has changed" in capsys.readouterr().err
    assert score(source, "-o", out, "--force") == 0
    assert len(rows_of(out)) == 295


def test_resuming_with_another_name_of_the_same_input_says_so(tmp_path, scanner, monkeypatch, capsys):
    source, out = stopped_job(tmp_path, scanner, monkeypatch)
    other = f"{tmp_path}/../{tmp_path.name}/in.jsonl"
    assert score(other, "-o", out, "--resume") == 2
    message = f"cannot be resumed: its input was called {str(source)!r}, and now {other!r}. Change that back, or start"
    assert message in capsys.readouterr().err
    assert score(source, tmp_path / "in.jsonl", "-o", out, "--resume") == 0
    assert len(rows_of(out)) == 294


@pytest.mark.parametrize("rejected", [False, True])
def test_resuming_a_complete_job_does_nothing(tmp_path, capsys, small_model, rejected):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.csv"
    source.write_text("no JSON\n" if rejected else f'{{"text": "{PLAIN}"}}\n', "utf-8")
    status = score(source, "-o", out, "--resume")
    assert status == rejected
    capsys.readouterr()
    before = {path: (path.read_bytes(), path.stat().st_ino) for path in tmp_path.iterdir()}
    assert score(source, "-o", out, "--resume", "--workers", 2) == status
    shown = capsys.readouterr().err
    assert f"{out} is complete: there is nothing to resume" in shown
    assert f"{1 - rejected} rows scored, {int(rejected)} rejected" in shown
    another = "exists, but from another job: {}. Change that back, name another output, or replace it with --force"
    for options, why in (
        ([], "exists: name another output, or replace it with --force"),
        (["--resume", "--proba"], another.format("these options have changed: --proba")),
        (["--resume", "--max-message", 4096], another.format("these options have changed: --max-message")),
        (["--resume", "-m", small_model], another.format("the model, its thresholds or its lists have changed")),
    ):
        assert score(source, "-o", out, *options) == 2
        assert why in capsys.readouterr().err
    assert {path: (path.read_bytes(), path.stat().st_ino) for path in tmp_path.iterdir()} == before
    with source.open("a", encoding="utf-8") as file:
        file.write(f'{{"text": "{LURE}"}}\n')
    assert score(source, "-o", out, "--resume") == 2
    assert another.format("the input has changed") in capsys.readouterr().err
    summary = tmp_path / "out.csv.summary.json"
    report = json.loads(summary.read_text("utf-8"))
    odd = [
        {**report, "options": []},
        {**report, "sources": {}},
        {**report, "sources": [1]},
        {**report, "sources": [{}]},
    ]
    for content in ("[]", "{}", "no JSON", '{"job": 1}', *map(json.dumps, odd)):
        summary.write_text(content, "utf-8")
        assert score(source, "-o", out, "--resume") == 2
    assert score(source, "-o", out, "--resume", "--force") == 0


@pytest.mark.parametrize("stopped", [False, True])
def test_resuming_with_another_modification_time_of_the_input_says_so(tmp_path, capsys, stopped):
    sources, out = [tmp_path / f"{name}.jsonl" for name in "ab"], tmp_path / "out.jsonl"
    for source in sources:
        source.write_text(f'{{"text": "{PLAIN}"}}\n', "utf-8")
        os.utime(source, ns=(0, 1_700_000_000_000_000_001))
    was, now = "2023-11-14T22:13:20.000000001Z", "2023-11-14T22:13:20.000000002Z"
    options = "-o", out, "--resume"
    if stopped:
        with mock.patch.object(job, "write_summary", side_effect=KeyboardInterrupt):
            assert score(*sources, *options) == 130
    else:
        assert score(*sources, *options) == 0
    os.utime(sources[1], ns=(0, 1_700_000_000_000_000_002))
    assert score(*sources, *options) == 2
    start = "cannot be resumed" if stopped else "exists, but from another job"
    why = f"{str(sources[1])!r} was last modified at {was}, and now at {now} (if it is the same file: touch -d {was})"
    assert f"{out} {start}: {why}. Change that back, " in capsys.readouterr().err
    os.utime(sources[1], ns=(0, 1_700_000_000_000_000_001))
    assert score(*sources, *options) == 0
    summary = json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8"))
    assert [source["modified"] for source in summary["sources"]] == [was, was]


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.parquet"])
def test_a_job_is_not_complete_if_a_file_of_it_is_gone_or_has_another_size(tmp_path, scanner, name):
    source, out = tmp_path / "in.jsonl", tmp_path / name
    source.write_text(f'{{"text": "{PLAIN}", "chat": "a"}}\nno JSON\n', "utf-8")
    whole = score_dump(scanner, [source], out, Options(by="chat"))
    sizes = json.loads((tmp_path / f"{name}.summary.json").read_text("utf-8"))["bytes"]
    files = [out, *(tmp_path / f"{name}.{other}.jsonl" for other in ("rejects", "conversations"))]
    assert list(sizes.values()) == [path.stat().st_size for path in files]
    for path in files:
        content = path.read_bytes()
        for other in (b"", content[:-1], content + b"\n", None):
            path.unlink() if other is None else path.write_bytes(other)
            with pytest.raises(DumpError, match=r"exists: name another output, or replace it with --force"):
                score_dump(scanner, [source], out, Options(by="chat"), resume=True)
        path.write_bytes(content)
        assert score_dump(scanner, [source], out, Options(by="chat"), resume=True).reasons == whole.reasons


def test_whether_a_job_is_complete_is_not_known_of_standard_input(tmp_path, monkeypatch, capsys):
    for status in (0, 2):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(f"{PLAIN}\n".encode()))))
        assert score("-", "-o", tmp_path / "out.csv", "--resume") == status
    assert "exists: name another output" in capsys.readouterr().err


@pytest.mark.parametrize("explain", [False, True])
def test_a_job_is_not_resumed_if_even_an_empty_list_is_added_or_left_out(tmp_path, scanner, capsys, explain):
    source, out, deny = tmp_path / "in.jsonl", tmp_path / "out.csv", tmp_path / "deny.txt"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 300)))
    deny.write_text("# nothing yet\n", "utf-8")
    listed, options = scanner.with_lists(read_lists(deny=deny)), ["--explain"] * explain
    for before, now in (scanner, ["--deny", deny]), (listed, []):
        interrupt(before, source, out, Options(explain=explain))
        assert score(source, "-o", out, "--resume", *options, *now) == 2
        assert (
            "out.csv cannot be resumed: lists were added or left out. Change that back, or" in capsys.readouterr().err
        )
        assert score(source, "-o", out, "--force", *options, *now) == 0
        for path in tmp_path.glob("out.csv*"):
            path.unlink()


def test_a_damaged_or_busy_checkpoint_is_refused(tmp_path, scanner, monkeypatch, capsys):
    source, out = stopped_job(tmp_path, scanner, monkeypatch)
    checkpoint = tmp_path / "out.jsonl.checkpoint"
    part = tmp_path / "out.jsonl.part"
    with job.contextlib.closing(job.Checkpoint(checkpoint)) as busy:
        state = busy.read("state")
        assert score(source, "-o", out, "--resume") == 2
        assert "another job is writing" in capsys.readouterr().err
        busy.commit(state={**state, "out": 10**6})
    assert score(source, "-o", out, "--resume") == 2
    assert "shorter than its checkpoint says" in capsys.readouterr().err
    checkpoint.write_bytes(b"junk" * 1000)
    for options in ["--resume"], ["--resume", "--force"]:
        assert score(source, "-o", out, *options) == 2
        assert "is not a checkpoint" in capsys.readouterr().err
    assert score(source, "-o", out, "--force") == 0
    with contextlib.closing(sqlite3.connect(checkpoint, isolation_level=None)) as other:
        other.execute("CREATE TABLE conversation (number INTEGER PRIMARY KEY, name TEXT)")
    assert score(source, "-o", out, "--resume") == 2
    assert "(the table conversation has other columns): start over with --force" in capsys.readouterr().err
    assert score(source, "-o", out, "--force") == 0
    out.unlink()
    for name in ("summary.json", "rejects.jsonl"):
        (tmp_path / f"out.jsonl.{name}").unlink(missing_ok=True)
    source, out = stopped_job(tmp_path, scanner, monkeypatch)
    checkpoint.unlink()
    assert part.exists()
    part.write_text("mine", "utf-8")
    for options in [], ["--resume"]:  # without a checkpoint it may be anybody's
        assert score(source, "-o", out, *options) == 2
        message = "exists, but no out.jsonl.checkpoint: move it away, name another output, or replace it with --force"
        assert f"{part} {message}" in capsys.readouterr().err
        assert part.read_text("utf-8") == "mine"
    assert score(source, "-o", out, "--force") == 0
    assert not part.exists()


def test_a_running_job_is_left_alone_even_with_force(tmp_path, scanner, monkeypatch):
    source, out = stopped_job(tmp_path, scanner, monkeypatch)
    whole = tmp_path / "whole.jsonl"
    score_dump(scanner, [source], whole)
    monkeypatch.setattr(job, "SECONDS", 0)
    choices = [{"force": True}, {"resume": True}, {"force": True, "resume": True}]

    def meanwhile(_):
        if choices:
            with pytest.raises(DumpError, match="another job is writing"):
                score_dump(scanner, [source], out, **choices.pop())

    score_dump(scanner, [source], out, Options(max_message=4096), force=True, progress=meanwhile)
    assert not choices
    assert out.read_bytes() == whole.read_bytes()


def test_output_that_another_job_writes_during_preparation_is_not_replaced(tmp_path, scanner):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"text": PLAIN}), "utf-16")

    def meanwhile(notice):
        assert "UTF-16" in notice
        score_dump(scanner, [source], out, Options(proba=True))

    with pytest.raises(DumpError, match="another job has written"):
        score_dump(scanner, [source], out, notify=meanwhile)
    assert len(rows_of(out)[0]) > 20
    assert not (tmp_path / "out.jsonl.checkpoint").exists()


def test_a_write_error_at_the_end_is_reported_and_the_job_can_be_resumed(tmp_path, scanner, monkeypatch, capsys):
    source, out = stopped_job(tmp_path, scanner, monkeypatch)
    blocked = tmp_path / "out.jsonl.summary.json.part"
    blocked.mkdir()
    assert score(source, "-o", out, "--resume") == 2
    assert (
        "out.jsonl.summary.json cannot be written: Is a directory; fix this, then continue with --resume"
        in capsys.readouterr().err
    )
    blocked.rmdir()
    assert score(source, "-o", out, "--resume") == 0
    assert len(out.read_bytes().splitlines()) == json.loads((tmp_path / "out.jsonl.summary.json").read_text())["scored"]


def test_a_read_only_folder_is_reported(tmp_path, monkeypatch, capsys):
    (tmp_path / "in.txt").write_text(PLAIN, "utf-8")

    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(pathlib.Path, "touch", refuse)  # permissions do not restrict root, who may run this
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 2
    assert "out.jsonl.checkpoint cannot be written: Read-only file system" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_a_job_that_waits_for_another_one_does_not_write_to_a_deleted_checkpoint(tmp_path):
    path = tmp_path / "checkpoint"
    first = job.Checkpoint(path)
    first.commit(state=1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(job.Checkpoint, path)
        time.sleep(0.3)
        first.remove()
        try:
            checkpoint = waiting.result()
        except DumpError as error:
            assert "another job was writing" in str(error)  # noqa: PT017 - otherwise it came late enough to start over
            assert not path.exists()
        else:
            checkpoint.commit(state=2)
            checkpoint.close()
            assert path.exists()


def test_a_finished_job_leaves_the_files_of_the_next_one_alone(tmp_path, scanner, monkeypatch):
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text(PLAIN, "utf-8")
    remove, next_files = job.Checkpoint.remove, []

    def next_one_begins(checkpoint):
        remove(checkpoint)
        next_files.extend([tmp_path / "out.jsonl.checkpoint", tmp_path / "out.jsonl.part"])
        for path in next_files:
            path.write_text("theirs", "utf-8")

    monkeypatch.setattr(job.Checkpoint, "remove", next_one_begins)
    score_dump(scanner, [source], out)
    assert [path.read_text("utf-8") for path in next_files] == ["theirs", "theirs"]


@pytest.mark.parametrize("finished", [False, True])
def test_the_output_of_a_job_that_ran_while_this_one_began_is_kept(tmp_path, scanner, monkeypatch, finished):
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text(PLAIN, "utf-8")
    prepare, theirs = job.prepare, out if finished else tmp_path / "out.jsonl.checkpoint"

    def other_job(*arguments):
        if finished:
            out.write_text("theirs", "utf-8")
        else:
            with job.contextlib.closing(job.Checkpoint(theirs)) as other:
                other.commit(identity={})
        return prepare(*arguments)

    monkeypatch.setattr(job, "prepare", other_job)
    with pytest.raises(DumpError, match=r"another job has written .*out\.jsonl in the meantime: name another output"):
        score_dump(scanner, [source], out)
    assert set(tmp_path.iterdir()) == {source, theirs}


@pytest.mark.parametrize("ending", ["", ".rejects.jsonl", ".conversations.jsonl", ".summary.json"])
@pytest.mark.parametrize("when", ["while it runs", "while it is interrupted"])
@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_a_job_replaces_no_file_that_it_did_not_make(tmp_path, scanner, name, ending, when):
    source, out = tmp_path / "in.jsonl", tmp_path / name
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 300)))
    options, theirs = Options(by="chat", max_message=4096), tmp_path / f"{name}{ending}"
    if when == "while it is interrupted":
        interrupt(scanner, source, out, options)
        theirs.write_text("theirs", "utf-8")
        progress = pytest.fail  # it is refused before anything is scored
    else:

        def progress(_):
            theirs.write_text("theirs", "utf-8")

    for _ in range(2):
        with pytest.raises(
            DumpError, match=r"was not made by this job: move it away and continue with --resume, or add --force"
        ):
            score_dump(scanner, [source], out, options, resume=True, progress=progress)
        assert theirs.read_text("utf-8") == "theirs"
        assert not any(path.exists() for path in output.Names(str(out)).results() if path != theirs)
        progress = pytest.fail
    theirs.unlink()
    score_dump(scanner, [source], out, options, resume=True)
    score_dump(scanner, [source], tmp_path / f"whole-{name}", options)
    assert kill.results(out) == kill.results(tmp_path / f"whole-{name}")


def test_a_full_checkpoint_is_reported(tmp_path):
    for write in (
        lambda checkpoint: checkpoint.keep((str(i), "长" * 1000) for i in range(1000)),
        lambda checkpoint: checkpoint.commit(state="长" * 100_000),
    ):
        with job.contextlib.closing(job.Checkpoint(tmp_path / "checkpoint")) as full:
            full._base.execute("PRAGMA max_page_count = 20")
            with pytest.raises(
                job.DumpError, match=r"checkpoint cannot be written to: .* full; fix this, then continue with --resume"
            ):
                write(full)


def test_a_parquet_file_on_a_full_disk_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "create", lambda _: pathlib.Path("/dev/full").open("wb"))  # noqa: SIM115
    part = tmp_path / "out.parquet.part"
    part.write_bytes(parquet.arrow_stream({"text": ["好"]}))
    with pytest.raises(
        DumpError, match=r"cannot be written: .*No space left on device; fix this, then continue with --resume"
    ):
        parquet.assemble(part, tmp_path / "out.parquet")


def row_groups(path):
    """Return the number of rows of each row group."""
    metadata = pq.ParquetFile(path).metadata
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


@given(st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=5), min_size=1), st.integers(0, 1 << 12))
@settings(max_examples=60)
def test_blocks_of_any_size_become_row_groups_of_about_one_size(tmp_path, blocks, size):
    part, out = tmp_path / "out.parquet.part", tmp_path / "out.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "GROUP", 1 << 30)
        part.write_bytes(b"".join(parquet.arrow_stream({"text": block}) for block in blocks))
        parquet.assemble(part, out)
        assert row_groups(out) == [sum(map(len, blocks))]
        patch.setattr(parquet, "GROUP", size)
        patch.setattr(parquet, "ARRAY", 1)
        parquet.assemble(part, out)
    assert pq.read_table(out)["text"].to_pylist() == list(itertools.chain(*blocks))
    bounds = [0, *itertools.accumulate(row_groups(out))]
    table = pq.read_table(out)
    largest = max(pa.table({"text": block}).nbytes for block in blocks)
    held = [table.slice(a, b - a).nbytes for a, b in itertools.pairwise(bounds)]
    assert all(least >= size - 1 - 8 * len(blocks) for least in held[:-1])  # a block has one offset more than rows
    assert all(most <= size + largest for most in held)


@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet"])
def test_row_groups_hold_many_blocks_and_depend_on_neither_workers_nor_interruptions(
    tmp_path, scanner, monkeypatch, name
):
    source, options = tmp_path / name, Options(max_message=4096)
    source.write_bytes(dumps.MAKERS[name](dumps.rows(random.Random(0), 2000)))
    score_dump(scanner, [source], tmp_path / "one.parquet", options)
    assert len(row_groups(tmp_path / "one.parquet")) == 1
    monkeypatch.setattr(parquet, "GROUP", 1 << 17)
    score_dump(scanner, [source], tmp_path / "whole.parquet", options)
    assert 2 < len(row_groups(tmp_path / "whole.parquet")) < 50
    assert pq.read_table(tmp_path / "whole.parquet").equals(pq.read_table(tmp_path / "one.parquet"))
    score_dump(scanner, [source], tmp_path / "two.parquet", options, workers=2)
    interrupt(scanner, source, tmp_path / "resumed.parquet", options)
    score_dump(scanner, [source], tmp_path / "resumed.parquet", options, resume=True)
    for other in ("two.parquet", "resumed.parquet"):
        assert (tmp_path / other).read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_rethreshold_joins_small_row_groups(tmp_path, monkeypatch):
    before = pa.table({"n": range(9000), "fraud_score": [0.5] * 9000, "fraud_verdict": ["clear"] * 9000})
    pq.write_table(before, tmp_path / "scored.parquet", row_group_size=100)
    command = ["rethreshold", tmp_path / "scored.parquet", "--flag", "0.4", "--review", "0.1", "-o"]
    assert main([*map(str, command), str(tmp_path / "out.parquet")]) == 0
    assert row_groups(tmp_path / "out.parquet") == [9000]
    monkeypatch.setattr(parquet, "GROUP", 1 << 17)
    assert main([*map(str, command), str(tmp_path / "small.parquet")]) == 0
    assert len(row_groups(tmp_path / "small.parquet")) > 1
    for name in ("out.parquet", "small.parquet"):
        after = pq.read_table(tmp_path / name)
        assert after.select(["n", "fraud_score"]).equals(before.select(["n", "fraud_score"]))
        assert set(after["fraud_verdict"].to_pylist()) == {"flag"}


def test_a_checkpoint_damaged_anywhere_is_refused(tmp_path, scanner, monkeypatch, capsys):
    source, out = stopped_job(tmp_path, scanner, monkeypatch, Options(by="chat"))
    checkpoint = tmp_path / "out.jsonl.checkpoint"
    whole = checkpoint.read_bytes()
    pages = range(0, len(whole), 4096)
    assert len(pages) > 3
    for page in pages:
        for damaged in (whole[:page] + b"\xff" * 4096 + whole[page + 4096 :], whole[:page]):
            if damaged and damaged != whole:
                checkpoint.write_bytes(damaged)
                assert score(source, "-o", out, "--by", "chat", "--resume") == 2
                assert "is not a checkpoint" in capsys.readouterr().err
    checkpoint.write_bytes(whole)
    assert score(source, "-o", out, "--by", "chat", "--resume") == 0


@pytest.mark.parametrize("value", ["{}", "[]", '"x"', "1", "[", "", '{"summary": 1}', '{"options": 1, "input": []}'])
def test_a_checkpoint_with_invalid_content_is_refused(tmp_path, scanner, monkeypatch, capsys, value):
    for name in ("state", "identity"):
        source, out = stopped_job(tmp_path, scanner, monkeypatch)
        with contextlib.closing(sqlite3.connect(tmp_path / "out.jsonl.checkpoint")) as base, base:
            base.execute("UPDATE job SET value = ? WHERE name = ?", (value, name))
        assert score(source, "-o", out, "--resume") == 2
        assert "start over with --force" in capsys.readouterr().err
        assert score(source, "-o", out, "--force") == 0
        for path in tmp_path.glob("out.jsonl*"):
            path.unlink()


@pytest.mark.parametrize(
    "change",
    [
        {"place": ["a", 1, 0, ""]},
        {"place": [0, 1, 0, "", 1]},
        {"place": [1 << 70, 1, 0, ""]},
        {"place": [float("inf"), 1, 0, ""]},
        {"place": "1234"},
        {"out": float("inf")},
        {"source": 2},
        {"source": -1},
        {"summary": {"labels": [1]}},
        {"summary": {"seconds": None}},
        {"began": 0},
    ],
)
def test_a_checkpoint_with_an_impossible_state_is_refused(tmp_path, scanner, monkeypatch, capsys, change):
    source, out = stopped_job(tmp_path, scanner, monkeypatch)
    with contextlib.closing(sqlite3.connect(tmp_path / "out.jsonl.checkpoint")) as base, base:
        (text,) = base.execute("SELECT value FROM job WHERE name = 'state'").fetchone()
        base.execute("UPDATE job SET value = ? WHERE name = 'state'", (json.dumps({**json.loads(text), **change}),))
    assert score(source, "-o", out, "--resume") == 2
    assert "start over with --force" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["xx", "[]", '{"zz": 1}'])
def test_a_checkpoint_with_an_impossible_conversation_is_refused(tmp_path, scanner, monkeypatch, capsys, state):
    source, out = stopped_job(tmp_path, scanner, monkeypatch, Options(by="chat"))
    with contextlib.closing(sqlite3.connect(tmp_path / "out.jsonl.checkpoint")) as base, base:
        names = [(json.dumps(f"c{i}\0"), state) for i in range(9)]
        base.executemany("INSERT INTO conversation (name, state) VALUES (?, ?)", names)
    assert score(source, "-o", out, "--by", "chat", "--resume") == 2
    assert "start over with --force" in capsys.readouterr().err


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=5), SCALARS, max_size=3)


def changed(value, path, new):
    """Return JSON with another value at the end of a path of numbers, or without the value there if ``new`` is ``...``.

    A number stands for a key or an index, modulo how many there are.
    """
    if not path or not value or not isinstance(value, (dict, list)):
        return new
    keys = sorted(value) if isinstance(value, dict) else range(len(value))
    copy, key = value.copy(), keys[path[0] % len(keys)]
    copy[key] = changed(value[key], path[1:], new)
    if copy[key] is ...:
        del copy[key]
    return copy


CELLS = [
    ("SELECT rowid, value FROM job", "UPDATE job SET value = ? WHERE rowid = ?"),
    ("SELECT rowid, name FROM conversation", "UPDATE OR IGNORE conversation SET name = ? WHERE rowid = ?"),
    ("SELECT rowid, state FROM conversation", "UPDATE conversation SET state = ? WHERE rowid = ?"),
]
"""How the JSON in a checkpoint is read and changed."""


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_job_with_lines_above_the_header_is_resumed(tmp_path, scanner, ending):
    source, whole, out = (tmp_path / name for name in ("in.csv", f"whole.{ending}", f"out.{ending}"))
    title = "明细\nid,chat,sender,text\n\n今天,\n".encode()
    source.write_bytes(title + dumps.csv_table(dumps.rows(random.Random(0), 300)))
    options = Options(by="chat", max_message=4096, header_line=5)
    score_dump(scanner, [source], whole, options)
    interrupt(scanner, source, out, options)
    with pytest.raises(DumpError, match="these options have changed: --header-line"):
        score_dump(scanner, [source], out, Options(by="chat", max_message=4096, header_line=2), resume=True)
    score_dump(scanner, [source], out, options, workers=2, resume=True)
    for end in ("", ".rejects.jsonl", ".conversations.jsonl"):
        assert out.with_name(out.name + end).read_bytes() == whole.with_name(whole.name + end).read_bytes()
    assert [row["line"] for row in rows_of(out.with_name(f"{out.name}.rejects.jsonl"))][:3] == [1, 2, 4]


@pytest.fixture
def interrupted(tmp_path, scanner):
    """The files of an interrupted job with conversations, and their contents."""
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 300)))
    interrupt(scanner, source, out, Options(by="chat", max_message=4096))
    return {path: path.read_bytes() for path in tmp_path.glob("out.jsonl*")}


@given(
    where=st.tuples(st.sampled_from(CELLS), st.integers(0, 8), st.lists(st.integers(0, 12), max_size=4)),
    new=st.just(...) | JSON,
)
@settings(max_examples=300)
def test_a_checkpoint_with_any_content_is_continued_or_refused(tmp_path, scanner, interrupted, where, new):
    (read, change), row, path = where
    for file in tmp_path.glob("out.jsonl*"):
        file.unlink()
    for file, content in interrupted.items():
        file.write_bytes(content)
    with contextlib.closing(sqlite3.connect(tmp_path / "out.jsonl.checkpoint")) as base, base:
        rows = base.execute(read).fetchall()
        number, text = rows[row % len(rows)]
        value = changed(json.loads(text), path, new)
        base.execute(change, (b"\xff" if value is ... else json.dumps(value), number))
    options = Options(by="chat", max_message=4096)
    try:
        score_dump(scanner, [tmp_path / "in.jsonl"], tmp_path / "out.jsonl", options, resume=True)
    except DumpError as error:
        assert "start over with --force" in str(error).lower()  # noqa: PT017 - it need not be raised


def test_a_checkpoint_with_a_trigger_is_refused(tmp_path, scanner, monkeypatch, capsys):
    source, out = stopped_job(tmp_path, scanner, monkeypatch)
    with contextlib.closing(sqlite3.connect(tmp_path / "out.jsonl.checkpoint")) as base, base:
        base.execute("CREATE TRIGGER bomb AFTER INSERT ON job BEGIN DELETE FROM conversation; END")
    assert score(source, "-o", out, "--resume") == 2
    assert "it has triggers or views" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["out.jsonl.checkpoint", "out.jsonl.checkpoint-journal"])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_link_in_place_of_the_checkpoint_is_refused(tmp_path, capsys, name, force):
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    assert score(dumps.ROOT / "examples" / "messages.jsonl", "-o", tmp_path / "out.jsonl", *force) == 2
    assert f"{name} is a link: remove it, or name another output" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


PARTS = [f"out.parquet{more}.part" for more in ("", ".part", ".rejects.jsonl", ".conversations.jsonl", ".summary.json")]


@pytest.mark.parametrize("command", ["score", "rethreshold"])
def test_no_link_in_place_of_an_incomplete_file_is_followed(tmp_path, monkeypatch, command):
    source, theirs, folder = tmp_path / "in.jsonl", tmp_path / "theirs", tmp_path / "out"
    source.write_text(json.dumps({"text": LURE, "chat": "a"}) + "\nbroken\n", "utf-8")
    theirs.write_text("theirs", "utf-8")
    folder.mkdir()
    assert score(source, "-o", tmp_path / "scored.parquet") == 0
    made, create = [], output.create

    def creating(path):  # the link is planted after the job has looked
        path.symlink_to(theirs)
        made.append(path.name)
        return create(path)

    for module in output, job, parquet, rethreshold:
        monkeypatch.setattr(module, "create", creating)
    if command == "score":
        assert score(source, "-o", folder / "out.parquet", "--by", "chat") == 0
        assert sorted(made) == sorted(PARTS)
    else:
        arguments = [command, str(tmp_path / "scored.parquet"), "-o", str(folder / "out.parquet"), "--flag", "0.9"]
        assert main(arguments) == 0
    assert theirs.read_text("utf-8") == "theirs"


@pytest.mark.parametrize("how", ["second name", "other owner"])
def test_a_checkpoint_that_is_not_ours_is_refused_and_with_force_replaced(tmp_path, scanner, monkeypatch, capsys, how):
    source, out = stopped_job(tmp_path, scanner, monkeypatch)
    checkpoint, theirs = tmp_path / "out.jsonl.checkpoint", tmp_path / "theirs"
    assert checkpoint.stat().st_mode & 0o077 == 0 or sys.platform == "win32"
    before = checkpoint.read_bytes()
    if how == "second name":
        os.link(checkpoint, theirs)
    elif not hasattr(os, "geteuid") or os.geteuid():
        pytest.skip("only root can give a file away")
    else:
        os.chown(checkpoint, 12345, -1)
    file = checkpoint.open("rb")
    assert score(source, "-o", out, "--resume") == 2
    assert f"{checkpoint} is a link, has a second name, or belongs to another user" in capsys.readouterr().err
    assert score(source, "-o", out, "--force") == 0
    with file:
        assert file.read() == before


@pytest.mark.parametrize("how", ["link", "second name", "other owner"])
def test_a_job_is_not_continued_in_a_file_that_it_did_not_make(tmp_path, scanner, how):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 300)))
    options = Options(max_message=4096)
    interrupt(scanner, source, out, options)
    part, theirs = tmp_path / "out.jsonl.part", tmp_path / "theirs"
    if how == "other owner":
        if not hasattr(os, "geteuid") or os.geteuid():
            pytest.skip("only root can give a file away")
        os.chown(part, 12345, -1)
        theirs.write_bytes(part.read_bytes())
    else:
        part.rename(theirs)
        part.symlink_to(theirs) if how == "link" else os.link(theirs, part)
    before = theirs.read_bytes()
    with pytest.raises(DumpError, match=r"part is a link, has a second name, or belongs to another user: "):
        score_dump(scanner, [source], out, options, resume=True)
    assert theirs.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="its modes do not say who may read a file")
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_incomplete_files_are_private_and_a_replaced_file_keeps_its_mode(tmp_path, scanner, monkeypatch, ending):
    source, out = tmp_path / "in.jsonl", tmp_path / f"out.{ending}"
    source.write_text(json.dumps({"text": LURE, "chat": "a"}) + "\nbroken\n", "utf-8")
    replace, modes = pathlib.Path.replace, {}

    def replacing(path, target):
        modes[path.name] = path.stat().st_mode & 0o777
        return replace(path, target)

    def incomplete(_):
        assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.part")} == {0o600}

    monkeypatch.setattr(pathlib.Path, "replace", replacing)
    options = Options(by="chat")
    score_dump(scanner, [source], out, options, progress=incomplete)
    results = [path for path in tmp_path.iterdir() if path != source]
    mask = os.umask(0o022)
    os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in results} == {0o666 & ~mask}
    for path in results:
        path.chmod(0o640)
    score_dump(scanner, [source], out, options, force=True)
    assert main(["rethreshold", str(out), "-o", str(tmp_path / f"new.{ending}"), "--flag", "0.9"]) == 0
    assert {path.stat().st_mode & 0o777 for path in results} == {0o640 & 0o666 & ~mask}
    new = tmp_path / f"new.{ending}"
    new.chmod(0o600)
    assert main(["rethreshold", str(out), "-o", str(new), "--flag", "0.9", "--force"]) == 0
    assert new.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such owners there")
def test_a_disk_on_which_everything_belongs_to_another_user_can_be_written_to(tmp_path, scanner, monkeypatch):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 300)))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "fchmod", mock.Mock(side_effect=PermissionError(errno.EPERM, "Operation not permitted")))
    tmp_path.chmod(0o750)
    options = Options(max_message=4096)
    interrupt(scanner, source, out, options)
    score_dump(scanner, [source], out, options, resume=True)
    assert len(rows_of(out)) == 294


@pytest.mark.skipif(os.name == "nt", reason="its modes do not say who may read a file")
@pytest.mark.parametrize(
    ("mask", "before", "group", "after"),
    [
        (0o022, 0o600, -1, 0o600),
        (0o077, 0o644, -1, 0o600),
        (0o002, None, -1, 0o664),
        (0o022, 0o640, 12345, 0o600),
        (0o022, 0o644, 12345, 0o644),
    ],
)
def test_a_result_has_the_mode_of_new_files_but_no_more_than_the_one_it_replaces(
    tmp_path, scanner, *, mask, before, group, after
):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"text": PLAIN}), "utf-8")
    if before is not None:
        out.touch()
        out.chmod(before)
        if group != -1 and os.geteuid():
            pytest.skip("only root can give a file to another group")
        os.chown(out, -1, group)
        os.link(out, tmp_path / "backup")
    old = os.umask(mask)
    try:
        score_dump(scanner, [source], out, force=True)
    finally:
        os.umask(old)
    assert out.stat().st_mode & 0o777 == after


def test_an_output_file_of_the_job_is_refused_as_input(tmp_path, capsys):
    source = tmp_path / "out.jsonl.rejects.jsonl"
    assert "is also the input" in refused(capsys, source, json.dumps({"text": PLAIN}))
    assert source.exists()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_output_that_is_a_link_is_written_where_it_leads(tmp_path, scanner, monkeypatch, capsys, ending):
    source, link, disk = tmp_path / "in.csv", tmp_path / f"out.{ending}", tmp_path / "disk"
    source.write_text(f"text,id\n{PLAIN},1\nx\n", "utf-8")
    disk.mkdir()
    link.symlink_to(f"disk/real.{ending}")
    (disk / f"real.{ending}").touch()
    with monkeypatch.context() as patch:
        patch.setattr(job, "score_blocks", lambda *_: (_ for _ in ()).throw(Stop))
        with pytest.raises(Stop):
            score_dump(scanner, [source], link, force=True)
    assert score(source, "-o", link, "--resume") == 0
    written = {f"real.{ending}{more}" for more in ("", ".rejects.jsonl", ".summary.json")}
    assert {path.name for path in disk.iterdir()} == written
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", link.name, "disk"}
    assert score(source, "-o", link) == 2
    assert f"real.{ending} exists: name another output" in capsys.readouterr().err
    assert score(source, "-o", link, "--force") == 0
    assert score(tmp_path / "out.*", "-o", tmp_path / "again.jsonl") == 2
    assert "matches only files that earlier runs wrote" in capsys.readouterr().err
    assert score(link, "-o", link, "--force") == 2
    assert "is also the input" in capsys.readouterr().err
    assert link.is_symlink()
    new = tmp_path / f"new.{ending}"
    new.symlink_to(disk / new.name)
    (disk / new.name).touch()
    assert main(["rethreshold", str(link), "-o", str(new), "--flag", "0.9", "--force"]) == 0
    assert new.is_symlink()
    assert (disk / new.name).is_file()


def test_an_output_that_is_a_link_to_no_file_is_refused(tmp_path, capsys):
    for to, why in (
        (os.devnull, "is not a regular file"),
        ("none/out", "is a link to nothing: remove it, or name the file itself"),
        ("out.jsonl", "is a link to nothing"),
        (".", "is not a regular"),
    ):
        (tmp_path / "out").symlink_to(to)
        assert score(dumps.ROOT / "examples" / "messages.jsonl", "-o", tmp_path / "out", "--force") == 2
        assert why in capsys.readouterr().err
        (tmp_path / "out").unlink()


def test_rejects_of_an_earlier_run_are_deleted(tmp_path):
    assert len(rejected(tmp_path / "in.jsonl", '{"text": "x"}\n{', "--by", "text")) == 1
    scored(tmp_path / "in.jsonl", '{"text": "x"}\n')
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl", "out.jsonl.summary.json"]


def test_a_single_path_and_an_unknown_format_are_refused(tmp_path, scanner):
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text(PLAIN, "utf-8")
    for path in (source, str(source)):
        with pytest.raises(TypeError, match=r"not several: pass a list, \[source\]"):
            score_dump(scanner, path, out)
    with pytest.raises(DumpError, match="no format is called 'xls'; there are: jsonl, json, csv"):
        score_dump(scanner, [source], out, Options(format="xls"))
    assert score_dump(scanner, [source], out).scored == len(rows_of(out)) == 1


def test_the_printed_summary_counts_what_it_does_not_list(tmp_path, capsys):
    source, deny = tmp_path / "in.jsonl", tmp_path / "deny.txt"
    words = [f"暗号{a}{b}" for a in "甲乙丙丁戊己庚辛" for b in "子丑寅卯"]
    source.write_text("".join(json.dumps({"text": word}) + "\n" for word in words), "utf-8")
    deny.write_text("\n".join(words), "utf-8")
    assert score(source, "-o", tmp_path / "out.jsonl", "--deny", deny) == 0
    lines = capsys.readouterr().err.splitlines()
    rules = [line.split(maxsplit=2)[1:] for line in lines if line.startswith("rule ")]
    assert len(rules) == 31
    assert rules[-1] == ["2", "(2 others)"]


def test_the_summary_counts_everything(tmp_path, scanner, capsys):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    scored(source, "\n".join([json.dumps({"text": LURE}), json.dumps({"text": PLAIN}), "{", "3"]))
    summary = json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8"))
    assert (summary["rows"], summary["scored"], summary["rejected"]) == (4, 2, 2)
    assert summary["labels"] == {"investment": 1, "legitimate": 1}
    assert summary["schemes"] == {"investment": 1}
    assert sum(summary["verdicts"].values()) == 2
    assert summary["reasons"] == {"not JSON": 1, "not a JSON object": 1}
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert summary["scores"] == collections.Counter(f"0.{int(10 * row['fraud_score'])}" for row in rows)
    assert summary["model"] == scanner.digest
    assert summary["rows_per_second"] > 0
    levels = scanner.thresholds
    shown = f"flag from {levels.flag:g}, review from {levels.review:g}\n2 rows scored, 2 rejected"
    assert shown in capsys.readouterr().err
    assert score(source, "-o", out, "--force", "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_the_summary_records_how_a_result_came_about(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(default_folder(), "mine")
    contents = {"in.jsonl": b'{"text": "1", "chat": "c"}\n' * 5000, "friends.txt": b"[deny]\r\nx\r\n", "empty.txt": b""}
    for name, content in contents.items():
        pathlib.Path(name).write_bytes(content)
    os.utime("in.jsonl", (1, 1))
    before = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
    lists = "--allow", "friends.txt", "--deny", "empty.txt"
    how = "--max-message", 1 << 20, "--workers", 2, "--by", "chat", "--delimiter", "\\t"
    pathlib.Path("more.tsv").write_text(f"text\tchat\n{LURE}\td\n", "utf-8")
    assert score("in.jsonl", "more.tsv", "-o", "out.jsonl", "-m", "mine", "--flag", 0.7, *lists, *how) == 0
    summary = json.loads(pathlib.Path("out.jsonl.summary.json").read_text("utf-8"))
    own = load("mine").with_thresholds(flag=0.7).with_lists(read_lists(allow="friends.txt", deny="empty.txt"))
    assert (summary["model_name"], summary["model"]) == ("mine", own.digest)
    assert {"flag": summary["flag"], "review": summary["review"]} == dataclasses.asdict(own.thresholds)
    assert summary["options"] == {"by": "chat", "delimiter": "\t"}
    assert summary["lists"] == [
        {"name": name, "kind": kind, "sha256": hashlib.sha256(contents[name]).hexdigest()}
        for kind, name in (("allow", "friends.txt"), ("deny", "empty.txt"))
    ]
    digest = hashlib.sha256(contents["in.jsonl"][: 1 << 16]).hexdigest()
    size, time = len(contents["in.jsonl"]), "1970-01-01T00:00:01.000000000Z"
    assert summary["sources"][0] == {
        "name": "in.jsonl",
        "bytes": size,
        "modified": time,
        "sha256_of_first_64_kib": digest,
    }
    began, ended = (dt.datetime.fromisoformat(summary[name]) for name in ("began", "ended"))
    assert before <= began <= ended <= dt.datetime.now(dt.timezone.utc)


@pytest.mark.parametrize("workers", [1, 2])
def test_reject_reasons_beyond_the_first_thousand_are_counted_together(tmp_path, scanner, workers):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    widths = [*range(3, 1500), *range(3, 1500)]
    source.write_text(f"id,text\n1,{PLAIN}\n" + "".join("," * (width - 1) + "x\n" for width in widths), "utf-8")
    interrupt(scanner, source, out)
    assert score(source, "-o", out, "--resume", "--workers", workers) == 0
    reasons = json.loads((tmp_path / "out.csv.summary.json").read_text("utf-8"))["reasons"]
    expected = {f"{width} fields where the header has 2": 2 for width in range(3, 1003)}
    assert reasons == {**expected, "other reasons": 2 * 497}


@pytest.mark.parametrize(
    ("content", "why", "status"),
    [
        ('{"text": 1}\n{\n{"text": 2}\n', "all 3 were rejected, 2 of them because: 'text' is not a text", 1),
        ("{\n{\n", "all 2 were rejected: not JSON", 1),
        ("\n", "the dump has no rows", 0),
        (f'{{"text": "{PLAIN}"}}\n{{\n', None, 0),
    ],
)
def test_a_dump_without_scored_rows_is_reported(tmp_path, capsys, content, why, status):
    source = tmp_path / "in.jsonl"
    source.write_text(content, "utf-8")
    for out in (tmp_path / "out.jsonl", "-"):
        assert score(source, "-o", out) == status
        message = capsys.readouterr().err
        assert f"fraudscan: no row was scored: {why}\n" in message if why else "no row was scored" not in message


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files. It must be empty at the end of the test."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not any(folder.iterdir())


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.usefixtures("temporary")
def test_the_number_of_workers_does_not_change_a_byte(tmp_path, monkeypatch, count, named):
    monkeypatch.setattr(workers, "NAMED", workers.NAMED or named)
    source = tmp_path / "in.csv"
    source.write_bytes(dumps.csv_table(dumps.rows(random.Random(0), 2000)))
    for name, number in ("one.jsonl", 1), ("more.jsonl", count):
        assert score(source, "-o", tmp_path / name, "--max-message", 8192, "--workers", number, "--by", "chat") == 0
    assert kill.results(tmp_path / "more.jsonl") == kill.results(tmp_path / "one.jsonl")


@pytest.mark.parametrize("workers", [-1, 0, 257, 100_000])
def test_an_invalid_number_of_workers_is_refused(tmp_path, monkeypatch, capsys, workers):
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": PLAIN}))
    with monkeypatch.context() as patch:
        patch.delattr("fraudscan.dump.workers._Worker.start")  # starting a worker fails
        assert score(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", "--workers", workers) == 2
    assert "--workers must be 1 to 256" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["frozen", "embedded", "run as a worker"])
def test_a_program_that_would_run_itself_as_a_worker_is_refused_workers(tmp_path, monkeypatch, capsys, how):
    if how == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    elif how == "embedded":
        monkeypatch.setattr(sys, "executable", "")
    else:
        monkeypatch.setenv(workers.MARK, "1")
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": PLAIN}))
    options = [tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", "--workers"]
    assert score(*options, 2) == 2
    assert "--workers needs a Python interpreter" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]
    assert score(*options, 1) == 0


@pytest.fixture
def many_blocks(tmp_path):
    """A dump of 500 rows in many blocks, as arguments of `score`; the number of workers is to follow."""
    source = tmp_path / "in.jsonl"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 500)))
    return [source, "-o", tmp_path / "out.jsonl", "--max-message", 4096, "--workers"]


@pytest.mark.usefixtures("temporary")
def test_a_program_that_is_taken_for_the_interpreter_is_named(tmp_path, many_blocks, monkeypatch, capsys):
    host = tmp_path / "host"
    host.write_text(f"#!/bin/sh\necho $FRAUDSCAN_WORKER >> {tmp_path}/runs\nexit 3\n")
    host.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(host))
    assert score(*many_blocks, 2) == 2
    message = capsys.readouterr().err
    assert f"(status 3): can {host} run Python code, and import fraudscan? If not, use 1 worker." in message
    assert "memory" not in message
    assert (tmp_path / "runs").read_text() == "1\n1\n"  # by which the host refuses workers


def test_workers_are_started_only_when_there_are_blocks_for_them(tmp_path, monkeypatch):
    started = []
    start = workers._Worker.start
    monkeypatch.setattr(workers._Worker, "start", lambda worker: (started.append(worker), start(worker)))
    source = tmp_path / "in.jsonl"
    for rows, most, least in (9, 1, 1), (500, 3, 3):
        source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), rows)))
        started.clear()
        options = ["--max-message", 4096, "--workers", 4, "--force", "--quiet"]
        assert score(source, "-o", tmp_path / "out.jsonl", *options) == 0
        assert least <= len(started) <= most


@pytest.mark.parametrize("entry", ["", ".", "here", "drive"])
def test_workers_run_no_modules_from_the_current_folder(tmp_path, monkeypatch, entry):
    if entry == "drive":  # as on Windows, where a drive may stand for a folder elsewhere
        (tmp_path / "Z").symlink_to(tmp_path)
        monkeypatch.setattr(pathlib.Path, "cwd", lambda: tmp_path / "Z")
    for name in ("queue", "numpy", "fraudscan"):
        (tmp_path / f"{name}.py").write_text("from pathlib import Path; Path('executed').touch()", "utf-8")
    source = tmp_path / "in.csv"
    source.write_bytes(dumps.csv_table(dumps.rows(random.Random(0), 500)))
    monkeypatch.chdir(tmp_path)
    entry = {"here": str(tmp_path), "drive": str(tmp_path / "Z")}.get(entry, entry)
    monkeypatch.setattr(sys, "path", [entry, *sys.path])
    assert score(source, "-o", "out.jsonl", "--max-message", 8192, "--workers", 2) == 0
    assert not (tmp_path / "executed").exists()


@pytest.mark.usefixtures("temporary")
def test_a_worker_that_dies_is_reported_and_replaced(tmp_path, many_blocks, scanner, monkeypatch):
    source, _, out, *_ = many_blocks
    give = workers._Worker.give
    given = []

    def give_and_kill(worker, turn):
        given.append(turn.task.blocks[0].start)
        give(worker, turn)
        if len(given) == 1:
            worker._process.kill()

    monkeypatch.setattr(workers._Worker, "give", give_and_kill)
    notices = []
    options = Options(max_message=4096)
    score_dump(scanner, [str(source)], str(out), options, workers=2, notify=notices.append)
    (notice,) = notices
    assert f"(status -9) while it held bytes {given[0].offset:,} to" in notice
    score_dump(scanner, [str(source)], str(tmp_path / "one.jsonl"), options)
    assert kill.results(out) == kill.results(tmp_path / "one.jsonl")


@pytest.mark.usefixtures("temporary")
def test_a_block_that_kills_every_worker_ends_the_job(tmp_path, many_blocks, monkeypatch, capsys):
    give = workers._Worker.give

    def give_and_kill(worker, turn):
        give(worker, turn)
        worker._process.kill()

    with monkeypatch.context() as patch:
        patch.setattr(workers._Worker, "give", give_and_kill)
        assert score(*many_blocks, 2) == 2
    assert "two workers ended on bytes" in capsys.readouterr().err
    assert score(*many_blocks, 2, "--resume") == 0
    assert len(rows_of(tmp_path / "out.jsonl")) == 490


@pytest.mark.usefixtures("temporary")
def test_a_full_disk_during_the_exchange_with_workers_is_reported(tmp_path, many_blocks, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in "_write", "_put":
        with monkeypatch.context() as patch:
            patch.setattr(workers, name, full)
            assert score(*many_blocks, 3, "--resume") == 2
        message = capsys.readouterr().err
        assert "No space left on device; fix this, then continue with --resume" in message
    assert score(*many_blocks, 3, "--resume") == 0
    assert len(rows_of(tmp_path / "out.jsonl")) == 490


@pytest.mark.usefixtures("temporary")
def test_a_limit_on_processes_ends_the_job_with_a_message(tmp_path, many_blocks, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", mock.Mock(side_effect=RuntimeError("can't start new thread")))
        assert score(*many_blocks, 3) == 2
    assert "a worker cannot be started (files in" in (message := capsys.readouterr().err)
    assert "): can't start new thread; fix this, then continue with --resume" in message
    assert score(*many_blocks, 3, "--resume") == 0
    assert len(rows_of(tmp_path / "out.jsonl")) == 490


def wait_for(path):
    for _ in range(1000):
        if path.exists():
            return
        time.sleep(0.01)
    pytest.fail(f"{path} did not appear")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_exits_with_130_and_says_how_to_resume(tmp_path, workers):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 50_000)))
    process = kill.start(source, out, "--workers", workers)
    wait_for(tmp_path / "out.jsonl.part")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    message = process.stderr.read().decode()
    process.stderr.close()
    assert "--resume" in message
    assert "Traceback" not in message
    assert not out.exists()


def test_ctrl_c_while_a_worker_is_started_leaves_no_traceback(many_blocks, monkeypatch, capfd):
    started, start = [], subprocess.Popen

    def starting(*arguments, **options):
        started.append(start(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", starting)
    assert score(*many_blocks, 2) == 130
    with started[0] as worker:
        worker.communicate()  # closes its input, as the end of the job does
    assert "Traceback" not in capfd.readouterr().err


def test_workers_whose_files_are_deleted_say_so(many_blocks, monkeypatch, capfd):
    start = subprocess.Popen

    def starting(command, **options):
        for path in command[-1 - workers.AHEAD :]:
            pathlib.Path(path).unlink()
        return start(command, **options)

    monkeypatch.setattr(workers, "NAMED", True)
    monkeypatch.setattr(subprocess, "Popen", starting)
    assert score(*many_blocks, 2) == 2
    assert "(status 66): were their files in" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="the files have names there")
def test_files_for_workers_have_no_names(many_blocks, temporary, monkeypatch):
    start, seen = subprocess.Popen, []

    def starting(*arguments, **options):
        seen.append(list(temporary.iterdir()))
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", starting)
    assert score(*many_blocks, 3) == 0
    assert seen == [[], []]  # whoever may write to the folder could replace files there, which are unpickled


def test_on_windows_too_only_the_job_handles_ctrl_c(many_blocks, monkeypatch):
    groups, start = [], subprocess.Popen

    def starting(*arguments, creationflags=0, **options):
        groups.append(creationflags)
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 512, raising=False)
    monkeypatch.setattr(subprocess, "Popen", starting)
    assert score(*many_blocks, 2) == 0
    assert groups == [512]


def test_neither_workers_nor_their_files_outlive_a_killed_job(tmp_path, monkeypatch):
    source, out, temporary = tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "tmp"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 50_000)))
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    process = kill.start(source, out, "--workers", 3)
    wait_for(tmp_path / "out.jsonl.part")
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list the children of a process")
    for _ in range(500):
        workers = children.read_text().split()
        if len(workers) == 2:
            break
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stderr.close()
    for _ in range(500):
        if not any(os.path.exists(f"/proc/{worker}/cmdline") for worker in workers):  # noqa: PTH110
            assert not any(temporary.iterdir())
            return
        time.sleep(0.01)
    pytest.fail("a worker is still running")


def test_the_time_before_an_interruption_is_counted(tmp_path, scanner):
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text(f"{PLAIN}\n" * 1000, "utf-8")
    options = Options(max_message=4096)
    interrupt(scanner, source, out, options)
    with contextlib.closing(sqlite3.connect(tmp_path / "out.jsonl.checkpoint")) as base, base:
        state = json.loads(base.execute("SELECT value FROM job WHERE name = 'state'").fetchone()[0])
        state["summary"]["seconds"] = 1e6
        state["began"] = "2026-01-05T08:30:00+00:00"
        base.execute("UPDATE job SET value = ? WHERE name = 'state'", (json.dumps(state),))
    assert score_dump(scanner, [source], out, options, resume=True).seconds > 1e6
    summary = json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8"))
    assert summary["began"] == state["began"]


def test_a_job_that_reads_standard_input_cannot_be_resumed(tmp_path, scanner, monkeypatch, capsys):
    _, out = stopped_job(tmp_path, scanner, monkeypatch)
    assert score("-", "-o", out, "--resume") == 2
    assert "cannot be read a second time" in capsys.readouterr().err


def test_standard_input_may_be_compressed(tmp_path):
    command = [sys.executable, "-m", "fraudscan", "score", "-", "-o", "-", "--workers", "2", "--quiet"]
    data = gzip.compress(dumps.jsonl(dumps.rows(random.Random(0), 100)))
    done = subprocess.run(command, input=data, capture_output=True, check=True, cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 98
    assert done.stderr.count(b"not JSON") == 2
    assert list(tmp_path.iterdir()) == []


def test_progress_is_reported(tmp_path, scanner, monkeypatch):
    monkeypatch.setattr(job, "SECONDS", 0)
    source = tmp_path / "in.jsonl"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 900)))
    reports = []
    options = Options(max_message=4096)
    score_dump(scanner, [str(source)], str(tmp_path / "out.jsonl"), options, progress=reports.append)
    assert len(reports) > 5
    assert [report.rows for report in reports] == sorted(report.rows for report in reports)
    assert (reports[-1].rows, reports[-1].done, reports[-1].total) == (
        900,
        source.stat().st_size,
        source.stat().st_size,
    )


@pytest.mark.parametrize("change", ["append", "truncate", "delete"])
def test_a_source_that_changes_while_it_is_read_is_reported(tmp_path, scanner, change):
    source, notices = tmp_path / "in.jsonl", []
    source.write_text(json.dumps({"text": PLAIN}) + "\n", "utf-8")

    def meddle(_):
        if change == "delete":
            source.unlink(missing_ok=True)
        else:
            with source.open("a" if change == "append" else "w", encoding="utf-8") as file:
                file.write("\n" * (change == "append"))

    score_dump(scanner, [str(source)], str(tmp_path / "out.jsonl"), notify=notices.append, progress=meddle)
    assert any(f"{source} may have changed while it was read: rows may be missing" in notice for notice in notices)


def test_progress_of_a_resumed_job_includes_the_finished_sources(tmp_path, scanner, monkeypatch):
    monkeypatch.setattr(job, "SECONDS", 0)
    sources = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    for source in sources:
        source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 300)))

    def stop(progress):
        if progress.rows > 400:
            raise KeyboardInterrupt

    options, out, reports = Options(max_message=4096), tmp_path / "out.jsonl", []
    with pytest.raises(KeyboardInterrupt):
        score_dump(scanner, sources, out, options, progress=stop)
    score_dump(scanner, sources, out, options, resume=True, progress=reports.append)
    assert all(report.done >= sources[0].stat().st_size for report in reports)
    assert reports[-1].done == reports[-1].total == sum(source.stat().st_size for source in sources)


def test_exceeding_the_file_size_limit_is_reported_and_the_job_can_be_resumed(tmp_path):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 2000)))
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, -1));"
    code = f"{limit} from fraudscan.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "score", source, "-o", out, "--max-message", "4096"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot be written to: File too large" in done.stderr
    assert score(source, "-o", out, "--max-message", 4096, "--resume") == 0
    assert score(source, "-o", tmp_path / "whole.jsonl", "--max-message", 4096) == 0
    assert kill.results(out) == kill.results(tmp_path / "whole.jsonl")


def test_lack_of_memory_while_reading_is_no_damage_and_the_job_can_be_resumed(tmp_path, monkeypatch, capsys):
    source, out, read1 = tmp_path / "in.jsonl.gz", tmp_path / "out.jsonl", gzip.GzipFile.read1
    source.write_bytes(gzip.compress("".join(f'{{"text": "{PLAIN}"}}\n' for _ in range(40_000)).encode()))

    def read(file, size):
        if file.tell() > readers.BLOCK:
            raise MemoryError
        return read1(file, size)

    with monkeypatch.context() as patch:
        patch.setattr(gzip.GzipFile, "read1", read)
        assert score(source, "-o", out) == 2
    assert "there is not enough memory" in capsys.readouterr().err
    assert score(source, "-o", out, "--resume") == 0
    assert len(rows_of(out)) == 40_000


LACK = {
    "in.parquet": ("pyarrow.parquet.ParquetFile.iter_batches", pa.ArrowMemoryError("malloc of size 64 failed")),
    "open.parquet": ("pyarrow.parquet.ParquetFile.__init__", pa.ArrowMemoryError("malloc of size 64 failed")),
    "long.parquet": ("fraudscan.dump.parquet._longest", pa.ArrowMemoryError("malloc of size 64 failed")),
    "in.xlsx": ("fraudscan.dump.workbooks._rows", MemoryError()),
    "in.zip": ("zipfile.ZipFile.infolist", MemoryError()),
    "in.xml": ("fraudscan.dump.chats._XmlMessages.feed", expat.ExpatError("out of memory: line 1, column 0")),
    "in.jsonl.zst": ("zstandard", zstandard.ZstdError("zstd decompress error: Allocation error : not enough memory")),
}
"""For the names of dumps, what raises which error for lack of memory."""


@pytest.mark.parametrize("name", LACK)
def test_no_reader_takes_lack_of_memory_for_damage(tmp_path, monkeypatch, capsys, name):
    source, out, (where, error) = tmp_path / name, tmp_path / "out.jsonl", LACK[name]
    maker = next(make for known, make in dumps.MAKERS.items() if known.endswith(source.suffix))
    source.write_bytes(dumps.MAKERS.get(name, maker)(dumps.rows(random.Random(1), 20)))
    with monkeypatch.context() as patch:
        patch.setattr(parquet, "HELD", 1)
        fails = mock.Mock(side_effect=error)
        if source.suffix == ".zst":  # the type of its objects cannot be patched
            one = mock.Mock(eof=False, unused_data=b"", decompress=fails)
            where, fails = "zstandard.ZstdDecompressor", lambda **_: mock.Mock(decompressobj=lambda: one)
        patch.setattr(where, fails)
        assert score(source, "-o", out) == 2
    assert "there is not enough memory" in capsys.readouterr().err
    assert score(source, "-o", out, "--resume") == 0
    assert rows_of(out)


@given(
    st.binary(max_size=400) | st.text('a,"\r\n', max_size=400).map(str.encode),
    st.sampled_from([readers.JsonLinesReader, tables.LinesReader, tables.CsvReader]),
)
@settings(max_examples=200)
@example(b'a","\n' * 200, tables.CsvReader)
@example(b'a","\nb\n' * 100, tables.CsvReader)
def test_blocks_contain_every_byte_once(data, kind):
    """The blocks of a source, joined together, give the whole source, wherever reading starts."""
    reader = kind("x", "utf-8", limit=64)
    if kind is tables.CsvReader:
        reader.delimiter, reader.header, reader.text = ",", ["k", "text"], "text"
    blocks = list(reader.blocks(Head(data), Place(0, 1)))
    offset = 0
    for block in blocks:
        assert isinstance(block, Block)
        assert block.start.offset == offset
        assert block.start.line == 1 + data[:offset].count(b"\n")
        offset = block.end.offset
        assert data[block.start.offset : offset].startswith(block.data)
        assert block.problem or data[block.start.offset : offset] == block.data
    assert offset == len(data)
    for block in blocks:
        rest = list(reader.blocks(Head(data[block.end.offset :]), block.end))
        assert rest == blocks[blocks.index(block) + 1 :]


def test_hostile_dumps_are_scored_or_refused(tmp_path, scanner):
    refused = fuzz.run(scanner, 600, 1, tmp_path)
    assert 50 < refused < 400


@pytest.mark.parametrize(("link", "real"), [("out", "real.jsonl"), ("out.csv", "real.jsonl"), ("out.jsonl", "real")])
def test_the_format_is_that_of_the_file_to_which_a_link_leads(tmp_path, link, real):
    (tmp_path / "in.csv").write_text(f"id,text\n1,{PLAIN}\n", "utf-8")
    (tmp_path / link).symlink_to(real)
    (tmp_path / real).touch()
    assert score(tmp_path / "in.csv", "-o", tmp_path / link, "--force") == 0
    assert json.loads((tmp_path / real).read_text("utf-8"))["text"] == PLAIN
