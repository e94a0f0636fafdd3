"""The checkpoint: the progress of a job, in one SQLite file beside the output.

Everything that a job needs to resume is in the same transaction, so a kill at any time
leaves the state of one moment. What was written to other files after that moment is cut.
A job does not survive a power cut: neither the checkpoint nor the other files are synced
to the disk, because that would take too much time.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import stat
from typing import TYPE_CHECKING, Any

from fraudscan.dump.rows import DumpError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

__all__ = ["NOT_OURS", "Checkpoint", "NoCheckpointError", "files_of", "is_ours", "new_file", "owners"]


class NoCheckpointError(DumpError):
    """The file is not a checkpoint, or is damaged."""


class Checkpoint:
    """The state of a job and of its conversations. Until it is closed, no other process can open it.

    Args:
        path: the file; ``None`` keeps everything in memory, for a job that cannot be resumed anyway.

    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path:
            with _os_errors(path):
                for known in files_of(path):
                    if known.exists() and not is_ours(known.lstat(), owners(known)):
                        raise DumpError(f"{known} {NOT_OURS}")
                path.touch(0o600)  # SQLite would not say why the file cannot be written
                with contextlib.suppress(OSError):  # some disks have no modes
                    path.chmod(0o600)
                opened = path.stat().st_ino
        with contextlib.ExitStack() as stack:
            try:
                self._base = sqlite3.connect(path or ":memory:", timeout=1, isolation_level=None)
                stack.callback(self._base.close)
                self._base.execute("PRAGMA synchronous = OFF")  # a job survives kills, but not power cuts
                self._base.execute("PRAGMA locking_mode = EXCLUSIVE")  # else another job could lock it at a commit
                self._base.execute("BEGIN IMMEDIATE")
                if path and not (path.exists() and path.stat().st_ino == opened):  # its job has just removed it
                    if path.exists() and not path.stat().st_size:
                        path.unlink()  # SQLite created it again
                    raise DumpError(f"another job was writing {path}: try again")
                self._prepare()
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    raise DumpError(f"another job is writing {path}") from None
                raise DumpError(f"{path} cannot be written: {error}") from None
            except sqlite3.DatabaseError as error:
                raise NoCheckpointError(f"{path} is not a checkpoint ({error}): start over with --force") from None
            stack.pop_all()

    def _prepare(self) -> None:
        """Check the tables, which are made if there are none. Otherwise any later statement could find damage."""
        (found,) = self._base.execute("PRAGMA quick_check(1)").fetchone()
        if self._base.execute("SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone():
            found = "it has triggers or views"
        if found != "ok":
            raise sqlite3.DatabaseError(found)  # as sqlite3 does if it cannot read the file at all
        self._base.execute("CREATE TABLE IF NOT EXISTS job (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        self._base.execute(
            "CREATE TABLE IF NOT EXISTS conversation "
            "(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL)"
        )
        for table, columns in (("job", "name,value"), ("conversation", "number,name,state")):
            listed = "SELECT group_concat(name) FROM pragma_table_info(?)"
            if self._base.execute(listed, (table,)).fetchone() != (columns,):
                raise sqlite3.DatabaseError(f"the table {table} has other columns")

    @classmethod
    def lock(cls, path: Path | None, *, force: bool) -> Checkpoint:
        """Open the checkpoint, which locks out other jobs; with ``force``, replace what is no checkpoint of ours."""
        files = files_of(path) if path else ()
        for known in files:
            if known.is_symlink():  # messages would be written wherever it leads
                raise DumpError(f"{known} is a link: remove it, or name another output")
            with _os_errors(known):
                if force and known.exists() and not is_ours(known.lstat(), owners(known)):
                    known.unlink()
        try:
            return cls(path)
        except NoCheckpointError:
            if not force:
                raise
            for known in files:
                known.unlink(missing_ok=True)
            return cls(path)

    def close(self) -> None:
        """Close the file and discard what was not committed."""
        with contextlib.suppress(sqlite3.Error):
            self._base.rollback()
        self._base.close()

    def remove(self) -> None:
        """Remove the file, then close it. The other order, which Windows needs, could let another job in between."""
        files = files_of(self._path)[::-1] if self._path else ()  # a journal alone would be taken for a job
        try:
            for known in files:
                known.unlink(missing_ok=True)
        except PermissionError:  # Windows
            self.close()
            for known in files:
                known.unlink(missing_ok=True)
        self.close()

    def read(self, name: str) -> Any:
        """Return the value of this name, ``None`` if there is none."""
        with self.understood():
            row = self._base.execute("SELECT value FROM job WHERE name = ?", (name,)).fetchone()
            return json.loads(row[0]) if row else None

    @contextlib.contextmanager
    def understood(self) -> Iterator[None]:
        """Refuse to resume if what is read, here or by the caller, is not what a job writes."""
        try:
            yield
        except (
            *(AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError),
            sqlite3.Error,  # a text is not UTF-8, or a column is missing
        ) as error:
            raise NoCheckpointError(f"{self._path} is not a checkpoint ({error!r}): start over with --force") from None

    def commit(self, **values: Any) -> None:
        """Set values, and commit everything that was written."""
        rows = [(name, json.dumps(value)) for name, value in values.items()]
        with self._write_errors():
            self._base.executemany("INSERT OR REPLACE INTO job VALUES (?, ?)", rows)
            self._base.execute("COMMIT")
            self._base.execute("BEGIN IMMEDIATE")

    def clear(self) -> None:
        """Delete all values and conversations, and commit that."""
        with self._write_errors():
            self._base.execute("DELETE FROM job")
            self._base.execute("DELETE FROM conversation")
        self.commit()

    def conversation(self, key: str) -> str | None:
        """Return the state of a conversation, ``None`` if there is none."""
        row = self._base.execute("SELECT state FROM conversation WHERE name = ?", (_name(key),)).fetchone()
        return row[0] if row else None

    def keep(self, states: Iterable[tuple[str, str]]) -> None:
        """Set the states of conversations; new ones are numbered in this order."""
        with self._write_errors():
            self._base.executemany(
                "INSERT INTO conversation (name, state) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET state = excluded.state",
                ((_name(key), state) for key, state in states),
            )

    def conversations(self) -> Iterator[tuple[str, str]]:
        """Yield all conversations in the order of their numbers."""
        for name, state in self._base.execute("SELECT name, state FROM conversation ORDER BY number"):
            yield json.loads(name), state

    def ranked(self, rows: Iterable[tuple[bool, float, bytes]]) -> Iterator[bytes]:
        """Yield rows in descending order of the numbers before them; equal ones stay in their order.

        They are sorted in temporary files of SQLite, so that memory does not grow with their number.
        """
        with self._write_errors():
            self._base.execute("CREATE TEMP TABLE ranked (number INTEGER PRIMARY KEY, flagged, score, row)")
            self._base.executemany("INSERT INTO ranked (flagged, score, row) VALUES (?, ?, ?)", rows)
            ordered = self._base.execute("SELECT row FROM ranked ORDER BY flagged DESC, score DESC, number")
            yield from (row for (row,) in ordered)

    @contextlib.contextmanager
    def _write_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # for example, the disk is full
            raise DumpError(
                f"{self._path} cannot be written to: {error}; fix this, then continue with --resume"
            ) from None


def files_of(path: Path) -> tuple[Path, Path]:
    """Return a checkpoint and SQLite's journal beside it, from which it rolls back after a kill."""
    return path, path.with_name(f"{path.name}-journal")


@contextlib.contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # for example, the folder is on a read-only evidence drive
        raise DumpError(f"{path} cannot be written: {error.strerror}") from None


NOT_OURS = (
    "is a link, has a second name, or belongs to another user: resume the job as the user who began it, or start over "
    "with --force and without --resume"
)
"""What to say of a file that `is_ours` refuses."""


def is_ours(found: os.stat_result, owners: Collection[int]) -> bool:
    """Return whether a file is a regular one of these owners without another name, as all are that a job makes.

    In a folder to which others may write, anything else may be theirs, or a second name of a file elsewhere.
    """
    return found.st_uid in owners and stat.S_ISREG(found.st_mode) and found.st_nlink <= 1


def owners(path: Path) -> set[int]:
    """Return who owns the files that this process makes beside ``path``.

    On some disks (FAT, SMB, NFS) that is not the user whose process it is.
    """
    return {new_file(path.parent).st_uid} | ({os.geteuid()} if hasattr(os, "geteuid") else set())


def new_file(folder: Path) -> os.stat_result:
    """Return the state of a new file in a folder, because its owner and mode depend on more than this process."""
    probe = folder / f".fraudscan-{secrets.token_hex(8)}"
    handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return os.fstat(handle)
    finally:
        os.close(handle)
        probe.unlink()


def _name(key: str) -> str:
    """Return a key as ASCII, because SQLite cannot store lone surrogates."""
    return json.encoder.encode_basestring_ascii(key)
