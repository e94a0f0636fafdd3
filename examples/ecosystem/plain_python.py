import json
from collections import Counter
from pathlib import Path

import fraudscan

texts = [json.loads(line)["text"] for line in Path("examples/messages.jsonl").open(encoding="utf-8")]
results = fraudscan.load().classify_many(texts)
flagged = Counter(result.label for result in results if result.verdict == "flag")
print(sorted(flagged.items()))
