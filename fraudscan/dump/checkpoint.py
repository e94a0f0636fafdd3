"""The checkpoint: how far a job has come, in one SQLite file beside the output.

Everything that a job needs to go on is in the same transaction, so a kill at any time
leaves the state of one moment. What was written to other files after that moment is cut.
A power cut is another matter: nothing makes the system bring to the disk what was
written, be it here or there, for that would take its own time.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from fraudscan.dump.rows import DumpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Checkpoint", "NoCheckpointError", "journal_of"]


class NoCheckpointError(DumpError):
    """The file is not a checkpoint, or a damaged one."""


class Checkpoint:
    """A job's state, and the states of its conversations. Nobody else can open it until it is closed.

    Args:
        path: the file; ``None`` keeps everything in memory, for a job that cannot go on anyway.

    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        try:
            if path:
                path.touch()  # SQLite does not say why it cannot
                opened = path.stat().st_ino
        except OSError as error:  # the folder is on evidence that is read-only, say
            raise DumpError(f"{path} cannot be written: {error.strerror}") from None
        with contextlib.ExitStack() as stack:
            try:
                self._base = sqlite3.connect(path or ":memory:", timeout=1, isolation_level=None)
                stack.callback(self._base.close)
                self._base.execute("PRAGMA synchronous = OFF")  # kills are survived, power cuts are not
                self._base.execute("PRAGMA locking_mode = EXCLUSIVE")  # or another job might come in at a commit
                self._base.execute("BEGIN IMMEDIATE")
                if path and not (path.exists() and path.stat().st_ino == opened):  # that job has just removed it
                    if path.exists() and not path.stat().st_size:
                        path.unlink()  # SQLite made it anew
                    raise DumpError(f"another job was writing {path}: try again")
                # now, or any later statement may find damage
                (found,) = self._base.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise sqlite3.DatabaseError(found)  # noqa: TRY301 - as sqlite does where it cannot even look
                self._base.execute("CREATE TABLE IF NOT EXISTS job (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
                self._base.execute(
                    "CREATE TABLE IF NOT EXISTS conversation "
                    "(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL)"
                )
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    raise DumpError(f"another job is writing {path}") from None
                raise DumpError(f"{path} cannot be written: {error}") from None
            except sqlite3.DatabaseError as error:
                raise NoCheckpointError(f"{path} is no checkpoint ({error}): start anew with --force") from None
            stack.pop_all()

    @classmethod
    def lock(cls, path: Path | None, *, force: bool) -> Checkpoint:
        """Open the checkpoint, which keeps other jobs away; with ``force`` replace a file that is none."""
        try:
            return cls(path)
        except NoCheckpointError:
            if path is None or not force:
                raise
            for known in (path, journal_of(path)):
                known.unlink(missing_ok=True)
            return cls(path)

    def close(self) -> None:
        """Close the file; what was not committed is forgotten."""
        with contextlib.suppress(sqlite3.Error):
            self._base.rollback()
        self._base.close()

    def remove(self) -> None:
        """Remove the file and close it: in this order where the system can, or another job might come in between."""
        path = self._path
        paths = [path, journal_of(path)] if path else []
        try:
            for known in paths:
                known.unlink(missing_ok=True)
        except PermissionError:  # Windows
            self.close()
            for known in paths:
                known.unlink(missing_ok=True)
        self.close()

    def read(self, name: str) -> Any:
        """Return a value, ``None`` if there is none."""
        row = self._base.execute("SELECT value FROM job WHERE name = ?", (name,)).fetchone()
        with self.understood():
            return json.loads(row[0]) if row else None

    @contextlib.contextmanager
    def understood(self) -> Iterator[None]:
        """Refuse to go on where what was read is not what we wrote."""
        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise NoCheckpointError(f"{self._path} is no checkpoint ({error!r}): start anew with --force") from None

    def commit(self, **values: Any) -> None:
        """Write values, and make all that was written last."""
        rows = [(name, json.dumps(value)) for name, value in values.items()]
        with self._told():
            self._base.executemany("INSERT OR REPLACE INTO job VALUES (?, ?)", rows)
            self._base.execute("COMMIT")
            self._base.execute("BEGIN IMMEDIATE")

    def clear(self) -> None:
        """Forget all that it holds, for good."""
        with self._told():
            self._base.execute("DELETE FROM job")
            self._base.execute("DELETE FROM conversation")
        self.commit()

    def conversation(self, key: str) -> str | None:
        """Return the state of a conversation."""
        row = self._base.execute("SELECT state FROM conversation WHERE name = ?", (_name(key),)).fetchone()
        return row[0] if row else None

    def keep(self, states: Iterable[tuple[str, str]]) -> None:
        """Set the states of conversations; new ones get their number in this order."""
        with self._told():
            self._base.executemany(
                "INSERT INTO conversation (name, state) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET state = excluded.state",
                ((_name(key), state) for key, state in states),
            )

    def conversations(self) -> Iterator[tuple[str, str]]:
        """Yield all conversations in the order of their numbers."""
        for name, state in self._base.execute("SELECT name, state FROM conversation ORDER BY number"):
            yield json.loads(name), state

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # the disk is full, say
            raise DumpError(f"{self._path} cannot be written on: {error}; then go on with --resume") from None


def journal_of(path: Path) -> Path:
    """Return the file beside a checkpoint in which SQLite notes what to take back after a kill."""
    return path.with_name(f"{path.name}-journal")


def _name(key: str) -> str:
    """Return a key as ASCII: SQLite holds no half surrogate pairs."""
    return json.dumps(key)
