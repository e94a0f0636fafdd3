"""The lattice: its best path is that of an exhaustive search, with the kernel and without it."""

import numpy as np
import pytest
from conftest import traced
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan import kernel, lattice
from fraudscan.disguise import undisguise
from fraudscan.lattice import EVERY, SHAPE, SOUND, Arcs, likeliest
from fraudscan.neighbours import END, RARE, WIDTH, tables

pytestmark = pytest.mark.usefixtures("engine")

# the row of choices at the index of such a number contains the number alone
WORDS = [int(tables().numbers[ord(c)]) for c in "投资理财微信返利的一是不头子里才"]
ROWS = st.sampled_from([*WORDS, RARE, END]) | st.integers(WIDTH, tables().choices.bounds.size - 2)
SHORT = (WIDTH + np.flatnonzero(np.diff(tables().choices.bounds[WIDTH:]) < 4)).tolist()
SCORES = st.integers(-900, 0)
CHANNELS = st.sampled_from([EVERY, SOUND, SHAPE])


@st.composite
def lattices(draw, last=6, rows=ROWS):
    """Draw the numbers of a text, which ends with END, the log-scores of reading it as written, and arcs."""
    size = draw(st.integers(1, last))
    numbers = np.array([*(draw(st.sampled_from(WORDS)) for _ in range(size)), END], np.uint16)
    as_written = np.array([*(draw(SCORES) for _ in range(size)), 0])
    arcs = [
        (begin, draw(st.integers(begin + 1, size)), draw(rows), draw(SCORES), draw(CHANNELS))
        for begin in draw(st.lists(st.integers(0, size - 1), max_size=2 * size))
    ]
    *ways, used = np.array(arcs, dtype=np.int64).reshape(-1, 5).T.copy()
    return numbers, as_written, Arcs(*ways, used.astype(np.uint8))


def steps(numbers, as_written, arcs):
    """Yield each possible step: where it begins and ends, the numbers that may be read on it, and its log-score."""
    lists = tables().choices
    for place, (number, score) in enumerate(zip(numbers.tolist(), as_written.tolist(), strict=True)):
        yield place, place + 1, [number], score
    for begin, end, row, score in zip(*(values.tolist() for values in arcs[:4]), strict=True):
        yield begin, end, lists.members[lists.bounds[row] : lists.bounds[row + 1]].tolist(), score


def value(numbers, scores):
    """Return the value of a path, from the numbers and the log-scores of its steps."""
    known = tables()
    numbers = np.array(numbers, np.int64)
    keys = np.append(END, numbers[:-1]) * WIDTH + numbers
    together = known.worth[known.pairs.view(np.uint8)[keys]].sum(dtype=np.int64)
    return int(together + np.sum(scores) + known.logs[numbers].sum(dtype=np.int64))


def every_path(known, place):
    """Yield all paths to a place, with every choice of numbers, as lists of (begin, number, score)."""
    if place == 0:
        yield []
    for begin, end, offered, score in known:
        if end == place:
            for before in every_path(known, begin):
                for number in offered:
                    yield [*before, (begin, number, score)]


def only(arcs, channel):
    """Return the arcs that may be used together in a channel."""
    used = (arcs.channels == EVERY) | (arcs.channels == channel)
    return Arcs(*(values[used] for values in arcs))


@given(lattices(last=4, rows=st.sampled_from(WORDS) | st.sampled_from(SHORT)))
@settings(max_examples=100)
def test_no_path_has_a_higher_value(text):
    numbers, as_written, arcs = text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lattice, "MARGIN", 1 << 30)
        path = likeliest(*text)
    paths = [
        (value(read, scores), begins, read)
        for channel in (SOUND, SHAPE)
        for found in every_path(list(steps(numbers, as_written, only(arcs, channel))), numbers.size)
        for begins, read, scores in [zip(*found, strict=True)]
    ]
    best, _, _ = max(paths)
    assert (best, tuple(path.begins.tolist()), tuple(path.numbers.tolist())) in paths
    assert path.gains.tolist() == [best - value(numbers, as_written)]


@given(lattices(last=12))
@settings(max_examples=200)
def test_a_path_leads_from_the_first_place_to_the_last(text):
    numbers, as_written, arcs = text
    path = likeliest(*text)
    assert path.begins[0] == 0
    gains = []
    for channel in (SOUND, SHAPE):
        scores = {}
        for begin, end, offered, score in steps(numbers, as_written, only(arcs, channel)):
            for number in offered:
                scores[begin, end, number] = max(score, scores.get((begin, end, number), score))
        taken = zip(path.begins.tolist(), [*path.begins[1:].tolist(), numbers.size], path.numbers.tolist(), strict=True)
        found = [scores.get(step) for step in taken]
        if None not in found:
            gains.append(value(path.numbers, found) - value(numbers, as_written))
    assert path.gains[0] in gains


@given(st.lists(lattices(last=12), min_size=1, max_size=5))
@settings(max_examples=200)
def test_path_is_the_same_without_the_kernel_and_in_any_batch(texts):
    numbers, as_written, arcs = zip(*texts, strict=True)
    offsets = np.cumsum([0, *(each.size for each in numbers)]).tolist()
    moved = [arc._replace(starts=arc.starts + o, ends=arc.ends + o) for arc, o in zip(arcs, offsets, strict=False)]
    together = np.concatenate(numbers), np.concatenate(as_written), Arcs(*map(np.concatenate, zip(*moved, strict=True)))
    path = likeliest(*together)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "compiled", None)
        without_kernel = likeliest(*together)
    assert all((one == other).all() for one, other in zip(path, without_kernel, strict=True))
    for text, begin, end in zip(texts, offsets, offsets[1:], strict=False):
        alone = likeliest(*text)
        part = slice(*path.begins.searchsorted([begin, end]))
        assert (alone.begins + begin).tolist() == path.begins[part].tolist()
        assert alone.numbers.tolist() == path.numbers[part].tolist()
    assert path.gains.tolist() == [gain for text in texts for gain in likeliest(*text).gains.tolist()]


def test_a_tie_is_read_as_written():
    own, other = (np.array([number, END], np.uint16) for number in WORDS[:2])
    as_written = np.zeros(2, np.int64)
    tie = value(own, as_written) - value(other, as_written)
    for score, read in ((tie, own), (tie + 1, other)):
        arcs = Arcs(*(np.array([each]) for each in (0, 1, WORDS[1], score)), np.zeros(1, np.uint8))
        assert likeliest(own, as_written, arcs).numbers.tolist() == read.tolist()


def test_memory_without_the_kernel_does_not_grow_with_the_number_of_texts(monkeypatch):
    monkeypatch.setattr(kernel, "compiled", None)
    texts = ["的zzzz" * 40] * 8
    undisguise(texts[:1])  # fill the caches, which do not count
    peaks = []
    for count in (2, 8):
        with traced() as memory:
            undisguise(texts[:count])
            peaks.append(memory()[1])
    assert peaks[1] < 2 * peaks[0]


def test_the_readings_of_two_channels_are_not_mixed():
    numbers = np.array([WORDS[0], WORDS[0], END] * 2, np.uint16)
    starts = np.array([0, 1, 1, 3, 4])
    scores = np.array([1000, 1000, 1500, 1000, 1500])
    channels = np.array([SOUND, SOUND, SHAPE, SHAPE, SHAPE], np.uint8)
    path = likeliest(numbers, np.zeros(6, np.int64), Arcs(starts, starts + 1, np.full(5, WORDS[0]), scores, channels))
    assert path.gains.tolist() == [2000, 2500]
