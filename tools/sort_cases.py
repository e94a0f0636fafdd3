"""Write down which messages of ``tests/cases`` the shipped model gets wrong; run by ``make cases``.

``tests/test_cases.py``, which says what wrong is, expects those of ``known_failures.json`` to
fail and all others to pass: run this after every ``make model``, look at what changed in it,
and write the card anew, which quotes them (``make card``).
"""

import json
import pathlib
import sys

import fraudscan

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from test_cases import CASES, fault, read_cases


def main() -> None:
    """Write ``known_failures.json`` and print what is in it."""
    scanner = fraudscan.load()
    faults = {case["id"]: fault(case, scanner) for case in read_cases()}
    known = [name for name, what in faults.items() if what]
    for case in read_cases():
        if case["id"] in known:
            print(f"{case['id']}  {case['label']}, not {faults[case['id']]}: {case['text']}")
    (CASES / "known_failures.json").write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    print(f"{len(known)} of {len(faults)} fail")


if __name__ == "__main__":
    main()
