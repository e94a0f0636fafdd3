"""Allow and deny lists: which entries match, which one takes precedence, and what is refused."""

import enum
import gc
import hashlib
import json
import pickle
import re
import weakref
from decimal import Decimal
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from conftest import LURE, PLAIN, made_up, traced
from dumps import rows_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fraudscan
from fraudscan import lists, patterns
from fraudscan.characters import fold_for_lists
from fraudscan.cli import main
from fraudscan.corpus import Row
from fraudscan.dump import score_dump
from fraudscan.evaluate import evaluate
from fraudscan.lists import Entry, ListError, Lists, read_lists
from fraudscan.model import GROUP
from fraudscan.patterns import PatternError, compile_pattern
from fraudscan.sklearn import FraudClassifier


def rules_for(lists_, texts, senders=None):
    return [
        str(lists_.entries[index]) if index < len(lists_.entries) else None for index in lists_.find(texts, senders)
    ]


@pytest.mark.parametrize(
    ("one", "other"), [("帳戶被凍結", "账户被冻结"), ("請回覆TD", "请回复td"), ("瞭解妳的包裹", "了解你的包裹")]
)
def test_phrases_match_what_taiwan_and_the_mainland_write_in_different_ways(one, other):
    for phrase, text in ((one, other), (other, one)):
        assert Lists([Entry("allow", phrase)]).find([f"您好，{text}。"]).tolist() == [0]


def test_phrases_match_other_scripts_widths_and_cases():
    lists_ = Lists([Entry("deny", "加VX投资")])
    assert rules_for(lists_, ["快加 ｖＸ\u200b 投資", "加vx 投", "加v投资"]) == ["deny 加VX投资", None, None]


def test_without_a_scanner_phrases_match_the_text_as_written():
    lists_ = Lists([Entry("deny", "微信"), Entry("deny", "薇信")])
    assert rules_for(lists_, ["加薇信", "加微·信", "加微 信"]) == ["deny 薇信", None, "deny 微信"]


DISGUISED = "暗·号·三·号，老·地·方·见，拨 95588"


def test_deny_entries_match_the_repaired_text(scanner):
    entries = [
        Entry("deny", "方见,拨95588", sender="106*"),
        Entry("deny", "/^暗号.{2}[^·]*老地方/"),
        Entry("deny", "加微信xy2000"),
    ]
    own = scanner.with_lists(Lists(entries))
    texts = ["晚上吃什么", DISGUISED, DISGUISED, "请加薇信xy2000", DISGUISED.replace("95588", "95580"), "到楼下了"]
    rules = [None, str(entries[0]), str(entries[1]), str(entries[2]), str(entries[1]), None]
    senders = ["1069", "1069", "95588", None, "1069", "1069"]
    for proba in (False, True):
        decided = own.decide(texts, senders, proba=proba)
        assert decided.rule == rules
        assert [decided.verdict[i] for i in (1, 2, 3, 4)] == ["flag"] * 4
    without_senders = [result.rule for result in own.classify_many(texts, [None] * 6)]
    assert without_senders == [None, rules[2], rules[2], rules[3], rules[2], None]
    assert own.classify(DISGUISED, sender="1061").rule == rules[1]


@pytest.mark.parametrize("text", ["暗·号·三·号", "今天暗*号*三号", "今天暗·号·三号"])
def test_phrases_match_across_inserted_symbols_if_there_are_marks_of_disguise(scanner, text):
    entry, others = Entry("deny", "暗号三号"), [Entry("allow", "号三"), Entry("deny", "/号.三/")]
    assert fraudscan.normalize(text).repairs == ()
    assert scanner.with_lists(Lists([entry])).classify(text).rule == "deny 暗号三号"
    assert scanner.with_lists(Lists([*others, entry])).classify("暗·号·三·号").rule == "deny /号.三/"
    assert scanner.with_lists(Lists([entry])).classify("对暗号，三号的").rule is None


def test_phrases_of_cantonese_match_across_separators_although_the_model_reads_mandarin(scanner):
    text = "投·资·理·财，唔·使·抵·押"
    assert fraudscan.normalize(text).text == "投资理财,不使抵押"
    assert scanner.with_lists(Lists([Entry("deny", "唔使抵押")])).classify(text).rule == "deny 唔使抵押"
    assert scanner.with_lists(Lists([Entry("deny", "不使抵押")])).classify(text).rule == "deny 不使抵押"


@pytest.mark.parametrize(
    ("entry", "text", "matches"),
    [
        (Entry("deny", "加微信"), "➕微信，老师带你", True),
        (Entry("deny", "/加.?微信/"), "请➕微信 领福利", True),
        (Entry("deny", "加微信"), "➕微信" + " " * 5000, True),
        (Entry("deny", "加微信"), "➕微信" + "今天天气不错" * 1000, False),
        (Entry("allow", "加微信"), "➕微信，老师带你", False),
        (Entry("deny", "➕微信"), "加微信，老师带你", False),
        (Entry("deny", "他来了"), "佢来了", False),
        (Entry("deny", "1元"), "⑩元起", False),
        (Entry("deny", "加微信", "106*"), "➕微信，老师带你", False),
        (Entry("deny", "加微信", "955*"), "➕微信，老师带你", True),
    ],
)
def test_deny_entries_match_what_an_emoji_stands_for(scanner, entry, text, matches):
    found = scanner.with_lists(Lists([entry])).decide(["在吗", text, "在吗"], senders=[None, "95588", None])
    assert found.rule == [None, str(entry) if matches else None, None]


def test_memory_of_deny_lists_grows_with_the_texts_by_little(scanner):
    texts = ["今天天气不错，我们明天再说吧" * 5] * 20_000
    found, own = scanner.decide(texts), Lists([Entry("deny", "加微信")])
    own.overrule(scanner.decide(["➕微信"]), ["➕微信"], None, {})  # fills the caches, which do not count
    with traced() as memory:
        own.overrule(found, texts, None, {})
        assert memory()[1] < 4e6  # the code points of all texts take 6 MB


def test_allow_entries_do_not_match_the_repaired_text(scanner):
    own = scanner.with_lists(
        Lists([Entry("allow", "暗号三号"), Entry("deny", "别处"), Entry("deny", "老地方见"), Entry("allow", "恭喜")])
    )
    assert own.classify(DISGUISED).rule == "deny 老地方见"
    assert own.classify(f"{DISGUISED}，恭喜").rule == "allow 恭喜"  # the text as written contains it
    trusting = scanner.with_lists(Lists([Entry("allow", "暗号三号")]))
    assert trusting.classify(DISGUISED).rule is None


def test_digits_are_restored_even_if_one_is_read_as_a_numeral(scanner):
    text = "1️⃣次投资，投·资·理·财，稳·赚·不·赔，薇信95588"
    assert fraudscan.normalize(text).text.startswith("一次投资")
    own = scanner.with_lists(Lists([Entry("deny", f"微信{digits}") for digits in ("95588", "00000", "19558")]))
    assert own.classify(text).rule == "deny 微信95588"
    assert own.classify(text.removeprefix("1️⃣")).rule == "deny 微信95588"
    assert own.classify(text.replace("1️⃣", "⑩")).rule == "deny 微信95588"


def test_deny_entries_match_the_repaired_text_with_a_custom_model():
    settings_ = {"max_n": 2, "min_df": 2, "idf_power": 0.5, "C": 1.0, "balanced": True}
    scanner = FraudClassifier(**settings_).fit(*made_up(40)).to_scanner()
    text = "低·息·贷·款，秒·批·到·账，无·需·抵·押"
    own = scanner.with_lists(Lists([Entry("deny", "贷款")]))
    assert own.decide(["晚上吃饭", text]).rule == [None, "deny 贷款"]
    assert own.classify(text).scores == scanner.classify(text).scores  # a custom model scores texts without repair


def test_digits_keep_their_value():
    lists_ = Lists([Entry("deny", "95588"), Entry("deny", "400-811")])
    assert rules_for(lists_, ["致电９５５８８", "致电95580", "①⑧ 400-811"]) == ["deny 95588", None, "deny 400-811"]


def test_phrases_contained_in_other_phrases_match():
    lists_ = Lists(
        [Entry("deny", "信"), Entry("deny", "加微信"), Entry("deny", "微信", "a"), Entry("allow", "微", "b")]
    )
    assert rules_for(lists_, ["加微信", "加微", "信"]) == ["deny 信", None, "deny 信"]
    lists_ = Lists(
        [Entry("deny", "加微信群", "c"), Entry("deny", "微信", "a"), Entry("deny", "加微信"), Entry("deny", "信")]
    )
    assert rules_for(lists_, ["加微信"] * 3, ["a", "b", None]) == ["deny sender=a: 微信", "deny 加微信", "deny 加微信"]


texts = st.text("加微vVＶ1①⑩財财➕❤ \0\u200b", max_size=40)
phrases = st.text("加微v1⑩➕財", min_size=1, max_size=3)
written = phrases | st.text("加微v1➕", min_size=1, max_size=3).map("/{}/".format)
entries = st.lists(
    st.builds(Entry, st.sampled_from(["allow", "deny"]), written, st.sampled_from([None, "a", "b*"])), max_size=12
)
senders = st.sampled_from([None, "a", "b", "bc", "ab"])


@given(entries, st.lists(st.tuples(texts, senders), max_size=8), st.booleans())
@settings(max_examples=150)
def test_the_first_allow_wins_else_the_first_deny(entries, rows, with_senders):
    """Compare with the definition, applied entry by entry."""
    lists_ = Lists(entries)

    def matches(entry, text, sender):
        of_sender = entry.sender is None or (
            with_senders
            and sender is not None
            and (sender == entry.sender or (entry.sender == "b*" and sender[0] == "b"))
        )
        return of_sender and fold_for_lists(entry.pattern.strip("/")) in fold_for_lists(text)

    expected = []
    for text, sender in rows:
        matching = [entry for entry in entries if matches(entry, text, sender)]
        expected.append(next((e for kind in ("allow", "deny") for e in matching if e.kind == kind), None))
    found = lists_.find([text for text, _ in rows], [sender for _, sender in rows] if with_senders else None)
    assert [lists_.entries[index] if index < len(lists_.entries) else None for index in found.tolist()] == expected


@given(entries, st.lists(st.tuples(texts, senders), min_size=1, max_size=4), st.integers(1, 9))
@settings(max_examples=150)
def test_texts_are_searched_in_blocks(entries, rows, size):
    rows = [list(column) for column in zip(*rows, strict=True)]
    expected = Lists(entries).find(*rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "BLOCK", size)
        assert Lists(entries).find(*rows).tolist() == expected.tolist()


def test_memory_for_patterns_does_not_grow_with_the_number_of_texts():
    denying, peaks = Lists([Entry("deny", "/加微信/"), Entry("deny", "稳赚不赔")]), []
    for count in (1, 16):
        with traced() as memory:
            denying.find(["天气" * 50_000] * count)
            peaks.append(memory()[1])
    assert peaks[1] < 2 * peaks[0]


@pytest.mark.parametrize("filler", ["x", "1", "①", "·"])
def test_deny_entries_with_digits_match_repaired_texts(scanner, filler):
    text = filler.join("跟着老师操作稳赚不赔加微信") + "13800138000详聊"
    denying = scanner.with_lists(Lists([Entry("deny", "加微信13800138000")]))
    assert denying.classify(text).rule == "deny 加微信13800138000"
    assert denying.classify(text.replace("138", "139")).rule is None


@given(entries, st.lists(st.tuples(texts, senders), min_size=1, max_size=4))
@settings(max_examples=150)
def test_deny_entries_are_found_in_repaired_texts_as_if_they_were_alone(scanner, entries, rows):
    read, sent = [list(column) for column in zip(*rows, strict=True)]
    written = ["\u200b" * len(text) for text in read]
    normalized = map(fraudscan.normalize, read)
    readings = {place: mock.Mock(text=each.text, sources=each.starts) for place, each in enumerate(normalized)}
    patterns = [Entry(kind, "/加.?v/", sender) for kind in lists.KINDS for sender in (None, "b*")]
    mixed = [*entries, *patterns, Entry("deny", "", "bc")]
    alone = [entry for entry in mixed if entry.kind == "deny"]
    found = [Lists(each).overrule(scanner.decide(written), written, sent, readings).rule for each in (mixed, alone)]
    assert found[0] == found[1]


def test_lists_change_the_verdict_but_not_the_score_or_label(scanner):
    own = scanner.with_lists(Lists([Entry("allow", "内部群"), Entry("deny", "快递"), Entry("deny", "稳赚不赔")]))
    lure, honest = own.classify_many([LURE, PLAIN])
    assert (lure.verdict, lure.rule) == ("clear", "allow 内部群")
    assert (honest.verdict, honest.rule) == ("flag", "deny 快递")
    assert lure.score == scanner.classify(LURE).score  # score and label remain the model's
    assert honest.label == "legitimate"
    assert own.classify("晚上吃什么").rule is None
    assert scanner.classify(LURE).rule is None
    assert scanner.decide([LURE]).rule == [None]


def test_entries_for_senders_match_their_senders(scanner):
    entries = [Entry("deny", "快递", "106*"), Entry("allow", "", "9 5588"), Entry("deny", "", "坏人")]
    own = scanner.with_lists(Lists(entries))
    cells = [float("nan"), pd.NA, pd.NaT, None, 95588.5, 95588.0]  # values that occur in tables
    other = own.with_lists(Lists([Entry("allow", "", "95588"), Entry("deny", "", "n*"), Entry("deny", "", "<*")]))
    assert other.decide([PLAIN] * 6, cells).rule == [None] * 5 + ["allow sender=95588:"]
    decided = own.decide([PLAIN, PLAIN, LURE, PLAIN, PLAIN], ["106", None, "95588", "坏人", 10690])
    assert decided.rule == [
        "deny sender=106*: 快递",
        None,
        "allow sender=9 5588:",
        "deny sender=坏人:",
        str(entries[0]),
    ]
    assert decided.verdict[:4] == ["flag", scanner.classify(PLAIN).verdict, "clear", "flag"]
    assert own.classify(PLAIN, sender="10690").verdict == "flag"
    assert own.classify(PLAIN).rule is None
    with pytest.raises(ValueError, match="1 senders do not fit 2 texts"):
        own.decide([PLAIN, PLAIN], ["a"])
    count = GROUP // 3 + 1  # three texts each: more than are scored at a time
    texts = [PLAIN, LURE, PLAIN] * count
    senders = [None, "95588", "106"] * count
    assert [r.rule for r in own.classify_many(texts, iter(senders))] == [None, str(entries[1]), str(entries[0])] * count
    for wrong, message in ((senders[1:], "fewer senders than texts"), ([*senders, None], "more senders than texts")):
        results = own.classify_many(texts, wrong)
        assert next(results).text == PLAIN
        with pytest.raises(ValueError, match=message):
            list(results)


@pytest.mark.parametrize(
    ("listed", "same", "alike"),
    [
        ("ICBC", ["icbc", "ＩＣＢＣ", "I CBC", "ⒾⒸⒷⒸ", "ICBC\ufe0f"], ["ІСВС", "ICВC", "ÍCBC", "🅸🅲🅱🅲"]),
        ("icbc", ["ICBC<br>"], ["I\u0336CBC", "I\u20ddCBC", "ICBC\u0336", "I\u0301CBC", "⒤⒞⒝⒞"]),
        ("ІСВС", ["іСВс"], ["ICBC", "ІCВС"]),
        ("ICBC*", ["ICBC Café", "icbc Москва", "ICBC🅸", "ICBC", "I CBC é"], ["ІСВС Москва", "ICBC\u0336 Café", "ICBĆ"]),
        ("Сбер", ["СБЕР", "с бер"], ["Cбер", "Сбеp"]),
        ("Café*", ["CAFE\u0301 Москва", "ｃａｆé"], ["Cafe", "Cafè", "Сafé"]),
        ("カス", ["ｶｽ"], ["ｶﾞｽ", "カ\u3099ス"]),
        ("工商銀行❤", ["工商银行❤️", "工 商 银 行❤"], ["工商银\u0336行❤"]),
        ("95588", ["+86 95588", "０0869５588", '="+8695588"', 95588], ["9٥588", "+86❾5588", "9⑸588"]),
        ("+86955*", ["95588", "００86 95512", "955é", '＝＂95588"'], ["9٥588"]),
    ],
)
def test_a_look_alike_of_a_sender_is_denied_but_not_allowed(listed, same, alike):
    for kind, found in (("allow", [0] * len(same) + [1] * len(alike)), ("deny", [0] * len(same + alike))):
        assert Lists([Entry(kind, "", listed)]).find([PLAIN] * len(found), same + alike).tolist() == found


@pytest.mark.parametrize("kind", ["allow", "deny"])
def test_stickers_belong_to_the_name_of_a_sender(kind):
    lists_ = Lists([Entry(kind, "", "张老师"), Entry(kind, "", "客服[强]")])
    senders = ["張 老師", "张老师[玫瑰]", "［强］张老师", "客 服［强］", "客服", "客服[弱]", "客服[强][强]"]
    assert lists_.find([PLAIN] * len(senders), senders).tolist() == [0, 2, 2, 1, 2, 2, 2]


def test_of_entries_for_alike_senders_each_allows_its_own():
    lists_ = Lists([Entry("allow", "", "ІСВС"), Entry("allow", "", "ICBC"), Entry("deny", "", "ICВ*")])
    assert lists_.find([PLAIN] * 4, ["іСВс", "icbc", "ICBÇ", "ICB"]).tolist() == [0, 1, 2, 2]


def test_a_masked_number_is_a_sender():
    lists_ = Lists([Entry("deny", "", "138****8000"), Entry("deny", "", "9****8*")])
    senders = ["138****8000", "138＊＊＊＊8000", "13812348000", "138****80001", "9****88", "912348"]
    assert lists_.find([PLAIN] * 6, senders).tolist() == [0, 0, 2, 2, 1, 2]


def test_a_sender_may_be_bytes_or_a_number(scanner):
    own = scanner.with_lists(Lists([Entry("deny", "", "106*"), Entry("deny", "", "妈妈"), Entry("allow", "", "9.5")]))
    names = [
        "10692",
        b"10692",
        bytearray(b"10692"),
        10692,
        10692.0,
        np.int64(10692),
        "妈妈".encode(),
        9.5,
        Decimal("9.5"),
    ]
    rules = ["deny sender=106*:"] * 6 + ["deny sender=妈妈:"] + ["allow sender=9.5:"] * 2
    assert own.decide([PLAIN] * 9, names).rule == rules
    assert [own.classify(PLAIN, name).rule for name in names] == rules
    assert own.classify(PLAIN, b"\xff106").rule is None


NUMBERS = (
    "95588",
    " 95588",
    '="95588"',
    "+8695588",
    "+86 95588",
    "008695588",
    "＋８６９５５８８",
    b"+8695588",
    95588,
    95588.0,
    "95588.0",
    "+86-955－88",
)


@pytest.mark.parametrize("listed", ["95588", "+8695588", "008695588", "955*", "+86955*", "+8695588*"])
def test_a_number_is_one_sender_however_it_is_written(scanner, listed):
    own = scanner.with_lists(Lists([Entry("deny", "", listed)]))
    rule = f"deny sender={listed}:"
    assert own.decide([PLAIN] * len(NUMBERS), NUMBERS).rule == [rule] * len(NUMBERS)
    assert [result.rule for result in own.classify_many([PLAIN] * len(NUMBERS), NUMBERS)] == [rule] * len(NUMBERS)
    others = "+85295588", "86 95588", "0095588", "8695588", '="1', "+86", ""
    assert own.decide([PLAIN] * len(others), others).rule == [None] * len(others)


def test_only_numbers_lose_hyphens_and_decimals():
    lists_ = Lists([Entry("deny", "", name) for name in ("95588", "400-820-8820", "138****8000", "v20", "12")])
    senders = ["95588.1", "95588-", "95588-a", "400-8208820", "4008208820.0", "138-****-8000", "v2.0", "v-20", "1-2"]
    assert lists_.find([PLAIN] * len(senders), senders).tolist() == [5, 5, 5, 1, 1, 5, 5, 5, 5]
    senders = ["955-88", "9-5-5-8-8", "95-588", "4-0-0-8-2-0-8-8-2-0"]  # which may be names, and a network guards 95588
    assert lists_.find([PLAIN] * len(senders), senders).tolist() == [5] * len(senders)
    assert lists_.find([PLAIN] * 2, ["400-8-208820", "4-008-208-820"]).tolist() == [1, 1]
    names = Lists([Entry("allow", "", name) for name in ("1-*", "360-*", "955-88*", "95588*")])
    senders = ["13800138000", "3600123", "95588-1", "9-5-5-8-8*", "9-5-5-8-8-*"]
    assert names.find([PLAIN] * len(senders), senders).tolist() == [4, 4, 3, 4, 4]
    beginnings = Lists([Entry("deny", "", name) for name in ("400-*", "010-6*")])
    senders = ["4008208820", "400-820-8820", "010-65529988", "01065529988", "010-55529988", "40-08208820"]
    assert beginnings.find([PLAIN] * len(senders), senders).tolist() == [0, 0, 1, 1, 2, 0]


def test_the_country_code_of_a_mobile_number_needs_no_plus(scanner):
    own = scanner.with_lists(Lists([Entry("deny", "", "12013800138"), Entry("deny", "", "8612013800139")]))
    names = "8612013800138", "+86 12013800138", "12013800139", "008612013800139"
    assert own.decide([PLAIN] * 4, names).rule == ["deny sender=12013800138:"] * 2 + ["deny sender=8612013800139:"] * 2


def test_the_country_code_alone_is_an_ordinary_prefix(scanner):
    own = scanner.with_lists(Lists([Entry("deny", "", "+86*")]))
    rules = ["deny sender=+86*:", None, None]
    assert own.decide([PLAIN] * 3, ["+8695588", "95588", "妈妈"]).rule == rules


class Source(str, enum.Enum):
    """A sender and a phrase whose `str` is not their value."""

    BANK = "95588"
    PARCEL = "快递"


def test_a_sender_or_phrase_may_be_an_enum_member(scanner):
    for bank, parcel in ((Source.BANK, Source.PARCEL), ("95588", "快递")):
        own = scanner.with_lists(Lists([Entry("deny", parcel, sender=bank)]))
        for name in (Source.BANK, "95588"):
            assert own.classify(PLAIN, name).rule == "deny sender=95588: 快递"


@given(st.sampled_from([b"106", " １06".encode()]) | st.binary(max_size=8))
def test_any_bytes_are_accepted_as_a_sender(scanner, name):
    own = scanner.with_lists(Lists([Entry("deny", "", "106")]))
    matches = fold_for_lists(name.decode("utf-8", "replace")) == "106"
    assert (own.classify(PLAIN, name).rule is not None) == matches


@pytest.mark.parametrize("strange", [True, ["10692"], {"id": 10692}, object(), np.bool_(True)])
def test_a_sender_of_another_type_is_refused(scanner, strange):
    entries = [Entry("deny", "", f"{first}*") for first in "t[{<n"]
    own = scanner.with_lists(Lists(entries))
    kind = type(strange).__name__
    for each in (scanner, own):
        with pytest.raises(TypeError, match=f"^sender is of type {kind}: pass a string or a number"):
            each.classify(PLAIN, strange)
        with pytest.raises(TypeError, match=rf"senders\[1\] is of type {kind}: pass a string or a number"):
            list(each.classify_many([PLAIN] * 2, ["a", strange]))
        with pytest.raises(TypeError, match=rf"senders\[{GROUP}\] is of type {kind}"):
            list(each.classify_many([PLAIN] * (GROUP + 1), [None] * GROUP + [strange]))
    assert own.decide([PLAIN], [strange]).rule == [None]  # a table may contain anything


def test_entries_for_senders_require_senders(scanner):
    own = scanner.with_lists(Lists([Entry("deny", "快递", "106*"), Entry("deny", "内部群")]))
    for call in (own.classify_many, own.decide):
        with pytest.raises(ValueError, match="the lists have entries for certain senders: pass senders=, None where"):
            call([PLAIN])
    assert own.decide([PLAIN, LURE], [None, None]).rule == [None, "deny 内部群"]
    assert own.classify(LURE).rule == "deny 内部群"  # the sender of a single text may be omitted
    assert scanner.with_lists(Lists([Entry("deny", "快递")])).decide([PLAIN]).rule == ["deny 快递"]
    rows = [Row("1", LURE, ("investment",), (), "sms", ""), Row("2", PLAIN, (), (), "sms", "")]
    assert evaluate(own, rows) == evaluate(scanner, rows)
    assert FraudClassifier.from_scanner(own).predict([LURE, PLAIN]).tolist() == ["investment", "legitimate"]


def test_scanner_with_lists_is_a_copy_and_pickles(scanner):
    own = scanner.with_lists(Lists([Entry("deny", "快递"), Entry("deny", "/拿.件/")]))
    assert own.engine.weights is scanner.engine.weights
    assert scanner.lists is None
    copy = pickle.loads(pickle.dumps(own))  # noqa: S301 - our own
    assert copy.classify(PLAIN).rule == "deny 快递"
    assert own.with_lists(None).classify(PLAIN).rule is None


FILE = """\ufeff# ours
[deny]
稳赚不赔

/加.{0,3}微信/
sender=106*： 提现
[allow]
sender=95588:
[链接]
"""


def test_lists_are_read_from_files(tmp_path):
    path = tmp_path / "lists.txt"
    path.write_text(FILE, "utf-8")
    from_file = read_lists(deny=path)
    assert list(map(str, from_file.entries)) == [
        "allow sender=95588: (lists.txt:8)",
        "allow [链接] (lists.txt:9)",
        "deny 稳赚不赔 (lists.txt:3)",
        "deny /加.{0,3}微信/ (lists.txt:5)",
        "deny sender=106*: 提现 (lists.txt:6)",
    ]
    assert rules_for(from_file, ["加我的微信", "加我的那个微信"]) == ["deny /加.{0,3}微信/ (lists.txt:5)", None]
    (tmp_path / "allow.txt").write_text("微信\n", "utf-8")
    both = read_lists(allow=tmp_path / "allow.txt", deny=path)
    assert rules_for(both, ["加我的微信"]) == ["allow 微信 (allow.txt:1)"]
    named = {("allow", tmp_path / "allow.txt"), ("deny", path)}
    digests = {(str(file), kind, hashlib.sha256(file.read_bytes()).hexdigest()) for kind, file in named}
    assert set(pickle.loads(pickle.dumps(both)).files) == digests  # noqa: S301 - our own


@pytest.mark.parametrize("brackets", ["［］", "【】"])
def test_sections_may_have_chinese_brackets_which_signatures_have_too(tmp_path, brackets):
    path = tmp_path / "lists.txt"
    path.write_text("内部票\n{0}allow{1}\n{0}招商银行{1}\n".format(*brackets), "utf-8")
    names = ["allow {}招商银行{} (lists.txt:3)".format(*brackets), "deny 内部票 (lists.txt:1)"]
    assert list(map(str, read_lists(deny=path).entries)) == names


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("\u200b。" + "长" * 200, "1 to 200 characters that count; this one has 201"),
        ("sender=: 提现", "the name of the sender is missing"),
        ("sender=*:", "the name of the sender is missing"),
        ("sender=955*8: 提现", "sender=955*8: only one * may be in a sender, at its end"),
        ("sender=1.06901E+14:", "a spreadsheet has rounded this number"),
        ("sender=955＊*:", "only one * may be in a sender"),
        ("sender=138****80*1:", "only one * may be in a sender"),
        ("sender=95588", "is written sender=NAME: PHRASE"),
        # regexes that could split the blanks or brackets in many ways would hang on these lines
        (f"sender={' ' * 20_000}x", "is written sender=NAME: PHRASE"),
        (f"/{'(' * 100_000}", "1 to 200 characters that count"),
        ("Sender = 95588: 提现", "is written sender=NAME: PHRASE"),
        ("[Deny]", "the only sections are [allow] and [deny]"),
        ("[deny] # ours", "the only sections are [allow] and [deny]"),
        ("[block]", "the only sections are [allow] and [deny]"),
        ("[白名单]", "the only sections are [allow] and [deny]"),
        ("【黑名單】", "the only sections are [allow] and [deny]"),
        ("［拒绝］", "the only sections are [allow] and [deny]"),
        ("/(/", "not a regular expression"),
        ("/(?u)a/", "not a regular expression"),
        ("/(?L)a/", "not a regular expression"),
        ("/a?/", "matches every text"),
        ("/()|加/", "matches every text"),
        (r"/\x41{3}/", "'A' never occurs in a text as lists match it: write a"),
        ("/加 微/", "' ' never occurs in a text as lists match it: leave it out"),
        (r"/\u8f49账/", "write 转"),
        ("/加(&nbsp;微)?信/", "lists match texts without mark-up such as <br>, \\n and [玫瑰]: leave it out"),
        (r"/点击\\n/", "without mark-up"),
        (r"/\[微笑\]/", "without mark-up"),
        ("好的[爱心]", "without mark-up"),
        ("投资<br>理财", "without mark-up"),
        ("/<br>|<p>/", "without mark-up"),
        (r"/(?:<br>|<\/p>)加/", "without mark-up"),
        (r"/加<br\/?>{1,3}微/", "without mark-up"),
        (r"/(a)\1/", "a back reference is not supported"),
        ("/(?=a)b/", "a look-around is not supported"),
        ("/(?i:a)b/", "this construct is not supported"),
    ],
)
def test_errors_name_file_and_line(tmp_path, line, fault, capsys):
    path = tmp_path / "deny.txt"
    path.write_text(f"好\n{line}\n", "utf-8")
    with pytest.raises(ListError, match=r"deny\.txt:2: ") as caught:
        read_lists(deny=path)
    assert fault in str(caught.value)
    assert main(["classify", "x", "--deny", str(path)]) == 2
    assert fault in capsys.readouterr().err


def test_a_pattern_with_half_of_a_surrogate_pair_is_refused():
    with pytest.raises(ListError, match="never occurs in a text"):
        Lists([Entry("deny", "/\ud800a/")])


def test_a_deeply_nested_pattern_is_compiled_or_refused():
    outcomes = set()
    for depth in range(200, 520):  # which depths exceed the stack, and where, depends on the caller
        try:
            assert Lists([Entry("deny", f"/{'(' * depth}老地方{')' * depth}/")]).find(["老地方见"]).tolist() == [0]
            outcomes.add("compiled")
        except ListError:  # noqa: PERF203 - each depth is a test of its own
            outcomes.add("refused")
    assert outcomes == {"compiled", "refused"}


atoms = st.sampled_from(["a", "b", "加", ".", "[b]", "[ab]", "[^a]", "[[:alpha:]]", "\ufffd", "^", "$"])
regular_expressions = st.recursive(
    atoms,
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=3).map("".join),
        st.builds("({}|{})".format, parts, parts),
        st.builds("({}){}".format, parts, st.sampled_from(["?", "{0,2}", "{1,2}", "{2}", "{1,2}?"])),
    ),
    max_leaves=6,
)


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@pytest.mark.parametrize("with_re2", [True, False])
@given(
    st.builds("{}{}".format, st.sampled_from(["", "(?i)", "(?s)"]), regular_expressions),
    st.text("aABb加K]\ufffd\ud800", max_size=6),
)
@settings(max_examples=500)
def test_patterns_are_skipped_only_where_they_do_not_match(with_re2, pattern, text):
    with pytest.MonkeyPatch.context() as patch:
        if not with_re2:
            patch.setattr(patterns, "_re2", lambda: None)
        try:
            match = compile_pattern(pattern).search(fold_for_lists(text))
        except PatternError:
            assume(False)
        assert rules_for(Lists([Entry("deny", f"/{pattern}/")]), [text]) == [f"deny /{pattern}/" if match else None]


def test_patterns_are_not_tried_where_their_characters_are_missing(monkeypatch):
    tried = []

    class RecordingPattern:
        def __init__(self, pattern):
            self.pattern = pattern

        def search(self, text):
            tried.append((self.pattern, text))

    monkeypatch.setattr(lists, "compile_pattern", RecordingPattern)
    lists_ = Lists([Entry("deny", "/加(微信|q){1,2}/"), Entry("deny", "/[0-9]{5}/"), Entry("deny", "/(?i)加/")])
    assert rules_for(lists_, ["加群", "晚上吃什么"]) == [None, None]
    assert tried == [
        ("加(微信|q){1,2}", "加群"),
        *((pattern, text) for text in ("加群", "晚上吃什么") for pattern in ("[0-9]{5}", "(?i)加")),
    ]


def test_patterns_for_other_senders_are_not_looked_at(monkeypatch):
    examined = []

    class Characters(frozenset):
        def __le__(self, other):
            examined.append("".join(self))
            return super().__le__(other)

    monkeypatch.setattr(lists, "needed_by", lambda pattern: Characters(pattern[0]))
    lists_ = Lists([Entry("deny", "/加群?/", sender) for sender in ("a", "b*", "c", "d")] + [Entry("deny", "/微信?/")])
    rules = [lists_.entries[place].sender for place in lists_.find(["加微信"] * 3, ["a", "bc", "e"])]
    assert rules == ["a", "b*", None]
    assert examined == ["加", "加", "微"]


def test_more_phrases_than_can_be_searched_together_are_refused():
    characters = "".join(dict.fromkeys(fold_for_lists("".join(map(chr, range(0x3400, 0x20000))))))
    phrases = [Entry("deny", characters[i : i + 3]) for i in range(49_152)]
    with pytest.raises(ListError, match=r"49,152 phrases cannot be .* do not fit 32-bit steps; shorten them or leave"):
        Lists(phrases)


def test_several_files_of_a_kind_are_read(tmp_path, capsys):
    paths = {name: tmp_path / f"{name}.txt" for name in ("a", "b", "c")}
    for name, path in paths.items():
        path.write_text(f"暗号{name}\n", "utf-8")
    lists_ = read_lists(deny=[paths["a"], str(paths["b"])], allow=paths["c"])
    assert [str(entry) for entry in lists_.entries] == [
        "allow 暗号c (c.txt:1)",
        "deny 暗号a (a.txt:1)",
        "deny 暗号b (b.txt:1)",
    ]
    deny = [argument for name in "ab" for argument in ("--deny", str(paths[name]))]
    assert main(["classify", "暗号a", "暗号b", "暗号c", *deny, "--json"]) == 0
    rules = [json.loads(line)["rule"] for line in capsys.readouterr().out.splitlines()]
    assert rules == ["deny 暗号a (a.txt:1)", "deny 暗号b (b.txt:1)", None]
    with pytest.raises(TypeError, match="no file is given"):
        read_lists(allow=[], deny=None)


def test_lines_of_lists_may_end_as_on_any_system(tmp_path):
    path = tmp_path / "deny.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "加微信\r稳赚\r\n日赚\n\r\n结尾".encode())
    assert [(entry.pattern, entry.line) for entry in read_lists(deny=path).entries] == [
        ("加微信", 1),
        ("稳赚", 2),
        ("日赚", 3),
        ("结尾", 5),
    ]
    for end in b"\n", b"\r\n", b"\r":
        path.write_bytes(b"\xef\xbb\xbf" + end.join([b"ok", b"", b"\xff", b""]))
        with pytest.raises(ListError, match=r"deny\.txt:3: not UTF-8"):
            read_lists(deny=path)


@pytest.mark.parametrize("wrong", ["", ["", "deny.txt"]])
def test_an_empty_name_of_a_list_is_refused(wrong):
    with pytest.raises(ListError, match="the name of the deny list is empty"):
        read_lists(deny=wrong)
    with pytest.raises(TypeError, match="allow must be a file or several files, not int"):
        read_lists(allow=5)


def test_a_list_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(lists, "LARGEST", 1 << 20)
    with pytest.raises(ListError, match=r"/dev/zero has more than 1,048,576 bytes: pass a shorter list"):
        read_lists(deny="/dev/zero")


def test_long_entries_are_cut_short_in_errors(tmp_path):
    path = tmp_path / "deny.txt"
    for line in ("/(" + "加" * 10**5 + "/", "好" * 10**5, "sender=" + "1" * 10**5):
        path.write_text(line, "utf-8")
        with pytest.raises(ListError) as caught:
            read_lists(deny=path)
        assert len(str(caught.value)) < len(str(path)) + 250


def test_a_phrase_may_have_200_characters():
    assert Lists([Entry("deny", "长城" * 100)]).find([f"爱{'长城' * 100}", "长城" * 99]).tolist() == [0, 1]


def test_lists_of_the_same_entries_are_equal():
    entries = [Entry("deny", "快递", "106*"), Entry("allow", "内部群")]
    assert Lists(entries) == Lists(reversed(entries)) != Lists(entries[:1])
    assert Lists(entries) != entries
    assert len({Lists(entries), Lists(reversed(entries)), Lists([])}) == 2
    assert repr(Lists(entries)) == "Lists(1 that allow, 1 that deny)"


def test_scanners_with_different_lists_have_different_digests(scanner):
    phrase, bound = Entry("deny", "sender=955: 老地方"), Entry("deny", "老地方", "955")
    assert str(phrase) == str(bound)
    assert scanner.with_lists(Lists([phrase])).digest != scanner.with_lists(Lists([bound])).digest
    assert scanner.with_lists(Lists([bound])).digest == scanner.with_lists(Lists([bound])).digest


def test_strings_and_numbers_of_other_types_are_the_same_entry(scanner):
    plain = scanner.with_lists(Lists([Entry("deny", "快递", "95588", "deny.txt", 3)]))
    numpy = Entry(*np.array(["deny", "快递", "95588", "deny.txt"]), np.int64(3))
    for entry in (numpy, Entry("deny", Source.PARCEL, Source.BANK, "deny.txt", 3)):
        own = scanner.with_lists(Lists([entry]))
        assert own.lists == plain.lists
        assert own.digest == plain.digest
        assert own.classify(PLAIN, "95588") == plain.classify(PLAIN, "95588")
        assert str(entry) == str(plain.lists.entries[0])


def test_unreferenced_lists_are_freed_without_garbage_collection(scanner):
    own = scanner.with_lists(Lists([Entry("deny", "暗号三号")]))
    assert own.classify(DISGUISED).verdict == "flag"
    reference = weakref.ref(own.lists)
    gc.disable()
    try:
        del own
        assert reference() is None
    finally:
        gc.enable()


def test_missing_or_unreadable_files_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"no file is given: pass allow=, deny= or both"):
        read_lists()
    with pytest.raises(TypeError, match="positional"):  # the keyword says what the file is for
        read_lists(tmp_path / "deny.txt")
    with pytest.raises(ListError, match="cannot be read"):
        read_lists(allow=tmp_path / "none.txt")
    (tmp_path / "bytes.txt").write_bytes("好\n".encode() + b"\xff")
    with pytest.raises(ListError, match=r"bytes\.txt:2: not UTF-8: save the list in UTF-8"):
        read_lists(deny=tmp_path / "bytes.txt")


def test_invalid_lists_and_entries_are_refused(scanner):
    with pytest.raises(ListError, match="an entry's kind must be allow or deny, not 'Deny'"):
        Lists([Entry("Deny", "好")])
    for pattern in (95588, None, b"x"):
        with pytest.raises(ListError, match=f"{pattern}: a pattern must be a string, not {type(pattern).__name__}"):
            Lists([Entry("deny", pattern)])
    for entries in ("deny", ["稳赚不赔"], [("deny", "稳赚不赔")]):
        with pytest.raises(TypeError, match=r"Lists takes Entry objects, not (str|tuple): use read_lists for files"):
            Lists(entries)
    for argument in (None, 5, Entry("deny", "好")):
        with pytest.raises(
            TypeError, match=f"Lists takes an iterable of Entry objects, not one {type(argument).__name__}: pass a"
        ):
            Lists(argument)
    with pytest.raises(ListError, match=r"^deny: a phrase must have 1 to 200 characters that count; this one has 0$"):
        Lists([Entry("deny", "")])
    with pytest.raises(ListError, match="提现: a sender must be a string, not int"):
        Lists([Entry("deny", "提现", sender=95588)])
    with pytest.raises(TypeError, match=r"lists must be Lists, not str: fraudscan\.lists\.read_lists reads files"):
        scanner.with_lists("deny.txt")
    assert scanner.with_lists(None).lists is None


def test_the_file_name_of_a_list_need_not_be_unicode(scanner, tmp_path):
    entry = Entry("deny", "好", source="lists/\udcba\udcda.txt", line=1)  # a GBK name, as in archives from Windows
    source, own = tmp_path / "in.jsonl", scanner.with_lists(Lists([entry]))
    source.write_text('{"text": "好"}\n', "utf-8")
    score_dump(own, [source], tmp_path / "out.jsonl")
    (row,) = rows_of(tmp_path / "out.jsonl")
    assert row["fraud_rule"] == r"deny 好 (\xba\xda.txt:1)" == own.classify("好").rule


def test_the_classify_command_applies_lists(tmp_path, capsys):
    (tmp_path / "deny.txt").write_text("sender=106*: 快递\n", "utf-8")
    assert main(["classify", PLAIN, "--deny", str(tmp_path / "deny.txt"), "--sender", "10690"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("flag")
    assert "by list: deny sender=106*: 快递 (deny.txt:1)" in out


@pytest.mark.parametrize(
    "line",
    [
        *["/稳赚/i", "allow:稳赚", "Deny：稳赚", "稳赚*", "稳赚 # 注", "sender=1: 稳赚*", "/", "//", "sender=1: //"],
        *[
            "sender＝95588：",
            "sender：95588",
            "ｓｅｎｄｅｒ=95588:",
            "／加.{0,3}微信／",
            "/加.{0,3}微信／",
            "sender=1: ／加.*微／",
        ],
        *["稳赚＊", "“内部票”", '"内部票"', "＂内部票＂", "「内部票」", "‘内部票’", "sender=1: “内部票”"],
        *["/加.{0,5}微信", "/加.{0,", "/加[微v]", r"/\d{5}", "/加.?微信", "/^加", "/(加|十)微", "sender=1: /加.*微"],
    ],
)
def test_a_line_that_was_probably_not_meant_as_a_phrase_is_refused(tmp_path, line):
    (tmp_path / "deny.txt").write_text(f"好\n{line}\n", "utf-8")
    with pytest.raises(ListError, match=re.escape(f"deny.txt:2: {line}: ")):
        read_lists(deny=tmp_path / "deny.txt")


@pytest.mark.parametrize(
    "phrase",
    [
        "尾号***",
        "满5*",
        "/pay/vip",
        "/wap/login?id={id}",
        "//t.cn/abc",
        "/TD/r",
        "/微笑(*^_^*)",
        "加群 #兼职#",
        "V*",
        "“老师”说",
        "【Ａ】",
        "／TD",
    ],
)
def test_phrases_may_contain_symbols(tmp_path, phrase):
    (tmp_path / "deny.txt").write_text(f"{phrase}\n", "utf-8")
    assert read_lists(deny=tmp_path / "deny.txt").find([f"您好{phrase}好"]).tolist() == [0]


@pytest.mark.parametrize(
    ("kind", "lines", "notice"),
    [
        (
            "allow",
            "95588\n10086\n",
            "95588 (like 1 more) is a phrase, so texts that mention it are cleared, whoever sent",
        ),
        ("allow", "+8695588\n", "for all messages from it, write sender=+8695588:"),
        ("deny", "10086\n106*\n", "2: 106* is a phrase, so texts that mention it are flagged"),
        ("deny", "内部票。\n", "内部票。 is found only with the 。 at its end: leave that out unless it is part"),
        ("deny", "sender=1: 内部票；\n", "内部票； is found only with the ； at its end"),
        ("allow", "sender=95588:\n/95588/\n致电95588\n12\n", ""),
        ("deny", "95588\n请回电，谢谢。\n/内部票。/\n", ""),
    ],
)
def test_phrases_that_may_not_do_what_was_meant_are_reported(tmp_path, capsys, kind, lines, notice):
    (tmp_path / "list.txt").write_text(lines, "utf-8")
    assert main(["classify", "x", "--sender", "1", f"--{kind}", str(tmp_path / "list.txt")]) == 0
    notices = [line for line in capsys.readouterr().err.splitlines() if "--sender has no effect" not in line]
    assert len(notices) == bool(notice)
    assert all(f"{tmp_path / 'list.txt'}:" in line and notice in line for line in notices)


def test_patterns_may_contain_asterisks_and_hash_signs(tmp_path):
    (tmp_path / "deny.txt").write_text("/a[*]/\n#注\n/ \\#b/\n".replace("/ ", "/"), "utf-8")
    assert [entry.pattern for entry in read_lists(deny=tmp_path / "deny.txt").entries] == ["/a[*]/", "/\\#b/"]


@pytest.mark.parametrize("pattern", [r"/加\s微信/", r"/加[\s]微信/", r"/加\s{1,3}微信/"])
def test_patterns_that_require_white_space_are_refused(pattern):
    with pytest.raises(ListError, match="white space"):
        Lists([Entry("deny", pattern)])


@pytest.mark.parametrize("pattern", [r"/加\s*微信/", r"/加\s?微信/", r"/加\s{0,3}微信/"])
def test_patterns_with_optional_white_space_are_accepted(pattern):
    assert Lists([Entry("deny", pattern)]).find(["加 微信", "加V"]).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("character", "other"),
    [*map(tuple, ["❤心", "➕加", "👆上", "🇺u", "⑩1", "½1", "㎏k", "℃c", "ßs", "佢他", "谂想", "贰二"]), ("ﬁ", "fi")],
)
def test_what_only_stands_for_other_characters_matches_itself_alone(character, other):
    for bare, text in ((character, other), (other, character)):
        texts = [f"前{text}后", f"前{bare}后"]
        for entry in (Entry("deny", bare), Entry("allow", bare), Entry("deny", f"/前{re.escape(bare)}后/")):
            assert Lists([entry]).find(texts).tolist() == [1, 0]
        assert Lists([Entry("deny", "", bare)]).find([PLAIN] * 2, [text, bare]).tolist() == [1, 0]
        assert Lists([Entry("deny", "", f"{bare}*")]).find([PLAIN] * 2, texts).tolist() == [1, 1]
        assert Lists([Entry("deny", "", f"前{bare}*")]).find([PLAIN] * 2, texts).tolist() == [1, 0]


@pytest.mark.parametrize(("entry", "text"), [("138", "⑴③⒏"), ("vx", "🆅Ⓧ"), ("諗", "谂"), ("ｔе́l", "TÉL"), ("㈱", "株")])
def test_other_forms_of_the_same_character_match(entry, text):
    for one, other in ((entry, text), (text, entry)):
        assert Lists([Entry("deny", one)]).find([other]).tolist() == [0]


def test_character_sets_may_contain_characters_that_no_folded_text_has():
    assert Lists([Entry("deny", "/[0-Z]好/")]).find(["1好"]).tolist() == [0]
