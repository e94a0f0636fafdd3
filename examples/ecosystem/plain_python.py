import json
from collections import Counter
from pathlib import Path

import fraudscan

lines = Path("examples/messages.jsonl").read_text("utf-8").splitlines()
texts = [json.loads(line)["text"] for line in lines]
results = fraudscan.load().classify_many(texts)
flagged = Counter(result.label for result in results if result.verdict == "flag")
print(sorted(flagged.items()))
