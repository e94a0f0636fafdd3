"""The compiled kernel: bit-identical to NumPy, and no access beyond an array for any arguments."""

import contextlib
import itertools
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_features import SMALL, ngrams
from test_normalize import marked_up
from test_scoring import texts as short_texts
from test_windows import long_texts

import fraudscan
from fraudscan import Scanner, Thresholds, kernel
from fraudscan.characters import fold_for_lists, normalization_table
from fraudscan.engine import FIELD_SIZE
from fraudscan.explain import _Characters, _spans
from fraudscan.features import MARKUP_STRINGS, REPEATS, Vocabulary
from fraudscan.layer import Layer
from fraudscan.lines import folded
from fraudscan.lists import Entry, Lists
from fraudscan.neighbours import (
    CROWDED,
    DIGIT,
    END,
    EVIDENCE,
    FILLED_EVIDENCE,
    FILLED_SHARE,
    MIN_FILLED,
    MOST_SIGNS,
    PART,
    PART_BLOCK,
    PART_EVIDENCE,
    RARE,
    SIGNS,
    WHOLE,
    WIDTH,
    Tables,
    other_tables,
    tables,
)
from fraudscan.taxonomy import Taxonomy

pytestmark = pytest.mark.usefixtures("compiled")

ODD = ["", "\0", "\ud800\udfff", "\U0010ffff", "\U0002a6d6", "é", "a" * 600, "\u200b" * 70, "投·资·理·财，加薇信"]
texts = st.one_of(short_texts, st.sampled_from(ODD), long_texts(150, 1500), marked_up)
batches = st.lists(texts, min_size=1, max_size=20)


PARTS = [
    "".join(chr(key >> place & 0x1FFFFF) for place in (42, 21, 0)).strip("\0") for key in tables().splits[0].tolist()
]
THREE_PARTS = [parts for parts in PARTS if len(parts) == 3]
WORDS = "投资理财", "稳赚不赔", "微信", "服务", "我们", "正规项目"
LONG_WORDS = "跟着老师操作稳赚不赔", "跟着老师操作稳赚不赔，加微信xy2000进内部群13800138000"
CHARACTERS = "卝箌薇芯伈", "·、，.❤★✈", "❤🐧🉑🍚🥛牛奶", "abtz", "0㊀", "嬲犇骉", "的加", "ㄅㄓㄢˊˇ", "あㅎ"
"""What disguises consist of, besides parts of characters and words that signs cut."""

FILLERS = [
    "ㄅㄆ",
    "あか",
    "啊呀嘛",
    "/·",
    ["8", "9", "10", "11"],
    ["1、", "2、"],
    ["(ㄨㄣˇ)", "(ㄓㄨㄢˋ)"],
    "龘",
    ["·稳赚·"],
    "赚·",
]


def interleaved(text, fillers):
    """Return a text with fillers in turn after its characters."""
    return "".join(map(str.__add__, text, itertools.cycle(fillers)))


disguised = st.lists(
    st.one_of(
        *map(st.sampled_from, [*CHARACTERS, PARTS, THREE_PARTS, ["tou", "zi", "A:", "B:", "1️⃣户", "2⃣"]]),
        st.builds(str.join, st.sampled_from("·❤、.★✈"), st.sampled_from(WORDS)),
        st.builds(str.join, st.sampled_from([*"1a口=、", "....", "“”", "*-*-", "[1]"]), st.sampled_from(LONG_WORDS)),
        st.builds(interleaved, st.sampled_from(LONG_WORDS), st.sampled_from(FILLERS)),
        st.sampled_from([word[::-1] for word in LONG_WORDS]),
    ),
    max_size=40,
).map("".join)


def both(function):
    """Return the results of ``function`` with the kernel and without it."""
    with_kernel = function()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "compiled", None)
        return with_kernel, function()


def assert_same_matches(vocabulary, batch):
    def match():
        matches = vocabulary.match(batch)
        return matches.nodes.copy(), matches.starts, matches.lengths, matches.marked

    for with_kernel, without in zip(*both(match), strict=True):
        assert with_kernel.dtype == without.dtype
        assert np.array_equal(with_kernel, without)


@given(st.lists(st.one_of(texts, disguised), max_size=20))
@settings(max_examples=300)
def test_surveys_are_the_same(batch):
    for with_kernel, without in zip(*both(lambda: folded(batch).survey), strict=True):
        assert with_kernel.dtype == without.dtype
        assert np.array_equal(with_kernel, without)


@pytest.mark.parametrize("mask", ["heavy", "spelled_out", "loose", "repairable"])
def test_marks_and_surveys_are_the_same_at_the_limits_of_their_shares(corpus, mask):
    """Texts that begin with a disguise and go on ordinarily, ever longer."""
    begin = {
        "heavy": "我门这边有一个正归的页目，月艮务费全免，卞款快",
        "spelled_out": "tou资li财ha我b你",
        "loose": LONG_WORDS[0][::-1],
        "repairable": interleaved(LONG_WORDS[0], "1"),
    }
    rest = "".join(row.text for row in corpus if not row.labels and row.text.isprintable())[:150]
    text = begin[mask] + rest
    batch = [text[:end] for end in range(len(text))]
    assert_same_matches(Vocabulary.from_ngrams(["A"]), batch)
    with_kernel, without = both(lambda: folded(batch).survey)
    assert all(map(np.array_equal, with_kernel, without))
    assert getattr(with_kernel, mask).any()
    assert not getattr(with_kernel, mask)[-1]


@given(batches)
@settings(max_examples=200)
def test_matches_and_marks_are_the_same(scanner, batch):
    assert_same_matches(scanner.engine.vocabulary, batch)


def test_the_first_text_of_a_batch_follows_an_end_like_any_other():
    arrays = {name: tables()._arrays[name] for name in tables()._arrays}
    arrays["evidence"] = np.full_like(arrays["evidence"], EVIDENCE // 2)  # any two pairs are marks
    with other_tables(Tables(arrays)):
        vocabulary = Vocabulary.from_ngrams(["A"])
        assert_same_matches(vocabulary, ["A", "", "A"])
        assert vocabulary.match(["A", "", "A"]).marked.tolist() == [WHOLE, 0, WHOLE]


def test_matches_and_marks_are_the_same_on_the_corpus(scanner, corpus):
    texts = [row.text for row in corpus[::10]]
    assert_same_matches(scanner.engine.vocabulary, texts)
    assert scanner.engine.vocabulary.match(texts).marked.any()


def test_marks_are_the_same_wherever_a_disguised_text_is_cut(scanner, corpus):
    lures = [row.text for row in corpus if row.labels and len(row.text) <= 40][::2000]
    disguised = ["".join(f"{character}·" if i % 3 else character for i, character in enumerate(text)) for text in lures]
    assert_same_matches(scanner.engine.vocabulary, [text[:end] for text in disguised for end in range(len(text) + 1)])


@given(ngrams, st.lists(st.text(SMALL + " \0x", max_size=40) | texts, max_size=8))
@settings(max_examples=200)
def test_matches_of_small_vocabularies_are_the_same(grams, batch):
    assert_same_matches(Vocabulary.from_ngrams(grams), batch)


@given(st.lists(st.text(st.characters()), min_size=1), st.lists(texts | disguised, max_size=8), st.randoms())
@settings(max_examples=200)
def test_entries_of_lists_are_found_in_the_same_texts(phrases, batch, random):
    for place, text in enumerate(batch):
        at = random.randint(0, len(text))
        batch[place] = text[:at] + random.choice(phrases) + text[at:]
    entries = [Entry("deny", phrase) for phrase in phrases if 0 < len(fold_for_lists(phrase)) <= 200]
    with_kernel, without = both(lambda: Lists(entries).find(batch).tolist())
    assert with_kernel == without


@given(texts, st.integers(1, 700))
@settings(max_examples=100)
def test_places_and_blocks_are_the_same(scanner, text, size):
    def blocks():
        return [nodes.tolist() for nodes in scanner.engine.vocabulary.match_blocks(text, size)]

    def places():
        return [values.tolist() for values in scanner.engine.vocabulary.locate([text])]

    for function in (blocks, places):
        with_kernel, without = both(function)
        assert with_kernel == without


@given(batches)
@settings(max_examples=200)
def test_probabilities_and_notes_are_the_same(scanner, batch):
    with_kernel, without = both(lambda: scanner.decide(batch))
    assert with_kernel.probabilities.tobytes() == without.probabilities.tobytes()
    assert with_kernel.notes == without.notes


def test_probabilities_are_the_same_on_the_corpus(scanner, corpus):
    with_kernel, without = both(lambda: scanner.predict_proba([row.text for row in corpus[::10]]))
    assert with_kernel.tobytes() == without.tobytes()


def own_labels(rng, heads, task):
    """Return a scanner with custom labels, many of whose weights have the largest possible size."""
    vocabulary = Vocabulary.from_ngrams(SMALL)
    weights = rng.choice([-127, 127, *rng.integers(-127, 128, 3)], (vocabulary.size, heads + 1))
    weights[:, -1] = abs(weights[:, -1])  # squares
    weights[0] = 0
    taxonomy = Taxonomy.from_names([f"l{i}" for i in range(heads)], None, task)
    scales, biases = rng.random(heads + 1) / 100, rng.normal(size=heads)
    thresholds = Thresholds(flag=0.9, review=0.5)
    return Scanner(taxonomy, vocabulary, np.asfortranarray(weights), scales, biases, thresholds=thresholds)


@given(
    st.integers(0, 2**32),
    st.integers(2, 110) | st.sampled_from([47, 48, 95, 96]),
    st.sampled_from(["multiclass", "multilabel"]),
    st.lists(st.integers(0, 1200), min_size=1, max_size=9),
)
@settings(max_examples=100)
def test_sums_and_probabilities_of_any_width_are_the_same(seed, heads, task, sizes):
    rng = np.random.default_rng(seed)
    scanner = own_labels(rng, heads, task)
    batch = ["".join(rng.choice(list(SMALL), size)) for size in sizes]
    matches = scanner.engine.vocabulary.match(batch)
    nodes = matches.nodes.copy()
    with_kernel, without = both(lambda: scanner.engine._sums(nodes, matches.starts, matches.lengths))
    assert np.array_equal(with_kernel, without)
    assert np.array_equal(with_kernel[:, 0], scanner.engine.weights[nodes[: matches.lengths[0]]].sum(axis=0))
    with_kernel, without = both(lambda: scanner.predict_proba(batch))
    assert with_kernel.tobytes() == without.tobytes()


@pytest.mark.parametrize("weight", [-127, 127])
@pytest.mark.parametrize("length", [255, 256, 257, FIELD_SIZE, 70_000])
def test_the_largest_sums_do_not_overflow(compiled, weight, length):
    weights = np.full((2, 60), weight, dtype=np.int8)
    sums = np.zeros((1, 60), dtype=np.int64)
    compiled.add_up(np.ones(length, np.uint32), np.zeros(1, np.int64), weights, 60, sums)
    assert (sums == weight * length).all()


@given(st.integers(0, 2**32), st.integers(1, 64), st.integers(1, 256), st.floats(0, 300), st.integers(1, 3))
@settings(max_examples=100)
def test_the_first_logits_of_any_layer_are_the_same(seed, inputs, units, reach, pieces):
    rng = np.random.default_rng(seed)
    layer = Layer(rng.normal(size=(units, inputs + 1)), rng.normal(size=(3, units + 1)))
    each = np.rint(rng.normal(size=(42, inputs)) * reach * 1000).astype(np.int64)
    begins = rng.integers(0, 43 - pieces, 40)
    sums = sum(each[begins + piece] for piece in range(pieces))
    norms, scales, biases = rng.random(40) + 1, rng.random(inputs) / 100, rng.normal(size=inputs)
    logits = np.empty(40)
    kernel.compiled.alarms(each, begins, pieces, norms, scales, biases, *layer.first, logits)
    assert logits.tobytes() == (layer((sums * scales / norms[:, None] + biases).T)[0] + 0.0).tobytes()


def read_arguments():
    batch = ["加微信", "稳·赚 不·赔", ""]
    each = [np.zeros(len(batch), dtype) for dtype in (np.int64, np.int64, np.uint8)]
    known = (tables().pairs, tables().evidence, tables().cut, WIDTH, END, RARE, SIGNS)
    marks = EVIDENCE, PART_EVIDENCE, PART_BLOCK, WHOLE, PART
    limits = (CROWDED, MOST_SIGNS, MIN_FILLED, FILLED_SHARE, FILLED_EVIDENCE, marks, REPEATS, DIGIT)
    characters = np.zeros(sum(map(len, batch)) + len(batch), np.uint32)
    reading = fraudscan.load().engine.vocabulary._ids, normalization_table(), MARKUP_STRINGS
    return [batch, *reading, *known, *limits, characters, *each]


def follow_arguments():
    return [np.arange(1, 6, dtype=np.uint32), *fraudscan.load().engine.vocabulary._trie, np.zeros(5, np.uint32)]


def add_up_arguments():
    nodes, starts = np.array([1, 2, 0, 3, 0], np.uint32), np.array([0, 3])
    return [nodes, starts, np.ones((4, 6), np.int8), 6, np.zeros((2, 6), np.int64)]


def alarms_arguments():
    """Two texts of two pieces each, three inputs, five units."""
    layer = np.ones((4, 5), np.float32), np.ones(6, np.float32), 64.0, 2048.0, 4096.0
    return [np.ones((3, 3), np.int64), np.arange(2), 2, np.ones(2), np.ones(3), np.zeros(3), *layer, np.zeros(2)]


def tally_arguments():
    nodes, starts = np.array([1, 2, 0, 3, 0], np.uint32), np.array([0, 3])
    return [nodes, starts, np.arange(4, dtype=np.uint8), np.zeros((2, 2), np.int64)]


def splice_arguments():
    numbers = np.array([0, 5, 10**6, 10])
    return [[b'{"a": 1 }', b"{}"], np.array([1, 0]), ((b"x", b"y"), (b"", b"z")), numbers, [b"v", b"w"], (b"n",)]


def spans_arguments():
    """Return two texts of three characters, with five n-grams."""
    ngrams = [np.array([0, 1, 2, 2, 3, 4, 5]), np.array([1, 2, 3, 1, 3]), np.array([1.0, -2.0, 0.5, 1.0, 3.0])]
    flags = [np.array([1, 1, 0, 1, 1, 1], bool), np.array([0, 0, 0, 0, 1, 0], bool), np.array([0, 0, 0, 0, 1, 1])]
    return [
        np.array([0, 3, 6]),
        *ngrams,
        np.ones(2),
        *flags,
        0.25,
        1e-9,
        np.zeros(6),
        np.zeros(6, int),
        np.zeros(6, int),
    ]


def likeliest_arguments():
    """Return a lattice of three places. The second may be read as one of two numbers, and the third is an end."""
    written = [np.array([0, 1, 3], np.uint16), np.zeros(3, np.int64)]
    ways = [*(np.array(values) for values in ([1, 0], [2, 2], [1, 2], [0, 0])), np.zeros(2, np.uint8)]
    lists = [np.array([0, 1, 3, 4, 5]), np.array([0, 1, 2, 2, 3], np.uint16)]
    known = [np.zeros((4, 4), np.int8), np.zeros(256, np.int16), np.zeros(4, np.int32), 4, 10, 3]
    found = [np.zeros(3, np.int64), np.zeros(3, np.uint16), np.zeros(1, np.int64)]
    return [*written, *ways, *lists, *known, *found]


def survey_arguments():
    """Return texts with marks of every kind, and all that a survey needs to know."""
    marked = [
        "投·资·理·财，稳·赚·不·赔",
        "我门这边有一个正归的页目，月艮务费全免，卞款快",
        "加薇信，1️⃣户❤意",
        "tou资li财ha我b你",
    ]
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "compiled", SimpleNamespace(survey=lambda *arguments: found.extend(arguments)))
        _ = folded(marked).survey
    return found


@st.composite
def characters(draw):
    """Draw the characters of texts, with n-grams that may have begun before them, and weights that are often equal."""
    lengths = draw(st.lists(st.integers(0, 12), min_size=1, max_size=4))
    size = sum(lengths)
    counts = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    weights = rng.integers(-4, 5, sum(counts)) / draw(st.sampled_from([8, 3]))
    edges, marks = rng.random((2, size)) < draw(st.sampled_from([0.2, 0.8]))
    clauses = (rng.random(size) < 0.2).cumsum()
    ends = np.append(0, np.cumsum(lengths)), np.append(0, np.cumsum(counts, dtype=np.int64))
    return _Characters(
        *ends, rng.integers(1, 6, sum(counts)), weights, rng.random(len(lengths)) + 1, edges, marks, clauses
    )


@given(characters())
@settings(max_examples=500)
def test_spans_are_the_same(of):
    with_kernel, without = both(lambda: _spans(of))
    assert [values.tobytes() for values in with_kernel] == [values.tobytes() for values in without]
    _, starts, stops = with_kernel
    assert (starts < stops).all()
    assert (stops[:-1] <= starts[1:]).all()


@given(batches)
@settings(max_examples=100)
def test_explanations_are_the_same(scanner, batch):
    def explained():
        return [scanner.classify(text).explain("investment") for text in batch]

    with_kernel, without = both(explained)
    assert with_kernel == without


def test_the_likeliest_path_of_a_small_lattice(compiled):
    arguments = likeliest_arguments()
    arguments[11][2] = 5  # number 2 is frequent; two arcs offer it, one alone and one after number 0
    begins, numbers, gains = arguments[-3:]
    assert compiled.likeliest(*arguments) == 3
    assert begins.tolist() == [0, 1, 2]
    assert numbers.tolist() == [0, 2, 3]
    assert gains.tolist() == [5]
    arguments[5][1] = 1
    assert compiled.likeliest(*arguments) == 2
    assert begins[:2].tolist() == [0, 2]
    assert numbers[:2].tolist() == [2, 3]
    assert gains.tolist() == [6]
    arguments[6][:] = 1, 2  # in channels that exclude each other
    arguments[5][:] = 3, 2
    assert compiled.likeliest(*arguments) == 3
    assert begins.tolist() == [0, 1, 2]
    assert gains.tolist() == [8]


CALLS = {
    "likeliest": likeliest_arguments,
    "read": read_arguments,
    "follow": follow_arguments,
    "add_up": add_up_arguments,
    "alarms": alarms_arguments,
    "tally": tally_arguments,
    "splice": splice_arguments,
    "spans": spans_arguments,
    "survey": survey_arguments,
}
PLACES = {
    "likeliest": (*range(12), 15, 16),
    "read": (*range(1, 7), *range(19, 23)),
    "follow": (0, 1, 2, 3, 7),
    "add_up": (0, 1, 2, 4),
    "alarms": (0, 1, 3, 4, 5, 6, 7, 11),
    "tally": (0, 1, 2, 3),
    "splice": (1, 3),
    "spans": (*range(8), *range(10, 13)),
    "survey": (*range(17), *range(23, 29)),
}
ARRAYS = [(name, place) for name, places in PLACES.items() for place in places]


@pytest.mark.parametrize("how", [lambda _: None, np.ndarray.tolist, lambda value: value.repeat(2)[::2]])
@pytest.mark.parametrize(("name", "place"), ARRAYS)
def test_arguments_that_are_not_contiguous_arrays_are_refused(compiled, name, place, how):
    arguments = CALLS[name]()
    getattr(compiled, name)(*arguments)
    arguments[place] = how(arguments[place])
    with pytest.raises((TypeError, ValueError)):
        getattr(compiled, name)(*arguments)


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("read", 0, ["加微信", b"", ""], "is not a string"),
        ("read", 0, 5, "sequence of strings"),
        ("read", 0, ["加微信", ""], "for each text"),
        ("read", 0, ["加微信", "稳赚 不赔加微信", ""], "no room"),
        ("read", 1, np.zeros(0x10FFFF, np.uint32), "for each code point"),
        ("read", 1, np.zeros(4 * 0x110000 + 1, np.uint8), "not an array of elements of 4 bytes"),
        ("read", 1, np.full(0x110000, 0xFFFF << 16, np.uint32), "beyond the table"),
        ("read", 2, np.zeros(0x10FFFF, np.int32), "for each code point"),
        ("read", 3, b"<br>\0", "not an array of elements of 4 bytes"),
        ("read", 3, np.ones(17, np.int32), "16 characters for each string"),
        ("read", 4, np.zeros(0, np.int8), "beyond the table"),
        ("read", 4, np.zeros(WIDTH * WIDTH - 1, np.int8), "beyond the table"),
        ("read", 7, 2**32 - 1, "beyond the table"),
        ("read", 8, 2**32 - 1, "beyond the table"),
        ("read", 16, (24, 48, 0, WHOLE, PART), "no length"),
        ("read", 19, np.zeros(11, np.uint32), "no room"),
        ("read", 19, np.zeros(0, np.uint32), "no room"),
        ("read", 20, np.zeros(4, np.int64), "for each text"),
        ("read", 21, np.zeros(2, np.int64), "for each text"),
        ("read", 21, np.frombuffer(bytearray(25), np.uint8)[1:], "not an array of elements of 8 bytes"),
        ("read", 22, np.zeros(2, bool), "for each text"),
        ("read", 5, np.zeros(255, np.int8), "for each score"),
        ("read", 6, np.zeros(255, np.int8), "for each score"),
        ("read", 10, (0,), "length 2"),
        ("read", 17, 3, "must be 0 or 4"),
        ("follow", 0, np.zeros(6, np.uint32), "a place for each"),
        ("follow", 0, np.zeros(5, np.uint8), "not an array of elements"),
        ("follow", 1, np.zeros(0, np.uint32), r"2\*\*m"),
        ("follow", 1, np.zeros(3, np.uint32), r"2\*\*m"),
        ("follow", 2, np.zeros(8, np.uint32), r"2\*\*n"),
        ("follow", 3, np.zeros(8, np.uint32), r"2\*\*n"),
        ("follow", 7, np.zeros(4, np.uint32), "a place for each"),
        ("add_up", 0, np.array([1, 2, 0, 4, 0], np.uint32), "a row of weights"),
        ("add_up", 0, np.array([1, 2, 0, 0, 2**32 - 1], np.uint32), "a row of weights"),
        ("add_up", 0, np.zeros(3, np.uint32), "must ascend"),
        ("add_up", 0, np.zeros(0, np.uint32), "must ascend"),
        ("add_up", 1, np.array([0, 5]), "must ascend"),
        ("add_up", 1, np.array([3, 3]), "must ascend"),
        ("add_up", 1, np.array([-1, 3]), "must ascend"),
        ("add_up", 1, np.array([-(2**63), 2**63 - 1]), "must ascend"),
        ("add_up", 1, np.zeros(3, np.int64), "one for each start"),
        ("add_up", 2, np.ones((3, 6), np.int8), "a row of weights"),
        ("add_up", 2, np.ones(23, np.int8), "rows of the width"),
        ("add_up", 3, 0, "rows of the width"),
        ("add_up", 3, -6, "rows of the width"),
        ("add_up", 3, 12, "one for each start"),
        ("add_up", 4, np.zeros((1, 6), np.int64), "one for each start"),
        ("alarms", 0, np.ones(7, np.int64), "do not fit"),
        ("alarms", 0, np.ones((1, 3), np.int64), "must have its pieces"),
        ("alarms", 0, np.ones((2, 3), np.int64), "must have its pieces"),
        ("alarms", 1, np.arange(3), "do not fit"),
        ("alarms", 1, np.array([0, 2]), "must have its pieces"),
        ("alarms", 1, np.array([-1, 0]), "must have its pieces"),
        ("alarms", 2, 0, "do not fit"),
        ("alarms", 2, 4, "must have its pieces"),
        ("alarms", 2, 3, "must have its pieces"),
        ("alarms", 3, np.ones(3), "do not fit"),
        ("alarms", 4, np.ones(0), "do not fit"),
        ("alarms", 4, np.ones(65), "do not fit"),
        ("alarms", 5, np.ones(4), "do not fit"),
        ("alarms", 6, np.ones(21, np.float32), "do not fit"),
        ("alarms", 6, np.ones((3, 5), np.float32), "do not fit"),
        ("alarms", 6, np.ones((5, 5), np.float32), "do not fit"),
        ("alarms", 7, np.ones(1, np.float32), "do not fit"),
        ("alarms", 7, np.ones(0, np.float32), "do not fit"),
        ("alarms", 11, np.zeros(3), "do not fit"),
        ("tally", 0, np.array([1, 2, 0, 4, 0], np.uint32), "have its flags"),
        ("tally", 1, np.array([0, 5]), "must ascend"),
        ("tally", 1, np.array([3, 3]), "must ascend"),
        ("tally", 1, np.array([-1, 3]), "must ascend"),
        ("tally", 3, np.zeros(3, np.int64), "two elements for each start"),
        ("likeliest", 0, np.zeros(2, np.uint16), "do not fit"),
        ("likeliest", 0, np.zeros(0, np.uint16), "do not fit"),
        ("likeliest", 0, np.array([0, 4, 3], np.uint16), "beyond the table"),
        ("likeliest", 1, np.array([np.iinfo(np.int64).min, 0, 0]), "too large"),
        ("likeliest", 5, np.array([1 << 32, 0]), "too large"),
        ("likeliest", 1, np.zeros(2, np.int64), "do not fit"),
        ("likeliest", 2, np.zeros(3, np.int64), "do not fit"),
        ("likeliest", 2, np.array([-1, 0]), "lead onwards"),
        ("likeliest", 2, np.array([2, 0]), "lead onwards"),
        ("likeliest", 2, np.array([2**62, 0]), "lead onwards"),
        ("likeliest", 3, np.array([2, 4]), "lead onwards"),
        ("likeliest", 3, np.array([2, -1]), "lead onwards"),
        ("likeliest", 3, np.array([2, 2, 2]), "do not fit"),
        ("likeliest", 3, np.array([1, 2]), "lead onwards"),
        ("likeliest", 4, np.array([1]), "do not fit"),
        ("likeliest", 4, np.array([1, 4]), "no such choice"),
        ("likeliest", 4, np.array([-1, 1]), "no such choice"),
        ("likeliest", 5, np.array([0]), "do not fit"),
        ("likeliest", 7, np.array([0, 1, 6, 6, 6]), "no such choice"),
        ("likeliest", 7, np.array([0, 1, 0, 4, 5]), "no such choice"),
        ("likeliest", 7, np.array([0, -1, 3, 4, 5]), "no such choice"),
        ("likeliest", 7, np.zeros(0, np.int64), "do not fit"),
        ("likeliest", 8, np.array([0, 4, 1, 2, 3], np.uint16), "beyond the table"),
        ("likeliest", 9, np.zeros(15, np.int8), "do not fit"),
        ("likeliest", 10, np.zeros(255, np.int16), "do not fit"),
        ("likeliest", 11, np.zeros(3, np.int32), "do not fit"),
        ("likeliest", 12, 0, "do not fit"),
        ("likeliest", 12, 5, "do not fit"),
        ("likeliest", 13, -1, "do not fit"),
        ("likeliest", 13, 2**30 + 1, "do not fit"),
        ("likeliest", 14, 4, "beyond the table"),
        ("likeliest", 14, 2**32 - 1, "beyond the table"),
        ("likeliest", 15, np.zeros(4, np.int64), "do not fit"),
        ("likeliest", 16, np.zeros(2, np.uint16), "do not fit"),
        ("likeliest", 17, np.zeros(2, np.int64), "for each text"),
        ("likeliest", 17, np.zeros(0, np.int64), "for each text"),
        ("likeliest", 0, np.array([0, 1, 2], np.uint16), "for each text"),
        ("likeliest", 0, np.array([0, 3, 3], np.uint16), "out of a text"),
        ("likeliest", 3, np.array([3, 2]), "out of a text"),
        ("likeliest", 6, np.zeros(3, np.uint8), "do not fit"),
        ("likeliest", 6, np.array([0, 3], np.uint8), "no such channel"),
        ("survey", 0, np.zeros(3, np.int32), "do not fit"),
        ("survey", 1, np.zeros(3, np.uint16), "do not fit"),
        ("survey", 2, np.array([5, 5, 9, 9]), "must ascend"),
        ("survey", 2, np.zeros(0, np.int64), "do not fit"),
        ("survey", 3, np.zeros(3, np.int64), "do not fit"),
        ("survey", 4, np.zeros(0, np.int32), "offsets in the originals"),
        ("survey", 4, np.zeros(1, np.int32), "offsets in the originals"),
        ("survey", 5, np.zeros(WIDTH, np.int8), "do not fit"),
        ("survey", 6, np.zeros(255, np.int8), "do not fit"),
        ("survey", 7, np.zeros(0x10FFFF, bool), "do not fit"),
        ("survey", 8, np.zeros(0xFFFF, bool), "do not fit"),
        ("survey", 9, np.zeros(3, np.int64), "do not fit"),
        ("survey", 10, np.zeros(3, np.uint16), "do not fit"),
        ("survey", 12, np.zeros(0x10FFFF, np.int32), "do not fit"),
        ("survey", 13, np.zeros(0x10FFFF, np.int32), "do not fit"),
        ("survey", 13, np.full(0x110000, -1, np.int32), "no row of choices"),
        ("survey", 14, np.zeros(0, np.int64), "do not fit"),
        ("survey", 14, np.zeros(5, np.int64), "no row of choices"),
        ("survey", 15, np.zeros(5, np.uint16), "no row of choices"),
        ("survey", 16, np.zeros(255, np.int16), "do not fit"),
        ("survey", 18, (END, RARE, DIGIT, *SIGNS, END, END), "beyond the table|do not fit"),
        ("survey", 18, (WIDTH, END, DIGIT, *SIGNS, END, END), "numbers between"),
        ("survey", 18, (WIDTH, RARE, DIGIT, SIGNS[1], SIGNS[0], RARE, END), "numbers between"),
        ("survey", 18, (WIDTH, RARE, DIGIT, *SIGNS, RARE, END), "numbers between"),
        ("survey", 18, (2**32 - 1, RARE, DIGIT, *SIGNS, END, END), "do not fit"),
        ("survey", 21, (1, 2), "length 7"),
        ("survey", 21, (0.1, 0.3, 0.7, 10, 80, 256, 8), "more than a 7th"),
        ("survey", 22, (1, 2), "length 9"),
        *(("survey", place, np.zeros(3, np.uint8), "do not fit") for place in (23, 25, 26, 27, 28)),
        ("survey", 24, np.zeros(3, np.uint16), "do not fit"),
        ("spans", 0, np.array([0, 4, 3, 6]), "do not fit"),
        ("spans", 0, np.array([1, 3, 6]), "must begin with 0"),
        ("spans", 0, np.array([0, 3, 5]), "must begin with 0"),
        ("spans", 0, np.array([0, 7, 6]), "bounds must ascend"),
        ("spans", 1, np.array([0, 1, 2, 5, 3, 4, 5]), "first must ascend"),
        ("spans", 1, np.array([0, 1, 2, 2, 3, 4, 6]), "must begin with 0"),
        ("spans", 2, np.array([1, 2, 3, 0, 3]), "at least one character"),
        ("spans", 3, np.zeros(4), "do not fit"),
        *(("spans", place, np.zeros(5, bool), "do not fit") for place in (5, 6)),
        *(("spans", place, np.zeros(5), "do not fit") for place in (7, 10, 11, 12)),
        ("splice", 0, 5, "not iterable"),
        ("splice", 0, [b"{}"], "one element for each row"),
        ("splice", 0, [b"{}", b""], "rows must not be empty"),
        ("splice", 0, [b"{}", "{}"], "must be bytes"),
        ("splice", 1, np.array([0, 2]), "places must be indices of parts"),
        ("splice", 1, np.array([-1, 0]), "places must be indices of parts"),
        ("splice", 2, [(b"", b"")], "tuple"),
        ("splice", 2, ((b"", b""), (b"",)), "tuples of bytes, one more than there are numbers"),
        ("splice", 2, ((b"", b""), (b"", "")), "tuples of bytes"),
        ("splice", 2, ((b"", b""), [b"", b""]), "tuples of bytes"),
        *(("splice", 3, np.zeros(size, np.int64), "a number for each name") for size in (0, 3, 5)),
        *(("splice", 3, np.zeros(size, np.int64), "one more than there are numbers") for size in (2, 6)),
        ("splice", 3, np.array([0, 0, 0, 10**6 + 1]), "in millionths"),
        ("splice", 3, np.array([-1, 0, 0, 0]), "in millionths"),
        ("splice", 4, 5, "not iterable"),
        ("splice", 4, [b""], "one element for each row"),
        ("splice", 4, [b"", ""], "must be bytes"),
        ("splice", 5, [b""], "tuple"),
        ("splice", 5, ("",), "must be bytes"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(compiled, name, place, value, message):
    arguments = CALLS[name]()
    arguments[place] = value
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(compiled, name)(*arguments)


def test_follow_ignores_what_lies_beyond_the_characters(compiled):
    vocabulary = Vocabulary.from_ngrams(["ab", "abc"])
    characters, nodes = np.array([1, 2, 3], np.uint32), np.zeros(3, np.uint32)
    compiled.follow(characters[:2], *vocabulary._trie, nodes[:2])
    assert [vocabulary.ngram(node) for node in nodes.tolist()] == ["a", "ab", ""]


@pytest.mark.parametrize("name", set(CALLS) - {"splice"})
def test_read_only_outputs_are_refused(compiled, name):
    arguments = CALLS[name]()
    arguments[-1].setflags(write=False)
    with pytest.raises((TypeError, ValueError, BufferError)):
        getattr(compiled, name)(*arguments)


@given(st.sampled_from(sorted(CALLS)), st.integers(0, 2**32))
@settings(max_examples=500)
def test_nothing_is_written_beyond_an_array_for_any_numbers(compiled, name, seed):
    rng = np.random.default_rng(seed)
    arguments = CALLS[name]()
    buffers = []
    for _, place in (pair for pair in ARRAYS if pair[0] == name):
        old = arguments[place]
        size = old.size + int(rng.choice([0, 0, 0, -1, 1, -old.size]))
        raw = np.full(old.itemsize * size + 128, 0xA5, np.uint8)
        new = raw[64:-64].view(old.dtype if old.dtype != bool else np.uint8)
        new[: old.size] = old.ravel()[:size]
        if rng.random() < 0.3 and size < 1 << 20:
            new[:] = rng.choice([0, 1, 5, -1, 2**31, rng.integers(2**32)], size).astype(new.dtype)
        arguments[place] = new
        buffers.append(raw)
    with contextlib.suppress(ValueError):
        getattr(compiled, name)(*arguments)
    for raw in buffers:
        assert (raw[:64] == 0xA5).all()
        assert (raw[-64:] == 0xA5).all()


def test_scores_are_formatted_as_in_python(compiled):
    scores = np.arange(10**6 + 1)
    lines = compiled.splice([b"{}"] * scores.size, np.zeros_like(scores), ((b"", b""),), scores, (), ())
    assert lines.decode() == "".join(f"{{{score}}}\n" for score in (scores / 10**6).tolist())


def test_rows_get_their_numbers_under_their_names(compiled):
    assert compiled.splice(*splice_arguments()) == b'{"a": 10.0zvn5e-06}\n{x1.0ywn1e-05}\n'
    parts, numbers = ((b"x", b"y", b"z"),), np.array([0, 5, 10**6])
    assert compiled.splice([b"{}"], np.zeros(1, np.int64), parts, numbers, (), (b"n",)) == b"{x0.0y5e-06zn1.0}\n"
    assert compiled.splice([], np.zeros(0, np.int64), parts, numbers[:0], (), (b"n",)) == b""


def test_arcs_may_be_given_in_any_order(compiled):
    arguments = likeliest_arguments()
    arguments[5] += [1, 2]
    assert compiled.likeliest(*arguments) == 2
    steps = [values[:2].tolist() for values in arguments[-3:]]
    arguments[2:7] = (values[::-1].copy() for values in arguments[2:7])
    assert compiled.likeliest(*arguments) == 2
    assert [values[:2].tolist() for values in arguments[-3:]] == steps


def test_a_kernel_of_other_sources_is_not_used(tmp_path):
    folder = shutil.copytree(
        Path(kernel.__file__).parent, tmp_path / "fraudscan", ignore=shutil.ignore_patterns("data")
    )
    command = [sys.executable, "-c", "from fraudscan import kernel; print(bool(kernel.compiled))"]
    for change, used in ("", True), ("// changed", False):
        with (folder / "_read.c").open("a", encoding="utf-8") as source:
            source.write(change)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == f"{used}\n"
        assert ("run pip install -e . again" in done.stderr) == (not used)
