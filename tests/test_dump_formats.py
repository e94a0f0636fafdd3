"""Tests of formats, encodings and archives: the texts of the input are the texts of the output in each of them."""

import bz2
import codecs
import contextlib
import csv
import gzip
import io
import json
import lzma
import os
import pickle
import random
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from encodings.aliases import aliases
from pathlib import Path
from unittest import mock

import dumps
import numpy as np
import pytest
from conftest import ROOT, traced
from dumps import LURE, PLAIN, rows_of, score
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fraudscan
from fraudscan.cli import main
from fraudscan.columns import COLUMNS
from fraudscan.dump import DumpError, Options, chats, documents, parquet, readers, score_dump, tables
from fraudscan.dump.detect import FORMATS
from fraudscan.dump.encodings import canonical, cut_lines, detect, last_line_end, line_end, utf8_lines
from fraudscan.dump.rows import Place
from fraudscan.dump.sources import Head, Stream
from fraudscan.dump.writers import OTHER_FIELDS
from fraudscan.show import shown_name

EXPORTS = ROOT / "examples" / "exports"
DUMPS = (ROOT / "docs" / "dumps.md").read_text("utf-8")


@pytest.mark.parametrize("name", dumps.MAKERS)
def test_every_format_yields_the_input_texts(tmp_path, name):
    rows = dumps.rows(random.Random(0), 120)
    source, out = tmp_path / name, tmp_path / "out.jsonl"
    source.write_bytes(dumps.MAKERS[name](rows))
    assert score(source, "-o", out, "--max-message", 4096) == 0  # several blocks
    found = rows_of(out)
    rejects = rows_of(tmp_path / "out.jsonl.rejects.jsonl") if len(found) < len(rows) else []
    assert len(found) + len(rejects) == len(rows)
    column = next(name for name in ("text", "message") if name in found[0])
    texts = {row["text"] for row in rows}
    assert {row[column].split('\n"第二行"')[0] for row in found} <= texts
    if "csv" not in name and "tsv" not in name:
        counts = sorted(row[column] for row in found)
        rejected = 3 if name in ("in.parquet", "in.xlsx") else 1
        kept = [row for row in rows if rejects == [] or row["id"] % 50 != rejected]
        assert counts == sorted(row["text"] for row in kept)


@pytest.mark.parametrize("command", re.findall(r"`fraudscan (score .*examples/.*)`", DUMPS))
def test_documented_commands_run(tmp_path, monkeypatch, command):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command)) == 0
    (summary,) = tmp_path.glob("out.*.summary.json")
    assert json.loads(summary.read_text("utf-8"))["scored"] > 1


def test_chat_exports_have_conversation_sender_and_time(tmp_path):
    expected = {
        "sms-backup.xml": ("11000000021", "me", "2026-10-01T00:31:00+00:00", "回，中午到"),
        "telegram/result.json": ("100002", "小云", "2026-09-02T01:30:00", "好呀，你那边下雨了吗"),
        "WhatsApp Chat with 陈阿姨.txt": ("陈阿姨", "小刘", "2026/10/6 09:15", "在的阿姨"),
        "全部消息记录.txt": ("阿杰", "小满", "2026-09-12 20:15:41", "卖啊，挂了好几天没人问"),
        "[LINE] 與怡君的聊天.txt": ("怡君", "我", "2026/10/08 下午2:04", "哪裡買的？"),
        "wechat-mail.txt": ("夕阳红养生交流群", "桂兰", "2026-10-08 9:10", "上次领的还没吃完呢"),
    }
    for name, second in expected.items():
        out = tmp_path / "out.jsonl"
        assert score(EXPORTS / name, "-o", out, "--force") == 0
        assert tuple(rows_of(out)[1][column] for column in ("conversation", "sender", "time", "text")) == second


def test_sms_backup_emoji_are_repaired_and_mms_parts_are_joined(tmp_path):
    assert score(EXPORTS / "sms-backup.xml", "-o", tmp_path / "out.jsonl") == 0
    rows = rows_of(tmp_path / "out.jsonl")
    assert rows[0]["text"].endswith("🦀")
    assert rows[-1]["text"].startswith("重阳节免费领鸡蛋")
    assert rows[-1]["kind"] == "mms"


def test_the_sender_of_a_group_mms_is_its_author(tmp_path):
    addresses = '<addrs><addr address="a" type="137" /><addr address="b" type="151" /></addrs>'
    part = f'<parts><part ct="text/plain" text="{PLAIN}" /></parts>'
    mms = "".join(f'<mms address="a~b" msg_box="{box}">{part}{addresses}</mms>' for box in "12")
    (tmp_path / "in.xml").write_text(f"<smses>{mms}</smses>", "utf-8")
    assert score(tmp_path / "in.xml", "-o", tmp_path / "out.jsonl") == 0
    received, sent = rows_of(tmp_path / "out.jsonl")
    assert (received["conversation"], received["sender"]) == ("a~b", "a")
    assert (sent["conversation"], sent["sender"]) == ("a~b", "me")


@given(st.lists(st.sampled_from(["🦀", "好", "&", "&#55357;", "a", "&#55203;"]), max_size=60), st.integers(1, 40))
def test_emoji_in_a_backup_are_repaired_wherever_chunks_end(tmp_path, parts, step):
    body = "".join("&#55358;&#56704;" if part == "🦀" else "&amp;" if part == "&" else part for part in parts)
    source, out = tmp_path / "in.xml", tmp_path / "out.jsonl"
    source.write_text(f'<smses><sms body="{body}" /></smses>', "utf-8")
    with mock.patch.object(chats, "STEP", step):
        assert score(source, "-o", out, "--force", "--quiet") == 0
    assert rows_of(out)[0]["text"] == "".join(parts).replace("&#55357;", "\ufffd").replace("&#55203;", "힣")


def test_one_line_with_a_time_does_not_turn_lines_into_a_chat(tmp_path, capsys):
    lines = [f"普通消息{i}" for i in range(30)]
    for place in (0, 3):
        mixed = [*lines[:place], "2024-03-01 12:00 客服: 你好", *lines[place:]]
        (tmp_path / "in.txt").write_text("\n".join(mixed), "utf-8")
        assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--force") == 0
        assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == mixed
    assert "read as a chat" not in capsys.readouterr().err


def test_a_whatsapp_group_may_begin_with_notices(tmp_path, capsys):
    notices = [f"2024/1/2 下午3:04 - 王老师 添加了成员{i}" for i in range(20)]
    (tmp_path / "in.txt").write_text("\n".join([*notices, f"2024/1/2 下午3:07 - 王老师: {LURE}\n第二行"]), "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    (row,) = rows_of(tmp_path / "out.jsonl")
    assert (row["sender"], row["text"]) == ("王老师", f"{LURE}\n第二行")
    assert (
        "in.txt is read as a chat (whatsapp); if each line is a message, add --format lines" in capsys.readouterr().err
    )


@pytest.mark.parametrize("first", ["与张三的聊天记录", "2024/1/2 下午3:04 - 消息和通话已进行端到端加密。"])
def test_a_whatsapp_chat_may_be_preceded_by_another_line(tmp_path, first):
    chat = f"{first}\n2024/1/2 下午3:04 - 张三: {LURE}\n第二行\n2024/1/2 下午3:05 - 李四: {PLAIN}\n"
    (tmp_path / "in.txt").write_text(chat, "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [f"{LURE}\n第二行", PLAIN]


@pytest.mark.parametrize(
    "notice",
    [
        "消息和通话已进行端到端加密。",
        "消息和通话已进行端到端加密。只有此聊天中的成员可以查看、收听或分享。",
        "消息和通话都进行端到端加密。对话之外的任何人，甚至包含 WhatsApp 都无法读取或收听。",
        "訊息和通話經端對端加密。對話以外的任何人 (即使是 WhatsApp) 均無法查看或聆聽那些內容。",
        "Messages and calls are end-to-end encrypted. Only people in this chat can read, listen to, or share them.",
    ],
)
def test_an_iphone_notice_is_rejected_but_messages_that_resemble_it_are_scored(tmp_path, notice):
    texts = [f"\u200e{notice}{LURE}", f"\u200e{notice}\n{LURE}", f"\u200e{LURE}{notice}", notice, PLAIN]
    chat = "\n".join(f"[2024/1/2 下午3:04:05] 张三: {text}" for text in [f"\u200e{notice}", *texts])
    (tmp_path / "_chat.txt").write_text(chat, "utf-8")
    assert score(tmp_path / "_chat.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == texts
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["reason"], reject["line"]) == ("a notice by WhatsApp itself", 1)


@pytest.mark.parametrize("time", ["2024-01-02 15:0{}", "2024-01-02 15:0{}:30"])
@pytest.mark.parametrize("line", ["{time} {text}", "{text} {time}", "【医院】您预约的就诊时间为 {time}"])
def test_lines_with_times_are_not_a_chat(tmp_path, time, line):
    texts = ["跟着老师操作稳赚不赔", "加微信进内部群，每天领取返利", "到楼下了", "好"]
    lines = [line.format(time=time.format(i), text=text) for i, text in enumerate(texts)]
    (tmp_path / "in.txt").write_text("\n".join(lines), "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == lines


def test_a_time_in_a_message_does_not_split_it(tmp_path):
    plan = "明天开会，安排如下：\n2024-01-05 14:00 三楼会议室\n截止 2024-01-05 14:00"
    (tmp_path / "in.txt").write_text(
        f"张三 2024-01-02 15:04:05\n{plan}\n\n李四 2024-01-02 15:05:10\n{PLAIN}\n", "utf-8"
    )
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [(row["sender"], row["text"]) for row in rows_of(tmp_path / "out.jsonl")] == [
        ("张三", plan),
        ("李四", PLAIN),
    ]


def test_times_above_messages_may_lack_seconds(tmp_path):
    (tmp_path / "in.txt").write_text(f"张三 2024-01-02 15:04\n{PLAIN}\n\n李四 2024-01-02 15:05\n{LURE}\n", "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [(row["sender"], row["text"]) for row in rows_of(tmp_path / "out.jsonl")] == [
        ("张三", PLAIN),
        ("李四", LURE),
    ]


@pytest.mark.parametrize("name", ["短信内容", '"text"', "message"])
def test_a_one_column_table_needs_no_csv_extension(tmp_path, name):
    (tmp_path / "in.txt").write_text(f'{name}\n"第一行\n第二行，""在""里"\n{LURE}\n', "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row[name.strip('"')] for row in rows_of(tmp_path / "out.jsonl")] == ['第一行\n第二行，"在"里', LURE]
    (tmp_path / "in.txt").write_text(f"{name}\n你好, 在吗\n{LURE}\n", "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--force") == 0
    assert [row[name.strip('"')] for row in rows_of(tmp_path / "out.jsonl")] == ["你好, 在吗", LURE]
    (tmp_path / "in.txt").write_text(f"{name}\n1,你好\n2,{PLAIN}\n", "utf-8")  # a title above a table: read as lines
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--force") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [name, "1,你好", f"2,{PLAIN}"]


@pytest.mark.parametrize(
    "lines",
    [
        ["短信,微信我都发了,你看到没", PLAIN, LURE, "好,马上", "在"],
        ["消息;不对", PLAIN],
        ["信息|我看到了", PLAIN, '"好"|', PLAIN],
    ],
)
def test_a_message_that_begins_like_a_header_does_not_turn_lines_into_a_table(tmp_path, lines):
    (tmp_path / "in.txt").write_text("\n".join(lines), "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == lines


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ("", 0),
        ('1,"好,\n你好\n\n在吗"\n', 1),
        ('1,"' + "好\n" * 60 + f'"\n2,{PLAIN}\n', 2),
        (f"1,{PLAIN}\n" * 25 + "一行\n" * 25, 25),
        (f'1,"{PLAIN}\n' * 60, 60),
        ('1,"' + "好" * 200_000, 0),
    ],
    ids=["none", "quoted", "long", "half", "open quotes", "open quote"],
)
def test_a_table_without_a_csv_extension_may_have_malformed_rows(tmp_path, rows, count):
    (tmp_path / "in.txt").write_text(f"id,text\n{rows}", "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == (count == 0 < len(rows))
    assert [set(row) >= {"id", "text"} for row in rows_of(tmp_path / "out.jsonl")] == [True] * count


@pytest.mark.parametrize(
    ("table", "scored"),
    [
        (f'id\ttext\ttime\n1\t"{PLAIN}\t10:00\n2\t{PLAIN}\t10:01\n3\t{PLAIN}\t10:02\n', 2),
        (f"text,time,note\n{PLAIN},10:00\n{PLAIN},10:01,\n", 1),
        (f"text|20240101\n{PLAIN}|a\n", 1),
    ],
    ids=["lone quote", "short rows", "a day"],
)
def test_a_table_without_a_csv_extension_is_recognized_by_its_header(tmp_path, capsys, table, scored):
    (tmp_path / "in.txt").write_text(table, "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert "is read as lines" not in capsys.readouterr().err
    assert [row["text"].strip('"') for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN] * scored


@pytest.mark.parametrize("lines", [['"急！今天不回家', "吃饭了"], ['"今天" 不来', '"急！今天', '在"吗']])
def test_lines_with_quotes_are_not_a_one_column_table(tmp_path, lines):
    (tmp_path / "in.txt").write_text("\n".join(["内容", *lines]), "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == ["内容", *lines]


def test_a_one_column_table_may_be_long(tmp_path):
    with (tmp_path / "in.txt").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *[[f"第{i}行\n{LURE}"] for i in range(40_000)]])
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--quiet") == 0
    assert len(rows_of(tmp_path / "out.jsonl")) == 40_000


def test_null_in_a_backup_means_missing_and_subjects_are_read(tmp_path):
    mms = '<mms msg_box="1" address="1" sub="{}"><parts><part ct="text/plain" text="{}"/></parts></mms>'
    (tmp_path / "in.xml").write_text(
        f"<smses>{mms.format(LURE, 'null')}{mms.format('null', PLAIN)}{mms.format(LURE, PLAIN)}"
        f'<mms msg_box="1" address="null" sub="{LURE}"/><sms address="1" type="1" body="null"/></smses>',
        "utf-8",
    )
    assert score(tmp_path / "in.xml", "-o", tmp_path / "out.jsonl") == 0
    rows = rows_of(tmp_path / "out.jsonl")
    assert [row["text"] for row in rows] == [LURE, PLAIN, f"{LURE}\n{PLAIN}", LURE]
    assert (rows[-1]["conversation"], rows[1]["sub"]) == (None, None)
    assert [row["reason"] for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")] == ["'body' is missing"]


@pytest.mark.parametrize(
    ("question", "answer"),
    [(LURE, "好"), ([LURE[:5], {"type": "bold", "text": LURE[5:]}], [{"type": "plain", "text": "好"}])],
)
def test_a_telegram_poll_is_read(tmp_path, question, answer):
    poll = {"question": question, "closed": False, "answers": [{"text": answer, "voters": 1}, {"text": 3}, None]}
    rows = [{"type": "message", "text": "", "poll": poll}, {"type": "message", "text": PLAIN, "poll": {"question": 1}}]
    (tmp_path / "in.json").write_text(json.dumps({"name": "群", "id": 7, "messages": rows}), "utf-8")
    assert score(tmp_path / "in.json", "-o", tmp_path / "out.jsonl", "--by", "conversation") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [f"{LURE}\n好", PLAIN]
    (found,) = rows_of(tmp_path / "out.jsonl.conversations.jsonl")
    assert (found["conversation"], found["name"], found["messages"]) == ("7", "群", 2)


def test_binary_parquet_columns_that_contain_text_are_read(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"text": [LURE.encode(), b"\xff"], "chat": ["群".encode(), b"b"], "hash": [b"ab", b"\x80"]}
    pq.write_table(
        pa.table({name: pa.array(values, pa.binary()) for name, values in columns.items()}), tmp_path / "in.parquet"
    )
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--by", "chat") == 0
    (row,) = rows_of(tmp_path / "out.jsonl")
    assert (row["text"], row["chat"], row["hash"]) == (LURE, "群", "YWI=")
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["reason"].startswith("not UTF-8")
    (found,) = rows_of(tmp_path / "out.jsonl.conversations.jsonl")
    assert found["conversation"] == "群"


def test_texts_in_gb18030_are_written_as_text_whatever_type_parquet_gives_them(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = pa.array([LURE.encode("gb18030"), PLAIN.encode("gb18030")], pa.binary())
    as_string = pa.Array.from_buffers(pa.string(), 2, texts.buffers())  # Arrow does not check that it is UTF-8
    pq.write_table(pa.table({"text": as_string}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--encoding", "gb18030") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [LURE, PLAIN]


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.parquet"])
def test_a_parquet_file_with_a_damaged_row_group_is_scored_up_to_it(tmp_path, name):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"text": [LURE, PLAIN] * 50, "from": ["95588", "1"] * 50})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=50, compression="gzip")
    data = bytearray((tmp_path / "in.parquet").read_bytes())
    begin = pq.ParquetFile(tmp_path / "in.parquet").metadata.row_group(1).column(0).dictionary_page_offset
    data[begin : begin + 40] = bytes(40)
    (tmp_path / "in.parquet").write_bytes(data)
    (tmp_path / "deny.txt").write_text("sender=95588:\n", "utf-8")
    lists = ["--deny", tmp_path / "deny.txt", "--sender", "from"]
    assert score(tmp_path / "in.parquet", "-o", tmp_path / name, *lists) == 1
    summary = json.loads((tmp_path / f"{name}.summary.json").read_text("utf-8"))
    assert (summary["scored"], summary["rejected"]) == (50, 1)
    assert summary["rules"] == {"deny sender=95588: (deny.txt:1)": 25}


def test_lists_of_bytes_can_name_conversations(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    chats = pa.array([[b"a"], [b"b"]], pa.list_(pa.binary()))
    pq.write_table(pa.table({"text": [LURE, PLAIN], "chat": chats}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--by", "chat") == 0
    assert [row["chat"] for row in rows_of(tmp_path / "out.jsonl")] == [["YQ=="], ["Yg=="]]
    assert len(rows_of(tmp_path / "out.jsonl.conversations.jsonl")) == 2


@pytest.mark.parametrize(
    ("content", "options", "advice"),
    [
        ('["一", "二"]', (), "not a JSON object but a list: jq '.[]' takes it apart"),
        ('{"text": "一"}\n"二"', (), "not a JSON object but a string: jq '{text: .}' makes it an object"),
        ('{"text": {"0": "一"}}', (), "'text' is not a text: if pandas wrote it, orient='records'"),
        ('{"content": {"body": "一"}}', ("--text", "content.body"), "Extract it from 'content' first"),
    ],
)
def test_other_json_structures_are_reported_with_advice(tmp_path, capsys, content, options, advice):
    (tmp_path / "in.jsonl").write_text(content, "utf-8")
    score(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", *options)
    assert advice in capsys.readouterr().err


def test_telegram_messages_keep_their_other_fields_and_notices_are_rejected(tmp_path):
    assert score(EXPORTS / "telegram", "-o", tmp_path / "out.jsonl") == 0  # a folder
    rows = rows_of(tmp_path / "out.jsonl")
    photo = next(row for row in rows if "photo" in row)
    assert (photo["width"], photo["conversation_name"]) == (1080, "高中同学群")
    assert "收到 @all 我带两瓶酒" in [row["text"] for row in rows]
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["reason"] == "a notice by Telegram itself"
    raw = (EXPORTS / "telegram" / "result.json").read_bytes()
    assert raw[reject["offset"] :].startswith(reject["raw"].encode())


def test_messages_of_other_programs_are_not_telegram_notices(tmp_path):
    rows = [{"type": "Default", "content": PLAIN}, {"type": "service", "text": ""}, {"type": "message", "text": PLAIN}]
    (tmp_path / "in.json").write_text(json.dumps({"guild": {}, "messages": rows}), "utf-8")
    assert score(tmp_path / "in.json", "-o", tmp_path / "out.jsonl") == 0
    reasons = [row["reason"] for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")]
    assert reasons == ["'type' is not 'message'", "a notice by Telegram itself"]


def test_an_export_that_resembles_telegrams_says_where_its_text_is_and_how_to_read_it(tmp_path, capsys):
    rows = [{"id": 1, "type": "message", "content": LURE, "createTime": 1}]
    export = json.dumps({"name": "陈", "type": "private", "messages": rows}, indent=1)
    (tmp_path / "in.json").write_text(export, "utf-8")
    assert score(tmp_path / "in.json", "-o", tmp_path / "out.jsonl") == 1
    reason = "'text' is missing, but 'content' is there; if this is not an export of Telegram, add --format json"
    assert f"no row was scored: all 1 were rejected: {reason}" in capsys.readouterr().err


def test_whatsapp_messages_may_span_several_lines(tmp_path):
    assert score(EXPORTS / "WhatsApp Chat with 陈阿姨.txt", "-o", tmp_path / "out.csv") == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8"))))
    assert "\n还能优先入住，你帮我看看靠谱不" in rows[2]["text"]
    source = tmp_path / "_chat.txt"
    source.write_text("\u200e[2026/10/6 下午9:05:11] 妈: 早\n还有\n[2026/10/6 下午9:06:00] 我: 好\n", "utf-8")
    assert score(source, "-o", tmp_path / "ios.jsonl") == 0
    assert [(row["sender"], row["text"]) for row in rows_of(tmp_path / "ios.jsonl")] == [
        ("妈", "早\n还有"),
        ("我", "好"),
    ]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("WhatsApp Chat with Dr. Li.txt", "Dr. Li"),
        ("WhatsApp Chat with 陈阿姨.TXT", "陈阿姨"),
        ("与陈阿姨的 WhatsApp 聊天.txt", "陈阿姨"),
        ("和平饭店.txt", "和平饭店"),
        ("WhatsApp Chat - 陈阿姨/_chat.txt", "陈阿姨"),
        ("李总/_chat.txt", "李总"),
        (".txt", ".txt"),
    ],
)
def test_a_whatsapp_conversation_is_named_after_the_other_party(tmp_path, file, name):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("[2026/1/5 15:04:05] 李: 好\n", "utf-8")
    assert score(tmp_path / file, "-o", tmp_path / "out.jsonl") == 0
    assert rows_of(tmp_path / "out.jsonl")[0]["conversation"] == name


@pytest.mark.parametrize(
    "time",
    [
        *(
            f"2026/1/5 {part}5:04"
            for part in ("上午", "中午", "清晨", "早晨", "早上", "傍晚", "晚上", "午夜", "半夜", "深夜")
        ),
        "2026年1月5日下午3:04",
        "2026/1/5 3:04 下午",
        "5/1/26, 3:04 p.\xa0m.",
        "5/1/26, 3:04\u202fp.\u202fm.",
        "1/5/26, 3:04\u202fPM",
        "5/1/2026, 3:04 PTG",
    ],
)
def test_whatsapp_times_are_read_in_many_formats(tmp_path, time):
    source = tmp_path / "in.txt"
    for line in (f"{time} - 李: 好\n", f"[{time}] 李: 好\n"):
        source.write_text(f"{line}第二行\n{line}", "utf-8")
        assert score(source, "-o", tmp_path / "out.jsonl", "--force") == 0
        rows = rows_of(tmp_path / "out.jsonl")
        assert [(row["sender"], row["time"], row["text"]) for row in rows] == [
            ("李", time, "好\n第二行"),
            ("李", time, "好"),
        ]


def test_a_qq_export_of_all_chats_gives_the_conversation_and_sender_of_each_message(tmp_path):
    out = tmp_path / "out.jsonl"
    assert score(EXPORTS / "全部消息记录.txt", "-o", out) == 0
    last = rows_of(out)[-1]
    assert (last["conversation"], last["sender"]) == ("三年二班家长群", "轩轩妈妈(011003)")
    assert "\n链接我发你" in rows_of(out)[2]["text"]
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["reason"], reject["line"]) == ("a notice by QQ itself", 31)
    assert (EXPORTS / "全部消息记录.txt").read_bytes()[reject["offset"] :].startswith(reject["raw"].encode())


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
@pytest.mark.parametrize("name", ["全部消息记录.txt", "wechat.txt", "line.txt"])
def test_transcripts_keep_chat_day_and_text_across_blocks(tmp_path, name, encoding):
    records = dumps.rows(random.Random(3), 400)
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_bytes(dumps.MAKERS[name](records).decode("utf-8-sig").encode(encoding))
    assert score(source, "-o", out, "--max-message", 4096) == 0  # many blocks
    found = rows_of(out)
    assert [row["text"] for row in found] == [row["text"] for row in records]
    if name != "全部消息记录.txt":
        assert {row["conversation"] for row in found} == {"群" if name == "wechat.txt" else "小美"}
        assert [int(row["time"].split()[0][-2:]) for row in found] == [1 + i // 20 for i in range(400)]
    else:
        assert [row["conversation"] for row in found] == [row["chat"] for row in records]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "阿杰 2026/9/12 20:15:03\n在吗\n\n小满 2026/9/12 20:16:00\n在\n",
            [("阿杰", "2026/9/12 20:15:03", "在吗"), ("小满", "2026/9/12 20:16:00", "在")],
        ),
        (
            "2026-09-12 下午 8:15:03 阿杰\n在吗\n\n2026-09-12 8:16:00 PM A，B(12345)\n在\n",
            [("阿杰", "2026-09-12 下午 8:15:03", "在吗"), ("A，B(12345)", "2026-09-12 8:16:00 PM", "在")],
        ),
        (
            "2026-9-12 9:15:03 阿杰\n看\n2026-9-12 9:15:03 订单，已发货\n\n2026-9-12 9:16:00 a<a@b.c>\n在",
            [
                ("阿杰", "2026-9-12 9:15:03", "看\n2026-9-12 9:15:03 订单，已发货"),
                ("a<a@b.c>", "2026-9-12 9:16:00", "在"),
            ],
        ),
        (
            "2026-9-12 9:15:03 阿杰\n\n\n2026-9-12 9:16:00 小满\n在\n",
            [("阿杰", "2026-9-12 9:15:03", ""), ("小满", "2026-9-12 9:16:00", "在")],
        ),
    ],
)
def test_time_and_name_are_read_from_the_line_above_each_message(tmp_path, text, expected):
    (tmp_path / "in.txt").write_text(text, "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [(row["sender"], row["time"], row["text"]) for row in rows_of(tmp_path / "out.jsonl")] == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-09-12 20:15:03 您的包裹已到\n2026-09-12 20:15:04 您的验证码是1234\n",
        "2026-09-12 20:15:03 您的包裹已到\n请查收\n",
        "今晚八点  20:00\n不见不散\n明天  20:00\n",
    ],
)
def test_lines_that_begin_with_a_time_are_not_a_transcript(tmp_path, text):
    (tmp_path / "in.txt").write_text(text, "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == text.splitlines()


def test_transcript_lines_outside_messages_and_headings_are_rejected(tmp_path):
    rule = "=" * 64
    head = f"消息记录（此消息记录为文本格式，不支持重新导入）\n{rule}\n消息对象:阿杰\n{rule}\n"
    text = f"{head}多出来的\n2026-09-12 20:15:03 阿杰\n在\n"
    (tmp_path / "in.txt").write_text(text, "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == ["在"]
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["reason"], reject["line"]) == ("no message begins here", 2)


RULE = "=" * 64
HEADING = f"{RULE}\n消息分组:我的好友\n{RULE}\n消息对象:{{}}\n{RULE}"


@pytest.mark.parametrize("title", ["", f"消息记录（文本）\n\n{HEADING.format('阿杰')}\n\n"])
@pytest.mark.parametrize(
    "lines",
    [
        f"{RULE}\n{LURE}",
        f"看\n\n{RULE}\n{LURE}\n{RULE}",
        f"消息记录（{LURE}",
        f"看\n\n消息记录（{LURE}\n\n{LURE}",
        f"看\n{HEADING.format('妈妈')}",
        f"看\n\n{HEADING.format('妈妈')}\n{LURE}",
        f"看\n\n{HEADING.format('妈妈')}\n\n{HEADING.format('妈妈')}\n\n{LURE}",
        f"看\n\n{HEADING.format('妈妈')}\n\n2026-09-12 20:16:00 妈妈，{LURE}",
        f"看\n\n{HEADING.format('妈妈' + 3 * LURE)}",
        f"看\n\n{RULE}\n消息对象:妈妈\n\n{LURE}",
    ],
)
def test_qq_rules_and_headings_inside_a_message_do_not_hide_any_of_it(tmp_path, title, lines):
    chat = f"{title}2026-09-12 20:15:03 阿杰\n{lines}\n\n2026-09-12 20:17:00 小满\n{PLAIN}\n"
    for end in ("\n", "\r\n"):
        (tmp_path / "阿杰.txt").write_text(chat, "utf-8", newline=end)
        assert score(tmp_path / "阿杰.txt", "-o", tmp_path / "out.jsonl", "--force") == 0
        rows = rows_of(tmp_path / "out.jsonl")
        assert [row["text"].replace("\r", "") for row in rows] == [lines, PLAIN]
        assert {row["conversation"] for row in rows} == {"阿杰"}
        assert not (tmp_path / "out.jsonl.rejects.jsonl").exists()


QQ_PIECES = st.sampled_from(["", "", "好", "长" * 500, RULE, RULE, "消息分组:甲", "消息对象:乙", HEADING, "消息记录（"])


@settings(max_examples=100)
@given(st.lists(st.lists(QQ_PIECES, max_size=8).map("\n".join), min_size=20, max_size=40))
def test_rules_in_qq_messages_hide_nothing_wherever_blocks_end(tmp_path, pieces):
    texts = [f"{piece}\n好{i}" if i % 3 else f"{i}\n{piece}" for i, piece in enumerate(pieces)]
    messages = [f"2026-09-12 20:15:03 人({i})\n{text}\n" for i, text in enumerate(texts)]
    data = "\n".join(["消息记录（文本）\n", HEADING.format("群"), "", *messages])
    (tmp_path / "qq.txt").write_text(data, "utf-8")
    found = []
    for limit in (1 << 20, 1 << 14):
        assert score(tmp_path / "qq.txt", "-o", tmp_path / "out.jsonl", "--force", "--max-message", limit) == 0
        found.append([(row["conversation"], row["sender"], row["text"]) for row in rows_of(tmp_path / "out.jsonl")])
        assert not (tmp_path / "out.jsonl.rejects.jsonl").exists()
    assert found[0] == found[1]
    assert [sender for _, sender, _ in found[0]] == [f"人({i})" for i in range(len(texts))]
    for text, (_, _, scored) in zip(texts, found[0], strict=True):
        assert scored in text
        rest = text.removeprefix(text.partition(scored)[0] + scored).strip()  # pieces may form a whole heading
        assert not rest or re.fullmatch(rf"{RULE}\n(消息分组:.*\n{RULE}\n)?消息对象:.*\n{RULE}", rest)


def test_parquet_keeps_its_types_and_converts_to_json(tmp_path):
    import pyarrow.parquet

    assert score(EXPORTS / "messages.parquet", "-o", tmp_path / "out.parquet") == 0
    before = pyarrow.parquet.read_table(EXPORTS / "messages.parquet")
    after = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert after.column_names == [*before.column_names, *COLUMNS]
    assert after.select(before.column_names).equals(before.slice(0, 2))
    assert after["fraud_label"].to_pylist() == ["investment", "legitimate"]
    assert after["fraud_labels"].to_pylist()[0][0] == "investment"
    assert score(EXPORTS / "messages.parquet", "-o", tmp_path / "out.jsonl") == 0
    assert rows_of(tmp_path / "out.jsonl")[0]["sent"].startswith("2026-10-07 09:00")
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["offset"], reject["reason"]) == (2, "'message' is missing")


def test_a_nested_or_numeric_parquet_column_is_not_accepted_as_the_text(tmp_path, capsys):
    import pyarrow as pa
    import pyarrow.parquet

    nested = pa.array([{"content": PLAIN}]), pa.array([[PLAIN]])
    for message, advice in zip(nested, ("col('message.…')", "concat_ws(' ', col('message'))"), strict=True):
        pyarrow.parquet.write_table(pa.table({"message": message, "id": [1]}), tmp_path / "in.parquet")
        assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl") == 2
        error = "'message' is not a text: make a text column from it first, in Spark with withColumn('text', "
        assert f"{error}{advice})\n" in capsys.readouterr().err
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--text", "message.content") == 2
    assert "Extract it from 'message' first, e.g. with Spark or pandas" in capsys.readouterr().err
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--text", "id") == 1


def test_parquet_metadata_that_contradict_each_other_are_reported(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    path = tmp_path / "in.parquet"
    pyarrow.parquet.write_table(pa.table({"text": [PLAIN], "id": ["a"]}), path)
    optional, required = b"\x25\x02\x18\x02id", b"\x25\x00\x18\x02id"  # of the schema; the statistics disagree
    data = path.read_bytes()
    assert data.count(optional) == 1
    path.write_bytes(data.replace(optional, required))
    command = [sys.executable, "-m", "fraudscan", "score", path, "-o", tmp_path / "out.jsonl"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # the process used to abort
    assert ran.returncode == 1
    assert "cannot be read any further" in ran.stderr


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_nested_parquet_values_that_python_cannot_hold_are_written(tmp_path, ending):
    import pyarrow as pa
    import pyarrow.parquet

    bounds = pa.py_buffer(np.array([0, 2, 3], np.int32).tobytes())
    strings = pa.StringArray.from_buffers(2, bounds, pa.py_buffer(b"\xff\xfea"))
    times = pa.array([1 << 61, 5_000_000], pa.timestamp("us"))
    each = pa.array([0, 1, 2], pa.int32())
    columns = {
        "list": pa.ListArray.from_arrays(each, strings),
        "struct": pa.StructArray.from_arrays([strings, times], ["a", "b"]),
        "map": pa.MapArray.from_arrays(each, pa.array(["k", "l"]), strings),
        "twins": pa.StructArray.from_arrays([pa.array([1, 2]), pa.array([3, 4])], ["a", "a"]),
    }
    pyarrow.parquet.write_table(pa.table({"text": [LURE, PLAIN], **columns}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / f"out.{ending}") == 0
    if ending == "jsonl":
        first, second = rows_of(tmp_path / "out.jsonl")
        struct, twins = {"a": "//4=", "b": f"{1 << 61}us"}, [["a", 1], ["a", 3]]
        assert [first[name] for name in columns] == [["//4="], struct, [["k", "//4="]], twins]
        struct, twins = {"a": "a", "b": "1970-01-01 00:00:05"}, [["a", 2], ["a", 4]]
        assert [second[name] for name in columns] == [["a"], struct, [["l", "a"]], twins]
    if ending == "parquet":
        kept = pyarrow.parquet.read_table(tmp_path / "out.parquet").select(list(columns))
        assert kept.equals(pa.table(columns))


def test_parquet_view_types_are_kept_if_a_text_is_missing(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    kinds = {"text": pa.string_view(), "raw": pa.binary_view(), "n": pa.int8()}
    before = pa.table([[LURE, None, PLAIN], [b"a", b"b", None], [1, 2, 3]], schema=pa.schema(list(kinds.items())))
    pyarrow.parquet.write_table(before, tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet") == 0
    after = pyarrow.parquet.read_table(tmp_path / "out.parquet").select(before.column_names)
    assert after.equals(pa.concat_tables([before.slice(0, 1), before.slice(2)]))


@pytest.mark.parametrize("name", [name for name in dumps.MAKERS if name != "in.xlsx"])  # its cells have a limit
def test_a_row_may_be_as_long_as_max_message_in_any_format(tmp_path, name):
    texts = [LURE * 2400, "第二行", LURE * 4400, LURE, PLAIN]  # 180,000 and 330,000 bytes; in UTF-16, 220,000
    rows = [
        {"id": i, "chat": "c", "sender": "人", "text": text} for i, text in zip((1, 2, 4, 5, 6), texts, strict=True)
    ]
    source, out = tmp_path / name, tmp_path / "out.jsonl"
    source.write_bytes(dumps.MAKERS[name](rows))
    csv.field_size_limit(1 << 17)  # Python's default, which other tests may have raised
    assert score(source, "-o", out, "--max-message", 200_000) == 0
    assert [row["text"] for row in rows_of(out) if row["text"] != texts[1]] == [texts[0], *texts[3:]]
    rejects = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    (reject,) = [row for row in rejects if row["raw"] != "{broken"]  # which is the second row of JSON Lines
    assert reject["reason"] == readers.TOO_LONG
    assert 0 < len(reject["raw"].encode()) <= 4 * readers.SHOWN
    assert len(rows_of(out)) + len(rejects) == len(rows)


def blocks_from_anywhere(reader, data):
    """Return the blocks of a document; they are the same wherever reading begins."""
    blocks = list(reader.blocks(Head(data), Place(0, 1)))
    for number, block in enumerate(blocks):
        assert list(reader.blocks(Head(data), block.end)) == blocks[number + 1 :]
    return blocks


JSON_PIECES = st.sampled_from(["好", "a" * 1500, '"', "\\", "\n", "[{", "}]", ",", "🦀", "\ud800"])


@settings(max_examples=50)
@given(st.lists(st.lists(JSON_PIECES, max_size=9).map("".join), max_size=6), st.integers(20, 3000), st.booleans())
def test_json_elements_that_are_too_long_are_rejected(tmp_path, texts, step, chat):
    source, out = tmp_path / "in.json", tmp_path / "out.jsonl"
    elements = [json.dumps({"text": text}, ensure_ascii=len(texts) % 2 == 0) for text in texts]
    elements = [element.encode("utf-8", "backslashreplace") for element in elements]
    elements.insert(len(elements) // 2, json.dumps("".join(texts) * 3).encode())  # not a row, whatever its length
    begin, end = (b'{"picture": ' + json.dumps('\\"' * 3000).encode() + b', "messages": ', b"}") if chat else (b"", b"")
    data = begin + b"[\n" + b",\n".join(elements) + b"]" + end
    source.write_bytes(data)
    named = ["--format", "telegram" if chat else "json", "--encoding", "utf-8", "--max-message", 4096]
    with mock.patch.object(documents, "STEP", step):
        status = score(source, "-o", out, "--force", "--quiet", *named)
        assert status == (not rows_of(out))
        blocks_from_anywhere(FORMATS[named[1]]("x", "utf-8", text="text", limit=4096), data)
    short = [json.loads(element) for element in elements if len(element) <= 4096]
    assert [row["text"] for row in rows_of(out)] == [row["text"] for row in short if isinstance(row, dict)]
    rejects = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert len(rejects) + len(rows_of(out)) == len(elements)
    for reject in rejects:
        assert (reject["reason"] == readers.TOO_LONG) == (len(reject["raw"].encode()) == readers.SHOWN)
        assert data[reject["offset"] :].startswith(reject["raw"].encode())
        assert data[: reject["offset"]].count(b"\n") + 1 == reject["line"]


LAYOUTS = {
    "lines": (None, "[\n", ",\n", "\n]\n"),
    "lines of PostgreSQL": (None, "[", ", \n ", "]"),
    "commas first": (None, "[", "\n,", "\n]"),
    "commas first, below the bracket": (None, "[\n", "\n,", "\n]"),
    "commas alone": (None, "[\n", "\n,\n", "\n]"),
    "indented": (2, "[\n", ",\n", "\n]"),
    "brackets together": (2, "[", ", ", "]"),
    "one line": (None, "[", ", ", "]"),
}
"""Maps a layout of JSON arrays to the indentation of the elements, and what is before, between and after them."""


def laid_out(rows, layout):
    indent, *parts = LAYOUTS[layout]
    elements = [json.dumps(row, ensure_ascii=False, indent=indent) for row in rows]
    if layout == "indented":
        elements = ["  " + element.replace("\n", "\n  ") for element in elements]
    return elements, parts


def array_rows(data, step, limit=1 << 20):
    """Return the texts and rejects of a JSON array that is read ``step`` bytes at a time."""
    reader = FORMATS["json"]("x", "utf-8", text="text", limit=limit)
    with mock.patch.object(documents, "STEP", step):
        blocks = blocks_from_anywhere(reader, data)
    batches = [reader.batch([block]) for block in blocks]
    assert not any(block.fatal for block in blocks)
    return [text for batch in batches for text in batch.texts], [x for batch in batches for x in batch.rejects]


FAULTS = ['15" 的', '"', '"好"', '" "', '":', '"{', '"[', '"]', "\n", "\\", '",\n"', '", "', '"a": "']


@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.sets(st.integers(0, 19), min_size=1, max_size=5),
    st.sampled_from(FAULTS),
    st.sampled_from(["text", "tag"]),
    st.integers(1, 3000),
)
@settings(max_examples=300)
def test_a_stray_quote_costs_one_element_of_an_array(layout, faulty, fault, where, step):
    rows = [
        {"id": i, "text": f"{PLAIN}{i}", "tags": [f"tag{i}", {"name": "[}"}], "user": {"n": [1]}} for i in range(20)
    ]
    elements, (before, between, after) = laid_out(rows, layout)
    for i in faulty:
        elements[i] = re.sub(f'({PLAIN if where == "text" else "tag"}{i})"', lambda m: f'{m[1]}{fault}"', elements[i])
    data = (before + between.join(elements) + after).encode()
    texts, rejects = array_rows(data, step)
    for i, element in enumerate(elements):
        with contextlib.suppress(ValueError):
            json.loads(element)
            faulty = faulty - {i}  # two texts instead of one, for example
    assert [text for i, text in enumerate(texts) if text in {row["text"] for row in rows}] == [
        row["text"] for i, row in enumerate(rows) if i not in faulty
    ]
    assert [reject.raw for reject in rejects] == [elements[i].strip() for i in sorted(faulty)]
    for reject in rejects:
        assert reject.reason == "not JSON"
        assert data[reject.offset :].startswith(reject.raw.encode())
        assert data[: reject.offset].count(b"\n") + 1 == reject.line


json_items = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5) | st.sampled_from(['"', "{[", "]},"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=5), json_items, max_size=4), max_size=6),
    st.sampled_from([None, 0, 1, "\t"]),
    st.booleans(),
    st.integers(1, 3000),
)
@settings(max_examples=200)
def test_any_elements_of_an_array_are_read_whole(rows, indent, escaped, step):
    rows = [{**row, "text": f"{PLAIN}{i}"} for i, row in enumerate(rows)]
    data = json.dumps(rows, indent=indent, ensure_ascii=escaped).encode("utf-8", "backslashreplace")
    texts, rejects = array_rows(data, step)
    assert (texts, rejects) == ([row["text"] for row in rows], [])


@pytest.mark.parametrize("cut", ['{"id": 9, "text": "你', '{"id": 9, "text": "你"', '{"id": 9, "tags": ["a",\n', ""])
@pytest.mark.parametrize("step", [7, 1 << 16])
def test_an_array_that_is_cut_and_joined_to_another_loses_no_row(cut, step):
    rows = [{"id": i, "text": f"{PLAIN}{i}"} for i in range(500)]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    texts, rejects = array_rows(f"[\n{lines},\n{cut}[\n{lines}\n]\n".encode(), step, limit=4096)
    assert texts == [row["text"] for row in rows] * 2
    assert len(rejects) == 1


def test_a_broken_element_is_rejected_wherever_blocks_end(tmp_path):
    source, out = tmp_path / "in.json", tmp_path / "out.jsonl"
    rows = [f'{{"id":{i},"text":"{PLAIN}{i}"}}' for i in range(40_000)]
    for i in (10, 39_000):
        rows[i] = rows[i].replace(PLAIN, f'{PLAIN}" ')
    source.write_text("[\n" + ",\n".join(rows) + "\n]\n", "utf-8")
    assert score(source, "-o", out) == 0
    assert len(rows_of(out)) == 39_998
    rejects = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert [(row["line"], row["reason"], row["raw"]) for row in rejects] == [
        (12, "not JSON", rows[10]),
        (39_002, "not JSON", rows[39_000]),
    ]


XML_PIECES = st.sampled_from(["好", "a" * 1500, "&#55358;&#56704;", "'", "&gt;", ">", "\n", "&amp;" * 400, "/"])


@given(st.lists(st.tuples(*[st.lists(XML_PIECES, max_size=6).map("".join)] * 3), max_size=5), st.integers(1, 3000))
def test_pictures_in_a_backup_do_not_count_and_messages_that_are_too_long_are_rejected(tmp_path, messages, step):
    source, out = tmp_path / "in.xml", tmp_path / "out.jsonl"
    items, texts = [], []
    for body, text, picture in messages:
        part = f'<part ct="text/plain" text="{text}"/>\n'
        parts = f"<part text='null' ct='image/jpeg' data=\"{picture * 9}\"/>{part}{part if len(body) % 2 else ''}"
        items += [f'<sms address="1" body="{body}" />', f"<mms msg_box='1'><parts>{parts}</parts></mms>"]
        texts += [body, "\n".join(filter(None, re.findall(r'(?<=plain" text=")[^"]*', parts)))]
    source.write_text("<smses>" + "\n".join(items) + "\n</smses>", "utf-8", newline="")
    with mock.patch.object(chats, "STEP", step):
        assert score(source, "-o", out, "--force", "--quiet", "--max-message", 4096) == 0
        blocks_from_anywhere(FORMATS["sms-xml"]("x", "utf-8", text="text", limit=4096), source.read_bytes())
    found = [row["text"] for row in rows_of(out)]
    rejects = rows_of(tmp_path / "out.jsonl.rejects.jsonl") if len(found) < len(items) else []
    assert len(found) + len(rejects) == len(items)
    for text in texts:  # a line feed in an attribute value is read as a blank
        plain = text.replace("&#55358;&#56704;", "🦀").replace("&gt;", ">").replace("&amp;", "&")
        if len(text.encode()) < 3900:
            assert any(row.replace("\n", " ") == plain.replace("\n", " ") for row in found)
        elif len(plain.encode()) > 4096:
            assert not any(row.replace("\n", " ") == plain.replace("\n", " ") for row in found)
    for reject in rejects:
        assert reject["reason"] == readers.TOO_LONG
        assert source.read_bytes()[reject["offset"] :].startswith(b"<" + json.dumps(reject["raw"])[14:17].encode())
        assert source.read_bytes()[: reject["offset"]].count(b"\n") + 1 == reject["line"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("in.json", ('[{"text": "', '"}, {"text": "', '"}]')),
        ("in.xml", ('<smses><sms body="', '"/><sms body="', '"/></smses>')),
    ],
)
def test_memory_does_not_grow_with_the_size_of_an_element(tmp_path, scanner, name, parts):
    source, size = tmp_path / name, 30_000_000
    begin, between, end = parts
    scanner.classify(PLAIN)  # loads what it needs
    source.write_text(f"{begin}{PLAIN}{between}{'a' * size}{between}{PLAIN}{end}", "utf-8")
    with traced() as memory:
        summary = score_dump(scanner, [source], tmp_path / "out.jsonl", Options(max_message=1 << 16))
        assert memory()[1] < size // 2
    assert (summary.scored, summary.rejected) == (2, 1)


def test_memory_does_not_grow_with_the_fields_before_the_rows(tmp_path, scanner):
    source, count = tmp_path / "result.json", 100_000
    fields = "".join(f'"field {i}": "{"x" * 50}", ' for i in range(count))
    message = json.dumps({"id": 1, "type": "message", "text": PLAIN})
    source.write_text(f'{{"id": 7, {fields}"name": "人", "messages": [{message}]}}', "utf-8")
    scanner.classify(PLAIN)  # loads what it needs
    with traced() as memory:
        score_dump(scanner, [source], tmp_path / "out.jsonl", Options(format="telegram"))
        assert memory()[1] < source.stat().st_size
    (row,) = rows_of(tmp_path / "out.jsonl")
    assert (row["conversation"], row["conversation_name"]) == ("7", "人")


@pytest.mark.parametrize("size", [0, 4095, 2**30 + 1, 10**30])
def test_max_message_outside_its_range_is_refused(tmp_path, capsys, size):
    (tmp_path / "in.jsonl").write_text("{}")
    assert score(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", "--max-message", size) == 2
    assert "--max-message must be 4,096 to 1,073,741,824 bytes" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["in.parquet", "in.csv", "in.jsonl"])
def test_parquet_without_rows_has_all_columns(tmp_path, name):
    import pyarrow as pa
    import pyarrow.parquet

    source, out = tmp_path / name, tmp_path / "out.parquet"
    if name == "in.parquet":
        pyarrow.parquet.write_table(pa.table({"n": pa.array([], pa.int8()), "text": pa.array([], pa.string())}), source)
    else:
        source.write_text("n,text\n" if name == "in.csv" else "")
    assert score(source, "-o", out, "--proba") == 0
    found = pyarrow.parquet.read_table(out)
    assert set(COLUMNS) <= set(found.column_names)
    assert found.schema.field("fraud_score").type == found.schema.field("fraud_p_games").type == pa.float64()
    assert found.schema.field("fraud_labels").type.value_type == pa.string()
    if name == "in.parquet":
        assert found.schema.field("n").type == pa.int8()
        full = pa.table({"n": pa.array([1], pa.int8()), "text": [LURE]})
        pyarrow.parquet.write_table(full, source)
        assert score(source, "-o", out, "--proba", "--force") == 0
        assert pyarrow.parquet.read_table(out).schema == found.schema


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_parquet_in_a_folder_whose_name_is_not_unicode(tmp_path):
    folder = tmp_path / os.fsdecode("案件".encode("gbk"))  # as in archives from Windows
    folder.mkdir()
    shutil.copy(EXPORTS / "messages.parquet", folder)
    assert score(folder / "messages.parquet", "-o", folder / "out.parquet") == 0
    assert score(folder / "out.parquet", "-o", folder / "out.jsonl") == 0
    assert len(rows_of(folder / "out.jsonl")) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_undecodable_bytes_in_names_of_files_are_shown_alike_in_all_outputs(tmp_path, ending, capsys):
    pq = pytest.importorskip("pyarrow.parquet")
    folder, out = tmp_path / os.fsdecode("案件".encode("gbk")), tmp_path / f"out.{ending}"
    names = [f"{tmp_path}/\\xb0\\xb8\\xbc\\xfe/{name}" for name in ("a.jsonl", "b.jsonl.gz")]
    folder.mkdir()
    (folder / "a.jsonl").write_text(f'{{"text": "{LURE}"}}\n{{\n', "utf-8")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(f'{{"text": "{PLAIN}"}}\n'.encode())[:-4])
    (folder / "deny.txt").write_text("加微信\n", "utf-8")
    options = "--filenames", "--deny", folder / "deny.txt", "--exclude", "deny.txt"
    assert score(folder, "-o", out, *options, "--by", os.fsdecode(b"\xff"), "--by", "text") == 1  # one is damaged
    assert f"{names[1]} cannot be read to its end" in capsys.readouterr().err
    if ending == "parquet":
        rows = pq.read_table(out).to_pylist()
    else:
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(map(json.loads, file) if ending == "jsonl" else csv.DictReader(file))
    assert [row["fraud_source"] for row in rows] == names
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


def test_timestamps_in_an_unknown_time_zone_are_in_utc(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    source, out = tmp_path / "in.parquet", tmp_path / "out.jsonl"
    for zone, expected in [("Nowhere/Zone", "1970-01-01 00:00:01Z"), ("+08:00", "1970-01-01 08:00:01+0800")]:
        moments = pa.array([1, None, 2], pa.timestamp("s", zone))
        pyarrow.parquet.write_table(pa.table({"text": [PLAIN, PLAIN, None], "time": moments}), source)
        assert score(source, "-o", out, "--force") == 0
        assert [(row["time"] or "").replace(".000", "") for row in rows_of(out)] == [expected, ""]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_durations_are_written_with_their_unit(tmp_path, unit):
    import pyarrow as pa
    import pyarrow.parquet

    values = pa.array([86_400_000_001, 0, -1, None], pa.duration(unit))
    pyarrow.parquet.write_table(pa.table({"text": [PLAIN] * 4, "took": values}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl") == 0
    found = [row["took"] for row in rows_of(tmp_path / "out.jsonl")]
    assert found == [f"86400000001{unit}", f"0{unit}", f"-1{unit}", None]


@given(st.lists(st.one_of(st.none(), st.just(0.1), st.floats(width=32)), min_size=1))
@settings(max_examples=10)
def test_floats_of_32_bits_are_written_with_their_own_digits(tmp_path, values):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    known = np.array([np.nan if value is None else value for value in values], np.float32)
    table = pa.table({"text": [PLAIN] * len(values), "amount": pa.array(values, pa.float32())})
    pq.write_table(table, tmp_path / "in.parquet")
    shown = ["" if value is None else repr(float(str(number))) for value, number in zip(values, known, strict=True)]
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.csv", "--force") == 0
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["amount"] for row in csv.DictReader(file)] == shown
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--force") == 0
    finite = [float(text) if text not in {"", "nan", "inf", "-inf"} else None for text in shown]
    assert [row["amount"] for row in rows_of(tmp_path / "out.jsonl")] == finite
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", "--force") == 0
    assert pq.read_table(tmp_path / "out.parquet")["amount"].type == pa.float32()


def test_numbers_that_json_cannot_represent_are_null(tmp_path):
    import orjson
    import pyarrow.parquet

    source, out = tmp_path / "in.parquet", tmp_path / "out.jsonl"
    rows = [{"text": PLAIN, "f": float("nan"), "g": [1.5, float("-inf")]}, {"text": None, "f": float("inf"), "g": []}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), source)
    assert score(source, "-o", out) == 0
    row = orjson.loads(out.read_bytes())
    assert (row["text"], row["f"], row["g"]) == (PLAIN, None, [1.5, None])
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert orjson.loads(reject["raw"])["f"] is None


def test_json_lines_to_parquet_unifies_the_types_of_blocks(tmp_path):
    import pyarrow.parquet

    source, out = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    rows = [
        {"text": PLAIN, "n": i if i < 90 else i + 0.5, "m": None if i < 90 else "x", "k": [i, "x"]} for i in range(99)
    ]
    rows[98]["late"] = 1
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert score(source, "-o", out, "--max-message", 4096) == 0
    found = pyarrow.parquet.read_table(out).to_pylist()
    assert [row["n"] for row in found] == [row["n"] for row in rows]
    assert [row["m"] for row in found] == [row["m"] for row in rows]
    assert json.loads(found[5]["k"]) == [5, "x"]
    assert json.loads(found[98][OTHER_FIELDS]) == {"late": 1}


def test_numbers_that_the_common_type_of_blocks_cannot_represent_are_kept_as_text(tmp_path):
    import pyarrow.parquet

    for name, number in (("whole", 2**53 + 1), ("broken", 1.5)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": PLAIN, "n": number}))
    out = tmp_path / "out.parquet"
    assert score(tmp_path / "whole.jsonl", tmp_path / "broken.jsonl", "-o", out) == 0
    assert pyarrow.parquet.read_table(out)["n"].to_pylist() == ["9007199254740993", "1.5"]


JSON_VALUES = st.recursive(
    st.sampled_from([None, True, 1, 2**53 + 1, 2**63, 2**70, 1.5, "", "x", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["", "a", "b"]), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=100)
@given(st.lists(st.lists(JSON_VALUES, min_size=1, max_size=3), min_size=1, max_size=2))
@example([[{}]])
@example([[[{}]], [None]])
@example([[json.loads("[" * 150 + "]" * 150)]])
@example([[json.loads('{"a":' * 150 + "1" + "}" * 150)], ["x"]])
def test_any_json_lines_fields_can_be_written_to_parquet(files):
    import pyarrow.parquet

    with tempfile.TemporaryDirectory() as folder:
        sources = [Path(folder, f"{number}.jsonl") for number in range(len(files))]
        for source, values in zip(sources, files, strict=True):
            source.write_text("".join(json.dumps({"text": PLAIN, "x": value}) + "\n" for value in values))
        assert score(*sources, "-o", f"{folder}/out.parquet", "--quiet") == 0
        assert pyarrow.parquet.read_table(f"{folder}/out.parquet").num_rows == sum(map(len, files))


def test_a_lone_surrogate_changes_no_other_row_of_a_parquet_file(tmp_path):
    import pyarrow.parquet

    source, out = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("\ud800", PLAIN)))
    assert score(source, "-o", out) == 0
    assert pyarrow.parquet.read_table(out)["text"].to_pylist() == ["\\ud800", PLAIN]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_other_fields_column_of_an_earlier_run_is_an_ordinary_column(tmp_path, ending):
    import pyarrow.parquet

    source, out = tmp_path / "in.jsonl", tmp_path / f"out.{ending}"
    rows = [{"text": PLAIN, OTHER_FIELDS: "MINE", "x": i} for i in range(99)]
    rows[98]["late"] = 1
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert score(source, "-o", out, "--max-message", 4096) == 0
    if ending == "csv":
        table = list(csv.DictReader(io.StringIO(out.read_text("utf-8"))))
    else:
        table = pyarrow.parquet.read_table(out).to_pylist()
    assert {row[OTHER_FIELDS] for row in table} == {"MINE"}
    assert json.loads(table[98][f"{OTHER_FIELDS}_"]) == {"late": 1}
    assert not any(row[f"{OTHER_FIELDS}_"] for row in table[:98])


def test_rows_with_distinct_fields_do_not_exceed_the_column_limit(tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text(
        "".join(json.dumps({"text": PLAIN, **{f"k{i}_{j}": 1 for j in range(9)}}) + "\n" for i in range(500))
    )
    for ending in ("csv", "parquet"):
        assert score(source, "-o", tmp_path / f"out.{ending}") == 0
    header, *rows = csv.reader(io.StringIO((tmp_path / "out.csv").read_text("utf-8")))
    assert len(header) == 1000 + 1 + len(COLUMNS)
    assert json.loads(rows[-1][1000]) == {f"k499_{j}": 1 for j in range(9)}


@pytest.mark.parametrize(
    "long",
    [
        "x\n" * 300_000,
        ("x" * 3000 + "\n") * 200,
        ("x" * 200_000 + "\n") * 3,
        "x\n" * 34_795 + "x" * 12 + "\n",  # the text scanned at once ends in the first line of the next message
    ],
)
def test_a_message_of_very_many_lines_is_one_reject(tmp_path, long):
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    last = "2026/10/6 09:01 - a: b\n"
    source.write_text(f"2026/10/6 09:00 - a: {long}{last}", "utf-8")
    assert score(source, "-o", out, "--max-message", 4096) == 0
    assert [row["text"] for row in rows_of(out)] == ["b"]
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["reason"], reject["line"], reject["offset"]) == (readers.TOO_LONG, 1, 0)
    source.write_text(f"{last}{long}", "utf-8")
    assert score(source, "-o", out, "--max-message", 4096, "--force") == 1
    assert rows_of(out) == []


def test_a_transcript_without_messages_is_not_scanned_twice(tmp_path):
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("x\n" * 300_000, "utf-8")
    assert score(source, "-o", out, "--max-message", 4096, "--format", "qq") == 1
    assert {row["reason"] for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")} == {"no message begins here"}


def test_unicode_text_saved_by_excel_is_read_as_a_table(tmp_path):
    (tmp_path / "in.txt").write_text(f"编号\t短信内容\r\n1\t{LURE}\r\n", "utf-16", newline="")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row["短信内容"] for row in rows_of(tmp_path / "out.jsonl")] == [LURE]


@pytest.mark.parametrize(("document", "status"), [('[{"text": "好"}]', 1), ("{}", 1), ('{"messages": []}', 0)])
def test_a_document_that_is_not_a_telegram_export_is_reported(tmp_path, capsys, document, status):
    source = tmp_path / "in.json"
    source.write_text(document, "utf-8")
    assert score(source, "-o", tmp_path / "out.jsonl", "--format", "telegram") == status
    reported = 'not a telegram export: it has no key "messages"' in capsys.readouterr().err
    assert reported == bool(status)


def test_a_telegram_export_with_many_contacts_before_its_chats(tmp_path):
    contacts = [{"user_id": i, "first_name": "甲" * 20} for i in range(12_000)]
    chats = [{"name": "人", "id": 1, "messages": [{"id": 1, "type": "message", "text": LURE}]}]
    export = {"about": "x", "contacts": {"about": "y", "list": contacts}, "chats": {"about": "z", "list": chats}}
    (tmp_path / "result.json").write_text(json.dumps(export, ensure_ascii=False, indent=1), "utf-8")
    assert score(tmp_path / "result.json", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [LURE]


def test_pretty_printed_json_is_written_as_json_lines(tmp_path):
    assert score(EXPORTS / "posts.json", "-o", tmp_path / "out.jsonl") == 0
    rows = rows_of(tmp_path / "out.jsonl")
    before = json.loads((EXPORTS / "posts.json").read_text("utf-8"))
    assert [{key: row[key] for key in before[0]} for row in rows] == before
    loose = tmp_path / "loose.json"
    loose.write_text("\n".join(json.dumps(row, indent=1) for row in before), "utf-8")
    assert score(loose, "-o", tmp_path / "loose.jsonl") == 0
    assert len(rows_of(tmp_path / "loose.jsonl")) == len(before)


@pytest.mark.parametrize(
    "text", ["{" + "\n" * 1_000_000, '[{"text": "' + " " * 500_000 + '"}]'], ids=["lines", "blanks"]
)
def test_long_runs_of_whitespace_are_scanned_once(tmp_path, text):
    (tmp_path / "in.json").write_text(text)  # takes hours if each of them starts a new scan
    assert score(tmp_path / "in.json", "-o", tmp_path / "out.jsonl") in (0, 1)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "big5"])
@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.txt", "in.json", "in.xml"])
def test_encodings_are_detected_and_reported(tmp_path, capsys, encoding, name):
    texts = ["您的包裹在路上，請到站點來取，多謝", "今天是個好日子，我們去看你"]
    made = {
        "in.csv": "k,text\n" + "".join(f"1,{text}\n" for text in texts),
        "in.jsonl": "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts),
        "in.txt": "\n".join(texts),
        "in.json": json.dumps([{"text": text} for text in texts], ensure_ascii=False),
        "in.xml": f"<smses>{''.join(f'<sms body={json.dumps(text, ensure_ascii=False)} />' for text in texts)}</smses>",
    }
    source = tmp_path / name
    source.write_bytes(made[name].encode(encoding))
    assert score(source, "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == texts
    reported = f"{source} is read as {canonical(encoding).upper()}" in capsys.readouterr().err
    assert reported == (encoding not in ("utf-8-sig", "utf-16")) or encoding == "utf-16"
    assert score(source, "-o", tmp_path / "named.jsonl", "--encoding", encoding) == 0
    assert (tmp_path / "named.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()


@given(st.text(alphabet="".join(dumps.TEXTS[:50]), min_size=20, max_size=200), st.sampled_from(["gb18030", "utf-8"]))
def test_the_encoding_of_simplified_text_of_some_length_is_detected(text, encoding):
    if len({char for char in text if "一" <= char <= "鿿"}) > 8:
        assert detect(text.encode(encoding)) == encoding


def test_many_zero_bytes_indicate_utf16():
    for encoding in ("utf-16-le", "utf-16-be"):
        assert detect("id,text\n1,ok\n".encode(encoding)) == encoding  # ASCII alone
    assert detect(PLAIN.encode("gb18030") * 20 + b"\0") == "gb18030"
    assert detect(b"id,text\n1,ok\0\n") == "utf-8"


@given(st.lists(st.sampled_from(dumps.TEXTS), min_size=2, max_size=5), st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_utf16_without_a_byte_order_mark_is_detected_by_its_characters(texts, encoding):
    """Zero bytes do not indicate it: one byte of 一 (U+4E00) is zero, at the position where ASCII has none."""
    text = "一\n".join(["".join(re.findall("[\u4e00-\u9fff]", text)) for text in texts])
    if len(set(text)) > 20:
        assert detect(text.encode(encoding)) == encoding


@given(st.sampled_from(dumps.TEXTS), st.sampled_from(dumps.TEXTS))
def test_utf8_is_detected_despite_a_line_in_another_encoding(odd, text):
    if len({char for char in text if "一" <= char <= "鿿"}) > 8:
        assert detect(f"{text}\n{text}\n{text}\n".encode() + odd[:20].encode("gb18030") + b"\n") == "utf-8"


@pytest.mark.parametrize(
    "text", ["涉案资金冻结倒计时3小时", "对方说谢谢", "bi业证 xue位证 现货秒发", "停水 停水 停水 今晚"]
)
def test_short_messages_in_gb18030_are_not_taken_for_utf8(text):
    assert detect(text.encode("gb18030")) == "gb18030"


@given(
    st.sampled_from([*dumps.TEXTS, "Ваш код подтверждения 0638", "Prête dès ce soir à l'entrée du marché"]), st.data()
)
def test_utf8_is_detected_despite_a_damaged_byte(text, data):
    damaged = bytearray(text.encode())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0x80, 0xFF))
    if sum(char > "\x7f" for char in text) > 5:
        assert detect(bytes(damaged)) == "utf-8"


@given(st.sampled_from(dumps.TEXTS), st.integers(1, 3))
def test_big5_and_gb18030_are_detected_despite_lines_in_utf8(odd, count):
    for encoding, text in [("big5", "您的包裹在路上，請到站點來取，多謝"), ("gb18030", LURE)]:
        lines = [text.encode(encoding)] * 9
        lines[3 : 3 + count] = [odd[:12].encode()] * count
        if utf8_lines(odd[:12].encode()):
            assert detect(b"\n".join(lines)) == canonical(encoding)


@given(
    st.text("一\u0a05\u4e0a\u010a\n\r", max_size=12), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "gb18030"])
)
def test_lines_end_only_at_line_feeds(text, encoding):
    data = text.encode(encoding)
    assert [line.decode(encoding) for line in cut_lines(data, encoding)] == text.split("\n")
    assert data[: line_end(data, encoding)].decode(encoding) == (
        "" if "\n" not in text else text[: text.index("\n") + 1]
    )
    assert data[: last_line_end(data, encoding)].decode(encoding) == text[: text.rfind("\n") + 1]


def test_the_byte_order_mark_of_another_encoding_is_not_skipped(tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_bytes(b'\xff\xfe\n{"text": "a"}\n')
    assert score(source, "-o", tmp_path / "out.jsonl", "--encoding", "utf-8") == 0
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["offset"]) == (1, 0)
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == ["a"]


def test_unsupported_encodings_are_refused():
    for name in ("utf-32", "klingon", "idna", "punycode", "hex", "undefined", "cp037", "unicode_escape"):
        with pytest.raises(DumpError):
            canonical(name)


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.txt", "in.json", "in.xml", "chat.txt"])
def test_a_job_ends_with_a_status_whatever_encoding_is_named(tmp_path, name):
    source = tmp_path / name
    start = b"[" if name == "in.json" else b"<smses>" if name == "in.xml" else b"2026/10/6 09:00 - a: b\n"
    hostile = b'{"text": "\xff+2AA-"}\n{"text": "\\ud800\\"}\n"\xd0\n'
    source.write_bytes((b"text\n" if name in ("in.csv", "in.jsonl") else start) + hostile)
    for encoding in sorted({*aliases.values(), "idna", "punycode", "undefined", "raw_unicode_escape"}):
        assert score(source, "-o", tmp_path / "out.jsonl", "--force", "--quiet", "--encoding", encoding) in (0, 1, 2)


def test_rows_that_cannot_be_decoded_are_rejected(tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes(
        f"id,短信内容\n1,{PLAIN}\n2,{LURE}".encode("gb18030") + b"\xff\xff\n" + "3,好的\n".encode("gb18030")
    )
    assert score(source, "-o", tmp_path / "out.jsonl") == 0
    assert [row["id"] for row in rows_of(tmp_path / "out.jsonl")] == ["1", "3"]
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["reason"]) == (3, "not GB18030")
    assert source.read_bytes()[reject["offset"] :].startswith("2,跟".encode("gb18030"))
    assert LURE in reject["raw"]


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.json", "in.txt"])
def test_an_encoding_that_is_not_seen_at_the_start_can_be_named(tmp_path, capsys, name):
    rows = [{"text": "ok " * 1000}] * 400 + [{"text": PLAIN}]
    made = {
        "in.csv": "text\n" + "\n".join(row["text"] for row in rows),
        "in.jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        "in.json": json.dumps(rows, ensure_ascii=False),
        "in.txt": "\n".join(row["text"] for row in rows),
    }
    (tmp_path / name).write_bytes(made[name].encode("gb18030"))
    assert score(tmp_path / name, "-o", tmp_path / "out.jsonl") == 0
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["reason"] == "not UTF-8; if the file is in another encoding, name that with --encoding"
    assert reject["reason"] in capsys.readouterr().err
    assert score(tmp_path / name, "-o", tmp_path / "named.jsonl", "--encoding", "gb18030") == 0
    assert rows_of(tmp_path / "named.jsonl")[-1]["text"] == PLAIN


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "big5hkscs"])
@pytest.mark.parametrize(
    ("name", "row", "last"),
    [
        ("in.csv", "{i},{text}\n", "9,ok\n"),
        ("in.csv", '{i},"{text}\n{text}"\n', "9,ok\n"),
        ("in.jsonl", '{{"id": "{i}", "text": "{text}"}}\n', '{"text": "ok"}\n'),
        ("in.txt", "{text}{i}\n", "ok\n"),
        ("chat.txt", "2026-10-06 9:00:0{i} a(10000)\n{text}\n\n", "2026-10-06 9:01:00 a(10000)\nok\n"),
    ],
)
def test_utf8_lines_in_a_file_in_another_encoding_are_rejected(tmp_path, name, row, last, encoding):
    texts = [
        "您的包裹在路上，請到站點來取，",
        "今天是個好日子，我們去看你。",
    ] * 3  # odd and even numbers of bytes in UTF-8
    rows = [row.format(i=i, text=text).encode("utf-8" if i in (2, 3) else encoding) for i, text in enumerate(texts)]
    head = b"id,text\n" if name == "in.csv" else b""
    source = tmp_path / name
    source.write_bytes(head + b"".join(rows) + last.encode())
    assert score(source, "-o", tmp_path / "out.jsonl", "--encoding", encoding) == 0
    found = [row["text"] for row in rows_of(tmp_path / "out.jsonl")]
    assert len(found) == 5
    assert all(text in found[at] for at, text in enumerate([*texts[:2], *texts[4:], "ok"]))
    rejects = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert {row["reason"] for row in rejects} == {f"UTF-8 in a {canonical(encoding).upper()} file"}
    assert [row["raw"] for row in rejects] == [row.decode().strip() for row in rows[2:4]]
    assert [row["offset"] for row in rejects] == [len(head) + sum(map(len, rows[:at])) for at in (2, 3)]


@given(st.lists(st.sampled_from(dumps.TEXTS), min_size=1), st.sampled_from(["gb18030", "big5hkscs"]))
def test_lines_in_their_own_encoding_are_not_taken_for_utf8(texts, encoding):
    assert utf8_lines("\n".join(texts).encode(encoding, "replace")) == set()


def decoded(data, encoding):
    """Return the text, or an empty string if the bytes are not valid."""
    with contextlib.suppress(UnicodeDecodeError):
        return data.decode(encoding)
    return ""


def windows(code):
    """Return the character of code page 950; Python's cp950 has some at codes that Windows leaves to its users."""
    return "" if b"\xc6\xa1" <= code <= b"\xc8\xfe" else decoded(code, "cp950")


CODES = [bytes([lead, trail]) for lead in range(0x81, 0xFF) for trail in range(0x40, 0xFF)]
BIG5 = {code: windows(code) or decoded(code, "big5hkscs") for code in CODES}
ENCODABLE = {
    "utf-8": st.characters(codec="utf-8", exclude_categories=["Cc"]),
    "utf-16": st.characters(codec="utf-16", exclude_categories=["Cc"]),
    "gb18030": st.characters(codec="gb18030", exclude_categories=["Cc"]),
    "cp950": st.sampled_from([*"～‧￥€∕﹨aA~", *filter(None, map(windows, CODES))]),
    "big5-hkscs": st.sampled_from([char for code in CODES if len(char := decoded(code, "big5hkscs")) == 1]),
}


def test_big5_has_the_characters_of_windows_and_those_of_hkscs_at_other_codes():
    assert {code: decoded(code, canonical("cp950")) for code in CODES} == BIG5
    assert [BIG5[char.encode("cp950")] for char in "～‧￥€∕"] == list("～‧￥€∕")
    assert [BIG5[char.encode("big5hkscs")] for char in "喺の①"] == list("喺の①")


@given(
    st.lists(st.sampled_from([char.encode("cp950") for char in "～‧￥€∕AE"]) | st.sampled_from(CODES) | st.binary()),
    st.integers(1, 9),
)
def test_big5_is_decoded_alike_whole_and_in_pieces(parts, size):
    data, encoding = b"".join(parts), canonical("big5")
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert "".join(codecs.iterdecode(pieces, encoding, "replace")) == data.decode(encoding, "replace")
    known = {**BIG5, b"A": "A", b"E": "E"}
    if all(map(known.get, parts)):
        assert data.decode(encoding) == "".join(map(known.__getitem__, parts))


@pytest.mark.parametrize("encoding", ENCODABLE)
@settings(max_examples=30)
@given(data=st.data())
def test_texts_are_read_as_they_were_written(tmp_path, scanner, encoding, data):
    texts = data.draw(st.lists(st.text(ENCODABLE[encoding], max_size=20), min_size=1))
    rows = [{"id": str(at), "text": f"{text}。"} for at, text in enumerate(texts)]
    table = io.StringIO()
    csv.writer(table, quoting=csv.QUOTE_ALL).writerows([("id", "text"), *map(dict.values, rows)])
    made = {
        "in.csv": table.getvalue(),
        "in.jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        "in.json": json.dumps(rows, ensure_ascii=False),
    }
    for name, content in made.items():
        (tmp_path / name).write_bytes(content.encode(encoding))
        score_dump(scanner, [tmp_path / name], tmp_path / "out.jsonl", Options(encoding=encoding), force=True)
        assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [row["text"] for row in rows]


@pytest.mark.parametrize("named", [(), ("--encoding", "cp950"), ("--encoding", "big5")])
def test_big5_from_windows_is_read_as_windows_means_it(tmp_path, capsys, named):
    lines = ["寄件人,簡訊內容～說明", "史蒂夫‧賈,福利社～特價￥50", "2,請到站點來取，多謝", "3,票價€50請儘速繳費"]
    rows = [line.encode("cp950") for line in lines]
    rows[2:3] = [rows[2] + b"\xff", "4,我喺呢度等你".encode("big5hkscs")]
    (tmp_path / "in.csv").write_bytes(b"\r\n".join(rows))
    (tmp_path / "deny.txt").write_text("福利社～特價", "utf-8")
    options = "--deny", tmp_path / "deny.txt", "--text", "簡訊內容～說明", *named
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.jsonl", *options) == 0
    assert "is read as CP950-HKSCS" in capsys.readouterr().err
    first, *others = rows_of(tmp_path / "out.jsonl")
    assert (first["寄件人"], first["fraud_verdict"]) == ("史蒂夫‧賈", "flag")
    assert [row["簡訊內容～說明"] for row in others] == ["我喺呢度等你", "票價€50請儘速繳費"]
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["offset"]) == (3, len(b"\r\n".join(rows[:2])) + 2)
    assert reject["raw"] == "2,請到站點來取，多謝\\xff"


def test_the_standard_of_hong_kong_can_be_named(tmp_path):
    (tmp_path / "in.txt").write_bytes("我喺呢度∼•¥".encode("big5hkscs"))
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--encoding", "big5-hkscs") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == ["我喺呢度∼•¥"]


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
    source, out = tmp_path / "in", tmp_path / "out.jsonl"
    one = pack(f"{PLAIN}\n".encode())
    for padding in (0, 4, 100_000):
        source.write_bytes((one + bytes(padding)) * 3)
        assert score(source, "-o", out, "--force") == 0
        assert [row["text"] for row in rows_of(out)] == [PLAIN] * 3


TABLE = f"text,n\n{PLAIN},1\n".encode()


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
def test_the_only_dump_in_a_zip_archive_is_read(tmp_path, files, how):
    folder, out = tmp_path / "phone", tmp_path / "out.jsonl"
    folder.mkdir()
    (folder / "any name.ZIP").write_bytes(dumps.zipped(files, how))
    for source in (folder, folder / "any name.ZIP"):
        assert score(source, "-o", out, "--force") == 0
        assert [(row["text"], row["n"]) for row in rows_of(out)] == [(PLAIN, "1")]


def test_a_zip_archive_of_several_dumps_in_a_folder_of_an_office_document_is_refused_as_an_archive(tmp_path, capsys):
    (tmp_path / "in.zip").write_bytes(dumps.zipped({"word/a.csv": TABLE, "word/b.csv": TABLE}))
    assert score(tmp_path / "in.zip", "-o", tmp_path / "out.jsonl") == 2
    assert "is a ZIP archive, as are .ods and .numbers files" in capsys.readouterr().err


def test_the_name_in_a_zip_archive_implies_the_format(tmp_path, capsys):
    (tmp_path / "in.txt.zip").write_bytes(dumps.zipped({"in.csv": b"a,b\n1,2\n"}))
    assert score(tmp_path / "in.txt.zip", "-o", tmp_path / "out.jsonl") == 2
    assert "in.txt.zip has the columns: a, b." in capsys.readouterr().err


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
def test_a_zip_archive_that_cannot_be_opened_is_refused_in_a_folder_too(tmp_path, capsys, archive, why):
    folder, out = tmp_path / "phone", tmp_path / "out.jsonl"
    folder.mkdir()
    (folder / "in.zip").write_bytes(archive)
    (folder / "b.csv").write_bytes(TABLE)
    assert score(folder / "in.zip", "-o", out) == 2
    assert f"in.zip: the ZIP archive cannot be opened: {why}" in capsys.readouterr().err
    assert score(folder, "-o", out) == 2
    assert f"cannot be opened: {why}; or leave it out: --exclude in.zip" in capsys.readouterr().err
    assert score(folder, "-o", out, "--exclude", "in.zip") == 0


def test_no_row_of_a_zip_archive_is_lost_to_a_wrong_checksum(tmp_path, capsys):
    source, out = tmp_path / "in.zip", tmp_path / "out.jsonl"
    archive = dumps.zipped({"in.csv": TABLE + b"x,2\n"}, zipfile.ZIP_STORED)
    source.write_bytes(archive.replace(b"x,2\n", b"y,2\n"))
    assert score(source, "-o", out) == 1
    assert "cannot be read to its end: the archive cannot be read any further: its ch" in capsys.readouterr().err
    assert [row["text"] for row in rows_of(out)] == [PLAIN, "y"]
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
    (tmp_path / "in.zst").write_bytes(skipped + dumps.zst(PLAIN.encode()) + skipped)
    assert score(tmp_path / "in.zst", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN]


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
    import zstandard

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
    source, out = tmp_path / "in.jsonl.gz", tmp_path / "out.jsonl"
    good = json.dumps({"text": PLAIN}).encode() + b"\n"
    huge = b'{"text": "' + b"a" * 30_000_000 + b'"}\n'
    source.write_bytes(gzip.compress(good + huge + good + b"{broken\n"))
    assert score(source, "-o", out) == 0
    assert len(rows_of(out)) == 2
    reject, broken = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["offset"], reject["reason"]) == (2, len(good), readers.TOO_LONG)
    assert len(reject["raw"]) == readers.SHOWN
    assert (broken["line"], broken["offset"], broken["raw"]) == (4, len(good + huge + good), "{broken")


def test_an_unclosed_csv_quote_costs_one_line(tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    lines = ["id,text", *(f"{i},{PLAIN}" for i in range(5000))]
    lines[7] = '6,"坏了'
    source.write_text("\n".join(lines), "utf-8")
    assert score(source, "-o", out, "--max-message", 4096) == 0
    (reject,) = rows_of(tmp_path / "out.csv.rejects.jsonl")
    assert (reject["line"], reject["raw"]) == (8, '6,"坏了')
    assert len(out.read_text("utf-8").splitlines()) == 5000


@pytest.mark.parametrize("size", [4096, 1 << 20])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_table_without_quoting_loses_no_row_to_quotes_in_messages(tmp_path, delimiter, size):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    rows = [{"id": str(i), "text": f'"{PLAIN}' if i % 10 == 3 else PLAIN, "n": str(i)} for i in range(400)]
    lines = [delimiter.join(row.values()) for row in [dict(zip(rows[0], rows[0], strict=True)), *rows]]
    source.write_text("\n".join(lines), "utf-8")
    assert score(source, "-o", out, "--max-message", size) == 0
    assert [{name: row[name] for name in rows[0]} for row in rows_of(out)] == rows


@pytest.mark.parametrize("size", [4096, 1 << 20])
@pytest.mark.parametrize("delimiter", ["|", "\t", ";"])
def test_a_later_quote_does_not_join_rows_of_a_table_without_quoting(tmp_path, delimiter, size):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    texts = [f'"{PLAIN}', "你", '好"', f'"{LURE}"', '"他说', '再见"', '"'] * 100
    rows = [{"id": str(i), "text": text, "t": "3"} for i, text in enumerate([*texts, '好"'])]
    source.write_text(
        "\n".join(delimiter.join(row.values()) for row in [{"id": "id", "text": "text", "t": "t"}, *rows])
    )
    assert score(source, "-o", out, "--max-message", size) == 0
    unquoted = [{**row, "text": LURE if LURE in row["text"] else row["text"]} for row in rows]
    assert [{name: row[name] for name in ("id", "text", "t")} for row in rows_of(out)] == unquoted
    quoted = f'1{delimiter}"第一行\n第二行"{delimiter}2\n'
    source.write_text(f"id{delimiter}text{delimiter}t\n{quoted}", "utf-8")
    assert score(source, "-o", out, "--force") == 0
    assert [row["text"] for row in rows_of(out)] == ["第一行\n第二行"]


@given(
    st.lists(st.tuples(*[st.text('ab;\t|"\n\\', max_size=6)] * 3), max_size=20),
    st.sampled_from(";\t|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@example([("1", f"第一行;{PLAIN}\n第二行;{LURE}", "x")], ";", csv.QUOTE_ALL)
@settings(max_examples=30)
def test_lines_of_a_quoted_value_are_not_records(tmp_path, rows, delimiter, quoting):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    rows = [(PLAIN, f"{delimiter}a", '"b"'), *rows] if quoting == csv.QUOTE_MINIMAL else rows
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=quoting).writerows([("text", "n", "t"), *rows])
    assert score(source, "-o", out, "--force", "--quiet", "--delimiter", delimiter) == 0
    with out.open(encoding="utf-8", newline="") as file:
        found = [tuple(row[:3]) for row in csv.reader(file, delimiter=delimiter)][1:]
    assert found == [row for row in rows if row[0] != tables.NULL]


@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_escapes_that_databases_write_are_scored_as_white_space(tmp_path, delimiter):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    texts = [f"加微信\\r\\n{PLAIN}\\t{LURE}", f"加微信  {PLAIN} {LURE}"]
    source.write_text(f"id{delimiter}text\n" + "".join(f"1{delimiter}{text}\n" for text in texts), "utf-8")
    assert score(source, "-o", out) == 0
    assert [row["text"] for row in rows_of(out)] == texts
    assert len({row["fraud_score"] for row in rows_of(out)}) == 1


@pytest.mark.parametrize("delimiter", ["\t", ",", "\x01"])
def test_database_null_is_neither_a_text_nor_a_conversation(tmp_path, delimiter):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    rows = [["id", "chat", "text"], ["1", "\\N", LURE], ["2", "a", "\\N"], ["3", "a", "\\N!"]]
    source.write_text("\n".join(map(delimiter.join, rows)), "utf-8")
    assert score(source, "-o", out, "--by", "chat") == 0
    assert [(row["id"], row["chat"], row["text"]) for row in rows_of(out)] == [tuple(rows[1]), tuple(rows[3])]
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["reason"]) == (3, "'text' is missing")
    assert [row["conversation"] for row in rows_of(tmp_path / "out.jsonl.conversations.jsonl")] == ["a"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_quotes_may_be_escaped_with_backslashes_as_spark_writes_them(tmp_path, encoding):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    texts = [f'他说 "{LURE}", 好', f'\n"{PLAIN}"', "C:\\", f"{PLAIN}\n, C:\\", PLAIN]
    quoted = ['"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"')) for text in texts[:-1]]
    source.write_text("id,text\n" + "".join(f"1,{text}\n" for text in [*quoted, PLAIN]), encoding)
    assert score(source, "-o", out) == 0
    assert [row["text"].replace("\\\\", "\\") for row in rows_of(out)] == texts


def test_unescaped_quotes_lose_no_row(tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text('id,text,n\n1,"他\n说"好"了",x\n2,"a"b,x\n3,"C:\\",x\n4,"a""b",x\n', "utf-8")
    assert score(source, "-o", out) == 0
    assert [row["text"] for row in rows_of(out)] == ['他\n说好"了"', "ab", "C:\\", 'a"b']


@pytest.mark.parametrize("good", ["", "1,好\n"])
def test_unclosed_csv_quotes_in_every_line_give_few_rejects_and_lose_no_byte(tmp_path, good):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    bad = f'a","\n{good}' * 3000
    source.write_text(f"id,text\n{bad}", "utf-8")
    assert score(source, "-o", out, "--max-message", 4096) == (not good)
    rejects = rows_of(tmp_path / "out.csv.rejects.jsonl")
    assert 32 < len(rejects) < 500
    found = sorted([(reject["offset"], f"{reject['raw']}\n".encode()) for reject in rejects])
    with out.open(encoding="utf-8", newline="") as file:
        scored = [f"{row[0]},{row[1]}\n".encode() for row in csv.reader(file)][1:]
    assert sum(map(len, [*scored, *(raw for _, raw in found)])) == len(bad.encode())
    for offset, raw in found:
        assert source.read_bytes()[offset:].startswith(raw)


@given(st.lists(st.lists(st.text('ab,"\n\r你', max_size=9), min_size=2, max_size=2), max_size=60), st.integers(0, 50))
def test_csv_blocks_end_only_between_records(tmp_path, rows, seed):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    rng = random.Random(seed)
    table = io.StringIO(newline="")
    csv.writer(table, quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])).writerows([["k", "text"], *rows])
    source.write_text(table.getvalue(), "utf-8", newline="")
    with mock.patch.object(readers, "BLOCK", rng.randrange(16, 400)):
        assert score(source, "-o", out, "--force", "--quiet", "--delimiter", ",") == 0
    with out.open(encoding="utf-8", newline="") as file:
        assert [row[:2] for row in csv.reader(file)][1:] == rows


def test_safe_csv_escapes_formulas_and_bom_is_written(tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    cells = ["=1+1", "+86 110", "-3.5", "@x", "\tx", "＝1+1", "＠x", "\n=1", "好", ""]
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("k", "text"), *((cell, PLAIN) for cell in cells)])
    assert score(source, "-o", out, "--safe-csv", "--bom") == 0
    assert out.read_bytes().startswith(b"\xef\xbb\xbfk,text")
    with out.open(encoding="utf-8-sig", newline="") as file:
        found = [row[0] for row in csv.reader(file)][1:]
    assert found == ["'=1+1", "'+86 110", "-3.5", "'@x", "'\tx", "'＝1+1", "'＠x", "'\n'=1", "好", ""]


def test_safe_csv_also_escapes_the_output_columns_and_is_off_by_default(tmp_path, monkeypatch):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("=k,text\n1,在吗。=1+1加微信刷单返利日结\n", "utf-8")
    monkeypatch.setattr("fraudscan.explain.evidence", lambda *_: ["=1+1加微信"])  # independent of the shipped model
    for option, mark in ([], ""), (["--safe-csv"], "'"):
        assert score(source, "-o", out, "--explain", "--force", *option) == 0
        (row,) = csv.DictReader(io.StringIO(out.read_text("utf-8")))
        assert row["fraud_evidence"] == f"{mark}=1+1加微信"
        assert row[f"{mark}=k"] == "1"


def test_the_command_line_offers_every_format(capsys):
    with pytest.raises(SystemExit):
        main(["score", "--help"])
    offered = re.search(r"--format \{(.+?)\}", capsys.readouterr().out)[1]
    assert sorted(offered.split(",")) == sorted(FORMATS)


def test_any_delimiter_is_detected_or_accepted_as_an_option(tmp_path):
    for delimiter in ",;\t|^~":
        source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
        source.write_text(f"id{delimiter}text{delimiter}x\n1{delimiter}{PLAIN}{delimiter}y\n", "utf-8")
        assert score(source, "-o", out, "--force") == 0
        assert rows_of(out)[0]["text"] == PLAIN
    for delimiter, named in ("#", "#"), ("\t", "\\t"), ("\t", "\t"), ("\x01", "\\x01"), ("\x01", "\\001"):
        source.write_text(f"id{delimiter}text\n1{delimiter}{PLAIN}\n", "utf-8")
        assert score(source, "-o", out, "--force", "--delimiter", named) == 0
        assert rows_of(out)[0]["id"] == "1"


@pytest.mark.parametrize("name", ["in.csv", "in.txt"])
@given(
    rows=st.lists(st.tuples(*[st.text("今晚吃火锅去不去x1")] * 2), min_size=1, max_size=3),
    width=st.integers(2, 4),
    quoting=st.sampled_from([csv.QUOTE_NONE, csv.QUOTE_ALL]),
)
def test_tabs_that_pad_values_before_commas_are_no_delimiters(tmp_path, name, rows, width, quoting):
    source, out = tmp_path / name, tmp_path / "out.jsonl"
    names = ["短信内容\t", "会话\t", "时间\t", "备注\t"][:width]
    padded = ([f"{value}\t" for value in (*row, "", "")[:width]] for row in rows)
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=quoting).writerows([names, *padded])
    assert score(source, "-o", out, "--text", "短信内容", "--by", "会话", "--force", "--quiet") == 0
    assert [tuple(row[name].removesuffix("\t") for name in names[:2]) for row in rows_of(out)] == rows


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("name", ["in.csv", "in.txt", "in"])
@pytest.mark.parametrize("line", ["sep=;", "SEP=\t", '"sep=#"'])
def test_the_first_line_may_declare_the_delimiter_for_excel(tmp_path, name, line, encoding):
    source, delimiter = tmp_path / name, line.strip('"')[-1]
    rows = [["编号", "短信内容", "a,b,c"], ["1", f"{LURE}\r\n第二行", "x"], ["2"], ["3", PLAIN, ""]]
    table = io.StringIO(newline="")
    csv.writer(table, delimiter=delimiter).writerows(rows)
    source.write_bytes(f"{line}\r\n{table.getvalue()}".encode(encoding))
    assert score(source, "-o", tmp_path / "out.jsonl") == 0
    assert [list(row.values())[:3] for row in rows_of(tmp_path / "out.jsonl")] == [rows[1], rows[3]]
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["raw"]) == (5, "2")
    rest = source.read_bytes()[reject["offset"] :]
    assert rest.decode({"utf-16": "utf-16-le"}.get(encoding, encoding)).startswith("2\r\n3")
    assert score(source, "-o", tmp_path / "out.csv", "--delimiter", delimiter) == 0  # named twice
    header = (tmp_path / "out.csv").read_text("utf-8").split("\n")[0]
    assert header.startswith(f"编号{delimiter}短信内容{delimiter}")


@pytest.mark.parametrize("delimiter", ["", ";;", "\\n", "\\x02", "\n", '"', "\0"])
def test_an_invalid_delimiter_is_refused(tmp_path, capsys, delimiter):
    (tmp_path / "in.csv").write_text(f"id,text\n1,{PLAIN}\n", "utf-8")
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--delimiter", delimiter) == 2
    assert "--delimiter must be one character" in capsys.readouterr().err


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


def test_outputs_of_earlier_runs_are_skipped_unless_named(tmp_path, capsys):
    folder, again = tmp_path / "phone", tmp_path / "again.jsonl"
    folder.mkdir()
    rows = [{"chat": 1, "text": LURE}, {"chat": 1}, {"chat": 2, "text": PLAIN}]
    source, out = folder / "in.jsonl", folder / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert score(source, "-o", out, "--by", "chat") == 0
    capsys.readouterr()
    results = [f"out.jsonl{ending}" for ending in ("", ".conversations.jsonl", ".rejects.jsonl", ".summary.json")]
    assert sorted(path.name for path in folder.iterdir()) == ["in.jsonl", *results]
    for searched in (folder, folder / "*.json*", folder / ".." / "**" / "*.jsonl"):
        assert score(searched, "-o", again, "--force") == 0
        assert [row["chat"] for row in rows_of(again)] == [1, 2]
        notice = capsys.readouterr().err
        assert notice.count("skipped") == 1
        assert re.search(r"\.jsonl and [234] more are skipped: earlier runs wrote them; name them", notice)
    assert score(folder, "-o", out, "--by", "chat", "--force") == 0  # into the folder that it searches
    assert score(out, "-o", again, "--force") == 0
    assert len(rows_of(again)) == 2
    source.unlink()
    capsys.readouterr()
    for searched, notice in (
        (folder, "holds no dump"),
        (folder / "*.jsonl", "matches only files that earlier runs wrote"),
    ):
        assert score(searched, "-o", again, "--force") == 2
        assert notice in capsys.readouterr().err


@pytest.mark.parametrize("name", ["my.conversations.jsonl", "my.rejects.jsonl", "my.summary.json", "my.jsonl"])
@pytest.mark.parametrize("summary", ["", '{"text": "", "fraudscan": "0.1.0"}', '{\n "rows": 1, "text": ""}'])
def test_files_that_only_look_like_outputs_of_an_earlier_run_are_scored(tmp_path, capsys, name, summary):
    folder = tmp_path / "phone"
    folder.mkdir()
    (folder / "my.jsonl.summary.json").write_text(summary)
    (folder / "my.summary.json").write_text(summary)
    (folder / name).write_text(f'{{"text": "{LURE}"}}\n', "utf-8")
    (folder / ("长" * 83 + ".txt")).write_text(PLAIN, "utf-8")  # the name of a summary beside it would be too long
    assert score(folder, "-o", tmp_path / "out.jsonl") == 0
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


def test_an_empty_file_does_not_stop_a_folder(tmp_path, capsys):
    folder, out = tmp_path / "phone", tmp_path / "out.csv"
    folder.mkdir()
    for name in ("a.csv", "b.xml"):
        (folder / name).touch()
    (folder / "c.csv").write_text(f"text\n{PLAIN}\n", "utf-8")
    assert score(folder, "-o", out) == 0
    assert f"{folder / 'a.csv'} is skipped: it is empty" in capsys.readouterr().err
    assert len(out.read_text("utf-8").splitlines()) == 2
    assert score(folder / "*.csv", "-o", out, "--force") == 0
    assert f"{folder / 'a.csv'} is skipped: it is empty" in capsys.readouterr().err
    assert len(out.read_text("utf-8").splitlines()) == 2
    assert score(folder / "[ab].*", "-o", out, "--force") == 2
    assert "[ab].* matches only empty files" in capsys.readouterr().err
    (folder / "a.csv").write_text(f"\ntext\n{PLAIN}\n", "utf-8")
    assert score(folder / "a.csv", "-o", out, "--force") == 2
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
def test_all_files_of_a_folder_that_cannot_be_read_are_reported(tmp_path, capsys, count):
    folder, out = tmp_path / "phone", tmp_path / "out.jsonl"
    folder.mkdir()
    for i in range(count):
        (folder / f"{i:02}.csv").write_text("a,b\n1,2\n")
    (folder / "text.csv").write_text(f"text\n{PLAIN}\n", "utf-8")
    assert score(folder, "-o", out) == 2
    error = capsys.readouterr().err
    assert [f"{folder / f'{i:02}.csv'} has the columns: a, b." in error for i in range(count)] == [
        i < 10 for i in range(count)
    ]
    assert error.count("; or leave it out: --exclude ") == min(count, 10)
    assert error.endswith("--exclude 09.csv. And 3 more\n" if count > 10 else "--exclude 01.csv\n")
    assert not out.exists()
    assert score(folder / "01.csv", folder, "-o", out) == 2  # a file that is named explicitly is wanted
    assert "--exclude" not in capsys.readouterr().err
    assert score(folder, "-o", out, "--exclude", "[01]*.csv") == 0


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv"])
def test_all_files_of_a_folder_that_cannot_be_written_are_reported(tmp_path, capsys, ending):
    folder, out = tmp_path / "phone", tmp_path / f"out.{ending}"
    folder.mkdir()
    (folder / "a.csv").write_text(f"text\n{PLAIN}\n", "utf-8")
    for name in ("b.csv", "c.csv"):
        (folder / name).write_text(f"text,k,k\n{PLAIN},1,2\n", "utf-8")
    assert score(folder, "-o", out) == 2
    error = capsys.readouterr().err
    for name in ("b.csv", "c.csv"):
        assert f"{folder / name} has " in error
        assert f"; or leave it out: --exclude {name}" in error
    assert score(folder, "-o", out, "--exclude", "[bc].csv") == 0


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


@pytest.mark.parametrize("column", ["聊天内容", "StrContent"])
def test_text_column_names_of_other_programs_are_recognized(tmp_path, column):
    (tmp_path / "in.txt").write_text(f"localId,{column}\n1,{PLAIN}\n", "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert rows_of(tmp_path / "out.jsonl")[0][column] == PLAIN


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


@pytest.mark.parametrize("name", ["in.csv", "in.txt", "in"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_old_mac_line_endings_are_refused(tmp_path, capsys, name, encoding):
    source, out = tmp_path / name, tmp_path / "out.jsonl"
    source.write_bytes(f"id,text\r1,{LURE}\r2,{PLAIN}\r".encode(encoding))
    assert score(source, "-o", out) == 2
    assert r"has old Mac line ends, \r alone: convert it (tr '\r' '\n')" in capsys.readouterr().err
    source.write_text(f"text\n{LURE}\r\r{PLAIN}", "utf-8", newline="")  # \r is not a line end here
    assert score(source, "-o", out, "--format", "lines") == 0
    assert [row["text"] for row in rows_of(out)] == ["text", f"{LURE}\r\r{PLAIN}"]


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


def test_a_file_without_rows_does_not_stop_a_folder(tmp_path, capsys, not_a_dump):
    folder, out = tmp_path / "phone", tmp_path / "out.jsonl"
    folder.mkdir()
    (folder / "a.csv").write_bytes(not_a_dump)
    (folder / "b.txt").write_text(PLAIN, "utf-8")
    (folder / "c.csv.gz").write_bytes(gzip.compress(not_a_dump))
    assert score(folder, "-o", out) == 0
    notices = capsys.readouterr().err
    assert f"{folder / 'a.csv'} is skipped: it is " in notices
    assert f"{folder / 'c.csv.gz'} is skipped: it is " in notices
    assert [row["text"] for row in rows_of(out)] == [PLAIN]


def test_a_header_that_is_no_csv_is_refused_in_plain_words(tmp_path, capsys):
    (tmp_path / "in.csv").write_bytes(f"id,te\rxt\n1,{LURE}\n".encode())
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.jsonl") == 2
    error = capsys.readouterr().err
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
def test_a_file_of_another_kind_does_not_stop_a_folder(tmp_path, capsys, name, content, what):
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / name).write_bytes(content)
    (tmp_path / "phone" / "b.txt").write_text(PLAIN, "utf-8")
    assert score(tmp_path / "phone", "-o", tmp_path / "out.jsonl") == 0
    assert f"{tmp_path / 'phone' / name} is skipped: it is {what}" in capsys.readouterr().err
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN]


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


def test_a_table_in_a_folder_may_be_delimited_by_any_control_character(tmp_path):
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "a.csv").write_text("id\atext\n" + f"1\a{PLAIN}\n" * 9, "utf-8")
    assert score(tmp_path / "phone", "-o", tmp_path / "out.jsonl", "--delimiter", "\a") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN] * 9


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
@pytest.mark.parametrize("name", ["messages.html", "in.csv", "in.jsonl.gz"])
def test_a_web_page_is_refused_with_advice(tmp_path, capsys, name, page):
    source = tmp_path / name
    source.write_bytes(gzip.compress(page) if name.endswith("gz") else page)
    for named in ([], ["--format", "telegram"]):
        assert score(source, "-o", tmp_path / "out.jsonl", *named) == 2
        error = capsys.readouterr().err
        assert "is a web page (HTML): export the messages as CSV or JSON" in error
        assert 'in Telegram Desktop as "Machine-readable JSON"; --format lines reads it as it is' in error
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_web_page_is_read_as_lines_on_request(tmp_path):
    source, out = tmp_path / "messages.html", tmp_path / "out.jsonl"
    source.write_text(TELEGRAM_PAGE, "utf-8")
    assert score(source, "-o", out, "--format", "lines") == 0
    assert [row["text"] for row in rows_of(out)] == [line for line in TELEGRAM_PAGE.splitlines() if line]


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
        (tmp_path / "in.txt").write_text("\n".join(lines[start:]), "utf-8")
        assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--force") == 0
        assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == list(lines[start:])


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
    assert "messages.html is skipped: it is a web page (HTML): export" in notices
    assert "saved.txt is skipped: it is a web page (HTML): export" in notices
    assert "messages2.html" not in notices
    assert "holds no dump: no file that ends with .jsonl, " in notices
    (tmp_path / "chat" / "in.txt").write_text(PLAIN, "utf-8")
    (tmp_path / "chat" / "messages.html").write_text("no page\n", "utf-8")
    assert score(tmp_path / "chat", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN]


def test_chats_that_are_nested_too_deeply_are_rejected(tmp_path):
    source, out = tmp_path / "in.json", tmp_path / "out.jsonl"
    for depth, status in (50, 0), (300, 1):
        message = json.dumps({"type": "message", "text": PLAIN})
        source.write_text('{"x": ' * depth + f'{{"messages": [{message}]}}' + "}" * depth)
        assert score(source, "-o", out, "--format", "telegram", "--force") == status
        assert len(rows_of(out)) == 1 - status
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["reason"] == "nested too deeply"


def test_an_unterminated_header_is_refused(tmp_path, capsys):
    for encoding in ("utf-8-sig", "utf-8"):
        (tmp_path / "in.csv").write_text('text,"' + "x\n" * 5000, encoding)
        assert score(tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--max-message", 4096) == 2
        assert "has a header longer than --max-message" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f'{{"text": "{PLAIN}"}}{{"text": "{PLAIN}"}}', "not JSON: several objects on one line; jq -c . splits them"),
        (f'{{"text": "{PLAIN}"}} ,', "not JSON: a comma follows the object"),
        (f'{{"text": "{PLAIN}"}} x', "not JSON"),
        (f'{{"text": "{PLAIN}", {{"b": "c"}}}}', "not JSON"),
        (f'{{"text": "{PLAIN}", "n": {"9" * 5000}x}}', "not JSON"),
    ],
)
def test_the_reject_reason_of_an_almost_valid_row_says_what_is_wrong(tmp_path, line, reason):
    source = tmp_path / "in.jsonl"
    source.write_text(f'{{"text": "{PLAIN}"}}\n{line}\n', "utf-8")
    assert score(source, "-o", tmp_path / "out.jsonl") == 0
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["reason"] == reason


@pytest.mark.parametrize("rest", ["garbage", " garbage more", "\nx"])
def test_text_after_a_document_is_rejected_verbatim(tmp_path, rest):
    source, rows = tmp_path / "in.json", f'[{{"text": "{PLAIN}"}}]'
    source.write_text(rows + rest, "utf-8")
    assert score(source, "-o", tmp_path / "out.jsonl") == 1
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["raw"], reject["reason"]) == (rest.strip(), "not JSON")
    assert source.read_bytes()[reject["offset"] :].decode() == rest.strip()


def test_deep_json_is_rejected_with_and_without_orjson(tmp_path, monkeypatch):
    source = tmp_path / "in.jsonl"
    deep = [b'{"text": "x", "a": ' + b"[" * n + b"]" * n + b"}" for n in (100, 199, 200, 201, 900, 1100, 100_000)]
    others = [b'{"text": "x", "n": 1e999}', b'{"text": "x", "n": ' + b"9" * 5000 + b"}", b'{"text": "\\ud83d"}']
    others += [
        b'{"text": "x", "text": 1}',
        b'{"text": "a", "n": NaN}',
        b"\xef\xbb\xbf" + b'{"text": "x"}',
        b'{"text": "x"}\r',
    ]
    source.write_bytes(b"\n".join([*deep, *others]))
    assert score(source, "-o", tmp_path / "with.jsonl") == 0
    monkeypatch.setattr(readers, "loads", lambda raw: json.loads(raw.decode()))
    assert score(source, "-o", tmp_path / "without.jsonl") == 0
    for ending in ("", ".rejects.jsonl"):
        assert (tmp_path / f"with.jsonl{ending}").read_bytes() == (tmp_path / f"without.jsonl{ending}").read_bytes()
    reasons = [row["reason"] for row in rows_of(tmp_path / "with.jsonl.rejects.jsonl")]
    assert reasons.count("nested too deeply") == 5


def test_a_deep_row_among_plain_rows_is_rejected(tmp_path):
    deep = json.dumps({"text": "深", "x": json.loads("[" * 201 + "]" * 201)}, ensure_ascii=False)
    row = json.dumps({"text": PLAIN}, ensure_ascii=False)
    (tmp_path / "in.jsonl").write_text(f"{row}\n{deep}\n{row}", "utf-8")
    assert score(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN] * 2
    assert [row["reason"] for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")] == ["nested too deeply"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.one_of(json_values, st.fixed_dictionaries({"text": json_values})), max_size=9), st.binary(max_size=9)
)
def test_results_are_the_same_with_and_without_orjson(tmp_path, rows, junk):
    import orjson

    source = tmp_path / "in.jsonl"
    encoded = [json.dumps(row, ensure_ascii=len(junk) % 2 == 0).encode("utf-8", "surrogatepass") for row in rows]
    source.write_bytes(b"\n".join([b'{"text": "x", "fraud_k": 1}', *encoded, junk]))
    outputs = []
    for loads in (orjson.loads, lambda raw: json.loads(raw.decode())):
        readers.loads = loads
        assert score(source, "-o", tmp_path / "out.jsonl", "--force", "--quiet", "--encoding", "utf-8") == 0
        rejects = tmp_path / "out.jsonl.rejects.jsonl"
        outputs.append(((tmp_path / "out.jsonl").read_bytes(), rejects.exists() and rejects.read_bytes()))
    readers.loads = orjson.loads
    assert outputs[0] == outputs[1]


@given(st.lists(st.dictionaries(st.text(max_size=5), json_values, max_size=4), min_size=1, max_size=9))
@settings(max_examples=50)
def test_other_fields_of_a_scored_dump_are_unchanged(tmp_path, rows):
    source, once, twice = (tmp_path / f"{n}.jsonl" for n in "abc")
    extra = '"n": 1e400, "x": {"fraud_score": [1.10, "}\\", \\u4e2d"]}, "i": 12345678901234567890123'
    lines = [f"{{{extra}, {json.dumps({**row, 'text': PLAIN})[1:]}\n" for row in rows]
    source.write_text("".join(lines), "utf-8")
    assert score(source, "-o", once, "--force", "--quiet") == 0
    assert score(once, "-o", twice, "--force", "--quiet") == 0
    assert twice.read_bytes() == once.read_bytes()
    assert once.read_text("utf-8").count(extra) == len(rows)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
@pytest.mark.parametrize(
    ("name", "whole", "cut"),
    [("in.json", f'[{{"text": "{PLAIN}"}}, ', f'{{"text": "{LURE}'), ("in.xml", "<smses>", f'<sms body="{LURE}')],
)
def test_the_reject_of_a_document_that_is_cut_off_is_readable(tmp_path, name, whole, cut, encoding):
    (tmp_path / name).write_bytes(f"{whole}{cut}".encode(encoding))
    assert score(tmp_path / name, "-o", tmp_path / "out.jsonl") == 1
    assert [row["raw"] for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")] == [cut]


def test_xml_that_is_not_a_valid_backup_is_one_reject(tmp_path):
    entities = '<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">'
    hostile = [
        f'<?xml version="1.0"?><!DOCTYPE smses [{entities}]><smses><sms body="&b;"/></smses>',
        "<note><sms body='x'/></note>",
        "<smses><sms body='好'/><sms body='",
        "<smses>" + "<a>" * 5000,
        "<smses><mms>" + "<part ct='text/plain' text='x'/>" * 50_000,
    ]
    for number, data in enumerate(hostile):
        source, out = tmp_path / f"{number}.xml", tmp_path / f"{number}.jsonl"
        source.write_text(data, "utf-8")
        assert score(source, "-o", out) == 1
        assert len(rows_of(out)) == (1 if number == 2 else 0)
        (reject,) = rows_of(tmp_path / f"{number}.jsonl.rejects.jsonl")
        assert reject["reason"].startswith("not XML")


def test_a_million_columns_are_read_or_rejected(tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("k,text\n" + "," * 1_000_000 + f"\n1,{PLAIN}\n", "utf-8")
    assert score(source, "-o", out) == 0
    (reject,) = rows_of(tmp_path / "out.csv.rejects.jsonl")
    assert reject["reason"] == "1000001 fields where the header has 2"
    source.write_text("c," * 300_000 + f"text\n{',' * 300_000}{PLAIN}\n", "utf-8")
    assert score(source, "-o", out, "--force") == 0
    assert score(source, "-o", tmp_path / "no.csv", "--text", "missing") == 2


def test_unclosed_quotes_are_not_rescanned_repeatedly(tmp_path, monkeypatch):
    """Each line is a record if its quote is ignored; otherwise the record runs to the end of the file."""
    lines = 3000
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text("text,a\n" + 'x","y\n' * lines + 'z"w\n"on, and on",1\n' * 9, "utf-8")
    read = []
    rows_of_lines = tables.CsvReader._rows

    def counted(self, some, **options):
        return rows_of_lines(self, (read.append(1) or line for line in some), **options)

    monkeypatch.setattr(tables.CsvReader, "_rows", counted)
    assert score(source, "-o", out) == 0
    assert [row["text"] for row in rows_of(out)] == ['x"'] * lines + ["on, and on"] * 9
    assert len(read) < 5 * readers.PATIENCE * lines


def test_a_value_shared_by_all_rows_of_a_parquet_file_is_not_held_for_each_row(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rows, size = 64, 1 << 20
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * size]))
    few = pa.DictionaryArray.from_arrays(pa.array([i % 5 for i in range(rows - 1)] + [None], pa.int8()), ["甲"] * 128)
    table = pa.table({"text": [PLAIN] * rows, "blob": shared, "few": few})
    pq.write_table(table, tmp_path / "in.parquet", compression="zstd")
    with traced() as memory:
        assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl") == 0
        assert memory()[1] < 16 * size
    assert (tmp_path / "out.jsonl").stat().st_size > rows * size


@pytest.mark.parametrize("kind", ["string", "large_binary", "list", "struct", "fixed", "late"])
def test_a_value_stored_once_in_a_parquet_file_is_not_held_for_all_rows_at_once(tmp_path, kind):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rows, long = 4000, "x" * (1 << 14)
    values = {
        "string": pa.array([long] * rows),
        "large_binary": pa.array([long.encode()] * rows, pa.large_binary()),
        "list": pa.array([[long]] * rows),
        "struct": pa.array([{"a": {"b": long}}] * rows),
        "fixed": pa.array([long.encode()] * rows, pa.binary(len(long))),
        "late": pa.array([None] * (rows // 2) + [[long]] * (rows // 2)),
    }
    table = pa.table({"id": range(rows), "text": [PLAIN] * rows, "note": values[kind]})
    pq.write_table(table, tmp_path / "in.parquet", compression="zstd")
    assert (tmp_path / "in.parquet").stat().st_size < 50_000
    code = f"""if True:
        import pyarrow
        from fraudscan.cli import main
        from fraudscan.dump import parquet
        parquet.HELD = 1 << 20
        assert main(["score", {str(tmp_path / "in.parquet")!r}, "-o", {str(tmp_path / "out.jsonl")!r}]) == 0
        print(pyarrow.default_memory_pool().max_memory())"""
    found = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)  # its peak memory alone
    assert int(found.stdout) < 24_000_000  # Arrow allocates at least 1,024 values of fixed length
    assert [row["id"] for row in rows_of(tmp_path / "out.jsonl")] == list(range(rows))


def test_long_field_names_are_not_kept_in_memory(tmp_path, scanner):
    source, size, lines = tmp_path / "in.jsonl", 100_000, 200
    with source.open("w", encoding="utf-8") as file:
        file.write(f'{{"text": "{PLAIN}"}}\n')
        file.writelines(f'{{"{"n" * size}{i}": 1}}\n' for i in range(lines))
    scanner.classify(PLAIN)  # loads what it needs
    with traced() as memory:
        summary = score_dump(scanner, [source], tmp_path / "out.jsonl")
        assert memory()[0] < lines * size // 4
    assert summary.rejected == lines


def test_long_column_names_are_refused_and_long_chat_names_are_truncated(tmp_path, capsys):
    header = tmp_path / "in.csv"
    header.write_text("text," + "X" * 5000 + "\na,b\n", "utf-8")
    assert score(header, "-o", tmp_path / "out.jsonl") == 2
    assert "has a column name of 5,000 characters: it seems to have no header" in capsys.readouterr().err
    rule = "=" * 64
    chat = f"消息记录（文本）\n\n{rule}\n消息对象:{'长' * 5000}\n{rule}\n2024-1-1 1:00:00 张三\n{PLAIN}\n\n"
    (tmp_path / "qq.txt").write_text(chat, "utf-8")
    assert score(tmp_path / "qq.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [(row["conversation"], row["text"]) for row in rows_of(tmp_path / "out.jsonl")] == [("长" * 200, PLAIN)]


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


def test_a_column_of_texts_and_numbers_has_one_type_in_all_blocks_of_a_parquet_file(tmp_path, monkeypatch):
    import pyarrow.parquet

    monkeypatch.setattr(parquet, "GROUP", 1)
    users = [i if i < 9000 else f"u{i}" for i in range(18_000)]
    rows = [{"user": user, "text": PLAIN * 5} for user in users]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert score(tmp_path / "in.jsonl", "-o", tmp_path / "out.parquet", "--max-message", 1 << 16) == 0
    assert pyarrow.parquet.ParquetFile(tmp_path / "out.parquet").num_row_groups > 2
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["user"].to_pylist() == list(map(str, users))


@pytest.mark.parametrize("options", [(), ("--text", "text"), ("--text", "id", "--by", "text")])
def test_a_requested_column_must_be_unique(tmp_path, capsys, options):
    (tmp_path / "in.csv").write_text(f"id,text,text\n1,{PLAIN},{LURE}\n", "utf-8")
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.csv", *options) == 2
    assert "several columns called 'text': rename all but one" in capsys.readouterr().err


def test_columns_without_a_name_are_accepted(tmp_path):
    (tmp_path / "in.csv").write_text(f"text,,\n{PLAIN},1,2\n", "utf-8")
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text("utf-8").startswith("text,,,fraud_label")


@pytest.mark.parametrize("size", [0, 600])
def test_a_comment_may_precede_a_backup(tmp_path, size):
    message = '<sms address="1" date="1" type="1" body="好"/>'
    text = f'<?xml version="1.0"?>\n<!--{size * "x"}-->\n<smses>{message}</smses>'
    (tmp_path / "in.dat").write_text(text, "utf-8")
    assert score(tmp_path / "in.dat", "-o", tmp_path / "out.jsonl") == 0
    assert rows_of(tmp_path / "out.jsonl")[0]["text"] == "好"


CALLS = (
    "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<!--File Created By SMS Backup & Restore > 10.20-->\n"
    f'<!--\nTo view this file > {"long " * 200}-->\n<?xml-stylesheet type="text/xsl" href="calls.xsl"?>\n'
)


@pytest.mark.parametrize("root", ["calls", "report", "smsesx"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_xml_of_other_programs_does_not_stop_a_folder(tmp_path, capsys, root, encoding):
    folder, out = tmp_path / "phone", tmp_path / "out.jsonl"
    folder.mkdir()
    (folder / "calls.xml").write_bytes(f'{CALLS}<{root} count="1"><call number="1"/></{root}>'.encode(encoding))
    message = '<sms address="1" date="1" type="1" body="好"/>'
    (folder / "sms.xml").write_bytes(f"{CALLS}<smses>{message}</smses>".encode(encoding))
    assert score(folder, "-o", out) == 0
    assert f"{folder / 'calls.xml'} is skipped: it is XML other than" in capsys.readouterr().err
    assert [row["text"] for row in rows_of(out)] == ["好"]
    assert score(folder / "calls.xml", "-o", out, "--force") == 2
    assert "export the messages as CSV; --format lines reads it as it is" in capsys.readouterr().err


def test_a_doctype_may_precede_xml_of_other_programs_and_a_backup_may_be_empty(tmp_path, capsys):
    folder = tmp_path / "phone"
    folder.mkdir()
    (folder / "calls.xml").write_text('<?xml version="1.0"?>\n<!DOCTYPE calls SYSTEM "c.dtd">\n<calls/>', "utf-8")
    (folder / "empty.xml").write_text('<?xml version="1.0"?>\n<smses/>', "utf-8")
    (folder / "in.txt").write_text(PLAIN, "utf-8")
    assert score(folder, "-o", tmp_path / "out.jsonl") == 0
    notices = capsys.readouterr().err
    assert f"{folder / 'calls.xml'} is skipped: it is XML other than" in notices
    assert "empty.xml" not in notices


def test_unclosed_comments_are_scanned_once(tmp_path):
    (tmp_path / "in.txt").write_text("<?xml ?>" + "<!-- --> " * 10_000 + "<!--" * 10_000, "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_in_a_folder_is_reported(tmp_path, capsys):
    folder = tmp_path / "phone"
    folder.mkdir()
    (folder / "a.txt").write_text(PLAIN, "utf-8")
    os.mkfifo(folder / "b.txt")
    assert score(folder, "-o", tmp_path / "out.jsonl") == 0
    assert f"{folder / 'b.txt'} is skipped: it is not a regular file; name it" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_with_the_name_of_a_summary_is_not_opened(tmp_path):
    folder = tmp_path / "phone"
    folder.mkdir()
    (folder / "a.txt").write_text(PLAIN, "utf-8")
    os.mkfifo(folder / "a.txt.summary.json")
    command = [sys.executable, "-m", "fraudscan", "score", folder, "-o", tmp_path / "out.jsonl"]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    (tmp_path / "out.jsonl.summary.json").unlink()
    os.mkfifo(tmp_path / "out.jsonl.summary.json")
    command = [sys.executable, "-m", "fraudscan", "rethreshold", tmp_path / "out.jsonl", "-o", "-", "--flag", "0.9"]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def test_one_line_may_end_with_a_carriage_return(tmp_path):
    (tmp_path / "in.txt").write_bytes(PLAIN.encode() + b"\r")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0


def test_one_line_objects_with_a_messages_key_are_rows(tmp_path):
    (tmp_path / "in.dat").write_text(2 * (json.dumps({"text": PLAIN, "messages": []}) + "\n"), "utf-8")
    assert score(tmp_path / "in.dat", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN, PLAIN]


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b"\xfe\xff" + f"{PLAIN}\n".encode("utf-16-be"), "utf-16", PLAIN),
        ("喺呢度\n".encode("big5hkscs"), "cp950", "喺呢度"),
    ],
)
def test_a_named_encoding_includes_its_variants(tmp_path, data, encoding, text):
    (tmp_path / "in.txt").write_bytes(data)
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--encoding", encoding) == 0
    assert rows_of(tmp_path / "out.jsonl")[0]["text"] == text


def test_a_document_truncated_within_a_character_gives_status_1(tmp_path):
    (tmp_path / "in.json").write_bytes(json.dumps([{"text": PLAIN}]).encode("utf-16") + b"\x4e")
    assert score(tmp_path / "in.json", "-o", tmp_path / "out.jsonl") == 1


def test_undecodable_bytes_count_against_an_encoding():
    assert detect("【汽运总站】洪湖线 11:40 取消，持票改14:10或窗口全退".encode("gb18030")) == "gb18030"
