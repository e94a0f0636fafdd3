import json
from collections import Counter
from pathlib import Path

import fraudscan
from fraudscan.sklearn import FraudClassifier

lines = Path("examples/messages.jsonl").read_text("utf-8").splitlines()
texts = [json.loads(line)["text"] for line in lines]
classifier = FraudClassifier.from_scanner(fraudscan.load())  # or FraudClassifier().fit(texts, labels)
legitimate = classifier.predict_proba(texts)[:, classifier.classes_.tolist().index("legitimate")]
sure = 1 - legitimate >= classifier.to_scanner().thresholds.flag
print(sorted(Counter(classifier.predict(texts)[sure].tolist()).items()))
