"""Tests of ``fraudscan score``: every input format gives the same rows in the output, and no row is lost."""

import csv
import io
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from unittest import mock

import dumps
import pytest
from conftest import ROOT
from dumps import CELLS, LURE, PLAIN, notices, refused, rejected, rows_of, score, scored, texts_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fraudscan import FraudscanError, kernel
from fraudscan.cli import main
from fraudscan.columns import COLUMNS
from fraudscan.dump import Options, readers, score_dump
from fraudscan.dump.detect import FORMATS
from fraudscan.dump.writers import OTHER_FIELDS

DUMPS = (ROOT / "docs" / "dumps.md").read_text("utf-8")


def test_json_lines_keep_every_field_unchanged(tmp_path):
    out = tmp_path / "out.jsonl"
    lines = [
        f'{{"id": 12345678901234567890123, "text": "{LURE}", "price": 1.10, "x": {{"a": [1, null]}}}}',
        '  { "text" : "' + PLAIN + '" , "id":"b" }  ',
        '{"text": "\\ud83d", "n": NaN}',
    ]
    rows = scored(tmp_path / "in.jsonl", "\n".join(lines))
    written = out.read_text("utf-8").splitlines()
    for before, after in zip(lines, written, strict=True):
        assert after.startswith(before.strip()[:-1].rstrip())
    first, second, third = rows
    assert (first["fraud_label"], first["fraud_verdict"]) == ("investment", "flag")
    assert second["fraud_label"] == third["fraud_label"] == "legitimate"
    assert list(second) == ["text", "id", *COLUMNS]
    assert second["fraud_scheme"] is None
    assert second["fraud_labels"] == ["legitimate"]
    assert 0 <= second["fraud_score"] < 0.5


def test_csv_keeps_columns_delimiter_and_quoted_line_breaks(tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(f'\ufeff编号;短信内容;备注\n1;"{LURE}\n第二行";x\n2;{PLAIN};"a;b"\n', "utf-8")
    assert score(source, "-o", out) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8")), delimiter=";"))
    assert list(rows[0]) == ["编号", "短信内容", "备注", *COLUMNS]
    assert rows[0]["短信内容"] == f"{LURE}\n第二行"
    assert rows[0]["fraud_label"] == "investment"
    assert rows[1]["备注"] == "a;b"
    assert rows[1]["fraud_labels"] == "legitimate"


def test_plain_lines_become_json_lines_or_csv(tmp_path):
    source = tmp_path / "in.txt"
    assert texts_of(source, f"{LURE}\r\n\n{PLAIN}\n") == [LURE, PLAIN]
    assert score(source, "-o", tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text("utf-8").splitlines()[1].startswith(f"{LURE},investment,")


def test_json_lines_to_csv_loses_no_field(tmp_path):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.csv"
    rows = [{"text": f"{PLAIN}{i}", "n": i, "x": {"y": None}} for i in range(50)]
    rows[40] |= {"late": "z", "n": None}
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert score(source, "-o", out, "--max-message", 4096) == 0  # the 41st row is not in the first block
    found = rows_of(out)
    assert list(found[0]) == ["text", "n", "x", OTHER_FIELDS, *COLUMNS]
    assert [row["text"] for row in found] == [row["text"] for row in rows]
    assert (found[40]["n"], found[40][OTHER_FIELDS]) == ("", '{"late": "z"}')
    assert (found[41]["n"], json.loads(found[41]["x"]), found[41][OTHER_FIELDS]) == ("41", {"y": None}, "")


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@given(st.lists(NUMBERS, min_size=1, max_size=5))
@settings(max_examples=50)
def test_numbers_of_json_are_written_to_csv_as_they_are(tmp_path, numbers):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.csv"
    row = '{{"text": "{}", "n": {}, "x": {{"y": [{}, "1.10\\n", true, null]}}'.format(
        PLAIN, numbers[0], ", ".join(numbers)
    )
    source.write_text(f'{row}, "b": true, "none": null}}\n' * 60 + f'{row}, "late": {numbers[0]}}}\n', "utf-8")
    assert score(source, "-o", out, "--force", "--quiet", "--safe-csv", "--max-message", 4096) == 0
    first, *_, last = rows_of(out)
    assert (first["n"], first["b"], first["none"]) == (numbers[0], "true", "")
    assert first["x"] == '{{"y": [{}, "1.10\\n", true, null]}}'.format(", ".join(numbers))
    assert last[OTHER_FIELDS] == f'{{"late": {numbers[0]}}}'


def test_proba_adds_a_column_for_each_name(tmp_path, scanner):
    (row,) = scored(tmp_path / "in.txt", LURE, "--proba")
    expected = scanner.classify(LURE).scores
    assert {name: row[f"fraud_p_{name}"] for name in scanner.names} == pytest.approx(expected, abs=1e-6)


def test_rows_that_cannot_be_read_are_written_to_the_rejects(tmp_path, capsys):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    good = json.dumps({"text": PLAIN}).encode()
    bad = [b"{", b"[1]", b'{"text": null}', b'{"text": 5}', b'{"id": 1}', b'{"text": "\xff"}', b"[" * 100_000]
    bad.append(b'{"text": "\xed\xa0\xbd"}')  # a surrogate encoded in UTF-8
    source.write_bytes(b"\n".join([good, *bad, b"", b" \r", good]))  # blank lines are no rows
    assert score(source, "-o", out) == 0
    assert len(rows_of(out)) == 2
    rejects = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert [row["line"] for row in rejects] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert rejects[5]["raw"] == '{"text": "\\xff"}'
    assert {row["source"] for row in rejects} == {str(source)}
    assert "2 rows scored, 8 rejected" in capsys.readouterr().err


def test_csv_rows_that_cannot_be_read_are_written_to_the_rejects(tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(
        f"text,k\n{PLAIN},1\n{PLAIN}\n{PLAIN},1,2\n".encode() + b"\xff\xfe,1\n" + f"{PLAIN},2\n".encode()
    )
    assert score(source, "-o", out) == 0
    assert len(out.read_text("utf-8").splitlines()) == 3
    *fields, encoding = [row["reason"] for row in rows_of(tmp_path / "out.csv.rejects.jsonl")]
    assert fields == ["1 fields where the header has 2", "3 fields where the header has 2"]
    assert encoding == "not UTF-8; if the file is in another encoding, name that with --encoding"


@pytest.mark.parametrize("header", ["时间,号码,内容", '"时间","号码","内容"', "内容,号码"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_between_rows_is_rejected(tmp_path, header, mark):
    row = ",".join([PLAIN] * (1 + header.count(",")))
    assert len(scored(tmp_path / "day.csv", f"{mark}{header}\n{row}\n" * 2)) == 2
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["reason"], reject["raw"]) == (3, "the header again", mark + header)


def test_a_message_may_be_the_name_of_its_column(tmp_path):
    for table in ("内容\n内容\n", "号码,内容\n1,内容\n", "内容,号码\n内容,1\n"):
        assert [row["内容"] for row in scored(tmp_path / "in.csv", table)] == ["内容"]


def test_a_trailing_delimiter_in_some_rows_requires_one_in_the_header(tmp_path):
    source = tmp_path / "in.csv"
    reasons = [row["reason"] for row in rejected(source, f"id|text\n1|{PLAIN}|\n2|{PLAIN}|x\n3|{PLAIN}||\n", status=1)]
    plain = "3 fields where the header has 2"
    assert reasons == [f"{plain}: end the header with a delimiter too", plain, "4 fields where the header has 2"]
    rows = scored(source, source.read_text("utf-8").replace("text", "text|"))
    assert [row["id"] for row in rows] == ["1", "2"]


def test_a_delimiter_at_the_end_of_rows_alone_is_ignored_and_reported(tmp_path, capsys):
    rows = "".join(f"{i},{PLAIN},\n" for i in range(50))
    found = scored(tmp_path / "in.csv", f"id,text\n{rows}a,b\na,b,c\na,b,,\nid,text\n")
    assert [[*row.values()][:2] for row in found] == [[str(i), PLAIN] for i in range(50)]
    assert "has a delimiter at the end of its rows, but not of its header; it is ignored" in capsys.readouterr().err
    reasons = [row["reason"] for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")]
    two = "2 fields where the header has 2, and no delimiter at the end"
    assert reasons == [two, *(f"{n} fields where the header has 2" for n in (3, 4)), "the header again"]


def test_the_text_of_a_table_whose_first_column_has_no_name_is_not_its_row_number(tmp_path):
    scored(tmp_path / "in.csv", "text,label\n" + "".join(f'"{i}","{PLAIN}{i}",\n' for i in range(9)), status=1)
    assert len(rows_of(tmp_path / "out.jsonl.rejects.jsonl")) == 9


def test_a_table_of_one_column_may_contain_delimiters(tmp_path, capsys):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    rows = scored(source, 'content\n你好, 在吗\n"引, 号"\n他说"好",走\n在\n')
    assert [row["content"] for row in rows] == ["你好, 在吗", "引, 号", '他说"好",走', "在"]
    assert "has one column; ',' in its rows is read as text" in capsys.readouterr().err
    source.write_text(f"短信内容\n1,138,{PLAIN}\n2,139,{LURE}\n", "utf-8")  # a title above a table
    assert score(source, "-o", out, "--force") == 1


@pytest.mark.parametrize("rows", [f'1,{PLAIN}\n2,"{LURE}\n3,{PLAIN}\n', f'1,"{PLAIN}"\n2,{PLAIN}\n3,"{LURE}\n'])
def test_a_lone_quote_at_the_end_of_a_table_without_quoting_is_part_of_the_message(tmp_path, rows):
    found = scored(tmp_path / "in.csv", f"id,text\n{rows}")
    assert [row["id"] for row in found] == ["1", "2", "3"]
    assert f'"{LURE}' in [row["text"] for row in found]


@pytest.mark.parametrize("rows", [f'1,"a, b"\n2,"{LURE}\n', f'1,{PLAIN}\n2,"{LURE}\n第二行\n', f'2,"{LURE}\n'])
def test_a_lone_quote_may_begin_a_record_that_is_cut_off(tmp_path, rows):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    for header in ("id,text", '"id","text"'):
        source.write_text(f"{header}\n{rows}", "utf-8")
        assert score(source, "-o", out, "--force") == (rows[0] == "2")
        reject = rows_of(tmp_path / "out.jsonl.rejects.jsonl")[0]
        assert (reject["raw"], reject["reason"]) == (f'2,"{LURE}', "a record that begins here does not end")


@pytest.mark.parametrize("name", ["in.jsonl", "in.csv"])
def test_a_dump_without_a_text_column_is_refused(tmp_path, capsys, name):
    source = tmp_path / name
    source.write_text('{"id": 1, "words": "x"}' if name.endswith("l") else "id,words\n1,x\n", "utf-8")
    assert score(source, "-o", tmp_path / "out") == 2
    assert "has the columns: id, words. Name it with --text COLUMN" in capsys.readouterr().err
    assert score(source, "-o", tmp_path / "out", "--text", "wards") == 2
    assert "no column is called 'wards'" in capsys.readouterr().err
    assert score(source, "-o", tmp_path / "out", "--text", "words") == 0


def test_a_table_that_may_lack_a_header_is_reported(tmp_path, capsys):
    source = tmp_path / "in.csv"
    error = refused(capsys, source, f"1,{LURE}\n2,{PLAIN}\n")
    assert "Name it with --text COLUMN, and add --header-line 0 if the first line is a row" in error
    assert score(source, "-o", tmp_path / "out.jsonl", "--header-line", 0) == 2
    assert "has the columns: 1, 2. Name it with --text COLUMN, perhaps --text 2\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("first", "row"),
    [
        ("2026-01-02 10:11:12,12013800138,短信,收", True),
        ("1,短信,+86 120 1380 0138", True),
        ("2026年1月2日,短信", True),
        ("1/2/2026 3:04 PM,短信", True),
        ("10086 短信,短信,Q1,2026", False),
    ],
)
def test_a_row_with_a_cell_named_like_the_text_column_is_not_a_header(tmp_path, capsys, first, row):
    out = tmp_path / "out.jsonl"
    for name, options, wrong in (("in.csv", [], row), ("in.csv", ["--text", "短信"], False), ("in.txt", [], False)):
        (tmp_path / name).write_text(f"{first},{LURE}\n{first},{PLAIN}\n", "utf-8")
        assert score(tmp_path / name, "-o", out, "--force", *options) == 2 * wrong
        error = "in.csv seems to begin with a row, not a header: add --header-line 0, or, if it is a header, name the"
        assert (error in capsys.readouterr().err) == wrong
    assert len(rows_of(out)) == 1 + row  # each line is a message


@pytest.mark.parametrize("title", ["短信明细表,,\n", "\n", "短信明细表\n导出时间：今天\n\n"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_title_above_a_header_is_reported(tmp_path, capsys, title, delimiter):
    source = tmp_path / "in.csv"
    for header, options in (("短信内容", []), ("what", ["--text", "what"])):
        source.write_text(
            title + delimiter.join(["id", header, "时间"]) + f"\n1{delimiter}{PLAIN}{delimiter}2\n", "utf-8"
        )
        assert score(source, "-o", tmp_path / "out.jsonl", "--force", *options) == 2
        line = title.count("\n") + 1
        advice = f"--header-line {line}"
        assert f"; line {line} looks like the header: add {advice}\n" in capsys.readouterr().err
        assert score(source, "-o", tmp_path / "out.jsonl", "--force", *options, *advice.split()) == 0
        (row,) = rows_of(tmp_path / "out.jsonl")
        assert (row["id"], row[header], row["时间"]) == ("1", PLAIN, "2")
    assert score(source, "-o", tmp_path / "new.jsonl") == 2
    assert "looks like the header" not in capsys.readouterr().err


def test_a_header_below_a_title_is_named_by_its_first_line(tmp_path, capsys):
    source = tmp_path / "in.csv"
    for title in ("短信,,", "表", '"短\n信",,'):
        source.write_text(f'{title}\n\n"编\n号",短信内容,时间\n1,{PLAIN},2\n', "utf-8")
        assert score(source, "-o", tmp_path / "out.jsonl") == 2
        line = 3 + title.count("\n")
        assert f"line {line} looks like the header: add --header-line {line}" in capsys.readouterr().err


ABOVE_HEADER = st.lists(
    CELLS | st.sampled_from(["", "短信明细表,,", '"两行的\n标题",', "id;text;", '一"', '\\"']), max_size=5
)


@settings(max_examples=100)
@given(
    above=ABOVE_HEADER,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    signs=st.tuples(st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"])),
)
@example(['"b\\"b",c,d'] * 5, "utf-8", (",", "\n"))  # these lines are escaped with backslashes
def test_lines_above_a_header_are_rejected_and_change_nothing_else(tmp_path, scanner, above, encoding, signs):
    delimiter, end = signs
    rows = ["编号,text,话", f'1,"{PLAIN}\n二",a', f"2,{LURE},b", "编号,text,话", "3,x", ""]
    rows += ['1,"他说""好"",",c', '4,"C:\\",d']
    table = end.join(row.replace(",", delimiter) for row in rows)
    title = "".join(f"{line}{end}" for line in ["明细", *above])
    line = 1 + title.count("\n")
    found = []
    for name, content, header in (("plain", table, None), ("titled", title + table, line)):
        (tmp_path / f"{name}.csv").write_bytes(content.encode(encoding))
        out = tmp_path / f"{name}.jsonl"
        named = {"delimiter": delimiter, "encoding": encoding, "by": "编号", "header_line": header}
        summary = score_dump(scanner, [tmp_path / f"{name}.csv"], out, Options(**named), force=True)
        rejects, chats = (rows_of(tmp_path / f"{name}.jsonl.{what}.jsonl") for what in ("rejects", "conversations"))
        shift = line - 1 if header else 0
        lines = [(row["line"] - shift, row["reason"], row["raw"]) for row in rejects]
        firsts = [(chat["conversation"], chat["first"]["line"] - shift) for chat in chats]
        found.append((rows_of(out), lines, firsts))
        assert summary.rejected == len(rejects)
    (plain, rejected, first), (titled, also_rejected, also_first) = found
    assert (titled, also_first) == (plain, first)
    assert len(plain) == 4
    assert also_rejected[-2:] == rejected
    written = [(at - shift, "above the header", each.strip("\r")) for at, each in enumerate(title.split("\n"), 1)]
    assert also_rejected[:-2] == [reject for reject in written if reject[-1]]


def test_offsets_of_lines_above_a_header_lead_to_them(tmp_path):
    content = "明细\r\n\r\n今天,\r\ntext,a\r\n,b,c\r\n".encode("utf-16")
    for reject in rejected(tmp_path / "in.csv", content, "--header-line", 4, status=1):
        assert content[reject["offset"] :].decode("utf-16-le").startswith(reject["raw"])


@pytest.mark.parametrize("title", ["", "明细\n"])
@pytest.mark.parametrize("first", ["", "sep=#\n"])
def test_a_delimiter_named_in_the_first_line_is_that_of_a_header_below(tmp_path, title, first):
    (tmp_path / "in.csv").write_text(f"{first}{title}号#text,a#b,c\n1#{PLAIN}#2\n", "utf-8-sig")
    line = str(1 + (first + title).count("\n"))
    options = ["--text", "text,a", *([] if first else ["--delimiter", "#"])]
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.jsonl", "--header-line", line, *options) == 0
    (row,) = rows_of(tmp_path / "out.jsonl")
    assert (row["号"], row["text,a"], row["b,c"]) == ("1", PLAIN, "2")


def test_a_line_that_is_no_header_is_refused(tmp_path, capsys):
    source = tmp_path / "in.csv"
    source.write_text(f"表\n\nid,text\n1,{PLAIN}\n", "utf-8")
    for line, error in {
        -1: "--header-line must be the number of a line, or 0 for a table without a header\n",
        5: "in.csv has no header: line 5, given by --header-line, is not in it\n",
        10**30: "is not in it\n",
        1: "has the columns: 表. Name it with --text COLUMN; line 3 looks like the header: add --header-line 3\n",
        2: "line 2 must be the names of its columns, but is empty; line 3 looks like the header: add --header-line 3\n",
        4: "no column looks like the text",
    }.items():
        assert score(source, "-o", tmp_path / "out.jsonl", "--header-line", line) == 2
        assert error in capsys.readouterr().err
    source.write_text("表\n" * 5000 + "id,text\n", "utf-8")
    options = ["--header-line", 5001, "--max-message"]
    assert score(source, "-o", tmp_path / "out.jsonl", *options, 4096) == 2
    assert "line 5001, given by --header-line, is beyond --max-message\n" in capsys.readouterr().err
    assert score(source, "-o", tmp_path / "out.jsonl", *options, 1 << 20) == 1
    assert "all 5,000 were rejected: above the header\n" in capsys.readouterr().err


def test_a_named_header_is_not_doubted(tmp_path, capsys):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    for table, column in (
        (f"共2条,信息,\n姓名,号码,短信内容\n张三,1,{LURE}\n", "信息"),
        (f"1234567,短信\n1,{PLAIN}\n", "短信"),
    ):
        assert "seems to begin with" in refused(capsys, source, table)
        assert score(source, "-o", out, "--force", "--header-line", 1) == 0
        assert "seems to begin" not in capsys.readouterr().err
        assert column in rows_of(out)[0]


def test_a_header_line_applies_to_all_tables_and_to_nothing_else(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(f"表\ntext,n\n{PLAIN},1\n", "utf-8")
    (tmp_path / "b.txt").write_text(f"明细\ntext\tn\n{PLAIN}\t2\n", "utf-16")  # Excel calls it "Unicode Text"
    (tmp_path / "c.jsonl").write_text(json.dumps({"text": PLAIN, "n": "3"}) + "\n", "utf-8")
    (tmp_path / "d.txt").write_text("\n", "utf-8")
    sources = [tmp_path / name for name in ("a.csv", "b.txt", "c.jsonl", "d.txt")]
    assert score(*sources, "-o", tmp_path / "out.jsonl", "--header-line", 2) == 0
    assert [row["n"] for row in rows_of(tmp_path / "out.jsonl")] == ["1", "2", "3"]
    rejects = [(row["line"], row["raw"]) for row in rows_of(tmp_path / "out.jsonl.rejects.jsonl")]
    assert rejects == [(1, "表"), (1, "明细")]
    for line in (0, 2):
        assert score(*sources[2:], "-o", tmp_path / "new.jsonl", "--header-line", line) == 2
        assert "--header-line is for CSV and workbooks, but no source is read as one" in capsys.readouterr().err


@pytest.mark.parametrize("quote", ["", '"'])
def test_the_delimiter_of_rows_without_a_header_is_not_that_of_clauses(tmp_path, quote):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    texts = ["你好, 明天, 见, ok", "晚上一起吃饭吧", "恭喜您中奖,请加微信", "收到"]
    source.write_text("".join(f"138\t{quote}{text}{quote}\n" for text in texts), "utf-8")
    assert score(source, "-o", out, "--header-line", 0, "--text", 2) == 0
    assert [row["2"] for row in rows_of(out)] == texts


@pytest.mark.parametrize("first", ["", "sep=;\n", "\n\n"])
@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("name", ["in.csv", "in.txt"])
def test_a_table_without_a_header_has_numbered_columns(tmp_path, first, quoted, name):
    source, out = tmp_path / name, tmp_path / "out.csv"
    table = [["a", PLAIN, "甲"], ["b", LURE, "1"], ["1", "2", "3"], ["b", "x"], ["b", "二", "三"]]
    written = [[f'"{cell}"' for cell in row] if quoted else row for row in table]
    source.write_text(first + "".join(";".join(row) + "\n" for row in written), "utf-8-sig")
    options = ["--format", "csv", "--header-line", 0, "--text", 2, "--by", 1]
    assert score(source, "-o", out, *options) == 0
    rows = list(csv.reader(io.StringIO(out.read_text("utf-8"), newline=""), delimiter=";"))
    assert [row[:3] for row in rows] == [["1", "2", "3"], *(row for row in table if len(row) == 3)]
    (reject,) = rows_of(tmp_path / "out.csv.rejects.jsonl")
    assert (reject["line"], reject["reason"]) == (4 + first.count("\n"), "2 fields where the first row has 3")
    chats = {row["conversation"]: row["first"]["line"] for row in rows_of(tmp_path / "out.csv.conversations.jsonl")}
    assert chats == {key: line + first.count("\n") for key, line in {"a": 1, "b": 2, "1": 3}.items()}


@pytest.mark.parametrize("text", [[], ["--text", "短信"]])
@pytest.mark.parametrize("row", ["1,短信,{}", "张三,短信,{}", "text,短信,{}", '张三,"短信",{}'])
def test_a_row_with_a_cell_named_like_the_text_is_not_called_the_header(tmp_path, capsys, row, text):
    source = tmp_path / "in.csv"
    source.write_text("\n".join(["谁,渠道,说的话", row.format(PLAIN), row.format(LURE)]), "utf-8")
    assert score(source, "-o", tmp_path / "out.jsonl", *text) == 2
    assert "looks like the header" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (
            f"基本信息,,,短信,,\n时间,主叫,被叫,长度,内容,结果\n2026-01-01 10:00,甲,乙,26,{LURE},成功\n",
            "短信",
        ),
        (f"共2条,信息,\n\n姓名,号码,短信内容\n张三,12013800138,{LURE}\n", "信息"),
        (f"查询条件,短信\n时间,短信内容\n2026-01-01,{LURE}\n", None),
    ],
)
def test_a_title_with_a_cell_named_like_the_text_column_is_reported(tmp_path, capsys, table, text):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(table, "utf-8")
    line = 3 if "\n\n" in table else 2
    problem = f"{source} seems to begin with a title; line {line} looks like the header: add --header-line {line}"
    assert score(source, "-o", out) == 2 * (text is not None)
    how = f", or score it as it is: --text {text!r}" if text else ""
    assert f"{problem}{how}\n" in capsys.readouterr().err
    if text:
        assert score(source, "-o", out, "--text", text) == 0
        assert "title" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "table",
    [
        f",类型,短信\n0,text,{LURE}\n",
        f"姓名,类型,内容,\n张三,短信,{LURE},\n",
        f"类型,短信\n短信,{LURE}\n",
        "时间,短信\n2026-01-01 10:00,内容\n",
        ",text\na,内容\n",
        f",type,content\nuser_a,text,{PLAIN}\nuser_b,image,{LURE}\n",
        f"sender,type,content\nuser_a,text,{PLAIN}\nuser_b,text,{LURE}\n",
        f"发送人,,消息\n张三,文字,{PLAIN}\n",
    ],
)
def test_a_row_with_the_name_of_a_text_column_is_not_a_header(tmp_path, capsys, table):
    assert "title" not in notices(capsys, tmp_path / "in.csv", table)


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"participants": [{"name": "甲"}], "messages": [{"content": PLAIN}]}, "'.messages[]?'"),
        (
            {"hits": {"total": {"value": 1}, "hits": [{"_id": 1, "_source": {"content": PLAIN}}]}},
            "'.hits.hits[]?._source'",
        ),
        ({"_index": "sms", "_source": {"content": PLAIN}}, "._source"),
        ({"数据": [{"内容": PLAIN}]}, "'.\"数据\"[]?'"),
        ({"data": [{"id": 1}]}, "'.data[]?'"),
        ({"code": 0, "empty": [], "data": [{"text": LURE}]}, "'.data[]?'"),
        ([{"data": [{"text": PLAIN}]}], "'.[].data[]?'"),
        ([{"type": "header"}, {"type": "table", "data": [{"content": PLAIN}]}], "'.[].data[]?'"),
        ([{"_source": {"content": PLAIN}}], "'.[]._source'"),
        ({"errors": [{"message": "no"}], "result": {"items": [{"content": PLAIN}]}}, "'.result.items[]?'"),
        ({"errors": [{"message": "no"}], "data": [{"id": 1}]}, "'.data[]?'"),
        ({"status": {"text": "ok"}, "data": {"rows": [{"content": PLAIN}]}}, "'.data.rows[]?'"),
        ({"users": [{"msg": "hi"}], "list": [{"短信内容": PLAIN}]}, "'.list[]?'"),
        ({"all": {f"k{i}": {"id": 1} for i in range(1000)}, "zzz": {"a": {"text": PLAIN}}, "x": [{}]}, "'.x[]?'"),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_rows_nested_in_an_object_are_reported_with_their_jq_path(tmp_path, capsys, row, path, indent):
    error = refused(capsys, tmp_path / "in.json", json.dumps(row, indent=indent))
    assert f"Name it with --text COLUMN, or extract the rows first: jq -c {path}\n" in error


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    "fields",
    [
        {"code": 0, "msg": "success"},
        {"status": 200, "message": "OK"},
        {"code": 200, "message": "查询成功"},
        {"Success": True, "msg": "获取短信列表成功"},
        {"errno": 0, "msg": "Query executed successfully"},
        {"code": 0, "msg": None},
    ],
)
def test_an_api_response_with_a_status_beside_its_messages_is_reported(tmp_path, capsys, fields, indent):
    source, out = tmp_path / "in.json", tmp_path / "out.jsonl"
    source.write_text(json.dumps({**fields, "data": {"list": [{"content": LURE}]}}, indent=indent), "utf-8")
    _, name = fields
    assert score(source, "-o", out) == 2
    error = capsys.readouterr().err
    advice = (
        f"{name!r} seems to be a status, with the messages nested deeper: extract them first: jq -c '.data.list[]?'"
    )
    assert advice in error
    assert f"or score it anyway: --text {name}\n" in error
    assert score(source, "-o", out, "--text", name) == (1 if fields[name] is None else 0)


@pytest.mark.parametrize(
    "row",
    [
        {"text": "OK, see you", "entities": [{"type": "bold", "text": "OK"}], "code": "86"},
        {"text": "OK", "replies": [{"text": "明天见"}]},
        {"msg": "好的", "replies": [{"msg": "谢谢你哦"}], "status": "read"},
        {"content": "👍", "comments": [{"content": LURE}], "code": 1},
        {"body": "", "parts": [{"text": LURE}], "status": "sent"},
        {"code": 0, "msg": "ok", "from": {"text": "x"}},
        {"code": 0, "msg": "还没有成功呢，" * 3, "quoted": [{"content": "你好"}]},
    ],
)
def test_a_message_with_nested_objects_is_scored(tmp_path, row):
    (tmp_path / "in.jsonl").write_text(json.dumps(row), "utf-8")
    assert score(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl") == 0


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"content": "咨询投诉问题", "replies": [{"user": "a", "content": LURE}]}, ".replies[]?"),
        ({"message": "转人工", "chat": [{"role": "user", "content": LURE}]}, ".chat[]?"),
        ({"text": "会话0", "messages": [{"content": LURE}]}, ".messages[]?"),
        ({"text": "会话0", "messages": [{"content": LURE, "reply_to": {"content": LURE}}]}, ".messages[]?"),
        ({"text": "好", "quote": {"text": LURE}, "msg": {"text": LURE}}, ".msg"),
        ({"message": "submit", "mdc": {"content": LURE}}, ".mdc"),
        ({"text": f"{LURE} 详情", "entities": [{"type": "link", "text": LURE}]}, None),
        ({"text": PLAIN, "status": {"text": "delivered"}}, None),
        ({"text": PLAIN, "error": {"message": "超时"}}, None),
        ({"text": PLAIN, "reply_to": {"id": 1, "text": LURE}}, None),
        ({"content": PLAIN, "quote": {"content": LURE}}, None),
        ({"text": PLAIN, "sender": {"name": "小美"}, "tags": [{"id": "生活"}]}, None),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_texts_nested_in_a_row_that_has_a_text_are_reported(tmp_path, capsys, ending, row, path):
    source = tmp_path / f"in.{ending}"
    rows = [{name: value for name, value in row.items() if isinstance(value, str)}, row]
    scored(source, json.dumps(rows) if ending == "json" else "\n".join(map(json.dumps, rows)))
    notice = f"{source} has texts nested deeper that are not scored; to score them, extract them first: jq -c "
    error = capsys.readouterr().err
    if path:
        whole = ".[]" * (ending == "json") + path
        assert f"{notice}{shlex.quote(whole)}\n" in error
    else:
        assert "nested" not in error


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_all_paths_of_texts_nested_in_the_first_rows_are_reported(tmp_path, capsys, ending):
    rows = [
        *({"text": PLAIN}, {"id": 2, "msg": {"text": LURE}}, {"text": "转发", "forward": [{"text": LURE}]}),
        *({"text": "好", "msg": {"text": LURE}, "sub": {"more": {"text": LURE}}}, {"text": PLAIN, "a": {"text": "x"}}),
    ]
    scored(tmp_path / f"in.{ending}", json.dumps(rows) if ending == "json" else "\n".join(map(json.dumps, rows)))
    paths = [".[]" * (ending == "json") + path for path in (".msg", ".forward[]?", ".sub.more")]
    assert f"extract them first: jq -c '{', '.join(paths)} | objects'\n" in capsys.readouterr().err


def test_a_notice_names_few_paths_of_nested_texts(tmp_path, capsys):
    row = {"text": PLAIN, **{f"m{number}": {"text": LURE} for number in range(1000)}}
    assert notices(capsys, tmp_path / "in.jsonl", [row]).count(".m") == 10


@pytest.mark.parametrize(
    ("escape", "reported"),
    [
        ("{0:c}".format, False),
        ("\\u{:04x}".format, True),
        ("&#{};".format, True),
        ("&#X{:X};".format, True),
        ("{0:c}&#65292;".format, True),
        ("{0:c}\\u0041".format, False),
    ],
    ids=["none", "program", "decimal", "hexadecimal", "punctuation", "ascii"],
)
@pytest.mark.parametrize("form", ["jsonl", "csv", "txt"])
def test_characters_that_are_written_as_escapes_are_reported(tmp_path, capsys, form, escape, reported):
    text = "".join(escape(ord(character)) for character in LURE if character.isalpha())
    rows = {"jsonl": json.dumps({"text": text}), "csv": f"text\nok\n{text}\n", "txt": f"ok\n{text}\n"}
    assert ("has characters written as" in notices(capsys, tmp_path / f"in.{form}", rows[form])) == reported


def test_the_text_column_is_looked_up_in_the_first_readable_row(tmp_path, capsys):
    error = refused(capsys, tmp_path / "in.jsonl", '\n{\n{"id": 1, "words": "x"}\n', "--text", "wards")
    assert "has the columns: id, words" in error


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("in.jsonl", '{"fraud_label": "你好"}'),
        ("in.json", '[{"fraud_label": "你好"}]'),
        ("in.csv", "fraud_label,b\n你好,1"),
    ],
)
def test_an_output_column_is_refused_as_the_text_column(tmp_path, capsys, name, rows):
    (tmp_path / name).write_text(rows, "utf-8")
    assert score(tmp_path / name, "-o", tmp_path / "out.jsonl", "--text", "fraud_label") == 2
    assert "'fraud_label' is an output column: rename it in" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("header", "named"), [("id,foo", "foo"), ("id\tFoo bar", "Foo bar")])
def test_a_table_without_an_extension_is_recognized_by_the_named_column(tmp_path, header, named):
    (row,) = scored(tmp_path / "in", f"{header}\n{header.replace('id', '1')}\n", "--text", named)
    assert (row["id"], row[named]) == ("1", named)


@pytest.mark.parametrize("ending", ["jsonl", "json"])
@pytest.mark.parametrize("named", [[], ["--text", "text"], ["--by", "chat"]])
def test_rows_without_the_columns_are_rejected_wherever_they_are(tmp_path, ending, named):
    out = tmp_path / "out.jsonl"
    rows = [{"id": 1, "media": "photo"}, {"id": 2, "content": None, "text": LURE}, {"text": PLAIN, "chat": "a"}]
    lines = [json.dumps(row) for row in rows]
    scored(tmp_path / f"in.{ending}", "\n".join(lines) if ending == "jsonl" else f"[{', '.join(lines)}]", *named)
    assert [row["text"] for row in rows_of(out)] == [LURE, PLAIN]
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["raw"], reject["reason"]) == (lines[0], "'text' is missing")


def test_a_lower_case_text_column_takes_precedence(tmp_path):
    assert len(scored(tmp_path / "in.jsonl", json.dumps({"TEXT": None, "text": PLAIN}))) == 1


def test_duplicate_columns_are_kept_in_csv_and_refused_otherwise(tmp_path, capsys):
    source = tmp_path / "in.csv"
    source.write_text(f"text,k,k\n{PLAIN},1,2\n", "utf-8")
    assert score(source, "-o", tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text("utf-8").splitlines()[1].startswith(f"{PLAIN},1,2,")
    assert score(source, "-o", tmp_path / "out.jsonl") == 2
    assert f"{source} has two columns called 'k', which only CSV can hold: write a .csv file" in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_targets_are_not_overwritten_without_force(tmp_path, capsys):
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text(PLAIN, "utf-8")
    out.write_text("precious", "utf-8")
    assert score(source, "-o", out) == 2
    assert "--force" in capsys.readouterr().err
    assert out.read_text("utf-8") == "precious"
    assert score(source, "-o", source, "--force") == 2
    assert "is also the input" in capsys.readouterr().err
    assert source.read_text("utf-8") == PLAIN
    assert score(source, "-o", out, "--force") == 0
    assert len(rows_of(out)) == 1


def test_a_target_that_is_not_a_regular_file_is_refused_before_anything_is_scored(tmp_path, capsys):
    source, folder, pipe = tmp_path / "in.txt", tmp_path / "folder", tmp_path / "pipe"
    source.write_text(PLAIN, "utf-8")
    folder.mkdir()
    os.mkfifo(pipe)
    for target in (folder, pipe, os.devnull):
        for command in ("score", "rethreshold"):
            assert main([command, str(source), "-o", str(target), "--force"]) == 2
            assert "is not a regular file: name another output, or - for" in capsys.readouterr().err
    assert pipe.is_fifo()
    assert score(source, "-o", tmp_path / ("长" * 100)) == 2
    assert "cannot be written: File name too long" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "in.txt", "pipe"]


def test_an_empty_list_of_dumps_is_refused_before_anything_is_written(tmp_path, scanner):
    with pytest.raises(FraudscanError, match="no dump is named"):
        score_dump(scanner, [], tmp_path / "out.jsonl")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("stream", "called"), [("stdout", "standard output"), ("stderr", r"standard error \(rejects go there\)")]
)
def test_standard_streams_that_take_no_bytes_are_refused(scanner, tmp_path, monkeypatch, stream, called):
    (tmp_path / "in.txt").write_text(PLAIN, "utf-8")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys, stream, io.StringIO())  # as in notebooks
    with pytest.raises(FraudscanError, match=f"{called} takes text only: name a file"):
        score_dump(scanner, [tmp_path / "in.txt"], "-")


@pytest.mark.parametrize("name", ["z.csv.gz", "z.JSON", "z.xlsx", "z.jsonl.zst", "z.csv.zip", "z.xml"])
def test_a_target_with_an_unsupported_extension_is_refused(tmp_path, capsys, name):
    source = tmp_path / "in.csv"
    source.write_text(f"text,fraud_score,fraud_verdict\n{PLAIN},0,clear\n", "utf-8")
    for command in ("score", "rethreshold"):
        assert main([command, str(source), "-o", str(tmp_path / name)]) == 2
        assert "is not written; name a file that ends with .jsonl, .ndjson, .csv, .tsv, .pa" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "begins"),
    [("out", "id,text,"), ("out.txt", "id,text,"), ("out.tsv", "id\ttext\t"), ("out.ndjson", '{"id"')],
)
def test_the_target_format_follows_its_extension_or_else_the_dump(tmp_path, name, begins):
    source = tmp_path / "in.csv"
    source.write_text(f"id,text\n1,{PLAIN}\n", "utf-8")
    assert score(source, "-o", tmp_path / name) == 0
    assert (tmp_path / name).read_text("utf-8").startswith(begins)


def test_a_missing_dump_and_an_unwritable_target_are_refused(tmp_path, capsys):
    assert score(tmp_path / "none.jsonl", "-o", tmp_path / "out.jsonl") == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
    assert score(LURE * 20, "-o", tmp_path / "out.jsonl") == 2  # a message instead of the name of a dump
    assert "cannot be read: File name too long" in capsys.readouterr().err
    (tmp_path / "in.txt").write_text(PLAIN, "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "no" / "out.jsonl") == 2
    assert f"cannot be written: there is no folder {tmp_path / 'no'}" in capsys.readouterr().err
    assert score(tmp_path / "in.txt", "-o", f"{tmp_path}/no/") == 2
    assert f"cannot be written: there is no folder {tmp_path / 'no'}" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.part"))


def test_standard_input_to_standard_output(tmp_path):
    command = [sys.executable, "-m", "fraudscan", "score", "-", "-o", "-"]
    data = json.dumps({"text": LURE, "id": 1}) + "\n" + '{"id": 2}\n'
    done = subprocess.run(command, input=data.encode(), capture_output=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout)["fraud_label"] == "investment"
    assert "'text' is missing" in done.stderr.decode()


def test_a_dump_larger_than_a_block_streams_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK", 64)
    assert texts_of(tmp_path / "in.txt", "".join(f"第{i}条\n" for i in range(100))) == [f"第{i}条" for i in range(100)]


json_rows = st.dictionaries(
    st.text(max_size=5),
    st.one_of(st.none(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9)),
    max_size=4,
)


@given(st.lists(st.tuples(json_rows, st.text(max_size=30)), min_size=1, max_size=20))
@settings(max_examples=100)
def test_any_json_lines_are_preserved(tmp_path, rows):
    rows = [{**row, "text": text} for row, text in rows]
    found = scored(tmp_path / "in.jsonl", rows)
    for before, after in zip(rows, found, strict=True):
        assert {key: after[key] for key in before} == before
        assert set(after) == {*before, *COLUMNS}


LINES = [
    *(
        '{"text": "一"}',
        '{"id": 1, "text": "二"}',
        '{"text": "三", "text": "四"}',
        ' {"text": "五"}',
        '{"text": "六"} ',
    ),
    *("", "[1]", "{", '"text"', '{"text": null}', '{"text": 7}', '{"text": NaN}', '{"id": 1}', '{"text": "\\ud800"}'),
    *('{"text": "七", "fraud_label": "games"}', '{"text": "八", "x": ' + "[" * 300 + "]" * 300 + "}"),
    '{"text": "九", "x": "' + "[" * 500 + '"}',
    *('{ "text"\t: "十" , "x" : -0.5e+10, "y":true,"z":null }', '{"text": "\\u4e00\\n"}', '{"x": "\\"", "text": "一"}'),
    *(
        '{"te\\u0078t": "一"}',
        '{"text": "a", "x": 1e400}',
        '{"text": "é"}',
        '{"text": "\U0001f600", "ö": "\U0001f600"}',
    ),
    *('{"text": "一",}', '{"text": "一" "x": 1}', '{"text": "一", "x": 01}', '{"text": "一", "x": 1.}', "{}"),
    *(
        '{"text": "一", "x": 1e}',
        '{"text": "一", "x": -}',
        '{"x": "\t", "text": "一"}',
        '{"text": "一"}x',
        '{"text": "一"',
    ),
    *(
        '{"text": "一", "x": [{"y": 1}',
        '{"y": 2}]}',
        '{"text": "一"},{"text": "二"}',
        '{"text": "一"}\r',
        '\v{"text": "二"}',
    ),
    *('{"text": "一", "x": trué}', '{"text": "一", "x": [1, {"y": []}]}', '{"text"; "一"}', '{"text": "一", 1: 2}'),
]


@given(st.lists(st.sampled_from(LINES), max_size=12))
@settings(max_examples=100)
def test_the_fast_path_gives_the_same_output_as_the_slow_path(tmp_path, lines):
    """Also, an unusual line does not affect its neighbours."""
    source, out, rejects = (tmp_path / name for name in ("in.jsonl", "out.jsonl", "out.jsonl.rejects.jsonl"))
    source.write_text("\n".join([LINES[0], *lines]), "utf-8")
    found = []
    slow = mock.patch.object(readers.JsonLinesReader, "_plain", return_value=False)
    runs = [mock.patch.object(readers, "RUN", 1), mock.patch.object(readers, "RUN", 3)]
    for path in (slow, *runs, mock.patch.object(kernel, "compiled", None)):
        with path:
            assert score(source, "-o", out, "--force") in (0, 1)
        found.append([file.read_bytes() if file.exists() else b"" for file in (out, rejects)])
    assert all(results == found[0] for results in found)


def test_any_character_is_written_to_csv(tmp_path):
    """Also on Python 3.10, whose csv module does not write NULs by default and cannot read them at all."""
    source, out = tmp_path / "in.jsonl", tmp_path / "out.csv"
    source.write_text(json.dumps({"text": "a\0b\ufdd0", "n": '"'}) + "\n")
    assert score(source, "-o", out) == 0
    assert '\na\0b\ufdd0,"""",'.encode() in out.read_bytes()
    assert main(["rethreshold", str(out), "-o", str(tmp_path / "again.csv")]) == (
        2 if sys.version_info < (3, 11) else 0
    )


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20))
@settings(max_examples=100)
def test_any_csv_is_preserved(tmp_path, rows):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("k", "text"), *rows])
    assert score(source, "-o", out, "--force") == 0
    assert [(row["k"], row["text"]) for row in rows_of(out)] == rows


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_any_bytes_are_scored_or_rejected_or_refused(tmp_path, data):
    for name in ("in.jsonl", "in.csv", "in.txt", "in"):
        (tmp_path / name).write_bytes(data)
        assert score(tmp_path / name, "-o", tmp_path / "out", "--force") in (0, 1, 2)


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


@pytest.mark.parametrize("name", ["in.parquet", "in.xlsx", "in.xml"])
def test_all_of_a_reject_is_kept_if_it_is_not_too_long(tmp_path, name):
    long = "长" * 2 * readers.SHOWN
    rows = [{"id": i, "chat": "c", "sender": long, "text": PLAIN} for i in (1, 2, 3)]  # the third is rejected
    missing = f'<smses><sms body="{PLAIN}"/><sms address="{long}"/></smses>'.encode()
    (tmp_path / name).write_bytes(missing if name == "in.xml" else dumps.MAKERS[name](rows))
    assert score(tmp_path / name, "-o", tmp_path / "out.jsonl") == 0
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert long in json.loads(reject["raw"]).values()


@pytest.mark.parametrize("size", [0, 4095, 2**30 + 1, 10**30])
def test_max_message_outside_its_range_is_refused(tmp_path, capsys, size):
    error = refused(capsys, tmp_path / "in.jsonl", "{}", "--max-message", size)
    assert "--max-message must be 4,096 to 1,073,741,824 bytes" in error


def test_the_command_line_offers_every_format(capsys):
    with pytest.raises(SystemExit):
        main(["score", "--help"])
    offered = re.search(r"--format \{(.+?)\}", capsys.readouterr().out)[1]
    assert sorted(offered.split(",")) == sorted(FORMATS)
