"""Tests of encodings: their detection, their decoding, and the ends of lines."""

import codecs
import contextlib
import csv
import io
import json
import re
from encodings.aliases import aliases

import dumps
import pytest
from dumps import LURE, PLAIN, rows_of, score, scored, texts_of
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan.dump import DumpError, Options, score_dump
from fraudscan.dump.encodings import canonical, cut_lines, detect, last_line_end, line_end, utf8_lines


def test_unicode_text_saved_by_excel_is_read_as_a_table(tmp_path):
    (tmp_path / "in.txt").write_text(f"编号\t短信内容\r\n1\t{LURE}\r\n", "utf-16", newline="")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0
    assert [row["短信内容"] for row in rows_of(tmp_path / "out.jsonl")] == [LURE]


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
    assert reported == (encoding != "utf-8-sig")
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
    texts = texts_of(tmp_path / "in.jsonl", b'\xff\xfe\n{"text": "a"}\n', "--encoding", "utf-8")
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["offset"]) == (1, 0)
    assert texts == ["a"]


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
    texts = texts_of(tmp_path / "in.txt", "我喺呢度∼•¥".encode("big5hkscs"), "--encoding", "big5-hkscs")
    assert texts == ["我喺呢度∼•¥"]


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


def test_one_line_may_end_with_a_carriage_return(tmp_path):
    (tmp_path / "in.txt").write_bytes(PLAIN.encode() + b"\r")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl") == 0


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b"\xfe\xff" + f"{PLAIN}\n".encode("utf-16-be"), "utf-16", PLAIN),
        ("喺呢度\n".encode("big5hkscs"), "cp950", "喺呢度"),
    ],
)
def test_a_named_encoding_includes_its_variants(tmp_path, data, encoding, text):
    assert scored(tmp_path / "in.txt", data, "--encoding", encoding)[0]["text"] == text


def test_a_document_truncated_within_a_character_gives_status_1(tmp_path):
    (tmp_path / "in.json").write_bytes(json.dumps([{"text": PLAIN}]).encode("utf-16") + b"\x4e")
    assert score(tmp_path / "in.json", "-o", tmp_path / "out.jsonl") == 1


def test_undecodable_bytes_count_against_an_encoding():
    assert detect("【汽运总站】洪湖线 11:40 取消，持票改14:10或窗口全退".encode("gb18030")) == "gb18030"
