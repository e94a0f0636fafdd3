"""Tests of Excel workbooks as input."""

import csv
import functools
import io
import json
import re
import sys
import zipfile
from datetime import date, datetime, time, timedelta

import dumps
import openpyxl
import pytest
from dumps import LURE, PLAIN, refused, rows_of, score, workbook
from hypothesis import given
from hypothesis import strategies as st

from fraudscan.cli import main
from fraudscan.dump import DumpError, Options, score_dump, workbooks
from fraudscan.labelled import read_labelled

BOOK = workbook({"a": [["text"], [PLAIN]]})


@pytest.fixture
def scored(tmp_path):
    """The function that scores a workbook and returns the rows of the output."""
    return functools.partial(dumps.scored, tmp_path / "in.xlsx")


def ours_removed(row):
    return {name: value for name, value in row.items() if not name.startswith("fraud_")}


def with_parts(content, changed, how=zipfile.ZIP_DEFLATED):
    """Return a workbook with other contents of parts, by name; those that are ``None`` are left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        parts = {name: old.read(name) for name in old.namelist()} | changed
    with zipfile.ZipFile(out, "w", how) as new:
        for name, part in parts.items():
            if part is not None:
                new.writestr(name, part)
    return out.getvalue()


def with_sheet(rows, texts=()):
    """Return a workbook with the XML of the rows of its sheet, and texts to which they refer by number."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    shared = "".join(f"<si><t>{text}</t></si>" for text in texts)
    with zipfile.ZipFile(io.BytesIO(BOOK)) as file:
        types = file.read("[Content_Types].xml").decode()
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    parts = {
        "[Content_Types].xml": types if kind in types else types.replace("</Types>", override),
        "xl/sharedStrings.xml": f'<sst xmlns="{main}">{shared}</sst>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><dimension ref="A1:B2"/>'
        f"<sheetData>{rows}</sheetData></worksheet>",
    }
    return with_parts(BOOK, parts)


def inline(text):
    """Return the XML of a row with one text."""
    return f'<row><c t="inlineStr"><is><t>{text}</t></is></c></row>'


def test_cells_keep_their_values(scored):
    values = {
        "card": (6222021234567890, 6222021234567890),
        "rounded": (6.22202123456789e18, 6222021234567890000),
        "typed": ("0622 0212", "0622 0212"),
        "whole": (100.0, 100),
        "part": (0.1, 0.1),
        "day": (date(2026, 1, 5), "2026-01-05"),
        "time": (datetime(2026, 1, 5, 8, 30), "2026-01-05T08:30:00"),  # noqa: DTZ001
        "clock": (time(12), "12:00:00"),
        "lasted": (timedelta(minutes=90), "1:30:00"),
        "error": ("#N/A", "#N/A"),
        "yes": (True, "TRUE"),
        "empty": (None, None),
        "lines": ("一_x000D_\n二", "一\r\n二"),
        "half": ("_xD83D_", "\ufffd"),
        "text": (PLAIN, PLAIN),
    }
    (found,) = scored(workbook({"a": [list(values), [value for value, _ in values.values()]]}))
    assert ours_removed(found) == {name: value for name, (_, value) in values.items()}


def test_dates_of_old_macs_begin_in_1904(scored):
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    for row in (["text", "day"], [PLAIN, datetime(2026, 1, 5)]):  # noqa: DTZ001
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    assert scored(out.getvalue())[0]["day"] == "2026-01-05"


def test_workbooks_of_other_programs_are_read(scored):
    """They have no shared texts, no places of cells, the values of formulas, and dimensions that are wrong."""
    runs = "<is><r><t>重</t></r><rPh sb='0' eb='1'><t>chong</t></rPh><r><t>阳</t></r></is>"
    cells = f"<c t='inlineStr'>{runs}</c><c t='d'><v>2026-01-05</v></c><c t='str'><f>A1&amp;B1</f><v>{LURE}</v></c>"
    header = "".join(f"<c t='inlineStr'><is><t>{name}</t></is></c>" for name in ("runs", "day", "text"))
    (row,) = scored(with_sheet(f"<row>{header}</row><row>{cells}</row>"))
    assert ours_removed(row) == {"runs": "重阳", "day": "2026-01-05", "text": LURE}


def test_cells_may_refer_to_texts(scored):
    header, body = ("".join(f"<c t='s'><v>{i}</v></c>" for i in order) for order in ((0, 1), (3, 2)))
    (row,) = scored(with_sheet(f"<row>{header}</row><row>{body}</row>", ["n", "text", PLAIN, "一_x000D_\n二"]))
    assert ours_removed(row) == {"n": "一\r\n二", "text": PLAIN}


def test_cells_and_rows_that_are_left_out_are_empty(scored, tmp_path):
    rows = [[], [], [None, "n", None, "text"], [], [], [], [None, None, None, LURE], [], [None, 123456]]
    first, second = map(ours_removed, scored(workbook({"a": rows})))
    assert first == {"A": None, "n": None, "C": None, "text": LURE}
    assert second == {"A": None, "n": 123456, "C": None, "text": None}
    assert score(tmp_path / "in.xlsx", "-o", tmp_path / "out.csv") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.csv")] == [LURE, ""]


def test_a_number_is_scored_as_its_text(scored):
    (row,) = scored(workbook({"a": [["text", "n"], [123456, 1]]}))
    assert (row["text"], row["fraud_label"]) == (123456, "legitimate")


def test_without_openpyxl_the_error_names_the_extra(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert 'need openpyxl: pip install "fraudscan[excel]"' in refused(capsys, tmp_path / "in.xlsx", BOOK)


def test_all_sheets_with_a_text_column_become_one_table(scored, capsys):
    sheets = {
        "短信": [["号码", "短信内容"], ["10690", LURE]],
        "说明": [["导出说明"], ["手机一"]],
        "空": [],
        "微信": [["消息内容", "群", "号码"], [PLAIN, "家人", "11000000021"]],
    }
    first, second = map(ours_removed, scored(workbook(sheets)))
    assert first == {"sheet": "短信", "号码": "10690", "短信内容": LURE, "消息内容": None, "群": None}
    assert second == {"sheet": "微信", "号码": "11000000021", "短信内容": None, "消息内容": PLAIN, "群": "家人"}
    notices = capsys.readouterr().err
    assert "has a sheet '说明' that is left out: no column looks like the text; " in notices
    assert "has a sheet '微信' whose text is taken from '消息内容'" in notices
    (only,) = scored(workbook(sheets), "--text", "消息内容")
    assert ours_removed(only) == {"消息内容": PLAIN, "群": "家人", "号码": "11000000021"}


def test_delimiters_in_a_sheet_of_one_column_are_not_reported(scored, capsys):
    texts = ["你好, 在吗", '"引, 号"', "在"]
    assert [row["短信内容"] for row in scored(workbook({"甲": [["短信内容"], *([text] for text in texts)]}))] == texts
    assert "one column" not in capsys.readouterr().err


def test_conversations_and_rejects_name_the_rows_of_a_sheet(scored, tmp_path):
    sheets = {
        "sheet": [["chat", "text", "sheet"], [7, PLAIN]],
        "a": [["chat", "text"], [7, LURE], ["chat", "text"], ["x", PLAIN, "more"]],
    }
    assert [row["sheet_"] for row in scored(workbook(sheets), "--by", "chat")] == ["sheet", "a"]
    (chat,) = rows_of(tmp_path / "out.jsonl.conversations.jsonl")
    assert (chat["conversation"], chat["messages"]) == ("7", 2)
    places = [[chat[which][name] for name in ("sheet", "line", "text")] for which in ("first", "strongest")]
    assert places == [["sheet", 2, PLAIN], ["a", 2, LURE]]
    rejects = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    reasons = ["the header again", "a value in column C, where the header has no name: add one"]
    assert [(row["line"], row["reason"]) for row in rejects] == list(zip([3, 4], reasons, strict=True))
    assert json.loads(rejects[1]["raw"]) == {"sheet_": "a", "chat": "x", "text": PLAIN, "C": "more"}


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([["a", "b"], [1, 2]], "no column looks like the text; .*, sheet '甲' has the columns: a, b"),
        ([["2026年短信"], ["号码", "短信内容"], ["1", PLAIN]], "line 2 looks like the header: add --header-line 2"),
        ([[], ["报告"], [], ["号码", "短信内容"], ["1", PLAIN]], "line 4 looks like the header: add --header-line 4"),
        (
            [[], ["短信", None, "二月"], [], ["号码", "短信内容", "时间"], ["1", PLAIN, "8:30"]],
            "seems to begin with a title; line 4 looks like the header: add --header-line 4",
        ),
        ([["text", "text"], [PLAIN, PLAIN]], "several columns called 'text'"),
    ],
)
def test_the_header_follows_the_rules_for_tables(tmp_path, capsys, rows, error):
    assert re.search(error, refused(capsys, tmp_path / "in.xlsx", workbook({"甲": rows})))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([["字段", "含义"], ["编号", "行号"], ["短信内容", "正文"]], "no column looks like the text; "),
        ([["类型", "数量"], ["text", 5], ["image", 7]], "no column looks like the text; "),
        ([["月份", "短信"], ["一月", 3]], "its column '短信' has no letters\n"),
        (
            [["二月"], [], ["号码", "短信内容"], ["1", LURE]],
            "line 3 looks like the header: add --header-line 3",
        ),
        (
            [["二月短信", None], ["号码", "短信内容"], ["1", LURE]],
            "line 2 looks like the header: add --header-line 2",
        ),
        ([["text", "text"], [LURE, LURE]], "has several columns called 'text': rename all but one\n"),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_a_sheet_that_is_no_table_does_not_keep_the_others_from_being_read(scored, capsys, rows, why, first):
    sheets = {"一": [["编号", "短信内容"], [1, PLAIN]], "二": rows}
    found = scored(workbook(dict(sorted(sheets.items(), reverse=first))))
    assert list(map(ours_removed, found)) == [{"编号": 1, "短信内容": PLAIN}]
    notices = capsys.readouterr().err
    assert re.search(f"has a sheet '二' that is left out: .*{re.escape(why)}", notices)


def test_a_sheet_with_an_ambiguous_name_of_the_text_is_read_if_it_has_words_or_no_other_is_clearer(scored):
    counts = [["月份", "短信"], ["一月", 3]]
    assert [row["短信"] for row in scored(workbook({"一": counts, "二": [["短信"], [PLAIN]]}))] == [3, PLAIN]
    (english, clear) = scored(workbook({"一": [["短信"], ["See you at six"]], "二": [["text"], [PLAIN]]}))
    assert (english["短信"], clear["text"]) == ("See you at six", PLAIN)


def test_rows_above_a_header_are_rejected(scored, tmp_path, capsys):
    sheets = {
        "一": [["二月短信"], [], ["号码", "短信内容"], [1, PLAIN], ["号码", "短信内容"]],
        "空": [],
        "说明": [["字段"], ["号码"], [None], ["短信内容"]],
        "短": [["短信内容"]],
        "二": [[], [2, "条", "多"], ["短信内容", "号码"], [LURE, 2]],
    }
    found = list(map(ours_removed, scored(workbook(sheets), "--header-line", 3, "--by", "号码")))
    assert found == [
        {"sheet": "一", "号码": 1, "短信内容": PLAIN},
        {"sheet": "二", "号码": 2, "短信内容": LURE},
    ]
    rejects = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert [(row["line"], row["reason"]) for row in rejects] == [
        (1, "above the header"),
        (5, "the header again"),
        (2, "above the header"),
    ]
    assert json.loads(rejects[0]["raw"]) == {"sheet": "一", "A": "二月短信"}
    assert json.loads(rejects[2]["raw"]) == {"sheet": "二", "A": 2, "B": "条", "C": "多"}
    assert [row["first"]["line"] for row in rows_of(tmp_path / "out.jsonl.conversations.jsonl")] == [4, 4]
    notices = capsys.readouterr().err
    assert "'空'" not in notices
    for name in ("说明", "短"):
        assert f"sheet {name!r} has no header: row 3 is empty or not there\n" in notices
    for line, why in {-1: "--header-line must be the number", 9: "row 9 is empty or not there\n"}.items():
        assert score(tmp_path / "in.xlsx", "-o", tmp_path / "new.jsonl", "--header-line", line) == 2
        assert why in capsys.readouterr().err
    assert score(tmp_path / "in.xlsx", "-o", tmp_path / "new.jsonl", "--header-line", 1, "--text", "号码") == 2


def test_a_sheet_without_the_title_of_the_others_is_read_from_its_first_row(scored, capsys):
    named = ["号码", "短信内容"]
    sheets = {
        "二月": [named, [2, PLAIN], [3, PLAIN]],
        "一月": [["165 通报"], named, [1, LURE]],
        "总数": [["月份", "短信"], ["一月", 1], ["二月", 2]],
    }
    found = list(map(ours_removed, scored(workbook(sheets), "--header-line", 2)))
    assert [(row["sheet"], row["号码"], row["短信内容"]) for row in found] == [
        *(("二月", 2, PLAIN), ("二月", 3, PLAIN), ("一月", 1, LURE))
    ]
    notices = capsys.readouterr().err
    assert "has a sheet '二月' whose first row is read as the header: row 2 seems to be none\n" in notices
    assert "has a sheet '总数' that is left out: " in notices


def test_a_named_header_far_below_is_followed_by_rows_that_are_examined(scored):
    rows = [[f"第{i}行"] for i in range(200)] + [["a", "b"], *[["x", PLAIN]] * 3]
    with_text = scored(workbook({"一": rows}), "--header-line", 201, "--text", "b")
    assert [row["b"] for row in with_text] == [PLAIN] * 3


def test_columns_of_an_earlier_run_are_replaced_and_a_named_column_is_in_some_sheet(scored, tmp_path, capsys):
    sheets = {"一": [["text", "fraud_label"], [PLAIN, "x"]], "二": [["text"], [LURE]]}
    assert [row["fraud_label"] for row in scored(workbook(sheets))] == ["legitimate", "investment"]
    assert "in.xlsx: fraud_label already existed" in capsys.readouterr().err
    assert score(tmp_path / "in.xlsx", "-o", tmp_path / "new.jsonl", "--by", "号码") == 2
    assert "no column is called '号码'; " in capsys.readouterr().err


def test_the_columns_of_sheets_without_a_header_are_numbered(scored, tmp_path, capsys):
    sheets = {"一": [[], [7, PLAIN], ["x", LURE, "more"], [1, 2, 3]], "二": [["y", PLAIN]] * 60 + [["y", PLAIN, "z"]]}
    found = [list(ours_removed(row).values()) for row in scored(workbook(sheets), "--header-line", 0, "--text", 2)]
    assert found[:3] == [["一", 7, PLAIN, None], ["一", "x", LURE, "more"], ["一", 1, 2, 3]]
    assert found[3:] == [["二", "y", PLAIN, None]] * 60
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["reason"]) == (61, "a value in column C, where the first rows have none")
    assert score(tmp_path / "in.xlsx", "-o", tmp_path / "new.jsonl", "--header-line", 0) == 2
    assert "has the columns: 1, 2, 3. Name it with --text COLUMN, perhaps --text 2\n" in capsys.readouterr().err


@given(st.lists(st.lists(st.none() | st.integers(0, 9) | st.text("短text 一1;\n", max_size=8), max_size=4), max_size=9))
def test_rows_of_any_kind_above_a_header_change_nothing_else(tmp_path, rows):
    source, out = tmp_path / "in.xlsx", tmp_path / "out.jsonl"
    source.write_bytes(workbook({"甲": [*rows, ["n", "text"], [77, PLAIN]]}))
    assert score(source, "-o", out, "--force", "--quiet", "--header-line", len(rows) + 1) == 0
    assert list(map(ours_removed, rows_of(out))) == [{"n": 77, "text": PLAIN}]
    rejects = tmp_path / "out.jsonl.rejects.jsonl"
    lines = [row["line"] for row in rows_of(rejects)] if rejects.exists() else []
    assert lines == [at for at, row in enumerate(rows, 1) if any(cell not in (None, "") for cell in row)]


@given(
    st.lists(
        st.lists(st.none() | st.integers(0, 9) | st.text("短信内容text 一1;\n", max_size=8), max_size=4), max_size=5
    )
)
def test_no_sheet_keeps_another_one_from_being_read(tmp_path, rows):
    source, out = tmp_path / "in.xlsx", tmp_path / "out.jsonl"
    source.write_bytes(workbook({"甲": rows, "乙": [["text", "n"], [PLAIN, 77]]}))
    assert score(source, "-o", out, "--force", "--quiet") in {0, 1}
    assert [row["text"] for row in rows_of(out) if row.get("n") == 77] == [PLAIN]


def test_blanks_around_the_names_of_columns_are_dropped(scored, tmp_path):
    sheets = {"一": [["会话", " 内容 ", "人\u3000"], ["c", LURE, "甲"]], "二": [["会话 ", "内容"], ["c", PLAIN]]}
    first, second = map(ours_removed, scored(workbook(sheets)))
    assert (first, second) == (
        {"sheet": "一", "会话": "c", "内容": LURE, "人": "甲"},
        {"sheet": "二", "会话": "c", "内容": PLAIN, "人": None},
    )
    (tmp_path / "deny.txt").write_text(f"sender=甲: {LURE[:4]}\n", "utf-8")
    for spelled in ("{}", " {}", "{} "):
        named = {
            option: spelled.format(name) for option, name in (("--text", "内容"), ("--by", "会话"), ("--sender", "人"))
        }
        options = [part for option in named.items() for part in option]
        first, second = scored(workbook(sheets), "--deny", tmp_path / "deny.txt", *options)
        assert first["fraud_rule"].startswith("deny sender=甲")
        assert second["fraud_rule"] is None
        (chat,) = rows_of(tmp_path / "out.jsonl.conversations.jsonl")
        assert (chat["conversation"], chat["messages"]) == ("c", 2)


def test_each_of_several_columns_of_one_name_is_one_column_in_all_sheets(tmp_path):
    sheets = {"a": [["text", "备注", "备注"], [PLAIN, "1", "2"]], "b": [["备注", "新", "备注", "text"], [*"345", LURE]]}
    (tmp_path / "in.xlsx").write_bytes(workbook(sheets))
    assert score(tmp_path / "in.xlsx", "-o", tmp_path / "out.csv") == 0
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row[:5] for row in csv.reader(file)] == [
            ["sheet", "text", "备注", "备注", "新"],
            ["a", PLAIN, "1", "2", ""],
            ["b", LURE, "3", "5", "4"],
        ]


def test_columns_that_differ_by_blanks_alone_have_one_name(tmp_path, capsys):
    error = refused(capsys, tmp_path / "in.xlsx", workbook({"a": [["text", "备注", "备注 "], [PLAIN, "x", "y"]]}))
    assert "has two columns called '备注', which only CSV can hold" in error
    assert score(tmp_path / "in.xlsx", "-o", tmp_path / "out.csv") == 0
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row[:3] for row in csv.reader(file)] == [["text", "备注", "备注"], [PLAIN, "x", "y"]]


def test_where_no_workbook_is_read_the_advice_says_what_is(tmp_path, capsys):
    (tmp_path / "in.xlsx").write_bytes(BOOK)
    source, out = tmp_path / "in.xlsx", tmp_path / "out.csv"
    assert score(source, "-o", out, "--format", "csv") == 2
    assert "is an Excel workbook (.xlsx): leave --format out to read it" in capsys.readouterr().err
    assert main(["rethreshold", str(source), "-o", str(out), "--flag", "0.9"]) == 2
    assert "rethreshold needs the file that score wrote" in capsys.readouterr().err


def test_an_encoding_does_not_apply_to_a_workbook(scored, capsys):
    assert [row["text"] for row in scored(BOOK, "--encoding", "gbk")] == [PLAIN]
    assert "is a workbook: --encoding gb18030 does not apply to it" in capsys.readouterr().err


def test_a_folder_is_searched_for_workbooks_but_not_for_the_lock_files_of_excel(tmp_path, phone, capsys):
    (phone / "短信.XLSX").write_bytes(workbook({"a": [["text"], [PLAIN]]}))
    (phone / "~$短信.XLSX").write_bytes(b"\4user" + bytes(160))
    assert score(phone, "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [PLAIN]
    assert "files are skipped because of their names: 1 hidden" in capsys.readouterr().err


def test_labelled_messages_may_be_in_a_workbook(tmp_path):
    (tmp_path / "mine.xlsx").write_bytes(workbook({"a": [["text", "label"], [LURE, 1], [PLAIN, 0]]}))
    found = read_labelled([tmp_path / "mine.xlsx"])
    assert [(row.id, row.text, row.labels) for row in found.rows] == [
        ("mine.xlsx:2", LURE, ("1",)),
        ("mine.xlsx:3", PLAIN, ()),
    ]


def with_password(content):
    """Return a ZIP archive that says that all of its members are encrypted."""
    return re.sub(rb"(PK\x01\x02.{4}).", lambda match: match[1] + b"\1", content, flags=re.DOTALL)


with zipfile.ZipFile(io.BytesIO(BOOK)) as archive:
    MANY_TIMES = re.sub(rb"<sheet [^>]*/>", lambda match: 99 * match[0], archive.read("xl/workbook.xml"))


@pytest.mark.parametrize("first", ["media/image1.png", "list.csv"])
def test_workbooks_are_recognized_whatever_part_comes_first(tmp_path, first):
    with zipfile.ZipFile(io.BytesIO(BOOK)) as archive:
        parts = {first: b"", **{name: archive.read(name) for name in reversed(archive.namelist())}}
    (tmp_path / "in.xlsx").write_bytes(dumps.zipped(parts))
    assert score(tmp_path / "in.xlsx", "-o", tmp_path / "out.jsonl") == 0


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (BOOK[:-30], "is no workbook that can be read: .*; open it in Excel or WPS and save it as .xlsx without"),
        (with_password(BOOK), "it has a password; open it in Excel or WPS"),
        (b"text\nx", "is no workbook that can be read"),
        (b"\xd0\xcf\x11\xe0" + bytes(500), r"\(\.xls\), or one with a password: save it as \.xlsx without a password"),
        (with_parts(BOOK, {"xl/workbook.xml": None}), "is no workbook that can be read: .*xl/workbook.xml"),
        (with_sheet("<row><c t='s'><v>3</v></c></row>"), "is no workbook that can be read: list index"),
        (with_parts(BOOK, {"xl/styles.xml": "<a"}), "is no workbook that can be read: unclosed token"),
        (with_parts(BOOK, {}, zipfile.ZIP_LZMA), "it is compressed in a way that Excel does not use"),
        (BOOK.replace(b"xl/workbook.xml", b"xl/workbook.bin"), r"a binary workbook \(.xlsb\): save it as .xlsx"),
        (with_sheet(inline("a" * 9_000_000)), "it would unpack to 9,0.* bytes, as decompression bombs do"),
        (with_sheet("<row r='9999999999'><c><v>1</v></c></row>"), "a sheet has more rows than Excel"),
        (with_sheet("<row><c><v>a</v></c></row>"), "is no workbook that can be read: invalid literal"),
        (with_parts(BOOK, {"xl/workbook.xml": MANY_TIMES}), "it has sheets that are the same"),
        (with_parts(BOOK, {"word/document.xml": ""}), "is a Word document: export its text"),
    ],
)
def test_workbooks_that_cannot_be_read_are_refused_with_advice(tmp_path, capsys, content, error):
    assert re.search(error, refused(capsys, tmp_path / "in.xlsx", content, "--format", "xlsx"))


def test_strict_open_xml_is_refused_with_advice(tmp_path, capsys):
    with zipfile.ZipFile(io.BytesIO(BOOK)) as file:
        parts = {name: file.read(name).decode() for name in file.namelist() if name.startswith("xl/")}
    for name, part in parts.items():
        parts[name] = re.sub(r"http://schemas.openxmlformats.org/(\w+)/2006/", r"http://purl.oclc.org/ooxml/\1/", part)
    assert "Strict Open XML" in refused(capsys, tmp_path / "in.xlsx", with_parts(BOOK, parts))


def test_workbooks_are_read_from_plain_files_only(tmp_path, capsys):
    error = refused(capsys, tmp_path / "in.xlsx.gz", dumps.gzip.compress(BOOK))
    assert "workbooks are read from a plain file only; unpack or save it first" in error


def test_a_damaged_sheet_is_scored_up_to_the_damage(scored, capsys):
    rows = scored(with_sheet(inline("text") + inline(PLAIN) * 20_000 + "</broken>"), status=1)
    assert "cannot be read to its end: the workbook cannot be read any further" in capsys.readouterr().err
    assert len(rows) > 10_000


def test_rows_longer_than_the_limit_are_rejected(tmp_path, scanner):
    (tmp_path / "in.xlsx").write_bytes(workbook({"a": [["text"], [PLAIN], ["长" * 30_000], [LURE]]}))
    options = Options(max_message=1 << 16)
    summary = score_dump(scanner, [tmp_path / "in.xlsx"], tmp_path / "out.jsonl", options)
    assert (summary.scored, summary.rejected) == (2, 1)
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["reason"] == "longer than a row may be: raise --max-message"
    assert len(reject["raw"]) <= 1000


def placed(place, text):
    """Return the XML of a cell at a place."""
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


@pytest.mark.parametrize(("columns", "code"), [(("B", "A"), 0), (("XFD", "A"), 1), (("B", "XFD"), 2)])
def test_a_sheet_with_too_many_empty_cells_for_its_bytes_is_a_bomb(tmp_path, capsys, monkeypatch, columns, code):
    monkeypatch.setattr(workbooks, "LARGEST", 1 << 14)
    monkeypatch.setattr(workbooks, "TIMES_PACKED", 10)
    name, text = columns
    header = f"<row r='1'>{placed('A1', 'text')}{placed(f'{name}1', 'z')}</row>"
    rows = "".join(f"<row r='{i}'>{placed(f'{text}{i}', PLAIN)}</row>" for i in range(2, 90))
    (tmp_path / "in.xlsx").write_bytes(with_sheet(header + rows))
    assert score(tmp_path / "in.xlsx", "-o", tmp_path / "out.jsonl") == code
    assert ("cells, most of them empty, as decompression bombs do" in capsys.readouterr().err) == bool(code)


def test_rows_before_a_bomb_are_scored(scored, tmp_path, monkeypatch):
    monkeypatch.setattr(workbooks, "LARGEST", 1 << 14)
    monkeypatch.setattr(workbooks, "TIMES_PACKED", 10)
    good = "".join(f"<row r='{i}'>{placed(f'A{i}', PLAIN)}</row>" for i in range(2, 52))
    wide = "".join(f"<row r='{i}'>{placed(f'XFD{i}', PLAIN)}</row>" for i in range(52, 90))
    rows = scored(with_sheet(f"<row r='1'>{placed('A1', 'text')}</row>{good}{wide}"), status=1)
    assert len(rows) >= 50
    (*_, last) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert "cannot be read any further" in last["reason"]


def test_rejects_do_not_list_empty_cells(tmp_path):
    rows = [["text", "n"], [PLAIN, 0], [None, 7, *[None] * 9, "x"]]
    (tmp_path / "in.xlsx").write_bytes(workbook({"a": rows}))
    assert score(tmp_path / "in.xlsx", "-o", tmp_path / "out.jsonl") == 0
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert json.loads(reject["raw"]) == {"n": 7, "L": "x"}


XML_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff"), max_size=30
).filter(lambda text: "_x" not in text and text[:1] != "=")


@given(st.lists(st.tuples(XML_TEXT, XML_TEXT | st.integers(-(10**15), 10**15)), max_size=20))
def test_any_text_is_kept(tmp_path, records):
    source, out = tmp_path / "in.xlsx", tmp_path / "out.jsonl"
    source.write_bytes(workbook({"a": [["text", "n"], *([f"a{text}", n] for text, n in records)]}))
    assert score(source, "-o", out, "--force", "--quiet") == 0
    assert [(row["text"], row["n"] or "") for row in rows_of(out)] == [(f"a{text}", n or "") for text, n in records]


NOT_CALCULATED = "formulas without a value, which are read as empty cells: open it in Excel or WPS and save it\n"


@pytest.mark.parametrize("step", [100, 1 << 20])
def test_formulas_that_nothing_has_calculated_are_reported(scored, capsys, monkeypatch, step):
    monkeypatch.setattr(workbooks, "STEP", step)
    formula = f'="{LURE}"'
    rows = scored(workbook({"a": [["id", "text"], [1, formula], [2, PLAIN], [3, formula]], "b": [["x"], [formula]]}))
    assert [row["text"] for row in rows] == [None, PLAIN, None]
    assert f"in.xlsx has 3 {NOT_CALCULATED}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cell", "count"),
    [
        ("<c><f>A1</f></c>", 1),
        ('<c r="A3" s="1">\n<f ca="1">A1</f>\n<v></v>\n</c>', 1),
        ("<x:c><x:f>A1</x:f><x:v/></x:c>", 1),
        ('<c t="str"><f>IF(A1="","",A1)</f><v></v></c>', 0),
        ("<c><f>A1</f><v>7</v></c>", 0),
        ("<c/><c><v/></c>", 0),
        (f'<c t="inlineStr"><is><t>{LURE}&lt;c>&lt;f>&lt;/f>&lt;/c></t></is></c>', 0),
    ],
)
def test_formulas_without_a_value_are_told_from_others(scored, capsys, cell, count):
    cells = f'<row><c t="inlineStr"><is><t>text</t></is></c></row><row>{cell}</row>{inline(PLAIN)}'
    book = with_sheet(
        cells.replace("<x:c>", '<x:c xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main">')
    )
    assert scored(book)[-1]["text"] == PLAIN
    assert (f"has {count} {NOT_CALCULATED}" in capsys.readouterr().err) == bool(count)


@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(0, 50))
def test_damaged_workbooks_are_refused_or_read_in_part(tmp_path, scanner, noise, at, cut):
    content = bytearray(BOOK)
    at %= len(content)
    content[at : at + cut] = noise
    (tmp_path / "in.xlsx").write_bytes(content)
    options = Options(format="xlsx") if zipfile.is_zipfile(tmp_path / "in.xlsx") else Options()
    try:
        summary = score_dump(scanner, [tmp_path / "in.xlsx"], tmp_path / "out.jsonl", options, force=True)
    except DumpError:
        return
    assert summary.scored + summary.rejected < 100
