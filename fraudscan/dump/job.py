"""The job: reads dumps and writes scored rows, loses nothing, holds no dump in memory, resumes after any kill."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from fraudscan._version import __version__
from fraudscan.columns import columns_of
from fraudscan.decisions import checked_integer
from fraudscan.dump.checkpoint import Checkpoint
from fraudscan.dump.conversations import Conversations
from fraudscan.dump.detect import delimiter_of
from fraudscan.dump.output import (
    Growing,
    Names,
    StandardError,
    StandardOutput,
    create,
    encode_reject,
    now,
    part_of,
    publish,
    write_summary,
    written,
)
from fraudscan.dump.parquet import assemble
from fraudscan.dump.prepare import prepare
from fraudscan.dump.readers import BLOCK
from fraudscan.dump.rows import DumpError, Place
from fraudscan.dump.scoring import Task, score_blocks
from fraudscan.dump.sources import expand, fingerprint, is_file
from fraudscan.dump.streams import STDIN, Stream
from fraudscan.dump.workers import check_number, score_all
from fraudscan.model import Scanner
from fraudscan.show import shown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from fraudscan.dump.rows import Block
    from fraudscan.dump.scoring import Scored

__all__ = ["DumpError", "Options", "Progress", "Summary", "ranked", "score_dump"]

SECONDS = 0.25
"""Time between two checkpoints: about this much work is lost by a kill. One takes some hundred microseconds."""

TOGETHER = 4
"""Maximum number of blocks scored together. They share the fixed cost of a call of the scanner. Larger blocks would do
the same, but take longer to read."""

TASKS = 8
"""Tasks that each worker should get at least: small dumps are scored block by block. So are pipes, whose rows would
otherwise wait for those of later blocks."""

MOST_LINES = 20_000
"""A task with more lines than this gets no further block: where lines are short, rows take more memory than blocks."""

SMALLEST_LIMIT, LARGEST_LIMIT = 1 << 12, 1 << 30
"""Bounds of ``max_message``: memory holds several copies of a row, and the csv module accepts at most 2 GiB."""

MOST_REASONS, OTHER_REASONS = 1000, "other reasons"
"""At most this many different reasons for rejects are counted separately, because a dump may have a different reason
for each row. The rest are counted under `OTHER_REASONS`."""

DIFFERENT = {
    "fraudscan": "fraudscan has another version",
    "model": "the model, its thresholds or its lists have changed",
    "input": "the input has changed",
    "columns": "lists were added or left out",  # empty lists do not change the model's digest, but they add a column
}
"""Why a job cannot be resumed, by the part of its identity that differs; of ``options``, the message names them."""


@dataclass(frozen=True)
class Options:
    """The options that determine the output. A job can be resumed only with the same options.

    Attributes:
        text: the column with the text; by default it is found by its name.
        format: one of `fraudscan.dump.detect.FORMATS`; by default it is detected from the content and name of
            the source.
        encoding: the encoding of the sources; by default it is detected from their content.
        delimiter: the delimiter of CSV sources, one character; by default it is detected from the header.
        header_line: the line of the header in CSV sources and in the sheets of workbooks, from 1; the lines above it
            are rejected. 0 if they have no header; their columns are then called 1, 2, 3. By default it is the first
            line, or the second if that names the delimiter; in a sheet, the first row that is not empty.
        proba: add one column per label, scheme and target group with its probability.
        by: the column that identifies a row's conversation; if it is given, conversations are scored too. Of several
            names, the first that a source has counts; rows of a source that has none of them are in no conversation.
        sender: the column with the sender of a message, for list entries that are bound to a sender.
        filenames: add two columns, the source of each row and its line there: in Parquet the number of the row, in a
            workbook the row of the sheet.
        explain: add a column with the strongest evidence.
        bom: begin CSV with a byte order mark. This and ``safe_csv`` are refused if the output is not CSV.
        safe_csv: in CSV, put an apostrophe before text that a spreadsheet would take for a formula, at the start of a
            cell and after any delimiter or line end within one (a spreadsheet may split cells there).
        max_message: the maximum size of a row in bytes, not counting pictures in backups; longer rows are rejected.
            It is also the maximum size of a block.

    """

    text: str | None = None
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None
    proba: bool = False
    by: str | Sequence[str] | None = None
    sender: str | None = None
    filenames: bool = False
    explain: bool = False
    bom: bool = False
    safe_csv: bool = False
    max_message: int = 1 << 20


@dataclass
class Summary:
    """The counts of a job, where rows read = rows scored + rows rejected.

    Attributes:
        scored: the number of rows scored.
        rejected: the number of rows rejected.
        labels, schemes, verdicts, notes, rules: the number of rows scored with each of them.
        scores: the number of rows scored from 0 to below 0.1 (``"0.0"``), to below 0.2 (``"0.1"``) and so on; 1 counts
            with ``"0.9"``.
        reasons: the number of rows rejected for each reason.
        conversations: the number of conversations with each verdict, if conversations are scored.
        without_conversation: the number of rows in no conversation, if conversations are scored.
        damaged: the sources that could not be read to their end.
        seconds: how long the job worked, in all its runs.

    """

    scored: int = 0
    rejected: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    schemes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    scores: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    conversations: Counter[str] = field(default_factory=Counter)
    without_conversation: int = 0
    damaged: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.default_factory is Counter:  # JSON has counters as dictionaries
                setattr(self, each.name, Counter({**value}))
                valid = all(isinstance(count, int) for count in value.values())
            elif each.name == "damaged":
                valid = isinstance(value, list) and all(isinstance(source, str) for source in value)
            else:
                valid = isinstance(value, (int, float) if each.name == "seconds" else int) and 0 <= value < 1 << 63
            if not valid:
                raise TypeError(f"{each.name} is {value!r}")

    def add(self, scored: Scored) -> None:
        """Add the counts and rejects of a task."""
        self.scored += scored.scored
        self.rejected += len(scored.rejects)
        for name, counts in scored.counts.items():
            getattr(self, name).update(counts)
        for reject in scored.rejects:
            known = reject.reason in self.reasons or len(self.reasons) < MOST_REASONS
            self.reasons[reject.reason if known else OTHER_REASONS] += 1

    def report(self) -> dict[str, Any]:
        """Return the summary as it is written to ``OUT.summary.json``."""
        rows = self.scored + self.rejected
        rate = round(rows / self.seconds) if self.seconds else None
        counts = {name: ranked(value) for name, value in vars(self).items() if isinstance(value, Counter)}
        counts["scores"] = dict(sorted(self.scores.items()))
        return {"rows": rows, **vars(self), **counts, "seconds": round(self.seconds, 3), "rows_per_second": rate}


def ranked(counts: Counter[str]) -> dict[str, int]:
    """Return counts in descending order, equal ones in the order of their names: it does not depend on the tasks."""
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


@dataclass(frozen=True)
class Progress:
    """The progress of a job: rows so far, bytes read (``done``) and bytes of all sources (unknown sizes count as 0)."""

    rows: int
    done: int
    total: int
    seconds: float


def _silent(_: Any) -> None:
    pass


def score_dump(  # noqa: PLR0913 - one argument for each choice
    scanner: Scanner,
    sources: Sequence[str | os.PathLike[str]],
    target: str | os.PathLike[str],
    options: Options | None = None,
    *,
    exclude: Sequence[str] = (),
    workers: int = 1,
    resume: bool = False,
    force: bool = False,
    notify: Callable[[str], None] = _silent,
    progress: Callable[[Progress], None] = _silent,
) -> Summary:
    """Score dumps row by row into ``target``.

    The output appears under its name only when it is complete. Beside it are written ``TARGET.summary.json``,
    ``TARGET.rejects.jsonl`` with the rows that could not be scored, if there are any (they go to standard error if the
    target is ``-``), and ``TARGET.conversations.jsonl`` if conversations are requested.

    Args:
        scanner: the scanner to score with.
        sources: files, folders, patterns, or ``-`` for standard input.
        target: a file, or ``-`` for standard output.
        options: the options that determine the output. Errors and notices name them as the command line does:
            ``--header-line`` is ``header_line``.
        exclude: names or patterns, as for `pathlib.PurePath.match`, of files and folders to leave out where ``sources``
            are folders or patterns; files that ``sources`` name directly are always read.
        workers: the number of processes that score; the output does not depend on it. Frozen programs have only one.
        resume: continue a job that was interrupted; if it is complete, its summary is returned and nothing is done.
        force: replace an existing target, complete or incomplete.
        notify: called with notices for the user, of guesses for example; `print` shows them.
        progress: called a few times a second.

    Raises:
        DumpError: if a source cannot be read or lacks a column, if no source has any of several columns that
            ``options.by`` names, if the target exists or is one of the sources, or if a job cannot continue. What was
            written so far is kept, and the job can be resumed.
        TypeError: if ``sources`` or ``exclude`` is a single name instead of a list of names, a number is no integer, or
            ``scanner`` or ``options`` is anything else, such as the name of a folder or a dictionary.

    """
    if not isinstance(scanner, Scanner):
        kind = type(scanner).__name__
        raise TypeError(f"score_dump takes a Scanner, not {kind}: fraudscan.load reads model folders")
    if isinstance(sources, (str, os.PathLike)):
        raise TypeError(f"sources is one {type(sources).__name__}, not several: pass a list, [source]")
    names, out = [os.fspath(source) for source in sources], os.fspath(target)
    options = Options() if options is None else options
    if not isinstance(options, Options):
        raise TypeError(f"options must be Options, not {type(options).__name__}: pass Options(text=...), for example")
    delimiter, line = options.delimiter, options.header_line
    options = replace(
        options,
        delimiter=delimiter if delimiter is None else delimiter_of(delimiter),
        by=_one_or_several(options.by),
        max_message=checked_integer(options.max_message, "max_message"),
        header_line=line if line is None else checked_integer(line, "header_line"),
    )
    workers = checked_integer(workers, "workers")
    if not names:
        raise DumpError("no dump is named: sources is empty")
    if not SMALLEST_LIMIT <= options.max_message <= LARGEST_LIMIT:
        raise DumpError(f"--max-message must be {SMALLEST_LIMIT:,} to {LARGEST_LIMIT:,} bytes")
    check_number(workers)
    if options.by is not None and out == STDIN:
        raise DumpError("--by writes conversations beside the output: name an output file instead of -")
    if isinstance(exclude, str):
        raise TypeError("exclude is one str, not several: pass a list, [pattern]")
    job = _Job(scanner, expand(names, notify, exclude), frozenset(names), out, options, notify)
    with contextlib.ExitStack() as stack:
        if job.open(stack, resume=resume, force=force):
            if not job.finished:
                job.run(workers, progress)
            job.finish()
        else:
            notify(f"{target} is complete: there is nothing to resume")
    return job.summary


@dataclass
class _Job:
    """One run of `score_dump`."""

    scanner: Scanner
    sources: list[str]
    named: frozenset[str]
    """The sources that the user named; the others were found in folders or by patterns."""
    target: str
    options: Options
    notify: Callable[[str], None]
    summary: Summary = field(default_factory=Summary)
    began: str = field(default_factory=now)
    source: int = 0
    place: Place | None = None
    """Where to continue in the source; ``None`` for its beginning."""
    finished: bool = False
    """Whether all rows are scored."""
    claimed: bool = False
    """Whether the names of the results are this job's: it replaces nothing that it did not make without ``force``."""
    _read: int = 0

    def __post_init__(self) -> None:
        self.names = Names(self.target) if self.target != STDIN else None
        self._identity: dict[str, Any] = {
            "fraudscan": __version__,
            "model": self.scanner.digest,
            "options": asdict(self.options),
            "input": list(map(fingerprint, self.sources)),
            "columns": list(columns_of(self.scanner)),
        }
        self._digest = hashlib.sha256(json.dumps(self._identity).encode()).hexdigest()

    # opening

    def open(self, stack: contextlib.ExitStack, *, resume: bool, force: bool) -> bool:
        """Prepare all sources, then open the output: a new one, or the one of the last checkpoint.

        Return whether anything is left to do: nothing is if an earlier run has written all files of this job.
        """
        if self.names:
            if resume and not force and self._is_complete(self.names):
                return False
            self._refuse(self.names, resume=resume, force=force)
        self.writer, self._prepared = prepare(
            self.scanner, self.sources, self.named, self.names, self.options, self.notify
        )
        head = self.writer.head()  # before any file is made, because Parquet may be refused here
        path = self.names.checkpoint if self.names else None
        self.checkpoint = Checkpoint.lock(path, force=force and not resume)
        stack.callback(self.checkpoint.close)
        begun = self.names is not None and self._begin(self.names, resume=resume, force=force)
        self.conversations = Conversations(self.scanner, self.checkpoint)
        sizes = self._restore() if begun else (0, 0)
        self.claimed = force or (begun and self.checkpoint.read("claimed") is True)
        if begun and force:
            self.checkpoint.commit(claimed=True)
        self._check_results()
        if self.finished:
            return True
        if self.names:
            self.out: Growing | StandardOutput = Growing(self.names.target, sizes[0])
            stack.callback(self.out.abandon)
            self.rejects: Growing | StandardOutput = Growing(self.names.rejects, sizes[1])
        else:
            self.out, self.rejects = StandardOutput(sys.stdout), StandardError(sys.stderr)
        stack.callback(self.rejects.abandon)
        if not begun:
            self.out.write(head)
            self.commit(identity=self._identity, claimed=self.claimed)
        return True

    def _check_results(self) -> None:
        if self.names and not self.claimed:
            self.names.check_free(
                "was not made by this job: move it away and continue with --resume, or add --force to replace it"
            )

    def _restore(self) -> tuple[int, int]:
        """Continue from the last checkpoint; return how many bytes of the output and of the rejects it covers."""
        with self.checkpoint.understood():
            match self.checkpoint.read("state"):
                case {
                    "source": int(source),
                    "place": None | [int(), int(), int(), str()] as place,
                    "out": int(out),
                    "rejects": int(rejects),
                    "summary": dict(summary),
                    "finished": bool(finished),
                    "began": str(began),
                } if source in range(len(self._prepared) + (place is None)):
                    if not all(0 <= number < 1 << 63 for number in (out, rejects, *(place or ())[:3])):
                        raise ValueError("a place or size is impossible")
                    self.source, self.place = source, place and Place(*place)
                    self.summary, self.finished, self.began = Summary(**summary), finished, began
                case _:
                    raise ValueError("the state has impossible values")
        self.conversations.check()
        return out, rejects

    def _is_complete(self, names: Names) -> bool:
        """Return whether the output is there, whole, and of this very job; if so, its summary is restored.

        An output of another job is refused. Of sources that can be read only once, nobody knows whether they are the
        same.
        """
        if any(path.exists() for path in names.half_made()) or not all(map(is_file, self.sources)):
            return False
        if not (names.target.is_file() and names.summary.is_file()):  # reading a named pipe would block
            return False
        why = ""
        with contextlib.suppress(AttributeError, OSError, ValueError, TypeError, KeyError, RecursionError):
            report = json.loads(names.summary.read_bytes())
            if report["job"] == self._digest and report["bytes"] == _bytes_of(names, names.target):
                self.summary = Summary(**{each.name: report[each.name] for each in fields(Summary)})
                return True
            options = {**asdict(Options()), **report["options"]}
            known = {**self._identity, "options": options, "input": report["sources"]}
            why = _difference(known | {name: report[name] for name in ("fraudscan", "model")}, self._identity)
        if why:
            raise DumpError(
                f"{names.target} exists, but from another job: {why}. Change that back, name another output, or "
                "replace it with --force"
            )
        return False

    def _refuse(self, names: Names, *, resume: bool, force: bool) -> None:
        """Refuse an output that cannot be written, or that would overwrite files without ``force``."""
        names.check(self.sources)
        half_made = any(path.exists() for path in names.half_made())
        if not (force or names.checkpoint.exists()):
            for path in names.parts():  # it may be anybody's: without a checkpoint, no job continues or deletes it
                if path.is_symlink() or path.exists():
                    raise DumpError(
                        f"{path} exists, but no {names.checkpoint.name}: move it away, name another output, or replace "
                        "it with --force"
                    )
        if resume and half_made and (once := [source for source in self.sources if not is_file(source)]):
            raise DumpError(f"{once[0]} cannot be read a second time: start over with --force")
        if half_made and not (resume or force):
            raise DumpError(f"{names.target} is incomplete: continue with --resume, or start over with --force")
        if force or names.checkpoint.exists():
            return
        names.check_free("exists: name another output, or replace it with --force")

    def _begin(self, names: Names, *, resume: bool, force: bool) -> bool:
        """Return whether to continue from the checkpoint; if not, clear it and delete what an unfinished job left.

        The checkpoint is locked, so no other job can interfere.
        """
        known = None if force and not resume else self.checkpoint.read("identity")
        if known is not None and resume:
            with self.checkpoint.understood():
                why = _difference(known, self._identity)
            if why:
                raise DumpError(
                    f"{names.target} cannot be resumed: {why}. Change that back, or start over with --force"
                )
            return True
        if not (resume or force) and (known is not None or names.target.exists()):
            if known is None:  # the other job is done, and we made this checkpoint
                self.checkpoint.close()
                names.checkpoint.unlink()
            raise DumpError(f"another job has written {names.target} in the meantime: name another output")
        self.checkpoint.clear()
        for path in names.parts():
            with written(path, "removed"):
                path.unlink(missing_ok=True)
        return False

    # running

    def run(self, workers: int, progress: Callable[[Progress], None]) -> None:
        """Score from the last checkpoint on."""
        saved = time.monotonic()
        begun = saved - self.summary.seconds  # as if no run had been interrupted
        score = partial(score_blocks, self.scanner, self.writer)
        scoring = score_all(score, self._tasks(workers), workers, self.notify)
        with contextlib.closing(scoring) as results:
            for task, scored in results:
                self._take(task, scored)
                reached = time.monotonic()
                self.summary.seconds = reached - begun
                if reached - saved >= SECONDS:
                    self.commit()
                    progress(self._progress())
                    saved = time.monotonic()
        self.summary.seconds = time.monotonic() - begun
        self.finished = True
        self.commit()
        self.out.close()
        self.rejects.close()
        progress(self._progress())

    @property
    def _size(self) -> int:
        """The bytes of all sources, as far as they are known."""
        return sum(source.size for source in self._prepared)

    def _progress(self) -> Progress:
        rows = self.summary.scored + self.summary.rejected
        return Progress(rows, self._read, self._size, self.summary.seconds)

    def _tasks(self, workers: int) -> Iterator[Task | None]:
        """Yield the tasks, and ``None`` where the next one may be long in coming."""
        first, place = self.source, self.place
        size = min(BLOCK, self.options.max_message)
        most = max(1, min(TOGETHER, self._size // (TASKS * workers * size)))
        if self.options.explain or not self.writer.joins:  # explaining a few blocks takes longer than `SECONDS`
            most = 1
        self._read = sum(source.size for source in self._prepared[:first])
        for index, source in enumerate(self._prepared[first:], first):
            reader, finished = source.reader, self._read
            with source.stream or Stream(reader.source) as stream:
                at = place if place and index == first else source.start
                if reader.by_line:
                    stream.skip(at.offset)
                together = most if reader.by_line and source.size else 1
                for blocks in _groups(reader.blocks(stream, at), together, size):
                    yield Task(index, reader, blocks)
                    self._read = finished + stream.done()
                    if stream.paused:
                        yield None
                self._read = finished + (source.size or stream.done())

    def _take(self, task: Task, scored: Scored) -> None:
        """Write the results of a task."""
        source, last = shown_name(task.reader.source), task.blocks[-1]
        self.out.write(scored.data)
        for reject in scored.rejects:
            self.rejects.write(encode_reject(source, reject))
        self.summary.add(scored)
        if self.options.by is not None:
            scope = task.reader.source if task.reader.whole else ""
            without = scored.scored - len(scored.messages)  # the source has no column with the conversation
            self.summary.without_conversation += without + self.conversations.add(source, scored.messages, scope)
        if last.fatal:
            self.summary.damaged.append(source)
            self.notify(f"{source} cannot be read to its end: {last.problem}")
        # a damaged source is not read again: its damage would be rejected once more
        self.source, self.place = (task.source + 1, None) if last.fatal else (task.source, last.end)

    def commit(self, **values: Any) -> None:
        """Commit what was written so far to the checkpoint."""
        self.out.flush()
        self.rejects.flush()
        self.conversations.save()
        state = {
            "source": self.source,
            "place": self.place,
            "out": self.out.size,
            "rejects": self.rejects.size,
            "summary": vars(self.summary),
            "finished": self.finished,
            "began": self.began,
        }
        self.checkpoint.commit(state=state, **values)

    # finishing

    def _report(self) -> None:
        """Notify the user if no row was scored, or a source has changed."""
        rejected = self.summary.rejected
        if not self.summary.scored:
            why = "the dump has no rows"
            if rejected:
                reason, count = self.summary.reasons.most_common(1)[0]
                most = "" if count == rejected else f", {count:,} of them because"
                why = f"all {rejected:,} were rejected{most}: {reason}"
            self.notify(f"no row was scored: {why}")
        for source, before in zip(self.sources, self._identity["input"], strict=True):
            with contextlib.suppress(DumpError):  # it cannot be read any more
                if fingerprint(source) == before:
                    continue
            self.notify(f"{source} may have changed while it was read: rows may be missing or mixed up; score it again")

    def finish(self) -> None:
        """Give every file its final name, the output last. A kill does no harm, because every step can be repeated."""
        self._report()
        names, rejected = self.names, self.summary.rejected
        if names is None:
            return
        if self.options.by is not None:
            with written(names.conversations), create(part_of(names.conversations)) as file:
                file.writelines(self.conversations.rows())
            self.summary.conversations = self.conversations.verdicts
        part = whole = part_of(names.target)
        if part.exists() and self.writer.name == "parquet":
            whole = part_of(part)
            assemble(part, whole)
        self._check_results()  # others may have made files while this job ran
        self.checkpoint.commit(claimed=True)
        if not rejected:
            names.rejects.unlink(missing_ok=True)  # from an earlier run
        elif part_of(names.rejects).exists():
            with written(names.rejects):
                publish(part_of(names.rejects), names.rejects)
        if self.options.by is not None:
            with written(names.conversations):
                publish(part_of(names.conversations), names.conversations)
        else:
            names.conversations.unlink(missing_ok=True)
        with written(names.summary):
            report = {
                **self.summary.report(),
                "sources": self._identity["input"],
                "text": sorted({source.reader.text for source in self._prepared if source.reader.text}),
                "options": {name: x for name, x in self._identity["options"].items() if x != getattr(Options, name)},
                "model_name": self.scanner.folder_name,
                "model": self.scanner.digest,
                **asdict(self.scanner.thresholds),
                "lists": [each._asdict() for each in self.scanner.lists.files] if self.scanner.lists else [],
                "job": self._digest,
                "bytes": _bytes_of(names, whole if whole.exists() else names.target),
            }
            write_summary(names.summary, report, self.began)
        if whole.exists():
            with written(names.target):
                publish(whole, names.target)
        for path in names.parts():
            path.unlink(missing_ok=True)
        self.checkpoint.remove()


def _one_or_several(names: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    """Return several different names as a tuple, and a single one alone, however it was given."""
    if names is None or isinstance(names, str):
        return names
    different = tuple(dict.fromkeys(names))
    return different if len(different) > 1 else next(iter(different), None)


def _bytes_of(names: Names, output: Path) -> dict[str, int]:
    """Return the sizes of a job's files that exist, by which `_Job._is_complete` knows that they are still whole."""
    files = {"output": output, "rejects": names.rejects, "conversations": names.conversations}
    return {name: path.stat().st_size for name, path in files.items() if path.exists()}


def _groups(blocks: Iterable[Block], most: int, size: int) -> Iterator[list[Block]]:
    """Yield consecutive blocks in groups of up to ``most`` blocks of about ``size`` bytes; fewer if they hold more."""
    group: list[Block] = []
    for block in blocks:
        group.append(block)
        first = group[0].start
        large = block.end.offset - first.offset > most * size or block.end.line - first.line > MOST_LINES
        if len(group) >= most or large:
            yield group
            group = []
    if group:
        yield group


def _difference(known: dict[str, Any], current: dict[str, Any]) -> str:
    """Return in what the identities of two jobs differ; an empty string if they are equal."""
    for name, value in json.loads(json.dumps(current)).items():
        if known[name] == value:
            continue
        if name == "options":
            changed = (f"--{key.replace('_', '-')}" for key in value if known[name].get(key) != value[key])
            return f"these options have changed: {', '.join(changed)}"
        return _changed_input(known[name], value) if name == "input" else DIFFERENT[name]
    return ""


def _changed_input(known: list[dict[str, Any]], current: list[dict[str, Any]]) -> str:
    """Return in what the sources of two jobs differ, by their `fingerprint`."""

    def differ_only_in(key: str) -> bool:
        return [{**each, key: ""} for each in known] == [{**each, key: ""} for each in current]

    before, after = next((pair for pair in zip(known, current, strict=False) if pair[0] != pair[1]), ({}, {}))
    if differ_only_in("name"):
        return f"its input was called {before['name']!r}, and now {after['name']!r}"
    if differ_only_in("modified"):
        was, how = before["modified"], f"if it is the same file: touch -d {before['modified']}"
        return f"{after['name']!r} was last modified at {was}, and now at {after['modified']} ({how})"
    return DIFFERENT["input"]
