"""Notes of doubt: texts that the model is not made for have them."""

import numpy as np
import pytest
from conftest import WORDS
from hypothesis import given, settings
from hypothesis import strategies as st
from test_scoring import texts

from fraudscan import engine, normalize
from fraudscan.notes import HAN, KNOWN, NOTES, SHORTEST
from fraudscan.sklearn import FraudClassifier

NO_CHINESE, UNKNOWN, SHORT = NOTES


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("Your parcel is held, pay the fee at the link below", (NO_CHINESE,)),
        ("ok", (NO_CHINESE, SHORT)),
        ("", (NO_CHINESE, SHORT)),
        ("[玫瑰] ok", (NO_CHINESE, SHORT)),
        ("在吗", (SHORT,)),
        ("滕王高阁临江渚佩玉鸣鸾罢歌舞画栋朝飞南浦云", (UNKNOWN,)),
        ("鼴鼠靈貓獼猴麋鹿", (UNKNOWN,)),
        ("\u9fa0\u9fa1\u9fa2\u9fa3\u9fa4", (UNKNOWN,)),  # Chinese, though not in the alphabet
        ("到楼下了，下来拿快递", ()),
        ("投·资·理·财，稳·赚·不·赔", ()),
        ("跟着老师操作稳赚不赔，加微信进内部群，每天领取返利", ()),
    ],
)
def test_text_has_its_notes(scanner, text, notes):
    assert scanner.classify(text).notes == notes
    assert scanner.decide(["晚上吃什么", text, "明天见了"]).notes[1] == notes


def test_a_model_of_another_language_does_not_expect_chinese():
    ham = [f"see you at {place} {day}" for place in ("home", "school", "work") for day in ("today", "on monday")]
    spam = [f"win {what} now, call {whom}" for what in ("cash", "a phone", "prizes") for whom in ("us", "claims")]
    model = FraudClassifier(max_n=3, min_df=1).fit(ham + spam, ["ham"] * len(ham) + ["spam"] * len(spam)).to_scanner()
    found = model.decide(["see you at work", "zzyzx qqqqq jjjjj", "到楼下了，下来拿快递"])
    assert found.notes == [(), (UNKNOWN,), (UNKNOWN,)]
    mixed = FraudClassifier(max_n=3, min_df=1).fit([*ham, *spam, "明天见"], ["ham"] * 6 + ["spam"] * 6 + ["ham"])
    assert mixed.to_scanner().classify("see you at work").notes == ()
    links = [f"点击 https://promo.shop.example/act/{name}?id=abc&from=sms 领取" for name in WORDS["prize"]]
    visits = [f"登录 https://login.bank.example/user/{name}?token=xyz 验证" for name in WORDS["normal"]]
    model = FraudClassifier(max_n=3, min_df=1).fit(links + visits, ["ad"] * len(links) + ["normal"] * len(visits))
    assert model.to_scanner().classify("hello how are you today my friend").notes == (NO_CHINESE,)


@given(st.lists(texts, min_size=1, max_size=20), st.integers(20, 200))
@settings(max_examples=200)
def test_notes_follow_their_definition_in_any_batch_and_chunk(scanner, batch, size):
    expected = []
    for text in batch:
        read = normalize(text).text if normalize(text).repairs else text
        vocabulary = scanner.engine.vocabulary
        nodes = vocabulary.match([read]).nodes[:-1]
        kept, pairs = nodes.size, np.count_nonzero(nodes > vocabulary.alphabet.size)
        no_chinese, short = not HAN.search(read), kept < SHORTEST
        unknown = not no_chinese and not short and pairs < KNOWN * kept
        expected.append(tuple(note for note, yes in zip(NOTES, (no_chinese, unknown, short), strict=True) if yes))
    assert scanner.decide(batch).notes == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "CHUNK", size)
        assert scanner.decide(batch).notes == expected


def test_few_messages_of_the_corpus_have_notes(scanner, corpus):
    doubts = scanner.decide([row.text for row in corpus[::10] if len(row.text) >= 10]).notes
    assert sum(map(bool, doubts)) / len(doubts) < 0.005


def test_notes_of_long_texts(scanner, corpus):
    known = "".join(row.text for row in corpus[:2000])
    assert len(known) > engine.CHUNK
    assert scanner.classify(known).notes == ()
    assert scanner.classify("wxyz!" * (len(known) // 5)).notes == (NO_CHINESE,)
    assert scanner.classify(" " * len(known) + "跟着老师操作稳赚不赔，加微信进内部群").notes == ()
    assert scanner.classify(" " * len(known) + "在吗").notes == (SHORT,)
