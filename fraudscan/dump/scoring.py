"""Blocks scored: in this process, or by others that do nothing else.

A worker is a fresh interpreter that reads pickled blocks from its standard input and
writes what `score_block` makes of them to its standard output; it ends with its input,
so that none outlives the job however that ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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

    Raises:
        DumpError: if the same block ends two workers.

    """
    if workers == 1:
        for task in tasks:
            yield task, score_block(setup, task)
        return
    with contextlib.ExitStack() as stack:
        pickled = pickle.dumps(setup, pickle.HIGHEST_PROTOCOL)
        idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for _ in range(workers):
            idle.put(stack.enter_context(contextlib.closing(_Worker(pickled))))
        # a thread a worker: it waits for the answer while the others are served
        threads = stack.enter_context(contextlib.closing(_Threads(workers)))
        waiting: deque[tuple[Task, Any]] = deque()
        for task in tasks:
            waiting.append((task, threads.submit(_score_by, idle, task, notify)))
            if len(waiting) > 2 * workers:
                first, scored = waiting.popleft()
                yield first, scored.result()
        for first, scored in waiting:
            yield first, scored.result()


class _Threads(ThreadPoolExecutor):
    def close(self) -> None:
        self.shutdown(wait=False, cancel_futures=True)


def _score_by(idle: queue.SimpleQueue[_Worker], task: Task, notify: Callable[[str], None]) -> Scored:
    worker = idle.get()
    try:
        try:
            return worker.score(task)
        except (EOFError, OSError, pickle.UnpicklingError):
            held = f"bytes {task.block.start.offset:,} to {task.block.end.offset:,} of {task.reader.source}"
            notify(f"a worker ended (status {worker.restart()}) while it held {held}; another one takes them")
            try:
                return worker.score(task)
            except (EOFError, OSError, pickle.UnpicklingError):
                raise DumpError(
                    f"two workers ended on {held} (status {worker.restart()}): is there memory enough? "
                    "What is scored is kept; go on with --resume"
                ) from None
    finally:
        idle.put(worker)


class _Worker:
    """A process that scores."""

    def __init__(self, setup: bytes) -> None:
        self._setup = setup
        self._closed = False
        self._turn = threading.Lock()  # the job may end the worker while a thread starts it anew
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-c", "from fraudscan.dump.scoring import serve; serve()"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the job to answer
        )
        self._ready = False

    def _send(self, data: bytes) -> None:
        assert self._process.stdin  # noqa: S101 - for the type checker: it is a pipe
        self._process.stdin.write(len(data).to_bytes(8, "little"))
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def score(self, task: Task) -> Scored:
        if not self._ready:  # not at the start, so that all processes start together
            self._send(self._setup)
            self._ready = True
        self._send(pickle.dumps(task, pickle.HIGHEST_PROTOCOL))
        scored = pickle.load(self._process.stdout)  # type: ignore[arg-type]  # noqa: S301 - from our own process
        if isinstance(scored, Exception):
            raise scored
        return scored  # type: ignore[no-any-return]

    def restart(self) -> int:
        """Start a process in the dead one's place; return how that ended."""
        with self._turn:
            if self._closed:
                raise DumpError("the job was stopped")
            self._end()
            status = self._process.returncode
            self._start()
            return status

    def close(self) -> None:
        """End the process; at this point it has nothing that anybody waits for."""
        with self._turn:
            self._closed = True
            self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()  # a thread that reads from it sees the end and lets go of the pipe
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def serve() -> None:
    """Be a worker: score what comes until nothing comes any more."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    setup: Setup | None = None
    while True:
        size = int.from_bytes(source.read(8), "little")
        data = source.read(size)
        if not size or len(data) < size:  # the job has ended, perhaps in the middle of this
            return
        received = pickle.loads(data)  # noqa: S301 - from the job
        if setup is None:
            setup = received
            continue
        try:
            answer: Any = score_block(setup, received)
        except DumpError as error:
            answer = error
        try:
            pickle.dump(answer, target, pickle.HIGHEST_PROTOCOL)
            target.flush()
        except BrokenPipeError:
            os._exit(0)
