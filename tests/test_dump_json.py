"""Tests of JSON: lines, arrays, and documents that are broken, cut off, or nested deeply."""

import contextlib
import json
import re
from unittest import mock

import orjson
import pytest
from conftest import traced
from dumps import EXPORTS, LURE, PLAIN, blocks_from_anywhere, rejected, rows_of, score, scored, texts_of
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan.dump import Options, documents, readers, score_dump
from fraudscan.dump.detect import FORMATS
from fraudscan.dump.jsontext import DEPTH


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
    rows = [f'{{"id":{i},"text":"{PLAIN}{i}"}}' for i in range(40_000)]
    for i in (10, 39_000):
        rows[i] = rows[i].replace(PLAIN, f'{PLAIN}" ')
    assert len(scored(tmp_path / "in.json", "[\n" + ",\n".join(rows) + "\n]\n")) == 39_998
    rejects = rows_of(tmp_path / "out.jsonl.rejects.jsonl")
    assert [(row["line"], row["reason"], row["raw"]) for row in rejects] == [
        (12, "not JSON", rows[10]),
        (39_002, "not JSON", rows[39_000]),
    ]


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
    (reject,) = rejected(tmp_path / "in.jsonl", f'{{"text": "{PLAIN}"}}\n{line}\n')
    assert reject["reason"] == reason


@pytest.mark.parametrize("rest", ["garbage", " garbage more", "\nx"])
def test_text_after_a_document_is_rejected_verbatim(tmp_path, rest):
    source, rows = tmp_path / "in.json", f'[{{"text": "{PLAIN}"}}]'
    (reject,) = rejected(source, rows + rest, status=1)
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


def test_a_row_among_plain_rows_is_rejected_if_it_is_too_deep(tmp_path):
    rows = [
        json.dumps({"text": text, "x": json.loads("[" * depth + "]" * depth)}, ensure_ascii=False)
        for text, depth in (("深", DEPTH - 1), ("太深", DEPTH))  # and the row itself is one level
    ]
    row = json.dumps({"text": PLAIN}, ensure_ascii=False)
    assert texts_of(tmp_path / "in.jsonl", "\n".join([row, rows[0], row])) == [PLAIN, "深", PLAIN]
    assert not (tmp_path / "out.jsonl.rejects.jsonl").exists()
    assert texts_of(tmp_path / "in.jsonl", "\n".join([row, rows[1], row])) == [PLAIN] * 2
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


def test_one_line_objects_with_a_messages_key_are_rows(tmp_path):
    assert texts_of(tmp_path / "in.dat", 2 * (json.dumps({"text": PLAIN, "messages": []}) + "\n")) == [PLAIN, PLAIN]
