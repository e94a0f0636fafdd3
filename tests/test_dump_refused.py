"""Tests of files that are no dumps, or only look like one: web pages, SQL, databases, exports of other programs."""

import contextlib
import gzip
import io
import pickle
import random
import re
import sqlite3
import sys
import tarfile

import dumps
import pytest
from dumps import EXPORTS, LURE, PLAIN, TABLE, refused, rows_of, score, texts_of


@pytest.mark.parametrize(("document", "status"), [('[{"text": "好"}]', 1), ("{}", 1), ('{"messages": []}', 0)])
def test_a_document_that_is_not_a_telegram_export_is_reported(tmp_path, capsys, document, status):
    source = tmp_path / "in.json"
    source.write_text(document, "utf-8")
    assert score(source, "-o", tmp_path / "out.jsonl", "--format", "telegram") == status
    reported = 'not a telegram export: it has no key "messages"' in capsys.readouterr().err
    assert reported == bool(status)


NOT_DUMPS = {
    "zip of several": dumps.zipped({"a.csv": TABLE, "b.csv": TABLE}),
    "zip of none": dumps.zipped({"a.jpg": b"", "_chat": TABLE}),
    "empty zip": dumps.zipped({}),
    "pdf": b"%PDF-1.7\n1 0 obj\n",
    "xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500),
    "gz in gz": gzip.compress(gzip.compress(PLAIN.encode())),
    "UTF-32": f"id,text\n1,{PLAIN}\n".encode("utf-32"),
    "arrow": b"ARROW1\0\0" + b"\nnoise" * 99,
    "lz4": b"\x04\x22\x4d\x18" + b"\nnoise" * 99,
    "pickle": pickle.dumps([PLAIN] * 99),
    "numpy": b"\x93NUMPY\1\0" + b"\nnoise" * 99,
    "android": b"ANDROID BACKUP\n5\n1\nnone\n" + b"\nnoise" * 99,
    "png": b"\x89PNG\r\n\x1a\n" + b"\nnoise" * 99,
}


@pytest.fixture(params=["db", "tar", *NOT_DUMPS])
def not_a_dump(request):
    """Return the content of a file that has no rows to read."""
    packed = io.BytesIO()
    if request.param == "tar":
        with tarfile.open(fileobj=packed, mode="w") as file:
            file.add(EXPORTS / "lines.txt", "lines.txt")
    elif request.param == "db":
        with contextlib.closing(sqlite3.connect(":memory:")) as base:
            base.execute("CREATE TABLE sms (body TEXT)")
            return base.serialize() if sys.version_info >= (3, 11) else b"SQLite format 3\0\x10\0"
    return packed.getvalue() or NOT_DUMPS[request.param]


@pytest.mark.parametrize("name", ["x.xlsx", "x.csv", "x", "x.txt.gz"])
def test_a_file_without_rows_is_refused_with_advice(tmp_path, capsys, not_a_dump, name):
    source = tmp_path / name
    source.write_bytes(gzip.compress(not_a_dump) if name.endswith("gz") else not_a_dump)
    assert score(source, "-o", tmp_path / "out.jsonl") == 2
    advice = r"is (an? .*: (unpack|export|write|extract|save)|text in UTF-32: convert)"
    assert re.search(advice, capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_without_rows_does_not_stop_a_folder(tmp_path, phone, capsys, not_a_dump):
    out = tmp_path / "out.jsonl"
    (phone / "a.csv").write_bytes(not_a_dump)
    (phone / "b.txt").write_text(PLAIN, "utf-8")
    (phone / "c.csv.gz").write_bytes(gzip.compress(not_a_dump))
    assert score(phone, "-o", out) == 0
    notices = capsys.readouterr().err
    assert f"{phone / 'a.csv'} is skipped: it is " in notices
    assert f"{phone / 'c.csv.gz'} is skipped: it is " in notices
    assert [row["text"] for row in rows_of(out)] == [PLAIN]


def test_a_header_that_is_no_csv_is_refused_in_plain_words(tmp_path, capsys):
    error = refused(capsys, tmp_path / "in.csv", f"id,te\rxt\n1,{LURE}\n".encode())
    assert "in.csv has a header that is not CSV: a carriage return outside quotes; remove it, or add --format" in error


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.xlsx", "a.jsonl"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (dumps.zipped({"[Content_Types].xml": "", "word/document.xml": ""}), "a Word document: export its text"),
        (dumps.zipped({"[Content_Types].xml": "", "xl/workbook.bin": ""}), "a binary workbook (.xlsb): save it as"),
        (random.Random(0).randbytes(5000), "no dump, in spite of its name: it has too many control characters"),
        (random.Random(1).randbytes(300), "no dump, in spite of its name: it has too many control characters"),
    ],
    ids=["docx", "xlsb", "random", "short"],
)
def test_a_file_of_another_kind_does_not_stop_a_folder(phone, capsys, name, content, what):
    (phone / name).write_bytes(content)
    (phone / "b.txt").write_text(PLAIN, "utf-8")
    assert score(phone, "-o", phone.parent / "out.jsonl") == 0
    assert f"{phone / name} is skipped: it is {what}" in capsys.readouterr().err
    assert [row["text"] for row in rows_of(phone.parent / "out.jsonl")] == [PLAIN]


TELEGRAM_PAGE = f"""<!DOCTYPE html>
<html>

 <head>
  <meta charset="utf-8"/>
<title>Exported Data</title>
 </head>
 <body><div class="text">{LURE}</div></body>
</html>
"""


@pytest.mark.parametrize(
    "page",
    [
        TELEGRAM_PAGE.encode(),
        TELEGRAM_PAGE.encode("utf-16"),
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- saved -->\n<HTML xmlns:x="urn:schemas-microsoft-com:office:excel">',
        b"<table border=1><tr><td>text</td></tr></table>",
    ],
    ids=["Telegram", "UTF-16", "Excel", "table"],
)
@pytest.mark.parametrize("name", ["messages.html", "in.xls", "in.jsonl.gz"])
def test_a_web_page_is_refused_with_advice(tmp_path, capsys, name, page):
    source = tmp_path / name
    source.write_bytes(gzip.compress(page) if name.endswith("gz") else page)
    for named in ([], ["--format", "telegram"]):
        assert score(source, "-o", tmp_path / "out.jsonl", *named) == 2
        error = capsys.readouterr().err
        assert "is a web page (HTML): open a table in Excel or WPS and save it as .xlsx; export other messages" in error
        assert 'in Telegram Desktop as "Machine-readable JSON"; --format lines reads it as it is' in error
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_web_page_is_read_as_lines_on_request(tmp_path):
    texts = texts_of(tmp_path / "messages.html", TELEGRAM_PAGE, "--format", "lines")
    assert texts == [line for line in TELEGRAM_PAGE.splitlines() if line]


ROWS_OF_SQL = ",".join(f"({i},'{PLAIN}')" for i in range(40))


@pytest.mark.parametrize(
    "content",
    [
        "-- MySQL dump 10.13  Distrib 8.0.36\n--\n-- Host: localhost\n\nINSERT INTO `sms` VALUES ROWS;\n",
        "/*!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n",
        "--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\n",
        "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE sms (body TEXT);\n",
        f"/*\n Navicat Premium Data Transfer\n*/\n\nSET NAMES utf8mb4;\nDROP TABLE IF EXISTS `sms`;\n{PLAIN}",
        f"/*!40101 SET NAMES utf8 */;\nCREATE TABLE IF NOT EXISTS `sms` (\n  `body` text\n);\n{PLAIN}",
        "INSERT INTO sms VALUES ROWS;\n",
        "insert into [dbo].[sms] ([id], [短信内容])\nvalues ROWS;\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_sql_dump_is_refused_with_advice_and_read_as_lines_on_request(tmp_path, capsys, content, encoding):
    for name in ("sms.sql", "sms.txt", "sms.csv"):
        (tmp_path / name).write_bytes(content.replace("ROWS", ROWS_OF_SQL).encode(encoding))
        assert score(tmp_path / name, "-o", tmp_path / "out.jsonl") == 2
        assert f"{name} is an SQL dump: load it into a database and export the table" in capsys.readouterr().err
    assert score(tmp_path / "sms.sql", "-o", tmp_path / "out.jsonl", "--format", "lines") == 0


def test_lines_that_resemble_sql_are_read(tmp_path):
    lines = "-- 张三 --", "/* 公告 */", "Set a reminder; thanks", "create table, insert into sms", PLAIN
    for start in range(len(lines)):
        assert texts_of(tmp_path / "in.txt", "\n".join(lines[start:])) == list(lines[start:])


def test_comments_alone_are_not_a_web_page(tmp_path):
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("<!---->" * 40)  # the many ways to split these comments must not cost time
    assert score(source, "-o", out) == 0
    assert len(rows_of(out)) == 1


def test_web_pages_in_a_folder_that_may_be_exports_are_reported(tmp_path, capsys):
    (tmp_path / "chat").mkdir()
    for name in ("messages.html", "messages2.html", "saved.txt"):
        (tmp_path / "chat" / name).write_text(TELEGRAM_PAGE, "utf-8")
    assert score(tmp_path / "chat", "-o", tmp_path / "out.jsonl") == 2
    notices = capsys.readouterr().err
    assert "messages.html is skipped: it is a web page (HTML): open" in notices
    assert "saved.txt is skipped: it is a web page (HTML): open" in notices
    assert "messages2.html" not in notices
    assert "holds no dump: no file that ends with .jsonl, " in notices
    (tmp_path / "chat" / "in.txt").write_text(PLAIN, "utf-8")
    (tmp_path / "chat" / "messages.html").write_text("no page\n", "utf-8")
    assert score(tmp_path / "chat", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN]


CALLS = (
    "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<!--File Created By SMS Backup & Restore > 10.20-->\n"
    f'<!--\nTo view this file > {"long " * 200}-->\n<?xml-stylesheet type="text/xsl" href="calls.xsl"?>\n'
)


@pytest.mark.parametrize("root", ["calls", "report", "smsesx"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_xml_of_other_programs_does_not_stop_a_folder(tmp_path, phone, capsys, root, encoding):
    out = tmp_path / "out.jsonl"
    (phone / "calls.xml").write_bytes(f'{CALLS}<{root} count="1"><call number="1"/></{root}>'.encode(encoding))
    message = '<sms address="1" date="1" type="1" body="好"/>'
    (phone / "sms.xml").write_bytes(f"{CALLS}<smses>{message}</smses>".encode(encoding))
    assert score(phone, "-o", out) == 0
    assert f"{phone / 'calls.xml'} is skipped: it is XML other than" in capsys.readouterr().err
    assert [row["text"] for row in rows_of(out)] == ["好"]
    assert score(phone / "calls.xml", "-o", out, "--force") == 2
    assert "export the messages as CSV; --format lines reads it as it is" in capsys.readouterr().err
