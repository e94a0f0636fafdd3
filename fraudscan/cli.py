"""The command line: arguments in, calls to the library, tables out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudscan import TAXONOMY, __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fraudscan.dump import Progress, Summary
    from fraudscan.model import Result
    from fraudscan.taxonomy import Taxonomy

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fraudscan`` and return its exit status.

    0: done. 1: done, but a dump could not be read to its end. 2: refused, with a sentence on standard error that says
    what to do. 130: stopped by Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    from fraudscan.corpus import CorpusError
    from fraudscan.dump import DumpError
    from fraudscan.model import ModelError

    try:
        return arguments.run(arguments) or 0
    except (CorpusError, DumpError, ModelError) as error:
        print(f"fraudscan: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has had enough; Python would complain at exit
        return 0


def _classify(arguments: argparse.Namespace) -> None:
    from fraudscan.model import load

    scanner = load(arguments.model)
    texts = arguments.text if arguments.text != ["-"] else [sys.stdin.read()]
    for result in scanner.classify_many(texts):
        if arguments.json:
            print(json.dumps(_as_dict(result), ensure_ascii=False))
        else:
            _print_result(result, scanner.taxonomy)


def _as_dict(result: Result) -> dict[str, Any]:
    names = ("text", "label", "scheme", "labels", "score", "verdict", "targets", "scores")
    return {**{name: getattr(result, name) for name in names}, "evidence": [s._asdict() for s in result.explain()]}


def _print_result(result: Result, taxonomy: Taxonomy) -> None:
    scheme = f" / {result.scheme}" if result.scheme else ""
    print(f"{result.verdict:6} {result.score:.3f}  {result.label}{scheme} ({taxonomy.label(result.label).zh})")
    others = [*result.labels[1:], *(f"aimed at {target}" for target in result.targets)]
    if others:
        print(f"       also: {', '.join(others)}")
    for span in result.explain()[:3]:
        if span.weight > 0:
            print(f"       {span.weight:+.2f}  {span.text}")


def _score(arguments: argparse.Namespace) -> int:
    from fraudscan.dump import Options, score_dump
    from fraudscan.model import load

    options = Options(**{name: getattr(arguments, name) for name in Options.__dataclass_fields__})
    try:
        summary = score_dump(
            load(arguments.model),
            arguments.dump,
            arguments.output,
            options,
            workers=arguments.workers,
            resume=arguments.resume,
            force=arguments.force,
            notify=_silent if arguments.quiet else _notify,
            progress=_silent if arguments.quiet or not sys.stderr.isatty() else _show_progress,
        )
    except KeyboardInterrupt:
        resumable = arguments.output != "-" and "-" not in arguments.dump
        how = "go on with the same command and --resume" if resumable else "it has to start anew"
        print(f"\nfraudscan: stopped; {how}", file=sys.stderr)
        return 130
    if not arguments.quiet:
        _print_summary(summary)
    return 1 if summary.damaged else 0


def _silent(_: object) -> None:
    pass


def _notify(remark: str) -> None:
    print(f"fraudscan: {remark}", file=sys.stderr)


def _show_progress(progress: Progress) -> None:
    share = progress.done / progress.total if progress.total else 0.0
    rate = progress.rows / progress.seconds
    line = f"{progress.rows:,} rows, {rate:,.0f} a second"
    if 0 < share <= 1:
        left = int(progress.seconds * (1 - share) / share)
        line += f", {share:.0%} done, {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"
    print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def _print_summary(summary: Summary) -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    tables = {
        "label": summary.labels,
        "scheme": summary.schemes,
        "verdict": summary.verdicts,
        "rejected": summary.reasons,
    }
    for what, counts in tables.items():
        for name, count in counts.most_common(30):
            print(f"{what:9}{count:12,}  {name}", file=sys.stderr)
    if summary.without_conversation:
        print(f"{summary.without_conversation:21,}  in no conversation", file=sys.stderr)
    rows = summary.scored + summary.rejected
    rate = f", {rows / summary.seconds:,.0f} rows a second" if summary.seconds else ""
    print(f"{summary.scored:,} rows scored, {summary.rejected:,} rejected{rate}", file=sys.stderr)


def _train(arguments: argparse.Namespace) -> None:
    from fraudscan.corpus import read_corpus
    from fraudscan.train import train

    scanner = train(read_corpus(arguments.corpus))
    scanner.save(arguments.output)
    _print_figures(scanner.manifest["figures"])
    print(f"{arguments.output}: {len(scanner.vocabulary):,} n-grams, {len(scanner.heads)} heads")


def _evaluate(arguments: argparse.Namespace) -> None:
    from fraudscan.corpus import read_corpus
    from fraudscan.evaluate import evaluate
    from fraudscan.model import load

    scanner = load(arguments.model)
    figures = evaluate(scanner, read_corpus(arguments.labelled, scanner.taxonomy))
    if arguments.json:
        print(json.dumps(figures, ensure_ascii=False, indent=1))
    else:
        _print_figures(figures)


def _print_figures(figures: dict[str, Any]) -> None:
    print(f"{'label':16}{'precision':>10}{'recall':>8}{'f1':>8}{'n':>7}")
    for name, row in figures["labels"].items():
        print(f"{name:16}{row['precision']:10.3f}{row['recall']:8.3f}{row['f1']:8.3f}{row['n']:7}")
    names = ("messages", "macro_f1", "auc", "recall", "false_alarms")
    print(", ".join(f"{name} {figures[name]}" for name in names))


def _labels(arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps(TAXONOMY.to_dict(), ensure_ascii=False, indent=1))
        return
    for label in TAXONOMY.labels:
        print(f"{label.name}  {label.zh}  {label.about}")
        for scheme in label.schemes:
            print(f"    {scheme.name}  {scheme.official}  {scheme.about}")
    for target in TAXONOMY.targets:
        print(f"target: {target.name}  {target.zh}  {target.about}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fraudscan", description="Find fraud in Chinese messages.")
    parser.add_argument("--version", action="version", version=f"fraudscan {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(run=run)
        return sub

    def model(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("-m", "--model", type=Path, metavar="FOLDER", help="a model folder (default: the shipped one)")

    sub = command("classify", _classify, "Score messages given as arguments, with their evidence.")
    sub.add_argument("text", nargs="+", metavar="TEXT", help="a message; a single - reads one from standard input")
    sub.add_argument("--json", action="store_true", help="print JSON lines")
    model(sub)

    sub = command("score", _score, "Score a dump: the same rows come out with fraud_* columns.")
    sub.add_argument("dump", nargs="+", metavar="DUMP", help="files, folders or patterns; - for standard input")
    sub.add_argument(
        "-o", "--output", required=True, metavar="OUT", help=".jsonl, .csv or .parquet; - for standard output"
    )
    sub.add_argument("--text", metavar="COLUMN", help="the column with the text (default: found by its name)")
    sub.add_argument("--by", metavar="COLUMN", help="the column that names a conversation; scores conversations too")
    formats = ["jsonl", "json", "csv", "lines", "parquet", "sms-xml", "telegram", "whatsapp"]
    sub.add_argument("--format", choices=formats, help="what DUMP is (default: found out)")
    sub.add_argument("--encoding", metavar="NAME", help="utf-8, utf-16, gb18030, big5 … (default: found out)")
    sub.add_argument("--delimiter", metavar="CHAR", help="between the values of CSV (default: found out)")
    sub.add_argument("--proba", action="store_true", help="add one column a label with its probability")
    sub.add_argument("--bom", action="store_true", help="begin CSV with a byte order mark, for Excel")
    sub.add_argument("--safe-csv", action="store_true", help="put ' before cells that Excel takes for formulas")
    sub.add_argument("--max-message", type=int, default=1 << 20, metavar="BYTES", help="reject longer rows (1 MiB)")
    sub.add_argument("--workers", type=int, default=1, metavar="N", help="processes that score (default: 1)")
    sub.add_argument("--resume", action="store_true", help="go on with a run that was ended before its time")
    sub.add_argument("--force", action="store_true", help="replace OUT if it exists, whole or half-made")
    sub.add_argument("--quiet", action="store_true", help="say nothing but errors")
    model(sub)

    sub = command("train", _train, "Train a model on labelled messages.")
    sub.add_argument("corpus", nargs="+", metavar="CORPUS", help="JSON lines, or folders of them")
    sub.add_argument("-o", "--output", required=True, metavar="MODEL", help="the model folder to write")

    sub = command("evaluate", _evaluate, "Measure a model on labelled messages.")
    sub.add_argument("labelled", nargs="+", metavar="LABELLED", help="JSON lines, or folders of them")
    sub.add_argument("--json", action="store_true", help="print the figures as JSON")
    model(sub)

    sub = command("labels", _labels, "Print the labels, schemes and target groups.")
    sub.add_argument("--json", action="store_true", help="print them as JSON")
    return parser
