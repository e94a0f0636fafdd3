"""The documents agree with the code: the figures they quote, and the columns, options, extras and files they name."""

import configparser
import json
import re

import numpy as np
import pytest
from conftest import ROOT
from test_cases import read_cases

import fraudscan
from fraudscan.cli import main
from fraudscan.columns import COLUMNS, OPTIONAL, names_of
from fraudscan.dump.detect import FORMATS
from fraudscan.lists import read_lists
from fraudscan.notes import NOTES
from fraudscan.taxonomy import TAXONOMY

README = (ROOT / "README.md").read_text("utf-8")
CHINESE = (ROOT / "README.zh.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
CARD = (ROOT / "models" / "default" / "MODEL_CARD.md").read_text("utf-8")
DUMPS = (ROOT / "docs" / "dumps.md").read_text("utf-8")
RESULTS = json.loads((ROOT / "benchmarks" / "results.json").read_text("utf-8"))
TIMES = RESULTS["speed"].values()
ROBUSTNESS = {
    row["messages"]: row for row in json.loads((ROOT / "benchmarks" / "robustness.json").read_text("utf-8"))["card"]
}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
FOLDERS = "(?:benchmarks|corpus|docs|examples|fraudscan|models|tests|tools)/"
PATH = re.compile(rf'"({FOLDERS}[^"]*)"|(?<![\w/."-])({FOLDERS}[\w./-]*)')


def rows_of(heading, text=README):
    """Return the first cells of a document's table below this heading."""
    table = text.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def in_prose(sentence):
    """Return whether the README contains a sentence, wherever its lines break."""
    return sentence in " ".join(README.split())


def in_chinese(sentence):
    """Return whether the Chinese guide contains a sentence, wherever its lines break."""
    return sentence in "".join(map(str.strip, CHINESE.splitlines()))


def test_quoted_shares_are_those_of_the_shipped_model(scanner):
    flag, review = (scanner.manifest["figures"][name] for name in ("flag", "review"))
    for sentence in (
        f"false alarms on held-out legitimate messages at {flag['false_alarms']:.1%}, and finds {flag['recall']:.0%}",
        f"keeps {review['recall']:.0%} of the fraud, and includes {review['false_alarms']:.0%} of the legitimate",
    ):
        assert in_prose(sentence.replace("%", " per cent"))
    assert in_chinese(f"正常消息上误报 {flag['false_alarms']:.1%}，此时找出 {flag['recall']:.0%} 的涉诈消息")
    assert in_chinese(f"找出 {review['recall']:.0%} 的涉诈消息，同时包含 {review['false_alarms']:.0%} 的正常消息")


def test_quoted_error_of_the_highest_scores_is_that_of_the_shipped_model(scanner):
    top = scanner.manifest["figures"]["calibration"]["bins"][-1]
    predicted, observed = (share / (1 - share) for share in (top["predicted"], top["observed"]))
    about, times = f"{top['predicted']:.3f}", f"{predicted / observed:.1f}"
    assert in_prose(f"the odds of those around {about} are about {times} times too high")
    assert in_chinese(f"{about} 分左右，这个比大约是实际的 {times} 倍")


def test_quoted_figures_of_test_messages_are_those_of_the_shipped_model(scanner):
    cases = [case for case in read_cases() if case["id"].partition("-")[0] not in ("lures", "honest")]
    decisions = scanner.decide([case["text"] for case in cases])
    fraud = np.array([case["labels"] != [scanner.taxonomy.honest] for case in cases])
    assert in_prose(f"Of {len(cases):,} test messages whose authors had seen neither the corpus nor the model")
    (found, alarms), (flagged, wrongly) = (
        (hits[fraud].mean(), hits[~fraud].mean()) for hits in (decisions.scores >= 0.5, decisions.verdicts == 2)
    )
    assert in_prose(
        f"{found:.0%} of the frauds and {alarms:.0%} of the legitimate ones score at least one half; {flagged:.0%} and "
        f"{wrongly:.1%} are flagged".replace("%", " per cent")
    )
    assert in_chinese(f"{len(cases):,} 条测试消息的作者没有看过语料和模型")
    assert in_chinese(f"涉诈消息有 {found:.0%} 达到 0.5 分，正常消息有 {alarms:.0%}；")
    assert in_chinese(f"达到 `flag` 的分别是 {flagged:.0%} 和 {wrongly:.1%}")


def test_quoted_figures_of_third_party_messages_are_those_of_the_card():
    row = re.search(r"## External sets.*?\n\| [\d,]+ \| ([^\n]+) \|\n", CARD, re.DOTALL)
    if row is None:
        pytest.skip("the card was made without the external sets")
    _, found, alarms, *_ = map(float, row[1].split(" | "))
    assert in_prose(
        f"Third-party messages are harder: {found:.0%} of the frauds and {alarms:.0%} of the legitimate ones "
        "score at least one half".replace("%", " per cent")
    )
    assert in_chinese(f"第三方的消息更难：涉诈消息有 {found:.0%} 达到 0.5 分，正常消息有 {alarms:.0%}。")


def test_quoted_effects_of_wrappings_are_the_measured_ones():
    before, alarms, most = (
        f"{100 * ROBUSTNESS[name]['corpus: false alarms']:.0f}"
        for name in ("clean", "with a contact", "with what shops say")
    )
    names = "with an official sentence", "with the head of a record", "clean"
    official, head, clean = (ROBUSTNESS[name]["corpus: recall"] for name in names)
    assert in_prose(f"A contact added to legitimate messages raises false alarms from {before} to {alarms} of 100")
    assert in_prose(f"to {most}; of the lures that are found")
    hidden, hidden_too = (100 - 100 * found / clean for found in (official, head))
    assert in_prose(f"an official-sounding sentence hides {hidden:.0f} of 100")
    assert in_prose(f"and the head of a forwarded chat {hidden_too:.0f}")
    assert in_chinese(f"正常消息后面加上联系方式，误报从每 100 条 {before} 条增加到 {alarms} 条")
    assert in_chinese(f"则是 {most} 条；")
    assert in_chinese(f"诈骗消息后面加上一句官方口吻的话，原来能找出的每 100 条有 {hidden:.0f} 条漏报")
    assert in_chinese(f"前面加上转发聊天记录的抬头则有 {hidden_too:.0f} 条")


def test_quoted_figures_of_the_usual_pipeline_are_the_measured_ones():
    ours, theirs = (RESULTS["quality"]["external sets"][who] for who in ("ours", "(a)"))
    assert in_prose(f"its macro-F1 is {theirs['macro-F1']:.2f} instead of {ours['macro-F1']:.2f}")
    assert in_prose(f"finds {theirs['recall at 1 %']:.0%} of the frauds instead of".replace("%", " per cent"))
    assert in_prose(f"of the frauds instead of {100 * ours['recall at 1 %']:.0f}.")
    own, usual = (RESULTS["quality"]["messages of the tests"][who]["macro-F1"] for who in ("ours", "(a)"))
    assert abs(own - usual) < 0.01  # "does as well on the test messages"


def test_quoted_speeds_are_the_measured_ones():
    assert in_prose("scores batches at more than a hundred times the speed of a pipeline of jieba")
    assert in_prose("builds a small kernel that scores two to three times as fast")
    for times in TIMES:
        assert times["(a) jieba, TF-IDF, logistic regression, batched"] > 100 * times["(e) ours, batched"]
        for how in ("batched", "one by one"):
            assert 2 < times[f"(e) NumPy alone, {how}"] / times[f"(e) ours, {how}"] < 3


def test_the_chinese_guide_names_every_label_and_scheme():
    rows, name = [], ""
    for first, scheme, official in re.findall(r"^\| (?:(\S.*) )?\| `(\w+)` \| (.*) \|$", CHINESE, re.MULTILINE):
        name = first or name
        rows.append((name, scheme, official))
    fraud = [label for label in TAXONOMY.labels if label.schemes]
    assert rows == [
        (f"`{label.name}` {label.zh}", scheme.name, scheme.official) for label in fraud for scheme in label.schemes
    ]
    honest = TAXONOMY.label(TAXONOMY.honest)
    assert f"\n| `{honest.name}` {honest.zh} | | " in CHINESE


def test_the_readme_describes_every_column(scanner):
    assert rows_of("column") == rows_of("列", CHINESE) == list(COLUMNS)
    assert all(f"`{note}`" in CHINESE for note in NOTES)
    assert all(f"`{name}`" in README for name in (*OPTIONAL, *NOTES))
    named = re.search(r"`--proba` adds `(\w+)NAME`", README)
    assert named
    assert [named[1] + name for name in scanner.names] == names_of(scanner, proba=True)[len(COLUMNS) :]
    result = scanner.classify("晚上吃什么")
    assert all(hasattr(result, name.removeprefix("fraud_")) for name in (*COLUMNS, "fraud_rule", "scores"))


def test_the_list_in_the_readme_is_one(tmp_path):
    example = README.partition("## Your own lists")[2].partition("```")[0]
    lines = [line[4:] for line in example.splitlines() if line.startswith("    ")]
    (tmp_path / "list").write_text("\n".join(lines), "utf-8")
    entries = read_lists(deny=tmp_path / "list").entries
    assert [(entry.pattern, entry.sender) for entry in entries] == [
        ("老地方见", None),
        ("/加.{0,3}微信/", None),
        ("提现", "106*"),
        ("/回[tn]退订/", "106*"),
        ("", "95588"),
    ]


def test_the_table_of_formats_names_each_of_them():
    named = re.findall(r"^\| [^|]+ \| `([a-z][\w-]*)` \|", DUMPS, re.MULTILINE)
    assert sorted(named) == sorted(FORMATS)


def test_the_readme_describes_every_extra_for_users():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    ours = {"test", "bench", "tables"}  # of those who work on fraudscan itself
    assert set(rows_of("extra")) == set(config["options.extras_require"]) - ours


def test_the_citation_names_this_version():
    assert f"\nversion: {fraudscan.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_options_in_the_documents_exist(capsys):
    for command in ([], ["classify"], ["score"], ["rethreshold"], ["labels"], ["train"], ["evaluate"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
    known, named = (set(OPTION.findall(text)) for text in (capsys.readouterr().out, README + CHINESE + DUMPS))
    assert "--max-false-alarms" in named
    others = {"--master", "--archives", "--no-index", "--find-links", "--collect-all"}  # of other programs
    assert named - known == others


def test_the_help_names_the_columns_that_options_add(capsys):
    with pytest.raises(SystemExit):
        main(["score", "--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("fraud_source", "fraud_line", "fraud_evidence", "fraud_p_NAME"))


def test_every_key_of_the_summary_is_described(tmp_path):
    assert main(["score", str(ROOT / "examples" / "messages.jsonl"), "-o", str(tmp_path / "out.jsonl"), "--quiet"]) == 0
    table = DUMPS.partition("| key | value |")[2].partition("\n\n")[0]
    described = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    assert set(described) == json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8")).keys()


def test_every_module_has_its_place_in_the_table_of_files():
    table = CONTRIBUTING.partition("## Where things are")[2].partition("\nImports")[0]
    package = ROOT / "fraudscan"
    modules = {
        path.name for path in package.rglob("*.[pc]*") if path.suffix in {".py", ".c"} and path.name[:2] != "__"
    } - {"_version.py"}
    named = set(re.findall(r"`([\w/]+\.(?:py|c))`", table))
    assert modules <= {name.rpartition("/")[2] for name in named}
    for name in named:
        assert any((folder / name).is_file() for folder in (ROOT, package, package / "dump")), name


@pytest.mark.parametrize(
    "name", ["README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/dumps.md", "corpus/README.md"]
)
def test_paths_and_make_targets_in_the_documents_exist(name):
    text = (ROOT / name).read_text("utf-8")
    for quoted, bare in PATH.findall(text):
        path = quoted or bare.rstrip(".")
        assert (ROOT / path).exists(), path
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for command in re.findall(r"(?:`|^    )make ([a-z -]+)", text, re.MULTILINE):
        assert set(command.split()) <= targets, command


def test_the_readme_links_to_its_headings():
    anchors = {
        re.sub(r"[^\w-]", "", line[3:].lower().replace(" ", "-"))
        for line in README.splitlines()
        if line.startswith("## ")
    }
    linked = set(re.findall(r"\]\(#([\w-]+)\)", README))
    assert linked == anchors
