"""Score the example dump and show the number of messages per label, and why the highest scores are high.

Run it with ``make demo``.
"""

import collections
import json
import pathlib
import tempfile

import fraudscan
from fraudscan.dump import score_dump

HERE = pathlib.Path(__file__).resolve().parent


def main() -> None:
    """Score ``messages.jsonl`` as ``fraudscan score`` does, then print a table and the ten highest rows."""
    scanner = fraudscan.load()
    with tempfile.TemporaryDirectory() as folder:
        scored = pathlib.Path(folder) / "scored.jsonl"
        score_dump(scanner, [HERE / "messages.jsonl"], scored)
        rows = [json.loads(line) for line in scored.read_text("utf-8").splitlines()]

    counts = collections.Counter(row["fraud_label"] for row in rows)
    print(f"{len(rows)} messages from one phone, by label:\n")
    for label in scanner.taxonomy.labels:
        print(f"  {label.name:14}{counts[label.name]:5}  {label.zh}")

    print("\nThe ten highest scores, with the words that contributed most:\n")
    for row in sorted(rows, key=lambda row: -row["fraud_score"])[:10]:
        text = row["text"] if len(row["text"]) <= 50 else row["text"][:49] + "…"
        print(f"  {row['fraud_score']:.3f} {row['fraud_verdict']:7}{row['fraud_scheme']:17}{row['sender']}: {text}")
        spans = scanner.classify(row["text"]).explain().strongest()
        print("        " + "  ".join(f"{span.text!r} {span.weight:+.1f}" for span in spans))
    print("\nTo score your own dump:  .venv/bin/fraudscan score DUMP.jsonl -o SCORED.jsonl")


if __name__ == "__main__":
    main()
