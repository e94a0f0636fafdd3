"""Dumps of every format for the tests, written from the same rows."""

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
import zipfile
from xml.sax.saxutils import quoteattr

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from conftest import LURE, PLAIN, ROOT  # noqa: F401 - tests of dumps import the first two from here
from hypothesis import strategies as st

from fraudscan.cli import main
from fraudscan.dump import job, score_dump
from fraudscan.dump.rows import Place
from fraudscan.dump.streams import Head

EXPORTS = ROOT / "examples" / "exports"

TABLE = f"text,n\n{PLAIN},1\n".encode()

TEXTS = [json.loads(line)["text"] for line in (ROOT / "examples" / "messages.jsonl").read_text("utf-8").splitlines()]

CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="" if sys.version_info >= (3, 11) else "\0"), max_size=30
)
"""Cells that the csv module can write and read; on Python 3.10 they contain no NUL."""


def score(*arguments):
    """Run ``fraudscan score``; return its exit status."""
    return main(["score", *map(str, arguments)])


def write_and_score(path, content, *options, status=0):
    """Write a dump and score it into ``out.jsonl`` beside it, with this exit status; return the path of the output.

    The content of the dump is text or bytes, or consists of rows, which are written as JSON Lines.
    """
    if not isinstance(content, str | bytes):
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    out = path.with_name("out.jsonl")
    assert score(path, "-o", out, "--force", *options) == status
    return out


def scored(*arguments, **options):
    """Write and score a dump; return the rows of the output."""
    return rows_of(write_and_score(*arguments, **options))


def texts_of(*arguments, **options):
    """Write and score a dump; return the texts of the rows of the output."""
    return [row["text"] for row in scored(*arguments, **options)]


def rejected(*arguments, **options):
    """Write and score a dump; return its rejects."""
    return rows_of(write_and_score(*arguments, **options).with_name("out.jsonl.rejects.jsonl"))


def notices(capsys, *arguments, **options):
    """Write and score a dump; return what is said on standard error."""
    write_and_score(*arguments, **options)
    return capsys.readouterr().err


def refused(*arguments):
    """Write a dump that is refused; return the error."""
    return notices(*arguments, status=2)


def blocks_from_anywhere(reader, data):
    """Return the blocks of a document; they are the same wherever reading begins."""
    blocks = list(reader.blocks(Head(data), Place(0, 1)))
    for number, block in enumerate(blocks):
        assert list(reader.blocks(Head(data), block.end)) == blocks[number + 1 :]
    return blocks


def rows_of(path):
    """Return the rows of an output: JSON Lines, CSV or Parquet."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file) if path.suffix == ".csv" else map(json.loads, file))


def slow_pipe(data):
    """Return a standard input that yields one byte first, and all others then."""

    class Slow(io.RawIOBase):
        left = data

        def readable(self):
            return True

        def readinto(self, buffer):
            size = 1 if self.left is data else len(buffer)
            got, self.left = self.left[:size], self.left[size:]
            buffer[: len(got)] = got
            return len(got)

    return io.TextIOWrapper(io.BufferedReader(Slow()))


def rows(rng, count):
    """Return messages of a few conversations, interleaved."""
    return [
        {"id": i, "chat": f"c{rng.randrange(9)}", "sender": f"人{rng.randrange(5)}", "text": rng.choice(TEXTS)}
        for i in range(count)
    ]


def jsonl(records):
    lines = [json.dumps(row, ensure_ascii=False) for row in records]
    lines[1::50] = ["{broken"] * len(lines[1::50])
    return "\n".join(lines).encode()


def json_array(records):
    return json.dumps(records, ensure_ascii=False, indent=1).encode()


def csv_table(records, delimiter=",", encoding="utf-8"):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["id", "chat", "sender", "text"])
    for row in records:
        text = f'{row["text"]}\n"第二行"{delimiter}' if row["id"] % 7 == 0 else row["text"]
        writer.writerow([row["id"], row["chat"], row["sender"], text][: 3 if row["id"] % 50 == 3 else 4])
    return out.getvalue().encode(encoding, "replace")


def lines(records):
    return "\r\n".join(row["text"].replace("\n", " ") for row in records).encode("utf-16")


def parquet(records):
    out = io.BytesIO()
    table = pa.Table.from_pylist([{**row, "text": None if row["id"] % 50 == 3 else row["text"]} for row in records])
    pq.write_table(table, out, row_group_size=max(1, len(records) // 3))
    return out.getvalue()


def workbook(sheets):
    """Return an Excel workbook with these sheets, by name: lists of rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def xlsx(records):
    header = ["id", "chat", "sender", "text"]
    rows = [[*row.values(), *["more"] * (row["id"] % 50 == 3)] for row in records]
    half = len(rows) // 2
    return workbook({"一": [header, *rows[:half]], "说明": [["说明"], ["导出的短信"]], "二": [header, *rows[half:]]})


def sms_xml(records):
    items = (
        f'<sms address={quoteattr(row["chat"])} date="17907{row["id"]:08}" type="{1 + row["id"] % 2}" '
        f"body={quoteattr(row['text'])} />"
        for row in records
    )
    return ("<?xml version='1.0' encoding='UTF-8'?>\n<smses>\n" + "\n".join(items) + "\n</smses>").encode()


def telegram(records):
    chats = {}
    for row in records:
        message = {"id": row["id"], "type": "message", "from": row["sender"], "text": [row["text"]]}
        chats.setdefault(row["chat"], []).append(message)
    found = [{"name": name, "id": i, "messages": messages} for i, (name, messages) in enumerate(chats.items())]
    return json.dumps({"about": "x", "chats": {"about": "y", "list": found}}, ensure_ascii=False, indent=1).encode()


def whatsapp(records):
    return "".join(f"2026/10/6 09:{row['id'] % 60:02} - {row['sender']}: {row['text']}\n" for row in records).encode()


def qq(records):
    out, chat, rule = ["消息记录（此消息记录为文本格式，不支持重新导入）\n"], None, "=" * 64
    for row in records:
        if row["chat"] != chat:
            chat = row["chat"]
            out += [rule, "消息分组:我的好友", rule, f"消息对象:{chat}", rule, ""]
        out += [f"2026-10-06 9:{row['id'] % 60:02}:07 {row['sender']}({row['id'] + 10000})", row["text"], ""]
    return "\r\n".join(out).encode("utf-8-sig")


def wechat(records):
    out = ["微信群“群”的聊天记录如下:", ""]
    for row in records:
        if row["id"] % 20 == 0 or row is records[0]:
            out += [f"—————  2026-10-{row['id'] // 20 % 28 + 1:02}  —————", ""]
        out += [f"{row['sender']}  9:{row['id'] % 60:02}", "", row["text"], ""]
    return "\n".join(out).encode()


def line_chat(records):
    out = ["[LINE] 與小美的聊天", "儲存日期：2026/11/01 10:00", ""]
    for row in records:
        if row["id"] % 20 == 0 or row is records[0]:
            out += ["", f"2026/10/{row['id'] // 20 % 28 + 1:02}（六）"]
        text = row["text"].replace('"', '""')
        text = f'"{text}"' if "\n" in text else row["text"]
        out.append(f"上午9:{row['id'] % 60:02}\t{row['sender']}\t{text}")
    return "\r\n".join(out).encode()


def zst(data):
    return zstandard.compress(data)


def zipped(files, how=zipfile.ZIP_DEFLATED):
    """Return a ZIP archive of these files, by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


MAKERS = {
    "in.jsonl": jsonl,
    "in.json": json_array,
    "in.csv": csv_table,
    "in.tsv": lambda records: csv_table(records, "\t", "gb18030"),
    "in.txt": lines,
    "in.parquet": parquet,
    "in.xlsx": xlsx,
    "in.xml": sms_xml,
    "result.json": telegram,
    "WhatsApp Chat with 人.txt": whatsapp,
    "全部消息记录.txt": qq,
    "wechat.txt": wechat,
    "line.txt": line_chat,
    "in.jsonl.gz": lambda records: gzip.compress(jsonl(records)),
    "in.csv.bz2": lambda records: bz2.compress(csv_table(records)),
    "in.xml.xz": lambda records: lzma.compress(sms_xml(records)),
    "in.jsonl.zst": lambda records: zst(jsonl(records)),
    "in.zip": lambda records: zipped({"picture.jpg": b"", "in.jsonl": jsonl(records)}),
    "excel.csv": lambda records: b"\xef\xbb\xbfsep=;\r\n" + csv_table(records, ";"),
}
"""Maps each file name to the function that builds the content of such a file from rows."""

CONVERSATION = {"in.txt": None, "in.xml": "conversation", "in.xml.xz": "conversation", "result.json": "conversation"}
TRANSCRIPTS = "WhatsApp Chat with 人.txt", "全部消息记录.txt", "wechat.txt", "line.txt"
CONVERSATION |= dict.fromkeys(TRANSCRIPTS, "conversation")
"""Maps a file name to its conversation column if that is not ``chat``, or to None if there is no such column."""


def by(name):
    """Return the options that request conversations."""
    column = CONVERSATION.get(name, "chat")
    return ["--by", column] if column else []


def interrupt(scanner, source, target, options=None):
    """Leave a job unfinished, as Ctrl-C does at its first checkpoint."""

    def stop(_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "SECONDS", 0)
        with pytest.raises(KeyboardInterrupt):
            score_dump(scanner, [source], target, options, progress=stop)
