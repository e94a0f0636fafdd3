"""Tests of SMS backups."""

import json
import re
from unittest import mock

import pytest
from dumps import EXPORTS, LURE, PLAIN, blocks_from_anywhere, rows_of, score, scored
from hypothesis import given
from hypothesis import strategies as st

from fraudscan.dump import chats, readers
from fraudscan.dump.detect import FORMATS


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
    received, sent = scored(tmp_path / "in.xml", f"<smses>{mms}</smses>")
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


def test_null_in_a_backup_means_missing_and_subjects_are_read(tmp_path):
    mms = '<mms msg_box="1" address="1" sub="{}"><parts><part ct="text/plain" text="{}"/></parts></mms>'
    rows = scored(
        tmp_path / "in.xml",
        f"<smses>{mms.format(LURE, 'null')}{mms.format('null', PLAIN)}{mms.format(LURE, PLAIN)}"
        f'<mms msg_box="1" address="null" sub="{LURE}"/><sms address="1" type="1" body="null"/></smses>',
    )
    assert [row["text"] for row in rows] == [LURE, PLAIN, f"{LURE}\n{PLAIN}", LURE]
    assert (rows[-1]["conversation"], rows[1]["sub"]) == (None, None)
    assert [row["reason"] for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")] == ["'body' is missing"]


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


@pytest.mark.parametrize("size", [0, 600])
def test_a_comment_may_precede_a_backup(tmp_path, size):
    message = '<sms address="1" date="1" type="1" body="好"/>'
    text = f'<?xml version="1.0"?>\n<!--{size * "x"}-->\n<smses>{message}</smses>'
    assert scored(tmp_path / "in.dat", text)[0]["text"] == "好"


def test_a_doctype_may_precede_xml_of_other_programs_and_a_backup_may_be_empty(tmp_path, phone, capsys):
    (phone / "calls.xml").write_text('<?xml version="1.0"?>\n<!DOCTYPE calls SYSTEM "c.dtd">\n<calls/>', "utf-8")
    (phone / "empty.xml").write_text('<?xml version="1.0"?>\n<smses/>', "utf-8")
    (phone / "in.txt").write_text(PLAIN, "utf-8")
    assert score(phone, "-o", tmp_path / "out.jsonl") == 0
    notices = capsys.readouterr().err
    assert f"{phone / 'calls.xml'} is skipped: it is XML other than" in notices
    assert "empty.xml" not in notices
