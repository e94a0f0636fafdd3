"""Patterns of lists: what is refused, and what matches with and without RE2."""

import importlib.util
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fraudscan import patterns
from fraudscan.characters import MARKUP, fold_for_lists, without_markup
from fraudscan.patterns import PatternError, compile_pattern

HANGING = [
    "a+b",
    "a{0,30}a{0,30}b",
    "(a+)+b",
    "a{0,200}a{0,200}b",
    "(a{0,9}){0,9}b",
    "(a|aa){0,99}b",
    "a{0,999}b",
    "(a|b|ab){9}c",
]


@pytest.mark.parametrize("pattern", HANGING)
def test_patterns_that_could_hang_are_refused(pattern, monkeypatch):
    monkeypatch.setattr(patterns, "_re2", lambda: None)
    with pytest.raises(PatternError, match=r"no bound|ways from each position|longer than 200"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["a+b", "a*?b", "(a+)+b"])
def test_repetitions_without_a_bound_are_refused_with_what_helps(pattern, monkeypatch):
    monkeypatch.setattr(patterns, "_re2", lambda: None)
    with pytest.raises(PatternError, match=r"no bound: write \{0,20\} or \{1,20\}, or install google-re2"):
        compile_pattern(pattern)


def test_patterns_may_match_at_most_200_characters(monkeypatch):
    monkeypatch.setattr(patterns, "_re2", lambda: None)
    assert compile_pattern("a{200}").search("a" * 200)
    assert compile_pattern("[ab]{199}c?").search("a" * 199)
    for longer in ("a{201}", "[ab]{200}c?", "(a|b{101})(c{100}|d)"):
        with pytest.raises(PatternError, match="longer than 200"):
            compile_pattern(longer)


@pytest.mark.parametrize("pattern", HANGING)
def test_re2_accepts_patterns_that_could_hang(pattern):
    if importlib.util.find_spec("re2") is None:
        pytest.skip("google-re2 is not installed")
    assert not compile_pattern(pattern).search("a" * 100_000)


def test_half_of_a_surrogate_pair_is_refused():
    for pattern in (r"\ud83d微", r"[\ud83d-\udfff]微", "\ud83d微"):
        with pytest.raises(PatternError, match="never occurs in a text as lists match it: leave it out"):
            compile_pattern(pattern)


def test_re2_refuses_a_range_to_half_of_a_surrogate_pair():
    pytest.importorskip("re2")
    with pytest.raises(PatternError, match="half of a surrogate pair occurs in it"):
        compile_pattern("[\ud7a3-\ud800]微")
    assert compile_pattern(r"[\ud7a3-\ud800]微").search("\ud7a3微")


def test_the_error_message_of_re2_is_reported():
    pytest.importorskip("re2")
    with pytest.raises(PatternError, match=r"^RE2 does not accept it: invalid repetition size: \{1001\}$"):
        compile_pattern("a{1001}")


@pytest.mark.parametrize(
    "pattern",
    [
        "加.{0,20}微信.{0,20}群",
        "加.{1,3}?微信??进",
        r"[\u4e00-\u9fff]{2}",
        r"\N{LATIN SMALL LETTER Q}{2}",
        r"\\\\|\U0000007c|群\Z",
        "加{,2}我",
        r"qq[{,1}]2|\{,1\}",
        r"\微\信",
        "q{1,2}[0-9]{5,11}",
        "^您的(快递|包裹)",
        "退订回[tn]$",
    ],
)
def test_bounded_patterns_match_the_same_with_and_without_re2(pattern, monkeypatch):
    texts = ["加我的微信进群", "qq12345", "\\", "|", "您的包裹到了", "退订回t", "无关"]
    expected = [bool(re.search(pattern, text)) for text in texts]
    assert any(expected)
    assert [bool(compile_pattern(pattern).search(text)) for text in texts] == expected
    monkeypatch.setattr(patterns, "_re2", lambda: None)
    assert [bool(compile_pattern(pattern).search(text)) for text in texts] == expected


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("加.{0,3}賴", "加我的赖"),
        ("匯[款錢]", "汇钱"),
        ("加LINE|[Ａ-Ｃ]{3}", "cab"),
        (r"ＡＰＰ（下载）？\W\D", "app(下载)?!!"),  # what was full width is no operator, and escapes stay as they are
        (r"[^A\]B-C]①", "d1"),
        ("(?P<Name>賬)號", "账号"),
        (r"客服-\D{2}", "客服-小王"),
        (r"尾号-\S{4}", "尾号-1234"),
        ("[\\u4e00-\\U0002A6DF]币", "虚币"),
        ("APP-下載|T-恤", "app-下载"),
        ("[^-A]B", "cb"),
        ("[賬Ａ-Ｃ\\-]{2}", "账b"),
        (r"\N{LATIN SMALL LETTER A}B", "ab"),
    ],
)
def test_patterns_may_be_written_in_any_script_width_and_case(pattern, text, monkeypatch):
    for _ in range(2):
        assert compile_pattern(pattern).search(text)
        assert patterns.needed_by(pattern) <= set(text)
        monkeypatch.setattr(patterns, "_re2", lambda: None)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_a_text_written_as_a_pattern_matches_itself_folded(text):
    folded = fold_for_lists(text)
    if len(folded) < len(text):  # it has characters that lists do not see
        with pytest.raises(PatternError):
            compile_pattern(re.escape(text))
    else:
        assert compile_pattern(re.escape(text)).search(folded)


PIECES = [*sorted(MARKUP), *"<>/&;\\nbr微.,a1"]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join))
@example("<<br>")
@example("<b微r>")
@example("<br" + "<p>")
def test_patterns_are_refused_for_mark_up_exactly_if_the_text_that_they_match_has_it(text):
    try:
        refused = not compile_pattern(re.escape(text)).search(text)
    except PatternError as error:
        refused = "without mark-up" in str(error)
    assert refused == (without_markup(text) != text)


@pytest.mark.parametrize("begin", ["", "<", "<" * 1000])
def test_a_long_pattern_is_not_searched_for_mark_up_from_its_start_for_each_character(monkeypatch, begin):
    pytest.importorskip("re2")
    searched = []
    monkeypatch.setattr(patterns, "without_markup", lambda text: searched.append(len(text)) or without_markup(text))
    pattern = begin + "快递" * 1000
    assert compile_pattern(pattern).search(pattern)
    assert max(searched) <= patterns.KNOWN + 1
