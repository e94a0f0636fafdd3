"""Repair of disguises: what it undoes, what it leaves alone, and the offsets of characters in the original."""

import dataclasses
import pathlib
import random
import re
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fraudscan
from fraudscan import augment, disguise
from fraudscan.characters import fold
from fraudscan.contacts import CONTACT, CONTACTS, unmarked
from fraudscan.disguise import MAX_REPAIRED, MAX_WRITTEN, normalize, undisguise
from fraudscan.lists import Entry, Lists
from fraudscan.neighbours import INTERJECTIONS, tables

CASES = pathlib.Path(__file__).parent / "cases"


def lines(name):
    text = (CASES / name).read_text("utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("# ")]


ORDINARY = lines("ordinary.txt")
KNOWN_FAILURES = [pytest.param(text, marks=pytest.mark.xfail) for text in lines("known_failures.txt")]
DISGUISED = [line.split(" => ") for line in lines("disguised.txt")]
KNOWN_DISGUISED = [pytest.param(*line.split(" => "), marks=pytest.mark.xfail) for line in lines("known_disguised.txt")]


@pytest.mark.parametrize("text", [*ORDINARY, *KNOWN_FAILURES])
def test_ordinary_text_is_left_alone(text):
    read = normalize(text)
    assert read.repairs == ()
    assert read.text == fold(text)


def test_there_are_enough_ordinary_cases():
    assert len(set(ORDINARY)) >= 300


@pytest.mark.parametrize(("text", "expected"), [*DISGUISED, *KNOWN_DISGUISED])
def test_disguised_text_is_repaired(text, expected):
    assert normalize(text).text.replace(CONTACT, "") == expected


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("请➕威信油", "请加微信@油"),  # the mark is not read as what the replaced picture stands for
        ("需要资料➕维心速来", "需要资料加微信@速来"),
        ("请加薇详聊", "请加微信@详聊"),
        ("十薇详聊", "加微信@详聊"),
        ("参加薇信群领红包", "参加微信@群领红包"),
        ("欢迎参加维信群", "欢迎参加微信@群"),
        ("参加威信:abc12345", "参加微信@:abc00000"),
        ("附加扣扣12345678", "附加qq@00000000"),
        ("请参加裙聊", "请参加群@聊"),
        ("日结300十薇详聊", "日结000加微信@详聊"),
        ("加卫星通过验证即领", "加微信@通过验证即领"),
        ("日赚500v信号tt123", "日赚000微信@号tt000"),
        ("jiav信号abc123", "jia微信@号abc000"),
        ("人在安徽，徽信abc123", "人在安徽,微信@abc000"),
        ("薇❤abc123", "微信@abc000"),
        ("有意加薇❤", "有意加微信@"),
        ("客服薇❤👉abc123", "客服微信@👉abc000"),
        ("你的薇❤是多少", "你的微信@是多少"),
        ("嘉薇❤ y403", "嘉微信@y000"),
        ("长期 薇❤:9kx▇▇", "长期微信@:0kx▇▇"),
        ("日结，加薇信任务已发放", "日结,加微信@任务已发放"),
        ("有薇信任务详聊", "有微信@任务详聊"),
        ("佣金V信结算", "佣金微信@结算"),
        ("兼职加小绿联系", "兼职加微信@联系"),
        ("进裙楼主发红包", "进群@楼主发红包"),
        ("加薇娅老师领福利", "加微信@娅老师领福利"),
        ("加老师薇❤领资料", "加老师微信@领资料"),
        ("大家加V芯abc123", "大家加微信@abc000"),
        ("想学的➕卫ab12345", "想学的加微信@ab00000"),
        ("想学的加绿泡，细聊", "想学的加微信@,细聊"),
        ("想学的加绿色泡泡", "想学的加微信@"),
        ("想学的加小绿聊", "想学的加微信@聊"),
        ("想学的加小绿书，细聊", "想学的加微信@,细聊"),
        ("想学的加小绿泡泡ab12345", "想学的加微信@ab00000"),
    ],
)
def test_a_disguised_contact_is_named_and_marked_once(text, read):
    assert normalize(text).text.replace(CONTACT, "@") == read


@pytest.mark.parametrize(
    "text",
    [
        *("此举将增加威胁", "参加卫星发射", "领导要增加威信", "更加威武", "参加徽州文化节"),
        *("加威士忌和冰块", "添加徽章", "加卫星定位功能", "新加小绿植摆在窗台"),
        *("集齐二十徽章", "第十威望等级", "输出5V信号给控制器", "扣扣子", "装进裙子口袋"),
        *("附近KTV信息汇总", "CCTV信号中断了", "新款SUV信贷方案", "看个MV心情好多了", "这人抠抠搜搜的"),
        *("小米SUV心形车灯", "再加威灵仙10克", "加徽派建筑元素", "加卫星云图", "加入裙摆", "纽扣扣好"),
        *("凑单再加威露士洗衣液", "技能加威力加成", "满减加薇诺娜面膜", "沙拉加小绿叶点缀", "加小绿管防晒"),
        *("宴席加徽酒两瓶", "家里加卫星天线", "套餐加卫星频道", "从侧门进裙楼", "加裙撑更蓬", "加绿泡椒", "加绿泡泡糖"),
        *("安徽信用担保集团招聘", "安徽心血管病医院", "安徽芯片产业园", "头顶国徽心怀人民", "海参崴信号不好"),
        *("采薇信步河边", "紫薇心里有数", "佳薇信任大家", "RISC-V芯片", "5V芯片", "12V心形灯带", "蓝V信息认证"),
        *("生日快乐小薇❤️", "想你了薇薇💗晚安", "祝薇薇❤️2026新年快乐", "致薇薇❤️:新婚快乐"),
        *("厨房加卫15000元全包装修", "包装加绿色泡泡膜", "加绿泡腾片", "加威刚内存条", "重仓加维信诺", "大V信用好"),
    ],
)
def test_ordinary_words_are_no_disguised_contact(text):
    assert normalize(text).repairs == ()


FILLED = "跟着老师操作稳赚不赔，加微信进内部群每天领取返利"


@pytest.mark.parametrize(
    "filler",
    [
        *".*-=@❤①ⓐx1口龘〇𠀀あдㅋㄅ",
        "....",
        ".........",
        "——",
        "“”",
        "》《",
        "*-*-",
        "[1]",
        "(a)",
        " ab ",
        "<i class=x>",
        "🇨",
    ],
)
def test_whatever_stands_between_all_characters_is_dropped(filler):
    read = normalize(filler.join(FILLED)).text
    assert re.sub("[^\u4e00-\u9fff]", "", read) == re.sub("[^\u4e00-\u9fff]", "", FILLED)
    assert len(read) <= len(FILLED) + 3 * len(filler)  # around the comma some of it may be left


@pytest.mark.parametrize("word", ["加微信", "·加微信·", "(稳赚)", "[稳赚]", "1稳1赚1"])
def test_words_between_the_characters_of_a_text_are_kept(word):
    carrier = "今天天气很好我们一起去公园放风筝吃完晚饭再回家看电视"
    read = normalize("".join(c + word for c in carrier)).text
    assert all(read.count(c) >= len(carrier) for c in word if c >= "一")


@pytest.mark.parametrize("filler", [*".1x"])
@pytest.mark.parametrize("every", [2, 3])
def test_not_all_gaps_need_be_filled(filler, every):
    text = "跟着老师操作稳赚不赔加微信进内部群每天领取返利" * 2
    filled = "".join(c + filler * (place % every == 0) for place, c in enumerate(text))
    assert normalize(filled).text == text


@pytest.mark.parametrize(
    "fillers",
    [
        "0123456789",
        "abcdefghijklmnopqrstuvwxyz",
        "あいうえおカキクケコ",
        "가나다라마바사",
        "ㄨㄣㄓㄢㄊㄡㄗ",
        INTERJECTIONS,
    ],
)
def test_fillers_may_differ(fillers):
    rng, text = random.Random(1), "跟着老师操作稳赚不赔加微信"
    assert normalize("".join(c + rng.choice(fillers) for c in text)).text == text


@pytest.mark.parametrize("sign", [*"·。/★、"])
def test_a_sign_in_every_gap_is_dropped_even_if_it_separates_lists(sign):
    text = "跟着老师操作稳赚不赔加微信进内部群每天领取返利" * 2
    assert normalize(sign.join(text)).text == text


@pytest.mark.parametrize("sign", [*"·。/★"])
def test_a_sign_in_every_gap_is_dropped_where_words_are_disguised_in_another_way(sign):
    spelled = "为了苞怔您得资金鞍全，倾把银邢卡里得谦转到安全账户"
    assert (
        normalize(sign.join(spelled)).text
        == normalize(spelled).text
        == "为了保证您的资金安全,请把银行卡里的钱转到安全账户"
    )


@pytest.mark.parametrize("numbered", ["{}.{}\n", "{}){}"])
def test_numbers_of_words_are_dropped_although_they_get_longer(numbered):
    text = "跟着老师操作稳赚不赔请加微信进内部群每天领取返利本金随时可提"
    words = [text[max(at, 0) : at + 2] for at in range(-1, len(text), 2)]
    read = normalize("".join(numbered.format(*item) for item in enumerate(words, 1))).text
    assert read.lstrip("0.)") == text


def test_a_list_separator_after_numbers_is_dropped_with_them():
    text = "跟着老师操作稳赚不赔请加微信进内部群"
    assert normalize("".join(f"{number}、{c}" for number, c in enumerate(text, 1))).text.lstrip("0、") == text


def in_columns(text, rows):
    """Write a text from top to bottom, in columns from left to right."""
    columns = [text[at : at + rows].ljust(rows, "　") for at in range(0, len(text), rows)]
    return ["".join(row) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize(
    "written",
    [
        FILLED[::-1],
        "\u202e" + FILLED[::-1],
        *("\n".join(in_columns(FILLED, rows)) for rows in (3, 6, 12)),
        "\r\n".join(row[::-1] for row in in_columns(FILLED, 6)),
        "\r".join(in_columns(FILLED, 6)),
        "\n".join("\u200b" * i + row[:2] + "\0" + row[2:] for i, row in enumerate(in_columns(FILLED, 6))),
    ],
)
def test_text_written_backwards_or_in_columns_is_put_in_order(written):
    read = normalize(written)
    assert read.text == fold(FILLED)
    assert [(repair.text, repair.read_as) for repair in read.repairs] == [(written.lstrip("\u202e"), read.text)]
    ordinary = "到楼下了，下来拿一下。\n今天风大多穿点。"
    assert undisguise([ordinary, written, ordinary, FILLED]) == [ordinary, read.text, ordinary, FILLED]
    assert {span.text for span in fraudscan.classify(written).explain()} <= {repair.text for repair in read.repairs}


HARMLESS = "今天天气真好，下午带孩子去公园玩了一圈，回来路上买了点菜，晚上准备做红烧肉，你要不要过来一起吃？" * 2


@pytest.mark.parametrize("first", [True, False])
def test_a_lure_beside_a_harmless_text_that_is_written_backwards_is_read(first):
    text = f"{FILLED}\n{HARMLESS[::-1]}" if first else f"{HARMLESS[::-1]}\n{FILLED}"
    read = normalize(text).text
    for part in ("老师操作稳赚不赔,加微信进内部群每天领取", "好,下午带孩子去公园玩了一圈,回来路上买了点菜"):
        assert part in read
    assert undisguise(["到楼下了", text, FILLED[::-1], text]) == ["到楼下了", read, fold(FILLED), read]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("跟着老湿操作稳撰不赔，加徽信进内部裙，每天领曲返力", "跟着老实操作稳赚不赔,加微信@进内部群,每天领取返利"),
        (
            "x".join("跟着老师操作稳赚不赔，加微信进内部群，每天领取返利"),
            "跟着老师操作稳赚不赔,加微信进内部群,每天领取返利",
        ),
        ((FILLED * 2)[::-1], fold(FILLED)),
    ],
)
def test_a_disguised_lure_is_read_in_a_long_harmless_text(written, read, before):
    other = HARMLESS * 2
    text = f"{other}\n{written}。" if before else f"{written}。\n{other}"
    found = normalize(text)
    assert read in found.text.replace(CONTACT, "@")
    assert fold(other)[:-20] in found.text or fold(other)[20:] in found.text
    begin = text.index(written)
    assert all(begin <= repair.start < repair.end <= begin + len(written) + 1 for repair in found.repairs)
    assert undisguise([text, "到楼下了", text]) == [found.text, "到楼下了", found.text]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_text_that_is_put_in_order_twice_is_read(end):
    # its first character stood near the end before; lines count from the one that stood first
    turned = (
        "\0提随利领提随利领提随利领\n可金返天可金返天可金返天\n时本取每时本取每时本取每𠀀ㄅ户账实核台平录登快尽请，好您"
    )
    read = normalize(turned + end).text
    assert read.startswith("您好,请尽快登录平台核实账户")
    assert normalize(read).text == read


@pytest.mark.parametrize("text", ["雾锁山头山锁雾，天连水尾水连天", "呜呼！孰知赋敛之毒有甚是蛇者乎"])
@pytest.mark.parametrize("times", [2, 3])
def test_lines_that_recur_are_not_read_in_columns(text, times):
    assert normalize("\n".join([text] * times)).text == times * fold(text)


@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from(["<br>", "[强]", "&nbsp;", "\\n", "🧱", "🔓", "1️⃣", "7", "\0", "\u3000", "薇芯", "ㄅ"]),
        max_size=5,
    ),
    st.sampled_from([0, 3, 6]),
    st.sampled_from([0, 3, 6]),
    st.randoms(),
)
def test_texts_that_were_put_in_order_are_not_changed_again(insertions, rows, more, random):
    text = list(FILLED * 2)
    for each in insertions:
        text.insert(random.randrange(len(text)), each)
    written = "".join(text)
    if more:
        written += "\n".join(in_columns(FILLED * 2, more))
    written = "\n".join(in_columns(written, rows)) if rows else written[::-1]
    read = normalize(f"{written}\n").text
    assert normalize(read).text == read


def test_the_mark_of_a_contact_that_is_read_otherwise_in_the_end_is_dropped():
    read = normalize("言1薇芯亻言0薇芯1亻言3薇芯0亻言0薇信xx亻言y薇芯2x0亻言0芯0x进亻言拿人言快人言用").text
    assert normalize(read).text == read


def test_lists_see_the_numbers_of_texts_that_are_put_in_order():
    written = "9" + (FILLED + "，电话13800138000")[::-1]
    for number, rule in (("99999999999", None), ("13800138000", "deny 电话13800138000")):
        lists = Lists([Entry("deny", f"电话{number}")])
        assert fraudscan.load().with_lists(lists).classify(written).rule == rule


def test_addresses_and_numbers_among_fillers_stay():
    text = "x".join("百家乐老虎机足球一号通") + "https://m.dmnp-58.cn退回"
    assert "https" in normalize(text).text
    text = "1".join("跟着老师操作稳赚不赔加微信") + "13800138000详聊"
    assert normalize(text).text == "跟着老师操作稳赚不赔加微信00000000000详聊"


@pytest.mark.parametrize(
    "text",
    [
        "2024年5月6日8时30分，2024年5月7日9时15分",
        "甲1乙2丙3丁4戊5己6庚7辛8壬9癸10",
        "周一3节周二4节周三2节周四5节周五1节周六0节",
        "鼠、牛、虎、兔、龙、蛇、马、羊、猴、鸡、狗、猪、鼠、牛、虎。",
        "鸡、鸭、鱼、肉、蛋、奶、米、面、油、盐、酱、醋、茶、葱、姜、蒜",
        "赵、钱、孙、李、周、吴、郑、王、冯、陈、褚、卫、蒋、沈、韩、杨、朱、秦、尤、许",
        "哈哈哈哈哈哈哈哈哈哈哈哈哈哈",
        "鸡2斤鱼3条肉1块蛋9个米5斗油2桶盐1包糖4袋",
    ],
)
def test_ordinary_text_in_which_something_recurs_is_left_alone(text):
    assert normalize(text).text == fold(text)


@pytest.mark.parametrize("padding", ["。" * 4200, "a" * 5000, "\u200b" * 10_000, "\ue000" * 5000])
def test_padding_does_not_prevent_repair(padding):
    assert normalize("投·资·理·财，稳·赚·不·赔" + padding).text.startswith("投资理财,稳赚不赔")
    assert normalize("投·资·理·财，稳·赚·不·赔" + "。" * MAX_WRITTEN).repairs == ()


@pytest.mark.parametrize("text", ["您的快递已到菜鸟驿站，请凭取件码领取", "加微信进群", "\ufdd0"])
def test_the_mark_of_repair_cannot_come_from_outside(text):
    marked = CONTACT.join(text)
    assert normalize(marked).text == fold(text).replace(CONTACT, "")
    assert fraudscan.classify(marked).score == fraudscan.classify(text.replace(CONTACT, "")).score


def spellings(pattern):
    """Yield texts that contain what a pattern of contacts matches, which is some of its characters in order."""
    characters = [c for c in pattern if c.isalpha()]
    found = dict.fromkeys("".join(chosen) for size in (1, 2, 3, 4, 5) for chosen in combinations(characters, size))
    for spelling in found:
        for before, after in (("", "聊"), ("加", "聊"), ("进", "聊"), ("", "ab0000"), ("加", "ab0000")):
            if re.compile(f"(?:{pattern})(?={after}$)").match(before + spelling + after, len(before)):
                yield before + spelling + after


@pytest.mark.parametrize(("name", "pattern"), CONTACTS)
def test_every_spelling_of_a_contact_is_read(name, pattern):
    texts = list(spellings(pattern))
    assert texts
    assert [text for text in texts if name + CONTACT not in normalize(f"请{text}").text] == []


def test_a_character_has_its_own_sound_and_not_that_of_a_variant():
    """叄 is normalized to 三, and 閤 to 合, but their sounds are not used."""
    syllables = {row: syllable for syllable, row in tables().syllables.items()}
    assert [syllables[int(tables().sound[ord(c)])] for c in "三合么查"] == ["san", "he", "me", "cha"]


PIECES = [
    *"稳赚不赔加薇信群裙贝才月艮务转陪·.*-_|~、，。😊🎉❤➕",
    "tou",
    "zi",
    "zhuan",
    "w",
    "x",
    "VX",
    "\u200b",
    "\0",
    " ",
    "\ud800",
    *("A：", "b：", "B.", "A", "b", "L码", "m码"),
    *("<br>", "<", "&nbsp;", "\\", "[玫瑰]", "["),
]
texts = st.one_of(
    st.text(st.characters(), max_size=40),
    st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=40),
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.text(st.sampled_from(sorted({c for line in ORDINARY for c in line})), max_size=60),
    st.text(st.characters(min_codepoint=0xF0000, max_codepoint=0xF2010), max_size=10),  # private use, mostly dropped
    st.lists(st.sampled_from([FILLED, HARMLESS, *PIECES]), min_size=2, max_size=20).map("".join),  # in several parts
)


@given(texts)
@settings(max_examples=1000)
def test_normalizing_is_idempotent_and_bounded(text):
    read = normalize(text)
    assert normalize(read.text).text == read.text
    assert len(read.text) <= 4 * len(text)
    assert fold(read.text) == read.text


@given(texts)
@settings(max_examples=500)
def test_offsets_lie_in_the_original_and_ascend(text):
    read = normalize(text)
    assert len(read.starts) == len(read.ends) == len(read.text)
    offsets = list(zip(read.starts.tolist(), read.ends.tolist(), strict=True))
    assert all(0 <= start < end <= len(text) for start, end in offsets)
    assert all(a <= b and (a == b or end <= b) for (a, end), (b, _) in pairwise(offsets))
    for repair in read.repairs:
        assert text[repair.start : repair.end] == repair.text
    untouched = set(range(len(text))) - {i for r in read.repairs for i in range(r.start, r.end)}
    for character, (start, end) in zip(read.text, offsets, strict=True):
        if start in untouched:
            assert end == start + 1
            assert character == fold(text[start])


@given(st.lists(texts, max_size=20))
@settings(max_examples=200)
def test_repair_does_not_depend_on_the_batch(batch):
    together = undisguise(unmarked(batch))
    assert list(map(fold, together)) == [normalize(text).text for text in batch]


@given(st.lists(texts, max_size=20))
@settings(max_examples=200)
def test_texts_without_marks_are_returned_as_the_same_objects(batch):
    for before, after in zip(batch, undisguise(batch), strict=True):
        assert after is before or normalize(before).text == after


def test_long_texts_are_not_repaired():
    text = "稳·赚·不·赔，加薇信。" * 50
    assert normalize(text).repairs
    assert normalize(text * (MAX_REPAIRED // len(text) + 1)).repairs == ()
    assert normalize("\u200b" * MAX_REPAIRED + text).text == normalize(text).text


def test_the_longest_text_that_is_repaired():
    text = "稳·赚·不·赔，加薇信。" * 50
    whole = (text + "今天天气不错" * MAX_REPAIRED)[:MAX_REPAIRED]
    assert normalize(whole + "\u200b").repairs
    assert normalize(whole + "好").repairs == ()


def test_repair_that_does_not_converge_is_dropped(monkeypatch):
    def unstable(lines):
        codes = lines.codes.copy()
        codes[-2] ^= 1  # the last character
        return dataclasses.replace(lines, codes=codes)

    text = "稳·赚·不·赔，加薇信"
    monkeypatch.setattr(disguise, "_round", unstable)
    assert normalize(text).text == fold(text)


@pytest.mark.parametrize("tail", ["哈" * 20, "。" * 20, "-" * 40])
def test_what_is_scored_is_what_normalize_returns(scanner, corpus, tail):
    """Whether a text carries marks of disguise is decided after repetitions are cut, which count for or against it."""
    rng = random.Random(tail)
    texts = [augment.disguise(row.text, rng) + tail for row in rng.sample(corpus, 1200)]
    readings = scanner.engine.judge(texts, readings=True).readings
    assert sum(read is not None for read in readings.values()) > 200
    for place, text in enumerate(texts):
        read = readings.get(place)
        assert normalize(text).text == (read.text if read else fold(text))


def test_a_private_use_character_is_no_disguise(scanner):
    """GB18030 can encode U+E000, the first of them."""
    assert normalize("加微信\ue000").repairs == ()
    assert scanner.classify("您好，请加微信\ue000").score == scanner.classify("您好，请加微信\ue001").score


def test_normalized_lists_its_repairs():
    read = fraudscan.normalize("您好，加薇信：abc")
    assert [(r.start, r.end, r.text) for r in read.repairs] == [(4, 6, "薇信")]
    assert read.repairs[0].read_as == "微信" + CONTACT
    assert fraudscan.normalize("投資１００").repairs == ()
    assert read != fraudscan.normalize("您好，加薇信：abc")  # compared by identity: arrays have no single truth value


def test_evidence_spans_match_the_original(scanner):
    text = "跟着老师·操·作，稳·赚·不·赔，➕薇❤，tou·zi·返·利"
    spans = scanner.classify(text).explain()
    assert spans
    for span in spans:
        assert text[span.start : span.end] == span.text
    assert any("稳·赚" in span.text for span in spans)


def test_disguise_does_not_change_the_label(scanner):
    clean = scanner.classify("跟着老师操作稳赚不赔，加微信进内部群，每天领取返利，本金随时可以提现")
    for text in (
        "跟着老势操作稳转不陪，加薇信进内部裙，霉天领取返利，本金随时可以提现",
        "跟着老师·操作稳·赚不·赔，加·微信进·内部群，每天·领取返·利，本金·随时可·以提现",
        "跟着老師操作穩賺不賠，加微信進內部群，每天領取返利，本金隨時可以提現",
        "跟着老师操作wen赚bu赔，加wei信进内部qun，每天领取fan利，ben金随时可以ti现",
    ):
        assert scanner.classify(text).label == clean.label == "investment"
