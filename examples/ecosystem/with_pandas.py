import pandas as pd

import fraudscan

messages = pd.read_json("examples/messages.jsonl", lines=True)
scored = fraudscan.load().annotate(messages, text="text")
flagged = scored[scored["fraud_verdict"] == "flag"].groupby("fraud_label").size()
print(sorted(flagged.items()))
