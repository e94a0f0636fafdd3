import polars as pl

import fraudscan

messages = pl.read_ndjson("examples/messages.jsonl")
scored = fraudscan.load().annotate(messages, text="text")
flagged = scored.filter(pl.col("fraud_verdict") == "flag").group_by("fraud_label").len()
print(sorted(flagged.rows()))
