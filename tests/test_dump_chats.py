"""Tests of chat exports: the columns of each message, and the parts that are not messages."""

import itertools
import json
import random
import re
from unittest import mock

import dumps
import pytest
from dumps import EXPORTS, LURE, PLAIN, refused, rejected, rows_of, score, scored, texts_of, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan.dump import Options, chats, readers, score_dump
from fraudscan.dump.detect import FORMATS
from fraudscan.dump.streams import Head


def messages(path, content, *options):
    """Write and score an export; return the conversation, sender and text of each message."""
    return [(row["conversation"], row["sender"], row["text"]) for row in scored(path, content, *options)]


def rejects(folder):
    """Return the reject reason of each row that was not scored."""
    return [row["reason"] for row in rows_of(folder / "out.jsonl.rejects.jsonl")]


def backup(*messages):
    """Return a backup of text messages, each given by its attributes."""
    rows = "".join(f'<sms date="1" {message}/>' for message in messages)
    return f"<smses>{rows}</smses>"


@pytest.mark.parametrize("kind", "23456")
def test_the_sender_of_sent_and_unsent_messages_is_the_phone_owner(tmp_path, kind):
    assert messages(tmp_path / "in.xml", backup(f'address="106" type="{kind}" body="好"')) == [("106", "me", "好")]


def test_attributes_with_the_names_of_our_columns_replace_none_of_them(tmp_path):
    others = 'text="好" sender="a" conversation="b" time="c"'
    content = backup(f'address="1" type="1" body="{LURE}" {others}')
    assert messages(tmp_path / "in.xml", content) == [("1", "1", LURE)]


@pytest.mark.parametrize("code", [0x10000, 0x103FF, 0x10FC00, 0x10FFFF, 0x1F600])
def test_every_supplementary_character_is_repaired(tmp_path, code):
    high, low = 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF)
    ((*_, text),) = messages(tmp_path / "in.xml", backup(f'address="1" type="1" body="&#{high};&#{low};"'))
    assert text == chr(code)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("吃&#55358;吧", "吃\ufffd吧"),  # an emoji that was cut in half
        ("吃&#xD83D;吧", "吃\ufffd吧"),
        ("吃&#65535;吧\uffff", "吃\ufffd吧\ufffd"),
        ("吃&#8;吧&#0;&#x1f;&#00;&#x001F;", "吃\t吧\t\t\t\t"),
        ("吃\b吧\0", "吃 吧 "),
    ],
)
def test_characters_that_are_invalid_in_xml_lose_no_message(tmp_path, body, text):
    content = backup(f'address="1" type="1" body="{body}"', f'address="1" type="1" body="{PLAIN}"')
    assert [text for *_, text in messages(tmp_path / "in.xml", content)] == [text, PLAIN]


def test_a_number_is_one_conversation_however_it_is_written(tmp_path):
    numbers = "+8612013800138", "120 1380 0138", "12013800138", "86 12013800138", "0086-120-1380-0138"
    others = "招商银行", "10086", "8610086", "+15550100", "861201380"
    content = backup(*(f'address="{each}" type="1" body="好"' for each in numbers + others))
    found = messages(tmp_path / "in.xml", content)
    assert {chat for chat, *_ in found[: len(numbers)]} == {"12013800138"}
    assert [chat for chat, *_ in found[len(numbers) :]] == list(others)
    assert [sender for _, sender, _ in found] == [*numbers, *others]


def test_a_group_is_one_conversation_however_its_numbers_are_written(tmp_path):
    addresses = "+8612013800138~+8612013800139", "120 1380 0138~12013800139", "12013800138~10086"
    found = messages(tmp_path / "in.xml", backup(*(f'address="{each}" type="1" body="好"' for each in addresses)))
    assert [chat for chat, *_ in found] == ["12013800138~12013800139"] * 2 + ["12013800138~10086"]


@pytest.mark.parametrize(
    ("subject", "charset", "text"),
    [
        (LURE.encode().decode("latin-1"), "106", LURE),
        (LURE, "106", LURE),
        ("café", "106", "café"),
        ("café", "4", "café"),
        ("Hi", "106", "Hi"),
    ],
)
def test_an_mms_subject_may_be_utf8_bytes_written_as_characters(tmp_path, subject, charset, text):
    codes = "".join(f"&#{ord(char)};" for char in subject)
    mms = f'<mms msg_box="1" address="1" date="1" sub="{codes}" sub_cs="{charset}"/>'
    assert messages(tmp_path / "in.xml", f"<smses>{mms}</smses>") == [("1", "1", text)]
    assert rows_of(tmp_path / "out.jsonl")[0]["sub"] == text


def test_an_iphone_chat_is_named_after_its_folder_in_any_working_directory(tmp_path, monkeypatch):
    (tmp_path / "陈阿姨").mkdir()
    path = tmp_path / "陈阿姨" / "_chat.txt"
    path.write_text(f"[2026/10/6 下午9:05:11] 妈: {PLAIN}\n[2026/10/6 下午9:06:11] 我: {LURE}\n", "utf-8")
    monkeypatch.chdir(path.parent)
    assert score("_chat.txt", "-o", "out.jsonl") == 0
    assert {row["conversation"] for row in rows_of(path.parent / "out.jsonl")} == {"陈阿姨"}


def test_an_iphone_chat_in_a_zip_archive_is_named_after_the_archive(tmp_path):
    chat = f"[2026/10/6 下午9:05:11] 妈: {PLAIN}\n[2026/10/6 下午9:06:11] 我: {LURE}\n"
    path = tmp_path / "WhatsApp Chat - 陈阿姨.zip"
    export = zipped({"00000001-PHOTO-2026-10-06.jpg": b"", "_chat.txt": chat})
    assert messages(path, export) == [("陈阿姨", "妈", PLAIN), ("陈阿姨", "我", LURE)]


def test_a_colon_quoted_in_a_notice_does_not_make_a_sender(tmp_path):
    notices = [
        *("张三创建了群组“发财: 群”", "张三将群组名称由“A: b”改为“C”", "张三建立了群組「發財: 群」"),
        *('Li created group "A: b"', 'Li changed the group name from "A" to "B:c: d"'),
    ]
    lines = [f"2026/1/31 08:00 - {notice}" for notice in notices]
    senders = "“老”张", "张”三", "三班:老师", '5"', "「老", "老：张"
    chat = "\n".join([*lines, *(f"2026/1/31 08:03 - {each}: {PLAIN}" for each in senders)])
    assert messages(tmp_path / "WhatsApp Chat with 人.txt", chat) == [("人", each, PLAIN) for each in senders]
    assert rejects(tmp_path) == ["no sender: a notice by WhatsApp itself"] * len(notices)


@pytest.mark.parametrize("head", ["[2023/5/1 上午10:00:05] ", "[2023/5/1 10:00] ", "2023/5/1 10:00 "])
def test_a_whatsapp_group_of_an_iphone_may_begin_with_notices(tmp_path, head):
    notices = [f"{head}\u200e~ 李{i} 使用此群组的邀请链接加入了" for i in range(40)]
    rows = scored(tmp_path / "_chat.txt", "\n".join([*notices, f"{head}王老师: {LURE}\n第二行"]))
    assert [(row["sender"], row["text"]) for row in rows] == [("王老师", f"{LURE}\n第二行")]


@pytest.mark.parametrize(("own", "other"), [("[{}] ", "{} - "), ("{} - ", "[{}] "), ("[{}] ", "{} "), ("{} - ", "{} ")])
def test_a_time_in_a_whatsapp_message_does_not_make_a_sender(tmp_path, own, other):
    own, other = own.format("2026/1/31 08:00"), other.format("2026/1/31 09:00")
    text = f"安排:\n{other}开会: 三楼\n{other}加微信领红包\n2026/2/1 18:00 前报名"
    assert messages(
        tmp_path / "WhatsApp Chat with 人.txt",
        f"{own}甲: {text}\n{own}乙: {LURE}\n{own}甲: {PLAIN}\n" + f"{own}乙: 好\n" * 30,
    ) == [("人", *each) for each in [("甲", text), ("乙", LURE), ("甲", PLAIN), *[("乙", "好")] * 30]]
    assert not (tmp_path / "out.jsonl.rejects.jsonl").exists()


@pytest.mark.parametrize(
    "times",
    [
        [*["2026/1/31 下午8:15"] * 5, "[2026/1/31 20:10:00]"],
        [*["[2026/1/31 20:10:00]"] * 3, *["2026/1/31 20:15 -"] * 2],
        [*["2026/1/31 8:15 PM -"] * 2, *["[2026/1/31 8:10:00 PM]"] * 3],
    ],
)
def test_whatsapp_message_headers_may_vary_within_a_chat(tmp_path, times):
    assert messages(
        tmp_path / "WhatsApp Chat with 人.txt", "".join(f"{time} 甲: {PLAIN}{i}\n" for i, time in enumerate(times))
    ) == [("人", "甲", f"{PLAIN}{i}") for i in range(len(times))]


def test_a_whatsapp_notice_is_recognized_whatever_its_header(tmp_path):
    chat = "2026/1/31 20:15 - 张三创建了群组\n" + f"[2026/1/31 20:16:00] 甲: {PLAIN}\n" * 30
    assert messages(tmp_path / "WhatsApp Chat with 人.txt", chat) == [("人", "甲", PLAIN)] * 30
    assert rejects(tmp_path) == ["no sender: a notice by WhatsApp itself"]


def test_dated_lines_in_a_qq_message_are_part_of_it(tmp_path):
    plan = f"{PLAIN}\n\n2026-10-06 09:00:00 开会，地点三楼。\n\n2026-10-07 10:00:00 交报告，不要迟到。"
    turns = [("李四", plan), ("张三", PLAIN), ("李四", LURE), ("张三", PLAIN)]
    chat = "\n\n".join(f"2026-10-05 08:0{i}:00 {who}\n{text}" for i, (who, text) in enumerate(turns))
    assert messages(tmp_path / "人.txt", chat) == [("人", *each) for each in turns]


def test_a_chat_gives_no_notice_if_its_format_is_named(tmp_path, capsys):
    chat = f"2026/10/6 09:01 - 甲: {PLAIN}\n2026/10/6 09:02 - 乙: {LURE}\n"
    messages(tmp_path / "c.txt", chat, "--format", "whatsapp")
    assert "read as a chat" not in capsys.readouterr().err


@pytest.mark.parametrize("title", ["张三\n\n", "与张三的聊天记录\n导出时间：2026-02-01 10:00\n\n"])
def test_a_title_may_precede_times_and_names(tmp_path, title):
    body = "".join(f"2026-01-01 10:00:{i:02} 李四\n{PLAIN}{i}\n\n" for i in range(60))
    assert messages(tmp_path / "in.txt", title + body) == [("in", "李四", f"{PLAIN}{i}") for i in range(60)]
    assert rejects(tmp_path) == ["no message begins here"]


def test_a_chat_quoted_in_a_message_is_part_of_it(tmp_path):
    quotes = (
        f"转给你看\n张三 2025-12-30 10:00:00\n{LURE}\n李四 2025-12-30 10:01:00\n好",  # time and name in the other order
        f"转给你看\n2025-12-30 10:00:00 王五\n{LURE}",
    )
    texts = [*(f"{PLAIN}{i}" for i in range(30)), *quotes, "", *(f"{PLAIN}{i}" for i in range(30))]
    chat = "".join(f"2026-01-31 8:00:07 阿杰\n{text}\n\n" for text in texts)
    assert messages(tmp_path / "in.txt", chat) == [("in", "阿杰", text) for text in texts]


def test_a_message_without_text_may_lack_the_empty_line_after_it(tmp_path):
    body = "".join(f"2026-01-31 8:00:07 甲(1)\n{PLAIN}\n\n" for _ in range(30))
    found = messages(tmp_path / "in.txt", f"{body}2026-01-31 8:00:08 乙(2)\n2026-01-31 8:00:09 甲(1)\n{LURE}\n\n{body}")
    assert len(found) == 62
    assert found[30:32] == [("in", "乙(2)", ""), ("in", "甲(1)", LURE)]


@pytest.mark.parametrize("names", [("小满，", "今天吃什么？"), ("小满", "爱吃，。！？"), ("爱吃，。！？", "小满")])
def test_a_name_may_contain_punctuation_if_empty_lines_precede_headers(tmp_path, names):
    quoted = "2026-01-31 8:00:07 订单，已发货"
    texts = [*(f"{PLAIN}{i}" for i in range(20)), f"{PLAIN}\n{quoted}", quoted, LURE, "", PLAIN]
    chat = "".join(f"2026-01-31 8:00:{i:02} {names[i % 2]}\n{text}\n\n" for i, text in enumerate(texts))
    assert messages(tmp_path / "in.txt", chat) == [("in", names[i % 2], text) for i, text in enumerate(texts)]


def test_a_title_with_a_time_does_not_determine_the_header_format(tmp_path):
    body = "".join(f"2026-01-01 10:00:{i:02} 李四\n{PLAIN}{i}\n\n" for i in range(60))
    for title in ("导出时间 2026-02-01 10:00:00\n\n", "我和张三 2026-02-01 10:00\n\n"):
        assert messages(tmp_path / "in.txt", title + body)[-60:] == [("in", "李四", f"{PLAIN}{i}") for i in range(60)]


MANY = "\n".join(f"普通消息{i}" for i in range(30))


@pytest.mark.parametrize(
    "text",
    [
        f"你好\n\n会议改到 2026-03-01 10:00\n收到\n体检改到 2026-03-02 08:30\n收到\n{LURE}\n",
        f"下单，2026-03-01 10:00 张三\n收到\n下单，2026-03-02 08:30 李四\n收到\n{LURE}\n",
        f"在吗~\n好的\n{LURE}\n",
        f"好的,,我知道了\n再见\n{LURE}\n",
        f"hello;\n再见\n{LURE}\n",
        f"消 息;你好\n再见\n{LURE}\n",
        "你好\n2026-01-01 10:00:00 李四\n在吗\n2026-01-01 10:01:00 李四\n好",
        "".join(
            f"2026-01-31 8:00:0{i} 您的验证码是{i}234，请勿泄露。\n退订回T\n\n" for i in range(9)
        ),  # no text recurs
        "2026-09-12 20:15:03 您的包裹已到\n2026-09-12 20:15:04 您的验证码是1234\n",
        "2026-09-12 20:15:03 您的包裹已到\n请查收\n",
        "今晚八点  20:00\n不见不散\n明天  20:00\n",
        "--- 2026-01-05 ---\n跟李总开会  下午 3:00\n记得带合同\n健身  8:00 PM",
        f"2024-03-01 12:00 客服: 你好\n{MANY}",
        f"第一行\n第二行\n第三行\n2024-03-01 12:00 客服: 你好\n{MANY}",
    ],
)
def test_lines_are_not_read_as_a_chat_or_table(tmp_path, capsys, text):
    assert texts_of(tmp_path / "in.txt", text) == list(filter(None, text.split("\n")))
    assert "read as a chat" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("texts", "below"),
    [
        ((f"{LURE}！", "开会，三楼。", "好，收到。"), ""),
        ((f"{LURE}！", "开会，三楼。", "好，收到。"), "退订回T\n"),
        (("加微信进群", "开会 三楼", f"{LURE}！"), ""),
    ],
)
def test_recurring_messages_after_times_are_not_a_chat(tmp_path, texts, below):
    lines = [f"2024-05-01 09:00:0{i % 10} {texts[i % 3]}\n{below}" for i in range(12)]
    assert texts_of(tmp_path / "in.txt", "\n".join(lines)) == "".join(lines).splitlines()


@pytest.mark.parametrize("time", ["2024-01-02 15:0{}", "2024-01-02 15:0{}:30"])
@pytest.mark.parametrize("line", ["{time} {text}", "{text} {time}", "【医院】您预约的就诊时间为 {time}"])
def test_lines_with_times_are_not_a_chat(tmp_path, time, line):
    texts = ["跟着老师操作稳赚不赔", "加微信进内部群，每天领取返利", "到楼下了", "好"]
    lines = [line.format(time=time.format(i), text=text) for i, text in enumerate(texts)]
    assert texts_of(tmp_path / "in.txt", "\n".join(lines)) == lines


@pytest.mark.parametrize(
    "head",
    [
        "2026-01-01 00:00:{:02} INFO ",
        "[2026-01-01 00:00:{:02}] ",
        "[2026-01-01 00:{:02}] ",
        "2026-01-01 00:00:{:02} - ",
        "2026-01-01 00:00:{:02} ",
    ],
)
def test_a_log_with_a_colon_in_it_is_not_a_chat(tmp_path, head):
    texts = [*["您好，您的快递到了"] * 6, "地址: 北京路1号", *["您好，您的快递到了"] * 3]
    lines = [head.format(i) + text for i, text in enumerate(texts)]
    assert texts_of(tmp_path / "app.log", "\n".join(lines)) == [line.strip() for line in lines]


def test_messages_of_senders_with_a_blank_name_are_read(tmp_path):
    texts = [PLAIN, "没名字", LURE]
    heads = "2026-01-31 8:00:07 阿杰", "2026-01-31 8:00:08 ", "2026-01-31 8:00:09 (456)"
    assert messages(
        tmp_path / "in.txt", "".join(f"{head}\n{text}\n\n" for head, text in zip(heads, texts, strict=True))
    ) == [("in", who, text) for who, text in zip(["阿杰", "", "(456)"], texts, strict=True)]


@pytest.mark.parametrize(
    ("title", "day", "time"),
    [
        ("[LINE] 與小美的聊天記錄", "2026/01/31（六）", "上午10:12"),
        ("[LINE] Chat history with 小美", "Sat, 01/31/2026", "10:12 AM"),
        ("[LINE] 小美とのトーク履歴", "2026/01/31(土)", "10:12"),
        ("[LINE]小美", "2026.01.31 星期六", "10:12"),
        ("[LINE] Chat history with 小美", "2026.01.31 Saturday", "10:12pm"),
        ("[LINE] 小美とのトーク履歴", "R8/01/31(土)", "10:12"),
        ("[LINE] 與小美的聊天記錄", "民國115/01/31（六）", "上午10:12"),
        ("[LINE] 与小美的聊天记录", "2026/1/31周六", "10:12"),
        ("[LINE] 与小美的聊天记录", "2026年1月31日（六）", "10:12"),
        ("[LINE] 與小美的聊天記錄", "2026年1月31日 星期六", "10:12"),
    ],
)
def test_line_chats_are_read_in_several_languages(tmp_path, title, day, time):
    lines = [title, "儲存日期：2026/02/28 10:11", "", day, f"{time}\t小美\t{PLAIN}"]
    lines += [f'{time}\t我\t"第一行', "2026/10/8", "1.2.3", '說""好"""', f"{time}\t\t{LURE}", f"{time}\t小美已收回訊息"]
    quoted = '第一行\n2026/10/8\n1.2.3\n說"好"'
    found = messages(tmp_path / "in.txt", "\r\n".join(lines))
    assert found == [("小美", "小美", PLAIN), ("小美", "我", quoted), ("小美", "", LURE)]
    date = re.sub(" ?(?:[（(星周]|[A-Z][a-z]+day).*", "", day)
    assert {row["time"] for row in rows_of(tmp_path / "out.jsonl")} == {f"{date} {time}"}
    assert rejects(tmp_path) == ["a notice by LINE itself"]


TIMES = [
    *(f"{part}5:04" for part in ("上午", "下午", "中午", "凌晨", "清晨", "早上", "傍晚", "晚上", "深夜", "午後")),
    *("5:04 AM", "5:04 pm"),
]
"""Times of day in the languages of phones."""


@pytest.mark.parametrize("time", [*TIMES, "5:04AM", "5:04pm", "5:04 a.m.", "5:04\u202fPM"])
def test_line_times_are_read_in_many_formats(tmp_path, time):
    assert messages(tmp_path / "in.txt", line_chat(f"{time}\t小美\t{LURE}"))[2] == ("小美", "小美", LURE)
    assert rows_of(tmp_path / "out.jsonl")[2]["time"] == f"2026/01/30 {time}"


@pytest.mark.parametrize("time", TIMES)
def test_times_above_messages_are_read_in_many_formats(tmp_path, time):
    chat = f"2026/1/5 上午5:03 小美\n{PLAIN}\n2026/1/5 {time} 我\n{LURE}\n"
    assert messages(tmp_path / "in.txt", chat) == [("in", "小美", PLAIN), ("in", "我", LURE)]
    assert rows_of(tmp_path / "out.jsonl")[1]["time"] == f"2026/1/5 {time}"


@pytest.mark.parametrize("time", ["9:05", *TIMES])
def test_times_of_wechat_are_read_in_many_formats(tmp_path, time):
    chat = f"—————  2026-01-05  —————\n\n\n小美  {time}\n\n{PLAIN}\n\n\n我  {time}\n\n{LURE}\n"
    assert messages(tmp_path / "in.txt", chat) == [("in", "小美", PLAIN), ("in", "我", LURE)]
    assert {row["time"] for row in rows_of(tmp_path / "out.jsonl")} == {f"2026-01-05 {time}"}


def line_chat(*messages):
    """Return an export of LINE, with two messages before these, each given as it is there, and one the day after."""
    lines = [
        "[LINE] 與小美的聊天記錄",
        "",
        "2026/01/30（五）",
        f"10:11\t小美\t{PLAIN}",
        f"10:12\t我\t{PLAIN}",
        *messages,
    ]
    return "\n".join([*lines, "", "2026/01/31（六）", "9:00\t我\t早"])


FORGED = [
    ["老師公告", "", "113.1.13", LURE],
    ["老師公告", "", "2026/01/31（六）", LURE],
    ["老師公告", "", "113.1.13", f"10:20\t{LURE}"],
    ["流程表", "09:00\t報到\t一樓大廳", f"10:30\t{LURE}", "11:00\t散場\t門口"],
    ["", '09:00\t報到\t"一樓"大廳', '10:30\t開幕\t"二樓"', f"10:30\t{LURE}"],
    ['他說"好"', "", "113.1.13", f"10:20\t{LURE}"],
]


@pytest.mark.parametrize("text", FORGED)
@pytest.mark.parametrize("quote", ['"', '""'])
def test_days_and_messages_within_quotes_are_part_of_a_line_message(tmp_path, text, quote):
    text = "\n".join(text)
    chat = line_chat(f'10:13\t小美\t"{text.replace(chr(34), quote)}"', "10:14\t我\t好")
    assert messages(tmp_path / "in.txt", chat)[2:] == [
        ("小美", "小美", text),
        ("小美", "我", "好"),
        ("小美", "我", "早"),
    ]
    times = [row["time"] for row in rows_of(tmp_path / "out.jsonl")]
    assert times[2:] == ["2026/01/30 10:13", "2026/01/30 10:14", "2026/01/31 9:00"]
    assert not (tmp_path / "out.jsonl.rejects.jsonl").exists()


@pytest.mark.parametrize("text", ['x"\n\n113.1.13\n', "x\n\n113.1.13\n"])
def test_text_below_a_date_is_part_of_a_line_message_whatever_its_quotes(tmp_path, text):
    chat = line_chat(f"10:13\t小美\t{text}{LURE}", "10:14\t我\t好")
    assert messages(tmp_path / "in.txt", chat)[2:] == [
        ("小美", "小美", f"{text}{LURE}"),
        ("小美", "我", "好"),
        ("小美", "我", "早"),
    ]
    assert rows_of(tmp_path / "out.jsonl")[3]["time"] == "2026/01/30 10:14"


@pytest.mark.parametrize(
    "texts",
    [
        ('"老師說', "好", '明天匯款"'),
        ('"飆股"群組', "好", '他說"好"'),
        ('"', "好", '"'),
        ('"甲"和"乙', '"好"', '說"'),
    ],
)
def test_a_line_message_that_begins_with_a_quote_contains_no_other_message(tmp_path, texts):
    said = [f"10:1{i}\t{'我小'[i % 2]}\t{text}" for i, text in enumerate(texts, 3)]
    chat = line_chat(*(each.replace("小", "小美") for each in said))
    assert [text for *_, text in messages(tmp_path / "in.txt", chat)[2:]] == [*texts, "早"]
    assert rows_of(tmp_path / "out.jsonl")[-1]["time"] == "2026/01/31 9:00"


def test_a_quote_of_an_unknown_sender_is_not_looked_for_beyond_the_length_of_a_line_message(tmp_path):
    said = [f"10:13\t甲{i}\t{PLAIN}" for i in range(2000)]
    chat = line_chat(*[f"10:13\t小美\t{PLAIN}"] * 20_000, '10:14\t小美\t"x', *said, '10:15\t乙\ty"')
    senders = [sender for _, sender, _ in messages(tmp_path / "in.txt", chat)]
    assert senders[-2002:] == [*(f"甲{i}" for i in range(2000)), "乙", "我"]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        *((f"[LINE] 與小美{end}", "小美") for end in ("的聊天", "的聊天記錄", "的聊天紀錄")),
        ("[LINE] 和美鎮團購群的聊天記錄", "和美鎮團購群"),
        ("[LINE] 與大家的聊天小站的聊天記錄", "大家的聊天小站"),
        ("[LINE] 大家的聊天小站", "大家的聊天小站"),
        ("[LINE] 小美とのトーク履歴", "小美"),
        ("[LINE] のトーク好きのトーク履歴", "のトーク好き"),
        ("[LINE] Chat history in 小美", "小美"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_title_gives_the_conversation(tmp_path, title, name, end):
    path = tmp_path / "in.txt"
    chat = end.join([title, "", "2026/1/1（六）", f"10:12\t小美\t{PLAIN}"]).encode()
    assert messages(path, chat) == [(name, "小美", PLAIN)]
    assert not (tmp_path / "out.jsonl.rejects.jsonl").exists()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("微信群“投資群”的聊天记录如下:", "投資群"),
        ("微信群組「投資群」的聊天記錄如下:", "投資群"),
        ("投資群 WeChat群組的聊天記錄如下，請查收。", "投資群"),
        ("Dear:\n    投资群 微信群上的聊天记录如下，请查收。", "投资群"),
        ("小美 和 我 在微信上的聊天记录如下，请查收。", "小美 和 我"),
        ("\ufeff小美 和 我 在微信上的聊天记录如下，请查收。", "小美 和 我"),
        ("小美 和 我 在 WeChat 上的聊天記錄如下，請查收。", "小美 和 我"),
    ],
)
def test_a_wechat_title_gives_the_conversation(tmp_path, title, name):
    chat = f"{title}\n\n—————  2026-01-05  —————\n\n小美  9:02\n\n{PLAIN}\n"
    assert messages(tmp_path / "in.txt", chat) == [(name, "小美", PLAIN)]
    assert not (tmp_path / "out.jsonl.rejects.jsonl").exists()


NUMBERED = re.compile(r"第\d+句")
FORGED_LINES = st.sampled_from(
    ["{}", '"{}', '{}"', '{}"x"', '"{}"', "", "113.1.13", "2026/1/31（六）", "9:00\t報到{}\t大廳", "9:00\t{}"]
)
"""Lines of messages; {} is replaced by something that is unique."""


def exported(said, quote, end):
    """Return an export of LINE with messages of so many lines that it has several blocks of 4096 bytes."""
    numbers = itertools.count()
    lines, expected, day = ["[LINE] 與小美的聊天記錄"], [], ""
    for at, (who, texts) in enumerate([*said, ("甲", ["{}"]), ("乙", ["{}" + "好" * 50])] * 9):
        if at % 5 == 0:
            day = f"2026/01/{1 + at % 31:02}"
            lines += ["", f"{day}（五）"]
        text = "\n".join(line.format(f"第{next(numbers)}句") for line in texts)
        lines.append(f"10:13\t{who}\t" + (f'"{text.replace(chr(34), quote)}"' if len(texts) > 1 else text))
        expected.append((who, f"{day} 10:13", text))
    return "\n".join([*lines, ""]).replace("\n", end), expected


def line_rows(data, encoding):
    """Return the sender, time and text of each message, and the rejects; reading may resume after any block."""
    reader = FORMATS["line-chat"]("in.txt", encoding, limit=4096)
    start = reader.prepare(Head(data))
    blocks = list(reader.blocks(Head(data[start.offset :]), start))
    for number, block in enumerate(blocks):
        assert list(reader.blocks(Head(data[block.end.offset :]), block.end)) == blocks[number + 1 :]
    batch = reader.batch(blocks)
    return [(sender, time, text) for _, sender, time, text in batch.raws], batch.rejects


@given(
    st.lists(st.tuples(st.sampled_from(["甲", "乙", ""]), st.lists(FORGED_LINES, min_size=1, max_size=9)), min_size=1),
    st.sampled_from(['"', '""']),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-16-le"]),
)
def test_every_line_of_a_line_chat_is_in_one_message_or_reject(said, quote, end, encoding):
    text, _ = exported(said, quote, end)
    rows, rejects = line_rows(text.encode(encoding), encoding)
    found = "\n".join([*map("\t".join, rows), *(reject.raw for reject in rejects)])
    assert sorted(NUMBERED.findall(found)) == sorted(NUMBERED.findall(text))


@given(
    st.lists(st.tuples(st.sampled_from(["甲", "乙", ""]), st.lists(FORGED_LINES, min_size=2, max_size=9)), min_size=1),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-16-le"]),
)
def test_line_messages_are_read_as_they_were_written_whatever_is_in_them(said, end, encoding):
    text, expected = exported(said, '""', end)
    assert line_rows(text.encode(encoding), encoding) == (expected, [])


def test_an_unclosed_quote_does_not_slow_reading(tmp_path):
    text = '"x\n' + "a\n" * 200_000  # took a minute with a pattern that backtracked at each line
    chat = f"[LINE] 小美\n\n2026/1/1（六）\n10:12\t小美\t{text}"
    assert messages(tmp_path / "in.txt", chat) == [("小美", "小美", text.rstrip("\n"))]


@pytest.mark.parametrize(
    "more",
    [{"thread": {"messages": []}}, {"from_id": 1, "quoted": {"messages": [{"a": 1}], "type": "message"}}],
)
def test_a_row_with_nested_messages_is_a_row(tmp_path, more):
    assert texts_of(tmp_path / "in.json", json.dumps({"text": LURE, **more})) == [LURE]


@pytest.mark.parametrize("indent", [None, 1])
def test_an_empty_telegram_chat_does_not_stop_a_folder(tmp_path, indent):
    folder, out = tmp_path / "exports", tmp_path / "out.jsonl"
    folder.mkdir()
    chat = {"name": '"阿杰", "b"', "type": "personal_chat", "id": 7, "messages": []}
    (folder / "a.json").write_text(json.dumps(chat, indent=indent), "utf-8")
    (folder / "b.txt").write_text(PLAIN, "utf-8")
    assert score(folder, "-o", out) == 0
    assert [row["text"] for row in rows_of(out)] == [PLAIN]


def test_multiline_rows_with_an_empty_messages_list_are_rows(tmp_path):
    rows = [{"id": i, "type": "sms", "text": text, "messages": []} for i, text in enumerate((LURE, PLAIN))]
    for selected in (rows, rows[:1]):
        texts = texts_of(tmp_path / "in.json", "\n".join(json.dumps(row, indent=1) for row in selected))
        assert texts == [row["text"] for row in selected]


def test_a_backup_nested_too_deeply_is_read_up_to_that_point(tmp_path):
    message = '<sms address="1" date="1" type="1" body="好"/>'
    texts = texts_of(tmp_path / "in.xml", f"<smses>{message}{'<a>' * 200}{'</a>' * 200}{message}</smses>", status=1)
    assert texts == ["好"]
    assert [row["reason"] for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")] == ["not XML: nested too deeply"]


def test_a_backup_comment_longer_than_max_message_ends_reading(tmp_path):
    message = '<sms address="1" date="1" type="1" body="好"/>'
    text = f"<smses>{message}<!--{'< ' * 100_000}-->{message}</smses>"
    assert texts_of(tmp_path / "in.xml", text, "--max-message", 4096, status=1) == ["好"]
    assert [row["reason"] for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")] == [
        "longer than a row may be: raise --max-message"
    ]


def broken(scanner, path, data):
    """Score a backup that cannot be read to its end; return the texts before that, and the last reject."""
    path.write_bytes(data)
    out = path.parent / "out.jsonl"
    options = Options(encoding="utf-8", max_message=4096)
    assert score_dump(scanner, [path], out, options, force=True).damaged == [str(path)]
    return [row["text"] for row in rows_of(out)], rows_of(path.parent / "out.jsonl.rejects.jsonl")[-1]


XML_TEXT = st.text(st.sampled_from("好a >\n/'=!-"), max_size=20)
FAULTS = st.sampled_from(["R&D", "1 < 2", "&nbsp;", "\udcff", '"x" ', '" a="" a="', "<b>"])


@given(st.lists(XML_TEXT, min_size=1, max_size=5), FAULTS, st.tuples(st.booleans(), st.integers(1, 200)))
def test_a_broken_message_in_a_backup_is_rejected_from_its_beginning(tmp_path, scanner, texts, fault, how):
    (mms, step), (*texts, begin) = how, texts
    head = "<smses>" + "\n".join(f'<sms type="1"\nbody="{text}"/>' for text in texts)
    picture = f"<part ct='image/png' data='{'x' * 300}'/>"
    whole = f'<mms msg_box="1"><parts>{picture}<part ct="text/plain" text="{begin}' if mms else f'<sms body="{begin}'
    tail = f'{fault}"/>{"</parts></mms>" if mms else ""}\n<sms body="{LURE}"/></smses>'
    with mock.patch.object(chats, "STEP", step):
        data = f"{head}{whole}{tail}".encode("utf-8", "surrogateescape")
        found, reject = broken(scanner, tmp_path / "in.xml", data)
    assert found == [text.replace("\n", " ") for text in texts]
    assert (reject["line"], reject["offset"]) == (1 + head.count("\n"), len(head.encode()))
    assert reject["raw"].startswith(whole)


@pytest.mark.parametrize("tail", ["</sms></smses>", "& <sms/></smses>", "</smses><smses/>", "<?xml ?></smses>"])
def test_a_backup_that_is_broken_between_messages_repeats_none_of_them(tmp_path, scanner, tail):
    head = f'<smses>\n<sms body="{PLAIN}"></sms>\n'
    found, reject = broken(scanner, tmp_path / "in.xml", f"{head}{tail}".encode())
    at = tail.index("<smses/>") if "<smses/>" in tail else 0
    assert (found, reject["line"], reject["raw"]) == ([PLAIN], 3, tail[at:])
    assert reject["offset"] == len(f"{head}{tail[:at]}".encode())


def test_a_broken_message_after_some_that_are_too_long_has_its_place(tmp_path, scanner):
    head = "<smses>" + 2 * f'<sms body="\n{"长" * 100_000}\n"/>\n'
    data = f'{head}<sms\nbody="R&D"/></smses>'.encode()
    _, reject = broken(scanner, tmp_path / "in.xml", data)
    assert (reject["line"], reject["offset"]) == (7, len(head.encode()))
    assert data[reject["offset"] :] == reject["raw"].encode()


def test_a_chat_name_that_is_too_long_is_dropped(tmp_path):
    for size, kept in ((900, True), (1100, False)):
        chat = {"name": "n" * size, "id": 7, "messages": [{"id": 1, "type": "message", "text": PLAIN}]}
        (row,) = scored(tmp_path / "in.json", json.dumps(chat))
        assert (row["conversation"], row["conversation_name"]) == ("7", "n" * size * kept)


def test_messages_of_other_programs_are_not_read_as_telegram(tmp_path, capsys):
    path = tmp_path / "in.json"
    path.write_text('{"session": {}, "messages": [{"type": "文本消息", "content": "稳赚不赔"}]}', "utf-8")
    assert score(path, "-o", tmp_path / "out.jsonl") == 2
    assert "extract the rows first: jq -c '.messages[]?'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("qq.mht", "From: <Save by Tencent MsgMgr>\r\nSubject: x\r\n y\r\nMIME-Version: 1.0\r\n\r\n<html>"),
        ("mail.eml", "Received: from a\r\n\tby b\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nxx"),
        ("sms.vmsg", "BEGIN:VMSG\nVERSION:1.1\n"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_without_rows_is_reported_and_read_as_lines_on_request(tmp_path, capsys, name, content, encoding):
    (tmp_path / name).write_bytes(content.encode(encoding))
    assert score(tmp_path / name, "-o", tmp_path / "out.jsonl") == 2
    assert f"{name} is a" in capsys.readouterr().err
    assert score(tmp_path / name, "-o", tmp_path / "out.jsonl", "--format", "lines") == 0


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


def test_a_whatsapp_group_may_begin_with_notices(tmp_path, capsys):
    notices = [f"2024/1/2 下午3:04 - 王老师 添加了成员{i}" for i in range(20)]
    (row,) = scored(tmp_path / "in.txt", "\n".join([*notices, f"2024/1/2 下午3:07 - 王老师: {LURE}\n第二行"]))
    assert (row["sender"], row["text"]) == ("王老师", f"{LURE}\n第二行")
    assert (
        "in.txt is read as a chat (whatsapp); if each line is a message, add --format lines" in capsys.readouterr().err
    )


@pytest.mark.parametrize("first", ["与张三的聊天记录", "2024/1/2 下午3:04 - 消息和通话已进行端到端加密。"])
def test_a_whatsapp_chat_may_be_preceded_by_another_line(tmp_path, first):
    chat = f"{first}\n2024/1/2 下午3:04 - 张三: {LURE}\n第二行\n2024/1/2 下午3:05 - 李四: {PLAIN}\n"
    assert texts_of(tmp_path / "in.txt", chat) == [f"{LURE}\n第二行", PLAIN]


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
    assert texts_of(tmp_path / "_chat.txt", chat) == texts
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["reason"], reject["line"]) == ("a notice by WhatsApp itself", 1)


def test_a_time_in_a_message_does_not_split_it(tmp_path):
    plan = "明天开会，安排如下：\n2024-01-05 14:00 三楼会议室\n截止 2024-01-05 14:00"
    rows = scored(tmp_path / "in.txt", f"张三 2024-01-02 15:04:05\n{plan}\n\n李四 2024-01-02 15:05:10\n{PLAIN}\n")
    assert [(row["sender"], row["text"]) for row in rows] == [("张三", plan), ("李四", PLAIN)]


def test_times_above_messages_may_lack_seconds(tmp_path):
    rows = scored(tmp_path / "in.txt", f"张三 2024-01-02 15:04\n{PLAIN}\n\n李四 2024-01-02 15:05\n{LURE}\n")
    assert [(row["sender"], row["text"]) for row in rows] == [("张三", PLAIN), ("李四", LURE)]


def test_a_deleted_telegram_account_is_a_sender(tmp_path):
    senders = [(None, "user0"), ("甲", "user1"), (None, 4312345), (None, None)]
    rows = [{"from": name, "from_id": number, "text": PLAIN} for name, number in senders]
    chat = json.dumps({"name": "群", "id": 7, "messages": rows})
    assert [sender for _, sender, _ in messages(tmp_path / "in.json", chat)] == ["user0", "甲", "4312345", None]


def test_lines_like_heads_within_a_wechat_message_are_text(tmp_path):
    said = "明天安排\n签到  上午9:00\n加微信abc领钱  下午3:00\n别迟到"
    text = f"—————  2026-10-08  —————\n\n\n小美  10:05\n\n{said}\n\n\n桂兰  10:06\n\n{PLAIN}\n"
    assert [message[1:] for message in messages(tmp_path / "in.txt", text)] == [("小美", said), ("桂兰", PLAIN)]


def test_a_day_within_a_wechat_message_dates_no_other_message_wherever_blocks_end(tmp_path):
    texts = [PLAIN * 20, "看\n—————  2026-10-09  —————\n好", *[PLAIN * 20] * 20]
    chat = "".join(f"小美  10:05\n\n{text}\n\n\n" for text in texts)
    (tmp_path / "in.txt").write_text(f"—————  2026-10-08  —————\n\n\n{chat}", "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--max-message", 4096) == 0
    assert [(row["time"], row["text"]) for row in rows_of(tmp_path / "out.jsonl")] == [
        ("2026-10-08 10:05", text) for text in texts
    ]


@pytest.mark.parametrize("size", [150, 190, 1 << 20])
def test_damage_below_a_day_does_not_hide_it_wherever_blocks_end(tmp_path, monkeypatch, size):
    monkeypatch.setattr(readers, "BLOCK", size)
    head, days = "微信群“群”的聊天记录如下:", ["—————  2026-10-01  —————", "—————  2026-10-02  —————"]
    first, others = (
        f"{head}\n\n{days[0]}\n\n人1  9:00\n\n你好\n\n{days[1]}\n\n",
        "人1  9:01\n\n吃了吗\n\n人1  9:02\n\n再见\n\n",
    )
    (tmp_path / "in.txt").write_bytes(first.encode() + b"\xff\n\n" + others.encode())
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--format", "wechat") == 0
    times = [row["time"] for row in rows_of(tmp_path / "out.jsonl")]
    assert times == ["2026-10-01 9:00", "2026-10-02 9:01", "2026-10-02 9:02"]


def test_a_chat_in_an_encoding_that_writes_line_feeds_in_two_ways_is_read(tmp_path):
    day = "—————  2026-10-0{}  —————\n\n人1  9:00\n\n你好\n\n"
    chat = f"微信群“群”的聊天记录如下:\n\n{day.format(1)}".encode("utf-7") + b"+AAo-" * 50 + b"\n\n"
    (tmp_path / "in.txt").write_bytes(chat + day.format(2).encode("utf-7"))
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--format", "wechat", "--encoding", "utf-7") == 0
    assert rows_of(tmp_path / "out.jsonl")


def test_blanks_below_a_day_do_not_slow_reading(tmp_path):
    day = "—————  2026-10-08  —————"  # each blank cost 200 steps with a title that could begin with any of them
    chat = f"{day}\n\n小美  10:06\n\n好\n\n{day}\n{' ' * 900_000}\n\n小美  10:07\n\n好"
    assert texts_of(tmp_path / "in.txt", chat) == ["好", "好"]


@pytest.mark.parametrize(
    ("question", "answer"),
    [(LURE, "好"), ([LURE[:5], {"type": "bold", "text": LURE[5:]}], [{"type": "plain", "text": "好"}])],
)
def test_a_telegram_poll_is_read(tmp_path, question, answer):
    poll = {"question": question, "closed": False, "answers": [{"text": answer, "voters": 1}, {"text": 3}, None]}
    rows = [{"type": "message", "text": "", "poll": poll}, {"type": "message", "text": PLAIN, "poll": {"question": 1}}]
    scored(tmp_path / "in.json", json.dumps({"name": "群", "id": 7, "messages": rows}), "--by", "conversation")
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [f"{LURE}\n好", PLAIN]
    (found,) = rows_of(tmp_path / "out.jsonl.conversations.jsonl")
    assert (found["conversation"], found["name"], found["messages"]) == ("7", "群", 2)


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
    reasons = [row["reason"] for row in rejected(tmp_path / "in.json", json.dumps({"guild": {}, "messages": rows}))]
    assert reasons == ["'type' is not 'message'", "a notice by Telegram itself"]


def test_an_export_that_resembles_telegrams_says_where_its_text_is_and_how_to_read_it(tmp_path, capsys):
    rows = [{"id": 1, "type": "message", "content": LURE, "createTime": 1}]
    export = json.dumps({"name": "陈", "type": "private", "messages": rows}, indent=1)
    scored(tmp_path / "in.json", export, status=1)
    reason = "'text' is missing, but 'content' is there; if this is not an export of Telegram, add --format json"
    assert f"no row was scored: all 1 were rejected: {reason}" in capsys.readouterr().err


def test_whatsapp_messages_may_span_several_lines(tmp_path):
    assert score(EXPORTS / "WhatsApp Chat with 陈阿姨.txt", "-o", tmp_path / "out.csv") == 0
    assert "\n还能优先入住，你帮我看看靠谱不" in rows_of(tmp_path / "out.csv")[2]["text"]
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
        ("陈阿姨的 WhatsApp 聊天.txt", "陈阿姨"),
        ("與陈阿姨的 WhatsApp 對話.txt", "陈阿姨"),
        ("与陈阿姨的WhatsApp对话.txt", "陈阿姨"),
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
    for line in (f"{time} - 李: 好\n", f"[{time}] 李: 好\n"):
        rows = scored(tmp_path / "in.txt", f"{line}第二行\n{line}")
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
    assert [(row["sender"], row["time"], row["text"]) for row in scored(tmp_path / "in.txt", text)] == expected


def test_transcript_lines_outside_messages_and_headings_are_rejected(tmp_path):
    rule = "=" * 64
    head = f"消息记录（此消息记录为文本格式，不支持重新导入）\n{rule}\n消息对象:阿杰\n{rule}\n"
    text = f"{head}多出来的\n2026-09-12 20:15:03 阿杰\n在\n"
    assert texts_of(tmp_path / "in.txt", text) == ["在"]
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
    for text, (_, _, read) in zip(texts, found[0], strict=True):
        assert read in text
        rest = text.removeprefix(text.partition(read)[0] + read).strip()  # pieces may form a whole heading
        assert not rest or re.fullmatch(rf"{RULE}\n(消息分组:.*\n{RULE}\n)?消息对象:.*\n{RULE}", rest)


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
    last = "2026/10/6 09:01 - a: b\n"
    assert texts_of(tmp_path / "in.txt", f"2026/10/6 09:00 - a: {long}{last}", "--max-message", 4096) == ["b"]
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["reason"], reject["line"], reject["offset"]) == (readers.TOO_LONG, 1, 0)
    assert scored(tmp_path / "in.txt", f"{last}{long}", "--max-message", 4096, status=1) == []


def test_a_transcript_without_messages_is_not_scanned_twice(tmp_path):
    scored(tmp_path / "in.txt", "x\n" * 300_000, "--max-message", 4096, "--format", "qq", status=1)
    assert {row["reason"] for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")} == {"no message begins here"}


def test_a_telegram_export_with_many_contacts_before_its_chats(tmp_path):
    contacts = [{"user_id": i, "first_name": "甲" * 20} for i in range(12_000)]
    chats = [{"name": "人", "id": 1, "messages": [{"id": 1, "type": "message", "text": LURE}]}]
    export = {"about": "x", "contacts": {"about": "y", "list": contacts}, "chats": {"about": "z", "list": chats}}
    assert texts_of(tmp_path / "result.json", json.dumps(export, ensure_ascii=False, indent=1)) == [LURE]


def test_chats_that_are_nested_too_deeply_are_rejected(tmp_path):
    source, out = tmp_path / "in.json", tmp_path / "out.jsonl"
    for depth, status in (50, 0), (300, 1):
        message = json.dumps({"type": "message", "text": PLAIN})
        source.write_text('{"x": ' * depth + f'{{"messages": [{message}]}}' + "}" * depth)
        assert score(source, "-o", out, "--format", "telegram", "--force") == status
        assert len(rows_of(out)) == 1 - status
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["reason"] == "nested too deeply"


def test_long_column_names_are_refused_and_long_chat_names_are_truncated(tmp_path, capsys):
    error = refused(capsys, tmp_path / "in.csv", "text," + "X" * 5000 + "\na,b\n")
    assert "has a column name of 5,000 characters: it seems to have no header" in error
    rule = "=" * 64
    chat = f"消息记录（文本）\n\n{rule}\n消息对象:{'长' * 5000}\n{rule}\n2024-1-1 1:00:00 张三\n{PLAIN}\n\n"
    assert [(row["conversation"], row["text"]) for row in scored(tmp_path / "qq.txt", chat)] == [("长" * 200, PLAIN)]


def test_unclosed_comments_are_scanned_once(tmp_path):
    (tmp_path / "in.txt").write_text("<?xml ?>" + "<!-- --> " * 10_000 + "<!--" * 10_000, "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
