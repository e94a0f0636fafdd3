"""Users' own labels: from a labelled file to a model that does everything the shipped one does."""

import csv
import gzip
import io
import json
import multiprocessing
import os
import random
import re
import threading
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import LURE, WORDS, made_up, write_corpus
from dumps import CELLS, rows_of, whatsapp, workbook, zipped
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import LinearSVC

import fraudscan
import fraudscan.explain
from fraudscan import TAXONOMY, Scanner, Thresholds, custom
from fraudscan.cli import main
from fraudscan.corpus import CorpusError, Row, find_honest, is_corpus, read_corpus
from fraudscan.custom import train_custom
from fraudscan.dump import score_dump
from fraudscan.evaluate import evaluate
from fraudscan.features import Vocabulary
from fraudscan.labelled import add_to_corpus, match_names, read_labelled
from fraudscan.taxonomy import Taxonomy

QUICK = {"max_n": 2, "min_df": 2, "idf_power": 0.5, "C": 3.0, "balanced": True}
NAMED = ["--text", "content", "--label", "kind"]
"""The options that name the columns of `write_csv`."""


def write_csv(path, texts, labels, header=("nr", "content", "kind"), encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(zip(range(len(texts)), texts, labels, strict=True))
    return path


def trained(texts, labels, honest="normal", task="multiclass", file="", **options):
    """Return a model of messages with one label each, with the settings `QUICK` unless ``options`` has others."""
    pairs = enumerate(zip(texts, labels, strict=True))
    rows = [Row(f"{file}:{i}", text, () if label == honest else (label,)) for i, (text, label) in pairs]
    taxonomy = Taxonomy.from_names(sorted(set(labels)), honest, task)
    return train_custom(rows, taxonomy, **{"fixed": QUICK, "jobs": 1, **options})


def evaluated(capsys, *arguments):
    """Return the figures that ``fraudscan evaluate`` writes as JSON, and what is said on standard error."""
    capsys.readouterr()  # of earlier commands
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    out, err = capsys.readouterr()
    return json.loads(out, parse_constant=pytest.fail), err


@pytest.mark.parametrize("label", ["investment", "legitimate"])
def test_figures_of_a_single_label_are_valid_json(tmp_path, capsys, label):
    mine = write_csv(tmp_path / "mine.csv", ["稳赚不赔，加微信进群"], [label], ("nr", "text", "label"))
    assert evaluated(capsys, mine)[0]["auc"] is None
    assert main(["evaluate", str(mine)]) == 0
    assert "auc" not in capsys.readouterr().out


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("mine") / "mine.csv", *made_up(60))


@pytest.fixture(scope="module")
def model(mine):
    folder = mine.parent / "model"
    assert main(["train", str(mine), *NAMED, "-o", str(folder)]) == 0
    return folder


def test_a_custom_model_works_in_the_library_and_every_command(model, mine, tmp_path, capsys):
    scanner = fraudscan.load(model)
    texts, labels = made_up(30, seed=1)
    results = list(scanner.classify_many(texts))
    assert [r.label for r in results] == labels
    assert [r.labels for r in results] == [(label,) for label in labels]
    assert scanner.names == ("loan", "prize", "normal")
    for r in results:
        assert sum(r.scores.values()) == pytest.approx(1)
        assert r.score == pytest.approx(1 - r.scores["normal"])
        assert r.scheme == (None if r.label == "normal" else r.label)
        assert r.explain()[0].text in r.text
        assert r.explain()[0].weight > 0
    assert main(["classify", texts[0], "-m", str(model)]) == 0
    assert capsys.readouterr().out.partition("\n")[0].split()[2:] == [labels[0]]
    out = tmp_path / "out.jsonl"
    assert main(["score", str(mine), "--text", "content", "-m", str(model), "-o", str(out)]) == 0
    assert all(row["fraud_label"] == row["kind"] for row in rows_of(out))
    assert evaluated(capsys, mine, *NAMED, "-m", model)[0]["macro_f1"] == 1


def test_measuring_a_model_on_its_own_training_messages_is_reported(model, mine, tmp_path, capsys):
    other = write_csv(tmp_path / mine.name, *made_up(30, seed=1))
    for path, known in ((mine, True), (other, False)):
        assert main(["evaluate", str(path), *NAMED, "-m", str(model)]) == 0
        assert ("the model was trained on these very messages" in capsys.readouterr().err) == known


def test_label_names_with_special_characters_are_written_correctly(tmp_path):
    texts, labels = made_up(60)
    named = {"loan": '冒充"公检法"', "prize": "=1+1", "normal": "normal"}
    mine = write_csv(tmp_path / "mine.csv", texts, [named[label] for label in labels])
    columns = ["--text", "content", "-m", str(tmp_path / "model"), "--proba"]
    assert main(["train", str(mine), *NAMED, "-o", str(tmp_path / "model")]) == 0
    assert main(["score", str(mine), "-o", str(tmp_path / "out.jsonl"), *columns]) == 0
    for row in rows_of(tmp_path / "out.jsonl"):
        assert {f"fraud_p_{name}" for name in named.values()} < set(row)
    assert main(["score", str(mine), "-o", str(tmp_path / "out.csv"), *columns, "--safe-csv"]) == 0
    assert {row["fraud_label"] for row in rows_of(tmp_path / "out.csv")} == {named["loan"], "'=1+1", "normal"}


def test_the_name_of_a_label_may_contain_a_lone_surrogate(tmp_path):
    texts, labels = made_up(60)
    named = {"loan": "loan\ud83d", "prize": "prize", "normal": "normal"}
    rows = [json.dumps({"text": text, "label": named[label]}) for text, label in zip(texts, labels, strict=True)]
    mine = tmp_path / "mine.jsonl"
    mine.write_text("\n".join(rows), "utf-8")
    assert main(["train", str(mine), "--label", "label", "-o", str(tmp_path / "model")]) == 0
    assert main(["score", str(mine), "-o", str(tmp_path / "out.jsonl"), "-m", str(tmp_path / "model")]) == 0
    assert {row["fraud_label"] for row in rows_of(tmp_path / "out.jsonl")} == set(named.values())


def test_the_weights_of_an_explanation_add_up_to_the_logit(model):
    scanner = fraudscan.load(model)
    for text in made_up(10)[0]:
        for head, label in enumerate(scanner.heads):
            spans = fraudscan.explain.explain(scanner, text, label)
            logit = sum(span.weight for span in spans) + scanner.engine.biases[head]
            assert logit == pytest.approx(scanner.logits([text])[0, head])


def test_a_text_of_any_length_scores_the_same_alone_and_in_a_batch(model):
    scanner = fraudscan.load(model)
    texts = [*made_up(50)[0], "", "\u200b", "zzz", "贷款" * 70_000]
    together = scanner.predict_proba(texts)
    assert all((scanner.predict_proba([text])[0] == row).all() for text, row in zip(texts, together, strict=True))
    assert [r.label for r in scanner.classify_many(["", "\u200b"])] == ["normal", "normal"]  # honest if empty
    assert scanner.classify("贷款" * 70_000).label == "loan"


def test_training_on_the_same_rows_gives_the_same_bytes_in_any_number_of_processes(model, mine, tmp_path, monkeypatch):
    monkeypatch.setattr(custom, "SMALL", 0)
    assert main(["train", str(mine), *NAMED, "--workers", "0", "-o", str(tmp_path / "again")]) == 2
    assert main(["train", str(mine), *NAMED, "--workers", "3", "-o", str(tmp_path / "again")]) == 0
    for path in model.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def _digests(count):
    """Return the digests of models that as many threads train at the same time on the same rows."""
    with ThreadPoolExecutor(count) as pool:
        return {m.digest for m in pool.map(lambda _: trained(*made_up(120), fixed=None), range(count))}


def test_threads_that_train_at_the_same_time_get_the_same_model_and_leave_no_filters_of_warnings():
    before = list(warnings.filters)
    assert _digests(1) == _digests(4)
    assert list(warnings.filters) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_process_forked_while_a_thread_trains_can_train():
    parent, fit = os.getpid(), LinearSVC.fit
    fitting, forked = threading.Event(), threading.Event()

    def wait_and_fit(*args):
        if os.getpid() == parent:
            fitting.set()
            forked.wait(120)
        return fit(*args)

    with mock.patch.object(LinearSVC, "fit", wait_and_fit), ThreadPoolExecutor(1) as pool:
        here = pool.submit(_digests, 1)
        fitting.wait(120)
        fork = multiprocessing.get_context("fork")
        child = fork.Process(target=_digests, args=(1,))
        child.start()
        child.join(60)
        child.kill()
        forked.set()
        assert child.exitcode == 0
        assert here.result() == _digests(1)


def test_train_prints_figures_and_notices(tmp_path, capsys):
    texts, labels = made_up(80)
    texts += [f"低息贷款，秒批到账，凭身份证，第{i}位" for i in range(8)]
    labels += ["loan", "prize"] * 4
    path = write_csv(tmp_path / "mine.csv", [*texts, " ", "晚上"], [*labels, "loan", ""])
    assert main(["train", str(path), *NAMED, "-o", str(tmp_path / "model")]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[-1] for line in out.splitlines()[:4]] == ["label", "loan", "prize", "normal"]
    assert len({line.rindex(line.split()[-1]) for line in out.splitlines()[:4]}) == 1
    assert "2 rows were left out" in err
    assert "mine.csv:90: no text" in err
    assert "mine.csv:91: no label" in err
    assert "'normal' is taken to mean legitimate" in err
    assert "pairs of messages resemble each other and have different labels, such as" in err
    assert re.search("'loan' and 'prize' are confused in .* messages, and the smaller label has", err)


def test_training_is_refused_if_no_message_can_be_held_out(tmp_path, capsys):
    texts = [f"低息贷款，秒批到账，凭身份证，第{i}位" for i in range(20)]
    path = write_csv(tmp_path / "mine.csv", texts, ["loan", "normal"] * 10)
    assert main(["train", str(path), *NAMED, "-o", str(tmp_path / "model")]) == 2
    assert "all messages resemble each other, so none can be held out" in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError, BrokenProcessPool])
def test_training_that_runs_out_of_memory_says_what_helps(mine, tmp_path, monkeypatch, capsys, error):
    monkeypatch.setattr("fraudscan.custom.train_custom", mock.Mock(side_effect=error))
    assert main(["train", str(mine), *NAMED, "-o", str(tmp_path / "model")]) == 2
    assert "there is not enough memory; fewer messages or fewer --workers need less of it\n" in capsys.readouterr().err


def test_settings_are_chosen_on_held_out_messages():
    """The labels differ only in sequences of four characters, and the search starts from n-grams of three."""
    rng = random.Random(0)
    halves = {"loan": ("一二三四", "五二三六"), "prize": ("一二三六", "五二三四")}
    labels = ["loan", "prize"] * 60
    texts = [
        "".join(half + "".join(chr(rng.randrange(0x5000, 0x5100)) for _ in range(9)) for half in halves[label])
        for label in labels
    ]
    assert trained(texts, labels, None, fixed={"max_n": 3}).manifest["figures"]["macro_f1"] < 0.7
    chosen = trained(texts, labels, None, fixed=None).manifest
    assert chosen["training"]["max_n"] > 3
    assert chosen["figures"]["macro_f1"] > 0.95


def test_every_setting_changes_the_model():
    changes = {"max_n": 3, "min_df": 9, "idf_power": 1.0, "C": 0.1, "balanced": False}
    settings_of = [QUICK, *({**QUICK, name: value} for name, value in changes.items())]
    digests = {trained(*made_up(60), fixed=fixed).digest for fixed in settings_of}
    assert len(digests) == len(settings_of)


def test_near_duplicates_are_on_the_same_side_of_every_fold():
    texts, labels = made_up(60)
    for i in range(40):  # one wording, arbitrary labels: only its duplicates can predict them
        texts.append("完全一样的一条短信内容在这里写着" + "甲乙丙丁戊己庚辛"[i % 8])
        labels.append(["loan", "prize"][i % 8 % 2])
    figures = trained(texts, labels, fixed=None).manifest["figures"]
    assert figures["confused"][0]["labels"] == ["loan", "prize"]
    assert figures["confused"][0]["messages"] >= 16
    assert figures["resembling"]["pairs"] == 16  # four wordings of each label
    assert [row["label"] for row in figures["resembling"]["examples"][0]] == ["loan", "prize"]


BILLS = [f"您的电费账单已出，请于月底之前缴纳到账户{name}" for name in "甲乙丙丁戊己"]


def test_a_label_of_one_template_is_reported(tmp_path, capsys):
    texts, labels = made_up(100)
    path = write_csv(tmp_path / "mine.csv", [*texts, *BILLS], [*labels, *["bill"] * 6])
    assert main(["train", str(path), *NAMED, "-o", str(tmp_path / "model")]) == 0
    message = capsys.readouterr().err
    assert (
        "the messages of 'bill' could only be held out all at once, because those that resemble each other" in message
    )
    assert "are confused in" not in message


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_label_of_one_template_leaves_the_others_confident(task):
    texts, labels = made_up(100)
    scanner = trained([*texts, *BILLS * 5], [*labels, *["bill"] * 30], task=task)
    for text, label in [("低息贷款，秒批到账", "loan"), ("晚上吃饭，明天开会", "normal"), (BILLS[0], "bill")]:
        scores = scanner.classify(text).scores
        assert all((scores[name] > 0.9) == (name == label) for name in scanner.names), scores


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize("name", ["Loan ", "normal"])
def test_a_label_with_a_single_message_does_not_prevent_measuring_the_others(task, name):
    texts, labels = made_up(100)
    honest = "normal" if name != "normal" else None
    labels = ["prize" if label == "normal" and not honest else label for label in labels]
    scanner = trained([*texts, "晚上一起爬山去吗"], [*labels, name], task=task, least=1)
    figures = scanner.manifest["figures"]
    assert figures["unlearned"] == [name]
    assert figures["labels"]["loan"]["f1"] > 0.9
    assert ("curve" in scanner.manifest) == bool(honest)
    assert scanner.thresholds.flag < 0.9
    scores = scanner.classify("低息贷款，秒批到账").scores
    assert all((scores[name] > 0.9) == (name == "loan") for name in scanner.names), scores


def test_confidence_without_confusions_is_limited_by_the_number_of_messages():
    confidence = {}
    for count in (40, 400):
        confidence[count] = trained(*made_up(count)).predict_proba(made_up(100, seed=1)[0]).max(axis=1)
    assert 0.95 < np.median(confidence[40]) < 1 - 1 / 400
    assert np.median(confidence[40]) < np.median(confidence[400]) < 1 - 1e-5


def test_labels_of_one_template_each_are_distinguished():
    prizes = [
        text.replace("电费账单已出，请于月底之前缴纳到", "号码抽中本次周年庆的一等奖，奖品寄往") for text in BILLS
    ]
    scanner = trained([*BILLS, *prizes], ["normal"] * 6 + ["prize"] * 6)
    assert [scanner.classify(text).score > 0.8 for text in (BILLS[0], prizes[0])] == [False, True]


def test_messages_may_have_several_labels(tmp_path):
    texts, labels = made_up(200)
    both = [(f"{texts[i]}。{texts[i + 1]}", {labels[i], labels[i + 1]} - {"normal"} or {"normal"}) for i in range(199)]
    path = write_csv(tmp_path / "mine.csv", [text for text, _ in both], ["|".join(sorted(names)) for _, names in both])
    found = read_labelled([path], "content", "kind")
    assert found.taxonomy.task == "multilabel"
    scanner = train_custom(found.rows, found.taxonomy, fixed=QUICK, jobs=1)
    scanner.save(tmp_path / "model")
    decided = fraudscan.load(tmp_path / "model").decide([text for text, _ in both])
    assert np.mean([set(predicted) == names for predicted, (_, names) in zip(decided.labels, both, strict=True)]) > 0.95
    assert all(names[0] == label for names, label in zip(decided.labels, decided.label, strict=True))
    assert {len(names) for names in decided.labels} == {1, 2}
    counts = Counter(name for _, names in both for name in names)
    for figures in (scanner.manifest["figures"], evaluate(scanner, found.rows)):
        assert {name: row["n"] for name, row in figures["labels"].items()} == counts  # all count, not only the first
        assert figures["macro_f1"] > 0.95


def test_a_label_that_never_comes_first_has_figures(tmp_path):
    texts, labels = made_up(120)
    path = write_csv(tmp_path / "mine.csv", texts, [f"{name}|urgent" if name == "loan" else name for name in labels])
    found = read_labelled([path], "content", "kind")
    scanner = train_custom(found.rows, found.taxonomy, fixed=QUICK, jobs=1)
    table = scanner.manifest["figures"]["labels"]
    assert table["urgent"]["n"] == table["loan"]["n"] == labels.count("loan")
    assert table["urgent"]["recall"] > 0.9


def test_a_model_may_have_no_honest_label(mine, tmp_path, capsys):
    assert main(["train", str(mine), *NAMED, "--legitimate", "", "-o", str(tmp_path / "m")]) == 0
    assert "every message will score 1; name one with --legitimate" in capsys.readouterr().err
    scanner = fraudscan.load(tmp_path / "m")
    with pytest.raises(fraudscan.FraudscanError, match="none of the model's labels stands for legitimate messages"):
        scanner.with_false_alarms(0.01)
    texts, labels = made_up(30, seed=1)
    decided = scanner.decide([*texts, ""])
    assert decided.label[:-1] == labels
    assert set(decided.score) == {1.0}
    assert decided.label[-1] in WORDS
    evaluation = ["evaluate", str(mine), *NAMED, "-m", str(tmp_path / "m")]
    assert main([*evaluation, "--legitimate", "normal"]) == 2
    assert "none of the model's labels stands for legitimate messages" in capsys.readouterr().err
    assert main(evaluation) == 0
    assert scanner.classify(texts[0]).explain()


def test_too_few_messages_or_a_single_class_are_refused(tmp_path, capsys):
    texts, labels = made_up(40)
    path = write_csv(tmp_path / "mine.csv", [*texts, "一条", "二", "三"], [*labels, "rare", "few", "few"])
    assert main(["train", str(path), *NAMED, "-o", str(tmp_path / "m")]) == 2
    assert (
        "labels with too few messages: 'few' (2), 'rare' (1); label at least 5 of each, or leave them out"
        in capsys.readouterr().err
    )
    path = write_csv(tmp_path / "mine.csv", texts, ["x"] * 40)
    assert main(["train", str(path), *NAMED, "-o", str(tmp_path / "m")]) == 2
    assert "all messages are of one class, 'x'" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "big5"])
def test_encodings_are_detected_and_columns_are_found_by_name(tmp_path, encoding):
    header = ("no", "text", "label") if encoding == "big5" else ("编号", "短信内容", "标签")
    texts, spam = (["您的包裹到了", "恭喜中獎"], "詐騙") if encoding == "big5" else (["你好", "中奖"], "诈骗")
    path = write_csv(tmp_path / "mine.csv", texts, ["正常", spam], header, encoding)
    found = read_labelled([path])
    assert [(row.text, row.labels) for row in found.rows] == [(texts[0], ()), (texts[1], (spam,))]
    assert found.taxonomy.honest == "正常"


def test_the_first_line_may_give_the_delimiter_as_for_excel(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("sep=#\ntext#label#a,b\n你好#正常#\n中奖#诈骗\n", "utf-8-sig")
    found = read_labelled([path])
    assert [(row.text, row.labels) for row in found.rows] == [("你好", ())]
    assert "mine.csv:4: 2 fields where the header has 3" in found.skipped[0]


def test_labelled_json_lines_are_read(tmp_path):
    path = tmp_path / "mine.jsonl"
    rows = [
        {"text": "甲", "label": ["a", "b"]},
        {"text": "乙", "label": 0},
        {"text": 7, "label": "a"},
        [],
        {"text": "丙"},
        {"text": "丁", "label": float("nan")},
        {"text": "戊", "label": ["a", None, " "]},
        {"text": "己", "label": {"名": 1}},
        {"text": "庚", "label": ["b", ["a"]]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n{\n", "utf-8")
    found = read_labelled([path])
    assert [(row.text, row.labels) for row in found.rows] == [("甲", ("a", "b")), ("乙", ()), ("戊", ("a",))]
    reasons = [line.partition("jsonl:")[2] for line in found.skipped]
    assert reasons == [
        "3: 'text' is not a text",
        "4: not a JSON object but a list: jq '.[]' takes it apart",
        "5: no label",
        "6: no label",
        "8: a label is a name, not {'名': 1}",
        "9: a label is a name, not ['a']",
        "10: not JSON",
    ]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "xlsx"])
def test_labelled_messages_are_identified_by_their_lines(tmp_path, ending):
    source = tmp_path / f"in.{ending}"
    rows = [{"text": f"第{i}句", "label": "a" if i % 400 else ""} for i in range(1, 1001)]
    if ending == "jsonl":
        lines = list(map(json.dumps, rows))
        source.write_text("\n".join(["", *lines[:600], "broken", *lines[601:]]), "utf-8")
    elif ending == "csv":
        source.write_text("\n".join(["text,label", *(",".join(row.values()) for row in rows)]), "utf-8")
    elif ending == "parquet":
        pa.parquet.write_table(pa.Table.from_pylist(rows), source)
    else:
        source.write_bytes(workbook({"甲": [list(rows[0]), *(list(row.values()) for row in rows)]}))
    first = 1 if ending == "parquet" else 2  # below an empty line, or a header
    unlabelled = [400, 601, 800] if ending == "jsonl" else [400, 800]
    found = read_labelled([source])
    texts = [row for at, row in enumerate(rows, 1) if at not in unlabelled]
    assert [row.text for row in found.rows] == [row["text"] for row in texts]
    assert [int(row.id.rpartition(":")[2]) - int(row.text[1:-1]) for row in found.rows] == [first - 1] * len(texts)
    assert [line.partition(" ")[0] for line in found.skipped] == [f"{source.name}:{n + first - 1}:" for n in unlabelled]


def test_rows_of_several_sheets_are_identified_by_their_sheet(tmp_path):
    header, row = ["text", "label"], [LURE, "a"]
    (tmp_path / "b.xlsx").write_bytes(workbook({"甲": [header, row], "乙": [header, [LURE, "b"], ["你好", None]]}))
    found = read_labelled([tmp_path / "b.xlsx"])
    assert [row.id for row in found.rows] == ["b.xlsx:甲:2", "b.xlsx:乙:2"]
    assert found.skipped == ["b.xlsx:乙:3: no label"]


def test_sheets_may_call_their_labels_differently(tmp_path):
    sheets = {
        "甲": [["短信内容", "标签"], [LURE, "a"]],
        "乙": [["类别", "短信内容"], ["b", LURE]],
        "丙": [["短信内容"], ["好"]],
    }
    (tmp_path / "b.xlsx").write_bytes(workbook(sheets))
    notices: list[str] = []
    found = read_labelled([tmp_path / "b.xlsx"], notify=notices.append)
    assert [row.labels for row in found.rows] == [("a",), ("b",)]
    assert found.skipped == ["b.xlsx:丙:2: no label"]
    assert notices == [f"{tmp_path / 'b.xlsx'} has a sheet '乙' whose labels are taken from '类别', not from '标签'"]
    assert len(read_labelled([tmp_path / "b.xlsx"], label="标签").rows) == 1


def test_bytes_in_another_encoding_are_no_label(tmp_path):
    path = tmp_path / "mine.parquet"
    labels = [b"a", "中奖".encode("gb18030")]
    pa.parquet.write_table(pa.table({"text": [LURE, "你好"], "label": labels}), path)
    found = read_labelled([path])
    assert ([row.labels for row in found.rows], len(found.skipped)) == ([("a",)], 1)
    assert "mine.parquet:2: a label is a name, not b'" in found.skipped[0]
    assert {row.labels for row in read_labelled([path], encoding="gb18030").rows} == {("a",), ("中奖",)}


def test_an_entry_of_a_map_is_no_label(tmp_path):
    labels = pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int8()))
    pa.parquet.write_table(pa.table({"text": [LURE, "你好"], "label": labels}), tmp_path / "mine.parquet")
    found = read_labelled([tmp_path / "mine.parquet"])
    assert found.skipped == ["mine.parquet:1: a label is a name, not ('a', 1)"]


def test_lists_of_labels_in_parquet_may_be_bytes(tmp_path):
    labels = pa.array([[b"a", "中奖".encode("gb18030")]], pa.list_(pa.binary()))
    pa.parquet.write_table(pa.table({"text": [LURE], "label": labels}), tmp_path / "mine.parquet")
    (row,) = read_labelled([tmp_path / "mine.parquet"], encoding="gb18030").rows
    assert row.labels == ("a", "中奖")


def test_the_label_column_of_a_workbook_is_the_one_of_most_sheets(tmp_path):
    sheets = {"甲": [["短信内容", "标签"], [LURE, "a"]], "乙": [["短信内容", "标签", "type"], ["你好", "b", "inbox"]]}
    (tmp_path / "b.xlsx").write_bytes(workbook(sheets))
    assert [row.labels for row in read_labelled([tmp_path / "b.xlsx"]).rows] == [("a",), ("b",)]
    (tmp_path / "b.xlsx").write_bytes(workbook({**sheets, "丙": [["短信内容", "类别", "类别"], ["好", "b", "c"]]}))
    with pytest.raises(CorpusError, match=r"b\.xlsx, sheet '丙', has several columns called '类别'"):
        read_labelled([tmp_path / "b.xlsx"])


def test_labelled_messages_are_read_from_the_same_formats_as_dumps(tmp_path):
    rows = [{"text": "你好", "label": []}, {"text": "中奖", "label": ["a", "b"]}, {"text": '他说"好"', "label": ["a"]}]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "mine.parquet")
    hive = [{"text": row["text"].encode(), "label": "|".join(row["label"] or ["ham"]).encode()} for row in rows]
    pa.parquet.write_table(pa.Table.from_pylist(hive), tmp_path / "hive.parquet")
    (tmp_path / "array.json").write_text(json.dumps(rows, indent=1), "utf-8")
    (tmp_path / "lines.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    (tmp_path / "lines.zip").write_bytes(zipped({"lines.jsonl": "\n".join(map(json.dumps, rows)), "a.jpg": b""}))
    (tmp_path / "spark.csv").write_text('text,label\n你好,ham\n中奖,a|b\n"他说\\"好\\"",a\n', "utf-8")
    for path in tmp_path.iterdir():
        found = read_labelled([path])
        assert [(row.text, row.labels) for row in found.rows] == [(row["text"], tuple(row["label"])) for row in rows]
    (tmp_path / "mysql.tsv").write_text("text\tlabel\n你好\tnan\n中奖\t\\N\n", "utf-8")
    found = read_labelled([tmp_path / "mysql.tsv"])
    assert ([row.labels for row in found.rows], found.skipped) == ([("nan",)], ["mysql.tsv:3: no label"])
    (tmp_path / "mine.txt").write_text("你好\n中奖\n", "utf-8")
    for delimiter, how in ((None, "name the text column with --text"), ("§", "add --format csv")):
        with pytest.raises(
            CorpusError, match=rf"mine\.txt is not .* plain lines: if its first line is a header, {how}"
        ):
            read_labelled([tmp_path / "mine.txt"], delimiter=delimiter)
    (tmp_path / "lines.gz").write_bytes((tmp_path / "lines.gz").read_bytes()[:-9])
    with pytest.raises(CorpusError, match=r"lines\.gz:\d: the archive is cut short"):
        read_labelled([tmp_path / "lines.gz"])


def test_guesses_about_labelled_messages_are_reported_as_score_does(scanner, tmp_path):
    body = "".join(f"{LURE},{number},今天开会\n" for number in range(4))
    contents = {
        "encoding.csv": (f"text,label\n{LURE},a\n".encode("gb18030"), "is read as GB18030"),
        "rivals.csv": (f"content,text,label\n{body}".encode(), "if it is in '"),
        "ends.csv": (f"text,label\n{LURE},a,\n{LURE},b,\n".encode(), "at the end of its rows"),
        "nested.jsonl": (
            json.dumps({"text": "今天开会", "label": "a", "replies": [{"text": LURE}]}).encode() + b"\n",
            "has texts nested deeper",
        ),
        "sure.csv": (f"text,label\n{LURE},a\n".encode(), ""),
    }
    for name, (content, expected) in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        scored: list[str] = []
        read: list[str] = []
        score_dump(scanner, [path], tmp_path / f"{name}.out.jsonl", notify=scored.append)
        read_labelled([path], notify=read.append)
        assert read == scored
        assert expected in "".join(read)
        assert len(read) == bool(expected)


def test_a_named_label_column_is_not_reported_as_the_text(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,message\nhi,加微信领返利\nyo,周末一起吃饭\n", "utf-8")
    notices: list[str] = []
    assert len(read_labelled([path], label="message", notify=notices.append).rows) == 2
    assert notices == []


def test_columns_of_json_lines_are_collected_from_several_rows(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{}\n[]\n{"text": "甲"}\n{"text": "乙", "label": "a"}\n{"nr": 1, "label": "b"}\n', "utf-8")
    found = read_labelled([path], label="label")
    assert [(row.text, row.labels) for row in found.rows] == [("乙", ("a",))]
    assert [reason.partition(": ")[2] for reason in found.skipped] == [
        "'text' is missing",
        "not a JSON object but a list: jq '.[]' takes it apart",
        "no label",
        "'text' is missing",
    ]
    with pytest.raises(CorpusError, match=r"no column is called 'x'; .* has the columns: text, label$"):
        read_labelled([path], label="x")
    path.write_text("{}\n")
    with pytest.raises(CorpusError, match=r"no column looks like the text; .* has the columns: \(none\)"):
        read_labelled([path])
    path.write_text("3\n{\n")
    with pytest.raises(CorpusError, match=r"no labelled messages in .*; mine\.jsonl:1: not a JSON object"):
        read_labelled([path])


def test_the_name_of_a_file_need_not_be_unicode(tmp_path):
    texts, labels = made_up(60)
    name = "\udcd1\udcb5.csv"  # a GBK name, as in archives from Windows
    scanner = trained([*texts, texts[0]], [*labels, "prize" if labels[0] == "loan" else "loan"], file=name)
    scanner.save(tmp_path / "model")
    examples = fraudscan.load(tmp_path / "model").manifest["figures"]["resembling"]["examples"]
    assert examples == scanner.manifest["figures"]["resembling"]["examples"]
    assert [row["row"] for row in examples[0]] == [f"{name}:0", f"{name}:{len(texts)}"]


@given(st.lists(st.tuples(CELLS, st.sampled_from(["a", " b ", "a|b", "", "|"]))))
@settings(max_examples=100)
def test_every_row_is_read_or_reported(tmp_path, rows):
    path = write_csv(tmp_path / "any.csv", [text for text, _ in rows], [label for _, label in rows])
    usable = [(text, label) for text, label in rows if text.strip() and label.strip("|")]
    if not usable:
        with pytest.raises(CorpusError, match="no labelled messages"):
            read_labelled([path], "content", "kind")
        return
    found = read_labelled([path], "content", "kind")
    assert [row.text for row in found.rows] == [text for text, _ in usable]
    assert [row.labels for row in found.rows] == [tuple(label.replace(" ", "").split("|")) for _, label in usable]
    assert len(found.skipped) == len(rows) - len(usable)


def test_errors_in_labelled_files_are_reported(tmp_path):
    with pytest.raises(CorpusError, match="cannot be read: No such file"):
        read_labelled([tmp_path / "none.csv"])
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        CorpusError, match=r"no column looks like the text; .* has the columns: a, b\. Name it with --text"
    ):
        read_labelled([tmp_path / "a.csv"])
    with pytest.raises(CorpusError, match="no column is called 'c'"):
        read_labelled([tmp_path / "a.csv"], "a", "c")
    for damaged, encoding in [(b"\xff\xff", "gb18030"), (b"\xb8\xfa", "utf-8")]:  # 跟 in GB18030 is not UTF-8
        (tmp_path / "b.csv").write_bytes("text,label\n您的包裹到了,a\n".encode(encoding) + damaged + b",b\n")
        (skipped,) = read_labelled([tmp_path / "b.csv"]).skipped
        assert skipped.partition(";")[0] == f"b.csv:3: not {encoding.upper()}"
    for magic, what in [
        (zipped({"a.csv": b"", "b.csv": b""}), "a ZIP archive, as are .ods"),
        (gzip.compress(b"\x1f\x8b\x08"), "an archive that is still packed"),
        (b"PAR1", "not a Parquet file that can be read"),
    ]:
        (tmp_path / "b.csv").write_bytes(magic + b"\x00\xff" * 9)
        with pytest.raises(CorpusError, match=rf"b\.csv is {what}"):
            read_labelled([tmp_path / "b.csv"])
    (tmp_path / "c.csv").write_text("text,label\nx,normal|spam\n")
    with pytest.raises(CorpusError, match=r"c\.csv:2: the label 'normal' stands for legitimate"):
        read_labelled([tmp_path / "c.csv"])
    for header, what in [("text,label,label", "'label'"), ("text,text,label", "'text'")]:
        (tmp_path / "c.csv").write_text(f"{header}\nx,a,b\n")
        with pytest.raises(CorpusError, match=rf"c\.csv has several columns called {what}: rename all but one"):
            read_labelled([tmp_path / "c.csv"])
    (tmp_path / "c.csv").write_text("text,label\n")
    with pytest.raises(CorpusError, match=r"no labelled messages in .*c\.csv$"):
        read_labelled([tmp_path / "c.csv"])
    (tmp_path / "d.csv").write_text("text,label\nx,a,b\ny,a\n")
    assert read_labelled([tmp_path / "d.csv"]).skipped == ["d.csv:2: 3 fields where the header has 2"]


@pytest.mark.parametrize(
    ("honest", "names"), [("好人", ["好人", "normal"]), ("ham", ["ham", "normal"]), ("", ["ham", "normal"])]
)
def test_evaluate_uses_the_honest_label_of_the_model(tmp_path, capsys, honest, names):
    texts, labels = made_up(60)
    mine = write_csv(tmp_path / "mine.csv", texts, [names[label == "loan"] for label in labels])
    found = read_labelled([mine], "content", "kind", honest)
    train_custom(found.rows, found.taxonomy, fixed=QUICK, jobs=1).save(tmp_path / "model")
    figures, _ = evaluated(capsys, mine, *NAMED, "-m", tmp_path / "model")
    assert {name for name, row in figures["labels"].items() if row["n"]} == set(names)


def test_a_file_without_a_json_suffix_is_read_as_a_users_own(tmp_path, capsys):
    mine = tmp_path / "mine.txt"
    mine.write_text("text\tlabel\n" + "".join(map("{}\t{}\n".format, *made_up(60))), "utf-8")
    assert main(["train", str(mine), "-o", str(tmp_path / "model")]) == 0
    assert main(["evaluate", str(mine), "-m", str(tmp_path / "model")]) == 0
    (tmp_path / "mine.xlsx").write_bytes(zipped({}))
    assert main(["train", str(tmp_path / "mine.xlsx"), "-o", str(tmp_path / "model")]) == 2
    assert "is a ZIP archive, as are .ods" in capsys.readouterr().err


def test_own_messages_are_read_from_folders_patterns_and_standard_input(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "spark"
    folder.mkdir()
    parts = [([LURE, "到楼下了"], ["spam", "ham"]), (["晚上吃什么"], ["ham"])]
    for number, (texts, labels) in enumerate(parts):
        write_csv(folder / f"part-{number}.csv", texts, labels, ("nr", "text", "label"))
    (folder / "_SUCCESS").touch()
    (folder / "empty.csv").touch()
    rows = [{"text": text, "label": label} for part in parts for text, label in zip(*part, strict=True)]
    (tmp_path / "array.json").write_text(json.dumps(rows, indent=1), "utf-8")
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=(tmp_path / "pipe").write_text, args=(json.dumps(rows),), daemon=True).start()
    data = io.BytesIO(gzip.compress(json.dumps(rows).encode()))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(data)))
    sources = "-", *(tmp_path / name for name in ("spark", "spark/part-*.csv", "array.json", "lines.jsonl", "pipe"))
    found = [evaluated(capsys, source)[0] for source in sources]
    assert [figures["messages"] for figures in found] == [3] * 6
    assert all(figures == found[0] for figures in found)
    assert main(["evaluate", str(folder), "--label", "label"]) == 0
    assert "empty.csv is skipped: it is empty" in capsys.readouterr().err


def test_the_header_line_of_own_messages_may_be_named(tmp_path, capsys):
    table = f"text,label\nhi,ham\n{LURE},spam\n"
    (tmp_path / "titled.csv").write_text("二月,\n\n" + table, "utf-8")
    (tmp_path / "bare.csv").write_text(table.partition("\n")[2], "utf-8")
    (tmp_path / "mine.jsonl").write_text(json.dumps({"text": "hi", "label": "ham"}) + "\n", "utf-8")
    titled, notice = evaluated(capsys, tmp_path / "titled.csv", "--header-line", 3)
    assert "1 rows were left out: titled.csv:1: above the header\n" in notice
    bare, notice = evaluated(capsys, tmp_path / "bare.csv", "--header-line", 0, "--text", 1, "--label", 2)
    assert "left out" not in notice
    assert titled == bare
    assert titled["messages"] == 2
    found = read_labelled([tmp_path / "titled.csv", tmp_path / "mine.jsonl"], header_line=3)
    assert [row.id for row in found.rows] == ["titled.csv:4", "titled.csv:5", "mine.jsonl:1"]
    with pytest.raises(CorpusError, match="line 9, given by --header-line, is not in it"):
        read_labelled([tmp_path / "titled.csv"], header_line=9)
    with pytest.raises(CorpusError, match="--header-line is for CSV and workbooks, but no source is read as one"):
        read_labelled([tmp_path / "mine.jsonl"], header_line=3)


def test_a_text_file_of_own_messages_that_is_read_as_a_chat_is_reported(tmp_path):
    (tmp_path / "chat.txt").write_bytes(whatsapp([{"id": i, "sender": f"人{i}", "text": "好"} for i in range(3)]))
    notices = []
    assert len(read_labelled([tmp_path / "chat.txt"], label="sender", notify=notices.append).rows) == 3
    assert any("chat.txt is read as a chat (whatsapp)" in notice for notice in notices)


def test_the_format_encoding_and_delimiter_of_own_messages_may_be_named(tmp_path, capsys):
    mine = tmp_path / "mine.txt"
    mine.write_bytes(f"text§label\nhi§ham\n{LURE}§spam\n".encode("gb18030"))
    figures, _ = evaluated(capsys, mine, "--format", "csv", "--encoding", "gbk", "--delimiter", "§")
    assert figures["messages"] == 2
    for wrong, why in {
        ("--encoding", "klingon"): "klingon",
        ("--delimiter", "§§"): "--delimiter must be one character",
        ("--delimiter", ""): "--delimiter must be one character",
        ("--delimiter", "§", "--format", "jsonl"): "--delimiter is for CSV, but ",
    }.items():
        assert main(["evaluate", str(mine), *wrong]) == 2
        assert why in capsys.readouterr().err
    (tmp_path / "other.jsonl").write_text(json.dumps({"text": "hi", "label": "ham"}), "utf-8")
    found = read_labelled([mine.rename(tmp_path / "mine.csv"), tmp_path / "other.jsonl"], delimiter="§")
    assert [row.id for row in found.rows] == ["mine.csv:2", "mine.csv:3", "other.jsonl:1"]
    for option in (["--format", "csv"], ["--encoding", "utf-8"], ["--delimiter", ","], ["--header-line", "0"]):
        assert main(["evaluate", str(mine), "--unseen-scenarios", *option]) == 2
        assert f"cannot be combined with {option[0]}" in capsys.readouterr().err
    (tmp_path / "late.csv").write_bytes(b"text,label\nhi,ham\n" + f"{LURE},spam\n".encode("gb18030"))
    assert main(["evaluate", str(tmp_path / "late.csv"), "--encoding", "utf-8"]) == 0
    assert "late.csv:3: not UTF-8; if the file is in another encoding, name that with" in capsys.readouterr().err


@given(st.one_of(st.binary(max_size=40), st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode)))
def test_whether_a_file_is_in_the_format_of_the_corpus_is_decided_by_its_content(tmp_path, data):
    path = tmp_path / "any"
    path.write_bytes(data)
    assert not is_corpus(path)
    row = json.dumps({"labels": [], "channel": "sms"}).encode()
    for first, then in ((b"", data), (b"\n", data), (data, b"")):  # a damaged row is reported later
        path.write_bytes(first + b"\n" + row + b"\n" + then)
        assert is_corpus(path)
    assert not is_corpus(tmp_path)
    assert not is_corpus(tmp_path / "none")


def test_an_empty_list_of_labels_means_that_a_message_is_honest(tmp_path):
    path = tmp_path / "mine.jsonl"
    rows = [{"text": "加微信返利", "label": ["spam"]}, {"text": "到楼下了", "label": []}, {"text": "谁", "label": None}]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    notices = []
    found = read_labelled([path], notify=notices.append)
    assert [row.labels for row in found.rows] == [("spam",), ()]
    assert (found.taxonomy.honest, found.skipped) == ("legitimate", ["mine.jsonl:3: no label"])
    (notice,) = notices
    assert notice.startswith("the list of labels is empty in 1 of 2 messages, which is taken to mean 'legitimate'")
    assert read_labelled([path], known=("好人",)).taxonomy.honest == "好人"
    with pytest.raises(CorpusError, match=r"mine\.jsonl:2: an empty list of labels means that the message is"):
        read_labelled([path], honest="")


@pytest.mark.parametrize("name", ["1", "Fraud", "是", "诈骗"])
def test_a_file_of_frauds_alone_has_a_recall_but_no_false_alarm_rate(tmp_path, capsys, name):
    path = tmp_path / "frauds.csv"
    path.write_text(f"text,label\n跟着老师操作稳赚不赔,{name}\n", "utf-8")
    figures, _ = evaluated(capsys, path)
    assert (figures["recall"], figures["false_alarms"]) == (1.0, None)


def test_the_error_on_unknown_labels_suggests_naming_the_honest_one(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_text("text,label\n跟着老师操作稳赚不赔,荐股\n到楼下了,路人\n", "utf-8")
    assert main(["evaluate", str(path)]) == 2
    assert "Name the label of legitimate messages with --legitimate" in capsys.readouterr().err


def test_find_honest():
    assert find_honest(["spam", "HAM"]) == "HAM"
    assert find_honest(["1", "0"]) == "0"
    assert find_honest(["spam", "Ham"], known=("HAM",)) == "Ham"
    assert find_honest(["a", "b"]) is None
    assert find_honest(["ham", "spam"], "spam") == "spam"
    assert find_honest(["ham", "spam"], "") is None
    with pytest.raises(CorpusError, match="no message has the label 'x'; there are: a, b"):
        find_honest(["a", "b"], "x")
    for names in (["normal", "spam", "正常"], ["Ham", "ham"], ["0", "0.0", "1"]):
        with pytest.raises(CorpusError, match=rf"'{names[0]}' and '.*' could both stand .* one name, or say .* \(''"):
            find_honest(names)
        assert find_honest(names, names[0]) == names[0]
        assert find_honest(names, "") is None


def test_two_names_of_honest_messages_are_refused_unless_one_is_chosen(tmp_path, capsys):
    texts, labels = made_up(60)
    honest_names = iter(["正常", "normal"] * 60)
    mine = write_csv(
        tmp_path / "mine.csv", texts, [next(honest_names) if name == "normal" else name for name in labels]
    )
    arguments = ["train", str(mine), *NAMED, "-o", str(tmp_path / "model")]
    assert main(arguments) == 2
    assert "'normal' and '正常' could both stand for legitimate messages: give these one" in capsys.readouterr().err
    assert main([*arguments, "--legitimate", "正常"]) == 0
    evaluated(capsys, mine, *NAMED, "-m", tmp_path / "model")  # the model determines which of them is honest


def test_a_part_of_the_official_names_of_two_labels_is_no_name(tmp_path):
    path = write_csv(tmp_path / "mine.csv", ["甲", "乙"], ["骗局类", "刷单返利类"])
    schemes = [replace(label.schemes[0], official="骗局类（甲）") for label in TAXONOMY.labels[:2]]
    labels = [replace(label, schemes=(own,)) for label, own in zip(TAXONOMY.labels, schemes, strict=False)]
    found = read_labelled([path], "content", "kind")
    assert match_names(found, replace(TAXONOMY, labels=(labels[0], *TAXONOMY.labels[1:])))[0].labels == ("investment",)
    with pytest.raises(CorpusError, match="the label '骗局类' is unknown"):
        match_names(found, replace(TAXONOMY, labels=(*labels, *TAXONOMY.labels[2:])))


@pytest.mark.parametrize("name", ["是否涉诈", "研判结论", "案件类别", "诈骗类型"])
def test_the_label_column_may_have_a_name_that_analysts_use(tmp_path, name):
    path = write_csv(tmp_path / "mine.csv", ["你好", "中奖"], ["未涉诈", "涉诈"], ("编号", "短信内容", name))
    lines = path.read_text("utf-8").splitlines()
    path.write_text(
        "\n".join(f"{way},{line}" for way, line in zip(("类型", "短信", "电话"), lines, strict=True)), "utf-8"
    )
    assert [row.labels for row in read_labelled([path]).rows] == [(), ("涉诈",)]


def test_names_are_matched_to_the_taxonomy(tmp_path):
    path = write_csv(tmp_path / "mine.csv", ["甲", "乙", "丙", "丁"], ["Investment", "网络购物", "刷单返利类", "正常"])
    found = read_labelled([path], "content", "kind")
    labels = [row.labels for row in match_names(found, TAXONOMY)]
    assert labels == [("investment",), ("fake_goods",), ("task_rebate",), ()]
    parts = ["虚假征信类", "虚假贷款", "冒充领导熟人类", "网络钓鱼类", "虚假购物服务", "养老诈骗", "不涉诈"]
    path = write_csv(tmp_path / "mine.csv", list("甲乙丙丁戊己庚"), parts)
    labels = [row.labels for row in match_names(read_labelled([path], "content", "kind"), TAXONOMY)]
    schemes = "loan_credit", "loan_credit", "acquaintance", "phishing", "fake_goods", "elder_project"
    assert labels == [*((name,) for name in schemes), ()]
    path = write_csv(tmp_path / "mine.csv", ["甲"], ["strange"])
    with pytest.raises(CorpusError, match="the label 'strange' is unknown; there are: investment"):
        match_names(read_labelled([path], "content", "kind"), TAXONOMY)


@pytest.mark.parametrize("name", ["spam", "fraud", "1"])
def test_the_only_label_besides_the_honest_one_may_mean_fraud_of_any_label(tmp_path, capsys, name):
    texts = ["跟着老师操作稳赚不赔，加微信进内部群", "您有一张法院传票未领取，请按9", "到楼下了", "晚上吃什么", "好"]
    mine = write_csv(tmp_path / "mine.csv", texts, [name, name, "正常", "正常", name])
    figures, err = evaluated(capsys, mine, *NAMED)
    assert f"{name!r} is not a label of the model: it is taken to mean fraud of any label" in err
    assert figures["labels"] == {
        "fraud": {"precision": 1.0, "recall": 0.6667, "f1": 0.8, "n": 3},
        "legitimate": {"precision": 0.6667, "recall": 1.0, "f1": 0.8, "n": 2},
    }
    assert (figures["recall"], figures["false_alarms"]) == (0.6667, 0.0)
    figures, _ = evaluated(capsys, mine, *NAMED, "--flag", 0, "--review", 0)
    assert figures["flag"] == {"recall": 1.0, "false_alarms": 1.0}
    write_csv(tmp_path / "mine.csv", texts, [name, "strange", "正常", "正常", "正常"])
    assert main(["evaluate", str(mine), *NAMED]) == 2
    assert "give all frauds one label" in capsys.readouterr().err
    for other in (["--card"], ["--unseen-scenarios"]):
        assert main(["evaluate", str(mine), *other, "--max-false-alarms", "0.01"]) == 2
        assert "--max-false-alarms" in capsys.readouterr().err


def test_figures_that_cannot_be_measured_are_none(scanner):
    lure = Row("1", "跟着老师操作稳赚不赔，加微信进内部群", ("investment",), (), "sms", "老师带单")
    figures = evaluate(scanner, [lure])
    assert (figures["recall"], figures["false_alarms"], figures["flag"]["false_alarms"], figures["auc"]) == (
        1,
        None,
        None,
        None,
    )
    figures = evaluate(scanner, [replace(lure, text="晚上吃什么", labels=())])
    assert (figures["recall"], figures["false_alarms"]) == (None, 0)
    json.loads(json.dumps(evaluate(scanner, [])), parse_constant=pytest.fail)


def test_a_users_label_may_be_named_fraud(tmp_path, capsys):
    texts, labels = made_up(60)
    mine = write_csv(tmp_path / "mine.csv", texts, ["fraud" if name == "loan" else name for name in labels])
    found = read_labelled([mine], "content", "kind")
    train_custom(found.rows, found.taxonomy, fixed=QUICK, jobs=1).save(tmp_path / "model")
    figures, err = evaluated(capsys, mine, *NAMED, "-m", tmp_path / "model")
    assert list(figures["labels"]) == ["fraud", "prize", "normal"]
    assert "is not a label of the model" not in err


@pytest.mark.usefixtures("few_folds")
def test_a_model_may_be_trained_with_the_default_corpus(scanner, small_corpus, tmp_path, capsys):
    corpus = tmp_path / "corpus.jsonl"
    write_corpus(corpus, small_corpus)
    texts = [f"火星土地{w}限量认购，{v}登记" for w in "一二三四五六七八" for v in ("马上", "在线", "电话")]
    texts += ["您购买的商品质量问题可退款，加客服理赔"]
    mine = write_csv(tmp_path / "mine.csv", texts, ["mars_land"] * 24 + ["shopping"])
    found = read_labelled([mine], "content", "kind")
    rows, taxonomy = add_to_corpus(found, small_corpus, scanner)
    assert len(rows) == len(small_corpus) + 25
    assert rows[-1].labels == ("fake_refund",)
    assert taxonomy.labels[-1] == TAXONOMY.label(TAXONOMY.honest)
    folder = tmp_path / "model"
    arguments = ["train", str(mine), *NAMED, "--with-default-corpus", str(corpus)]
    assert main([*arguments, "-o", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert "mars_land" in out
    assert "new labels: mars_land; all others are merged" in err
    model = fraudscan.load(folder)
    assert model.classify("火星土地限量认购，马上登记").label == "mars_land"
    assert model.classify("股票老师带盘推荐牛股，跟着买涨停，稳赚不赔，进群领股票代码").label == "investment"
    assert main(["train", str(corpus), "--with-default-corpus", "-o", str(tmp_path / "x")]) == 2
    assert "needs messages of your own" in capsys.readouterr().err


def test_doubts_about_own_labels_are_reported_before_training_with_the_default_corpus(tmp_path, monkeypatch, capsys):
    write_corpus(tmp_path / "corpus.jsonl", [Row("a", LURE, ("investment",), (), "sms", "")])
    monkeypatch.setattr("fraudscan.train.train", mock.Mock(side_effect=CorpusError("training begins")))
    rental = "房东说押金已经退回来了，下周搬家"
    texts = [*BILLS, rental, "晚上一起爬山去吗", rental, "您购买的商品质量问题可退款，加客服理赔"]
    mine = write_csv(tmp_path / "mine.csv", texts, [*["bill"] * len(BILLS), "rent", "rent", "romance", "shopping"])
    arguments = ["train", str(mine), *NAMED, "--with-default-corpus", str(tmp_path / "corpus.jsonl")]
    assert main([*arguments, "-o", str(tmp_path / "model")]) == 2
    notices = capsys.readouterr().err.splitlines()
    assert "no label stands for legitimate messages, so all of them teach fraud" in notices[0]
    assert f"1 of {len(texts)} messages are copies of others" in notices[2]
    assert "1 pairs of messages resemble" in notices[3]
    assert "such as mine.csv:8 (rent) and mine.csv:10 (romance)" in notices[3]
    assert "the messages of 'bill' could only be held out all at once" in notices[4]
    assert "training begins" in notices[5]


def test_labels_that_do_not_fit_the_model_are_refused_with_what_helps(tmp_path):
    model = Taxonomy.from_names(["贷款", "正常"], "正常", "multiclass")
    mine = write_csv(tmp_path / "mine.csv", ["甲", "乙"], ["贷款", "正常"])
    with pytest.raises(CorpusError, match=r"'正常' stands for legitimate .*: name it with --legitimate, or leave that"):
        match_names(read_labelled([mine], "content", "kind", ""), model)
    other = read_labelled([write_csv(tmp_path / "other.csv", ["甲", "乙"], ["贷款", "好"])], "content", "kind")
    with pytest.raises(CorpusError, match=r"'好' is unknown; .*Name the label of legitimate messages"):
        match_names(other, model)
    with pytest.raises(CorpusError, match=r"'好' is unknown; there are: 贷款, 赌博$"):  # --legitimate would be refused
        match_names(other, Taxonomy.from_names(["贷款", "赌博"], None, "multiclass"))


def test_labels_that_look_like_one_or_like_several_are_reported(tmp_path):
    labels = ["刷单", "刷單", "刷单、贷款", "贷款 / 刷单", "贷款", "刷单|贷款", "投资/理财", "类1", "类2", "正常"]
    mine = write_csv(tmp_path / "mine.csv", list(map(str, range(len(labels)))), labels)
    notices: list[str] = []
    found = read_labelled([mine], "content", "kind", notify=notices.append)
    assert found.rows[2].labels == ("刷单、贷款",)
    assert notices == [
        "different labels are written alike, '刷单' and '刷單': did you mean one?",
        "labels look like several in one, '刷单、贷款', '贷款 / 刷单': to give several, write '刷单|贷款'",
    ]


def test_labels_that_differ_only_in_case_are_kept_apart(scanner, tmp_path):
    mine = write_csv(tmp_path / "mine.csv", ["甲", "乙", "丙", "丁"], ["Spam", "spam", "SPAM", "ham"])
    found = read_labelled([mine], "content", "kind")
    own = [row.labels for row in found.rows]
    assert own == [("Spam",), ("spam",), ("SPAM",), ()]
    assert [row.labels for row in match_names(found, found.taxonomy)] == own
    rows, taxonomy = add_to_corpus(found, [], scanner)
    assert [row.labels for row in rows] == own
    assert taxonomy.label("SPAM").schemes


@pytest.mark.parametrize(("name", "honest"), [("fraud", None), ("elderly", None), ("legitimate", "正常")])
def test_with_the_default_corpus_a_label_cannot_have_a_name_that_is_in_use(scanner, tmp_path, name, honest):
    mine = write_csv(tmp_path / "mine.csv", ["甲", "乙"], [name, "正常"])
    found = read_labelled([mine], "content", "kind", honest)
    with pytest.raises(CorpusError, match=f"'{name}' stands for two things: call that label something else"):
        add_to_corpus(found, [], scanner)


def test_names_in_a_taxonomy_are_unique():
    # "fraud" is reserved only if the task is `fraud`
    assert Taxonomy.from_names(["fraud", "ham"], "ham", "multiclass").label("fraud").schemes
    label = TAXONOMY.labels[0]
    for twice in (label, replace(label, name="minors"), replace(label, name="fake_goods")):
        with pytest.raises(ValueError, match=f"'({twice.name}|{label.name})' stands for two things"):
            replace(TAXONOMY, labels=(*TAXONOMY.labels, twice))
    games = TAXONOMY.label("games")
    # a scheme may have the name of its label only if the label has no other scheme
    games = replace(games, schemes=(replace(games.schemes[0], name="games"), *games.schemes[1:]))
    with pytest.raises(ValueError, match="'games' stands for two things"):
        replace(TAXONOMY, labels=(games, *(other for other in TAXONOMY.labels if other.name != "games")))


def test_an_installed_package_has_no_corpus(mine, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("fraudscan.corpus.__file__", str(tmp_path / "site-packages" / "fraudscan" / "corpus.py"))
    arguments = ["train", str(mine), *NAMED, "--with-default-corpus"]
    assert main([*arguments, "-o", str(tmp_path / "x")]) == 2
    message = capsys.readouterr().err
    assert "the installed package has no corpus: get the folder corpus/ of this version from the repository" in message


def test_invalid_taxonomies_are_refused():
    with pytest.raises(ValueError, match="no label has a scheme"):
        Scanner(
            replace(TAXONOMY, labels=(TAXONOMY.label(TAXONOMY.honest),)),
            Vocabulary([], []),
            [],
            [],
            [],
            thresholds=Thresholds(1, 0),
        )
    with pytest.raises(ValueError, match="9 target groups, but at most 8 are allowed"):
        replace(TAXONOMY, targets=tuple(replace(TAXONOMY.targets[0], name=f"group {i}") for i in range(9)))
    with pytest.raises(
        ValueError, match="only one label can be that of legitimate messages, not both legitimate and news"
    ):
        replace(TAXONOMY, labels=(*TAXONOMY.labels, replace(TAXONOMY.label(TAXONOMY.honest), name="news")))
    with pytest.raises(ValueError, match="a name must be a string, not 3"):
        replace(TAXONOMY, targets=(replace(TAXONOMY.targets[0], name=3),))


@pytest.mark.parametrize("read", [read_corpus, read_labelled])
@pytest.mark.parametrize("path", ["corpus", Path("corpus"), b"corpus"])
def test_a_single_path_instead_of_a_list_is_refused(read, path):
    with pytest.raises(TypeError, match="pass a list"):
        read(path)
