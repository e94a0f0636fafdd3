"""Kill jobs at random times and resume them: ``python tests/kill.py --times 200``.

The output must be byte for byte that of an uninterrupted job. Blocks are small and each group of
them ends with a checkpoint, so that kills strike a job in all its states.
"""

import argparse
import itertools
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import dumps

CODE = """
import signal, sys
from fraudscan.cli import main
from fraudscan.dump import job
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs that a shell runs in the background ignore it
job.SECONDS = 0
sys.exit(main())
"""
RESULTS = ("", ".rejects.jsonl", ".conversations.jsonl")


def start(source, out, *options):
    command = [sys.executable, "-c", CODE, "score", source, "-o", out, "--quiet", "--max-message", "4096", *options]
    return subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE)


def results(out):
    paths = (out.with_name(out.name + ending) for ending in RESULTS)
    return [path.read_bytes() if path.exists() else None for path in paths]


def leftovers(folder, prefix):
    """Return the files left by a job that was killed before its last step; the next job removes them."""
    endings = (".part", ".checkpoint")
    return [path for path in folder.iterdir() if path.name.startswith(prefix) and path.suffix in endings]


def kill_and_resume(name, folder, rng, *, kills, workers, out, rows=1500):
    """Kill and resume a job; return how many kills struck a running job. Raises AssertionError if any bytes differ."""
    source = folder / name
    source.write_bytes(dumps.MAKERS[name](dumps.rows(rng, rows)))
    started = time.monotonic()
    options = [*dumps.by(name), "--workers", workers]
    uninterrupted = start(source, folder / f"a.{out}", *options)
    assert uninterrupted.wait() in (0, 1), uninterrupted.stderr.read().decode()
    uninterrupted.stderr.close()
    duration = time.monotonic() - started
    target = folder / f"b.{out}"
    struck = 0
    for kill in range(kills + 1):
        process = start(source, target, *options, "--resume")
        if kill < kills:
            time.sleep(rng.uniform(0.1, 1) * duration)
            process.send_signal(signal.SIGKILL)
        status = process.wait()
        message = process.stderr.read().decode()
        process.stderr.close()
        struck += status == -signal.SIGKILL
        if target.exists() and not leftovers(folder, "b."):  # it had finished
            break
        assert status == -signal.SIGKILL, message
    assert results(target) == results(folder / f"a.{out}")
    assert not leftovers(folder, "b.")
    return struck


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    done = jobs = 0
    cases = itertools.product(dumps.MAKERS, (1, 2))
    for name, workers in itertools.cycle(cases):
        out = rng.choice(["jsonl", "jsonl", "csv", "parquet"])
        with tempfile.TemporaryDirectory() as folder:
            struck = kill_and_resume(name, pathlib.Path(folder), rng, kills=5, workers=workers, out=out)
        done, jobs = done + struck, jobs + 1
        print(f"{done:4} kills, {jobs} jobs: {name} to {out}, {workers} workers: the same bytes", flush=True)
        if done >= arguments.times:
            break


if __name__ == "__main__":
    main()
