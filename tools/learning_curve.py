"""Train on a quarter and a half of the corpus, and measure both models and the shipped one, which is trained on all.

The table is written into ``corpus/README.md`` and shows whether more data would help. ``make learning-curve``
runs this. It needs the evaluation sets beside a developer's checkout (``../shared/eval``), which users do not have.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from check_corpus import CORPUS, DATASHEET, with_table

from fraudscan import load
from fraudscan.corpus import read_corpus
from fraudscan.train import groups, train

EVALUATE = CORPUS.parent.parent / "shared" / "eval" / "evaluate.py"
BEGIN, END = "<!-- table: tools/learning_curve.py -->\n", "<!-- end of curve -->\n"
SHARES = (0.25, 0.5, 1.0)


def main() -> None:
    """Measure the models and write the table."""
    rows = read_corpus([CORPUS])
    numbers = groups(rows)
    order = list(range(max(numbers) + 1))
    random.Random(0).shuffle(order)  # noqa: S311 - a fixed sample, not a secret
    rank = {number: place / len(order) for place, number in enumerate(order)}
    lines = [
        "| share | messages | held-out macro-F1 | evaluation macro-F1 | AUC | recall at 1 % false alarms |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for share in SHARES:
        part = [row for row, number in zip(rows, numbers, strict=True) if rank[number] < share]
        scanner = train(part) if share < 1 else load()  # a test checks that the shipped model matches the corpus
        with tempfile.TemporaryDirectory() as folder:
            scanner.save(Path(folder) / "model")
            command = f"{sys.executable} -m fraudscan score {{input}} -o {{output}} -m {folder}/model"
            out = Path(folder) / "figures.json"
            call = [sys.executable, EVALUATE, "--command", command, "--json", out]
            subprocess.run(call, check=True, capture_output=True)  # noqa: S603 - our own command
            found = json.loads(out.read_text())
        held_out = scanner.manifest["figures"]["macro_f1"]
        figures = (found["macro_f1"], found["auc"], found["recall_at_fpr_0.01"])
        lines.append(f"| {share:.0%} | {len(part):,} | " + " | ".join(f"{x:.3f}" for x in (held_out, *figures)) + " |")
        print(lines[-1])
    DATASHEET.write_text(with_table(BEGIN, "\n".join(lines) + "\n", END), "utf-8")


if __name__ == "__main__":
    main()
