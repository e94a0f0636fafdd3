"""Normalization: which characters it merges, which it drops, and that it is idempotent."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fraudscan.characters import (
    MARKUP,
    MARKUP_OPENERS,
    OUTSIDE,
    blocks_without_markup,
    fold,
    fold_for_lists,
    normalization_table,
    table_for_lists,
    table_with_digits,
    text_of,
    without_markup,
)
from fraudscan.contacts import CONTACT
from fraudscan.features import MOST_MARKUP

SOME_MARKUP = ["[强]", "[玫瑰]", "[ok]", *sorted(markup for markup in MARKUP if not markup.startswith("["))]
PIECES = [*SOME_MARKUP, *"<>&;[]强/\\abrnpst", "＜", "ＢＲ", "\u200b", " ", "投", "资"]
marked_up = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＡＢＣ", "abc"),
        ("Straße", "strase"),
        ("１２3", "000"),
        ("①⑴➊", "000"),
        ("㈠", "一"),
        ("𝐕𝕏", "vx"),
        ("投資理財", "投资理财"),
        ("微\u200b信\ufe0f", "微信"),
        ("éāǚ", "eau"),
        ("a\u0301", "a"),
        ("a b\tc\n　d", "abcd"),
        ("【银行】", "【银行】"),
        ("，", ","),
        ("晩塩銭裡裏", "晚盐钱里里"),
        ("后余乾坤", "后余干坤"),
        ("ТЕЛ", "teл"),
        ("ѕеx", "sex"),
        ("🅥🆇🇶🇶", "vxqq"),
        ("ᴠx", "vx"),
        ("贰叁陆续收拾", "二三陆续收拾"),
        ("佢哋話唔使搵嘢畀我睇，妳諗下", "他们话不使找事给我看,你想下"),
        ("揾𠮶张单谂下揿制", "找那张单想下按制"),
        ("➕V❤", "加v心"),
        ("1️⃣", "0"),
        ("👍", "👍"),
        ("\0", ""),
    ],
)
def test_characters_are_merged_or_dropped(text, expected):
    assert fold(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"您好，\r\n请加微信\t", "您好,请加微信"),
        (r"\\n", r"\\n"),
        ("投<BR />资<br><br>", "投资"),
        ("<p>投&nbsp;资</p>", "投资"),
        ("&lt;br/&gt;投&amp;nbsp;资&quot;", "投资"),
        ("＜b\u200br＞", ""),
        ("<b>投</b>资", "投资"),
        ("a<b，c>d", "a<b,c>d"),
        ("<链接>", "<链接>"),
        ("https://a.cn/?a=1&b=2", "https://a.cn/?a=0&b=0"),
        (r"C:\文件", "c:\\文件"),
        ("<<br>br>", "<<br>br>"),
        ("<b<br>投<br>", "<b<br>投"),
        ("&nb\\nsp;", "&nb\\nsp;"),
        ("&lt;br&nbsp;&gt;", "&lt;br&nbsp;&gt;"),
        ("&lt;br&gt<p>;", "&lt;br&gt<p>;"),
        ("加[玫瑰]微[捂脸][强]信［ＯＫ］[Smile][笑哭R]", "加微信"),
        ("[大哭][微笑][微笑", "[微笑"),
        ("给主播点[赞]，抢[红包]", "给主播点[赞],抢[红包]"),
        ("[[强]玫[微笑]瑰]", "[[强]玫瑰]"),
        ("[玫[强]瑰]", "[玫[强]瑰]"),
        ("[图片][老板]【微笑】", "[图片][老板]【微笑】"),
    ],
)
def test_mark_up_is_dropped(text, expected):
    assert fold(text) == expected


@given(marked_up)
def test_mark_up_is_overwritten_once_in_its_place(text):
    found = without_markup(text)
    assert len(found) == len(text)
    assert all(after in (before, "\0") for before, after in zip(text, found, strict=True))
    assert without_markup(fold(text)) == fold(text)


@given(st.lists(st.sampled_from([*PIECES, "<b", "&lt", "[玫", ",", "1"]), max_size=30).map("".join), st.integers(1, 9))
def test_mark_up_is_found_across_the_ends_of_blocks(text, size):
    assert "".join(blocks_without_markup(text, size)) == without_markup(text)


def test_characters_outside_of_mark_up_are_read_as_none_of_its_characters():
    codes = range(len(normalization_table()))
    read = normalization_table()[[code for code in codes if OUTSIDE.match(chr(code))]]
    assert not set(text_of(read)) & {"\0", *"".join(MARKUP)}


@pytest.mark.parametrize("markup", sorted(MARKUP))
def test_all_mark_up_is_dropped_and_fits_the_kernel(markup):
    assert fold(f"加{markup}微") == fold_for_lists(f"加{markup}微") == "加微"
    assert len(markup) <= MOST_MARKUP
    assert not any(other.startswith(markup) for other in MARKUP - {markup})


def test_dropping_mark_up_creates_no_mark_up():
    for outer, inner in itertools.product(SOME_MARKUP, repeat=2):
        for place in range(len(outer) + 1):
            once = fold(outer[:place] + inner + outer[place:])
            assert fold(once) == once


@pytest.mark.parametrize("filler", ["投", "a", "&nbsp;"])
def test_mark_up_is_found_wherever_it_is_in_a_long_text(filler):
    fillers = filler * 30_000
    assert fold(f"{fillers}<br>{fillers}") == fold(fillers) * 2


@pytest.mark.parametrize("folded", [fold, fold_for_lists])
@given(st.text(st.characters()) | marked_up)
def test_normalizing_is_idempotent_and_never_lengthens(folded, text):
    once = folded(text)
    assert folded(once) == once
    assert len(once) <= len(text)


def test_lists_drop_the_same_characters_and_read_the_same_mark_up():
    for character in ("\0", *MARKUP_OPENERS):
        one, other = (table == ord(character) for table in (normalization_table(), table_for_lists()))
        assert (one != other).nonzero()[0].tolist() == ([ord(CONTACT)] if character == "\0" else [])


@pytest.mark.parametrize("code", [0xD800, 0xDFFF, 0xE000, 0xF8FF, 0xFDD1, 0xFFFE, 0x378, 0x40000, 0xE0FFF, 0x10FFFF])
def test_code_points_that_are_no_characters_are_dropped(code):
    assert fold(f"加{chr(code)}微") == fold_for_lists(f"加{chr(code)}微") == "加微"


@pytest.mark.parametrize("code", [0x1FA77, 0x1FABF, 0x323B0, 0xFAFF])
def test_code_points_that_later_versions_of_unicode_may_use_are_kept(code):
    assert fold(chr(code)) == fold_for_lists(chr(code)) == chr(code)


@given(st.text(st.characters()), st.text(st.characters()))
def test_each_character_is_normalized_on_its_own(a, b):
    assume(without_markup(a + b) == a + b)
    assert fold(a + b) == fold(a) + fold(b)


@pytest.mark.parametrize("table", [normalization_table(), table_for_lists(), table_with_digits()])
def test_tables_cover_unicode_and_cannot_be_changed(table):
    assert table.shape == (0x110000,)
    assert table.min() == 0
    assert table.max() <= 0x10FFFF
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1


def test_chinese_characters_and_letters_are_never_dropped():
    table = normalization_table()
    blocks = [(0x30, 0x3A), (0x41, 0x5B), (0x61, 0x7B), (0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x31350)]
    assert all(table[start:end].all() for start, end in blocks)
