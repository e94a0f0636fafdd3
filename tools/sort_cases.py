"""Write ``known_failures.json``: the messages of ``tests/cases`` that the shipped model gets wrong.

``tests/test_cases.py``, which defines what is wrong, expects the messages of that file to fail
and all others to pass. ``make cases`` runs this. Run it after every ``make model`` and look at
what changed in the file. Then write the card again (``make card``), because it quotes these messages.
"""

import json
import pathlib
import sys

import fraudscan

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from test_cases import CASES, fault, read_cases


def main() -> None:
    """Write ``known_failures.json`` and print the messages in it."""
    scanner = fraudscan.load()
    cases, known = read_cases(), []
    for case in cases:
        if found := fault(case, scanner):
            known.append(case["id"])
            print(f"{case['id']}  {'|'.join(case['labels'])}, not {found}: {case['text']}")
    (CASES / "known_failures.json").write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    print(f"{len(known)} of {len(cases)} fail")


if __name__ == "__main__":
    main()
