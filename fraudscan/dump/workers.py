"""Blocks scored one after the other: by this process, and by others that do nothing else.

A worker is a fresh interpreter. Blocks and what `score_block` makes of them go through
temporary files, which soon have no name any more; the pipes carry nothing but a byte for
each, so that neither side ever waits for the other to read. A worker ends with its input,
so that none outlives the job however that ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudscan.dump.rows import DumpError
from fraudscan.dump.scoring import score_block

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from fraudscan.dump.scoring import Scored, Setup, Task

__all__ = ["score_all"]

AHEAD = 3
"""Blocks that a worker has at a time: it must not run out of them while this process scores one of its own."""


def score_all(
    setup: Setup, tasks: Iterable[Task], workers: int, notify: Callable[[str], None]
) -> Generator[tuple[Task, Scored], None, None]:
    """Score blocks; yield them in their order, whoever scored them.

    This process is the first worker: it scores blocks while all other workers are busy.

    Raises:
        DumpError: if the same block ends two workers, or there is no room for them.

    """
    with contextlib.ExitStack() as stack:
        pickled = pickle.dumps(setup, pickle.HIGHEST_PROTOCOL) if workers > 1 else b""
        others: list[_Worker] = []
        waiting: deque[_Turn] = deque()
        for task in tasks:
            if len(others) < workers - 1:  # one for each block until all are there: a small dump needs few
                others.append(_Worker(pickled, notify))
                stack.callback(others[-1].close)
                others[-1].start()
            for worker in others:
                worker.collect()
            free = min(others, key=lambda worker: len(worker.held), default=None)
            turn = _Turn(task)
            waiting.append(turn)
            if free and len(free.held) < AHEAD:
                free.give(turn)
            else:
                turn.answer = _answer(setup, task)
            while waiting and (waiting[0].answer or len(waiting) > 2 * AHEAD * len(others)):
                yield waiting.popleft().done()
        while waiting:
            yield waiting.popleft().done()


def _answer(setup: Setup, task: Task) -> Scored | DumpError:
    """Return what becomes of a block, or the error to raise when it is its turn."""
    try:
        return score_block(setup, task)
    except DumpError as error:
        return error


@dataclass
class _Turn:
    """A block, the worker that has it if it is not this process, and what became of it."""

    task: Task
    worker: _Worker | None = None
    answer: Scored | DumpError | None = None

    def done(self) -> tuple[Task, Scored]:
        """Wait for the answer."""
        while self.answer is None:
            assert self.worker  # noqa: S101 - for the type checker: somebody has it
            self.worker.collect(wait=True)
        if isinstance(self.answer, DumpError):
            raise self.answer
        return self.task, self.answer


class _Worker:
    """A process that scores; ``held`` are the blocks that it has, the one that it works on first."""

    def __init__(self, setup: bytes, notify: Callable[[str], None]) -> None:
        self.held: deque[_Turn] = deque()
        self._setup = setup
        self._notify = notify
        self._failed: _Turn | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._files: list[FileIO] = []
        self._paths: list[str] = []

    def start(self) -> None:
        """Start the process."""
        with _told("a worker cannot be started"):
            for _ in range(1 + AHEAD):
                handle, path = tempfile.mkstemp(prefix="fraudscan-")
                self._paths.append(path)
                self._files.append(FileIO(handle, "r+"))
            with self._files.pop(0) as first:
                _write(first, self._setup)
            code = f"import sys; sys.path[:] = {_path()!a}; from fraudscan.dump.workers import serve; serve()"
            command = [sys.executable, "-I", "-c", code, *self._paths]  # -I: else the path began with where we are
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # idle threads spin on the cores of other workers
                start_new_session=True,  # Ctrl-C is for the job to answer
            )
        self._given = self._taken = 0
        self._answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(self._process.stdout, self._answers), daemon=True).start()

    def give(self, turn: _Turn) -> None:
        """Have a block scored; there must be less than `AHEAD` already."""
        turn.worker = self
        self.held.append(turn)
        with _told("a block cannot be given to a worker"):
            _put(self._files[self._given % AHEAD], turn.task)
        self._given += 1
        with contextlib.suppress(OSError):  # it has ended, as `collect` will see
            self._process.stdin.write(b"\n")  # type: ignore[union-attr]

    def collect(self, *, wait: bool = False) -> None:
        """Take the answers that are there; with ``wait``, at least one.

        Raises:
            DumpError: if a second process ended on the same block.

        """
        while self.held and (wait or not self._answers.empty()):
            wait = False
            if self._answers.get():
                self.held.popleft().answer = _get(self._files[self._taken % AHEAD])
                self._taken += 1
            else:
                self._replace()

    def _replace(self) -> None:
        """Start a process in the place of one that has ended, with the same blocks."""
        assert self._process  # noqa: S101 - for the type checker: it was started
        with contextlib.suppress(subprocess.TimeoutExpired):  # it may have closed its output and live on
            self._process.wait(1)
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
        self.start()
        for turn in turns:
            self.give(turn)

    def close(self) -> None:
        """End the process; what it holds is lost."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()  # type: ignore[union-attr]
        while self._files:
            self._files.pop().close()
        _remove(self._paths)
        self._paths.clear()


def _path() -> list[str]:
    """Return where a worker finds its modules: where we do, but not in the current folder, which may hold any dump's.

    What the package itself lies in is kept, for somebody who runs it from there.
    """
    home = Path(__file__).parents[2]
    return [*(path for path in sys.path if Path(path).resolve() != Path.cwd()), str(home)]


def _listen(pipe: Any, answers: queue.SimpleQueue[bool]) -> None:
    """Queue a `True` for each of a worker's answers, and a `False` when it has ended."""
    with pipe:
        while pipe.read(1):
            answers.put(True)
    answers.put(False)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # the disk is full, say
        where = tempfile.gettempdir()
        raise DumpError(f"{what} (files in {where}): {error.strerror}; then go on with --resume") from None


def _put(file: FileIO, value: Any) -> None:
    """Leave something for the other side to `_get`."""
    file.seek(0)
    _write(file, pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def _write(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # it may take less than all at a time
        rest = rest[file.write(rest) :]


def _get(file: FileIO) -> Any:
    file.seek(0)
    return pickle.load(file)  # noqa: S301 - from our own process


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # it is gone, or the system keeps the names of open files
            Path(path).unlink()


def serve() -> None:
    """Be a worker: score what comes until nothing comes any more."""
    paths = sys.argv[1:]
    given, taken = FileIO(sys.stdin.fileno(), closefd=False), FileIO(sys.stdout.fileno(), "w", closefd=False)
    sys.stdout = sys.stderr
    first, *files = (FileIO(path, "r+") for path in paths)
    with first:
        setup: Setup = _get(first)
    _remove(paths)  # now, so that nothing stays behind however the job ends
    for file in itertools.cycle(files):
        if not given.read(1):  # the job has ended
            break
        answer = _answer(setup, _get(file))
        try:
            with _told("a worker's answer cannot be given"):
                _put(file, answer)
        except DumpError as error:
            _put(file, error)
        try:
            taken.write(b"\n")
        except OSError:
            break
    for file in files:
        file.close()
    _remove(paths)  # where the system did not let it before
