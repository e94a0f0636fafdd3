"""Normalization: which characters it merges, which it drops, and that it is idempotent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudscan.characters import fold, normalization_table


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
        ("➕V❤", "加v心"),
        ("1️⃣", "0"),
        ("👍", "👍"),
        ("\0", ""),
    ],
)
def test_characters_are_merged_or_dropped(text, expected):
    assert fold(text) == expected


@given(st.text(st.characters()))
def test_normalizing_is_idempotent_and_never_lengthens(text):
    once = fold(text)
    assert fold(once) == once
    assert len(once) <= len(text)


@given(st.text(st.characters()), st.text(st.characters()))
def test_each_character_is_normalized_on_its_own(a, b):
    assert fold(a + b) == fold(a) + fold(b)


def test_table_covers_unicode_and_cannot_be_changed():
    table = normalization_table()
    assert table.shape == (0x110000,)
    assert table.min() == 0
    assert table.max() <= 0x10FFFF
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1


def test_chinese_characters_and_letters_are_never_dropped():
    table = normalization_table()
    blocks = [(0x30, 0x3A), (0x41, 0x5B), (0x61, 0x7B), (0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x31350)]
    assert all(table[start:end].all() for start, end in blocks)
