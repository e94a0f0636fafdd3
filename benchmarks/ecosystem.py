"""Data frames and Spark compared with a plain list and one process: ``make bench-ecosystem``.

Data frames: the CPU time of ``annotate`` on a frame of a million messages, and of
``predict_proba`` on the same messages as a list, on one core, interleaved. The ratio is that
of the smallest times. Spark: the wall time of two million rows from Parquet through
``local-cluster[2,1,1024]`` into Parquet, and of the same files through one local process
with pyarrow. Every row of both outputs is compared. Own labels: macro-F1 on random splits of
part of the corpus, of ``train_custom`` with the settings that it chooses itself and of a
tuned n-gram SVM. Writes ``benchmarks/ecosystem.md``.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import fraudscan
from fraudscan.corpus import Row, read_corpus
from fraudscan.custom import train_custom
from fraudscan.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).resolve().parent
ROUNDS = 3
SPLITS = 3


def messages(count: int) -> list[str]:
    """Return ``count`` messages of the corpus, drawn at random."""
    texts = [row.text for row in read_corpus([HERE.parent / "corpus"])]
    return random.Random(0).choices(texts, k=count)  # noqa: S311 - a benchmark, not a secret


def frames(count: int) -> Iterator[str]:
    """Yield a table of the time for each kind of frame, and its ratio to the time for a list."""
    texts, scanner = messages(count), fraudscan.load()
    kinds = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
    made = {name: kind({"content": texts}) for name, kind in kinds.items()}
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name in ("list", *made):
            start = time.process_time()
            if name == "list":
                scanner.predict_proba(texts)
            else:
                scanner.annotate(made[name], text="content")
            times.setdefault(name, []).append(time.process_time() - start)
    yield f"## Data frames, {count:,} rows\n"
    yield "| | seconds | ratio to `predict_proba` on the list | required |\n| --- | ---: | ---: | ---: |"
    for name, values in times.items():
        required = "" if name == "list" else "at most 1.3"
        yield f"| {name} | {min(values):.2f} | {min(values) / min(times['list']):.2f} | {required} |"


def spark(count: int) -> Iterator[str]:
    """Yield the rows per second of Spark and of one process, after comparing their rows."""
    from pyspark.sql import SparkSession

    from fraudscan.spark import annotate

    os.environ["PYSPARK_PYTHON"] = sys.executable
    master = "local-cluster[2,1,1024]"
    session = SparkSession.builder.master(master).config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        texts = messages(count)
        parts = 8
        for part in range(parts):
            at = range(part, count, parts)
            table = pa.table({"nr": list(at), "content": [texts[i] if i % 1000 else None for i in at]})
            pq.write_table(table, folder / "in" / f"{part}.parquet")
        warm = annotate(session.read.parquet(str(folder / "in" / "0.parquet")).limit(1000), text="content")
        warm.collect()
        start = time.perf_counter()
        annotate(session.read.parquet(str(folder / "in")), text="content").write.parquet(str(folder / "out"))
        cluster = time.perf_counter() - start
        start = time.perf_counter()
        scanner = fraudscan.load()
        (folder / "alone").mkdir()
        for part in range(parts):
            table = pq.read_table(folder / "in" / f"{part}.parquet")
            pq.write_table(scanner.annotate(table, text="content"), folder / "alone" / f"{part}.parquet")
        alone = time.perf_counter() - start
        session.stop()
        one, two = (pq.read_table(folder / x).sort_by("nr") for x in ("alone", "out"))
        if one.column_names != two.column_names or not one.equals(two.cast(one.schema)):
            raise SystemExit("the rows of the cluster differ from those of one process")
    yield f"\n## Spark, {count:,} rows, Parquet in and out\n"
    yield f"Every row from `{master}` is equal to that from one process.\n"
    yield "| | rows per second |\n| --- | ---: |"
    yield f"| one process, pyarrow | {count / alone:,.0f} |\n| `{master}` | {count / cluster:,.0f} |"
    yield (
        f"\nThe cluster is {alone / cluster:.2f} times as fast as one process, on {os.cpu_count()} cores that both "
        "share."
    )


def tasks() -> dict[str, list[tuple[str, str]]]:
    """Return tasks of five classes from the corpus: 12,000 messages by label, and two sets of schemes."""
    rows = read_corpus([HERE.parent / "corpus"])
    known = {"legitimate", "investment", "romance", "shopping"}
    by_label = []
    for row in rows:
        label = fraudscan.TAXONOMY.scheme(row.labels[0]).label if row.labels else "legitimate"
        by_label.append((row.text, label if label in known else "other"))
    random.Random(0).shuffle(by_label)  # noqa: S311 - a benchmark, not a secret
    one = [row for row in rows if len(row.labels) == 1]
    schemes = {"investment", "gambling", "forged_documents", "authority", "game_trade"}
    impostors = {"loan_credit", "fake_refund", "authority", "acquaintance"}
    honest = [(row.text, "0") for row in rows if not row.labels and row.pair is None][:2500]
    four = [(row.text, row.labels[0]) for row in one if row.labels[0] in impostors]
    return {
        "labels of the corpus": by_label[:12_000],
        "five schemes": [(row.text, row.labels[0]) for row in one if row.labels[0] in schemes],
        "four schemes and legitimate": honest + four,
    }


def own_labels() -> Iterator[str]:
    """Yield the macro-F1 on random splits, and the training time."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import f1_score
    from sklearn.model_selection import train_test_split
    from sklearn.svm import LinearSVC

    def usual(texts: Sequence[str], y: Any, held_out: Sequence[str], strength: float) -> Any:
        tfidf = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True, min_df=2)
        return LinearSVC(C=strength).fit(tfidf.fit_transform(texts), y).predict(tfidf.transform(held_out))

    yield "\n## Own labels\n"
    yield f"Macro-F1, mean of {SPLITS} random splits, a fifth held out. The SVM uses sublinear TF-IDF of characters,"
    yield "n = 1-4. The better of its columns is selected on the held-out rows, while ours chooses its settings on the"
    yield "training rows.\n"
    yield "| five classes of | messages | ours | SVM, C = 1 | C = 10 | training, seconds |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, pairs in tasks().items():
        texts, y = (np.array(column, dtype=object) for column in zip(*pairs, strict=True))
        taxonomy = Taxonomy.from_names(sorted(set(y)), None, "multiclass")
        scores: dict[Any, list[float]] = {}
        seconds = []
        for seed in range(SPLITS):
            inside, outside = train_test_split(np.arange(len(y)), test_size=0.2, random_state=seed, stratify=y)
            rows = [Row(str(i), texts[i], (y[i],)) for i in inside]
            start = time.perf_counter()
            scanner = train_custom(rows, taxonomy)
            seconds.append(time.perf_counter() - start)
            guesses = {"ours": scanner.decide(list(texts[outside])).label}
            guesses |= {c: usual(texts[inside], y[inside], texts[outside], c) for c in (1.0, 10.0)}
            for who, guess in guesses.items():
                scores.setdefault(who, []).append(f1_score(y[outside], guess, average="macro"))
        mean = {who: np.mean(values) for who, values in scores.items()}
        cells = f"{mean['ours']:.4f} | {mean[1.0]:.4f} | {mean[10.0]:.4f} | {min(seconds):.0f}"
        yield f"| {name} | {len(y):,} | {cells} |"


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="number of rows of the data frames; Spark gets twice as many"
    )
    arguments = parser.parse_args()
    lines = [
        "# Data frames, Spark, own labels\n",
        "Written by `make bench-ecosystem` (`benchmarks/ecosystem.py`, which describes the method).\n",
    ]
    for part in (frames(arguments.rows), spark(2 * arguments.rows), own_labels()):
        for line in part:
            lines.append(line)
            print(line, flush=True)
    (HERE / "ecosystem.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
