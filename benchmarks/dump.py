"""The cost of ``fraudscan score``, from file to file.

``python benchmarks/dump.py`` compares scoring JSON lines with a loop that only reads and writes the same rows with
orjson, two workers with one, and the options that add columns with none of them. There are enough rows that the third
of a second that each process takes to start hardly matters. ``--rows 10000000 --memory`` follows the memory of the
process tree. Rows are SMS of 45 to 90 characters from the corpus, with id, time and sender. Each contender runs in a
process of its own. Processor time includes child processes; compare it rather than wall time if the machine is also
busy with other work.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fraudscan.corpus import read_corpus

HERE = Path(__file__).resolve().parent

LOOP = """
import sys, orjson
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
    for line in source:
        target.write(orjson.dumps(orjson.loads(line)) + b"\\n")
"""

LOOP_WITH_COLUMNS = """
import sys, orjson
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
    for line in source:
        row = orjson.loads(line)
        row["fraud_label"], row["fraud_scheme"], row["fraud_labels"] = "legitimate", None, ["legitimate"]
        row["fraud_score"], row["fraud_verdict"], row["fraud_targets"] = 0.012345, "clear", []
        row["fraud_notes"] = []
        target.write(orjson.dumps(row) + b"\\n")
"""

OPTIONS = ("--proba", "--explain")
"""Options that add columns."""


def write_dump(path: Path, rows: int) -> None:
    """Write rows with corpus texts of SMS length. One in ten is fraud, and one in ten thousand is a broken row."""
    corpus = read_corpus([HERE.parent / "corpus"])
    texts = [
        [row.text for row in corpus if bool(row.labels) == fraud and 45 <= len(row.text) <= 90] for fraud in (0, 1)
    ]
    rng = random.Random(0)  # noqa: S311 - a benchmark
    with path.open("w", encoding="utf-8") as file:
        for i in range(rows):
            text = rng.choice(texts[rng.random() < 0.1])
            row = {"id": i, "time": "2026-09-01 07:21:33", "sender": f"1069{i % 10**8:08}", "text": text}
            file.write((json.dumps(row, ensure_ascii=False) if i % 10_000 else "{") + "\n")


def command(name: str, source: Path, target: Path) -> list[str]:
    """Return a contender's command line."""
    if name.startswith("loop"):
        return [sys.executable, "-c", LOOP if name == "loop" else LOOP_WITH_COLUMNS, str(source), str(target)]
    workers, _, *options = name.split()
    score = [sys.executable, "-m", "fraudscan", "score", str(source), "-o", str(target), "--force", "--quiet"]
    return [*score, "--workers", workers, *options]


def measure(arguments: list[str]) -> tuple[float, float]:
    """Return the wall and processor time of a command, in seconds."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(arguments, check=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def speed(rows: int, rounds: int, folder: Path) -> None:
    """Print the medians and the ratios that the project has requirements for."""
    source, clean = folder / "dump.jsonl", folder / "clean.jsonl"
    write_dump(source, rows)
    with source.open("rb") as file, clean.open("wb") as target:  # a broken row would end the loop
        target.writelines(line for line in file if line != b"{\n")
    names = ["loop", "loop with our columns", "1 worker", "2 workers", *(f"1 worker {option}" for option in OPTIONS)]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(measure(command(name, clean, folder / "out.jsonl")))
            (folder / "out.jsonl").unlink()  # replacing a large file takes time of its own
    start = [measure(command("1 worker", HERE.parent / "examples" / "messages.jsonl", folder / "o")) for _ in range(3)]
    wall, processor = ({n: statistics.median(t[i] for t in times) for n, times in found.items()} for i in (0, 1))
    for name in names:
        print(
            f"{name:22} {rows / wall[name]:10,.0f} rows/s {processor[name] / rows * 1e6:7.2f} µs processor time per row"
        )
    print(f"one worker needs {statistics.median(t[1] for t in start):.2f} s of this processor time to start")
    for name in names[:2]:
        print(f"one worker reaches {processor[name] / processor['1 worker']:.0%} of the {name}'s rate (processor time)")
    for option in OPTIONS:
        share = processor["1 worker"] / processor[f"1 worker {option}"]
        print(f"with {option} one worker reaches {share:.0%} of the rate without (processor time)")
    print(f"two workers: {wall['1 worker'] / wall['2 workers']:.2f} times one worker (wall time)")
    print(f"two workers need {processor['2 workers'] / processor['1 worker']:.2f} times the processor time of one")


def tree(process: int) -> list[int]:
    """Return a process and all its descendants."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(found for child in children for found in tree(int(child)))]


def memory(rows: int, workers: int, folder: Path) -> None:
    """Follow the memory of a large job: the sum over its processes, in which shared pages count once per process."""
    source = folder / "dump.jsonl"
    write_dump(source, rows)
    print(f"{rows:,} rows, {source.stat().st_size / 1e9:.2f} GB", flush=True)
    process = subprocess.Popen(command(f"{workers} workers", source, folder / "out.jsonl"))
    page, begun, samples = os.sysconf("SC_PAGE_SIZE"), time.monotonic(), []
    while process.poll() is None:
        try:
            pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in tree(process.pid))
        except (OSError, IndexError):  # a process has just ended
            continue
        samples.append((time.monotonic() - begun, pages * page / 2**20))
        time.sleep(0.5)
    seconds = time.monotonic() - begun
    print(f"{workers} workers: status {process.returncode}, {rows / seconds:,.0f} rows/s, {seconds:.0f} s")
    print(f"peak {max(size for _, size in samples):.0f} MiB")
    for name, part in (("first minute", (0, 60)), ("rest", (60, 1e9))):
        sizes = [size for moment, size in samples if part[0] <= moment < part[1]]
        if sizes:
            print(f"{name}: {min(sizes):.0f} to {max(sizes):.0f} MiB, median {statistics.median(sizes):.0f}")


def main() -> None:
    """Measure speed or, with ``--memory``, memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.memory:
            memory(arguments.rows, arguments.workers, Path(folder))
        else:
            speed(arguments.rows, arguments.rounds, Path(folder))


if __name__ == "__main__":
    main()
