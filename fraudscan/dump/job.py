"""The job: dumps in, scored rows out, nothing lost, nothing held in memory, and gone on with after any kill."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudscan._version import __version__
from fraudscan.columns import OPTIONAL, columns_of
from fraudscan.dump.checkpoint import Checkpoint
from fraudscan.dump.conversations import Conversations
from fraudscan.dump.detect import make_reader
from fraudscan.dump.output import (
    Growing,
    Names,
    StandardOutput,
    encode_reject,
    part_of,
    standard_output,
    write_summary,
    write_whole,
    written,
)
from fraudscan.dump.parquet import ParquetReader, assemble
from fraudscan.dump.readers import CsvReader, LinesReader
from fraudscan.dump.rows import DumpError, Place, is_text_column
from fraudscan.dump.scoring import COUNTED, Setup, Task
from fraudscan.dump.sources import STDIN, Head, Stream, expand, fingerprint, is_file
from fraudscan.dump.transcripts import TranscriptReader
from fraudscan.dump.workers import score_all
from fraudscan.dump.writers import Writer, as_dict, make_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fraudscan.dump.readers import Reader
    from fraudscan.dump.scoring import Scored
    from fraudscan.model import Scanner

__all__ = ["DumpError", "Options", "Progress", "Summary", "score_dump"]

SECONDS = 0.25
"""Between two checkpoints: what a kill costs. One takes some hundred microseconds."""

SMALLEST_LIMIT, LARGEST_LIMIT = 1 << 12, 1 << 30
"""Of ``max_message``: a row is held in memory several times over, and the csv module takes no more than 2 GiB."""

MOST_WORKERS = 256
"""Each takes some hundred megabytes: as many as a slip of the hand may ask for would take the machine's memory."""

TOLD = 10
"""Files of a folder that cannot be read are told of together, lest each costs a run; so many of them."""

MOST_REASONS, OTHER_REASONS = 1000, "other reasons"
"""So many reasons for rejects are counted each by itself: a dump may have one of its own for each row."""

DIFFERENT = {
    "model": "the model, its thresholds or its lists are others",
    "input": "the input has changed",
    "columns": "lists were given, or left out",  # those with nothing in them are no other model, but add a column
}
"""Why a job cannot be resumed."""


@dataclass(frozen=True)
class Options:
    """What decides how the output looks; a job that goes on must have the same.

    Attributes:
        text: the column with the text; found by its name without it.
        format: one of `detect.FORMATS`; found by content and name without it.
        encoding: found by the content without it.
        delimiter: of CSV that is read, one character; found in the header without it.
        proba: add one column a label, scheme and target group with its probability.
        by: the column that names a row's conversation; with it, conversations are scored too.
        sender: the column that says who sent a message, for entries of lists that are bound to a sender.
        filenames: add a column with the name of the source.
        explain: add a column with the strongest evidence.
        bom: begin CSV with a byte order mark; refused, as ``safe_csv``, where no CSV is written.
        safe_csv: put an apostrophe before what a spreadsheet would take for a formula in CSV, at the start of a cell
            or, as it may split cells elsewhere, behind any delimiter or line end in one.
        max_message: bytes that a row may have, pictures in backups not counted; longer ones are rejects. Blocks are no
            larger than this either.

    """

    text: str | None = None
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    proba: bool = False
    by: str | None = None
    sender: str | None = None
    filenames: bool = False
    explain: bool = False
    bom: bool = False
    safe_csv: bool = False
    max_message: int = 1 << 20


@dataclass
class Summary:
    """What a job did: rows read = rows scored + rows rejected."""

    scored: int = 0
    rejected: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    schemes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    without_conversation: int = 0
    damaged: list[str] = field(default_factory=list)
    """Sources that could not be read to their end."""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        for name in (*(f"{name}s" for name in COUNTED), "notes", "reasons"):  # from JSON they come as dictionaries
            setattr(self, name, Counter(getattr(self, name)))

    def add(self, scored: Scored) -> None:
        """Add what became of a block."""
        self.scored += scored.scored
        self.rejected += len(scored.rejects)
        for name, counts in scored.counts.items():
            getattr(self, f"{name}s").update(counts)
        for reject in scored.rejects:
            known = reject.reason in self.reasons or len(self.reasons) < MOST_REASONS
            self.reasons[reject.reason if known else OTHER_REASONS] += 1

    def report(self) -> dict[str, Any]:
        """Return the summary as it stands in ``OUT.summary.json``."""
        rows = self.scored + self.rejected
        rate = round(rows / self.seconds) if self.seconds else None
        return {"rows": rows, **vars(self), "seconds": round(self.seconds, 3), "rows_per_second": rate}


@dataclass(frozen=True)
class Progress:
    """How far a job has come: rows so far, and bytes read of all bytes (0 where nobody knows)."""

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

    The output appears under its name when it is whole. Beside it stand ``TARGET.summary.json``,
    ``TARGET.rejects.jsonl`` with the rows that could not be scored, if there are any (on standard error where the
    target is ``-``), and ``TARGET.conversations.jsonl`` if conversations are asked for.

    Args:
        scanner: what scores.
        sources: files, folders, patterns, or ``-`` for standard input.
        target: a file, or ``-`` for standard output.
        options: what decides how the output looks.
        exclude: names or patterns of files and folders, as `pathlib.PurePath.match` takes them, to leave out of what
            ``sources`` find; files that are named themselves are read.
        workers: processes that score; the output does not depend on it.
        resume: go on with a job that was ended before its time.
        force: replace a target that exists, whole or half-made.
        notify: is called with remarks for the user.
        progress: is called some times a second.

    Raises:
        DumpError: if a source cannot be read or has no text column, if the target exists or is one of the sources,
            or if a job cannot go on. What it wrote so far stays, and can be resumed.
        TypeError: if ``sources`` is one name, not a list of them.

    """
    if isinstance(sources, (str, os.PathLike)):
        raise TypeError(f"sources is one {type(sources).__name__}, not several: pass a list, [source]")
    names, out = [os.fspath(source) for source in sources], os.fspath(target)
    options = options or Options()
    if not names:
        raise DumpError("no dump is named: sources is empty")
    if not SMALLEST_LIMIT <= options.max_message <= LARGEST_LIMIT:
        raise DumpError(f"--max-message must be {SMALLEST_LIMIT:,} to {LARGEST_LIMIT:,} bytes")
    if not 1 <= workers <= MOST_WORKERS:
        raise DumpError(f"--workers must be 1 to {MOST_WORKERS}; more than the machine has processors bring nothing")
    if options.by is not None and out == STDIN:
        raise DumpError("--by writes conversations beside the output: name a file for it, not -")
    if options.delimiter is not None:
        options = replace(options, delimiter=_delimiter(options.delimiter))
    if isinstance(exclude, str):
        raise TypeError("exclude is one str, not several: pass a list, [pattern]")
    job = _Job(scanner, expand(names, notify, exclude), frozenset(names), out, options, notify)
    with contextlib.ExitStack() as stack:
        job.open(stack, resume=resume, force=force)
        if not job.finished:
            job.run(workers, progress)
        job.finish()
    return job.summary


def _delimiter(named: str) -> str:
    delimiter = "\t" if named == "\\t" else named  # shells pass it so
    if len(delimiter) != 1 or delimiter in '\0\r\n"':
        raise DumpError(f"--delimiter is one character, \\t for a tab, not {named!r}")
    return delimiter


class _Job:
    """One run of `score_dump`."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a run is made of
        self,
        scanner: Scanner,
        sources: list[str],
        named: frozenset[str],
        target: str,
        options: Options,
        notify: Callable[[str], None],
    ) -> None:
        self.scanner = scanner
        self.sources = sources
        self.named = named
        """What the user named; other sources were found in folders, or by patterns."""
        self.names = Names(target) if target != STDIN else None
        self.target = target
        self.options = options
        self.notify = notify
        self.summary = Summary()
        self.source = 0
        self.place: Place | None = None
        """Where to go on in the source; ``None`` for its beginning."""
        self.finished = False
        self.writer = Writer()
        self._read = 0
        self._sizes: list[int] = []
        """How many bytes the sources have; 0 where nothing tells."""
        self._readers: list[tuple[Reader, Place]] = []
        self._streams: dict[int, Stream] = {}
        """Those that can be read once only."""

    # opening

    def open(self, stack: contextlib.ExitStack, *, resume: bool, force: bool) -> None:
        """Prepare all sources, then open the output: new, or at the last checkpoint."""
        identity = self._identity()
        if self.names:
            self._refuse(self.names, resume=resume, force=force)
        self._prepare()
        path = self.names.checkpoint if self.names else None
        self.checkpoint = Checkpoint.lock(path, force=force and not resume)
        stack.callback(self.checkpoint.close)
        if self.names:
            self._begin(self.names, identity, resume=resume, force=force)
        state = self.checkpoint.read("state")
        sizes = 0, 0
        if state is not None:
            with self.checkpoint.understood():
                self.summary = Summary(**state["summary"])
                self.source, self.finished = int(state["source"]), bool(state["finished"])
                self.place = Place(*state["place"]) if state["place"] else None
                sizes = int(state["out"]), int(state["rejects"])
        self.conversations = Conversations(self.scanner, self.checkpoint)
        if self.finished:
            return
        if self.names:
            self.out: Growing | StandardOutput = Growing(self.names.target, sizes[0])
            self.rejects: Growing | StandardOutput = Growing(self.names.rejects, sizes[1])
        else:
            self.out, self.rejects = standard_output()
        stack.callback(self.out.close)
        stack.callback(self.rejects.close)
        if state is None:
            self.out.write(self.writer.head())
            self.commit(identity=identity)

    def _refuse(self, names: Names, *, resume: bool, force: bool) -> None:
        """Refuse what cannot be written, and to overwrite anything unasked."""
        names.check(self.sources)
        half_made = any(path.exists() for path in names.half_made())
        if resume and half_made and (once := [source for source in self.sources if not is_file(source)]):
            raise DumpError(f"{once[0]} cannot be read a second time: start anew with --force")
        if half_made and not (resume or force):
            raise DumpError(f"{names.target} is half-made: go on with --resume, or start anew with --force")
        if force or names.checkpoint.exists():
            return
        results = (names.target, names.rejects, names.conversations, names.summary)
        if there := next((path for path in results if path.exists()), None):
            raise DumpError(f"{there} exists: name another output, or replace it with --force")

    def _begin(self, names: Names, identity: dict[str, Any], *, resume: bool, force: bool) -> None:
        """Go on where the checkpoint stands, or begin anew: now that it is locked, no other job can."""
        known = None if force and not resume else self.checkpoint.read("identity")
        if known is not None and resume:
            with self.checkpoint.understood():
                _compare(known, identity, names.target)
            return
        if not (resume or force) and (known is not None or names.target.exists()):
            if known is None:  # it is done, and this checkpoint is ours
                self.checkpoint.close()
                names.checkpoint.unlink()
            raise DumpError(f"another job has written {names.target} by now: name another output")
        self.checkpoint.clear()
        for path in names.parts():
            path.unlink(missing_ok=True)

    def _identity(self) -> dict[str, Any]:
        return {
            "fraudscan": __version__,
            "model": self.scanner.digest,
            "options": asdict(self.options),
            "input": [fingerprint(source) for source in self.sources],
            "columns": list(columns_of(self.scanner)),
        }

    def _prepare(self) -> None:
        """Look into every source before anything is written; the first one decides how the output looks."""
        options = self.options
        names = tuple(self.scanner.names) if options.proba else ()
        columns = self._columns()
        ours = frozenset([*columns, *OPTIONAL, *(f"fraud_p_{name}" for name in self.scanner.names)])
        named = {"text": options.text, "by": options.by, "sender": options.sender}
        keys = {**named, "limit": options.max_message, "ours": ours}
        failed: list[str] = []
        for index, source in enumerate(self.sources):
            with contextlib.ExitStack() as stack:
                stream = Stream(source)
                if is_file(source):
                    stack.callback(stream.close)
                    self._sizes.append(Path(source).stat().st_size)
                else:
                    self._streams[index] = stream
                    self._sizes.append(0)
                try:
                    reader, start = self._open_reader(stream, keys)
                    if not self._readers:
                        first = self._first_fields(reader, stream, start) if reader.header is None else []
                        self.writer = make_writer(
                            self.target,
                            reader,
                            first,
                            names=names,
                            ours=columns,
                            bom=options.bom,
                            safe=options.safe_csv,
                        )
                    self.writer.check(reader)
                except DumpError as error:
                    if source in self.named:
                        raise
                    name = shlex.quote(Path(source).name)
                    failed.append(f"{error}; or leave it out: --exclude {name}")
                    continue
            self._remark(reader)
            self._readers.append((reader, start))
        if failed:
            raise DumpError(". ".join(failed[:TOLD]) + (f". And {len(failed) - TOLD:,} more" * (len(failed) > TOLD)))
        if options.delimiter and not any(isinstance(reader, CsvReader) for reader, _ in self._readers):
            raise DumpError("--delimiter is for CSV, and nothing is read as that: leave it out, or add --format csv")
        if (options.bom or options.safe_csv) and self.writer.name != "csv":
            option = "--bom" if options.bom else "--safe-csv"
            what = "JSON lines" if self.writer.name == "jsonl" else "Parquet"
            raise DumpError(f"{option} is for CSV, and {what} would be written: leave it out, or name an output .csv")

    def _columns(self) -> dict[str, str]:
        """Return the columns that are added, but for those of ``proba``, and what of `Decisions` stands in them."""
        columns = columns_of(self.scanner)
        if self.options.sender is None and self.scanner.lists and self.scanner.lists.bound:
            raise DumpError("the lists have entries for certain senders: name the column of these, --sender COLUMN")
        if self.options.filenames:
            columns["fraud_source"] = "source"
        if self.options.explain:
            columns["fraud_evidence"] = "evidence"
        return columns

    def _remark(self, reader: Reader) -> None:
        """Say what was guessed, and what will not stay."""
        if reader.encoding != "utf-8" and not isinstance(reader, ParquetReader):  # which has it for bytes alone
            self.notify(f"{reader.source} is read as {reader.encoding.upper()}")
        if isinstance(reader, TranscriptReader) and self.options.format is None:
            self.notify(f"{reader.source} is read as a chat ({reader.name}); if it holds lines, say so: --format lines")
        if isinstance(reader, LinesReader) and self.options.format is None:
            self._remark_on_lines(reader)
        guessed = self.options.text is None and reader.text is not None and not is_text_column(reader.text)
        if reader.rivals or guessed:
            others = ", ".join(map(repr, reader.rivals)) or "another column"
            self.notify(
                f"{reader.source}: the text is taken from {reader.text!r}; if it is in {others}, say so: --text"
            )
        if reader.replaced:
            self.notify(f"{reader.source}: {', '.join(reader.replaced)} stood there before and will be replaced")

    def _remark_on_lines(self, reader: LinesReader) -> None:
        """Say what lines look like, where that is none of the formats that are read."""
        if reader.tabular:
            self.notify(f"{reader.source} is read as lines; if it is a table, put a header before it")
        elif reader.headed:
            self.notify(
                f"{reader.source} is read as lines, many of them with a time or a name alone; if it is a chat, these "
                "are scored as messages: export it as CSV or JSON"
            )

    def _open_reader(self, stream: Stream, keys: dict[str, Any]) -> tuple[Reader, Place]:
        """Return the reader of a source, and where its rows begin."""
        reader = make_reader(stream, self.options.format, self.options.encoding, **keys)
        if self.options.delimiter and isinstance(reader, CsvReader):
            reader.delimiter = self.options.delimiter
        return reader, reader.prepare(stream)

    @staticmethod
    def _first_fields(reader: Reader, stream: Stream, start: Place) -> list[str]:
        """Return the fields of the rows at the start of a source, for writers that need a header."""
        head = Head(stream.peek(start.offset + reader.limit)[start.offset if reader.seeks else 0 :])
        for block in reader.blocks(head, start):
            if raws := reader.batch(block).raws:
                return list(dict.fromkeys(name for raw in raws for name in as_dict(reader, raw)))
        return []

    # running

    def run(self, workers: int, progress: Callable[[Progress], None]) -> None:
        """Score from where the last checkpoint stands."""
        before = self.summary.seconds
        begun = saved = time.monotonic()
        setup = Setup(self.scanner, self.writer, self.options.sender)
        scoring = score_all(setup, self._tasks(), workers, self.notify)
        with contextlib.closing(scoring) as results:
            for task, scored in results:
                self._take(task, scored)
                now = time.monotonic()
                self.summary.seconds = before + now - begun
                if now - saved >= SECONDS:
                    self.commit()
                    progress(self._progress())
                    saved = time.monotonic()
        self.summary.seconds = before + time.monotonic() - begun
        self.finished = True
        self.commit()
        progress(self._progress())

    def _progress(self) -> Progress:
        rows = self.summary.scored + self.summary.rejected
        return Progress(rows, self._read, sum(self._sizes), self.summary.seconds)

    def _tasks(self) -> Iterator[Task]:
        first, place = self.source, self.place
        self._read = sum(self._sizes[:first])
        for index, (reader, start) in enumerate(self._readers[first:], first):
            with self._streams.get(index) or Stream(self.sources[index]) as stream:
                at = place if place and index == first else start
                if reader.seeks:
                    stream.skip(at.offset)
                finished = self._read
                for block in reader.blocks(stream, at):
                    yield Task(index, reader, block)
                    self._read = finished + stream.done()
                self._read = finished + (self._sizes[index] or stream.done())

    def _take(self, task: Task, scored: Scored) -> None:
        """Write what became of a block."""
        source, block = self.sources[task.source], task.block
        self.out.write(scored.data)
        for reject in scored.rejects:
            self.rejects.write(encode_reject(source, reject))
        self.summary.add(scored)
        if self.options.by:
            scope = source if task.reader.whole else ""
            self.summary.without_conversation += self.conversations.add(source, scored.messages, scope)
        if block.fatal:
            self.summary.damaged.append(source)
            self.notify(f"{source} cannot be read to its end: {block.problem}")
        self.source, self.place = task.source, block.end

    def commit(self, **values: Any) -> None:
        """Make what was written so far last."""
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
        }
        self.checkpoint.commit(state=state, **values)

    # finishing

    def finish(self) -> None:
        """Give every file its name, the output last. A kill in between does no harm: all of it can be done again."""
        names, rejected = self.names, self.summary.rejected
        if not self.summary.scored:
            why = "the dump has no rows"
            if rejected:
                reason, count = self.summary.reasons.most_common(1)[0]
                most = "" if count == rejected else f", {count:,} of them because"
                why = f"all {rejected:,} were rejected{most}: {reason}"
            self.notify(f"no row was scored: {why}")
        if names is None:
            return
        if not rejected:
            part_of(names.rejects).unlink(missing_ok=True)
            names.rejects.unlink(missing_ok=True)  # that of an earlier run
        elif part_of(names.rejects).exists():
            part_of(names.rejects).replace(names.rejects)
        if self.options.by:
            with written(names.conversations):
                write_whole(names.conversations, self.conversations.rows())
        else:
            names.conversations.unlink(missing_ok=True)
        with written(names.summary):
            report = {
                **self.summary.report(),
                "sources": self.sources,
                "text": sorted({reader.text for reader, _ in self._readers if reader.text}),
                "model": self.scanner.digest,
                **asdict(self.scanner.thresholds),
            }
            write_summary(names.summary, report)
        part = part_of(names.target)
        if part.exists() and self.writer.name == "parquet":
            assemble(part, part_of(part))
            part_of(part).replace(names.target)
            part.unlink()
        elif part.exists():
            part.replace(names.target)
        for path in names.parts():
            path.unlink(missing_ok=True)
        self.checkpoint.remove()


def _compare(known: dict[str, Any], now: dict[str, Any], target: Path) -> None:
    """Refuse to go on with a job that was another one.

    Raises:
        DumpError: if so; it says what differs.

    """
    for name, value in now.items():
        if known[name] == json.loads(json.dumps(value)):
            continue
        what = DIFFERENT.get(name, f"{name} is another version")
        if name == "options":
            changed = (key for key in value if known[name].get(key) != value[key])
            what = f"{', '.join(f'--{key}'.replace('_', '-') for key in changed)} differ"
        raise DumpError(f"{target} cannot be resumed: {what}. Start anew with --force")
