"""The command line: arguments in, calls to the library, tables out."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import io
import json
import os
import re
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudscan import TAXONOMY, FraudscanError, __version__, kernel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn, TextIO

    from fraudscan.decisions import Thresholds
    from fraudscan.dump import Progress, Summary
    from fraudscan.labelled import Labelled
    from fraudscan.model import Scanner
    from fraudscan.result import Result
    from fraudscan.taxonomy import Taxonomy

__all__ = ["main"]


class UsageError(FraudscanError):
    """Options contradict each other, are invalid, or have nothing to apply to."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fraudscan`` and return its exit status.

    0: done. 1: done, but a dump could not be read to its end, or none of its rows could be scored. 2: refused, or
    broken off; a sentence on standard error says what to do. 130: stopped by Ctrl-C.
    """
    _open_streams()
    try:
        return _finished(_run(_parser().parse_args(argv)))
    finally:
        _flushed(sys.stderr)


def _finished(status: int) -> int:
    """Flush standard output and return the exit status, which is no longer 0 if that fails."""
    error = _flushed(sys.stdout)
    if error and not status and not isinstance(error, BrokenPipeError):  # closing a pipe early is no error
        _warn(f"standard output cannot be written: {error.strerror}")
        return 2
    return status


def _flushed(stream: TextIO) -> OSError | None:
    """Flush a stream. If that fails, discard its buffer and return the error."""
    try:
        stream.flush()
    except OSError as error:
        with contextlib.suppress(OSError):  # else Python retries at exit, prints the error and exits with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def _open_streams() -> None:
    """Make sure that standard input, output and error are open, however the process was started."""
    for name, mode, flags in (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:  # closed: the next file opened would get its descriptor
            file = open(os.open(os.devnull, flags), mode, encoding="utf-8")  # noqa: PTH123, SIM115 - for the whole run
            os.set_inheritable(file.fileno(), True)  # processes that train fail without it
            setattr(sys, name, file)  # writing results fails, remarks are discarded
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # standard error does so by default


def _run(arguments: argparse.Namespace) -> int:
    try:
        return arguments.run(arguments) or 0
    except BrokenPipeError:  # standard output is the only pipe whose closing ends a command
        return 0
    except (FraudscanError, OSError) as error:
        _warn(str(error))
        return 2
    except KeyboardInterrupt:
        _warn("stopped")
        return 130
    except _lack_of_memory():
        messages = "a smaller --max-message" if hasattr(arguments, "max_message") else "fewer messages"
        fewer = f"{messages} or fewer --workers" if hasattr(arguments, "workers") else messages
        _warn(f"there is not enough memory; {fewer} need less of it")
        return 2


def _lack_of_memory() -> tuple[type[Exception], ...]:
    """Return the errors that mean a lack of memory: the system kills processes that train."""
    from concurrent.futures import BrokenExecutor  # whose import would delay every start

    return MemoryError, BrokenExecutor


def _scanner(arguments: argparse.Namespace) -> Scanner:
    """Return the scanner that the options describe."""
    from fraudscan.lists import read_lists
    from fraudscan.model import load

    scanner = load(arguments.model)
    if arguments.allow or arguments.deny:
        notify = _silent if getattr(arguments, "quiet", False) else _warn
        lists = read_lists(allow=arguments.allow, deny=arguments.deny, notify=notify)
        scanner = scanner.with_lists(lists)
        if arguments.sender is not None and not lists.bound:
            notify(
                "--sender has no effect, because no list entry is bound to a sender: the line 95588 is a phrase to "
                "look for in texts; to match all messages from 95588, write sender=95588:"
            )
    elif arguments.sender is not None:
        raise UsageError("--sender only applies to list entries: pass a list with --allow or --deny, or omit --sender")
    return _with_levels(scanner, arguments)


def _with_levels(scanner: Scanner, arguments: argparse.Namespace) -> Scanner:
    """Return the scanner with the thresholds that the options set."""
    if arguments.max_false_alarms is not None:
        if arguments.flag is not None:
            raise UsageError("--max-false-alarms and --flag both set the flag threshold: leave one of them out")
        scanner = scanner.with_false_alarms(arguments.max_false_alarms)
    levels = {name: value for name in ("flag", "review") if (value := getattr(arguments, name)) is not None}
    if not levels:
        return scanner
    from fraudscan.decisions import cut

    for name, value in levels.items():
        if not 0 <= value <= 1:
            raise UsageError(f"--{name} must be a score from 0 to 1, not {value:g}")
    flag = levels.get("flag", scanner.thresholds.flag)
    if levels.get("review", 0) > flag:
        raise UsageError(f"--review {levels['review']:g} is above the flag threshold, {flag:g}: raise --flag as well")
    # truncated like the scores in files, so that those and the exact scores get the same verdicts
    return scanner.with_thresholds(**{name: cut(value) for name, value in levels.items()})


def _classify(arguments: argparse.Namespace) -> None:
    scanner = _scanner(arguments)
    texts = [_message(sys.stdin.buffer.read())] if arguments.text == ["-"] else map(_argument, arguments.text)
    if scanner.lists and scanner.lists.bound and arguments.sender is None:
        _warn("list entries that are bound to a sender are ignored: name the sender of the messages with --sender")
    for result in (scanner.classify(text, arguments.sender) for text in texts):
        if arguments.json:
            _print_json(result.to_dict())
        else:
            _print_result(result, scanner.taxonomy)


def _message(data: bytes) -> str:
    """Return a message from standard input as text, with a warning if some of it is lost."""
    text = _decoded(data)
    if "\ufffd" in text and "\ufffd".encode() not in data:
        _warn(
            "the message has \ufffd where bytes could not be decoded: convert it to UTF-8 "
            "(iconv -f GB18030 -t UTF-8, say)"
        )
    return text


def _argument(text: str) -> str:
    """Return an argument, with its encoding detected if some of its bytes are not valid in the locale's encoding."""
    read = text
    if any("\udc80" <= char <= "\udcff" for char in text):
        with contextlib.suppress(UnicodeEncodeError):  # not from a command line: a program passed it
            read = _decoded(os.fsencode(text))
    return text if "\ufffd" in read else read


def _decoded(data: bytes) -> str:
    """Return a message as text. Its encoding is detected as for a dump."""
    from fraudscan.dump.encodings import bom_size, detect

    encoding = detect(data)
    return data[bom_size(data, encoding) :].decode(encoding, "replace")


def _print_json(data: dict[str, Any], indent: int | None = None) -> None:
    """Print data as JSON. If the output is not UTF-8, all characters beyond ASCII are escaped."""
    from fraudscan.show import to_json

    utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"  # utf8 is another name for it
    print(to_json(data, indent=indent) if utf8 else json.dumps(data, indent=indent))


def _print_result(result: Result, taxonomy: Taxonomy) -> None:
    from fraudscan.show import coloured, to_ansi

    scheme = f" / {result.scheme}" if result.scheme else ""
    name = taxonomy.label(result.label).zh
    name = f"{scheme} ({name})" if name != result.label else ""  # a user's label has only one name
    print(f"{result.verdict:6} {result.score:.3f}  {_in_line(result.label + name)}")
    others = [*result.labels[1:], *(f"aimed at {target}" for target in result.targets)]
    if others:
        print(f"       also: {_in_line(', '.join(others))}")
    if result.notes:
        print(f"       doubt: {', '.join(result.notes)}")
    if result.rule:
        print(f"       by list: {_in_line(result.rule)}")
    spans = result.explain()
    if spans.label != result.label and spans.strongest():
        print(f"       looks like: {_in_line(spans.label)}")
    if coloured(sys.stdout):
        print(textwrap.indent(to_ansi(result.text, spans), " " * 7, lambda _: True))  # so that no line looks like ours
    for span in spans.strongest():
        print(f"       {span.weight:+.2f}  {_in_line(span.text)}")


def _score(arguments: argparse.Namespace) -> int:
    from fraudscan.dump import Options, score_dump

    options = Options(**{name: getattr(arguments, name) for name in Options.__dataclass_fields__})
    unsaid: list[str] = []
    scanner = _scanner(arguments)
    try:
        summary = score_dump(
            scanner,
            arguments.dump,
            arguments.output,
            options,
            exclude=arguments.exclude,
            workers=arguments.workers,
            resume=arguments.resume,
            force=arguments.force,
            notify=unsaid.append if arguments.quiet else _warn,
            progress=_show_progress if _on_terminal() and not arguments.quiet else _silent,
        )
    except KeyboardInterrupt:
        resumable = arguments.output != "-" and "-" not in arguments.dump
        how = "continue with the same command and --resume" if resumable else "it has to start from the beginning"
        _warn(f"stopped; {how}")
        return 130
    if not arguments.quiet:
        _print_summary(summary, scanner.thresholds)
    if not (summary.damaged or (summary.rejected and not summary.scored)):
        return 0
    for notice in unsaid:  # the log of a nightly job should say why it failed
        _warn(notice)
    return 1


def _silent(_: object) -> None:
    pass


def _show_progress(progress: Progress) -> None:
    share = progress.done / progress.total if progress.total else 0.0
    rate = progress.rows / max(progress.seconds, 1e-9)
    line = f"{progress.rows:,} rows, {rate:,.0f} a second"
    if 0 < share <= 1:
        left = int(progress.seconds * (1 - share) / share)
        line += f", {share:.0%} done, {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"
    _remark(line, end="")


MOST = 30
"""The number of labels, rules or the like that a summary shows one by one."""


def _print_summary(summary: Summary, thresholds: Thresholds) -> None:
    from fraudscan.dump.job import ranked

    tables = {
        "label": summary.labels,
        "scheme": summary.schemes,
        "verdict": summary.verdicts,
        "note": summary.notes,
        "rule": summary.rules,
        "rejected": summary.reasons,
    }
    for what, counts in tables.items():
        ordered = list(ranked(counts).items())
        for name, count in ordered[:MOST]:
            _remark(f"{what:9}{count:12,}  {_in_line(name)}")
        if others := ordered[MOST:]:
            _remark(f"{what:9}{sum(count for _, count in others):12,}  ({len(others):,} others)")
    if verdicts := ranked(summary.conversations):
        shares = ", ".join(f"{count:,} {verdict}" for verdict, count in verdicts.items())
        _remark(f"{summary.conversations.total():21,}  conversations: {shares}")
    if summary.without_conversation:
        _remark(f"{summary.without_conversation:21,}  in no conversation")
    _print_thresholds(thresholds)
    rows = summary.scored + summary.rejected
    rate = f", {rows / summary.seconds:,.0f} rows a second" if summary.seconds else ""
    _remark(f"{summary.scored:,} rows scored, {summary.rejected:,} rejected{rate}")


def _rethreshold(arguments: argparse.Namespace) -> None:
    from fraudscan.dump.output import Names
    from fraudscan.dump.rethreshold import rethreshold, scored_with
    from fraudscan.model import load

    scanner = load(arguments.model)
    if known := scored_with(arguments.scored):
        original = scanner.with_thresholds(**asdict(known.original))
        scanner = scanner.with_thresholds(**asdict(known.thresholds))
        if arguments.max_false_alarms is not None and known.how.get("model") not in {None, original.digest}:
            _warn(
                f"{arguments.scored} was scored with lists or with another model: check that -m names the model whose "
                "curve counts"
            )
    elif (arguments.flag is None and arguments.max_false_alarms is None) != (arguments.review is None):
        _warn(
            f"{arguments.scored} has no summary: the threshold that no option sets is that of the model, not that of "
            "the first job"
        )
    thresholds = _with_levels(scanner, arguments).thresholds
    counts = rethreshold(arguments.scored, arguments.output, thresholds, force=arguments.force)
    for name, count in counts.most_common():
        _remark(f"verdict  {count:12,}  {name}")
    if (conversations := Names(arguments.scored).conversations).exists():
        _warn(
            f"{conversations} keeps the verdicts of the old thresholds: to update them, score the dump again with --by"
        )
    _print_thresholds(thresholds)


def _print_thresholds(thresholds: Thresholds) -> None:
    _remark(f"flag from {thresholds.flag:g}, review from {thresholds.review:g}")


def _train(arguments: argparse.Namespace) -> None:
    from fraudscan.folder import check_target

    check_target(Path(arguments.output))  # now, not after minutes of training
    if arguments.workers < 1:
        raise UsageError(f"--workers must be at least 1, not {arguments.workers}")
    scanner = _train_own(arguments) if _is_own(arguments, arguments.corpus) else _train_corpus(arguments)
    scanner.save(arguments.output)
    _print_figures(scanner.manifest["figures"], scanner.thresholds)
    print(f"{arguments.output}: {len(scanner.engine.vocabulary):,} n-grams")


OWN = "text", "label", "legitimate", "format", "encoding", "delimiter", "header_line"
"""The options for messages of a user's own."""


def _is_own(arguments: argparse.Namespace, names: Sequence[str]) -> bool:
    """Return whether files are a user's own: an option for them is given, or none is in the corpus's format."""
    from fraudscan.corpus import is_corpus
    from fraudscan.dump.sources import expand

    named = any(getattr(arguments, option) is not None for option in OWN)
    return named or not any(map(is_corpus, expand(names, _silent)))


def _read_own(arguments: argparse.Namespace, names: Sequence[str], known: Sequence[str]) -> Labelled:
    """Read a user's own messages; report the rows that were left out."""
    from fraudscan.labelled import read_labelled

    columns = arguments.text, arguments.label, arguments.legitimate
    how = {name: getattr(arguments, name) for name in ("encoding", "delimiter", "header_line")}
    found = read_labelled(names, *columns, known, kind=arguments.format, **how, notify=_warn)
    if skipped := found.skipped:
        more = f" and {len(skipped) - 3:,} more" if len(skipped) > 3 else ""
        _warn(f"{len(skipped):,} rows were left out: {'; '.join(skipped[:3])}{more}")
    return found


def _train_corpus(arguments: argparse.Namespace) -> Scanner:
    from fraudscan.corpus import read_corpus
    from fraudscan.train import TrainingOptions, train

    if arguments.with_default_corpus is not None:
        raise UsageError("--with-default-corpus needs messages of your own: name their columns with --text and --label")
    return train(read_corpus(arguments.corpus), options=TrainingOptions(jobs=arguments.workers))


def _train_own(arguments: argparse.Namespace) -> Scanner:
    from fraudscan.corpus import HONEST_NAMES, default_corpus, read_corpus
    from fraudscan.custom import doubts_of, train_custom
    from fraudscan.labelled import add_to_corpus
    from fraudscan.model import load
    from fraudscan.train import TrainingOptions, train

    found = _read_own(arguments, arguments.corpus, HONEST_NAMES)
    if found.taxonomy.honest is None:
        every = "every message will score 1" if arguments.with_default_corpus is None else "all of them teach fraud"
        _warn(f"no label stands for legitimate messages, so {every}; name one with --legitimate")
    elif arguments.legitimate is None:
        _warn(
            f"{found.taxonomy.honest!r} is taken to mean legitimate; to name another label, or '' for none, use "
            "--legitimate"
        )
    if arguments.with_default_corpus is not None:
        corpus = read_corpus([arguments.with_default_corpus or default_corpus()])
        rows, taxonomy = add_to_corpus(found, corpus, load())
        known = {label.name for label in TAXONOMY.labels}
        if new := [label.name for label in taxonomy.labels if label.name not in known]:
            _warn(f"new labels: {', '.join(new)}; all others are merged with labels of the corpus")
        doubts = doubts_of(found.rows, found.taxonomy)
        unlearned = [name for name in doubts["unlearned"] if name in new]  # the others have messages in the corpus
        _print_doubts({**doubts, "messages": len(found.rows), "unlearned": unlearned, "confused": []})
        return train(rows, taxonomy, TrainingOptions(jobs=arguments.workers))
    scanner = train_custom(found.rows, found.taxonomy, jobs=arguments.workers)
    _print_doubts(scanner.manifest["figures"])
    return scanner


def _warn(sentence: str) -> None:
    _remark(f"fraudscan: {_in_line(sentence)}")  # names of files and columns are untrusted


def _remark(line: str, end: str = "\n") -> None:
    """Print a line on standard error, on a terminal in place of the progress.

    Errors are ignored: the work goes on when nobody reads it any more.
    """
    with contextlib.suppress(OSError):
        print("\r\x1b[K" * _on_terminal() + line, end=end, file=sys.stderr, flush=True)


def _on_terminal() -> bool:
    """Return whether standard error is a terminal on which a line can be erased."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _in_line(text: str) -> str:
    """Return untrusted text, such as the name of a label or a list entry, in a form that prints on one line."""
    from fraudscan.show import printable, shown_name

    return printable(shown_name(text)).replace("\n", "\\n")


COPIES = 0.05
"""The share of copies among a user's messages above which they are reported."""


def _print_doubts(figures: dict[str, Any]) -> None:
    """Warn of labels of a user that look wrong."""
    alike = figures["resembling"]
    if alike["copies"] > COPIES * figures["messages"]:
        _warn(
            f"{alike['copies']:,} of {figures['messages']:,} messages are copies of others (digits, case and the like "
            "do not count), and each of them counts: leave them out unless that is what you want"
        )
    if alike["pairs"]:
        (a, b), *_ = alike["examples"]
        _warn(
            f"{alike['pairs']:,} pairs of messages resemble each other and have different labels, such as "
            f"{a['row']} ({a['label']}) and {b['row']} ({b['label']})"
        )
    for name in figures["unlearned"]:
        _warn(
            f"the messages of {name!r} could only be held out all at once, because those that resemble each other stay "
            "together: its figures mean nothing"
        )
    for pair in figures["confused"]:
        if pair["share"] >= 0.1 and not set(pair["labels"]) & set(figures["unlearned"]):
            first, second = pair["labels"]
            smaller = min(figures["labels"][name]["n"] for name in pair["labels"])
            _warn(
                f"{first!r} and {second!r} are confused in {pair['messages']:,} messages, and the smaller label has "
                f"{smaller:,}: can they be distinguished by the text alone?"
            )


def _card(arguments: argparse.Namespace) -> None:
    from fraudscan.card import read_sets, write_card
    from fraudscan.corpus import CorpusError, default_corpus
    from fraudscan.model import default_folder, load

    folder = arguments.model or default_folder()
    try:
        checkout = default_corpus().parent
    except CorpusError:
        if arguments.model is None:
            raise UsageError("an installed package has the card of its model: name another model with -m") from None
        checkout = None  # an installed package has neither test cases nor benchmarks to quote
    for path in write_card(load(arguments.model), folder, read_sets(arguments.labelled), checkout):
        print(path)


def _refuse(what: str, arguments: argparse.Namespace, *names: str) -> None:
    """Refuse the options called ``names``, with which ``what`` cannot be combined."""
    given = [name for name in names if (value := getattr(arguments, name)) is not None and value is not False]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{what} cannot be combined with {options}")


def _evaluate(arguments: argparse.Namespace) -> None:
    own = (*OWN, "max_false_alarms", "flag", "review")
    if arguments.card:
        _refuse("--card", arguments, *own, "json", "unseen_scenarios")
        _card(arguments)
        return
    from fraudscan.corpus import digest, honest_names, read_corpus
    from fraudscan.evaluate import ANY, evaluate
    from fraudscan.labelled import match_names
    from fraudscan.model import load

    if not arguments.labelled:
        raise UsageError("name the labelled messages to measure the model on")
    if arguments.unseen_scenarios:
        _refuse("--unseen-scenarios, which trains on the corpus,", arguments, *own, "model")
        from fraudscan.train import TrainingOptions, train

        scanner = train(read_corpus(arguments.labelled), options=TrainingOptions(scenarios=True))
        _print_figures(scanner.manifest["figures"], scanner.thresholds, as_json=arguments.json)
        return
    scanner = _with_levels(load(arguments.model), arguments)
    if _is_own(arguments, arguments.labelled):
        found = _read_own(arguments, arguments.labelled, honest_names(scanner.taxonomy))
        rows = match_names(found, scanner.taxonomy)
        if scanner.taxonomy.task == "fraud" and any(ANY in row.labels for row in rows):
            _warn(
                f"{found.taxonomy.labels[0].name!r} is not a label of the model: it is taken to mean fraud of any label"
            )
    else:
        rows = read_corpus(arguments.labelled, scanner.taxonomy)
    if scanner.manifest.get("corpus") == {"rows": len(rows), "sha256": digest(rows)}:
        _warn(
            "the model was trained on these very messages, so it knows the answers: measure it on others (the figures "
            "that train prints are of messages held out)"
        )
    figures = evaluate(scanner, rows)
    if arguments.json:
        figures |= {"thresholds": asdict(scanner.thresholds), "model": scanner.digest, "fraudscan": __version__}
    _print_figures(figures, scanner.thresholds, as_json=arguments.json)


def _print_figures(figures: dict[str, Any], thresholds: Thresholds, *, as_json: bool = False) -> None:
    if figures["recall"] is not None:  # else no label stands for legitimate messages, and thresholds mean nothing
        _print_thresholds(thresholds)
    if as_json:
        _print_json(figures, indent=1)
        return
    print("precision  recall      f1       n  label")  # names last, because Chinese ones have another width
    for name, row in figures["labels"].items():
        print(f"{row['precision']:9.3f}{row['recall']:8.3f}{row['f1']:8.3f}{row['n']:8,}  {_in_line(name)}")
    names = ("messages", "macro_f1", "auc")
    print(", ".join(f"{name} {figures[name]}" for name in names if figures[name] is not None))
    for level, found in {"above one half": figures, "flag": figures["flag"], "review": figures["review"]}.items():
        shares = [f"{name} {found[name]}" for name in ("recall", "false_alarms") if found[name] is not None]
        if shares:
            print(f"{level}: {', '.join(shares)}")


def _labels(arguments: argparse.Namespace) -> None:
    if arguments.json:
        _print_json(TAXONOMY.to_dict(), indent=1)
        return
    for label in TAXONOMY.labels:
        print(f"{label.name}  {label.zh}  {label.about}")
        for scheme in label.schemes:
            print(f"    {scheme.name}  {scheme.official}  {scheme.about}")
    for target in TAXONOMY.targets:
        print(f"target: {target.name}  {target.zh}  {target.about}")


DASHED = re.compile("[‐-―−－]+[A-Za-z-]+(?:=.*)?")
"""An option with the dashes that word processors and Chinese keyboards write."""


class _Parser(argparse.ArgumentParser):
    """A parser whose error messages fit on one line, whatever the arguments contain, and which ends as commands do."""

    given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.given = sys.argv[1:] if args is None else args
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        if dashed := next(filter(DASHED.fullmatch, self.given), None):
            message += f"; {dashed} begins with {dashed[0]}, options with -"
        super().error(_in_line(message))

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        super().exit(_finished(status), message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fraudscan", description="Find fraud in Chinese messages.")
    build = "" if kernel.compiled else " (without the compiled kernel)"
    parser.add_argument("--version", action="version", version=f"fraudscan {__version__}{build}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(run=run)
        return sub

    sub = command("classify", _classify, "Score messages given as arguments, with their evidence.")
    sub.add_argument("text", nargs="+", metavar="TEXT", help="a message; - alone reads one from standard input")
    _flag(sub, "--json", "print JSON lines")
    _name(sub, "--sender", "the sender of the messages, for list entries bound to a sender", metavar="NAME")
    _add_scanner(sub)
    _add_lists(sub)

    sub = command("score", _score, "Score a dump: the same rows come out with fraud_* columns.")
    sub.epilog = (
        "Exit status: 0: done. 1: done, but a dump could not be read to its end, or none of its rows could be scored. "
        "2: refused, or broken off; a sentence says what to do. 130: stopped by Ctrl-C."
    )
    _add_dump(sub)
    _add_scanner(sub)
    _add_lists(sub)

    sub = command("rethreshold", _rethreshold, "Give a scored dump the verdicts of other thresholds.")
    about = "a file from fraudscan score; - for standard input (not for Parquet)"
    sub.add_argument("scored", metavar="SCORED", help=about)
    sub.add_argument("-o", "--output", required=True, metavar="OUT", help="the new file; - for standard output")
    _flag(sub, "--force", "replace OUT if it exists")
    _add_scanner(sub, default="that of SCORED, if its summary is there")

    sub = command("train", _train, "Train a model on labelled messages, from the corpus or your own.")
    about = "files or folders in the corpus's format; or your own files, folders or patterns, - for standard input"
    sub.add_argument("corpus", nargs="+", metavar="CORPUS", help=about)
    sub.add_argument("-o", "--output", required=True, metavar="MODEL", help="the model folder to write")
    about = "add this project's corpus to your own files (FOLDER: where it is, default: in the checkout)"
    sub.add_argument("--with-default-corpus", nargs="?", const="", metavar="FOLDER", help=about)
    about = "number of processes that fit (default: 2)"
    sub.add_argument("--workers", type=int, default=2, metavar="N", help=about)
    _add_own(sub)

    sub = command("evaluate", _evaluate, "Measure a model on labelled messages.")
    sub.add_argument("labelled", nargs="*", metavar="LABELLED", help="labelled messages, named as for train")
    _flag(sub, "--json", "print the figures as JSON")
    about = (
        "hold out a fifth of the scenarios of the corpus LABELLED at a time, train on the rest, and measure on that "
        "fifth (takes minutes)"
    )
    _flag(sub, "--unseen-scenarios", about)
    about = "write the model's card beside it; LABELLED are external JSON lines with text, labels, set and source"
    _flag(sub, "--card", about)
    _add_own(sub)
    _add_scanner(sub)

    sub = command("labels", _labels, "Print the labels, schemes and target groups.")
    _flag(sub, "--json", "print them as JSON")
    return parser


def _flag(group: argparse._ActionsContainer, option: str, about: str) -> None:
    group.add_argument(option, action="store_true", help=about)


def _name(
    group: argparse._ActionsContainer, option: str, about: str, metavar: str = "COLUMN", action: str = "store"
) -> None:
    """Add an option for a name, which may be in another encoding than the locale's."""
    group.add_argument(option, action=action, metavar=metavar, type=_argument, help=about)


def _add_dump(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("dump", nargs="+", metavar="DUMP", help="files, folders or patterns; - for standard input")
    about = (
        ".jsonl, .csv, .tsv or .parquet; for out or out.txt: CSV if DUMP is CSV, else JSON lines; - for standard output"
    )
    sub.add_argument("-o", "--output", required=True, metavar="OUT", help=about)
    about = "skip files and folders with this name or pattern when searching for dumps; may be repeated"
    sub.add_argument("--exclude", metavar="PATTERN", action="append", default=[], help=about)
    about = "reject longer rows (default: 1 MiB)"
    sub.add_argument("--max-message", type=int, default=1 << 20, metavar="BYTES", help=about)
    group = sub.add_argument_group("columns of DUMP")
    _name(group, "--text", "the column with the text (default: found by its name)")
    _name(group, "--sender", "the column with the sender, for list entries bound to a sender")
    about = "the column that names the conversation; conversations are scored too; may be repeated for its other names"
    _name(group, "--by", about, action="append")
    _add_reading(sub, "DUMP")
    group = sub.add_argument_group("columns and form of OUT")
    _flag(group, "--explain", "add fraud_evidence, the strongest words")
    _flag(group, "--proba", "add fraud_p_NAME, the probability of each label, scheme and target group")
    about = "add fraud_source and fraud_line, the file that each row comes from, and its line there"
    _flag(group, "--filenames", about)
    _flag(group, "--bom", "begin CSV output with a byte order mark, for Excel")
    about = "put ' before what Excel takes for a formula, also after , ; | tabs and line breaks in cells"
    _flag(group, "--safe-csv", about)
    group = sub.add_argument_group("running the job")
    group.add_argument("--workers", type=int, default=1, metavar="N", help="number of scoring processes (default: 1)")
    _flag(group, "--resume", "continue a run that was interrupted")
    _flag(group, "--force", "replace OUT if it exists, complete or unfinished")
    _flag(group, "--quiet", "print neither notices nor counts unless the exit status is not 0")


def _add_reading(sub: argparse.ArgumentParser, what: str) -> None:
    """Add the options that replace what is detected of the sources, which are called ``what``."""
    # spelled out, so that --help need not import the readers, which takes as long as all else that it does
    formats = ["jsonl", "json", "csv", "lines", "parquet", "xlsx", "sms-xml", "telegram"]
    formats += ["whatsapp", "qq", "wechat", "line-chat"]
    group = sub.add_argument_group(f"format of {what}")
    group.add_argument("--format", choices=formats, help="the format (default: detected)")
    group.add_argument("--encoding", metavar="NAME", help="utf-8, utf-16, gb18030, big5 … (default: detected)")
    about = "the delimiter of CSV input, \\t for a tab, \\x01 for Hive's (default: detected)"
    group.add_argument("--delimiter", metavar="CHAR", help=about)
    about = (
        "the line of the header of CSV input and workbooks, below a title; 0: none, columns are called 1, 2, 3 "
        "(default: the first line)"
    )
    group.add_argument("--header-line", type=int, metavar="N", help=about)


def _add_scanner(sub: argparse.ArgumentParser, default: str = "the model's") -> None:
    group = sub.add_argument_group("model and thresholds")
    group.add_argument("-m", "--model", type=Path, metavar="FOLDER", help="a model folder (default: the shipped one)")
    about = "flag at most this share of legitimate messages, by the model's held-out curve (0.001: one in a thousand)"
    group.add_argument("--max-false-alarms", type=float, metavar="SHARE", help=about)
    about = f"flag messages with at least this score (default: {default}; six decimals count)"
    group.add_argument("--flag", type=float, metavar="SCORE", help=about)
    about = f"review messages with at least this score (default: {default})"
    group.add_argument("--review", type=float, metavar="SCORE", help=about)


def _add_lists(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("lists")
    about = "phrases and /patterns/, one per line, that make a text clear; may be repeated"
    group.add_argument("--allow", action="append", default=[], metavar="FILE", help=about)
    about = "the same, but they flag a text; allow wins"
    group.add_argument("--deny", action="append", default=[], metavar="FILE", help=about)


def _add_own(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("your own files")
    _name(group, "--text", "the column with the text (default: found by its name)")
    about = (
        "the column with the labels (default: found by its name); several are joined by | or in a list; an empty list "
        "is legitimate"
    )
    _name(group, "--label", about)
    about = "the label of legitimate messages (default: one such as normal, ham or 正常); '' for none"
    _name(group, "--legitimate", about, metavar="NAME")
    _add_reading(sub, "your own files")
