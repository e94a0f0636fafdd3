"""Options of ``fraudscan score`` for decisions and explanations in every format: thresholds, lists, evidence, notes."""

import csv
import gzip
import io
import json
import re
import shutil

import dumps
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dumps import LURE, PLAIN, interrupt, notices, refused, score, scored, texts_of
from hypothesis import given
from hypothesis import strategies as st

from fraudscan import kernel, model, show
from fraudscan.cli import main
from fraudscan.columns import COLUMNS, names_of
from fraudscan.dump import DumpError, Options, score_dump
from fraudscan.explain import evidence
from fraudscan.labelled import read_labelled
from fraudscan.lists import read_lists

ROWS = [
    {"sender": "10690", "text": LURE},
    {"sender": "10690", "text": "Your parcel is held"},
    {"sender": "妈妈", "text": "在吗"},
    {"sender": "95588", "text": "跟着老师，稳赚不赔"},
    {"sender": "10690", "text": PLAIN},
]
FORMATS = ["jsonl", "csv", "parquet"]


@pytest.fixture(params=FORMATS)
def dump(request, tmp_path):
    """`ROWS` in a file of each format, and the path of an output in the same format."""
    path = tmp_path / f"in.{request.param}"
    if request.param == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    elif request.param == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([list(ROWS[0]), *(row.values() for row in ROWS)])
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path, tmp_path / f"out.{request.param}"


@pytest.fixture
def files(tmp_path):
    """The options for an allow and a deny list, each of which has an entry bound to a sender."""
    allow, deny = tmp_path / "allow.txt", tmp_path / "deny.txt"
    allow.write_text("sender=95588:\n", "utf-8")
    deny.write_text("# ours\n快遞\nsender=106*: parcel\n", "utf-8")
    return ["--allow", str(allow), "--deny", str(deny)]


def rows_of(path):
    """Return the rows of an output of any format. CSV lists and empty values are converted to match the others."""
    rows = dumps.rows_of(path)
    lists = [name for name, column in COLUMNS.items() if column.kind is list]
    for row in rows if path.suffix == ".csv" else ():
        row.update({name: row[name].split("|") if row[name] else [] for name in lists})
        row.update({name: row[name] or None for name in ("fraud_scheme", "fraud_rule") if name in row})
    return rows


def summary_of(path):
    return json.loads(path.with_name(path.name + ".summary.json").read_text("utf-8"))


def test_notes_are_a_column_and_are_counted(dump, scanner):
    source, out = dump
    assert score(source, "-o", out) == 0
    rows = rows_of(out)
    assert list(rows[0]) == ["sender", "text", *COLUMNS]
    assert [row["fraud_notes"] for row in rows] == [[], ["no Chinese"], ["too short to judge"], [], []]
    assert [row["fraud_notes"] for row in rows] == [list(scanner.classify(row["text"]).notes) for row in ROWS]
    assert summary_of(out)["notes"] == {"no Chinese": 1, "too short to judge": 1}
    assert summary_of(out)["rules"] == {}


def test_lists_decide_verdicts_and_their_rules_are_named_and_counted(dump, files, scanner, capsys):
    source, out = dump
    assert score(source, "-o", out, *files, "--sender", "sender") == 0
    rows = rows_of(out)
    assert list(rows[0]) == ["sender", "text", *COLUMNS, "fraud_rule"]
    rules = [None, "deny sender=106*: parcel (deny.txt:3)", None, "allow sender=95588: (allow.txt:1)"]
    assert [row["fraud_rule"] for row in rows] == [*rules, "deny 快遞 (deny.txt:2)"]
    scored = [scanner.classify(row["text"]).verdict for row in ROWS]
    assert [row["fraud_verdict"] for row in rows] == [scored[0], "flag", scored[2], "clear", "flag"]
    assert float(rows[4]["fraud_score"]) == pytest.approx(scanner.classify(PLAIN).score, abs=1e-6)  # as without lists
    assert rows[4]["fraud_label"] == "legitimate"
    summary = summary_of(out)
    assert summary["rules"] == {rule: 1 for rule in (*rules, rows[4]["fraud_rule"]) if rule}
    assert sum(summary["verdicts"].values()) == len(ROWS)
    shown = capsys.readouterr().err
    assert "deny 快遞 (deny.txt:2)" in shown
    assert "too short to judge" in shown


def test_a_row_without_a_rule_does_not_get_the_first_rule(tmp_path):
    (tmp_path / "allow.txt").write_text("hello\n", "utf-8")
    rows = scored(tmp_path / "in.txt", f"{PLAIN}\nhello world\n", "--allow", tmp_path / "allow.txt")
    results = [(row["fraud_label"], row["fraud_notes"], row["fraud_rule"]) for row in rows]
    assert results == [("legitimate", [], None), ("legitimate", ["no Chinese"], "allow hello (allow.txt:1)")]


def test_options_for_csv_are_refused_for_other_formats(dump, capsys):
    source, out = dump
    status = 0 if out.suffix == ".csv" else 2
    for option in (["--bom"], ["--safe-csv"], ["--delimiter", ","]):
        assert score(source, "-o", out, "--force", *option) == status
        message = capsys.readouterr().err
        assert (f"{option[0]} is for CSV, but " in message) == bool(status)
        assert status == 0 or [path.name for path in out.parent.iterdir()] == [source.name]
    if status:
        assert score(source, "-o", out.with_suffix(".csv"), "--bom", "--safe-csv") == 0
    else:
        assert score(source, "-o", out.with_suffix(".jsonl"), "--delimiter", ",") == 0


def test_workers_apply_the_lists(dump, files):
    source, out = dump
    other = out.with_name(f"other{out.suffix}")
    assert score(source, "-o", out, *files, "--sender", "sender", "--explain") == 0
    assert score(source, "-o", other, *files, "--sender", "sender", "--explain", "--workers", 2) == 0
    assert rows_of(other) == rows_of(out)


def test_entries_for_senders_require_the_sender_column(dump, files, capsys):
    source, out = dump
    assert score(source, "-o", out, *files) == 2
    assert "name the column with the sender, --sender COLUMN" in capsys.readouterr().err
    assert score(source, "-o", out, *files, "--sender", "nosuch") == 2
    assert "no column is called 'nosuch'" in capsys.readouterr().err
    assert not out.exists()


def test_a_quiet_job_that_fails_says_why(tmp_path, capsys):
    source, out = tmp_path / "in.jsonl.gz", tmp_path / "out.jsonl"
    data = gzip.compress(json.dumps({"text": PLAIN}).encode() * 1000)
    source.write_bytes(data)
    assert score(source, "-o", out, "--quiet") == 1
    assert capsys.readouterr().err.startswith("fraudscan: no row was scored: all ")
    source.write_bytes(gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in ROWS))[:-1])
    assert score(source, "-o", out, "--force", "--quiet") == 1
    assert capsys.readouterr().err == f"fraudscan: {source} cannot be read to its end: the archive is cut short\n"


def test_a_sender_column_that_no_entry_needs_is_reported(dump, tmp_path, capsys):
    """A list of bare numbers was hardly meant as one of phrases, but a number in a text may be denied."""
    source, out = dump
    (tmp_path / "allow.txt").write_text("95588\n10690\n", "utf-8")
    options = ["-o", out, "--force", "--allow", tmp_path / "allow.txt", "--sender", "sender"]
    assert score(source, *options) == 0
    assert "fraudscan: --sender has no effect, because no list entry is bound to a sender: " in capsys.readouterr().err
    assert score(source, *options, "--quiet") == 0
    assert not capsys.readouterr().err
    (tmp_path / "allow.txt").write_text("sender=95588:\n", "utf-8")
    assert score(source, *options) == 0
    assert "--sender" not in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("ending", FORMATS)
def test_a_sender_may_be_binary_in_parquet(tmp_path, ending, encoding):
    (tmp_path / "deny.txt").write_text("sender=招商银行:\n", "utf-8")
    senders = pa.array(["招商银行".encode(encoding), b"10690", None], pa.binary())
    pq.write_table(pa.table({"text": [PLAIN] * 3, "sender": senders}), tmp_path / "in.parquet")
    out, options = tmp_path / f"out.{ending}", ("--deny", tmp_path / "deny.txt", "--encoding", encoding)
    assert score(tmp_path / "in.parquet", "-o", out, *options, "--sender", "sender") == 0
    rows = rows_of(out)
    assert [row["fraud_verdict"] for row in rows] == ["flag", "clear", "clear"]
    assert ending == "parquet" or [row["sender"] or None for row in rows] == ["招商银行", "10690", None]


def test_a_sender_that_is_not_utf8_matches_no_entry_for_senders(tmp_path, files):
    senders = pa.array([b"\xff\xfe", b"10690"]).view(pa.string())
    pq.write_table(pa.table({"text": ["parcel", "parcel"], "sender": senders}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", *files, "--sender", "sender") == 0
    rules = pq.read_table(tmp_path / "out.parquet")["fraud_rule"].to_pylist()
    assert rules == [None, "deny sender=106*: parcel (deny.txt:3)"]


def test_the_evidence_column_follows_all_others_except_probabilities(dump, scanner):
    source, out = dump
    assert score(source, "-o", out, "--explain", "--proba") == 0
    rows = rows_of(out)
    names = [*COLUMNS, "fraud_evidence", *(f"fraud_p_{name}" for name in scanner.names)]
    assert list(rows[0]) == ["sender", "text", *names]
    texts = [row["text"] for row in ROWS]
    assert [row["fraud_evidence"] for row in rows] == evidence(scanner, texts, scanner.decide(texts))
    assert rows[0]["fraud_evidence"]
    assert rows[4]["fraud_evidence"] == ""


@pytest.mark.parametrize("numpy", [False, True])
def test_a_column_needs_nothing_but_its_definition(dump, scanner, more_columns, monkeypatch, numpy):
    if numpy:
        monkeypatch.setattr(kernel, "compiled", None)
    source, out = dump
    options = Options(by="sender", explain=True, proba=True)
    interrupt(scanner, source, out, options)
    score_dump(scanner, [source], out, options, resume=True)
    rows = rows_of(out)
    assert list(rows[0]) == ["sender", "text", *names_of(scanner, proba=True, explain=True)]
    found = [(row["fraud_loud"], float(row["fraud_half"]), row["fraud_twice"]) for row in rows]
    assert found == [more_columns(row["fraud_verdict"], float(row["fraud_score"])) for row in rows]
    flagged, *_, harmless = rows_of(out.with_name(f"{out.name}.conversations.jsonl"))
    assert flagged["evidence"] == LURE
    assert (flagged["fraud_loud"], flagged["fraud_half"], flagged["fraud_twice"]) == found[0]
    assert (harmless["fraud_loud"], harmless["fraud_half"], harmless["fraud_twice"]) == (None, 0, [])


def test_columns_of_an_earlier_run_are_replaced(dump, files):
    source, out = dump
    assert score(source, "-o", out, *files, "--sender", "sender", "--explain", "--proba") == 0
    again, plain = (out.with_name(f"{name}{out.suffix}") for name in ("again", "plain"))
    assert score(out, "-o", again) == score(source, "-o", plain) == 0
    assert rows_of(again) == rows_of(plain)


def test_thresholds_are_set_by_a_share_of_false_alarms_or_directly(dump, scanner, capsys):
    source, out = dump
    assert score(source, "-o", out, "--max-false-alarms", "0.2") == 0
    own = scanner.with_false_alarms(0.2)
    assert [row["fraud_verdict"] for row in rows_of(out)] == [own.classify(row["text"]).verdict for row in ROWS]
    assert score(source, "-o", out, "--force", "--max-false-alarms", "1e-9") == 2
    assert "too few for a share of 1e-09" in capsys.readouterr().err
    flag = scanner.classify(LURE).score
    assert score(source, "-o", out, "--force", "--flag", flag, "--review", 0) == 0
    assert rows_of(out)[0]["fraud_verdict"] == "flag"
    assert summary_of(out)["verdicts"].get("clear", 0) == 0


def test_a_job_is_not_resumed_with_other_lists_or_thresholds(dump, files, monkeypatch, capsys):
    source, out = dump
    options = [*files, "--sender", "sender"]
    with monkeypatch.context() as patch:
        patch.setattr(model.Scanner, "decide", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        assert score(source, "-o", out, *options) == 130
    assert "--resume" in capsys.readouterr().err
    deny = source.with_name("deny.txt")
    before = deny.read_text("utf-8")
    for changed, more in (
        (before + "老地方见\n", []),
        (before.replace("106", "107"), []),
        (before, ["--flag", "0.99"]),
    ):
        deny.write_text(changed, "utf-8")
        assert score(source, "-o", out, *options, *more, "--resume") == 2
        assert "the model, its thresholds or its lists have changed" in capsys.readouterr().err
    assert score(source, "-o", out, "--sender", "sender", "--resume") == 2
    deny.write_text(before, "utf-8")
    assert score(source, "-o", out, *options, "--resume") == 0
    assert [row["text"] for row in rows_of(out)] == [row["text"] for row in ROWS]


def test_the_folder_of_a_list_does_not_change_the_digest(tmp_path, files, scanner):
    for name in ("allow.txt", "deny.txt"):
        (tmp_path / "moved").mkdir(exist_ok=True)
        shutil.copy(tmp_path / name, tmp_path / "moved" / name)
    moved = read_lists(allow=tmp_path / "moved" / "allow.txt", deny=tmp_path / "moved" / "deny.txt")
    assert scanner.with_lists(read_lists(allow=files[1], deny=files[3])).digest == scanner.with_lists(moved).digest
    assert scanner.with_lists(moved).digest != scanner.digest


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        ("编号,消息,短信正文", "短信正文"),
        ("msg,content", "content"),
        ("id,簡訊內容", "簡訊內容"),
        ("文本,聊天内容", "聊天内容"),
    ],
)
def test_the_likeliest_text_column_is_read_and_alternatives_are_reported(tmp_path, capsys, columns, chosen):
    names = columns.split(",")
    row = ",".join(LURE if name == chosen else "否" for name in names)
    assert scored(tmp_path / "in.csv", f"{columns}\n{row}\n")[0]["fraud_verdict"] == "flag"
    message = capsys.readouterr().err
    assert (f"the text is taken from {chosen!r}" in message) == ("id" not in names)
    summary = json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8"))
    assert summary["text"] == [chosen]
    assert 0 < summary["review"] < summary["flag"] < 1


@pytest.mark.parametrize("value", [True, "2", 2.0, float("nan"), b"2", np.bool_(True)])
def test_numbers_that_are_no_integers_are_refused(tmp_path, scanner, value):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text(f"text\n{PLAIN}\n", "utf-8")
    for name in ("max_message", "header_line"):
        with pytest.raises(TypeError, match=f"{name} must be a whole number, not"):
            score_dump(scanner, [source], out, Options(**{name: value}))
    with pytest.raises(TypeError, match="workers must be a whole number, not"):
        score_dump(scanner, [source], out, workers=value)
    with pytest.raises(TypeError, match="header_line must be a whole number, not"):
        read_labelled([source], header_line=value)
    with pytest.raises(DumpError, match=r"has no header: line 10{400}, given by --header-line, is not in it"):
        score_dump(scanner, [source], out, Options(header_line=10**400))


def test_anything_but_a_scanner_and_options_is_refused(tmp_path, scanner):
    (tmp_path / "in.csv").write_text(f"text\n{PLAIN}\n", "utf-8")
    with pytest.raises(TypeError, match=r"takes a Scanner, not str: fraudscan\.load reads model folders"):
        score_dump("models/default", [tmp_path / "in.csv"], tmp_path / "out.csv")
    for options in ({"text": "text"}, {}, "text"):
        with pytest.raises(TypeError, match=r"options must be Options, not (dict|str): pass Options\(text="):
            score_dump(scanner, [tmp_path / "in.csv"], tmp_path / "out.csv", options)


def test_numbers_may_be_those_of_numpy(tmp_path, scanner):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text(f"text\n{PLAIN}\n", "utf-8")
    options = Options(max_message=np.int64(5000), header_line=np.int32(1))
    assert score_dump(scanner, [source], out, options, workers=np.int64(1)).scored == 1


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json"])
@pytest.mark.parametrize(
    ("row", "other"),
    [
        ({"号码": "138", "短信": "1", "短信原文": LURE}, "短信原文"),
        ({"phone": "138", "sms_raw": LURE, "msg": "提交成功", "code": "0"}, "sms_raw"),
        ({"工单号": "1", "消息": "已读", "客户描述": LURE}, "客户描述"),
        ({"msg": "DELIVRD", "raw": LURE}, "raw"),
        ({"msg": "DELIVRD", "raw": LURE, "content": PLAIN}, "msg"),
        ({"消息": PLAIN, "地址": "某省某市某区某路1号"}, None),
        ({"msg": "Your code is 123456", "状态": "发送成功"}, None),
        ({"content": "好", "地址": "某省某市某区某路1号"}, None),
        ({"短信": "好", "fraud_evidence": LURE}, None),
    ],
)
def test_a_column_with_much_more_chinese_than_the_text_is_reported(tmp_path, capsys, ending, row, other):
    source, out = tmp_path / f"in.{ending}", tmp_path / "out.jsonl"
    lines = "\t,"[ending == "csv"].join(row) + "\n" + "\t,"[ending == "csv"].join(row.values()) + "\n"
    texts = {"jsonl": json.dumps(row), "json": json.dumps([row])}
    notice = notices(capsys, tmp_path / f"in.{ending}", texts.get(ending, lines))
    assert (f"; if it is in {other!r}, name that with --text\n" in notice) == ("the text is taken from" in notice)
    assert ("the text is taken from" in notice) == (other is not None)
    if other:
        assert score(source, "-o", out, "--force", "--text", next(iter(row))) == 0
        assert "the text is taken from" not in capsys.readouterr().err


def test_names_that_recur_are_not_reported_as_texts(tmp_path, capsys):
    rows = "".join(f"幸福里小区业主交流群,{text}\n" for text in ("收到", "好的谢谢"))
    assert "the text is taken from" not in notices(capsys, tmp_path / "in.csv", f"群名,消息\n{rows}")


@pytest.mark.parametrize(
    ("other", "chosen"), [({"id": 0}, "content"), (7, "content"), ([LURE], "content"), (None, "message")]
)
@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_a_column_whose_values_are_not_texts_is_not_chosen(tmp_path, capsys, ending, other, chosen):
    source, row = tmp_path / f"in.{ending}", {"message": other, "content": LURE}
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), source)
        chosen = "content"  # the column type shows that all rows are null
    else:
        source.write_text(json.dumps([row] if ending == "json" else row), "utf-8")
    assert score(source, "-o", tmp_path / "o.jsonl") == (chosen == "message")
    assert f"the text is taken from {chosen!r}; if it is in" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["large_string", "string_view", "binary", "large_binary", "dictionary"])
def test_texts_in_parquet_may_have_several_types(tmp_path, kind):
    texts = pa.array([PLAIN])
    texts = texts.dictionary_encode() if kind == "dictionary" else texts.cast(getattr(pa, kind)())
    pq.write_table(pa.table({"content": [LURE], "message": texts}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "o.jsonl") == 0
    assert json.loads((tmp_path / "o.jsonl").read_text("utf-8"))["fraud_verdict"] == "clear"


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_existing_columns_that_are_replaced_are_reported(tmp_path, capsys, ending):
    row = {"text": PLAIN, "fraud_verdict": "fraud, says Wang"}
    lines = {"csv": "text,fraud_verdict\n" + ",".join(row.values()) + "\n", "jsonl": json.dumps(row) + "\n"}
    source = tmp_path / f"in.{ending}"
    source.write_text(lines[ending].replace("fraud, says", "fraud says"), "utf-8")
    assert score(source, "-o", tmp_path / f"out.{ending}") == 0
    assert "fraud_verdict already existed and will be replaced" in capsys.readouterr().err


def test_existing_columns_that_a_job_does_not_add_are_reported(tmp_path, capsys):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = scored(source, [{"text": PLAIN, "fraud_rule": "mine", "fraud_p_romance": 1, "fraud_label": ""}])
    message = capsys.readouterr().err
    assert "fraud_label already existed and will be replaced\n" in message
    assert "fraud_rule, fraud_p_romance already existed and will be left out, because this job" in message
    assert rows[0].keys() == {"text", *COLUMNS}
    assert score(source, "-o", out, "--proba", "--force") == 0
    assert "fraud_p_romance, fraud_label already existed and will be replaced" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["in.jsonl", "in.json"])
def test_existing_columns_that_the_first_row_lacks_are_reported(tmp_path, capsys, name):
    rows = [{"text": PLAIN}, {"text": LURE, "fraud_label": "人工确认", "fraud_rule": "R7"}]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / name).write_text("\n".join(lines) if name == "in.jsonl" else f"[{','.join(lines)}]", "utf-8")
    assert score(tmp_path / name, "-o", tmp_path / "out.jsonl") == 0
    message = capsys.readouterr().err
    assert "fraud_label already existed and will be replaced" in message
    assert "fraud_rule already existed and will be left out" in message


def test_a_nested_sender_is_refused(tmp_path, capsys):
    source, allow = tmp_path / "in.jsonl", tmp_path / "allow.txt"
    allow.write_text("sender=95588:\n", "utf-8")
    rows = [{"text": PLAIN, "from": None}, {"text": PLAIN, "from": {"id": "95588"}}]
    source.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    for path in (source, tmp_path / "in.parquet"):
        assert score(path, "-o", tmp_path / "out.jsonl", "--allow", allow, "--sender", "from") == 2
        assert "'from' is no sender, but has values inside: extract the one you need" in capsys.readouterr().err


def test_senders_that_a_spreadsheet_rounded_are_reported_once(tmp_path, capsys):
    deny = tmp_path / "deny.txt"
    deny.write_text("sender=106901234567890:\n", "utf-8")
    source = tmp_path / "in.csv"
    source.write_text(f"from,text\n95588,{PLAIN}\n" + f"1.06901E+14,{PLAIN}\n" * 2, "utf-8")
    assert score(source, "-o", tmp_path / "out.csv", "--deny", deny, "--sender", "from") == 0
    assert capsys.readouterr().err.count("numbers in 'from' that a spreadsheet has rounded, such as 1.06901E+14: ") == 1


@pytest.mark.parametrize("nested", [{"id": "95588"}, ["95588"], {}])
@pytest.mark.parametrize("place", [0, 9, 2500])
def test_a_row_with_a_nested_sender_has_none_wherever_it_is(tmp_path, capsys, nested, place):
    deny = tmp_path / "deny.txt"
    deny.write_text("sender=95588:\n", "utf-8")
    rows = [{"text": PLAIN, "from": None}] * 3 + [{"text": PLAIN, "from": "95588"}] * 2500
    rows.insert(place, {"text": PLAIN, "from": nested})
    found = scored(tmp_path / "in.jsonl", rows, "--deny", deny, "--sender", "from")
    assert [bool(row["fraud_rule"]) for row in found] == [row["from"] == "95588" for row in rows]
    assert ("has rows in which 'from' has values inside: their sender is unknown" in capsys.readouterr().err) == (
        place < 10
    )


@pytest.mark.parametrize("other", ["sha1:5f2c9a", "your parcel has arrived"])
def test_a_text_column_without_chinese_is_reported(tmp_path, capsys, other):
    notice = notices(capsys, tmp_path / "in.csv", f"content,name,note\n{other},王小明,{LURE}\n")
    assert "the text is taken from 'content'; if it is in 'note', name that" in notice
    assert "the text is taken from" not in notices(capsys, tmp_path / "in.csv", f"content,name\n{other},王小明\n")


def test_column_names_in_a_locale_without_utf8_are_decoded(tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text(f"编号,正文一\n1,{PLAIN}\n", "utf-8")
    assert score(source, "-o", out, "--text", "正文一".encode().decode("ascii", "surrogateescape")) == 0
    assert rows_of(out)[0]["正文一"] == PLAIN


@pytest.mark.parametrize("name", ["rejects.jsonl", "conversations.jsonl", "summary.json"])
def test_results_beside_an_output_are_not_overwritten_without_force(tmp_path, capsys, name):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"text": PLAIN}) + "\n", "utf-8")
    beside = tmp_path / f"out.jsonl.{name}"
    beside.write_text("of another job", "utf-8")
    assert score(source, "-o", out) == 2
    assert f"{beside} exists" in capsys.readouterr().err
    assert beside.read_text("utf-8") == "of another job"
    assert score(source, "-o", out, "--force") == 0
    assert (name == "summary.json") == beside.exists()
    assert not beside.exists() or beside.read_text("utf-8") != "of another job"


def test_two_options_for_one_threshold_are_refused(tmp_path, capsys):
    error = refused(capsys, tmp_path / "in.txt", PLAIN, "--max-false-alarms", 0.001, "--flag", 0.5)
    assert "leave one of them out" in error


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (f'{{"id": 1, "text": "{LURE}"}}\n{{"id": 2, "text": "{PLAIN}"}}\n', [LURE, PLAIN]),
        (json.dumps([{"text": LURE}], indent=1), [LURE]),
        (json.dumps([{"text": LURE}]), [LURE]),
        (json.dumps({"name": "群", "messages": [{"id": 1, "type": "message", "text": LURE}]}, indent=1), [LURE]),
        (f"{{笑}} {PLAIN}\n{LURE}\n", [f"{{笑}} {PLAIN}", LURE]),
        (f"[微笑]{PLAIN}\n[]\n", [f"[微笑]{PLAIN}", "[]"]),
        ('[\n"短信", "彩信"\n', ["[", '"短信", "彩信"']),
    ],
)
def test_json_in_a_text_file_is_read_as_json_and_other_brackets_are_not(tmp_path, content, texts):
    assert texts_of(tmp_path / "in.txt", content) == texts


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("in.csv", f'{{"id": 1, "text": "{LURE}"}}\n{{"id": 2, "text": "{PLAIN}"}}\n', [LURE, PLAIN]),
        ("in.tsv", json.dumps([{"text": LURE}], indent=1), [LURE]),
        ("in.json", f"id,text\n1,{LURE}\n2,{PLAIN}\n", [LURE, PLAIN]),
        ("in.jsonl", f"text\n{LURE}\n", [LURE]),
        ("in.json", f"2026/10/6 09:00 - 甲: {LURE}\n2026/10/6 09:01 - 乙: {PLAIN}\n", [LURE, PLAIN]),
        ("in.json", f"[2026/10/6 09:00:01] 甲: {LURE}\n[2026/10/6 09:01:02] 乙: {PLAIN}\n", [LURE, PLAIN]),
        ("in.json", f"[LINE] 與甲的聊天記錄\n\n2026/10/6（二）\n09:00\t甲\t{LURE}\n", [LURE]),
        ("in.json", f"2026-10-06 09:00:01 甲\n[图片]\n\n2026-10-06 09:01:02 乙\n{LURE}\n", ["[图片]", LURE]),
        ("in.json", f"2026-10-06 09:00:01 甲\n{{{PLAIN}}}\n\n2026-10-06 09:01:02 乙\n{LURE}\n", [f"{{{PLAIN}}}", LURE]),
        ("in.json", f'[1, "{LURE}"]\n', []),
        ("in.jsonl", f'text\n{{"text": "{LURE}"}}\n', [LURE]),  # the first line is damaged
        ("in.json", f"{LURE}\n{PLAIN}\n", []),
    ],
)
def test_a_file_may_have_the_ending_of_another_format(tmp_path, name, content, texts):
    (tmp_path / name).write_text(content, "utf-8")
    assert score(tmp_path / name, "-o", tmp_path / "out.jsonl") == (not texts)
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == texts


def test_chats_of_the_same_name_from_two_phones_are_kept_apart(tmp_path):
    for phone, text in (("a", LURE), ("b", PLAIN)):
        (tmp_path / phone).mkdir()
        (tmp_path / phone / "WhatsApp Chat with 妈妈.txt").write_text(f"2026/10/6 09:00 - 妈妈: {text}\n", "utf-8")
    table = f"id,chat,text\n1,妈妈,{LURE}\n2,妈妈,{PLAIN}\n".splitlines(keepends=True)
    for part in (1, 2):
        (tmp_path / f"{part}.csv").write_text(table[0] + table[part], "utf-8")
    assert score(tmp_path / "a", tmp_path / "b", "-o", tmp_path / "out.jsonl", "--by", "conversation") == 0
    conversations = rows_of(tmp_path / "out.jsonl.conversations.jsonl")
    assert [(row["conversation"], row["messages"], row["first"]["text"]) for row in conversations] == [
        ("妈妈", 1, LURE),
        ("妈妈", 1, PLAIN),
    ]
    assert score(tmp_path / "1.csv", tmp_path / "2.csv", "-o", tmp_path / "table.jsonl", "--by", "chat") == 0
    assert [row["messages"] for row in rows_of(tmp_path / "table.jsonl.conversations.jsonl")] == [2]


def test_rethreshold_does_not_change_conversations(tmp_path, capsys):
    (tmp_path / "in.csv").write_text(f"群,text\nA,{LURE}\n", "utf-8")
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--by", "群") == 0
    conversations = tmp_path / "out.csv.conversations.jsonl"
    assert main(["rethreshold", str(conversations), "-o", str(tmp_path / "x.jsonl")]) == 2
    assert "has conversations" in capsys.readouterr().err
    assert main(["rethreshold", str(tmp_path / "out.csv"), "-o", str(tmp_path / "x.csv")]) == 0
    assert f"{conversations} keeps the verdicts" in capsys.readouterr().err


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("more", [(), ("--explain", "--proba")])
def test_rows_may_name_their_source_file(tmp_path, ending, more):
    sources = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for source, text in zip(sources, (LURE, PLAIN), strict=True):
        source.write_text(json.dumps({"text": text}) + "\n" + json.dumps({"text": PLAIN}) + "\n", "utf-8")
    out = tmp_path / f"out.{ending}"
    assert score(*sources, "-o", out, "--filenames", *more) == 0
    rows = rows_of(out)
    places = [(str(source), line) for source in sources for line in ("1", "2")]
    assert [(row["fraud_source"], str(row["fraud_line"])) for row in rows] == places
    assert [row["fraud_verdict"] for row in rows] == ["flag", "clear", "clear", "clear"]


def test_the_line_of_a_row_is_that_where_it_begins(tmp_path):
    (tmp_path / "in.csv").write_text(f'text\n"在吗\n在的"\n\n"{PLAIN}\n{LURE}"\n{PLAIN}\n', "utf-8")
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--filenames") == 0
    assert [row["fraud_line"] for row in rows_of(tmp_path / "out.csv")] == ["2", "5", "7"]


def test_notes_are_counted_for_each_row(tmp_path):
    (tmp_path / "in.txt").write_text("hello world\n" * 5, "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "o.jsonl") == 0
    assert json.loads((tmp_path / "o.jsonl.summary.json").read_text("utf-8"))["notes"] == {"no Chinese": 5}


@pytest.mark.parametrize(
    ("cell", "safe"),
    [("=1+1", "'=1+1"), ("+86 110", "'+86 110"), ("\tx", "'\tx"), ("好", "好"), ("", "")]
    + [("+86", "+86"), ("-1.5", "-1.5"), ("＝1+1", "'＝1+1"), ("＠x", "'＠x"), ("\nx", "'\nx"), ("@x", "'@x")]
    + [(f"a{sign}=1+1", f"a{sign}'=1+1") for sign in ",;|\t\r\n"]
    + [('a;"=1+1"', 'a;"\'=1+1"'), ("\n=1", "'\n'=1"), (";;＝1;@x", ";;'＝1;'@x"), ("a,-1.5;+86", "a,-1.5;+86")]
    + [("a,-1|x", "a,'-1|x"), ("-1,5", "'-1,5"), ("a=b, c-d", "a=b, c-d"), ("a\r\nb", "a\r\nb")]
    + [(f"{blank}=1", f"{blank}'=1") for blank in (" ", "\u3000", "\u200b", "\0", "\xa0 ")]
    + [(f"{sign}1+1", f"'{sign}1+1") for sign in "﹢﹣﹦﹫"]
    + [("[1, -5]", "[1, -5]"), (" -1.5", " -1.5"), (" \tx", " '\tx")]
    + [("\ufeff\ufeff=1", "\ufeff\ufeff'=1"), ("\ufeff-1", "\ufeff-1"), ("\ufeffx", "\ufeffx")],
)
def test_safe_csv_changes_formulas_but_not_numbers(tmp_path, cell, safe):
    with (tmp_path / "in.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "n"], [PLAIN, cell]])
    assert score(tmp_path / "in.csv", "-o", tmp_path / "o.csv", "--safe-csv", "--bom") == 0
    assert (tmp_path / "o.csv").read_bytes().startswith(b"\xef\xbb\xbftext,")
    assert dumps.rows_of(tmp_path / "o.csv")[0]["n"] == safe


@given(
    st.lists(st.sampled_from([*',;|\t\r\n"=+-@1.x ', "＝", "好"]), max_size=12).map("".join), st.sampled_from(",;|\t")
)
def test_safe_csv_has_no_formula_with_any_delimiter_and_loses_nothing(tmp_path, cell, delimiter):
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": PLAIN, "n": cell}) + "\n", "utf-8")
    assert score(tmp_path / "in.jsonl", "-o", tmp_path / "o.csv", "--safe-csv", "--force", "--quiet") == 0
    safe = dumps.rows_of(tmp_path / "o.csv")[0]["n"]
    assert safe.replace("'", "") == cell
    lines = csv.reader(io.StringIO(safe, newline=""), delimiter=delimiter, quoting=csv.QUOTE_NONE)
    for value in [value for row in lines for value in row][1:]:
        assert not re.match(r"\"*[=+\-@＝]", value) or re.match(r"\"*[+-]?\d+(\.\d+)?(?=[,;\t\"]|$)", value)


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_conversations_may_be_named_by_a_column_without_a_name(tmp_path, name):
    rows = f",text\na,{PLAIN}\n" if name == "in.csv" else json.dumps({"": "a", "text": PLAIN}) + "\n"
    (tmp_path / name).write_text(rows, "utf-8")
    assert score(tmp_path / name, "-o", tmp_path / "o.jsonl", "--by", "") == 0
    assert [row["conversation"] for row in rows_of(tmp_path / "o.jsonl.conversations.jsonl")] == ["a"]


def test_one_of_several_columns_without_a_name_cannot_be_chosen(tmp_path, capsys):
    error = refused(capsys, tmp_path / "in.csv", f",text,\n1,{PLAIN},3\n\n", "--text", "")
    assert error.endswith("has several columns called '': rename all but one\n")


NAMES = " Text ,短信內容,ＴＥＸＴ,訊息內容,msgContent,MessageText,sms_text,SMS_BODY,msg content,chat-content,举报内容"


TAIWANESE = "檢舉內容,通報內容,對話內容,對話紀錄,對話記錄,聊天紀錄,留言內容,貼文,簡訊原文,傳送內容"


POLICE = "簡要案情,涉案短信内容,警情内容,诈骗内容,话术,转写文本"


@pytest.mark.parametrize(
    "name", [*NAMES.split(","), *TAIWANESE.split(","), *POLICE.split(","), "短信下发内容", "通讯内容"]
)
def test_the_text_column_is_found_in_any_spelling(tmp_path, name):
    (tmp_path / "in.csv").write_text(f"id,{name}\n1,{PLAIN}\n", "utf-8")
    assert score(tmp_path / "in.csv", "-o", tmp_path / "o.csv") == 0


@pytest.mark.parametrize("sign", "；，")
def test_a_delimiter_in_full_width_is_to_be_named(tmp_path, capsys, sign):
    table = f"号码{sign}内容\n1{sign}到楼下了\n"
    error = refused(capsys, tmp_path / "in.csv", table)
    assert f"has the columns: 号码{sign}内容: if {sign} is between them, add --delimiter {sign} (otherwise" in error
    assert [row["内容"] for row in scored(tmp_path / "in.csv", table, "--delimiter", sign)] == ["到楼下了"]


@pytest.mark.parametrize("name", ["what said", "涉案短信&号码", 'a"b'])
def test_commands_are_quoted_as_windows_reads_them_there(tmp_path, capsys, monkeypatch, name):
    monkeypatch.setattr(show, "WINDOWS", True)
    error = refused(capsys, tmp_path / "in.jsonl", json.dumps({"id": "1", name: LURE}))
    escaped = name.replace('"', '\\"')
    assert error.endswith(f'perhaps --text "{escaped}"\n')


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_the_refusal_of_a_dump_without_a_known_text_column_names_the_likeliest_one(tmp_path, capsys, ending):
    rows = [{"id": "1", "人": "张三", "what said": LURE}, {"id": "2", "人": "李四", "what said": PLAIN}]
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)] if ending == "csv" else map(json.dumps, rows)
    error = refused(capsys, tmp_path / f"in.{ending}", "\n".join(lines))
    assert "what said. Name it with --text COLUMN, perhaps --text 'what said'" in error
    assert "perhaps" not in refused(capsys, tmp_path / "in.csv", f"1,{LURE}\n2,{PLAIN}\n")


@pytest.mark.parametrize(
    "name", ["sms.content", "_source.content", "短信内容(编码UTF-8)", "库.短信内容 （v1.0）", "msg_content", "聊天记录"]
)
def test_the_name_of_the_text_column_may_include_a_table_name_or_a_remark(tmp_path, capsys, name):
    (tmp_path / "in.csv").write_text(f"sms.id,{name}\n1,{LURE}\n", "utf-8")
    (tmp_path / "in.jsonl").write_text(json.dumps({"reply.text": 1, "x.msg": 2, name: LURE, "text": PLAIN}), "utf-8")
    for source, text in (("in.csv", LURE), ("in.jsonl", PLAIN)):
        out = tmp_path / f"{source}.out.jsonl"
        assert score(tmp_path / source, "-o", out) == 0
        assert rows_of(out)[0]["fraud_verdict"] == ("flag" if text is LURE else "clear")
        notice = (
            f"{tmp_path / source}: the text is taken from {name!r}; if it is in another column, name that with --text"
        )
        assert (notice in capsys.readouterr().err) == (text is LURE and name not in {"msg_content", "聊天记录"})
    assert score(tmp_path / "in.csv", "-o", tmp_path / "o.jsonl", "--text", name) == 0
    assert "the text is taken from" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["短信(条)", "消息(类型)", "信息（狀態）", "text(长度)", "sms (v1)", "库.短信内容(字数)", "Message (ID)"]
)
def test_a_remark_may_show_that_a_column_is_not_the_text(tmp_path, capsys, name):
    assert "no column looks like the text" in refused(capsys, tmp_path / "in.csv", f"id,{name},通话\n1,{PLAIN},2\n")


def test_of_two_spellings_the_first_is_the_text_column_and_the_other_is_reported(tmp_path, capsys):
    (tmp_path / "in.csv").write_text(f"TEXT,Text\n{LURE},x\n", "utf-8")
    assert score(tmp_path / "in.csv", "-o", tmp_path / "o.jsonl") == 0
    assert json.loads((tmp_path / "o.jsonl").read_text("utf-8"))["fraud_label"] == "investment"
    assert "the text is taken from 'TEXT'; if it is in 'Text', name that with --text" in capsys.readouterr().err


def test_a_text_column_that_the_output_would_lack_is_refused(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": PLAIN}) + "\n", "utf-8")
    (tmp_path / "b.csv").write_text(f"短信内容\n{LURE}\n", "utf-8")
    sources = tmp_path / "a.jsonl", tmp_path / "b.csv"
    for name in ("o.csv", "o.parquet"):
        assert score(*sources, "-o", tmp_path / name) == 2
        assert "b.csv has its text in '短信内容', which the first source lacks" in capsys.readouterr().err
    assert score(*sources, "-o", tmp_path / "o.jsonl") == 0


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("id,x,text", "has other columns than the first source: it also has 'x'; score"),
        ("x,text", "has other columns than the first source: it lacks 'id'; score"),
    ],
)
def test_a_table_whose_header_differs_from_the_first_is_refused_with_the_difference(tmp_path, capsys, header, why):
    (tmp_path / "1.csv").write_text("id,text\n", "utf-8")
    (tmp_path / "2.csv").write_text(f"{header}\n", "utf-8")
    assert score(tmp_path / "1.csv", tmp_path / "2.csv", "-o", tmp_path / "o.csv") == 2
    assert f"2.csv {why}" in capsys.readouterr().err


@pytest.mark.parametrize("first", ["csv", "parquet"])
@pytest.mark.parametrize("second", ["csv", "parquet"])
@pytest.mark.parametrize("target", ["csv", "parquet", "jsonl"])
def test_tables_may_have_the_same_columns_in_another_order(tmp_path, first, second, target):
    rows = [{"id": "1", "text": LURE, "n": "x"}, {"n": "y", "id": "2", "text": PLAIN}]
    for name, row in zip((f"1.{first}", f"2.{second}"), rows, strict=True):
        if name.endswith("csv"):
            (tmp_path / name).write_text(f"{','.join(row)}\n{','.join(row.values())}\n", "utf-8")
        else:
            pq.write_table(pa.Table.from_pylist([row]), tmp_path / name)
    assert score(tmp_path / f"1.{first}", tmp_path / f"2.{second}", "-o", tmp_path / f"o.{target}") == 0
    found = rows_of(tmp_path / f"o.{target}")
    assert [{name: row[name] for name in rows[0]} for row in found] == rows


def test_tables_with_equal_names_in_another_order_are_refused(tmp_path, capsys):
    for name, header in (("1.csv", "a,text,a"), ("2.csv", "a,a,text")):
        (tmp_path / name).write_text(f"{header}\n1,{PLAIN},3\n", "utf-8")
    assert score(tmp_path / "1.csv", tmp_path / "2.csv", "-o", tmp_path / "o.csv") == 2
    assert "2.csv has the columns of the first source in another order, some with the" in capsys.readouterr().err


@pytest.mark.parametrize("sep", ["", "sep=,\n"])
def test_blanks_after_delimiters_are_ignored_if_the_header_has_them_before_quotes(tmp_path, sep):
    rows = scored(tmp_path / "in.csv", f'{sep}"id", "te,xt", "content"\n"1", "a", "你好, ""快递"""\n2,  b,  c\n')
    assert [[*row.values()][:3] for row in rows] == [["1", "a", '你好, "快递"'], ["2", "b", "c"]]
    found = scored(tmp_path / "in.csv", f"{sep}id, text\n1, {PLAIN}\n", "--text", "text", "--by", "id")
    assert found[0][" text"] == f" {PLAIN}"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"content": PLAIN}, "'text' is missing, but 'content' is there"),
        ({"text": None, "content": 1}, "'text' is missing"),
        ({"text": {"content": PLAIN}}, "'text' is not a text: extract 'content' from it first, e.g. with jq"),
        ({"text": {"0": PLAIN}}, "'text' is not a text: if pandas wrote it, orient='records', lines=True writes"),
        ({"text": {}}, "'text' is not a text"),
        (
            {"text": [{"type": "text", "text": PLAIN}]},
            "'text' is not a text but a list: join its parts first, e.g. with jq",
        ),
    ],
)
def test_the_reject_reason_of_a_row_without_text_says_where_the_text_may_be(tmp_path, row, reason):
    (tmp_path / "in.jsonl").write_text(f"{json.dumps({'text': PLAIN})}\n{json.dumps(row)}\n", "utf-8")
    assert score(tmp_path / "in.jsonl", "-o", tmp_path / "o.jsonl") == 0
    (reject,) = rows_of(tmp_path / "o.jsonl.rejects.jsonl")
    assert reject["reason"].startswith(reason)


@pytest.mark.parametrize("delimiter", "|;\t")
def test_lines_that_look_like_a_table_are_reported(tmp_path, capsys, delimiter):
    rows = [delimiter.join(["1061", "138", PLAIN]) for _ in range(9)]
    (tmp_path / "in.txt").write_text("\n".join(rows), "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "o.jsonl") == 0
    assert "is read as lines; if it is a table, add --format csv, and --header-line " in capsys.readouterr().err
    (tmp_path / "in.txt").write_text("\n".join([*rows, PLAIN]), "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "o.jsonl", "--force") == 0
    assert "if it is a table" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "lines",
    [
        [f"1061\x01{i}\x01{'短' * i}" for i in range(9)],
        [f"Row: {i} _id={i}, address=1061, body={PLAIN}" for i in range(9)],
        ["+----+----+", "| id | m  |", "+----+----+", *(f"| {i}  | 好|好 |" for i in range(9)), "+----+----+"],
        ["+-----+--+", "| id  | m|"],
        [PLAIN, "+---+---+", PLAIN],
        [f"{'*' * 27} 1. row {'*' * 27}", "  id: 1", f"body: {PLAIN}"],
        ["-[ RECORD 1 ]------", "id   | 1", f"body | {PLAIN}"],
    ],
)
def test_lines_printed_by_databases_and_phones_are_reported(tmp_path, capsys, lines):
    (tmp_path / "in.txt").write_text("\n".join(lines), "utf-8")
    assert score(tmp_path / "in.txt", "-o", tmp_path / "o.jsonl") == 0
    assert "is read as lines; if it is a table, add --format csv, and --header-line " in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "[09:0{}] 张三：{}",
        "{}3/1 9:1{} 李四 {}",
        "阿杰 {} 昨天 21:0{} {}",
        "2026年1月{}日 星期六 08:0{} {}",
        "张三{}{}:\n{}",
        '2026-01-01 10:00:0{},123 INFO submit id={} content="{}"',
        "Jan  1 10:00:0{} gateway sms[{}]: {}",
        "2026-01-01 10:00:0{},1061{},{}",
    ],
)
def test_lines_of_an_unknown_chat_format_a_log_or_a_table_are_reported(tmp_path, capsys, line):
    notice = (
        "is read as lines, many of which have a time near their start or are only a name; each line is scored as a "
        "message. If it is a chat or a log, export its messages as CSV or JSON; if it is a table, add "
        "--format csv, and --header-line with the line of its header, or 0 if it has none"
    )
    lines = [each for i in range(9) for each in (line.format(i, i, "你好"), PLAIN, PLAIN)]
    two_line_message = ["您的快递已到，取件码：", PLAIN, PLAIN]  # one message of two lines
    for content, reported in (
        (lines, True),
        ([*lines, *[PLAIN] * 12], False),
        ([f"{PLAIN * 6}09:30", PLAIN], False),
        (two_line_message, False),
    ):
        (tmp_path / "in.txt").write_text("\n".join(content), "utf-8")
        assert score(tmp_path / "in.txt", "-o", tmp_path / "o.jsonl", "--force") == 0
        assert (notice in capsys.readouterr().err) == reported
    assert score(tmp_path / "in.txt", "-o", tmp_path / "o.jsonl", "--force", "--format", "lines") == 0
    assert notice not in capsys.readouterr().err


def test_a_lone_carriage_return_in_a_table_is_named_in_the_reject_reason(tmp_path):
    (tmp_path / "in.csv").write_bytes(f"id,text\n1,a\rb\n2,{PLAIN}\n".encode())
    assert score(tmp_path / "in.csv", "-o", tmp_path / "o.jsonl") == 0
    reject = json.loads((tmp_path / "o.jsonl.rejects.jsonl").read_text("utf-8"))
    assert reject["reason"] == "not CSV: a carriage return outside quotes"


def test_binary_texts_in_parquet_may_be_in_the_given_encoding(tmp_path):
    pq.write_table(pa.table({"text": [LURE.encode("gb18030"), LURE.encode(), b"ok"]}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "o.jsonl", "--encoding", "gbk") == 0
    assert [row["text"] for row in rows_of(tmp_path / "o.jsonl")] == [LURE, LURE, "ok"]


def test_a_job_whose_incomplete_output_is_gone_cannot_be_resumed(tmp_path, scanner):
    (tmp_path / "in.jsonl").write_text('{"text": "好"}\n' * 1000, "utf-8")
    options = Options(max_message=4096)
    interrupt(scanner, tmp_path / "in.jsonl", tmp_path / "o.jsonl", options)
    (tmp_path / "o.jsonl.part").unlink()
    with pytest.raises(DumpError, match="is gone: start over with --force"):
        score_dump(scanner, [tmp_path / "in.jsonl"], tmp_path / "o.jsonl", options, resume=True)


def test_progress_counts_the_bytes_of_parquet_files(tmp_path, scanner):
    pq.write_table(pa.table({"text": [PLAIN] * 100}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": [PLAIN, LURE] * 100}), tmp_path / "b.parquet")
    reports = []
    sources = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    score_dump(scanner, sources, tmp_path / "o.parquet", progress=reports.append)
    assert (reports[-1].rows, reports[-1].done) == (300, reports[-1].total)
    assert reports[-1].total == sum(path.stat().st_size for path in sources)


def test_files_of_a_folder_are_read_in_the_order_of_their_names(tmp_path):
    folder = tmp_path / "dump"
    folder.mkdir()
    for number in (7, 3, 9, 1, 8, 0, 5, 2, 6, 4):
        (folder / f"{number}.jsonl").write_text(json.dumps({"text": f"第{number}条"}) + "\n", "utf-8")
    assert score(folder, "-o", tmp_path / "o.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "o.jsonl")] == [f"第{number}条" for number in range(10)]
