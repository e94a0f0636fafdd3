"""The vocabulary: matches are exact for any n-grams and texts."""

import itertools

import numpy as np
import pytest
from conftest import traced
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import read

from fraudscan.characters import normalization_table
from fraudscan.features import Vocabulary

pytestmark = pytest.mark.usefixtures("engine")

SMALL = "一二三ab，"
TABLE = dict(enumerate(normalization_table().tolist()))
ngrams = st.lists(st.text(SMALL, min_size=1, max_size=6), min_size=1, max_size=60, unique=True)


def closed(grams):
    return {g[:i] for g in grams for i in range(1, len(g) + 1)} | {c for g in grams for c in g}


def longest(grams, text, end):
    return next((text[i:end] for i in range(end) if text[i:end] in grams), "")


@given(ngrams, st.lists(st.text(SMALL + " \0x", max_size=30), max_size=8))
@settings(max_examples=300)
def test_matches_are_the_longest_ngrams_that_end_at_each_character(grams, texts):
    vocabulary = Vocabulary.from_ngrams(grams)
    known = closed(grams)
    assert {vocabulary.ngram(node) for node in range(1, vocabulary.size)} == known
    if not texts:
        return
    matches = vocabulary.match(texts)
    for text, start, length in zip(texts, matches.starts, matches.lengths, strict=True):
        kept = read(text, TABLE)
        assert length == len(kept)
        actual = [vocabulary.ngram(node) for node in matches.nodes[start : start + length]]
        assert actual == [longest(known, kept, end) for end in range(1, len(kept) + 1)]
        assert matches.nodes[start + length] == 0


repetitive = st.lists(st.tuples(st.text("-=·a0１1 \u200b", max_size=5), st.integers(1, 9)), max_size=5).map(
    lambda parts: "".join(part * times for part, times in parts)
)


@given(st.lists(st.one_of(repetitive, st.text("-a", max_size=40)), min_size=1, max_size=4), st.integers(1, 9))
@settings(max_examples=300)
def test_at_most_four_repetitions_are_read(texts, size):
    vocabulary = Vocabulary.from_ngrams(["-", "=", "a", "0", "--", "-=", "aa", "00"])
    matches = vocabulary.match(texts)
    located = [
        (places.tolist(), nodes.tolist(), lengths.tolist())
        for places, nodes, lengths in (vocabulary.locate([text]) for text in texts)
    ]
    together = [values.tolist() for values in vocabulary.locate(texts)]
    assert together == [list(itertools.chain(*values)) for values in zip(*located, strict=True)]
    for text, start, length, (places, same, _) in zip(texts, matches.starts, matches.lengths, located, strict=True):
        kept, nodes = read(text, TABLE), matches.nodes[start : start + length].tolist()
        assert [vocabulary.ngram(node)[-1:] for node in nodes] == [c if c in "-=a0" else "" for c in kept]
        assert "".join(chr(TABLE[ord(text[place])]) for place in places) == kept
        assert same == nodes
        assert [node for block in vocabulary.match_blocks(text, size) for node in block.tolist()] == nodes


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("-" * 300, 4),
        ("- " * 300, 4),
        ("哈" * 9, 4),
        ("-=" * 30, 8),
        ("好的 " * 9, 8),
        ("13000000000", 11),
        ("一二三四五" * 9, 45),
    ],
)
def test_how_many_characters_of_a_repetition_are_read(text, length):
    assert Vocabulary.from_ngrams(["-"]).match([text]).lengths.tolist() == [length]


@given(ngrams, st.text(SMALL + " x", max_size=60), st.integers(1, 9))
@settings(max_examples=200)
def test_blocks_match_like_the_whole_text(grams, text, size):
    vocabulary = Vocabulary.from_ngrams(grams)
    whole = vocabulary.match([text]).nodes[:-1].tolist()
    blocks = [nodes.tolist() for nodes in vocabulary.match_blocks(text, size)]
    assert [node for block in blocks for node in block] == whole


def test_memory_of_blocks_does_not_grow_with_the_text():
    vocabulary, peaks = Vocabulary.from_ngrams(["天气"]), []
    for lines in (1, 1 << 10, 1 << 13):  # the first one fills the caches
        text = ("今天天气不错，" * 20 + "<br>") * lines
        with traced() as memory:
            assert sum(nodes.size for nodes in vocabulary.match_blocks(text, 1 << 14)) == 140 * lines
            peaks.append(memory()[1])
    assert peaks[2] < 1.5 * peaks[1]


@given(ngrams)
def test_suffixes_are_the_longest_proper_ones(grams):
    vocabulary = Vocabulary.from_ngrams(grams)
    known = closed(grams)
    for node in range(1, vocabulary.size):
        ngram = vocabulary.ngram(node)
        assert vocabulary.orders[node] == len(ngram)
        assert vocabulary.ngram(int(vocabulary.suffixes[node])) == longest(known - {ngram}, ngram, len(ngram))


@pytest.mark.parametrize("firsts", [90, 1])
def test_thousands_of_ngrams_are_distinguished(firsts):
    characters = [chr(0xAC00 + i) for i in range(11_000 // firsts)]
    grams = [a + b for a in characters[:firsts] for b in characters]
    vocabulary = Vocabulary.from_ngrams([*characters, *(gram for i, gram in enumerate(grams) if i % 5)])
    found = vocabulary.match(grams).nodes.reshape(-1, 3)[:, 1]
    actual = [vocabulary.ngram(int(node)) for node in found]
    assert actual == [gram if i % 5 else gram[1] for i, gram in enumerate(grams)]


def test_the_seeds_of_the_shipped_model_are_found_again(scanner):
    """Training a model again gives the same files."""
    known = scanner.engine.vocabulary
    assert np.array_equal(Vocabulary(known.alphabet, known.steps).seeds, known.seeds)


def test_seeds_of_another_vocabulary_are_refused():
    one, other = (Vocabulary.from_ngrams([a + b for a in letters for b in letters]) for letters in (SMALL, "uvwxyz"))
    rebuilt = Vocabulary(one.alphabet, one.steps, one.seeds)
    assert np.array_equal(rebuilt.match(["一二三"]).nodes, one.match(["一二三"]).nodes)
    with pytest.raises(ValueError, match="two n-grams in one slot"):
        Vocabulary(one.alphabet, one.steps, np.zeros_like(one.seeds))
    with pytest.raises(ValueError, match="seeds do not fit"):
        Vocabulary(one.alphabet, one.steps, other.seeds[:1])


@pytest.mark.parametrize(
    ("alphabet", "steps", "message"),
    [
        ([97, 97], [], "twice"),
        ([97, 98], [4, 4], "twice"),
        ([97, 98], [3], "without its prefix"),  # second character 0
        ([97, 98], [1], "without its prefix"),  # prefix 0
        ([97, 98], [3 * 3 + 1], "without its prefix"),  # prefix is the n-gram itself
        ([0, 98], [], "not a code point"),
        ([0x110000], [], "not a code point"),
    ],
)
def test_invalid_vocabularies_are_refused(alphabet, steps, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(alphabet, steps)


def test_too_large_a_vocabulary_is_refused():
    with pytest.raises(ValueError, match="32-bit"):
        Vocabulary(np.arange(1, 70_001), [])
    with pytest.raises(ValueError, match="102 n-grams over 1 characters do not fit 32-bit steps"):
        Vocabulary([ord("一")], [1, *range(1 << 32, (1 << 32) + 100)])


def test_too_long_an_ngram_is_refused():
    """The work on a vocabulary grows with its longest n-gram, and a third-party model may have one of any length."""
    chain = [2 * (1 if i == 0 else i + 1) + 1 for i in range(300)]
    with pytest.raises(ValueError, match="an n-gram of more than 200 characters"):
        Vocabulary([ord("0")], chain)
    assert Vocabulary([ord("0")], chain[:150]).orders.max() == 151
