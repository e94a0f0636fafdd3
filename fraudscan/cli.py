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

    from fraudscan.model import Result
    from fraudscan.taxonomy import Taxonomy

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fraudscan``; return 0, or 2 with a sentence on standard error where the input is at fault."""
    arguments = _parser().parse_args(argv)
    from fraudscan.corpus import CorpusError
    from fraudscan.dump import DumpError
    from fraudscan.model import ModelError

    try:
        arguments.run(arguments)
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


def _score(arguments: argparse.Namespace) -> None:
    from fraudscan.dump import score_dump
    from fraudscan.model import load

    summary = score_dump(
        load(arguments.model),
        arguments.dump,
        arguments.output,
        text=arguments.text,
        format=arguments.format,
        proba=arguments.proba,
        force=arguments.force,
    )
    for what, counts in (("label", summary.labels), ("verdict", summary.verdicts), ("rejected", summary.reasons)):
        for name, count in counts.most_common():
            print(f"{what:9}{count:12,}  {name}", file=sys.stderr)
    print(f"{summary.scored:,} rows scored, {summary.rejected:,} rejected", file=sys.stderr)


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
    sub.add_argument("dump", nargs="+", metavar="DUMP", help="JSON lines, CSV or plain lines; - for standard input")
    sub.add_argument("-o", "--output", required=True, metavar="OUT", help="the scored dump; - for standard output")
    sub.add_argument("--text", metavar="COLUMN", help="the column with the text (default: found by its name)")
    sub.add_argument("--format", choices=["jsonl", "csv", "lines"], help="what DUMP is (default: found out)")
    sub.add_argument("--proba", action="store_true", help="add one column a label with its probability")
    sub.add_argument("--force", action="store_true", help="replace OUT if it exists")
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
