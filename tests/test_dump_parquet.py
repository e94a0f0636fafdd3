"""Tests of Parquet: values of any type, damaged files, and what other formats become when written as Parquet."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import traced
from dumps import EXPORTS, LURE, PLAIN, rows_of, score
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fraudscan.columns import COLUMNS
from fraudscan.dump import parquet
from fraudscan.dump.detect import make_reader
from fraudscan.dump.readers import BLOCK
from fraudscan.dump.streams import Stream
from fraudscan.dump.writers import OTHER_FIELDS


def test_parquet_is_recognized_by_its_content(tmp_path):
    pq.write_table(pa.table({"text": [LURE]}), tmp_path / "000000_0")  # as Hive names it
    assert score(tmp_path / "000000_0", "-o", tmp_path / "out.jsonl") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [LURE]


@pytest.mark.parametrize(("source", "out"), [("in.parquet", "out.csv"), ("in.jsonl", "out.parquet")])
def test_without_pyarrow_parquet_is_neither_read_nor_written(tmp_path, capsys, monkeypatch, source, out):
    (tmp_path / source).write_text("PAR1" if source == "in.parquet" else f'{{"text": "{PLAIN}"}}', "utf-8")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert score(tmp_path / source, "-o", tmp_path / out) == 2
    assert 'Parquet needs pyarrow: pip install "fraudscan[parquet]"' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [source]


def test_binary_parquet_columns_that_contain_text_are_read(tmp_path):
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
    texts = pa.array([LURE.encode("gb18030"), PLAIN.encode("gb18030")], pa.binary())
    as_string = pa.Array.from_buffers(pa.string(), 2, texts.buffers())  # Arrow does not check that it is UTF-8
    pq.write_table(pa.table({"text": as_string}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--encoding", "gb18030") == 0
    assert [row["text"] for row in rows_of(tmp_path / "out.jsonl")] == [LURE, PLAIN]


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.parquet"])
def test_a_parquet_file_with_a_damaged_row_group_is_scored_up_to_it(tmp_path, name):
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
    chats = pa.array([[b"a"], [b"b"]], pa.list_(pa.binary()))
    pq.write_table(pa.table({"text": [LURE, PLAIN], "chat": chats}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--by", "chat") == 0
    assert [row["chat"] for row in rows_of(tmp_path / "out.jsonl")] == [["a"], ["b"]]
    assert {row["conversation"] for row in rows_of(tmp_path / "out.jsonl.conversations.jsonl")} == {'["a"]', '["b"]'}


def test_parquet_keeps_its_types_and_converts_to_json(tmp_path):
    assert score(EXPORTS / "messages.parquet", "-o", tmp_path / "out.parquet") == 0
    before = pq.read_table(EXPORTS / "messages.parquet")
    after = pq.read_table(tmp_path / "out.parquet")
    assert after.column_names == [*before.column_names, *COLUMNS]
    assert after.select(before.column_names).equals(before.slice(0, 2))
    assert after["fraud_label"].to_pylist() == ["investment", "legitimate"]
    assert after["fraud_labels"].to_pylist()[0][0] == "investment"
    assert score(EXPORTS / "messages.parquet", "-o", tmp_path / "out.jsonl") == 0
    assert rows_of(tmp_path / "out.jsonl")[0]["sent"].startswith("2026-10-07 09:00")
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["offset"], reject["reason"]) == (2, "'message' is missing")


def test_a_nested_or_numeric_parquet_column_is_not_accepted_as_the_text(tmp_path, capsys):
    nested = pa.array([{"content": PLAIN}]), pa.array([[PLAIN]])
    for message, advice in zip(nested, ("col('message.…')", "concat_ws(' ', col('message'))"), strict=True):
        pq.write_table(pa.table({"message": message, "id": [1]}), tmp_path / "in.parquet")
        assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl") == 2
        error = "'message' is not a text: make a text column from it first, in Spark with withColumn('text', "
        assert f"{error}{advice})\n" in capsys.readouterr().err
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--text", "message.content") == 2
    assert "Extract it from 'message' first, e.g. with Spark or pandas" in capsys.readouterr().err
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--text", "id") == 1


def test_parquet_metadata_that_contradict_each_other_are_reported(tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": [PLAIN], "id": ["a"]}), path)
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
    pq.write_table(pa.table({"text": [LURE, PLAIN], **columns}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / f"out.{ending}") == 0
    if ending == "jsonl":
        first, second = rows_of(tmp_path / "out.jsonl")
        struct, twins = {"a": "//4=", "b": f"{1 << 61}us"}, [["a", 1], ["a", 3]]
        assert [first[name] for name in columns] == [["//4="], struct, [["k", "//4="]], twins]
        struct, twins = {"a": "a", "b": "1970-01-01 00:00:05"}, [["a", 2], ["a", 4]]
        assert [second[name] for name in columns] == [["a"], struct, [["l", "a"]], twins]
    if ending == "parquet":
        kept = pq.read_table(tmp_path / "out.parquet").select(list(columns))
        assert kept.equals(pa.table(columns))


def test_parquet_view_types_are_kept_if_a_text_is_missing(tmp_path):
    kinds = {"text": pa.string_view(), "raw": pa.binary_view(), "n": pa.int8()}
    before = pa.table([[LURE, None, PLAIN], [b"a", b"b", None], [1, 2, 3]], schema=pa.schema(list(kinds.items())))
    pq.write_table(before, tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet") == 0
    after = pq.read_table(tmp_path / "out.parquet").select(before.column_names)
    assert after.equals(pa.concat_tables([before.slice(0, 1), before.slice(2)]))


@pytest.mark.parametrize("name", ["in.parquet", "in.csv", "in.jsonl"])
def test_parquet_without_rows_has_all_columns(tmp_path, name):
    source, out = tmp_path / name, tmp_path / "out.parquet"
    if name == "in.parquet":
        pq.write_table(pa.table({"n": pa.array([], pa.int8()), "text": pa.array([], pa.string())}), source)
    else:
        source.write_text("n,text\n" if name == "in.csv" else "")
    assert score(source, "-o", out, "--proba") == 0
    found = pq.read_table(out)
    assert set(COLUMNS) <= set(found.column_names)
    assert found.schema.field("fraud_score").type == found.schema.field("fraud_p_games").type == pa.float64()
    assert found.schema.field("fraud_labels").type.value_type == pa.string()
    if name == "in.parquet":
        assert found.schema.field("n").type == pa.int8()
        full = pa.table({"n": pa.array([1], pa.int8()), "text": [LURE]})
        pq.write_table(full, source)
        assert score(source, "-o", out, "--proba", "--force") == 0
        assert pq.read_table(out).schema == found.schema


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_parquet_in_a_folder_whose_name_is_not_unicode(tmp_path):
    folder = tmp_path / os.fsdecode("案件".encode("gbk"))  # as in archives from Windows
    folder.mkdir()
    shutil.copy(EXPORTS / "messages.parquet", folder)
    assert score(folder / "messages.parquet", "-o", folder / "out.parquet") == 0
    assert score(folder / "out.parquet", "-o", folder / "out.jsonl") == 0
    assert len(rows_of(folder / "out.jsonl")) == 2


def test_timestamps_in_an_unknown_time_zone_are_in_utc(tmp_path):
    source, out = tmp_path / "in.parquet", tmp_path / "out.jsonl"
    for zone, expected in [("Nowhere/Zone", "1970-01-01 00:00:01Z"), ("+08:00", "1970-01-01 08:00:01+0800")]:
        moments = pa.array([1, None, 2], pa.timestamp("s", zone))
        pq.write_table(pa.table({"text": [PLAIN, PLAIN, None], "time": moments}), source)
        assert score(source, "-o", out, "--force") == 0
        assert [(row["time"] or "").replace(".000", "") for row in rows_of(out)] == [expected, ""]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_timestamps_as_spark_writes_them_do_not_overflow(tmp_path, ending):
    source, out = tmp_path / "in.parquet", tmp_path / f"out.{ending}"
    moments = ["0001-01-01 00:00:00", "2024-02-29 12:00:00.000001", "9999-12-31 23:59:59"]
    table = pa.table({"text": [PLAIN] * 3, "time": pa.array(moments).cast(pa.timestamp("us"))})
    pq.write_table(table, source, use_deprecated_int96_timestamps=True)
    assert score(source, "-o", out) == 0
    if ending == "jsonl":
        assert [row["time"][:19] for row in rows_of(out)] == [moment[:19] for moment in moments]
    else:
        assert pq.read_table(out)["time"].equals(table["time"])  # Spark does not read nanoseconds


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_durations_are_written_with_their_unit(tmp_path, unit):
    values = pa.array([86_400_000_001, 0, -1, None], pa.duration(unit))
    pq.write_table(pa.table({"text": [PLAIN] * 4, "took": values}), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl") == 0
    found = [row["took"] for row in rows_of(tmp_path / "out.jsonl")]
    assert found == [f"86400000001{unit}", f"0{unit}", f"-1{unit}", None]


@given(st.lists(st.one_of(st.none(), st.just(0.1), st.floats(width=32)), min_size=1))
@settings(max_examples=10)
def test_floats_of_32_bits_are_written_with_their_own_digits(tmp_path, values):
    known = np.array([np.nan if value is None else value for value in values], np.float32)
    table = pa.table({"text": [PLAIN] * len(values), "amount": pa.array(values, pa.float32())})
    pq.write_table(table, tmp_path / "in.parquet")
    shown = ["" if value is None else repr(float(str(number))) for value, number in zip(values, known, strict=True)]
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.csv", "--force") == 0
    assert [row["amount"] for row in rows_of(tmp_path / "out.csv")] == shown
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--force") == 0
    finite = [float(text) if text not in {"", "nan", "inf", "-inf"} else None for text in shown]
    assert [row["amount"] for row in rows_of(tmp_path / "out.jsonl")] == finite
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", "--force") == 0
    assert pq.read_table(tmp_path / "out.parquet")["amount"].type == pa.float32()


def test_numbers_that_json_cannot_represent_are_null(tmp_path):
    source, out = tmp_path / "in.parquet", tmp_path / "out.jsonl"
    rows = [
        {"text": PLAIN, "f": float("nan"), "g": [1.5, float("-inf")], "place": "上海"},
        {"text": None, "f": float("inf"), "g": [], "place": "上海"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), source)
    assert score(source, "-o", out) == 0
    row = orjson.loads(out.read_bytes())
    assert (row["text"], row["f"], row["g"]) == (PLAIN, None, [1.5, None])
    (reject,) = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["raw"] == '{"text": null, "f": null, "g": [], "place": "上海"}'


def test_json_lines_to_parquet_unifies_the_types_of_blocks(tmp_path):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    rows = [
        {"text": PLAIN, "n": i if i < 90 else i + 0.5, "m": None if i < 90 else "x", "k": [i, "x"]} for i in range(99)
    ]
    rows[98]["late"] = 1
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert score(source, "-o", out, "--max-message", 4096) == 0
    found = rows_of(out)
    assert [row["n"] for row in found] == [row["n"] for row in rows]
    assert [row["m"] for row in found] == [row["m"] for row in rows]
    assert json.loads(found[5]["k"]) == [5, "x"]
    assert json.loads(found[98][OTHER_FIELDS]) == {"late": 1}


def test_numbers_that_the_common_type_of_blocks_cannot_represent_are_kept_as_text(tmp_path):
    for name, number in (("whole", 2**53 + 1), ("broken", 1.5)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": PLAIN, "n": number}))
    out = tmp_path / "out.parquet"
    assert score(tmp_path / "whole.jsonl", tmp_path / "broken.jsonl", "-o", out) == 0
    assert pq.read_table(out)["n"].to_pylist() == ["9007199254740993", "1.5"]


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
    with tempfile.TemporaryDirectory() as folder:
        sources = [Path(folder, f"{number}.jsonl") for number in range(len(files))]
        for source, values in zip(sources, files, strict=True):
            source.write_text("".join(json.dumps({"text": PLAIN, "x": value}) + "\n" for value in values))
        assert score(*sources, "-o", f"{folder}/out.parquet", "--quiet") == 0
        assert pq.read_table(f"{folder}/out.parquet").num_rows == sum(map(len, files))


def test_a_lone_surrogate_changes_no_other_row_of_a_parquet_file(tmp_path):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("\ud800", PLAIN)))
    assert score(source, "-o", out) == 0
    assert pq.read_table(out)["text"].to_pylist() == ["\\ud800", PLAIN]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_other_fields_column_of_an_earlier_run_is_an_ordinary_column(tmp_path, ending):
    source, out = tmp_path / "in.jsonl", tmp_path / f"out.{ending}"
    rows = [{"text": PLAIN, OTHER_FIELDS: "MINE", "x": i} for i in range(99)]
    rows[98]["late"] = 1
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert score(source, "-o", out, "--max-message", 4096) == 0
    table = rows_of(out)
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


def test_a_value_shared_by_all_rows_of_a_parquet_file_is_not_held_for_each_row(tmp_path, scanner):
    rows, size = 64, 1 << 20
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * size]))
    few = pa.DictionaryArray.from_arrays(pa.array([i % 5 for i in range(rows - 1)] + [None], pa.int8()), ["甲"] * 128)
    table = pa.table({"text": [PLAIN] * rows, "blob": shared, "few": few})
    pq.write_table(table, tmp_path / "in.parquet", compression="zstd")
    scanner.classify(PLAIN)  # loads what it needs
    with traced() as memory:
        assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl") == 0
        assert memory()[1] < 16 * size
    assert (tmp_path / "out.jsonl").stat().st_size > rows * size


def test_row_groups_of_a_parquet_file_share_a_block_up_to_its_size(tmp_path):
    table = pa.table({"text": [PLAIN] * 16, "blob": [chr(ord("0") + i) * (BLOCK // 4) for i in range(16)]})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=1)
    with Stream(str(tmp_path / "in.parquet")) as stream:
        reader = make_reader(stream, None, None)
        blocks = list(reader.blocks(stream, reader.prepare(stream)))
    assert [block.end.offset for block in blocks] == [3, 6, 9, 12, 15, 16]


def peaks_of_memory(*sources, held=parquet.HELD):
    """Score Parquet files one after the other in a process; return the peak of Arrow's memory up to the end of each."""
    code = """if True:
        import sys, pyarrow
        from fraudscan.cli import main
        from fraudscan.dump import parquet
        parquet.HELD = int(sys.argv[1])
        for source in sys.argv[2:]:
            assert main(["score", source, "-o", f"{source}.jsonl", "--quiet"]) == 0
            print(pyarrow.default_memory_pool().max_memory())"""
    command = [sys.executable, "-c", code, str(held), *sources]
    return list(map(int, subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()))


def test_a_value_stored_once_in_a_parquet_file_is_not_held_for_all_rows_at_once(tmp_path):
    rows, long = 4000, "x" * (1 << 12)
    values = {
        "string": pa.array([long] * rows),
        "large_binary": pa.array([long.encode()] * rows, pa.large_binary()),
        "list": pa.array([[long]] * rows),
        "struct": pa.array([{"a": {"b": long}}] * rows),
        "fixed": pa.array([long.encode()] * rows, pa.binary(len(long))),
        "late": pa.array([None] * (rows // 2) + [[long]] * (rows // 2)),
    }
    sources = [tmp_path / f"{kind}.parquet" for kind in values]
    for source, notes in zip(sources, values.values(), strict=True):
        table = pa.table({"id": range(rows), "text": [PLAIN] * rows, "note": notes})
        pq.write_table(table, source, compression="zstd")
        assert source.stat().st_size < 50_000
    peaks = peaks_of_memory(*sources, held=1 << 18)
    too_high = [kind for kind, peak in zip(values, peaks, strict=True) if peak >= 8_000_000]
    assert not too_high[:1]  # peaks only grow; Arrow allocates at least 1,024 values of fixed length
    for source in sources:
        assert [row["id"] for row in rows_of(tmp_path / f"{source.name}.jsonl")] == list(range(rows))


def test_a_large_row_group_of_a_parquet_file_is_not_held_as_a_whole(tmp_path):
    source, rows = tmp_path / "in.parquet", 40_000
    table = pa.table({"text": [PLAIN] * rows, "note": [f"{i:01000}" for i in range(rows)]})
    pq.write_table(table, source, row_group_size=rows, compression="none", use_dictionary=False)
    assert peaks_of_memory(source)[0] < source.stat().st_size / 2
    assert len(rows_of(tmp_path / "in.parquet.jsonl")) == rows


def test_a_column_of_texts_and_numbers_has_one_type_in_all_blocks_of_a_parquet_file(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP", 1)
    users = [i if i < 9000 else f"u{i}" for i in range(18_000)]
    rows = [{"user": user, "text": PLAIN * 5} for user in users]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert score(tmp_path / "in.jsonl", "-o", tmp_path / "out.parquet", "--max-message", 1 << 16) == 0
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups > 2
    assert pq.read_table(tmp_path / "out.parquet")["user"].to_pylist() == list(map(str, users))
