"""Dumps of every format for the tests, written from the same rows."""

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
from xml.sax.saxutils import quoteattr

import pytest
from conftest import ROOT
from hypothesis import strategies as st

from fraudscan.cli import main
from fraudscan.dump import job, score_dump

LURE = "跟着老师操作稳赚不赔，加微信进内部群，每天领取返利"
PLAIN = "到楼下了，下来拿快递"
TEXTS = [json.loads(line)["text"] for line in (ROOT / "examples" / "messages.jsonl").read_text("utf-8").splitlines()]

CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="" if sys.version_info >= (3, 11) else "\0"), max_size=30
)
"""What the csv module writes and reads: on Python 3.10 no NUL."""


def score(*arguments):
    """Run ``fraudscan score``; return its exit status."""
    return main(["score", *map(str, arguments)])


def rows_of(path):
    """Return the rows of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def rows(rng, count):
    """Messages of a few conversations, mixed."""
    return [
        {"id": i, "chat": f"c{rng.randrange(9)}", "sender": f"人{rng.randrange(5)}", "text": rng.choice(TEXTS)}
        for i in range(count)
    ]


def jsonl(some):
    lines = [json.dumps(row, ensure_ascii=False) for row in some]
    lines[1::50] = ["{broken"] * len(lines[1::50])
    return "\n".join(lines).encode()


def json_array(some):
    return json.dumps(some, ensure_ascii=False, indent=1).encode()


def csv_table(some, delimiter=",", encoding="utf-8"):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["id", "chat", "sender", "text"])
    for row in some:
        text = f'{row["text"]}\n"第二行"{delimiter}' if row["id"] % 7 == 0 else row["text"]
        writer.writerow([row["id"], row["chat"], row["sender"], text][: 3 if row["id"] % 50 == 3 else 4])
    return out.getvalue().encode(encoding, "replace")


def lines(some):
    return "\r\n".join(row["text"].replace("\n", " ") for row in some).encode("utf-16")


def parquet(some):
    import pyarrow as pa
    import pyarrow.parquet

    out = io.BytesIO()
    table = pa.Table.from_pylist([{**row, "text": None if row["id"] % 50 == 3 else row["text"]} for row in some])
    pa.parquet.write_table(table, out, row_group_size=max(1, len(some) // 3))
    return out.getvalue()


def sms_xml(some):
    items = (
        f'<sms address={quoteattr(row["chat"])} date="17907{row["id"]:08}" type="{1 + row["id"] % 2}" '
        f"body={quoteattr(row['text'])} />"
        for row in some
    )
    return ("<?xml version='1.0' encoding='UTF-8'?>\n<smses>\n" + "\n".join(items) + "\n</smses>").encode()


def telegram(some):
    chats = {}
    for row in some:
        message = {"id": row["id"], "type": "message", "from": row["sender"], "text": [row["text"]]}
        chats.setdefault(row["chat"], []).append(message)
    found = [{"name": name, "id": i, "messages": messages} for i, (name, messages) in enumerate(chats.items())]
    return json.dumps({"about": "x", "chats": {"about": "y", "list": found}}, ensure_ascii=False, indent=1).encode()


def whatsapp(some):
    return "".join(f"2026/10/6 09:{row['id'] % 60:02} - {row['sender']}: {row['text']}\n" for row in some).encode()


def qq(some):
    out, chat, rule = ["消息记录（此消息记录为文本格式，不支持重新导入）\n"], None, "=" * 64
    for row in some:
        if row["chat"] != chat:
            chat = row["chat"]
            out += [rule, "消息分组:我的好友", rule, f"消息对象:{chat}", rule, ""]
        out += [f"2026-10-06 9:{row['id'] % 60:02}:07 {row['sender']}({row['id'] + 10000})", row["text"], ""]
    return "\r\n".join(out).encode("utf-8-sig")


def wechat(some):
    out = ["微信群“群”的聊天记录如下:", ""]
    for row in some:
        if row["id"] % 20 == 0 or row is some[0]:
            out += [f"—————  2026-10-{row['id'] // 20 % 28 + 1:02}  —————", ""]
        out += [f"{row['sender']}  9:{row['id'] % 60:02}", "", row["text"], ""]
    return "\n".join(out).encode()


def line_chat(some):
    out = ["[LINE] 與小美的聊天", "儲存日期：2026/11/01 10:00", ""]
    for row in some:
        if row["id"] % 20 == 0 or row is some[0]:
            out += ["", f"2026/10/{row['id'] // 20 % 28 + 1:02}（六）"]
        text = row["text"].replace('"', '""')
        text = f'"{text}"' if "\n" in text else row["text"]
        out.append(f"上午9:{row['id'] % 60:02}\t{row['sender']}\t{text}")
    return "\r\n".join(out).encode()


def zst(data):
    import zstandard

    return zstandard.compress(data)


MAKERS = {
    "in.jsonl": jsonl,
    "in.json": json_array,
    "in.csv": csv_table,
    "in.tsv": lambda some: csv_table(some, "\t", "gb18030"),
    "in.txt": lines,
    "in.parquet": parquet,
    "in.xml": sms_xml,
    "result.json": telegram,
    "WhatsApp Chat with 人.txt": whatsapp,
    "全部消息记录.txt": qq,
    "wechat.txt": wechat,
    "line.txt": line_chat,
    "in.jsonl.gz": lambda some: gzip.compress(jsonl(some)),
    "in.csv.bz2": lambda some: bz2.compress(csv_table(some)),
    "in.xml.xz": lambda some: lzma.compress(sms_xml(some)),
    "in.jsonl.zst": lambda some: zst(jsonl(some)),
    "excel.csv": lambda some: b"\xef\xbb\xbfsep=;\r\n" + csv_table(some, ";"),
}
"""File names, and what makes such a file of rows."""

CONVERSATION = {"in.txt": None, "in.xml": "conversation", "in.xml.xz": "conversation", "result.json": "conversation"}
TRANSCRIPTS = "WhatsApp Chat with 人.txt", "全部消息记录.txt", "wechat.txt", "line.txt"
CONVERSATION |= dict.fromkeys(TRANSCRIPTS, "conversation")
"""What the column with the conversation is called, where not ``chat``."""


def by(name):
    """The options that ask for conversations."""
    column = CONVERSATION.get(name, "chat")
    return ["--by", column] if column else []


def interrupt(scanner, source, target, options=None):
    """Leave a job half-made, as Ctrl-C does at its first checkpoint."""

    def stop(_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "SECONDS", 0)
        with pytest.raises(KeyboardInterrupt):
            score_dump(scanner, [source], target, options, progress=stop)
