"""Exports of chats: what each message's columns say, and what is no message."""

import pytest
from dumps import LURE, PLAIN, rows_of, score


def messages(path, *options):
    """Score an export; return conversation, sender and text of each message."""
    out = path.parent / "out.jsonl"
    assert score(path, "-o", out, "--force", *options) == 0
    return [(row["conversation"], row["sender"], row["text"]) for row in rows_of(out)]


def rejects(folder):
    """Return the reasons of what was not scored."""
    return [row["reason"] for row in rows_of(folder / "out.jsonl.rejects.jsonl")]


def backup(folder, *messages):
    """Write a backup of text messages, each given by its attributes."""
    path = folder / "in.xml"
    rows = "".join(f'<sms date="1" {message}/>' for message in messages)
    path.write_text(f"<smses>{rows}</smses>", "utf-8")
    return path


@pytest.mark.parametrize("kind", "23456")
def test_a_message_that_could_not_be_sent_is_the_phones_own(tmp_path, kind):
    assert messages(backup(tmp_path, f'address="106" type="{kind}" body="好"')) == [("106", "me", "好")]


@pytest.mark.parametrize("code", [0x10000, 0x103FF, 0x10FC00, 0x10FFFF, 0x1F600])
def test_every_character_beyond_the_first_plane_is_mended(tmp_path, code):
    high, low = 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF)
    ((*_, text),) = messages(backup(tmp_path, f'address="1" type="1" body="&#{high};&#{low};"'))
    assert text == chr(code)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("吃&#55358;吧", "吃\ufffd吧"),  # an emoji that was cut in half
        ("吃&#xD83D;吧", "吃\ufffd吧"),
        ("吃&#65535;吧\uffff", "吃\ufffd吧\ufffd"),
        ("吃&#8;吧&#0;&#x1f;", "吃\t吧\t\t"),
        ("吃\b吧\0", "吃 吧 "),
    ],
)
def test_what_xml_cannot_hold_costs_no_message(tmp_path, body, text):
    path = backup(tmp_path, f'address="1" type="1" body="{body}"', f'address="1" type="1" body="{PLAIN}"')
    assert [text for *_, text in messages(path)] == [text, PLAIN]


def test_a_number_is_one_conversation_however_it_is_written(tmp_path):
    numbers = "+8612013800138", "120 1380 0138", "12013800138", "86 12013800138", "0086-120-1380-0138"
    others = "招商银行", "10086", "8610086", "+15550100", "861201380"
    path = backup(tmp_path, *(f'address="{each}" type="1" body="好"' for each in numbers + others))
    found = messages(path)
    assert {chat for chat, *_ in found[: len(numbers)]} == {"12013800138"}
    assert [chat for chat, *_ in found[len(numbers) :]] == list(others)
    assert [sender for _, sender, _ in found] == [*numbers, *others]


@pytest.mark.parametrize("name", ["人的 WhatsApp 聊天", "與人的 WhatsApp 對話", "与人的WhatsApp对话"])
def test_whatsapp_names_the_file_after_the_chat(tmp_path, name):
    path = tmp_path / f"{name}.txt"
    path.write_text(f"2026/10/6 09:01 - 甲: {PLAIN}\n2026/10/6 09:02 - 乙: {LURE}\n", "utf-8")
    assert messages(path) == [("人", "甲", PLAIN), ("人", "乙", LURE)]


def test_an_iphones_chat_is_called_as_its_folder_wherever_the_command_runs(tmp_path, monkeypatch):
    (tmp_path / "陈阿姨").mkdir()
    path = tmp_path / "陈阿姨" / "_chat.txt"
    path.write_text(f"[2026/10/6 下午9:05:11] 妈: {PLAIN}\n[2026/10/6 下午9:06:11] 我: {LURE}\n", "utf-8")
    monkeypatch.chdir(path.parent)
    assert score("_chat.txt", "-o", "out.jsonl") == 0
    assert {row["conversation"] for row in rows_of(path.parent / "out.jsonl")} == {"陈阿姨"}


def test_a_colon_in_what_a_notice_quotes_makes_no_sender(tmp_path):
    path = tmp_path / "WhatsApp Chat with 人.txt"
    notices = "张三创建了群组“发财: 群”", "张三将群组名称由“A: b”改为“C”"
    lines = [f"2026/1/31 08:00 - {notice}" for notice in notices]
    path.write_text("\n".join([*lines, f"2026/1/31 08:03 - “老”张: {PLAIN}"]), "utf-8")
    assert messages(path) == [("人", "“老”张", PLAIN)]
    assert rejects(tmp_path) == ["no sender: a notice by WhatsApp itself"] * 2


def test_a_chat_whose_format_is_named_is_not_remarked_on(tmp_path, capsys):
    (tmp_path / "c.txt").write_text(f"2026/10/6 09:01 - 甲: {PLAIN}\n2026/10/6 09:02 - 乙: {LURE}\n", "utf-8")
    messages(tmp_path / "c.txt", "--format", "whatsapp")
    assert "read as a chat" not in capsys.readouterr().err


@pytest.mark.parametrize("title", ["张三\n\n", "与张三的聊天记录\n导出时间：2026-02-01 10:00\n\n"])
def test_a_title_may_stand_above_times_and_names(tmp_path, title):
    body = "".join(f"2026-01-01 10:00:{i:02} 李四\n{PLAIN}{i}\n\n" for i in range(60))
    (tmp_path / "in.txt").write_text(title + body, "utf-8")
    assert messages(tmp_path / "in.txt") == [("in", "李四", f"{PLAIN}{i}") for i in range(60)]
    assert rejects(tmp_path) == ["no message begins here"]


def test_a_line_with_a_time_among_the_first_makes_no_chat(tmp_path):
    lines = ["你好", "2026-01-01 10:00:00 李四", "在吗", "2026-01-01 10:01:00 李四", "好"]
    (tmp_path / "in.txt").write_text("\n".join(lines), "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == lines


def test_a_chat_that_is_quoted_in_a_message_is_part_of_it(tmp_path):
    quotes = (
        f"转给你看\n张三 2025-12-30 10:00:00\n{LURE}\n李四 2025-12-30 10:01:00\n好",  # the other way round
        f"转给你看\n2025-12-30 10:00:00 王五\n{LURE}",
    )
    heads = "2026-01-31 8:00:07 阿杰", "2026-01-31 8:00:08 小满(456)"
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{head}\n{text}\n\n" for head, text in zip(heads, quotes, strict=True)), "utf-8")
    assert messages(path) == [("in", "阿杰", quotes[0]), ("in", "小满(456)", quotes[1])]


def test_who_has_a_blank_name_writes_messages_too(tmp_path):
    texts = [PLAIN, "没名字", LURE]
    heads = "2026-01-31 8:00:07 阿杰", "2026-01-31 8:00:08 ", "2026-01-31 8:00:09 (456)"
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{head}\n{text}\n\n" for head, text in zip(heads, texts, strict=True)), "utf-8")
    assert messages(path) == [("in", who, text) for who, text in zip(["阿杰", "", "(456)"], texts, strict=True)]


@pytest.mark.parametrize(
    ("title", "day", "time"),
    [
        ("[LINE] 與小美的聊天記錄", "2026/01/31（六）", "上午10:12"),
        ("[LINE] Chat history with 小美", "Sat, 01/31/2026", "10:12 AM"),
        ("[LINE] 小美とのトーク履歴", "2026/01/31(土)", "10:12"),
        ("[LINE]小美", "2026.01.31 星期六", "10:12"),
    ],
)
def test_line_chats_of_several_languages(tmp_path, title, day, time):
    lines = [title, "儲存日期：2026/02/28 10:11", "", day]
    lines += [f"{time}\t小美\t{PLAIN}", f'{time}\t我\t"第一行\n說""好""', '"', f"{time}\t小美已收回訊息"]
    (tmp_path / "in.txt").write_text("\r\n".join(lines).replace("\n\r\n", "\n"), "utf-8")
    assert messages(tmp_path / "in.txt")[0] == ("小美", "小美", PLAIN)
    (_, second) = rows_of(tmp_path / "out.jsonl")
    assert (second["sender"], second["text"]) == ("我", '第一行\n說"好"\n')
    assert second["time"] == f"{day.split('（')[0].split('(')[0].split(' 星')[0]} {time}"
    assert rejects(tmp_path) == ["a notice by LINE itself"]


def test_messages_of_other_programs_are_not_telegrams(tmp_path, capsys):
    path = tmp_path / "in.json"
    path.write_text('{"session": {}, "messages": [{"type": "文本消息", "content": "稳赚不赔"}]}', "utf-8")
    assert score(path, "-o", tmp_path / "out.jsonl") == 2
    assert "take the rows out of 'messages' first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("qq.mht", "From: <Save by Tencent MsgMgr>\r\nSubject: x\r\n y\r\nMIME-Version: 1.0\r\n\r\n<html>"),
        ("mail.eml", "Received: from a\r\n\tby b\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nxx"),
        ("sms.vmsg", "BEGIN:VMSG\nVERSION:1.1\n"),
    ],
)
def test_what_holds_no_rows_is_told_of(tmp_path, capsys, name, content):
    (tmp_path / name).write_text(content, "utf-8")
    assert score(tmp_path / name, "-o", tmp_path / "out.jsonl") == 2
    assert f"{name} is a" in capsys.readouterr().err
