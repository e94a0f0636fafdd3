"""The lattice: its best path is the one that trying all of them finds, with the kernel and without."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan import kernel, lattice
from fraudscan.lattice import Edges, likeliest
from fraudscan.neighbours import END, RARE, WIDTH, tables

pytestmark = pytest.mark.usefixtures("engine")

WORDS = [int(tables().numbers[ord(c)]) for c in "投资理财微信返利的一是不头子里才"]
ROWS = st.one_of(
    st.sampled_from(WORDS),  # a row of one number, its own
    st.sampled_from([RARE, END]),
    st.integers(WIDTH, tables().choices.bounds.size - 2),
)


@st.composite
def edges(draw, last=6, rows=ROWS):
    """A lattice in which every place is reached, by edges of one number first; the last one ends a text."""
    found = []
    for end in range(1, draw(st.integers(1, last)) + 1):
        found.append((end - 1, end, draw(st.sampled_from(WORDS)), draw(st.integers(-900, 0))))
        for _ in range(draw(st.integers(0, 2))):
            found.append((draw(st.integers(0, end - 1)), end, draw(rows), draw(st.integers(-900, 0))))
    found.append((end, end + 1, END, 0))
    return Edges(*np.ascontiguousarray(np.array(found, dtype=np.int64).T))


def value(path, numbers, found):
    """What a path is worth."""
    known = tables()
    before = [END, *numbers[:-1]]
    together = known.worth[known.pairs.view(np.uint8)[np.array(before, np.int64) * WIDTH + numbers]].sum(dtype=np.int64)
    return int(together + found.scores[path].sum() + known.logs[numbers].sum(dtype=np.int64))


def every_path(found, place):
    if place == 0:
        yield [], []
    lists = tables().choices
    for edge in np.flatnonzero(found.ends == place).tolist():
        row = found.rows[edge]
        for path, numbers in every_path(found, found.starts[edge]):
            for number in lists.members[lists.bounds[row] : lists.bounds[row + 1]].tolist():
                yield [*path, edge], [*numbers, number]


SHORT = [row for row in range(WIDTH, tables().choices.bounds.size - 1) if np.diff(tables().choices.bounds[row:][:2]) < 4]


@given(edges(last=4, rows=st.sampled_from(WORDS) | st.sampled_from(SHORT)))
@settings(max_examples=100, deadline=None)
def test_no_path_is_worth_more(found):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lattice, "MARGIN", 1 << 30)
        path, read = likeliest(found)
    best = max(value(path, numbers, found) for path, numbers in every_path(found, found.ends[-1]))
    assert value(path, read, found) == best


@given(edges(last=12))
@settings(max_examples=200, deadline=None)
def test_a_path_leads_from_the_first_place_to_the_last(found):
    path, read = likeliest(found)
    assert found.starts[path[0]] == 0
    assert found.ends[path[-1]] == found.ends[-1]
    assert (found.starts[path[1:]] == found.ends[path[:-1]]).all()
    lists = tables().choices
    for edge, number in zip(path, read, strict=True):
        assert number in lists.members[lists.bounds[found.rows[edge]] : lists.bounds[found.rows[edge] + 1]]


@given(st.lists(edges(last=12), min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_the_kernel_finds_the_same_path_and_texts_do_not_touch_each_other(texts):
    offsets = np.cumsum([0, *(text.ends[-1] for text in texts)])
    together = Edges(
        *(np.concatenate([text[i] + (offset if i < 2 else 0) for text, offset in zip(texts, offsets, strict=False)]) for i in range(4))
    )
    path, read = likeliest(together)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "compiled", None)
        other, same = likeliest(together)
    assert path.tolist() == other.tolist()
    assert read.tolist() == same.tolist()
    begin = edge = 0
    for text in texts:
        path, numbers = likeliest(text)
        assert numbers.tolist() == read[begin : begin + path.size].tolist()
        assert (path + edge).tolist() == other[begin : begin + path.size].tolist()
        begin, edge = begin + path.size, edge + text.ends.size
