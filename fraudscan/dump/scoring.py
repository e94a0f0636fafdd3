"""Blocks scored: by this process, and by others that do nothing else.

A worker is a fresh interpreter. Blocks and what `score_block` makes of them go through
files that live in memory for a moment; the pipes carry nothing but their sizes, so that
neither side ever waits for the other to read. A worker ends with its input, so that none
outlives the job however that ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import struct
import subprocess
import sys
import tempfile
import threading
from collections import Counter, deque
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.columns import COLUMNS
from fraudscan.dump.rows import DumpError
from fraudscan.dump.writers import values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from fraudscan.decisions import Decisions
    from fraudscan.dump.readers import Reader
    from fraudscan.dump.rows import Block, Reject
    from fraudscan.dump.writers import Writer
    from fraudscan.model import Scanner

__all__ = ["COUNTED", "Message", "Scored", "Setup", "Task", "score_all", "score_block"]

AHEAD = 4
"""Blocks that a worker has at a time: it must not run out of them while this process scores one of its own."""

SIZES = struct.Struct("<QQ")
"""What goes through a pipe."""

COUNTED = ("label", "scheme", "verdict", "rule")
"""The columns of `Decisions` whose values a summary counts."""


class Setup(NamedTuple):
    """What scores and writes every block; ``sender`` is the column that a scanner's lists want."""

    scanner: Scanner
    writer: Writer
    sender: str | None = None


class Task(NamedTuple):
    """A block to score: the number of its source, its reader, itself."""

    source: int
    reader: Reader
    block: Block


class Message(NamedTuple):
    """A row as the conversations need it; ``decision`` holds the values of the writers' columns."""

    key: str | None
    line: int
    text: str
    decision: tuple[Any, ...]


class Scored(NamedTuple):
    """What became of a block."""

    data: bytes
    rejects: list[Reject]
    scored: int
    counts: dict[str, Counter[str]]
    messages: list[Message]


def score_block(setup: Setup, task: Task) -> Scored:
    """Read, score and write one block."""
    scanner, writer, sender = setup
    batch = task.reader.batch(task.block)
    senders = values_of(task.reader, batch, sender) if sender is not None and scanner.lists else None
    found = scanner.decide(batch.texts, senders)
    if "evidence" in writer.ours.values():
        from fraudscan.explain import evidence

        found = replace(found, evidence=evidence(scanner, batch.texts, found))
    counts = counted(found)
    messages = []
    if batch.keys:
        decisions = zip(*(getattr(found, name) for name in COLUMNS.values()), strict=True)
        messages = list(map(Message, batch.keys, batch.lines, batch.texts, decisions))
    data = writer.encode(task.reader, batch, found)
    return Scored(data, batch.rejects, len(batch.texts), counts, messages)


def counted(found: Decisions) -> dict[str, Counter[str]]:
    """Return how often each value of the columns in `COUNTED`, and each note, occurs."""
    different, places = found.outcomes
    sizes = np.bincount(places).tolist()
    counts: dict[str, Counter[str]] = {name: Counter() for name in (*COUNTED, "note")}
    for name in COUNTED:
        for value, size in zip(getattr(different, name), sizes, strict=True):
            if value is not None:
                counts[name][value] += size
    for notes, size in zip(different.notes, sizes, strict=True):
        counts["note"].update(dict.fromkeys(notes, size))
    return counts


def score_all(
    setup: Setup, tasks: Iterable[Task], workers: int, notify: Callable[[str], None]
) -> Generator[tuple[Task, Scored], None, None]:
    """Score blocks; yield them in their order, whoever scored them.

    This process is the first worker: it scores what the others have no hands for.

    Raises:
        DumpError: if the same block ends two workers.

    """
    with contextlib.ExitStack() as stack:
        pickled = pickle.dumps(setup, pickle.HIGHEST_PROTOCOL) if workers > 1 else b""
        others = [stack.enter_context(contextlib.closing(_Worker(pickled, notify))) for _ in range(workers - 1)]
        waiting: deque[_Turn] = deque()
        for task in tasks:
            for worker in others:
                worker.collect()
            turn = _Turn(task, min(others, key=lambda worker: len(worker.held), default=None))
            waiting.append(turn)
            if turn.worker and len(turn.worker.held) < AHEAD:
                turn.worker.give(turn)
            else:
                turn.scored = score_block(setup, task)
            while waiting and (waiting[0].scored or len(waiting) > 2 * AHEAD * workers):
                yield waiting.popleft().done()
        while waiting:
            yield waiting.popleft().done()


@dataclass
class _Turn:
    """A block, who has it, and what became of it."""

    task: Task
    worker: _Worker | None
    scored: Scored | None = None

    def done(self) -> tuple[Task, Scored]:
        """Wait for the answer."""
        while self.scored is None:
            assert self.worker  # noqa: S101 - for the type checker: somebody has it
            self.worker.collect(wait=True)
        return self.task, self.scored


class _Worker:
    """A process that scores; ``held`` are the blocks that it has, the one that it works on first."""

    def __init__(self, setup: bytes, notify: Callable[[str], None]) -> None:
        self.held: deque[_Turn] = deque()
        self._setup = setup
        self._notify = notify
        self._failed: _Turn | None = None
        self._start()

    def _start(self) -> None:
        self._files: list[FileIO] = []
        paths: list[str] = []
        for _ in range(1 + AHEAD):
            handle, path = tempfile.mkstemp(prefix="fraudscan-")
            self._files.append(FileIO(handle, "r+"))
            paths.append(path)
        self._paths = paths
        self._files[0].write(self._setup)
        self._given = self._taken = 0
        command = [sys.executable, "-c", "from fraudscan.dump.scoring import serve; serve()", *paths]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the job to answer
        )
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(self._process.stdout, self._answers), daemon=True).start()

    def give(self, turn: _Turn) -> None:
        """Have a block scored; there must be less than `AHEAD` already."""
        self.held.append(turn)
        block = turn.task.block
        task = turn.task._replace(block=block._replace(data=b""))
        sizes = _put(self._files[1 + self._given % AHEAD], task, block.data)
        self._given += 1
        with contextlib.suppress(OSError):  # it has ended, as `collect` will see
            self._process.stdin.write(sizes)  # type: ignore[union-attr]

    def collect(self, *, wait: bool = False) -> None:
        """Take the answers that are there; with ``wait``, at least one.

        Raises:
            DumpError: if it is the answer, or if a second process ended on the same block.

        """
        while self.held and (wait or not self._answers.empty()):
            sizes, wait = self._answers.get(), False
            if not sizes:
                self._replace()
                continue
            answer, data = _get(self._files[1 + self._taken % AHEAD], sizes)
            self._taken += 1
            if isinstance(answer, DumpError):
                raise answer
            self.held.popleft().scored = answer._replace(data=data)

    def _replace(self) -> None:
        """Start a process in the dead one's place, with the same blocks."""
        self.close()
        status, turn = self._process.returncode, self.held[0]
        block = turn.task.block
        held = f"bytes {block.start.offset:,} to {block.end.offset:,} of {turn.task.reader.source}"
        if self._failed is turn:
            raise DumpError(
                f"two workers ended on {held} (status {status}): is there memory enough? "
                "What is scored is kept; go on with --resume"
            )
        self._notify(f"a worker ended (status {status}) while it held {held}; another one takes them")
        self._failed = turn
        turns, self.held = self.held, deque()
        self._start()
        for turn in turns:
            self.give(turn)

    def close(self) -> None:
        """End the process; at this point it has nothing that anybody waits for."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()  # type: ignore[union-attr]
        for file in self._files:
            file.close()
        _remove(self._paths)


def _listen(pipe: Any, answers: queue.SimpleQueue[bytes]) -> None:
    """Queue the sizes of a worker's answers, and an empty one when it has ended."""
    with pipe:
        while len(sizes := pipe.read(SIZES.size)) == SIZES.size:
            answers.put(sizes)
    answers.put(b"")


def _put(file: FileIO, value: Any, data: bytes) -> bytes:
    """Leave something for the other side to `_get`; return its sizes. Data as they are, to spare the copies."""
    pickled = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    file.seek(0)
    file.write(data)
    file.write(pickled)
    return SIZES.pack(len(data), len(pickled))


def _get(file: FileIO, sizes: bytes) -> tuple[Any, bytes]:
    file.seek(0)
    data, pickled = map(file.read, SIZES.unpack(sizes))
    return pickle.loads(pickled), data  # noqa: S301 - from our own process


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # it is gone, or the system keeps the names of open files
            Path(path).unlink()


def serve() -> None:
    """Be a worker: score what comes until nothing comes any more."""
    paths = sys.argv[1:]
    given, answers = FileIO(sys.stdin.fileno()), FileIO(sys.stdout.fileno(), "w")
    sys.stdout = sys.stderr
    first, *files = (FileIO(path, "r+") for path in paths)
    _remove(paths)  # now, so that nothing stays behind however the job ends
    setup: Setup = pickle.load(first)  # noqa: S301 - from the job
    for file in itertools.cycle(files):
        sizes = given.read(SIZES.size)
        if len(sizes) < SIZES.size:  # the job has ended
            return
        task, data = _get(file, sizes)
        try:
            scored = score_block(setup, task._replace(block=task.block._replace(data=data)))
            sizes = _put(file, scored._replace(data=b""), scored.data)
        except DumpError as error:
            sizes = _put(file, error, b"")
        try:
            answers.write(sizes)
        except BrokenPipeError:
            os._exit(0)
