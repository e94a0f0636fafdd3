"""Scores the tasks of a job in their order: in this process and in worker processes.

A worker is a fresh interpreter. Tasks, and the results of scoring them, go through temporary
files without names, of which the worker inherits the descriptors: no other program can put
anything into them, and a kill leaves none. On Windows, which cannot do that, they have names.
The pipes carry only one byte per task, and one when a worker is ready, so neither side ever
waits for the other to read. A worker ends when its input ends, so none outlives the job,
however that ends.
"""

from __future__ import annotations

import contextlib
import errno
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
from functools import partial
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fraudscan.dump.output import SLICE
from fraudscan.dump.rows import DumpError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from fraudscan.dump.scoring import Scored, Task

    Score = Callable[[Task], Scored]

__all__ = ["check_number", "score_all"]

AHEAD = 2
"""Tasks that a worker holds at a time: it must not run out of them while this process scores one itself."""

MOST_WORKERS = 256
"""Each takes some hundred megabytes: a mistyped, larger number would exhaust the machine's memory."""

MARK = "FRAUDSCAN_WORKER"
"""The variable in a worker's environment by which a program that is mistaken for an interpreter recognizes that."""

GONE = 66
"""The status of a worker that does not find its files; ``EX_NOINPUT`` where systems name it."""

NAMED = os.name == "nt"
"""Whether a worker finds the temporary files by their names."""


def check_number(workers: int) -> None:
    """Refuse a number of workers out of range, and any but 1 where a worker would be this program itself once more.

    That is so if this program is frozen, does not know its interpreter, or was itself run as a worker.
    """
    if not 1 <= workers <= MOST_WORKERS:
        raise DumpError(f"--workers must be 1 to {MOST_WORKERS}; more workers than processors gain nothing")
    if workers > 1 and (getattr(sys, "frozen", False) or not sys.executable or MARK in os.environ):
        raise DumpError(
            f"--workers needs a Python interpreter, which {sys.executable or 'this program'!r} is not: use 1 worker"
        )


def score_all(
    score: Score, tasks: Iterable[Task | None], workers: int, notify: Callable[[str], None]
) -> Generator[tuple[Task, Scored], None, None]:
    """Score tasks with ``score``, and yield them in their order, whichever process scored them.

    This process is the first worker: it scores tasks while all other workers are busy. In place of a task, ``None``
    means that the results of those before it are wanted now.

    Raises:
        DumpError: if two workers end on the same task, if a worker cannot be started, or if there is no room for its
            temporary files.

    """
    with contextlib.ExitStack() as stack:
        pickled = pickle.dumps(score, pickle.HIGHEST_PROTOCOL) if workers > 1 else b""
        others: list[_Worker] = []
        waiting: deque[_Turn] = deque()
        for task in tasks:
            if task is None:
                while waiting:
                    yield waiting.popleft().done()
                continue
            if len(others) < workers - 1:  # start one per task until all are running: a small dump needs few
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
                turn.answer = _answer(score, task)
            while waiting and (waiting[0].answer or len(waiting) > 2 * AHEAD * len(others)):
                yield waiting.popleft().done()
        while waiting:
            yield waiting.popleft().done()


def _answer(score: Score, task: Task) -> Scored | DumpError:
    """Return the results of a task, or the error to raise when its turn comes."""
    try:
        return score(task)
    except DumpError as error:
        return error


@dataclass
class _Turn:
    """A task, the worker that scores it (``None`` for this process), and its results or error."""

    task: Task
    worker: _Worker | None = None
    answer: Scored | DumpError | None = None

    def done(self) -> tuple[Task, Scored]:
        """Return the task and its answer, waiting for the answer if necessary."""
        while self.answer is None:
            assert self.worker  # noqa: S101 - for the type checker: a worker has it
            self.worker.collect(wait=True)
        if isinstance(self.answer, DumpError):
            raise self.answer
        return self.task, self.answer


class _Worker:
    """A process that scores tasks; ``held`` are those given to it, beginning with the one it is working on."""

    def __init__(self, score: bytes, notify: Callable[[str], None]) -> None:
        self.held: deque[_Turn] = deque()
        self._score = score
        self._notify = notify
        self._failed: _Turn | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._files: list[FileIO] = []
        self._paths: list[str] = []

    def start(self) -> None:
        """Start the process."""
        with _os_errors_as("a worker cannot be started"):
            for _ in range(1 + AHEAD):
                if NAMED:
                    handle, path = tempfile.mkstemp(prefix="fraudscan-")
                    self._paths.append(path)
                    self._files.append(FileIO(handle, "r+"))
                else:
                    self._files.append(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - see close
            _write(self._files[0], self._score)
            handles = () if NAMED else tuple(file.fileno() for file in self._files)
            code = f"import sys; sys.path[:] = {_path()!a}; from fraudscan.dump.workers import serve; serve()"
            files = self._paths or map(str, handles)
            command = [sys.executable, "-I", "-c", code, *files]  # -I: no variable of Python counts
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=handles,
                env={**os.environ, MARK: "1", "OPENBLAS_NUM_THREADS": "1"},  # idle threads spin on others' cores
                start_new_session=True,  # only the job handles Ctrl-C
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
            )
            self._files.pop(0).close()
            self._ready = False
            self._given = self._taken = 0
            self._answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
            listener = threading.Thread(target=_listen, args=(self._process.stdout, self._answers), daemon=True)
            try:
                listener.start()
            except RuntimeError as error:  # where the number of processes is limited, which counts threads too
                self._process.stdout.close()  # type: ignore[union-attr]
                raise OSError(errno.EAGAIN, str(error)) from None

    def give(self, turn: _Turn) -> None:
        """Give the process a task; it must hold fewer than `AHEAD`."""
        turn.worker = self
        self.held.append(turn)
        with _os_errors_as("rows cannot be given to a worker"):
            _put(self._files[self._given % AHEAD], turn.task)
        self._given += 1
        with contextlib.suppress(OSError):  # the process has ended, which `collect` will notice
            self._process.stdin.write(b"\n")  # type: ignore[union-attr]

    def collect(self, *, wait: bool = False) -> None:
        """Take the answers that have arrived; with ``wait``, wait for at least one. Replace a process that ended."""
        while self.held and (wait or not self._answers.empty()):
            wait = False
            if not self._answers.get():
                self._replace()
            elif not self._ready:
                self._ready = True
            else:
                self.held.popleft().answer = _get(self._files[self._taken % AHEAD])
                self._taken += 1

    def _replace(self) -> None:
        """Replace a process that has ended with a new one, and give it the same tasks."""
        assert self._process  # noqa: S101 - for the type checker: it was started
        with contextlib.suppress(subprocess.TimeoutExpired):  # it may have closed its output but still be running
            self._process.wait(1)
        self.close()
        status, turn = self._process.returncode, self.held[0]
        first, last = turn.task.blocks[0], turn.task.blocks[-1]
        held = f"bytes {first.start.offset:,} to {last.end.offset:,} of {turn.task.reader.source}"
        if self._failed is turn:
            doubt = "is there enough memory?"
            if status == GONE and NAMED:
                doubt = f"were their files in {tempfile.gettempdir()} deleted?"
            elif status == GONE:
                doubt = f"does {sys.executable} pass open files on to Python? If it is a launcher, use 1 worker."
            elif not self._ready and status >= 0:  # neither killed nor at work
                doubt = f"can {sys.executable} run Python code, and import fraudscan? If not, use 1 worker."
            raise DumpError(
                f"two workers ended on {held} (status {status}): {doubt} What is scored is kept; continue with --resume"
            )
        self._notify(f"a worker ended (status {status}) while it held {held}; a new worker takes them over")
        self._failed = turn
        turns, self.held = self.held, deque()
        self.start()
        for turn in turns:
            self.give(turn)

    def close(self) -> None:
        """Kill the process and delete its files; the answers to the tasks that it holds are lost."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()  # type: ignore[union-attr]
        while self._files:
            self._files.pop().close()
        _remove(self._paths)
        self._paths.clear()


def _path() -> list[str]:
    """Return the module search path of a worker: our own without the current folder.

    The current folder may hold a dump, and with it any modules. The folder of the package itself is kept, for users
    who run it from there.
    """
    home = Path(__file__).parents[2]
    here = Path.cwd().resolve()  # on Windows it may have the letter of a drive that stands for a folder elsewhere
    return [*(path for path in sys.path if Path(path).resolve() != here), str(home)]


def _listen(pipe: Any, answers: queue.SimpleQueue[bool]) -> None:
    """Queue `True` when a worker is ready and for each of its answers, and `False` when it has ended."""
    with pipe:
        while pipe.read(1):
            answers.put(True)
    answers.put(False)


@contextlib.contextmanager
def _os_errors_as(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # for example, the disk is full
        where = tempfile.gettempdir()
        raise DumpError(f"{what} (files in {where}): {error.strerror}; fix this, then continue with --resume") from None


def _put(file: FileIO, value: Any) -> None:
    """Write a value for the other process to `_get`, without another copy of the rows in it."""
    file.seek(0)  # both processes may share the position in the file, which they take turns to use
    pickle.dump(value, SimpleNamespace(write=partial(_write, file)), pickle.HIGHEST_PROTOCOL)


def _write(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a call may write less than all of it
        rest = rest[file.write(rest[:SLICE]) :]


def _get(file: FileIO) -> Any:
    file.seek(0)
    return pickle.load(file)  # noqa: S301 - from our own process


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # it is already gone, or the system does not remove open files
            Path(path).unlink()


def serve() -> None:
    """Run as a worker: score tasks until standard input ends."""
    paths = [file for file in sys.argv[1:] if not file.isdecimal()]  # the others are descriptors
    given, taken = FileIO(sys.stdin.fileno(), closefd=False), FileIO(sys.stdout.fileno(), "w", closefd=False)
    sys.stdout = sys.stderr
    try:
        first, *files = (FileIO(file if paths else int(file), "r+") for file in sys.argv[1:])
    except OSError:  # a launcher did not pass them on; on Windows, Ctrl-C or something else deleted them
        sys.exit(GONE)
    _remove(paths)  # now, so that none is left behind, however the job ends
    with contextlib.suppress(OSError):  # the job has ended
        taken.write(b"\n")  # ready
    with first:
        score: Score = _get(first)
    for file in itertools.cycle(files):
        if not given.read(1):  # the job has ended
            break
        answer = _answer(score, _get(file))
        try:
            with _os_errors_as("a worker's answer cannot be written"):
                _put(file, answer)
        except DumpError as error:
            _put(file, error)
        try:
            taken.write(b"\n")
        except OSError:
            break
    for file in files:
        file.close()
    _remove(paths)  # on systems that do not remove open files
