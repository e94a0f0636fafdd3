"""Tests of where dumps come from: files, folders, patterns, pipes and archives."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import dumps
import pytest
import zstandard
from conftest import traced
from dumps import EXPORTS, LURE, PLAIN, TABLE, refused, rows_of, score, scored, texts_of
from hypothesis import example, given
from hypothesis import strategies as st

import fraudscan
from fraudscan.dump import DumpError, Options, readers, score_dump
from fraudscan.dump.streams import Stream
from fraudscan.show import shown_name


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_undecodable_bytes_in_names_of_files_are_shown_alike_in_all_outputs(tmp_path, ending, capsys):
    folder, out = tmp_path / os.fsdecode("案件".encode("gbk")), tmp_path / f"out.{ending}"
    names = [f"{tmp_path}/\\xb0\\xb8\\xbc\\xfe/{name}" for name in ("a.jsonl", "b.jsonl.gz")]
    folder.mkdir()
    (folder / "a.jsonl").write_text(f'{{"text": "{LURE}"}}\n{{\n', "utf-8")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(f'{{"text": "{PLAIN}"}}\n'.encode())[:-4])
    (folder / "deny.txt").write_text("加微信\n", "utf-8")
    options = "--filenames", "--deny", folder / "deny.txt", "--exclude", "deny.txt"
    assert score(folder, "-o", out, *options, "--by", os.fsdecode(b"\xff"), "--by", "text") == 1  # one is damaged
    assert f"{names[1]} cannot be read to its end" in capsys.readouterr().err
    assert [row["fraud_source"] for row in rows_of(out)] == names
    conversations, rejects = (rows_of(tmp_path / f"{out.name}.{kind}.jsonl") for kind in ("conversations", "rejects"))
    assert sorted(row["first"]["source"] for row in conversations) == names
    assert [row["source"] for row in rejects] == names
    summary = json.loads((tmp_path / f"{out.name}.summary.json").read_text("utf-8"))
    assert [source["name"] for source in summary["sources"]] == names
    assert summary["damaged"] == names[1:]
    assert summary["lists"][0]["name"] == f"{tmp_path}/\\xb0\\xb8\\xbc\\xfe/deny.txt"
    assert summary["options"]["by"] == [r"\xff", "text"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_undecodable_bytes_in_the_name_of_a_chat_are_shown(tmp_path):
    source = tmp_path / os.fsdecode("WhatsApp Chat with 案件.txt".encode("gbk"))
    source.write_text("2026/1/1 10:00 - 老师: 在吗\n2026/1/1 10:01 - 我: 在\n", "utf-8")
    assert score(source, "-o", tmp_path / "out.jsonl") == 0
    assert {row["conversation"] for row in rows_of(tmp_path / "out.jsonl")} == {r"\xb0\xb8\xbc\xfe"}


@given(st.binary())
def test_the_shown_name_of_a_file_has_its_bytes(data):
    assert shown_name(data.decode("utf-8", "surrogateescape")) == data.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.csv.bz2", "in.xml.xz", "in.jsonl.zst"])
def test_a_truncated_archive_is_read_as_far_as_possible(tmp_path, capsys, name):
    source, out = tmp_path / name, tmp_path / "out.jsonl"
    whole = dumps.MAKERS[name](dumps.rows(random.Random(0), 9000))
    source.write_bytes(whole[: len(whole) * 9 // 10])
    assert score(source, "-o", out) == 1
    assert "cannot be read to its end" in capsys.readouterr().err
    assert len(rows_of(out)) > 1000
    assert rows_of(tmp_path / "out.jsonl.rejects.jsonl")[-1]["reason"]
    summary = json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8"))
    assert summary["damaged"] == [str(source)]


def pzst(data):
    """Compress as pzstd does: a skippable frame before each frame gives the length of that frame."""
    frame = dumps.zst(data)
    return b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + len(frame).to_bytes(4, "little") + frame


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, dumps.zst, pzst])
def test_archives_may_be_padded_and_contain_several_streams(tmp_path, pack):
    one = pack(f"{PLAIN}\n".encode())
    for padding in (0, 4, 100_000):
        assert texts_of(tmp_path / "in", (one + bytes(padding)) * 3) == [PLAIN] * 3


@pytest.mark.parametrize(
    "files",
    [
        {"dump.csv": TABLE, "2026.json/": b"", "photos/": b"", "photos/a.jpg": b"\xff\xd8\xff", "LICENSE": b"none"},
        {"__MACOSX/sub/._DUMP.CSV": b"\0\5\x16\7", "sub/DUMP.CSV": TABLE},
        {"dump.csv.zip": TABLE},  # as older versions of pandas name it
        {"00000012-table.xlsx": b"PK", "00000013-notes.txt": PLAIN.encode(), "_chat.txt": TABLE},
        {"word/list.csv": TABLE, "word/photo.jpg": b"\xff\xd8\xff"},
        {"xl/photo.jpg": b"\xff\xd8\xff", "old/[Content_Types].xml.bak": b"", "xl/list.csv": TABLE},
        {"chat/_chat.txt": TABLE, "chat/notes.txt": PLAIN.encode(), "__MACOSX/chat/.__chat.txt": b"\0"},
    ],
)
@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_only_dump_in_a_zip_archive_is_read(tmp_path, phone, files, how):
    out = tmp_path / "out.jsonl"
    (phone / "any name.ZIP").write_bytes(dumps.zipped(files, how))
    for source in (phone, phone / "any name.ZIP"):
        assert score(source, "-o", out, "--force") == 0
        assert [(row["text"], row["n"]) for row in rows_of(out)] == [(PLAIN, "1")]


def test_a_zip_archive_of_several_dumps_in_a_folder_of_an_office_document_is_refused_as_an_archive(tmp_path, capsys):
    error = refused(capsys, tmp_path / "in.zip", dumps.zipped({"word/a.csv": TABLE, "word/b.csv": TABLE}))
    assert "is a ZIP archive, as are .ods and .numbers files" in error


def test_the_name_in_a_zip_archive_implies_the_format(tmp_path, capsys):
    error = refused(capsys, tmp_path / "in.txt.zip", dumps.zipped({"in.csv": b"a,b\n1,2\n"}))
    assert "in.txt.zip has the columns: a, b." in error


def test_a_zip_archive_is_read_from_a_redirected_file_but_not_from_a_pipe(tmp_path, monkeypatch, capsys):
    source, out = tmp_path / "in.zip", tmp_path / "out.jsonl"
    source.write_bytes(dumps.zipped({"in.csv": TABLE}))
    with source.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        assert score("-", "-o", out) == 0
    assert [row["text"] for row in rows_of(out)] == [PLAIN]
    read, write = os.pipe()
    os.write(write, source.read_bytes())
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        assert score("-", "-o", out, "--force") == 2
    assert "- is a ZIP archive, as are .ods and .numbers files; score reads a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("in.xlsx", "workbooks are read from a plain file only; unpack"),
        ("in.parquet", "Parquet is read from a plain file only; unpack"),
        ("in.jsonl.gz", "is an archive that is still packed: unpack"),
    ],
)
def test_a_file_in_a_zip_archive_that_cannot_be_read_there_is_refused_with_advice(tmp_path, capsys, name, why):
    source = tmp_path / "in.zip"
    source.write_bytes(dumps.zipped({name: dumps.MAKERS[name](dumps.rows(random.Random(0), 9))}))
    assert score(source, "-o", tmp_path / "out.jsonl") == 2
    assert why in capsys.readouterr().err


def secret(archive):
    """Mark the first file of a ZIP archive as encrypted."""
    flags = archive.index(b"PK\1\2") + 8
    return archive[:flags] + b"\1" + archive[flags + 1 :]


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        (secret(dumps.zipped({"in.csv": TABLE})), "it has a password: unpack it"),
        (dumps.zipped({"in.csv": TABLE}, zipfile.ZIP_BZIP2), "it is not compressed by DEFLATE: unpack it"),
        (dumps.zipped({"in.csv": TABLE}, zipfile.ZIP_LZMA), "it is not compressed by DEFLATE: unpack it"),
        (dumps.zipped({"in.csv": TABLE})[:-30], "it is cut short: copy it again"),
        (dumps.zipped({"in.csv": TABLE}).replace(b"PK\1\2", b"PK\1\3"), "Bad magic number for central directory"),
    ],
)
def test_a_zip_archive_that_cannot_be_opened_is_refused_in_a_folder_too(tmp_path, phone, capsys, archive, why):
    out = tmp_path / "out.jsonl"
    (phone / "in.zip").write_bytes(archive)
    (phone / "b.csv").write_bytes(TABLE)
    assert score(phone / "in.zip", "-o", out) == 2
    assert f"in.zip: the ZIP archive cannot be opened: {why}" in capsys.readouterr().err
    assert score(phone, "-o", out) == 2
    assert f"cannot be opened: {why}; or leave it out: --exclude in.zip" in capsys.readouterr().err
    assert score(phone, "-o", out, "--exclude", "in.zip") == 0


def test_no_row_of_a_zip_archive_is_lost_to_a_wrong_checksum(tmp_path, capsys):
    source = tmp_path / "in.zip"
    archive = dumps.zipped({"in.csv": TABLE + b"x,2\n"}, zipfile.ZIP_STORED)
    texts = texts_of(source, archive.replace(b"x,2\n", b"y,2\n"), status=1)
    assert "cannot be read to its end: the archive cannot be read any further: its ch" in capsys.readouterr().err
    assert texts == [PLAIN, "y"]
    assert len(rows_of(tmp_path / "out.jsonl.rejects.jsonl")) == 1
    assert json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8"))["damaged"] == [str(source)]


@given(st.data(), st.binary(min_size=1, max_size=30), st.sampled_from([1, 999]), st.sampled_from([0, 8]))
def test_a_damaged_zip_archive_is_never_taken_for_an_intact_one(data, piece, times, how):
    content = piece * times
    archive = dumps.zipped({"in.csv": content}, how)
    at = data.draw(st.integers(4, len(archive) - 1))
    changed = archive[:at] + data.draw(st.binary(max_size=9)) + archive[at + data.draw(st.integers(0, 9)) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "in.zip")
        path.write_bytes(archive)
        with Stream(str(path)) as stream:
            assert stream.peek(3) == content[:3]
            assert stream.read(len(content) + 1) == content
            assert stream.name == "in.csv"
            assert not stream.damage
        path.write_bytes(changed)
        with Stream(str(path)) as stream:
            found = stream.read(len(content) + 1)
            assert stream.damage or found == content or not stream.packed  # the last has no file "in.csv" any more


def test_a_zip_archive_is_unpacked_only_as_far_as_it_is_read(tmp_path):
    (tmp_path / "in.zip").write_bytes(dumps.zipped({"in.csv": bytes(1 << 26)}))
    with traced() as memory:
        with Stream(str(tmp_path / "in.zip")) as stream:
            stream.skip(1 << 30)
        assert not stream.damage
        assert memory()[1] < 1 << 23


@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_a_skippable_zstd_frame_may_be_long_and_is_not_text(tmp_path, size):
    skipped = b"\x5f\x2a\x4d\x18" + size.to_bytes(4, "little") + bytes(size)
    assert texts_of(tmp_path / "in.zst", skipped + dumps.zst(PLAIN.encode()) + skipped) == [PLAIN]


@pytest.mark.parametrize("name", ["in.txt", "in.txt.gz", "in.txt.bz2", "in.txt.xz", "in.txt.zst"])
def test_a_pipe_that_yields_one_byte_first_is_read_normally(tmp_path, monkeypatch, name):
    pack = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": dumps.zst}
    monkeypatch.setattr(sys, "stdin", dumps.slow_pipe(pack[name.removeprefix("in.txt")](PLAIN.encode())))
    assert score("-", "-o", tmp_path / "out.jsonl", "--format", "lines") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN]
    assert not sys.stdin.buffer.closed


def test_a_file_that_cannot_be_unpacked_is_closed(tmp_path, monkeypatch):
    (tmp_path / "in.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    opened, kept = Path.open, []
    monkeypatch.setattr(Path, "open", lambda *arguments: kept.append(opened(*arguments)) or kept[-1])
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(DumpError, match=r"is a \.zst archive: pip install"):
        Stream(str(tmp_path / "in.zst"))
    assert [file.closed for file in kept] == [True]


@pytest.mark.parametrize("name", ["in.txt.xz", "in.txt.zst"])
def test_an_archive_that_requires_too_much_memory_is_refused(tmp_path, capsys, name):
    source = tmp_path / name
    if name.endswith("xz"):
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
        source.write_bytes(lzma.compress(PLAIN.encode(), filters=filters))
    else:
        huge = zstandard.ZstdCompressionParameters(window_log=29, enable_ldm=False)
        packer = zstandard.ZstdCompressor(compression_params=huge).compressobj()
        source.write_bytes(packer.compress(PLAIN.encode()) + packer.flush())
    assert score(source, "-o", tmp_path / "out.jsonl") == 2
    assert "cannot be read any further" in capsys.readouterr().err


def test_a_huge_row_in_a_small_archive_is_one_reject(tmp_path):
    good = json.dumps({"text": PLAIN}).encode() + b"\n"
    huge = b'{"text": "' + b"a" * 30_000_000 + b'"}\n'
    assert len(scored(tmp_path / "in.jsonl.gz", gzip.compress(good + huge + good + b"{broken\n"))) == 2
    reject, broken = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["offset"], reject["reason"]) == (2, len(good), readers.TOO_LONG)
    assert len(reject["raw"]) == readers.SHOWN
    assert (broken["line"], broken["offset"], broken["raw"]) == (4, len(good + huge + good), "{broken")


def test_folders_and_patterns_are_searched(tmp_path, capsys):
    folder = tmp_path / "phone"
    shutil.copytree(EXPORTS, folder / "deep")
    (folder / "deep" / "photo.jpg").write_bytes(b"\xff\xd8")
    (folder / "._in.txt").write_text('{"text": "no dump"}\n')  # what macOS leaves behind
    assert score(folder, "-o", tmp_path / "all.jsonl") == 0
    assert score(folder / "**" / "*.json", "-o", tmp_path / "json.jsonl") == 0
    everything, some = rows_of(tmp_path / "all.jsonl"), rows_of(tmp_path / "json.jsonl")
    assert {row["fraud_label"] for row in everything} > {"romance", "investment", "legitimate"}
    assert len(some) == 28
    assert "no dump" not in (tmp_path / "all.jsonl").read_text("utf-8")
    assert len(everything) > len(some)
    assert score(tmp_path / "*.nothing", "-o", tmp_path / "x.jsonl") == 2
    (tmp_path / "empty").mkdir()
    assert score(tmp_path / "empty", "-o", tmp_path / "x.jsonl") == 2
    assert "holds no dump" in capsys.readouterr().err


def test_outputs_of_earlier_runs_are_skipped_unless_named(tmp_path, phone, capsys):
    again = tmp_path / "again.jsonl"
    rows = [{"chat": 1, "text": LURE}, {"chat": 1}, {"chat": 2, "text": PLAIN}]
    source, out = phone / "in.jsonl", phone / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert score(source, "-o", out, "--by", "chat") == 0
    capsys.readouterr()
    results = [f"out.jsonl{ending}" for ending in ("", ".conversations.jsonl", ".rejects.jsonl", ".summary.json")]
    assert sorted(path.name for path in phone.iterdir()) == ["in.jsonl", *results]
    for searched in (phone, phone / "*.json*", phone / ".." / "**" / "*.jsonl"):
        assert score(searched, "-o", again, "--force") == 0
        assert [row["chat"] for row in rows_of(again)] == [1, 2]
        notice = capsys.readouterr().err
        assert notice.count("skipped") == 1
        assert re.search(r"\.jsonl and [234] more are skipped: earlier runs wrote them; name them", notice)
    assert score(phone, "-o", out, "--by", "chat", "--force") == 0  # into the folder that it searches
    assert score(out, "-o", again, "--force") == 0
    assert len(rows_of(again)) == 2
    source.unlink()
    capsys.readouterr()
    for searched, notice in (
        (phone, "holds no dump"),
        (phone / "*.jsonl", "matches only files that earlier runs wrote"),
    ):
        assert score(searched, "-o", again, "--force") == 2
        assert notice in capsys.readouterr().err


@pytest.mark.parametrize("name", ["my.conversations.jsonl", "my.rejects.jsonl", "my.summary.json", "my.jsonl"])
@pytest.mark.parametrize("summary", ["", '{"text": "", "fraudscan": "0.1.0"}', '{\n "rows": 1, "text": ""}'])
def test_files_that_only_look_like_outputs_of_an_earlier_run_are_scored(tmp_path, phone, capsys, name, summary):
    (phone / "my.jsonl.summary.json").write_text(summary)
    (phone / "my.summary.json").write_text(summary)
    (phone / name).write_text(f'{{"text": "{LURE}"}}\n', "utf-8")
    (phone / ("长" * 83 + ".txt")).write_text(PLAIN, "utf-8")  # the name of a summary beside it would be too long
    assert score(phone, "-o", tmp_path / "out.jsonl") == 0
    assert {LURE, PLAIN} <= {row.get("text") for row in rows_of(tmp_path / "out.jsonl")}
    assert "earlier" not in capsys.readouterr().err


def test_a_file_that_is_named_twice_is_scored_once(tmp_path, monkeypatch):
    folder = tmp_path / "phone"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate(["b.txt", "a.txt", "sub/c.txt"]):
        (folder / name).write_text(f"第{i}条", "utf-8")
    (tmp_path / "link.txt").symlink_to(folder / "b.txt")
    monkeypatch.chdir(tmp_path)
    names = ["link.txt", "phone/../phone/sub", folder, "./phone", "phone/*.txt", "phone/b.txt", "phone/sub/c.txt"]
    assert score(*names, "-o", "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == ["第0条", "第2条", "第1条"]
    summary = json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8"))
    names = [source["name"] for source in summary["sources"]]
    assert names == ["link.txt", "phone/../phone/sub/c.txt", str(folder / "a.txt")]


def test_an_empty_file_does_not_stop_a_folder(tmp_path, phone, capsys):
    out = tmp_path / "out.csv"
    for name in ("a.csv", "b.xml"):
        (phone / name).touch()
    (phone / "c.csv").write_text(f"text\n{PLAIN}\n", "utf-8")
    assert score(phone, "-o", out) == 0
    assert f"{phone / 'a.csv'} is skipped: it is empty" in capsys.readouterr().err
    assert len(out.read_text("utf-8").splitlines()) == 2
    assert score(phone / "*.csv", "-o", out, "--force") == 0
    assert f"{phone / 'a.csv'} is skipped: it is empty" in capsys.readouterr().err
    assert len(out.read_text("utf-8").splitlines()) == 2
    assert score(phone / "[ab].*", "-o", out, "--force") == 2
    assert "[ab].* matches only empty files" in capsys.readouterr().err
    (phone / "a.csv").write_text(f"\ntext\n{PLAIN}\n", "utf-8")
    assert score(phone / "a.csv", "-o", out, "--force") == 2
    assert "a.csv has no header" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["empty.csv", "empty.jsonl", "empty.csv.gz"])
def test_an_empty_file_among_named_files_is_skipped(tmp_path, capsys, name):
    empty, full, out = tmp_path / name, tmp_path / "full.csv", tmp_path / "out.csv"
    empty.write_bytes(gzip.compress(b"") if name.endswith("gz") else b"")
    full.write_text(f"号码,内容\n1,{PLAIN}\n", "utf-8")
    for sources in ((empty, full), (full, empty)):
        assert score(*sources, "-o", out, "--force") == 0
        assert f"{empty} is skipped: it is empty\n" in capsys.readouterr().err
        assert out.read_text("utf-8").splitlines()[1].startswith(f"1,{PLAIN},")
    full.write_bytes(b"")
    assert score(empty, full, "-o", out, "--force") == 0
    assert "no row was scored: the dump has no rows\n" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["empty.csv", "empty.jsonl"])
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_an_empty_file_is_a_dump_without_rows(tmp_path, capsys, name, content, ending):
    (tmp_path / name).write_bytes(content)
    assert score(tmp_path / name, "-o", tmp_path / f"out.{ending}", "--by", "chat") == 0
    assert "no row was scored: the dump has no rows\n" in capsys.readouterr().err
    assert (tmp_path / f"out.{ending}").exists()


def test_files_and_folders_can_be_excluded_from_a_search(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    texts = {
        "phone/a.txt": "甲",
        "phone/cache/b.txt": "乙",
        "phone/cache/deep/c.txt": "丙",
        "phone/chat/cache.txt": "丁",
    }
    for name, text in texts.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, "utf-8")
    Path("phone/chat/contacts.csv").write_text("name,number\n妈,1\n", "utf-8")
    assert score("phone", "-o", "out.jsonl") == 2
    error = capsys.readouterr().err
    assert error.endswith(
        "Name it with --text COLUMN, and add --header-line 0 if the first line is a row; or leave it "
        "out: --exclude contacts.csv\n"
    )
    contacts = ["--exclude", "contacts*"]
    for arguments, wanted in (
        (["phone", *contacts], "甲乙丙丁"),
        (["phone", *contacts, "--exclude", "cache"], "甲丁"),
        (["phone", *contacts, "--exclude", "cache/*.txt"], "甲丙丁"),
        (["phone", "--exclude", "chat", "--exclude", "deep"], "甲乙"),
        (["phone/**/*.txt", "--exclude", "cache/b.txt"], "甲丙丁"),
        (["phone/cache/b.txt", "--exclude", "cache"], "乙"),  # named explicitly
        (["phone/cache", "--exclude", "cache"], "乙丙"),
    ):
        assert score(*arguments, "-o", "out.jsonl", "--force") == 0, arguments
        assert "".join(row["text"] for row in rows_of(Path("out.jsonl"))) == wanted
    capsys.readouterr()
    assert score("phone", *contacts, "--exclude", "catch", "-o", "out.jsonl", "--force") == 0
    idle = [line for line in capsys.readouterr().err.splitlines() if "leaves nothing out" in line]
    assert idle == ["fraudscan: --exclude catch leaves nothing out: no file or folder that is found has that name"]
    for arguments in (
        ["phone", "--exclude", "*"],
        ["phone/**/*.txt", "--exclude", "phone"],
        ["phone", "--exclude", ""],
    ):
        assert score(*arguments, "-o", "out.jsonl", "--force") == 2
    with pytest.raises(TypeError, match=r"exclude is one str, not several: pass a list, \[pattern\]"):
        score_dump(fraudscan.load(), ["phone"], "new.jsonl", exclude="cache")


@pytest.mark.parametrize("count", [2, 13])
def test_all_files_of_a_folder_that_cannot_be_read_are_reported(tmp_path, phone, capsys, count):
    out = tmp_path / "out.jsonl"
    for i in range(count):
        (phone / f"{i:02}.csv").write_text("a,b\n1,2\n")
    (phone / "text.csv").write_text(f"text\n{PLAIN}\n", "utf-8")
    assert score(phone, "-o", out) == 2
    error = capsys.readouterr().err
    assert [f"{phone / f'{i:02}.csv'} has the columns: a, b." in error for i in range(count)] == [
        i < 10 for i in range(count)
    ]
    assert error.count("; or leave it out: --exclude ") == min(count, 10)
    assert error.endswith("--exclude 09.csv. And 3 more\n" if count > 10 else "--exclude 01.csv\n")
    assert not out.exists()
    assert score(phone / "01.csv", phone, "-o", out) == 2  # a file that is named explicitly is wanted
    assert "--exclude" not in capsys.readouterr().err
    assert score(phone, "-o", out, "--exclude", "[01]*.csv") == 0


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv"])
def test_all_files_of_a_folder_that_cannot_be_written_are_reported(tmp_path, phone, capsys, ending):
    out = tmp_path / f"out.{ending}"
    (phone / "a.csv").write_text(f"text\n{PLAIN}\n", "utf-8")
    for name in ("b.csv", "c.csv"):
        (phone / name).write_text(f"text,k,k\n{PLAIN},1,2\n", "utf-8")
    assert score(phone, "-o", out) == 2
    error = capsys.readouterr().err
    for name in ("b.csv", "c.csv"):
        assert f"{phone / name} has " in error
        assert f"; or leave it out: --exclude {name}" in error
    assert score(phone, "-o", out, "--exclude", "[bc].csv") == 0


@pytest.mark.parametrize("ending", ["xls", "et"])
def test_text_tables_in_a_folder_may_have_the_names_of_old_workbooks(tmp_path, capsys, ending):
    folder = tmp_path / "phone"
    folder.mkdir()
    (folder / f"a.{ending}").write_text(f"号码\t短信内容\n1\t{PLAIN}\n", "gb18030")
    (folder / f"b.{ending}").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(500))
    (folder / f"c.{ending}").write_text(f"<html><table><tr><td>{PLAIN}", "utf-8")
    assert score(folder, "-o", tmp_path / "out.jsonl") == 0
    assert [row["短信内容"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN]
    notices = capsys.readouterr().err
    assert f"{folder / f'b.{ending}'} is skipped: it is an old Office document" in notices
    assert f"{folder / f'c.{ending}'} is skipped: it is a web page (HTML)" in notices


def test_files_with_other_extensions_in_a_folder_are_reported(tmp_path, capsys):
    folder = tmp_path / "phone.d"
    folder.mkdir()
    for name in ("a.rar", "b.RAR", "c.jpg.gz", "dump", ".hidden.zip", "in.txt.gz", "text.zip"):
        (folder / name).write_text(PLAIN, "utf-8")
    assert score(folder, "-o", tmp_path / "out.jsonl") == 0
    assert len(rows_of(tmp_path / "out.jsonl")) == 1
    notice = f"{folder}: files are skipped because of their names: 2 .rar, 1 hidden, 1 .jpg, 1 without an ending\n"
    notices = capsys.readouterr().err
    assert notice in notices
    assert f"{folder / 'text.zip'} is skipped: it is no ZIP archive, in spite of its name\n" in notices
    for i in range(9):
        (folder / f"x.{i}").touch()
    assert score(folder, "-o", tmp_path / "out.jsonl", "--force") == 0
    assert re.search(r"names: 2 \.rar, (1 \.?\w[^,]*, ){8}…\n", capsys.readouterr().err)
    assert score(folder / "in.txt.gz", "-o", tmp_path / "out.jsonl", "--force") == 0
    assert "skipped" not in capsys.readouterr().err


def test_links_in_a_folder_are_reported_and_read_only_if_named(tmp_path, capsys):
    (tmp_path / "phone" / "sub").mkdir(parents=True)
    (tmp_path / "phone" / "in.txt").write_text(PLAIN, "utf-8")
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "in.txt").write_text(LURE, "utf-8")
    links = {"link": "card", "sub/up": "phone", "sub/file.txt": "card/in.txt", "nowhere": "x"}
    for link, to in links.items():
        (tmp_path / "phone" / link).symlink_to(tmp_path / to)
    assert score(tmp_path / "phone", "-o", tmp_path / "out.jsonl") == 0
    assert len(rows_of(tmp_path / "out.jsonl")) == 1
    notices = capsys.readouterr().err
    assert all(f"{tmp_path / 'phone' / link} is skipped: it is a link" in notices for link in links)
    assert score(tmp_path / "phone" / "link", "-o", tmp_path / "named.jsonl") == 0
    assert len(rows_of(tmp_path / "named.jsonl")) == 1


def test_a_folder_without_permission_is_refused_not_skipped(tmp_path, monkeypatch, capsys):
    (tmp_path / "phone" / "closed").mkdir(parents=True)
    (tmp_path / "phone" / "in.txt").write_text(PLAIN, "utf-8")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # permissions do not bind root, who may run this
    assert score(tmp_path / "phone", "-o", tmp_path / "out.jsonl") == 2
    assert "closed cannot be read: Permission denied" in capsys.readouterr().err


def test_a_broken_link_and_an_empty_name_cannot_be_read(tmp_path, monkeypatch, capsys):
    (tmp_path / "link.jsonl").symlink_to("nowhere")
    (tmp_path / "in.txt").write_text(PLAIN, "utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("link.jsonl", "l*.jsonl", ""):
        assert score(name, "-o", "out.jsonl") == 2
        assert "cannot be read: No such file" in capsys.readouterr().err


@given(st.text(st.characters(codec="gb18030", exclude_categories=["Cc"]), min_size=1, max_size=99))
@example("\x01\x02\x03" * 30)
@example(f"{PLAIN}\0\x1b[0m\x1e\x7f\b")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_texts_of_any_kind_in_a_folder_are_read(tmp_path, scanner, encoding, text):
    (tmp_path / "phone").mkdir(exist_ok=True)
    (tmp_path / "phone" / "a.txt").write_bytes(f"{text}\n".encode(encoding))
    options = Options(encoding=encoding, format="lines")
    summary = score_dump(scanner, [tmp_path / "phone"], tmp_path / "out.jsonl", options, force=True)
    assert summary.scored + summary.rejected == 1 or not text.strip()


def test_a_table_in_a_folder_may_be_delimited_by_any_control_character(tmp_path, phone):
    (phone / "a.csv").write_text("id\atext\n" + f"1\a{PLAIN}\n" * 9, "utf-8")
    assert score(phone, "-o", tmp_path / "out.jsonl", "--delimiter", "\a") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN] * 9


def test_a_pattern_does_not_follow_circular_links(tmp_path, monkeypatch):
    folder = tmp_path / "seized"
    (folder / "deep" / ".cache").mkdir(parents=True)
    for name in ("a", "b"):
        (folder / name).symlink_to(folder, target_is_directory=True)
    for place in (folder, folder / "deep", folder / "deep" / ".cache"):
        (place / "m.jsonl").write_text(json.dumps({"text": PLAIN}) + "\n", "utf-8")
    (folder / ".hidden.jsonl").write_text("{}\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    both, hidden = ["deep", "seized"], [".cache"]
    for pattern, found in (
        ("seized/**/*.jsonl", both),
        (str(folder / "**" / "*.jsonl"), both),
        ("seized/**/**m.jsonl", both),
        ("./seized/**/m.*", both),
        ("seized/**/.c*/*.jsonl", hidden),
    ):
        assert score(pattern, "-o", "out.jsonl", "--filenames", "--force") == 0
        sources = [row["fraud_source"] for row in rows_of(tmp_path / "out.jsonl")]
        assert sorted(Path(source).parent.name for source in sources) == found


def test_folders_that_are_nested_too_deeply_are_refused(tmp_path, monkeypatch, capsys):
    def walk(*_arguments, **_options):
        raise RecursionError  # raised before Python 3.12 by a thousand nested folders

    monkeypatch.setattr(os, "walk", walk)
    assert score(tmp_path, "-o", tmp_path / "out.jsonl") == 2
    assert f"{tmp_path}: folders are nested too deeply" in capsys.readouterr().err


@pytest.mark.parametrize("table", ["nr,text\n1,你好\n", '{"text": "你好"}\n{"text": "好", "nr": 1}\n'])
def test_columns_that_only_names_of_folders_have_are_reported(tmp_path, capsys, table):
    for number, city in enumerate(["北京", "上海"]):  # as Spark and Hive write them; the column nr is in the file, too
        folder = tmp_path / "dump" / f"event-date={number}" / f"city={city}" / f"nr={number}"
        folder.mkdir(parents=True)
        (folder / "part.csv").write_text(table, "utf-8")
    notice = (
        "the values of event-date, city are only in the names of folders, so they are not in the output: --filenames"
    )
    assert score(tmp_path / "dump", "-o", tmp_path / "out.csv") == 0
    assert capsys.readouterr().err.count(notice) == 1
    assert score(tmp_path / "dump", "-o", tmp_path / "out.csv", "--filenames", "--force") == 0
    assert "names of folders" not in capsys.readouterr().err
    assert "city=北京" in (tmp_path / "out.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        ("_delta_log/0.json", "Delta Lake"),
        (".hoodie/hoodie.properties", "Hudi"),
        ("metadata/v1.metadata.json", "Iceberg"),
        ("video.metadata.json", ""),
    ],
)
def test_a_table_whose_log_says_which_rows_were_deleted_is_reported(tmp_path, capsys, log, kind):
    table = tmp_path / "lake" / "messages"
    (table / log).parent.mkdir(parents=True, exist_ok=True)
    (table / log).write_text("{}", "utf-8")
    (table / "part.csv").write_bytes(TABLE)
    assert score(tmp_path / "lake", "-o", tmp_path / "out.jsonl", "--exclude", "*.json") == 0
    notices = capsys.readouterr().err
    assert (f"is part of a table ({kind}), whose files also hold rows that were replaced" in notices) == bool(kind)
    assert len(rows_of(tmp_path / "out.jsonl")) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_in_a_folder_is_reported(tmp_path, phone, capsys):
    (phone / "a.txt").write_text(PLAIN, "utf-8")
    os.mkfifo(phone / "b.txt")
    assert score(phone, "-o", tmp_path / "out.jsonl") == 0
    assert f"{phone / 'b.txt'} is skipped: it is not a regular file; name it" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_with_the_name_of_a_summary_is_not_opened(tmp_path, phone):
    (phone / "a.txt").write_text(PLAIN, "utf-8")
    os.mkfifo(phone / "a.txt.summary.json")
    command = [sys.executable, "-m", "fraudscan", "score", phone, "-o", tmp_path / "out.jsonl"]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    (tmp_path / "out.jsonl.summary.json").unlink()
    os.mkfifo(tmp_path / "out.jsonl.summary.json")
    command = [sys.executable, "-m", "fraudscan", "rethreshold", tmp_path / "out.jsonl", "-o", "-", "--flag", "0.9"]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
