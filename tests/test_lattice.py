"""The lattice: its best path is the one that trying all of them finds, with the kernel and without."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan import kernel, lattice
from fraudscan.lattice import Edges, likeliest
from fraudscan.neighbours import END, RARE, WIDTH, tables

pytestmark = pytest.mark.usefixtures("engine")

WORDS = [int(tables().numbers[ord(c)]) for c in "投资理财微信返利的一是不头子里才"]  # rows of one number: these
ROWS = st.sampled_from([*WORDS, RARE, END]) | st.integers(WIDTH, tables().choices.bounds.size - 2)
SHORT = (WIDTH + np.flatnonzero(np.diff(tables().choices.bounds[WIDTH:]) < 4)).tolist()
SCORES = st.integers(-900, 0)


@st.composite
def lattices(draw, last=6, rows=ROWS):
    """A lattice in which every place is reached, its edges in any order; the last edge ends a text."""
    found = []
    end = 0
    for end in range(1, draw(st.integers(1, last)) + 1):
        found.append((end - 1, end, draw(st.sampled_from(WORDS)), draw(SCORES)))
        found += draw(st.lists(st.tuples(st.integers(0, end - 1), st.just(end), rows, SCORES), max_size=2))
    found = [*draw(st.permutations(found)), (end, end + 1, END, 0)]
    return Edges(*np.ascontiguousarray(np.array(found, dtype=np.int64).T))


def offered(row):
    """What an edge with this row offers."""
    lists = tables().choices
    return lists.members[lists.bounds[row] : lists.bounds[row + 1]].tolist()


def value(path, numbers, edges):
    """What a path is worth."""
    known = tables()
    keys = np.array([END, *numbers[:-1]], np.int64) * WIDTH + numbers
    together = known.worth[known.pairs.view(np.uint8)[keys]].sum(dtype=np.int64)
    return int(together + edges.scores[path].sum() + known.logs[numbers].sum(dtype=np.int64))


def every_path(edges, place):
    """All paths to a place, with all that may be read on them."""
    if place == 0:
        yield [], []
    for edge in np.flatnonzero(edges.ends == place).tolist():
        for path, numbers in every_path(edges, edges.starts[edge]):
            for number in offered(edges.rows[edge]):
                yield [*path, edge], [*numbers, number]


@given(lattices(last=4, rows=st.sampled_from(WORDS) | st.sampled_from(SHORT)))
@settings(max_examples=100)
def test_no_path_is_worth_more(edges):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lattice, "MARGIN", 1 << 30)
        path, read = likeliest(edges)
    best = max(value(path, numbers, edges) for path, numbers in every_path(edges, edges.ends[-1]))
    assert value(path, read, edges) == best


@given(lattices(last=12))
@settings(max_examples=200)
def test_a_path_leads_from_the_first_place_to_the_last(edges):
    path, read = likeliest(edges)
    assert edges.starts[path[0]] == 0
    assert edges.ends[path[-1]] == edges.ends.max()
    assert (edges.starts[path[1:]] == edges.ends[path[:-1]]).all()
    assert all(number in offered(edges.rows[edge]) for edge, number in zip(path, read, strict=True))


@given(st.lists(lattices(last=12), min_size=1, max_size=5))
@settings(max_examples=200)
def test_the_kernel_finds_the_same_path_and_texts_do_not_touch_each_other(texts):
    offsets = np.cumsum([0, *(text.ends[-1] for text in texts)])
    moved = [
        Edges(text.starts + offset, text.ends + offset, text.rows, text.scores)
        for text, offset in zip(texts, offsets, strict=False)
    ]
    together = Edges(*map(np.concatenate, zip(*moved, strict=True)))
    path, read = likeliest(together)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "compiled", None)
        other, same = likeliest(together)
    assert path.tolist() == other.tolist()
    assert read.tolist() == same.tolist()
    begin = edge = 0
    for text in texts:
        alone, numbers = likeliest(text)
        part = slice(begin, begin + alone.size)
        assert (alone + edge).tolist() == path[part].tolist()
        assert numbers.tolist() == read[part].tolist()
        begin, edge = begin + alone.size, edge + text.ends.size
