"""Evidence: it adds up to the logit, its spans match the text, and it is displayed safely."""

import html.parser
import io
import re

import numpy as np
import pytest
from conftest import LURE, logit_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_scoring import texts

import fraudscan
import fraudscan.explain as explain_module
from fraudscan.cli import main
from fraudscan.engine import Parts
from fraudscan.explain import Explanation, Span, _edges, _explanations, _join_clause, _spread, evidence, explain
from fraudscan.lists import Entry, Lists
from fraudscan.show import coloured, printable, to_ansi, to_html

labels = st.sampled_from(["investment", "shopping", "related_crime", "legitimate"])


@given(texts, labels)
@settings(max_examples=300)
def test_spans_and_bias_add_up_to_the_logit(scanner, text, label):
    assert_adds_up(scanner, text, label)


def assert_adds_up(scanner, text, label):
    """Spans are parts of the text without overlaps, by decreasing weight, and add up to the label's logit."""
    explanation = explain(scanner, text, label)
    assert explanation.logit == pytest.approx(logit_of(scanner, text, label), abs=1e-9)
    covered = []
    for span in explanation:
        assert text[span.start : span.end] == span.text
        assert span.text
        assert span.label == label
        covered += range(span.start, span.end)
    assert len(covered) == len(set(covered))
    weights = [span.weight for span in explanation]
    assert weights == sorted(weights, reverse=True)


def test_evidence_of_corpus_rows_adds_up(scanner, corpus):
    for row in corpus[::997]:
        assert_adds_up(scanner, row.text, scanner.classify(row.text).label)


def test_spans_are_whole_words(scanner, corpus):
    spans = scanner.classify("请点击 www.etc-abc123.com/x9 重新认证，稳赚不赔").explain()
    edges = {edge for span in spans for edge in (span.start, span.end)}
    text = "请点击 www.etc-abc123.com/x9 重新认证，稳赚不赔"
    for match in re.finditer("[a-z0-9]+", text):
        assert edges.isdisjoint(range(match.start() + 1, match.end()))
    for row in corpus[::997]:
        for span in scanner.classify(row.text).explain():
            assert not re.search("[，；！？。].|..\n|\n..", span.text)  # no span crosses the end of a clause
    assert any(span.text.startswith("跟着老师操作") for span in scanner.classify(LURE).explain())


@pytest.mark.parametrize("end", ["\n", "<br>", "<BR />", "</p><p>", r"\n", r"\r\n", "&lt;br&gt;"])
def test_no_span_crosses_a_line_break_in_any_form(scanner, end):
    spans = scanner.classify(f"跟着老师操作稳赚不赔{end}加微信进内部群").explain()
    expected = scanner.classify("跟着老师操作稳赚不赔\n加微信进内部群").explain()
    assert [(span.text, span.weight) for span in spans] == [(span.text, span.weight) for span in expected]


def test_links_are_not_cut(scanner):
    text = "补发一万七，点 https://wap.dh--yscc.cc/x?id=148&t=81c 登记；或到yz.sy--hf.cn?换发，24小时失效"
    covered = {(span.start, span.end) for span in scanner.classify(text).explain("phishing")}
    for link in ("https://wap.dh--yscc.cc/x?id=148&t=81c", "yz.sy--hf.cn"):
        start, end = text.index(link), text.index(link) + len(link)
        assert any(first <= start and end <= last for first, last in covered)
    assert not any("cn?" in text[first:last] for first, last in covered)  # here it ends a clause


def test_blanks_between_clauses_end_spans(scanner):
    text = "会员股 交3000成股东 买菜全免单 每天进账12 股份可继承 满三百天回本"
    found = strongest(scanner, text)
    assert not any(re.search("\\w{3} [买每满]", span) for span in found)
    assert any("12 股份" in span for span in found)  # a blank beside a digit or letter may be mere typography


def test_blanks_in_words_end_no_spans(scanner):
    text = "投 资 理 财 稳 赚 不 赔 加 薇 信"
    assert strongest(scanner, text) == {text}
    assert strongest(scanner, "老师 带您 操作 保本 保息") == {"老师 带您 操作 保本 保息"}


@pytest.mark.parametrize("filler", ["|", "\n", "<b>"])
def test_fillers_end_no_spans(scanner, filler):
    text = filler.join("稳赚不赔加微信进群")
    assert fraudscan.normalize(text).text == "稳赚不赔加微信进群"
    assert {span.text for span in scanner.classify(text).explain("investment").strongest()} == {text}


def test_brackets_end_spans(scanner):
    text = "理财产品（保本保息）今日起（限老用户）认购，《收益说明》20：30公布"
    texts = {span.text for span in scanner.classify(text).explain("investment")}
    assert not any(re.search("[（）《》].|.[（）《》]", text) for text in texts)
    assert any("20：30" in text for text in texts)


def strongest(scanner, text):
    return {span.text for span in scanner.classify(text).explain().strongest(9)}


def test_characters_read_from_the_same_place_are_one_word(scanner):
    text = "群❤薇薇不老信加👍V信"
    read = fraudscan.normalize(text)  # 微 is read from all of 👍V信, 信 from the end of it
    assert read.text.endswith("微信\ufdd0")
    assert read.starts[-3:].tolist() == [8, 9, 9]
    covered = [place for span in scanner.classify(text).explain() for place in range(span.start, span.end)]
    assert len(covered) == len(set(covered))


def test_an_explanation_is_a_sequence(scanner):
    explanation = scanner.classify(LURE).explain()
    assert isinstance(explanation, Explanation)
    assert list(explanation) == [explanation[i] for i in range(len(explanation))] == list(explanation.spans)
    assert explanation.label == "investment"
    assert explanation[:2] == explanation.spans[:2]
    assert all(span.weight > 0 for span in explanation.strongest())
    assert len(explanation.strongest(1)) == 1
    longer = scanner.classify(f"{LURE}，名额有限速来，本金随时可以提现").explain()
    assert longer.strongest() == list(longer.spans[:3]) != longer.strongest(4)
    assert longer.strongest(0) == []
    for count in (1.5, "3", True, None):
        with pytest.raises(TypeError, match=f"count must be a whole number, not {count!r}"):
            longer.strongest(count)
    with pytest.raises(ValueError, match="count must be at least 0, not -1"):
        longer.strongest(-1)


def test_a_long_text_is_explained(scanner, corpus):
    assert_adds_up(scanner, "\n".join(row.text for row in corpus[:200]), "investment")


def test_evidence_of_a_batch(scanner):
    batch = [LURE, "到楼下了，下来拿快递", ""]
    column = evidence(scanner, batch, scanner.decide(batch))
    assert column == [" | ".join(span.text for span in scanner.classify(LURE).explain().strongest()), "", ""]
    assert "跟着老师操作" in column[0]


DISGUISED = [
    "转赔银返目n行a银薇❤①账b",  # 微信 and its mark stand for the same characters
    "微*信*转*账*到*安*全*账*户",
    "加薇❤信进群领返利，月艮务费全免",
]


@pytest.mark.parametrize("text", DISGUISED)
def test_evidence_of_disguised_texts_adds_up(scanner, text):
    assert fraudscan.normalize(text).repairs
    for label in ("investment", "related_crime", "legitimate"):
        assert_adds_up(scanner, text, label)
    together = list(_explanations(scanner, [LURE, text, "", text], ["investment"] * 4))
    assert together[1] == together[3] == explain(scanner, text, "investment")


@given(st.lists(texts | st.sampled_from(DISGUISED), max_size=6), st.sampled_from([1, 20, 1 << 15]))
@settings(max_examples=100)
def test_evidence_is_the_same_alone_and_in_a_batch(scanner, monkeypatch, batch, size):
    monkeypatch.setattr(explain_module, "BATCH", size)
    doubting = scanner.with_thresholds(flag=0.5, review=0)  # every text has evidence
    column = evidence(doubting, batch, doubting.decide(batch))
    assert column == [" | ".join(s.text for s in doubting.classify(text).explain().strongest()) for text in batch]
    labels = [["investment", None, "legitimate"][i % 3] for i in range(len(batch))]
    together = list(_explanations(scanner, batch, labels))
    assert together == [explain(scanner, text, label) for text, label in zip(batch, labels, strict=True)]


def test_a_review_is_explained_by_the_likeliest_pretence(scanner):
    strict = scanner.with_thresholds(flag=1, review=scanner.classify(LURE).score)
    assert strict.classify(LURE).explain() == scanner.classify(LURE).explain()
    doubted = scanner.with_thresholds(flag=1, review=0).classify("老师说群里发了资料，加微信领")
    assert doubted.label == "legitimate"
    pretence = doubted.explain().label
    assert doubted.scores[pretence] == max(doubted.scores[x.name] for x in scanner.taxonomy.labels if x.schemes)
    assert doubted.explain("legitimate").label == "legitimate"
    assert {explain(scanner, text).label for text in (LURE, "代开发票，先验后付", "贷款秒批，无视黑白户")} == {
        "investment",
        "related_crime",
        "other_fraud",
    }
    for kind, label in (("allow", "legitimate"), ("deny", pretence)):  # evidence explains the verdict
        listed = scanner.with_thresholds(flag=1, review=0).with_lists(Lists([Entry(kind, "资料")]))
        assert listed.classify(doubted.text).explain().label == label
        assert bool(evidence(listed, [doubted.text], listed.decide([doubted.text]))[0]) == (kind == "deny")
    column = evidence(doubted._scanner, [doubted.text], doubted._scanner.decide([doubted.text]))
    assert column == [" | ".join(span.text for span in doubted.explain().strongest())]
    with pytest.raises(KeyError):
        doubted.explain("nonsense")


def test_spans_that_hardly_matter_are_no_evidence_beside_others():
    first, second, third = (Span(k, k + 1, "一二三"[k], "x", weight) for k, weight in enumerate((2.0, 0.25, 0.24)))
    assert Explanation("x", 0.0, (first, second, third)).strongest() == [first, second]
    assert Explanation("x", 0.0, (third,)).strongest() == [third]


def test_repetitions_are_no_further_evidence():
    spans = tuple(Span(k, k + 1, text, "x", 3.0 - k) for k, text in enumerate("加加微"))
    assert Explanation("x", 0.0, spans).strongest(2) == [spans[0], spans[2]]


class Text(html.parser.HTMLParser):
    """Collects the text of the fragment's paragraph, and refuses tags that `to_html` does not write."""

    def __init__(self):
        super().__init__()
        self.parts, self.inside = [], False

    def handle_starttag(self, tag, attrs):
        assert tag in {"div", "strong", "p", "mark", "br"}, (tag, attrs)
        assert {name for name, _ in attrs} <= {"style", "title"}
        self.inside |= tag == "p"
        if tag == "br":
            self.parts.append("\n")

    def handle_data(self, data):
        if self.inside:
            self.parts.append(data)


@given(st.one_of(texts, st.text("<>&\"'/ 稳赚不赔script\n\x1b\u202e", max_size=40)))
@settings(max_examples=200)
def test_html_shows_the_text_and_nothing_else(scanner, text):
    shown = to_html(scanner.classify(text))
    shown.encode()
    parser = Text()
    parser.feed(shown)
    parser.close()
    # a browser shows a literal line break as white space, so to_html writes none
    assert "".join(parser.parts) == printable(text)


def test_notebooks_show_results(scanner):
    result = scanner.with_thresholds(flag=0.5).classify(f"{LURE}<script>")
    shown = result._repr_html_()
    assert f"<strong>flag</strong> {result.label}" in shown
    assert "&lt;" in shown
    assert "<script" not in shown
    assert re.search(r'<mark style="background:#ffd9a0;[^"]*underline[^"]*" title="\+\d', shown)
    assert re.search(r'<mark style="background:#cfe3ff;[^"]*decoration:none[^"]*" title="-\d', shown)


@given(texts)
@settings(max_examples=100)
def test_terminals_get_colours_and_no_control_characters_of_the_text(scanner, text):
    shown = to_ansi(text, scanner.classify(text).explain())
    bare = re.sub("\x1b\\[(30;43|30;46|0)m", "", shown)
    assert bare == printable(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", bare)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_colours_depend_on_the_terminal_and_the_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured(Terminal())
    assert not coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(Terminal())
    monkeypatch.setenv("NO_COLOR", "")
    assert coloured(Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured(Terminal())


def test_the_command_writes_colours_to_a_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    assert main(["classify", LURE]) == 0
    strongest = fraudscan.classify(LURE).explain()[0].text
    assert f"\x1b[30;43m{strongest}\x1b[0m" in out.getvalue()


def test_weak_spans_are_not_coloured():
    spans = [Span(0, 1, "一", "x", 0.1), Span(1, 2, "二", "x", -1.0)]
    assert to_ansi("一二", spans) == "一\x1b[30;46m二\x1b[0m"


@pytest.mark.parametrize("character", "\u2028\u2029\u202e\u200b\x85")
def test_characters_that_break_lines_are_escaped(character):
    assert printable(f"a{character}b") == f"a{character.encode('unicode_escape').decode()}b"


def test_notebooks_show_notes_and_the_entry_of_a_list(scanner):
    shown = scanner.with_lists(Lists([Entry("deny", "在吗")])).classify("在吗")._repr_html_()
    assert shown.startswith("<div><strong>flag</strong> legitimate · ")
    assert " · too short to judge · deny 在吗<p>" in shown


def test_notebooks_show_which_label_an_honest_message_under_review_looks_like(scanner):
    doubting = scanner.with_thresholds(flag=1, review=0)
    doubted = doubting.classify("老师说群里发了资料，加微信领")
    assert doubted.label == "legitimate"
    assert f" · looks like {doubted.explain().label}<p>" in doubted._repr_html_()
    assert "looks like" not in doubting.classify(LURE)._repr_html_() + doubting.classify("")._repr_html_()


def test_quotes_in_html_are_escaped(scanner):
    assert '"x"' not in scanner.classify('加微信"x"稳赚不赔')._repr_html_()


def test_no_single_character_is_split_from_the_rest_of_its_clause(scanner, corpus):
    checked = 0
    for row in corpus[::1500]:
        spans = [span for span in scanner.classify(row.text).explain() if span.text.isalnum()]
        ends, starts = {span.end for span in spans}, {span.start for span in spans}
        for span in spans:
            checked += 1
            assert len(span.text) > 1 or not (span.start in ends or span.end in starts)
    assert checked > 200


def test_punctuation_is_not_among_the_strongest_evidence(scanner, corpus):
    explanations = [scanner.classify(row.text).explain() for row in corpus[::3000]]
    assert any(span.weight > 0 and not span.text.strip("，。！？；：、") for each in explanations for span in each)
    assert all(span.text.strip("，。！？；") for each in explanations for span in each.strongest(50))


def test_runs_of_letters_and_digits_are_cut_at_blanks_only(scanner):
    starts = np.array([0, 1, 3, 4, 5, 6])
    parts = Parts(np.zeros(6, dtype=np.int64), starts, starts + 1, np.array([6]))
    edges, marks, clauses = _edges(scanner.engine.vocabulary, ["ab c1好。"], parts)
    assert edges.tolist() == [True, False, True, False, True, True]
    assert marks.tolist() == [False, False, False, False, False, True]
    assert clauses.tolist() == [0, 0, 0, 0, 0, 1]


def test_numbers_are_not_cut(scanner):
    text = "返水1.2%，3,800元，23:40前。1.，2"
    parts = Parts(
        np.zeros(len(text), dtype=np.int64), np.arange(len(text)), np.arange(1, len(text) + 1), np.array([len(text)])
    )
    edges, marks, clauses = _edges(scanner.engine.vocabulary, [text], parts)
    words = "".join(("|" if edge else "") + character for edge, character in zip(edges, text, strict=True))
    assert words == "|返|水|1.2|%|，|3,800|元|，|23:40|前|。|1|.|，|2"
    assert [text[place] for place in marks.nonzero()[0]] == list("%，，。.，")
    assert clauses[text.index("3")] == clauses[text.index("元")]
    assert any("1.2%" in span.text for span in scanner.classify(text).explain())


def test_schemes_and_target_groups_are_explained(scanner):
    text = "叔叔阿姨，养老项目保本高息，现在投资每月返利8%"
    logits = dict(zip(scanner.heads, scanner.logits([text])[0], strict=True))
    for name in ("elder_project", "elderly", "gambling"):
        explanation = scanner.classify(text).explain(name)
        assert explanation.logit == pytest.approx(logits["fraud"] + logits[name], abs=1e-9)
        assert {span.label for span in explanation} == {explanation.label} == {name}
    assert scanner.classify(text).explain("investment") == explain(scanner, text, "investment")
    names = ", ".join(scanner.names)
    for name in ("fraud", ""):
        with pytest.raises(KeyError, match=f"nothing is called '{name}'; there are: {names}"):
            scanner.classify(text).explain(name)


def test_an_ngram_that_begins_before_the_window_counts_for_its_characters_inside():
    assert _spread([[(-2, 6.0)], [], [], [(3, 1.0)]], [False] * 4) == [6, 0, 0, 1]


def test_punctuation_has_a_share_only_in_an_ngram_of_nothing_else():
    assert _spread([[], [(1, 0.5)], [(0, 6.0), (1, 1.0)]], [False, True, True]) == [6, 1, 0.5]


def test_a_word_of_slightly_opposite_weight_stays_in_its_span():
    words = [(0, 2), (2, 4), (4, 6)]
    assert _join_clause(words, [0.5, 0.5, -0.05, -0.05, 0.5, 0.5]) == [(0, 6)]
    assert _join_clause(words, [0.5, 0.5, -0.5, -0.5, 0.5, 0.5]) == words
    assert _join_clause(words, [0.5, 0.5, 1e-18, 0.0, -0.5, -0.5]) == [words[0], words[2]]
