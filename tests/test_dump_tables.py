"""Tests of tables: delimiters, quoting, headers, and rows that are malformed."""

import csv
import io
import random
from unittest import mock

import pytest
from dumps import LURE, PLAIN, refused, rows_of, score, scored, texts_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fraudscan.dump import readers, tables


@pytest.mark.parametrize("name", ["短信内容", '"text"', "message"])
def test_a_one_column_table_needs_no_csv_extension(tmp_path, name):
    rows = scored(tmp_path / "in.txt", f'{name}\n"第一行\n第二行，""在""里"\n{LURE}\n')
    assert [row[name.strip('"')] for row in rows] == ['第一行\n第二行，"在"里', LURE]
    found = scored(tmp_path / "in.txt", f"{name}\n你好, 在吗\n{LURE}\n")
    assert [row[name.strip('"')] for row in found] == ["你好, 在吗", LURE]
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
    assert texts_of(tmp_path / "in.txt", "\n".join(lines)) == lines


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
    ("table", "count"),
    [
        (f'id\ttext\ttime\n1\t"{PLAIN}\t10:00\n2\t{PLAIN}\t10:01\n3\t{PLAIN}\t10:02\n', 2),
        (f"text,time,note\n{PLAIN},10:00\n{PLAIN},10:01,\n", 1),
        (f"text|20240101\n{PLAIN}|a\n", 1),
    ],
    ids=["lone quote", "short rows", "a day"],
)
def test_a_table_without_a_csv_extension_is_recognized_by_its_header(tmp_path, capsys, table, count):
    rows = scored(tmp_path / "in.txt", table)
    assert "is read as lines" not in capsys.readouterr().err
    assert [row["text"].strip('"') for row in rows] == [PLAIN] * count


@pytest.mark.parametrize("lines", [['"急！今天不回家', "吃饭了"], ['"今天" 不来', '"急！今天', '在"吗']])
def test_lines_with_quotes_are_not_a_one_column_table(tmp_path, lines):
    assert texts_of(tmp_path / "in.txt", "\n".join(["内容", *lines])) == ["内容", *lines]


def test_a_one_column_table_may_be_long(tmp_path):
    with (tmp_path / "in.txt").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *[[f"第{i}行\n{LURE}"] for i in range(40_000)]])
    assert score(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--quiet") == 0
    assert len(rows_of(tmp_path / "out.jsonl")) == 40_000


@pytest.mark.parametrize("text", ["{" + "\n" * 200_000, '[{"text": "' + " " * 500_000 + '"}]'], ids=["lines", "blanks"])
def test_long_runs_of_whitespace_are_scanned_once(tmp_path, text):
    (tmp_path / "in.json").write_text(text)  # takes minutes if each of them starts a new scan
    assert score(tmp_path / "in.json", "-o", tmp_path / "out.jsonl") in (0, 1)


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
    rows = [{"id": str(i), "text": f'"{PLAIN}' if i % 10 == 3 else PLAIN, "n": str(i)} for i in range(400)]
    lines = [delimiter.join(row.values()) for row in [dict(zip(rows[0], rows[0], strict=True)), *rows]]
    found = scored(tmp_path / "in.csv", "\n".join(lines), "--max-message", size)
    assert [{name: row[name] for name in rows[0]} for row in found] == rows


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
    assert texts_of(source, f"id{delimiter}text{delimiter}t\n{quoted}") == ["第一行\n第二行"]


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
    texts = [f"加微信\\r\\n{PLAIN}\\t{LURE}", f"加微信  {PLAIN} {LURE}"]
    rows = scored(tmp_path / "in.csv", f"id{delimiter}text\n" + "".join(f"1{delimiter}{text}\n" for text in texts))
    assert [row["text"] for row in rows] == texts
    assert len({row["fraud_score"] for row in rows}) == 1


@pytest.mark.parametrize("delimiter", ["\t", ",", "\x01"])
def test_database_null_is_neither_a_text_nor_a_conversation(tmp_path, delimiter):
    rows = [["id", "chat", "text"], ["1", "\\N", LURE], ["2", "a", "\\N"], ["3", "a", "\\N!"]]
    found = scored(tmp_path / "in.csv", "\n".join(map(delimiter.join, rows)), "--by", "chat")
    assert [(row["id"], row["chat"], row["text"]) for row in found] == [tuple(rows[1]), tuple(rows[3])]
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
    texts = texts_of(tmp_path / "in.csv", 'id,text,n\n1,"他\n说"好"了",x\n2,"a"b,x\n3,"C:\\",x\n4,"a""b",x\n')
    assert texts == ['他\n说好"了"', "ab", "C:\\", 'a"b']


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
        kept = [f"{row[0]},{row[1]}\n".encode() for row in csv.reader(file)][1:]
    assert sum(map(len, [*kept, *(raw for _, raw in found)])) == len(bad.encode())
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


def test_safe_csv_also_escapes_the_output_columns_and_is_off_by_default(tmp_path, monkeypatch):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("=k,text\n1,在吗。=1+1加微信刷单返利日结\n", "utf-8")
    monkeypatch.setattr("fraudscan.explain.evidence", lambda *_: ["=1+1加微信"])  # independent of the shipped model
    for option, mark in ([], ""), (["--safe-csv"], "'"):
        assert score(source, "-o", out, "--explain", "--force", *option) == 0
        (row,) = rows_of(out)
        assert row["fraud_evidence"] == f"{mark}=1+1加微信"
        assert row[f"{mark}=k"] == "1"


def test_any_delimiter_is_detected_or_accepted_as_an_option(tmp_path):
    for delimiter in ",;\t|^~":
        rows = scored(tmp_path / "in.csv", f"id{delimiter}text{delimiter}x\n1{delimiter}{PLAIN}{delimiter}y\n")
        assert rows[0]["text"] == PLAIN
    for delimiter, named in ("#", "#"), ("\t", "\\t"), ("\t", "\t"), ("\x01", "\\x01"), ("\x01", "\\001"):
        found = scored(tmp_path / "in.csv", f"id{delimiter}text\n1{delimiter}{PLAIN}\n", "--delimiter", named)
        assert found[0]["id"] == "1"


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
    error = refused(capsys, tmp_path / "in.csv", f"id,text\n1,{PLAIN}\n", "--delimiter", delimiter)
    assert "--delimiter must be one character" in error


@pytest.mark.parametrize("column", ["聊天内容", "StrContent"])
def test_text_column_names_of_other_programs_are_recognized(tmp_path, column):
    assert scored(tmp_path / "in.txt", f"localId,{column}\n1,{PLAIN}\n")[0][column] == PLAIN


def test_an_unterminated_header_is_refused(tmp_path, capsys):
    for encoding in ("utf-8-sig", "utf-8"):
        (tmp_path / "in.csv").write_text('text,"' + "x\n" * 5000, encoding)
        assert score(tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--max-message", 4096) == 2
        assert "has a header longer than --max-message" in capsys.readouterr().err


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


@pytest.mark.parametrize("options", [(), ("--text", "text"), ("--text", "id", "--by", "text")])
def test_a_requested_column_must_be_unique(tmp_path, capsys, options):
    error = refused(capsys, tmp_path / "in.csv", f"id,text,text\n1,{PLAIN},{LURE}\n", *options)
    assert "several columns called 'text': rename all but one" in error


def test_columns_without_a_name_are_accepted(tmp_path):
    (tmp_path / "in.csv").write_text(f"text,,\n{PLAIN},1,2\n", "utf-8")
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text("utf-8").startswith("text,,,fraud_label")
