"""Hostile dumps: ``python tests/fuzz.py --times 100000``.

Each input is a damaged dump of some format. Bytes are changed, deleted or duplicated, or nonsense is inserted. Some
dumps are truncated, compressed and then truncated, or in an encoding that is not declared. Whatever the input, a job
must terminate by itself with a status that says what happened, and each row read must be either scored or rejected.
"""

import argparse
import contextlib
import gzip
import json
import pathlib
import random
import tempfile
import time

import dumps

import fraudscan
from fraudscan.dump import DumpError, Options, score_dump

NASTY = (
    b'"', b"\n", b"\r", b"\0", b"\\", b"[", b"]", b"{", b"}", b"<", b">", b"&#55357;", b"&a;", b",",
    b"\xff\xfe", b"\xef\xbb\xbf",
    b"[" * 5000, b'{"text":' * 3000, b"," * 20000, b"\xed\xa0\xbd", b'"text": "', b"</smses>",
    b'<!DOCTYPE a [<!ENTITY a "b">]>',
    b'"messages": [', b"1e999", b"9" * 5000, b"2026/1/1 10:00 - a: b\n", b"PAR1",
)  # fmt: skip


SLOW = 2.0
"""An input that takes more than this many seconds of processor time is kept for inspection, as the dumps are small."""


def damaged(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 30])):
        at = rng.randrange(len(data) + 1)
        size = rng.choice([0, 1, 1, 4, 100])
        kind = rng.randrange(5)
        if kind == 0:
            data[at : at + size] = rng.randbytes(size)
        elif kind == 1:
            del data[at : at + size]
        elif kind == 2:
            data[at:at] = rng.choice(NASTY)
        elif kind == 3:
            data[at:at] = data[at : at + 200]
        elif rng.random() < 0.2:
            del data[at:]
    return bytes(data)


def hostile(rng, seeds):
    """Return the file name and the bytes of a hostile dump."""
    name = rng.choice(sorted(seeds))
    data = damaged(seeds[name], rng)
    luck = rng.random()
    if luck < 0.05:
        data = gzip.compress(data, 1)
        data = data[: rng.randrange(len(data) + 1)]
    elif luck < 0.1:
        with contextlib.suppress(UnicodeError):
            data = data.decode("utf-8").encode(rng.choice(["utf-16", "gb18030", "big5", "utf-32", "utf-16-be"]))
    if rng.random() < 0.2:
        name = rng.choice(sorted(seeds))  # the name of another format
    return name, data


def attempt(scanner, folder, name, data, rng):
    """Score hostile bytes; return the number of rows, or None if the dump was refused."""
    source, out = folder / name, folder / f"out.{rng.choice(['jsonl', 'jsonl', 'csv', 'parquet'])}"
    source.write_bytes(data)
    plain = name == "in.jsonl" and not data.startswith((b"\x1f\x8b", b"BZh", b"\xfd7z", b"\x28\xb5", b"PK"))
    named = {"format": "jsonl", "encoding": "utf-8"} if plain else {}
    column = rng.choice([None, None, *dumps.by(name)[1:]])
    if name.endswith((".csv", ".tsv", ".xlsx")):
        line = named["header_line"] = rng.choice([None, None, 0, 1, 2, 5])
        named |= {"text": "4"} if line == 0 else {}
        column = rng.choice([None, "2"]) if line == 0 else column
    options = Options(by=column, max_message=rng.choice([4096, 1 << 20]), safe_csv=out.suffix == ".csv", **named)
    try:
        summary = score_dump(scanner, [str(source)], str(out), options, force=True)
    except DumpError:
        return None
    finally:
        source.unlink()
    rejects = folder / f"{out.name}.rejects.jsonl"
    reasons = [json.loads(line)["reason"] for line in rejects.read_bytes().splitlines()] if rejects.exists() else []
    assert len(reasons) == summary.rejected == sum(summary.reasons.values())
    assert sum(summary.labels.values()) == sum(summary.verdicts.values()) == summary.scored
    if plain:  # these rows can be counted without fraudscan
        rows = [line for line in data.split(b"\n") if line.strip(b" \t\r\v\f").removeprefix(b"\xef\xbb\xbf")]
        assert len(rows) == summary.scored + summary.rejected
    if out.suffix == ".jsonl":
        with out.open("rb") as file:
            assert sum(isinstance(json.loads(line), dict) for line in file) == summary.scored
    return summary.scored + summary.rejected


def run(scanner, times, seed, folder, report=lambda *_: None):
    """Try hostile inputs; return how many were refused. Inputs that fail or are slow are kept in the folder."""
    rng = random.Random(seed)
    seeds = {name: make(dumps.rows(rng, 6)) for name, make in dumps.MAKERS.items()}
    refused = rows = 0
    for number in range(times):
        name, data = hostile(rng, seeds)
        started = time.process_time()
        try:
            count = attempt(scanner, folder, name, data, rng)
        except BaseException:
            (folder / f"failed-{seed}-{number}-{name}").write_bytes(data)
            raise
        if time.process_time() - started > SLOW:
            (folder / f"slow-{seed}-{number}-{name}").write_bytes(data)
        refused += count is None
        rows += count or 0
        report(number + 1, refused, rows, name, time.process_time() - started)
    return refused


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    slowest = [0.0, ""]

    def report(number, refused, rows, name, seconds):
        if seconds > slowest[0]:
            slowest[:] = [seconds, name]
        if number % 5000 == 0:
            print(f"{number:,} inputs, {refused:,} refused, {rows:,} rows, slowest {slowest}; {folder}", flush=True)

    folder = pathlib.Path(tempfile.mkdtemp())  # TMPDIR=/dev/shm makes it faster
    try:
        run(fraudscan.load(), arguments.times, arguments.seed, folder, report)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}; the input is in {folder}")
        raise


if __name__ == "__main__":
    main()
