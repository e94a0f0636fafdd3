"""Data frames: rows, columns and index are returned unchanged, followed by the columns of `fraudscan`."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import COLUMN as TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan import Scanner, Thresholds, frames
from fraudscan.columns import COLUMNS, ColumnError, names_of
from fraudscan.explain import evidence
from fraudscan.features import Vocabulary
from fraudscan.lists import Entry, Lists
from fraudscan.taxonomy import Taxonomy

KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def rows_of(frame):
    """Return the rows of any frame as dictionaries with None for nulls."""
    if isinstance(frame, pd.DataFrame):
        return [
            {k: list(v) if isinstance(v, tuple) else None if pd.isna(v) else v for k, v in row.items()}
            for row in frame.to_dict("records")
        ]
    return frame.to_dicts() if isinstance(frame, pl.DataFrame) else frame.to_pylist()


def expected(scanner, text, note="no text"):
    if not isinstance(text, str):
        return {**dict.fromkeys(COLUMNS), "fraud_notes": [note]}
    r = scanner.classify(text)
    values = (r.label, r.scheme, list(r.labels), r.score, r.verdict, list(r.targets), list(r.notes))
    return dict(zip(COLUMNS, values, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(
    st.lists(st.none() | st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)),
    st.integers(1, 4),
)
def test_every_row_has_the_result_of_classify(scanner, monkeypatch, kind, texts, block):
    monkeypatch.setattr(frames, "BLOCK", block)
    numbers = list(range(len(texts)))
    source = pd.Series(texts, dtype=object) if kind == "pandas" else pa.array(texts, pa.string())
    frame = KINDS[kind]({"nr": numbers, "content": source if kind != "polars" else pl.Series(texts, dtype=pl.String)})
    out = scanner.annotate(frame, text="content")
    assert type(out) is type(frame)
    wanted = [{"nr": i, "content": text, **expected(scanner, text)} for i, text in enumerate(texts)]
    assert rows_of(out) == wanted
    assert list(rows_of(frame)[0] if texts else ["nr", "content"]) == ["nr", "content"]  # the input frame is unchanged


def test_changes_to_the_output_do_not_change_the_pandas_frame(scanner):
    frame = pd.DataFrame({"nr": [1, 2], "text": ["到楼下了", "晚上吃什么"]})
    out = scanner.annotate(frame)
    out.loc[0, ["nr", "text"]] = [9, "＊"]
    assert frame.to_dict("list") == {"nr": [1, 2], "text": ["到楼下了", "晚上吃什么"]}


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_added_on_request(scanner, kind):
    out = scanner.annotate(KINDS[kind]({"text": TEXTS}), proba=True)
    rows = rows_of(out)
    assert list(rows[0]) == ["text", *names_of(scanner, proba=True)]
    wanted = scanner.predict_proba([text for text in TEXTS if text is not None])
    for name, column in zip(scanner.names, wanted.T, strict=True):
        assert [row[f"fraud_p_{name}"] for row in rows if row["text"] is not None] == pytest.approx(column)
        assert rows[1][f"fraud_p_{name}"] is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_needs_nothing_but_its_definition(scanner, more_columns, kind):
    rows = rows_of(scanner.annotate(KINDS[kind]({"text": TEXTS}), explain=True))
    for row, text in zip(rows, TEXTS, strict=True):
        found = row["fraud_loud"], row["fraud_half"], row["fraud_twice"]
        expected = (None, None, None) if text is None else more_columns(row["fraud_verdict"], row["fraud_score"])
        assert found == expected


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_is_added_on_request(scanner, kind):
    rows = rows_of(scanner.annotate(KINDS[kind]({"text": TEXTS}), explain=True, proba=True))
    assert list(rows[0]) == ["text", *names_of(scanner, proba=True, explain=True)]
    texts = [text for text in TEXTS if text is not None]
    wanted = evidence(scanner, texts, scanner.decide(texts))
    assert [row["fraud_evidence"] for row in rows if row["text"] is not None] == wanted
    assert {row["fraud_evidence"] for row in rows if row["text"] is None} == {None}
    assert any(wanted)
    assert rows_of(scanner.annotate(KINDS[kind]({"text": TEXTS[:0]}), explain=True)) == []


def test_pandas_index_is_kept_and_values_that_are_no_text_are_noted(scanner):
    texts = ["晚上吃什么", 7, float("nan"), pd.NA, pd.NaT, b"x", None]
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=object)}).set_index(
        pd.Index([5, 5, 3, 2, 1, 0, 9], name="key")
    )
    out = scanner.annotate(frame)
    assert out.index.equals(frame.index)
    notes = [(), ("not a text: int",), *[("no text",)] * 3, ("not a text: bytes",), ("no text",)]
    assert out["fraud_notes"].tolist() == notes
    assert list(frame.columns) == ["text"]


def test_arrow_chunks_and_other_string_types(scanner):
    chunked = pa.chunked_array([["晚上吃什么"], [], ["你好", None]], pa.string())
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        out = scanner.annotate(pa.table({"text": chunked.cast(kind)}))
        assert out["fraud_label"].to_pylist() == ["legitimate", "legitimate", None]
    out = scanner.annotate(pa.table({"text": pa.array([1, None])}))
    assert out["fraud_notes"].to_pylist() == [["not a text: int"], ["no text"]]


def test_small_chunks_of_arrow_are_scored_together(scanner, monkeypatch):
    table = pa.table({"text": pa.chunked_array([[text] for text in TEXTS * 3], pa.string())})
    sizes, decide = [], Scanner.decide
    monkeypatch.setattr(Scanner, "decide", lambda *given, **kw: sizes.append(len(given[1])) or decide(*given, **kw))
    out = scanner.annotate(table)
    assert sizes == [3 * sum(text is not None for text in TEXTS)]
    assert out.equals(scanner.annotate(table.combine_chunks()))


def test_an_arrow_array_holds_few_rows_because_it_holds_two_gibibytes_at_most(scanner, monkeypatch):
    table = pa.table({"text": TEXTS})
    wanted = scanner.annotate(table, explain=True)
    built, array = [], pa.array
    monkeypatch.setattr(frames, "BLOCK", 2)
    monkeypatch.setattr(pa, "array", lambda values, *kind, **how: built.append(values) or array(values, *kind, **how))
    out = scanner.annotate(table, explain=True)
    assert out.equals(wanted)
    assert max(len(values) for values in built if isinstance(values, list)) == 2  # the distinct values of a chunk
    assert {max(map(len, out[name].chunks)) for name in ("fraud_label", "fraud_labels", "fraud_evidence")} == {2}


def test_pandas_attributes_and_axis_names_are_kept(scanner):
    frame = pd.DataFrame({"text": TEXTS}).rename_axis("fields", axis=1)
    frame.attrs["source"] = "a phone"
    out = scanner.annotate(frame)
    assert (out.columns.name, out.attrs) == ("fields", {"source": "a phone"})
    scored = scanner.annotate(frame.set_axis(pd.MultiIndex.from_tuples([("text", "")]), axis=1), text=("text", ""))
    assert scored["fraud_label"].tolist() == out["fraud_label"].tolist()
    typed = frame.set_axis(pd.Index(["text"], dtype="string"), axis=1)
    assert scanner.annotate(typed).columns.dtype == "string"


def test_a_hundred_labels_do_not_fragment_a_pandas_frame():
    names = [f"kind{i}" for i in range(101)]
    scanner = Scanner(
        Taxonomy.from_names(names, None, "multiclass"),
        Vocabulary.from_ngrams(["好"]),
        np.zeros((2, 102)),
        np.ones(102),
        np.arange(101),
        thresholds=Thresholds(0.5, 0.5),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = scanner.annotate(pd.DataFrame({"text": ["你好"]}), proba=True)
    assert list(out) == ["text", *names_of(scanner, proba=True)]
    assert out["fraud_p_kind100"][0] == scanner.predict_proba(["你好"])[0, 100]


def test_a_subclass_of_a_pandas_frame_is_kept(scanner):
    class Frame(pd.DataFrame):
        @property
        def _constructor(self):
            return Frame

    out = scanner.annotate(Frame({"text": TEXTS}))
    assert type(out) is Frame
    assert list(out) == ["text", *COLUMNS]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_invalid_utf8_in_arrow_strings_does_not_stop_the_other_rows(scanner, kind):
    raw = pa.array([TEXTS[0].encode(), b"\xff\xfe", None]).view(pa.string())
    out = scanner.annotate(pa.table({"text": raw.cast(kind)}))
    assert out["fraud_label"].to_pylist() == [scanner.classify(TEXTS[0]).label, None, None]
    assert out["fraud_notes"].to_pylist()[1:] == [["not a text: bytes"], ["no text"]]


def test_batches_and_readers_of_arrow_are_annotated_as_tables(scanner):
    table = pa.table({"text": TEXTS})
    wanted = scanner.annotate(table)
    assert scanner.annotate(table.to_reader(max_chunksize=2)).equals(wanted)
    assert scanner.annotate(table.to_batches()[0]).equals(wanted)


def test_a_lazy_frame_stays_lazy_in_the_way_that_the_error_names(scanner):
    frame = pl.LazyFrame({"nr": range(len(TEXTS)), "text": TEXTS})
    with pytest.raises(TypeError) as error:
        scanner.annotate(frame)
    how = str(error.value).partition("stay lazy with ")[2]
    assert "projection_pushdown=False" in how  # polars before version 2 takes the text away without it
    lazy = eval(how, {"frame": frame, "scanner": scanner})  # noqa: S307
    wanted = scanner.annotate(frame.collect())
    assert lazy.select("fraud_score").collect().equals(wanted.select("fraud_score"))
    assert lazy.select("nr").collect().equals(wanted.select("nr"))
    assert lazy.collect().equals(wanted)


def test_invalid_tables_are_refused(scanner):
    with pytest.raises(
        ColumnError, match=r"no column is called 'text'; the table has the columns: a\. Name the column .* with text="
    ):
        scanner.annotate(pd.DataFrame({"a": ["x"]}))
    with pytest.raises(ColumnError, match="no column is called None; the table has the columns"):
        scanner.annotate(pd.DataFrame({"text": ["x"]}), text=None)
    for column in (["text"], pd.Series(["x"]), pl.Series(["x"]), pl.col("text"), pa.array(["x"]), np.array(["x", "y"])):
        for name in ("text", "sender"):
            with pytest.raises(ColumnError, match=f"a {type(column).__name__} is no name; .* Name .* with {name}="):
                scanner.annotate(pd.DataFrame({"text": ["x"]}), **{name: column})
    once = scanner.annotate(pl.DataFrame({"text": ["你好"]}))
    with pytest.raises(ColumnError, match=f"columns called {', '.join(COLUMNS)}: drop or rename them first"):
        scanner.annotate(once)
    twice = pd.DataFrame(np.array([["x", "y"]]), columns=["text", "text"])
    with pytest.raises(ColumnError, match="several columns are called 'text'"):
        scanner.annotate(twice)
    with pytest.raises(
        TypeError, match=r"not polars.*LazyFrame; call collect\(\) first, or stay lazy with frame\.map_"
    ):
        scanner.annotate(pl.LazyFrame({"text": ["x"]}))
    with pytest.raises(TypeError, match=r"not pandas\.Series; call to_frame\(\) first"):
        scanner.annotate(pd.Series(["x"], name="text"))
    for name in ("DuckDBPyRelation", "DuckDBPyConnection"):
        for package in ("duckdb", "_duckdb"):
            result = type(name, (), {"__module__": package})
            with pytest.raises(TypeError, match=rf"not {package}\.{name}; call df\(\), pl\(\) or arrow\(\) first"):
                scanner.annotate(result())
    for module in ("dask.dataframe.dask_expr._collection", "dask_expr._collection"):
        dask = type("DataFrame", (), {"__module__": module})
        with pytest.raises(TypeError, match=r"not dask.*\.DataFrame; call frame\.map_partitions\(scanner\.annotate\)"):
            scanner.annotate(dask())
    with pytest.raises(TypeError, match=r"takes a pandas or polars DataFrame or a pyarrow Table, not builtins\.list"):
        scanner.annotate(["x"])


@pytest.mark.parametrize("kind", KINDS)
def test_lists_name_the_entry_that_fired(scanner, kind):
    own = scanner.with_lists(Lists([Entry("deny", "快递"), Entry("allow", "内部群")]))
    rows = rows_of(own.annotate(KINDS[kind]({"text": TEXTS})))
    assert list(rows[0]) == ["text", *COLUMNS, "fraud_rule"]
    assert [row["fraud_rule"] for row in rows] == ["allow 内部群", None, "deny 快递", None, None]
    assert [row["fraud_verdict"] for row in rows[:3]] == ["clear", None, "flag"]
    bound = scanner.with_lists(Lists([Entry("deny", "到", sender="a")]))
    with pytest.raises(ColumnError, match="the lists have entries for certain senders: name the sender column"):
        bound.annotate(KINDS[kind]({"text": TEXTS}))
    with pytest.raises(ColumnError, match=r"no column is called 'from'; .* Name the column of the senders with"):
        own.annotate(KINDS[kind]({"text": TEXTS}), sender="from")
    rows = rows_of(scanner.with_lists(Lists([])).annotate(KINDS[kind]({"text": TEXTS}), proba=True))
    assert list(rows[0]) == ["text", *names_of(scanner.with_lists(Lists([])), proba=True)]
    assert [row["fraud_rule"] for row in rows] == [None] * len(TEXTS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("senders", [["1069", None, "1069", "95588", "1069"], [1069, None, 1069, 95588, 1069]])
def test_entries_of_lists_fire_for_their_senders(scanner, monkeypatch, kind, senders):
    monkeypatch.setattr(frames, "BLOCK", 2)
    entries = [Entry("deny", "快递"), Entry("allow", "", sender="95588"), Entry("deny", "", sender="106*")]
    own = scanner.with_lists(Lists(entries))
    frame = KINDS[kind]({"text": TEXTS, "from": senders})
    rules = ["deny sender=106*:", None, "deny 快递", "allow sender=95588:", "deny sender=106*:"]
    rows = rows_of(own.annotate(frame, sender="from"))
    assert [row["fraud_rule"] for row in rows] == rules
    assert [row["fraud_verdict"] for row in rows] == ["flag", None, "flag", "clear", "flag"]
    rows = rows_of(own.annotate(frame, sender="text"))  # it may hold both, such as a group's name and its message
    assert [row["fraud_rule"] for row in rows] == [None, None, "deny 快递", None, None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_text_does_not_shift_the_senders(scanner, kind):
    own = scanner.with_lists(Lists([Entry("deny", "", sender="106")]))
    frame = KINDS[kind]({"text": [None, "到楼下了", "下来拿快递"], "from": ["95588", "106", "妈妈"]})
    rows = rows_of(own.annotate(frame, sender="from"))
    assert [row["fraud_rule"] for row in rows] == [None, "deny sender=106:", None]


def test_only_entries_that_matched_are_named(scanner, monkeypatch):
    named = []

    def name(entry):
        named.append(entry.pattern)
        return entry.pattern

    monkeypatch.setattr(Entry, "__str__", name)
    lists = Lists([Entry("deny", phrase) for phrase in ("快递", "暗号", "老地方", "晚上")])
    texts = ["晚上吃什么", "快递到了", "在吗", "晚上见"]
    scored = scanner.with_lists(lists).annotate(pd.DataFrame({"text": texts}))
    assert [rule or None for rule in scored["fraud_rule"]] == ["晚上", "快递", None, "晚上"]
    assert named == ["快递", "晚上"]
