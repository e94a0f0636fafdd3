r"""The character tables: what the model and the lists read each Unicode code point as.

The model's table unifies width and case, traditional and simplified characters, and circled and
other compatibility forms (NFKC). It reads Cantonese characters as the Mandarin ones that
they stand for, and every digit as ``0``. It drops white space, control and format
characters, combining marks, and code points that are no characters.

The table for lists goes less far, because an entry must not match what it does not say: what only stands for other
characters stays as it is (emoji, Cantonese characters, cheque numerals, and characters like ``⑩`` and ``㎏``, which
expand to several), and digits keep their value.

Both are built by ``tools/build_normalization.py`` from the data of Unicode and OpenCC.

White space and formatting that databases and web pages write as escapes or mark-up are dropped, too (`MARKUP`), and so
are the names of common stickers, which chat apps write in brackets.

>>> fold("加 ＶＸ：①⑧⑧， 投\u200b資理財")
'加vx:000,投资理财'
>>> fold(r"您好，\r\n请加微信<br />[玫瑰][玫瑰]")
'您好,请加微信'
"""

from __future__ import annotations

import re
import sys
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from fraudscan.lazy import shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fraudscan.arrays import Bools, Codes, Ints

__all__ = [
    "DROPPED",
    "MARKUP",
    "MARKUP_OPENERS",
    "NORMALIZATION_VERSION",
    "blocks_without_markup",
    "code_points",
    "concatenated",
    "fold",
    "fold_for_lists",
    "is_han",
    "is_latin",
    "normalization_table",
    "table_for_lists",
    "table_with_digits",
    "text_of",
    "text_sizes",
    "without_markup",
]

NORMALIZATION_VERSION = 7
"""Increased whenever the table changes, `MARKUP`, or the character that marks a disguised contact. A model works only
with the table that it was trained with. The weights of the shipped model were trained with an earlier
version, as its manifest says."""

DROPPED = 0
"""The table's value for dropped code points. U+0000 itself is dropped, so no kept character has this value."""

MARKUP_OPENERS = "<&\\["
"""The characters that `MARKUP` begins with."""

STICKERS = (
    # WeChat and QQ
    "微笑 撇嘴 发呆 得意 流泪 害羞 闭嘴 睡 大哭 尴尬 发怒 调皮 呲牙 惊讶 难过 冷汗 抓狂 吐 偷笑 可爱 愉快 "
    "白眼 傲慢 饥饿 困 惊恐 流汗 憨笑 悠闲 大兵 奋斗 咒骂 疑问 嘘 晕 折磨 衰 骷髅 敲打 再见 擦汗 抠鼻 鼓掌 "
    "糗大了 坏笑 左哼哼 右哼哼 哈欠 鄙视 委屈 快哭了 阴险 亲亲 吓 可怜 啤酒 咖啡 猪头 玫瑰 凋谢 示爱 嘴唇 "
    "爱心 心碎 蛋糕 闪电 瓢虫 便便 月亮 太阳 拥抱 强 握手 胜利 抱拳 勾引 拳头 差劲 爱你 飞吻 跳跳 发抖 怄火 "
    "转圈 磕头 回头 跳绳 挥手 激动 街舞 献吻 左太极 右太极 笑脸 生病 脸红 破涕为笑 恐惧 失望 无语 嘿哈 捂脸 "
    "奸笑 机智 皱眉 耶 吃瓜 汗 天啊 社会社会 旺柴 打脸 哇 翻白眼 让我看看 叹气 苦涩 裂开 合十 庆祝 鲜花 囧 "
    "表情 动画表情 贴图 表情包 sticker 龇牙 加油加油 一言难尽 失敬失敬 吃西瓜 强壮 鬼魂 无奈 卖萌 斜眼笑 托腮 "
    "喝彩 崇拜 敬礼 汪汪 辣眼睛 头秃 棒棒糖 "
    # Weibo and Bilibili
    "笑哭 呵呵 嘻嘻 哈哈 吃惊 挖鼻 馋嘴 爱你哦 泪 悲伤 怒 怒骂 喵喵 二哈 允悲 费解 思考 黑线 伤心 蜡烛 酸 "
    "抱抱 拜拜 哭 狗头 跪了 doge 笑cry 并不简单 话筒 威武 作揖 给力 中国赞 打call 羞嗒嗒 偷乐 阴险笑 憧憬 "
    "求饶 吐血 哼 嘘嘘 摊手 太开心 挤眼 祈祷 抱一抱 傻眼 揣手 捂嘴哭 流鼻血 good haha awsl 脱单doge 妙啊 滑稽 "
    "酸了 歪嘴 嗑瓜子 给心心 捂眼 藏狐 "
    # Douyin and Kuaishou
    "比心 送心 灵机一动 泪奔 舔屏 绝望的凝视 不失礼貌的微笑 吐舌 呆无辜 惊喜 紫薇别走 大笑 发光 去污粉 "
    "我想静静 撒花 玫瑰花 泣不成声 酷拽 尬笑 震惊 石化 小鼓掌 大金牙 黑脸 摸头 斜眼 鞠躬 抱抱你 求抱抱 "
    "一起加油 击掌 碰拳 加鸡腿 我酸了 给跪了 吃瓜群众 老铁 双鸡 星星眼 羞涩 礼花 红脸蛋 肌肉 "
    # Xiaohongshu
    "萌萌哒r 笑哭r 害羞r 偷笑r 飞吻r 石化r 哭惹r 赞r 派对r 暗中观察r 扯脸h 种草r 拔草r 吃瓜r 买爆r 皱眉r "
    "汗颜r 色色r 失望r 叹气r 黄金薯r 生气r 捂脸r 微笑r 大笑r 惊恐r 斜眼r 鄙视r 可怜r 抓狂r 流汗r 得意r 再见r "
    "睡觉r 抠鼻r 鼓掌r 拥抱r 合十r 爱心r 玫瑰r 哇r 庆祝r 蹲后续h 吐舌头h 吧唧r 喝奶茶r "
    # WeChat in English
    "smile grimace drool scowl coolguy sob shy silent sleep cry awkward angry tongue grin surprise frown "
    "blush scream puke chuckle joyful slight smug drowsy panic laugh commando scold shocked shhh dizzy "
    "toasted skull hammer bye speechless nosepick clap trick shrunken tearingup sly kiss whimper happy sick "
    "flushed lol terror hey facepalm smirk smart concerned yeah onlooker goforit sweat omg emm respect mybad "
    "wow rofl boring awesome letmesee sigh hurt broken lips heart brokenheart hug thumbsup thumbsdown shake "
    "peace salute beckon fist ok worship beer coffee cake rose wilt poop blessing pig waddle tremble twirl "
    "wave duh letdown sweats noprob keepfighting fight candle chick ruthless determined tormented shame yawn "
    "wrath ladybug pinky rockon inlove blowkiss kotow dramatic jumprope surrender hooray meditate smooch"
)
"""The names of common stickers, which chat apps write in brackets, in normalised characters. Names that say something
(红包, 钱, 赞) are left out, because brackets also disguise words: 点[赞]."""

MARKUP = frozenset(
    {
        r"\n",
        r"\r",
        r"\t",
        "&nbsp;",
        "&ensp;",
        "&emsp;",
        "&amp;nbsp;",
        "&quot;",
        "&lt;br&gt;",
        "&lt;br/&gt;",
        "<br>",
        "<br/>",
        "</br>",
        *(f"<{end}{tag}>" for tag in ("p", "div", "span", "b", "strong") for end in ("", "/")),
        *(f"[{name}]" for name in STICKERS.split()),
    }
)
"""Line breaks, white space, and other mark-up that says nothing, as databases, programs, web pages and chat apps write
it, in normalised characters. No string is the beginning of another one, nor longer than 16 characters (``_read.c``)."""

OPENERS = re.compile(f"[{re.escape(MARKUP_OPENERS)}]+")

BEGINNINGS = frozenset(markup[:size] for markup in MARKUP for size in range(1, len(markup) + 1))
"""What mark-up begins with, `MARKUP` itself included."""

OUTSIDE = re.compile("[0-9,.，。！？：是有在人这个上到说们]")
"""A frequent character that mark-up does not contain in any form."""

BLOCK = 1 << 16
"""How many characters are searched for mark-up at a time."""


@shared
def normalization_table() -> Codes:
    """Return the model's table as a read-only array: the normalised code point of each of the 0x110000 code points."""
    return _shipped("target")


@shared
def table_for_lists() -> Codes:
    """Return the table for lists as a read-only array. It also drops the mark of disguised contacts."""
    return _shipped("target_in_lists")


@shared
def table_with_digits() -> Codes:
    """Return the model's table, but with digits as lists read them, as a read-only array."""
    table = np.where(normalization_table() == ord("0"), table_for_lists(), normalization_table())
    table.setflags(write=False)
    return table


def unlisted() -> Codes:
    """Return what is read for the code points that the files do not list: the code points themselves.

    Dropped are halves of surrogate pairs (from U+D800), private use (to U+F8FF), and planes 4 to 16, which have no
    characters that anybody would see.
    """
    table = np.arange(sys.maxunicode + 1, dtype=np.int32)
    table[0xD800:0xF900] = table[0x40000:] = DROPPED
    return table


def _shipped(target: str) -> Codes:
    table = unlisted()
    path = resources.files("fraudscan.data").joinpath("normalization.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        table[arrays["source"]] = arrays[target]
    table.setflags(write=False)
    return table


def code_points(text: str) -> Codes:
    """Return the code points of ``text`` as a read-only array. Lone surrogates are treated like other code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.int32)


def text_sizes(texts: Sequence[str]) -> Ints:
    """Return the number of characters of each text."""
    return np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))


def concatenated(texts: Sequence[str]) -> tuple[Codes, Ints]:
    """Return the code points of ``texts``, each followed by a 0 as a separator, and the offsets of the separators.

    Mark-up is overwritten (see `without_markup`).
    """
    ends = text_sizes(texts).cumsum() + np.arange(len(texts))
    joined = "\0".join([*texts, ""])
    if _may_have_markup(joined):
        joined = "\0".join([*map(without_markup, texts), ""])
    return code_points(joined), ends


def is_han(codes: Codes) -> Bools:
    """Return a mask of the Chinese characters in Unicode's main block."""
    return (codes >= 0x4E00) & (codes <= 0x9FFF)


def is_latin(codes: Codes) -> Bools:
    """Return a mask of the Latin letters; after normalising, only lower-case ones are left."""
    return (codes >= ord("a")) & (codes <= ord("z"))


def text_of(codes: Codes) -> str:
    """Return the text that consists of ``codes``: the inverse of `code_points`."""
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


def fold(text: str) -> str:
    """Return ``text`` as the model's table reads it. The result is never longer; folding it again changes nothing."""
    return _fold(text, normalization_table())


def fold_for_lists(text: str) -> str:
    """Return ``text`` as lists read it. The result is never longer; folding it again changes nothing.

    >>> fold_for_lists("加 ＶＸ：①３８ 投資❤⑩㎏")
    '加vx:138投资❤⑩㎏'

    """
    return _fold(text, table_for_lists())


def _fold(text: str, table: Codes) -> str:
    codes = table[code_points(without_markup(text))]
    return text_of(codes[codes != DROPPED])


def without_markup(text: str) -> str:
    r"""Return ``text`` with each `MARKUP` overwritten by U+0000, which is dropped. Offsets stay the same.

    Mark-up may be written in any form, like everything else (``＜BR />``). It is not read as such inside or right after
    the beginning of other mark-up, so that dropping it does not create new mark-up.

    >>> without_markup("投资<br>理财")
    '投资\x00\x00\x00\x00理财'
    >>> without_markup("<<br>br>")
    '<<br>br>'

    """
    return "".join(blocks_without_markup(text, BLOCK)) if _may_have_markup(text) else text


def blocks_without_markup(text: str, size: int) -> Iterator[str]:
    """Yield what `without_markup` returns, in blocks of ``size`` characters, or more if mark-up may cross their end."""
    begin = 0
    while begin < len(text):
        block = text[begin : begin + size]
        if _may_have_markup(block):
            outside = OUTSIDE.search(text, begin + size)
            block = _overwritten(text[begin : outside.start() if outside else len(text)])
        yield block
        begin += len(block)


def _may_have_markup(text: str) -> bool:
    return any(map(text.__contains__, _openers()))


@shared
def _openers() -> str:
    """Return all characters that are read as one of `MARKUP_OPENERS`."""
    openers = np.isin(normalization_table(), [ord(opener) for opener in MARKUP_OPENERS])
    return text_of(openers.nonzero()[0].astype(np.int32))


def _overwritten(text: str) -> str:
    codes = code_points(text).copy()
    read = normalization_table().take(codes)
    kept = (read != DROPPED).nonzero()[0]
    characters = text_of(read[kept])
    end, barred = 0, -1
    while openers := OPENERS.search(characters, end):
        end = openers.end()
        begin = end - 1
        if openers.start() < begin:  # it is right after another one
            barred = begin
        while end < len(characters) and characters[begin : end + 1] in BEGINNINGS:
            end += 1
        if characters[begin:end] in MARKUP and begin != barred:
            codes[kept[begin:end]] = DROPPED
        else:
            barred = end
    return text_of(codes)
