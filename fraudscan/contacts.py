"""Disguised contacts: what a lure needs most, and how it is written so that machines do not find it.

They are replaced by their names, each followed by a noncharacter that marks it as disguised.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from fraudscan.arrays import ranges
from fraudscan.characters import code_points
from fraudscan.survey import Mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fraudscan.lines import Lines

__all__ = ["CONTACT", "CONTACTS", "drop_misplaced", "name_contacts", "unmarked"]

CONTACT = "\ufdd0"
"""A noncharacter (The Unicode Standard, section 23.7). It follows a contact that was disguised: the disguise is
evidence by itself. It counts nowhere else (see `unmarked`)."""

CONTACTS = (
    ("微信", "[薇葳徽溦崴微威v]心信|[薇葳徽溦崴][信芯伈]|微[伈芯訫](?=[a-z0:号])|v[信心芯]"),
    # hearts are also behind names: 小薇❤
    ("微信", "[薇葳徽溦崴]心(?=[:=(【👉加是为搜]?(?:[a-z0]{5}|[a-z]+0|0+[a-z])|[号聊详群领备联]|同号|是?多少)"),
    ("微信", "(?<=[加+扫我师私换服信留])[薇葳徽溦崴]心|(?<=[我师你]的)[薇葳徽溦崴]心"),
    ("微信", "(?<=加)心v[信心芯]|[威维卫][信心](?=[:号]?[a-z0]{5})|微心(?=[:号]?[a-z0]{5})"),
    ("微信", "(?<=加)[薇葳溦崴徽威](?![信芯心风海廉尔])"),
    ("加微信", "十[薇葳溦崴徽威](?![信芯心风海廉尔])"),
    ("加微信", "加(?:[威维卫][信心]|卫星|绿泡泡?|小绿(?:书|泡泡?)?|绿色(?:软件|泡泡)|心(?=[:号]?[a-z0]{5}))"),
    ("加微信", "加卫(?=[:号]?(?:[a-z][a-z0]{4}|0{7}))"),
    ("qq", "[扣抠蔻][扣抠蔻]|球球(?=[:号]?0{5})|企鹅(?=[:号]?0{5})"),
    ("支付宝", "[支之知芝][付富傅][宝葆饱](?<!支付宝)"),
    ("抖音", "[抖斗][音阴因](?<!抖音)(?=[:号]?[a-z0]{5})"),
    ("群", "(?<=[进加入])裙|君羊"),
)
"""Contacts, which a lure needs most, and how they are disguised: names, and patterns of normalised text. They are tried
where the table of neighbours has a pair that reveals a disguised contact (``tools/build_disguise.py``)."""

ACCOUNT = ":?[a-z0]{5}"
"""Pattern of what follows a contact: an account."""

WORDS = (
    f"(?<=[增参更附施追强愈倍叠累])加(?!绿泡泡|(?:[威维卫][信心]|心)号?{ACCOUNT}|(?<=参加)[威维卫][信心]群)",
    "(?<=[增参更附施追强愈倍叠累]加)[薇葳溦崴徽威](?![信芯心伈])|(?<=[增更追叠]加)裙",
    "(?<=[一二三四五六七八九几第])十",
    "[加十]?(?:威[胁慑望严武猛士化尼亚灵斯力势震逼吓露刚孚]|徽[章标州派菜商墨剧酒]|维信诺|薇(?:诺娜|[娅姿婷](?!老师|姐)))",
    "加?卫星(?:定位|导|云|电[视话]|通[信讯话]|天线|频道|网络|信号|广播|地图|遥感|互联|厅)",
    "加?(?:小绿[植萝豆瓶管伞叶芽点]|绿泡(?:[沫椒菜面腾]|泡[糖机浴])|绿色泡泡[纸膜袋浴])",
    f"(?<=[安国党校团队警帽会军])徽(?!信号?{ACCOUNT})|(?<=[蔷紫采])薇|(?<=参)崴|(?<!加)薇信任(?!务)",
    f"v芯片|(?<=0)v(?:信号|心形)(?!{ACCOUNT})",
    f"(?<=[a-uw-z])v[信心](?!号?{ACCOUNT})|(?<=[大蓝黄金])v信[息认用任]|(?<=大)v心声",
    f"扣扣[子好上错紧](?!{ACCOUNT})|抠抠[搜索](?!索?{ACCOUNT})",
    "裙(?:[子摆带装裤撑房]|楼(?![主上下]))",
)
"""Patterns of ordinary words, in which there is no disguised contact: 增加威胁, 参加卫星发射, 安徽信用, RISC-V芯片."""

REACH = 12
"""How many characters a pattern may look at, from a mark on: more than any of `CONTACTS` needs."""


def unmarked(texts: Sequence[str]) -> Sequence[str]:
    """Return texts with a dropped character in place of each `CONTACT` that does not follow a contact's name.

    Anybody could write it, to make a message suspicious. After a name it stays, as repaired texts have it there.
    """
    if not any(CONTACT in text for text in texts):
        return texts
    return [_misplaced().sub("\0", text) for text in texts]


@cache
def _misplaced() -> re.Pattern[str]:
    """Return a pattern of each `CONTACT` that does not follow a contact's name, where repair would have put it."""
    return re.compile("".join(f"(?<!{name})" for name, _ in CONTACTS) + CONTACT)


def name_contacts(lines: Lines) -> Lines:
    """Replace disguised contacts by their names, each followed by `CONTACT`."""
    places = lines.survey.places(Mark.CONTACT).tolist()
    if not places:
        return lines
    edits = list(_named_contacts(lines.joined, places))
    if not edits:
        return lines
    begin, end = np.array([edit[:2] for edit in edits]).T
    sizes = np.array([len(edit[2]) for edit in edits])
    counts = np.ones(lines.codes.size, dtype=np.int64)
    counts[ranges(begin, end)[0]] = 0
    counts[begin] = sizes
    ends = lines.ends.copy()
    ends[begin] = ends[end - 1]
    source = np.arange(counts.size).repeat(counts)
    codes = lines.codes[source]
    first = (np.cumsum(counts) - counts)[begin]
    codes[ranges(first, first + sizes)[0]] = code_points("".join(edit[2] for edit in edits))
    changed = np.zeros(lines.bounds.size, dtype=bool)
    changed[lines.bounds.searchsorted(begin)] = True
    return replace(lines.take(source), codes=codes, ends=ends[source]).resurveyed(lines, source, changed)


def _named_contacts(text: str, places: Iterable[int]) -> Iterator[tuple[int, int, str]]:
    """Yield the begins and ends of the disguised contacts next to ``places``, in order, and what is read there."""
    known = frozenset(_contacts().pattern)
    done = 0
    for place in places:
        if not known.issuperset(text[place : place + 2]):
            continue  # another pair of rare characters: they share a number
        tried = (_contacts().match(text, start, place + REACH) for start in range(max(done, place - 1), place + 2))
        match = next(filter(None, tried), None)
        if match and match.lastindex:
            done = match.end()
            yield match.start(), done, CONTACTS[match.lastindex - 1][0] + CONTACT


@cache
def _contacts() -> re.Pattern[str]:
    patterns = "|".join(f"({pattern})" for _, pattern in CONTACTS)
    return re.compile(f"(?!{'|'.join(WORDS)})(?:{patterns})")


def drop_misplaced(lines: Lines) -> Lines:
    """Drop each `CONTACT` whose contact is read otherwise now."""
    places = (lines.codes == ord(CONTACT)).nonzero()[0].tolist()
    text = lines.joined if places else ""
    misplaced = [place for place in places if _misplaced().match(text, place)]
    if not misplaced:
        return lines
    kept = np.ones(lines.codes.size, dtype=bool)
    kept[misplaced] = False
    return lines.keep(kept)
