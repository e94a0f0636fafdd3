"""Windows: a lure in a long honest text is found and located, and scores do not depend on batch or chunk size."""

import numpy as np
import pytest
from conftest import logit_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_disguise import ORDINARY
from test_scoring import fresh

from fraudscan import TAXONOMY, Scanner, Thresholds, engine
from fraudscan.features import Vocabulary
from fraudscan.windows import PENALTY, RAMP_END, RAMP_START, STRIDE, WHOLE, WINDOW

pytestmark = pytest.mark.usefixtures("engine")

LURES = [
    "跟着老师操作稳赚不赔，加微信进内部群，每天领取返利，本金随时可以提现",
    "您好，我是公安局的，您涉嫌洗钱，请把资金转到安全账户配合调查，不要告诉家人",
    "兼职刷单日结，垫付后连本带佣金一起返还，加QQ领任务，先付款后返现",
]
DISGUISED = [
    "投·资·理·财，稳·赚·不·赔，加薇信",
    "➕葳❤，返荔",
    "人言用卡，月艮务好",
    "tou·zi·返·利·wen赚",
    "\u200b" * 30,
]
ODD = ["a" * 70, "1" * 40, "\0" * 9, "\ud800", "😊" * 6, "\n"]

sentences = st.one_of(st.sampled_from(ORDINARY), st.sampled_from(ORDINARY), st.sampled_from([*LURES, *DISGUISED, *ODD]))


def long_texts(shortest, longest):
    """Generate texts in this range of lengths, some with lures, disguises and characters that are no language."""
    several = st.lists(sentences, min_size=shortest // 20, max_size=longest // 10).map("".join)
    return several.map(lambda text: (text * (shortest // max(len(text), 1) + 1))[:longest])


@pytest.fixture(scope="module")
def chat(corpus, scanner):
    """Messages of two thousand characters in all, none of which raises an alarm by itself."""
    lines = [row.text for row in corpus if not row.labels and row.channel in ("chat", "dialogue")]
    calm = (r.text for r in scanner.classify_many(lines) if r.score < 0.05 and len(r.text) < 60)
    return [next(calm) for _ in range(60)]


@pytest.fixture(scope="module")
def lures(corpus, scanner):
    """For each label, the short lure with the highest score."""
    short = [row for row in corpus[::10] if row.labels and 25 <= len(row.text) <= 60]
    scored = sorted(scanner.classify_many([row.text for row in short]), key=lambda result: -result.score)
    best = {result.label: result.text for result in reversed(scored) if result.verdict == "flag"}
    return list(best.values())


@pytest.mark.parametrize("place", [0, 7, 30, 60])
def test_a_lure_in_a_long_honest_chat_is_found_and_located(scanner, chat, lures, place):
    honest = scanner.classify("\n".join(chat))
    assert honest.verdict != "flag"
    assert len(lures) > 5
    for lure in lures:
        text = "\n".join([*chat[:place], lure, *chat[place:]])
        result = scanner.classify(text)
        assert result.score > honest.score
        start, end = result.window
        at = text.index(lure)
        assert max(start, at) < min(end, at + len(lure))
        assert end - start < 3 * WINDOW
        assert all(start <= span.start and span.end <= end for span in result.explain())


def test_short_texts_have_no_window(scanner):
    assert scanner.classify(LURES[0]).window is None
    assert scanner.classify("").window is None


LOUD, CALM = "骗子又来了", "平安到家啦"
"""Five characters each: too many for repetitions of them to be skipped."""


def stretch(characters, size):
    return (characters * size)[:size]


@pytest.fixture(scope="module")
def handmade():
    """A scanner that knows ten characters. Those of `LOUD` are evidence of fraud; those of `CALM` have no weight."""
    vocabulary = Vocabulary.from_ngrams([*LOUD, *CALM])
    heads = 1 + len(TAXONOMY.schemes) + len(TAXONOMY.targets)
    weights = np.zeros((vocabulary.size, heads))
    for row in range(1, vocabulary.size):
        weights[row, 0] = 100 if chr(vocabulary.alphabet[row - 1]) in LOUD else 0
    return Scanner(
        TAXONOMY, vocabulary, weights, np.ones(heads), np.zeros(heads), thresholds=Thresholds(flag=0.9, review=0.5)
    )


@pytest.mark.parametrize("at", [0, STRIDE - 1, STRIDE, 100, 500, 979, 980, 999])
@pytest.mark.parametrize("chunk", [33, 70, 128, 1 << 16])
def test_the_window_logit_is_that_of_the_mean_odds(handmade, monkeypatch, at, chunk):
    monkeypatch.setattr(engine, "CHUNK", chunk)
    text = stretch(CALM, at) + "骗" + stretch(CALM, 999 - at)
    result = handmade.classify(text)
    windows = [(begin, min(begin + WINDOW, 1000)) for begin in range(0, 1000 - WINDOW + STRIDE, STRIDE)]
    loud = {window: window[0] <= at < window[1] for window in windows}
    odds = [np.exp(100 * yes / np.sqrt(end - begin + engine.SMOOTHING)) for (begin, end), yes in loud.items()]
    assert handmade.logits([text])[0, 0] == pytest.approx(np.log(np.mean(odds)))
    assert result.window == max(windows, key=lambda window: loud[window] / (window[1] - window[0]))


@pytest.mark.parametrize("begin", [0, STRIDE, 3 * WINDOW + 11, 1000 - 2 * WINDOW - 4, 1000 - WINDOW])
@pytest.mark.parametrize("chunk", [33, 70, 128, 1 << 16])
def test_the_window_is_at_the_lure(handmade, monkeypatch, begin, chunk):
    monkeypatch.setattr(engine, "CHUNK", chunk)
    text = stretch(CALM, begin) + stretch(LOUD, WINDOW) + stretch(CALM, 1000 - WINDOW - begin)
    start, end = handmade.classify(text).window
    assert WINDOW - STRIDE < end - start <= WINDOW
    assert abs(start - begin) <= STRIDE / 2


def test_the_whole_text_decides_if_no_window_has_a_higher_logit(handmade):
    text = stretch(LOUD, 1000)
    assert handmade.classify(text).window is None
    whole = 100 * 1000 / (1040 / 552 * np.sqrt(552))
    assert handmade.logits([text])[0, 0] == pytest.approx(whole - np.log(1000 / WHOLE))


def test_texts_have_windows_from_a_minimum_length(handmade):
    assert handmade.classify("骗" + stretch(CALM, RAMP_START - 1)).window is None
    assert handmade.classify("骗" + stretch(CALM, RAMP_END - 1)).window == (0, WINDOW)


@pytest.mark.parametrize("length", [RAMP_START + 1, (RAMP_START + RAMP_END) // 2, RAMP_END, RAMP_END + 1])
def test_the_window_penalty_decreases_with_text_length(handmade, length):
    windows = -(length // -STRIDE) - 1
    mean = 100 / np.sqrt(WINDOW + engine.SMOOTHING) - np.log(windows)
    penalty = PENALTY * max(RAMP_END - length, 0) / (RAMP_END - RAMP_START)
    expected = max(100 / np.sqrt(length + engine.SMOOTHING), mean - penalty)
    assert handmade.logits(["骗" + stretch(CALM, length - 1)])[0, 0] == pytest.approx(expected, abs=1e-3)


def test_windows_have_less_effect_in_texts_that_quote_frauds(scanner, corpus, chat):
    warning = (
        "近日，多名群众向公安机关报警，称收到陌生人发来的消息：“{}”。警方提醒：凡是这样说的都是诈骗，请广大市民提高警惕，"
        "不要轻信，不要转账，遇到可疑情况及时拨打110报警或96110咨询，并转告身边的老人，共同守护好自己的钱袋子。"
    )
    lures = [row.text for row in corpus if row.labels and 25 <= len(row.text) <= 60][::500]
    lures = [result.text for result in scanner.classify_many(lures) if result.verdict == "flag"]
    quoted = scanner.decide([warning.format(lure) + "警方将继续加大打击力度，欢迎群众提供线索。" * 3 for lure in lures])
    in_chats = scanner.decide(["\n".join([*chat[:8], lure, *chat[8:12]]) for lure in lures])
    assert len(lures) > 20
    assert np.mean(quoted.scores >= 0.5) < 0.1
    assert np.mean(in_chats.scores >= 0.5) > 0.3


def test_window_offsets_are_those_of_the_original(handmade):
    calm = "".join(f"{character} \u200b" for character in stretch(CALM, 300))
    text = f"{calm}骗{calm}"
    start, end = handmade.classify(text).window
    assert start <= text.index("骗") < end
    assert {text[start], text[end - 1]} <= set(CALM)
    assert sum(c in LOUD + CALM for c in text[start:end]) == WINDOW


@given(long_texts(150, 900))
@settings(max_examples=100)
def test_scores_of_long_texts_equal_the_definition(scanner, reference, text):
    expected = reference.probabilities(text)
    assert scanner.classify(text).scores == pytest.approx(expected, abs=1e-6)


@given(st.lists(long_texts(150, 3000), min_size=1, max_size=6))
@settings(max_examples=60)
def test_scores_do_not_depend_on_the_batch(scanner, batch):
    together = scanner.predict_proba(batch)
    for text, row in zip(batch, together, strict=True):
        assert np.array_equal(scanner.predict_proba([text])[0], row)


@given(st.lists(long_texts(150, 3000), min_size=1, max_size=5), st.sampled_from([33, 100, 257, 800, 2500]))
@settings(max_examples=60)
def test_scores_and_windows_do_not_depend_on_the_chunk_size(scanner, batch, size):
    expected = scanner.predict_proba(batch)
    windows = [scanner.classify(text).window for text in batch]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "CHUNK", size)
        patch.setattr(engine, "FIELD_SIZE", max(WINDOW, size // 3))
        copy = fresh(scanner)
        assert np.array_equal(copy.predict_proba(batch), expected)
        assert [copy.classify(text).window for text in batch] == windows


@given(long_texts(150, 2000))
@settings(max_examples=60)
def test_windows_lie_in_the_text_and_evidence_in_the_windows(scanner, text):
    result = scanner.classify(text)
    if result.window is not None:
        start, end = result.window
        assert 0 <= start < end <= len(text)
        part = scanner.engine.parts([text], scanner.engine.judge([text]))
        assert part.lengths.tolist() == [part.nodes.size]
        assert part.nodes.size <= WINDOW
        assert (part.starts[0], part.ends[-1]) == (start, end) == result.explain().window
        assert all(start <= span.start and span.end <= end for span in result.explain())


REPEATED = [
    "。" * 8,
    "哈" * 6,
    "=*=*=*=*",
    "龙湖/" * 7,
    "不是-" * 8,
    "点名没/哥 车/坏高速/上 借/一千八",
    "飞车永久紫-钻 30 -私手机收到",
]


@given(st.lists(st.sampled_from([*LURES, *DISGUISED, *ORDINARY[:20], *REPEATED]), min_size=1, max_size=8).map("".join))
@example(
    "交、管、"
    * 14
    + "您好这里是、平安银行信、用卡中心工、号三零七七、请问您现在、方便吗是这、样您名下那、张卡的账单、分期手续费、"
    "今天有六折、我就跟您说、一下不需要、的话我不打、扰了刚从某、盘出来的币、怎么变干净、？跟频道置、顶走一遍就、知道：小额、"
    "试、换链、、入池、隔天、取。我们只、收一个半点、🙂 老客户、八折，单笔、十万以上有、专人陪跑"
)
@settings(max_examples=150)
def test_the_scored_text_is_the_explained_text(scanner, text):
    """Marks of disguise within repetitions are not read, and do not cause repair by themselves."""
    result = scanner.classify(text)
    begin, end = result.window or (0, len(text))
    spans = result.explain("investment")
    assert all(begin <= span.start < span.end <= end for span in spans)
    assert spans.logit == pytest.approx(logit_of(scanner, text, "investment"), abs=1e-9)


def test_repetitions_count_towards_the_limit_of_repair(scanner):
    """The scored text is the explained text, whatever part of it is not read."""
    lines = ["今天天气不错我们去公园散步吧", "晚上吃什么我来买薇信", "孩子放学了你去接一下", "周末回家看看爸妈薇信"]
    lure = "跟着老师操作稳赚不赔，加薇信进内部群，每天领取返利，名额有限速来"
    for repeats in (0, 900):
        result = scanner.classify("，".join(lines * 80)[:3950] + "。" * repeats + lure)
        begin, end = result.window or (0, len(result.text))
        spans = result.explain(result.label)
        assert spans
        assert all(begin <= span.start < span.end <= end for span in spans)
        assert spans.logit == pytest.approx(logit_of(scanner, result.text, result.label), abs=1e-9)
