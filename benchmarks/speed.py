"""Speed against peers, growth and memory: ``make bench`` (extras ``bench`` and ``tables``).

Everything is measured in one run on one core, in CPU time, interleaved (each round runs
every contender once), and reported as the median of the rounds:

a. jieba + TfidfVectorizer + OneVsRest(LogisticRegression), the usual pipeline, batched and one by one;
b. HashingVectorizer (characters, n = 1-3) and one dot product with a weight matrix that has as many heads as ours;
c. fastText supervised, on raw strings and on characters separated by spaces, all labels;
d. the floor: joining and encoding the strings, which is the least that reading them in NumPy takes;
e. ours, with every head of the shipped model, batched and one by one; the same without the compiled kernel (NumPy
   alone), and with SciPy's sparse product in place of NumPy's sums.

Two workloads, an SMS dump and a chat export, are cut from the corpus (or from ``--data
FILE``, JSON lines with ``text``). The slow contenders run on a random part
of the messages; times are per message. The cost of undoing disguises is measured on SMS only. The quality of ours
and of (a) is measured on messages outside the corpus. Results go to ``benchmarks/results.json`` and
``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402 - libraries read these variables when they are loaded
import perturb  # noqa: E402

import fraudscan  # noqa: E402
from fraudscan import kernel  # noqa: E402
from fraudscan.card import read_sets  # noqa: E402
from fraudscan.corpus import read_corpus  # noqa: E402
from fraudscan.engine import Engine  # noqa: E402
from fraudscan.evaluate import ANY, auc, figures_of  # noqa: E402
from fraudscan.model import default_folder  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fraudscan.corpus import Row

HERE = Path(__file__).resolve().parent
CORPUS, CASES = HERE.parent / "corpus", HERE.parent / "tests" / "cases"
EXTERNAL = HERE.parent.parent / "shared" / "eval" / "dev"
HONEST = fraudscan.TAXONOMY.honest or ""
MESSAGES = 100_000
WORKLOADS = {"sms": 65, "chat": 300}  # mean number of characters per message
GATES = {
    "ours : (a) batched": ("at least", {"sms": 90, "chat": 85}),
    "ours : (a) one by one": ("at least", {"sms": 50, "chat": 50}),
    "ours : fastText raw": ("at least", {"sms": 4, "chat": 3}),
    "ours : (b)": ("at least", {"sms": 20, "chat": 20}),
    "time : floor (d)": ("at most", {"sms": 25, "chat": 30}),
    "kernel : NumPy alone, batched": ("at least", {"sms": 1.5, "chat": 1.5}),
    "kernel : NumPy alone, one by one": ("at least", {"sms": 1.5, "chat": 1.5}),
    "NumPy alone : SciPy's product": ("at least", {"sms": 0.6, "chat": 0.6}),
}


@functools.cache
def corpus() -> tuple[list[Row], np.ndarray]:
    """Return the messages of the corpus, and whether each is fraud and of which schemes, shape (rows, 1 + schemes)."""
    rows = read_corpus([CORPUS])
    schemes = [scheme.name for scheme in fraudscan.TAXONOMY.schemes]
    return rows, np.array([[bool(row.labels), *(name in row.labels for name in schemes)] for row in rows])


def workload(texts: Sequence[str], mean: int, seed: int) -> list[str]:
    """Cut ``MESSAGES`` random pieces from concatenated texts; their lengths are log-normal with the given mean."""
    rng = random.Random(seed)  # noqa: S311 - a benchmark, not a secret
    spread = 0.6
    out = []
    for _ in range(MESSAGES):
        size = max(4, round(rng.lognormvariate(0, spread) * mean / np.exp(spread**2 / 2)))
        text = ""
        while len(text) < size:
            text += rng.choice(texts)
        start = rng.randrange(len(text) - size + 1)
        out.append(text[start : start + size])
    return out


class Usual:
    """The usual pipeline: jieba, TF-IDF and logistic regression."""

    def __init__(self, texts: Sequence[str], gold: np.ndarray) -> None:
        from jieba_words import words
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline

        vectorizer = TfidfVectorizer(tokenizer=words, token_pattern=None, ngram_range=(1, 2), min_df=2)
        # C = 10 was the best of 1, 3, 10 and 30 by cross-validation on the corpus
        classifier = OneVsRestClassifier(LogisticRegression(C=10, max_iter=1000, solver="liblinear"))
        self.model = make_pipeline(vectorizer, classifier).fit(texts, gold.astype(int))

    def batch(self, texts: Sequence[str]) -> None:
        """Score a list of texts."""
        self.model.predict_proba(texts)

    def each(self, texts: Sequence[str]) -> None:
        """Score texts one by one."""
        for text in texts:
            self.model.predict_proba([text])


class Hashing:
    """Hashed character n-grams and a dot product with random weights, whose values do not affect the time."""

    def __init__(self, heads: int) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self.vectorizer = HashingVectorizer(analyzer="char", ngram_range=(1, 3), n_features=1 << 18, norm="l2")
        self.weights = np.random.default_rng(0).normal(size=(1 << 18, heads)).astype(np.float32)

    def batch(self, texts: Sequence[str]) -> None:
        """Score a list of texts."""
        self.vectorizer.transform(texts) @ self.weights


class FastText:
    """fastText, trained on the corpus with the first label of each row."""

    def __init__(self, texts: Sequence[str], labels: Sequence[str], *, split: bool) -> None:
        import fasttext

        self.split = split
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            lines = (f"__label__{label} {self.line(text)}\n" for text, label in zip(texts, labels, strict=True))
            file.writelines(lines)
            file.flush()
            grams = {"wordNgrams": 3} if split else {"minn": 1, "maxn": 3}
            self.model = fasttext.train_supervised(
                file.name, dim=50, epoch=5, bucket=200_000, thread=1, verbose=0, **grams
            )

    def line(self, text: str) -> str:
        """Return the text in fastText's format: without line breaks, with spaces between characters if ``split``."""
        text = text.replace("\n", " ")
        return " ".join(text) if self.split else text

    def batch(self, texts: Sequence[str]) -> None:
        """Score a list of texts with all labels."""
        self.model.predict([self.line(text) for text in texts], k=-1)


class SciPyEngine(Engine):
    """Our engine with SciPy's sparse product, which packed integer sums have replaced."""

    def _added_up(self, nodes: np.ndarray, starts: np.ndarray) -> np.ndarray:
        from scipy import sparse

        bounds = np.append(starts, nodes.size).astype(np.int32)
        counts = sparse.csr_array(
            (np.ones(nodes.size, np.float32), nodes.view(np.int32), bounds), shape=(starts.size, self.vocabulary.size)
        )
        return (counts @ self.floats).T

    @functools.cached_property
    def floats(self) -> np.ndarray:
        """The weights as float32."""
        return self.weights.astype(np.float32)


def numpy_alone(run: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return ``run`` without the compiled kernel."""

    def without(texts: Sequence[str]) -> None:
        compiled, kernel.compiled = kernel.compiled, None
        try:
            run(texts)
        finally:
            kernel.compiled = compiled

    return without


def floor(texts: Sequence[str]) -> None:
    """Join and encode the texts as the engine does, and do nothing else."""
    for start in range(0, len(texts), 256):
        ("\0".join(texts[start : start + 256]) + "\0").encode("utf-32-le", "surrogatepass")


def measure(contenders: dict[str, tuple[Callable[[Any], None], Sequence[str]]], rounds: int) -> dict[str, float]:
    """Return the median CPU time of each contender in microseconds per message."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (run, texts) in contenders.items():
            start = time.process_time()
            run(texts)
            times[name].append((time.process_time() - start) / len(texts) * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def speed(texts: Sequence[str], rounds: int, usual: Usual) -> dict[str, Any]:
    """Train the other peers on the corpus and measure everything on both workloads."""
    rows, _ = corpus()
    scanner = fraudscan.load()
    train = [row.text for row in rows]
    labels = [row.labels[0] if row.labels else HONEST for row in rows]
    other = fraudscan.load(default_folder())  # not the shared instance
    other.engine.__class__ = SciPyEngine
    hashing = Hashing(len(scanner.heads))
    raw, split = (FastText(train, labels, split=split) for split in (False, True))

    def one_by_one(some: Sequence[str]) -> None:
        for text in some:
            scanner.predict_proba([text])

    found = {}
    for name, mean in WORKLOADS.items():
        dump = workload(texts, mean, seed=mean)
        print(f"{name}: {len(dump):,} messages, mean {np.mean([len(t) for t in dump]):.0f} characters", file=sys.stderr)
        found[name] = measure(
            {
                "(a) jieba, TF-IDF, logistic regression, batched": (usual.batch, dump[:3000]),
                "(a) one by one": (usual.each, dump[:150]),
                "(b) hashing vectorizer and dot": (hashing.batch, dump[:10_000]),
                "(c) fastText, raw strings": (raw.batch, dump[:20_000]),
                "(c) fastText, characters": (split.batch, dump[:20_000]),
                "(d) floor": (floor, dump),
                "(e) ours, batched": (scanner.predict_proba, dump),
                "(e) ours, one by one": (one_by_one, dump[:5000]),
                "(e) NumPy alone, batched": (numpy_alone(scanner.predict_proba), dump),
                "(e) NumPy alone, one by one": (numpy_alone(one_by_one), dump[:5000]),
                "(e) NumPy alone, batched, with SciPy's product": (numpy_alone(other.predict_proba), dump),
            },
            rounds,
        )
    return found


def ratios(times: dict[str, float]) -> dict[str, float]:
    """Return the ratios that `GATES` bounds."""
    ours, alone = times["(e) ours, batched"], times["(e) NumPy alone, batched"]
    return {
        "ours : (a) batched": times["(a) jieba, TF-IDF, logistic regression, batched"] / ours,
        "ours : (a) one by one": times["(a) one by one"] / times["(e) ours, one by one"],
        "ours : fastText raw": times["(c) fastText, raw strings"] / ours,
        "ours : (b)": times["(b) hashing vectorizer and dot"] / ours,
        "time : floor (d)": ours / times["(d) floor"],
        "kernel : NumPy alone, batched": alone / ours,
        "kernel : NumPy alone, one by one": times["(e) NumPy alone, one by one"] / times["(e) ours, one by one"],
        "NumPy alone : SciPy's product": times["(e) NumPy alone, batched, with SciPy's product"] / alone,
    }


def disguise(texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Measure plain messages, and messages disguised in each of the kinds, with known marks."""
    scanner = fraudscan.load()
    dump = workload(texts, WORKLOADS["sms"], seed=1)[:10_000]
    rng = random.Random(0)  # noqa: S311 - a benchmark, not a secret
    dumps = {kind: [perturb.disguise(text, rng, kind, known=True) for text in dump] for kind in perturb.KINDS}
    return measure({kind: (scanner.predict_proba, some) for kind, some in {"none": dump, **dumps}.items()}, rounds)


GROWTH = """
import json, random, re, sys, time
import fraudscan
count, size = int(sys.argv[1]), int(sys.argv[2])
texts = json.load(open(sys.argv[3], encoding="utf-8"))
scanner = fraudscan.load()
rng, string, done, spent = random.Random(0), "".join(texts), -1, 0.0
while done < count:
    starts = [rng.randrange(len(string) - 1000) for _ in range(min(count, 4096, max(20, 10**6 // size)))]
    group = [(string[s:] + string)[:size] if size > 1000 else string[s:s + size] for s in starts]
    start = time.process_time()
    scanner.predict_proba(group)
    if done < 0:  # the first group warms up
        done = 0
        continue
    spent += time.process_time() - start
    done += len(group)
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1))  # ru_maxrss counts the parent
print(json.dumps([spent / done / size * 1e9, peak / 1024]))
"""


def growth(texts: Sequence[str]) -> dict[str, list[list[float]]]:
    """Return (messages or characters, nanoseconds per character, peak resident MiB), measured in fresh processes."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(random.Random(0).sample(list(texts), 2000), file)  # noqa: S311 - a benchmark
        file.flush()

        def run(count: int, size: int) -> list[float]:
            command = [sys.executable, "-c", GROWTH, str(count), str(size), file.name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return list(json.loads(done.stdout))

        return {
            "messages of 65 characters": [[n, *run(n, 65)] for n in (10**3, 10**4, 10**5, 10**6, 10**7)],
            "characters per message": [
                [size, *run(max(20, 10**6 // size), size)] for size in (10, 100, 10**3, 10**4, 10**5)
            ],
        }


COLD = {
    "numpy": "import numpy",
    "ours": "import fraudscan; fraudscan.classify('到楼下了').label",
    "(a)": "import sys, joblib; sys.path.append(sys.argv[2]); joblib.load(sys.argv[1]).predict_proba(['到楼下了'])",
}


def cold(rounds: int) -> dict[str, float]:
    """Return the median wall time from the start of a process to its first answer, in milliseconds."""
    import joblib

    rows, gold = corpus()
    times: dict[str, list[float]] = {name: [] for name in COLD}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "usual.joblib"
        joblib.dump(Usual([row.text for row in rows], gold[:, :1]).model, path)
        for _ in range(rounds + 1):  # the first round fills the file caches
            for name, code in COLD.items():
                start = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-W", "ignore", "-c", code, path, HERE], check=True, capture_output=True
                )
                times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def quality(usual: Usual) -> dict[str, dict[str, Any]]:
    """Return the figures of ours and of (a), both trained on the whole corpus, on messages that are not in it."""
    scanner = fraudscan.load()
    cases = [row for path in sorted(CASES.glob("*.jsonl")) for row in map(json.loads, path.open(encoding="utf-8"))]
    sets = {"messages of the tests": cases} | ({"external sets": read_sets([EXTERNAL])} if EXTERNAL.is_dir() else {})
    found = {}
    for name, rows in sets.items():
        texts = [row["text"] for row in rows]
        ours, theirs = scanner.decide(texts), usual.model.predict_proba(texts)
        schemes = theirs[:, 1 : 1 + len(scanner.taxonomy.schemes)].argmax(axis=1)
        labels = [
            scanner.taxonomy.schemes[scheme].label if score >= 0.5 else HONEST
            for scheme, score in zip(schemes, theirs[:, 0], strict=True)
        ]
        found[name] = {
            "messages": len(rows),
            "ours": measured(rows, ours.label, ours.scores),
            "(a)": measured(rows, labels, theirs[:, 0]),
        }
    return found


def measured(rows: Sequence[dict[str, Any]], labels: Sequence[str], scores: np.ndarray) -> dict[str, float | None]:
    """Return macro-F1 over labels (of the messages whose label is known), AUC, and recall at 1 % false alarms."""
    known = [i for i, row in enumerate(rows) if ANY not in row["labels"]]
    gold, guesses = [set(rows[i]["labels"]) for i in known], [(labels[i],) for i in known]
    names = [label.name for label in fraudscan.TAXONOMY.labels]
    f1 = figures_of(gold, guesses, scores[known], fraudscan.load().thresholds, names, HONEST)["macro_f1"]
    fraud = np.array([HONEST not in row["labels"] for row in rows])
    highest = np.quantile(scores[~fraud], 0.99, method="higher")  # 1 % of the honest messages have a higher score
    return {"macro-F1": f1, "AUC": auc(scores, fraud), "recall at 1 %": float((scores[fraud] > highest).mean())}


def plot(points: dict[str, list[list[float]]], path: Path) -> None:
    """Draw time and memory against size."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "fraudscan"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(8, 5), sharex="col", sharey="row", layout="constrained")
    for column, (what, values) in zip(axes.T, points.items(), strict=True):
        sizes, times, memory = zip(*values, strict=True)
        column[0].semilogx(sizes, times, "o-")
        column[1].semilogx(sizes, memory, "s-")
        column[1].set_xlabel(what)
    axes[0, 0].set_ylabel("ns per character (CPU)")
    axes[1, 0].set_ylabel("peak resident MiB")
    for axis in axes.flat:
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def report(results: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of ``benchmarks/README.md``."""
    yield "# Benchmarks\n"
    yield "Written by `make bench` (`benchmarks/speed.py`, which describes the method). Do not edit.\n"
    yield ", ".join(f"{name} {version}" for name, version in results["machine"].items()) + ".\n"
    yield "## Speed\n"
    yield "Microseconds per message (CPU time, one core, median of the rounds).\n"
    yield "| | " + " | ".join(WORKLOADS) + " |\n| --- | " + "---: | " * len(WORKLOADS)
    for name in results["speed"]["sms"]:
        yield f"| {name} | " + " | ".join(f"{results['speed'][w][name]:,.3g}" for w in WORKLOADS) + " |"
    yield "\nRatios within the same run, and the bounds that the project requires:\n"
    yield "| | " + " | ".join(f"{w} | required" for w in WORKLOADS) + " |\n| --- | " + "---: | " * (2 * len(WORKLOADS))
    for name, (bound, asked) in GATES.items():
        cells = (f"{ratios(results['speed'][w])[name]:.1f} | {bound} {asked[w]}" for w in WORKLOADS)
        yield f"| {name} | " + " | ".join(cells) + " |"
    yield (
        "\nWithout a C compiler the package has no kernel and runs on NumPy alone. Its packed integer sums are exact "
        "and nearly as fast as SciPy's product."
    )
    yield "\n## Disguise\n"
    yield "Microseconds per message with a third of its characters disguised, and how many more than without.\n"
    yield "| | sms | more |\n| --- | ---: | ---: |"
    for kind, time_ in results["disguise"].items():
        yield f"| {kind} | {time_:.3g} | {time_ - results['disguise']['none']:.1f} |"
    yield "\n## First answer\n"
    cold_ = results["cold"]
    yield (
        f"Fresh process, wall time: `import numpy` {cold_['numpy']:.0f} ms; import and first answer of ours "
        f"{cold_['ours']:.0f} ms ({cold_['ours'] / cold_['numpy']:.1f} times `import numpy`); load and first answer of "
        f"(a) {cold_['(a)']:.0f} ms ({cold_['(a)'] / cold_['ours']:.1f} times ours)."
    )
    yield "\n## Growth\n"
    yield "![Time and memory against size](growth.svg)\n"
    for what, values in results["growth"].items():
        yield f"| {what} | ns per character | peak resident MiB |\n| ---: | ---: | ---: |"
        for size, ns, memory in values:
            yield f"| {size:,.0f} | {ns:.1f} | {memory:.0f} |"
        yield ""
    yield f"Model folder: {results['model_mb']:.2f} MB.\n"
    yield "## Quality\n"
    yield (
        "Both are trained on the whole corpus, and measured on messages that are not in it: those in `tests/cases` "
        "and, where they are at hand, the external sets that the model card describes. The last column is the share "
        "of the frauds that are found at a threshold that 1 % of the honest messages exceed.\n"
    )
    yield "| | | messages | macro-F1 | AUC | recall at 1 % |\n| --- | --- | ---: | ---: | ---: | ---: |"
    for name, some in results["quality"].items():
        for who in ("ours", "(a)"):
            yield (
                f"| {name} | {who} | {some['messages']:,} | "
                + " | ".join(f"{v:.3f}" for v in some[who].values())
                + " |"
            )


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="JSON lines with a `text` each, from which the workloads are cut")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if kernel.compiled is None:
        parser.error("fraudscan._engine was not built: is a C compiler installed?")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if arguments.data:
        texts = [json.loads(line)["text"] for line in arguments.data.read_text("utf-8").splitlines()]
    else:
        texts = [row.text for row in corpus()[0]]
    import scipy
    import sklearn

    machine = {"Python": platform.python_version(), "NumPy": np.__version__, "SciPy": scipy.__version__}
    machine |= {"scikit-learn": sklearn.__version__, "on": f"{platform.machine()}, {platform.system()}, one core"}
    folder = HERE.parent / "models" / "default"
    rows, gold = corpus()
    usual = Usual([row.text for row in rows], gold)
    results = {
        "machine": machine,
        "speed": speed(texts, arguments.rounds, usual),
        "disguise": disguise(texts, arguments.rounds),
        "cold": cold(arguments.rounds),
        "growth": growth(texts),
        "model_mb": sum(path.stat().st_size for path in folder.iterdir()) / 1e6,
        "quality": quality(usual),
    }
    plot(results["growth"], HERE / "growth.svg")
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    (HERE / "README.md").write_text("\n".join(report(results)) + "\n", "utf-8")
    print((HERE / "README.md").read_text("utf-8"))


if __name__ == "__main__":
    main()
