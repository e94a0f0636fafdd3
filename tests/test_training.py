"""Training: from a corpus to a model folder, and the errors for invalid corpora and damaged folders."""

import contextlib
import hashlib
import io
import json
import marshal
import os
import random
import re
import shutil
import tempfile
from dataclasses import asdict, replace
from unittest import mock

import numpy as np
import pytest
from conftest import QUICK, traced, write_corpus
from hypothesis import given, settings
from hypothesis import strategies as st

import fraudscan
from fraudscan import folder as folder_module
from fraudscan import tokenize
from fraudscan import train as train_module
from fraudscan.cli import main
from fraudscan.corpus import CorpusError, Row, digest, near_duplicates, read_corpus
from fraudscan.disguise import undisguise
from fraudscan.model import ModelError, default_folder
from fraudscan.network import sigmoid
from fraudscan.taxonomy import TAXONOMY
from fraudscan.train import TrainingOptions, calibrate, folds_of, groups, train


def folder_bytes(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_corpus_gives_the_same_bytes(small_corpus, small_model, tmp_path):
    train(small_corpus, options=QUICK).save(tmp_path / "again")
    assert folder_bytes(tmp_path / "again") == folder_bytes(small_model)


def test_shipped_model_was_trained_on_the_corpus(corpus, scanner):
    assert scanner.manifest["corpus"] == {"rows": len(corpus), "sha256": digest(corpus)}, "run: make model"
    options = {name: value for name, value in asdict(TrainingOptions()).items() if name != "jobs"}
    assert scanner.manifest["training"] == options, "run: make model"


class StopError(Exception):
    """Ends training before anything is fitted."""


def test_no_network_sees_a_copy_of_a_held_out_message(small_corpus, monkeypatch):
    examples, captured = train_module._examples, {}

    def spied(*arguments):
        made = examples(*arguments)
        captured["source"] = made[1]
        return made

    def stop(_, parts, __):
        captured["parts"] = parts
        raise StopError

    monkeypatch.setattr(train_module, "_examples", spied)
    monkeypatch.setattr(train_module, "_fitted", stop)
    with pytest.raises(StopError):
        train(small_corpus, options=TrainingOptions(folds=2))
    *parts, _ = captured["parts"]
    corpus = set(range(len(small_corpus)))  # without background and wrappings
    first, second = (set(captured["source"][part]) & corpus for part in parts)
    assert not first & second
    assert first | second == corpus


def test_probabilities_are_calibrated_on_held_out_rows(scanner):
    figures = scanner.manifest["figures"]
    assert figures["flag"]["false_alarms"] <= 0.006
    assert figures["review"]["recall"] >= 0.979


def test_folds_never_split_pairs_or_similar_messages(small_corpus):
    similar = [replace(row, id=f"{row.id}-", text=f"{row.text}呀", pair=None) for row in small_corpus[::400]]
    rows = [*small_corpus, *similar]
    number = groups(rows)
    pairs = {}
    for row, n in zip(rows, number, strict=True):
        if row.pair:
            assert pairs.setdefault(row.pair, n) == n
    assert len(pairs) < sum(row.pair is not None for row in rows)
    assert number[: len(small_corpus) : 400].tolist() == number[len(small_corpus) :].tolist()
    for inside, outside in folds_of(rows, 3):
        assert not set(number[inside]) & set(number[outside])


def test_calibration_recovers_the_slope_and_intercept():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 50_000)
    gold = rng.random(50_000) < sigmoid(1.5 * logits - 0.7)
    assert calibrate(logits, gold) == pytest.approx((1.5, -0.7), abs=0.05)


def test_scaling_calibrates_for_the_given_share_of_fraud():
    """For the fraud head only: the others are conditional on fraud, so honest messages do not affect them."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (50_000, 2))
    gold = rng.random((50_000, 2)) < sigmoid(1.5 * logits - 0.7)
    logits[~gold[:, 0], 1], gold[~gold[:, 0], 1] = 9, False
    slopes, intercepts = train_module._scaling(logits, gold, 0.1)
    assert slopes == pytest.approx(1.5, abs=0.05)
    assert intercepts[1] == pytest.approx(-0.7, abs=0.05)
    share = gold[:, 0].mean()
    assert intercepts[0] == pytest.approx(-0.7 - np.log(9) - np.log(share / (1 - share)), abs=0.05)


def test_windows_have_the_same_effect_in_training_as_in_the_engine(scanner, corpus):
    rng = random.Random(0)
    honest = [row.text for row in corpus if not row.labels]
    lures = [row.text for row in corpus if row.labels]
    texts = ["\n".join(rng.sample(honest, count)) for count in range(1, 41) for _ in range(3)]
    texts = undisguise([*lures[:100], *texts, *(f"{rng.choice(lures)}\n{text}" for text in texts)])
    engine, vocabulary = scanner.engine, scanner.engine.vocabulary
    texts = [text for text in texts if not vocabulary.match([text]).marked[0]]  # the engine would repair them again
    weights = engine.weights.astype(np.float64)
    vectors = (weights - weights[vocabulary.suffixes]) * engine.scales  # `features_of` adds those of suffixes again

    def inputs(features):
        return (features @ vectors + engine.biases).T

    whole, lengths = train_module.features_of(vocabulary, texts)
    whole = inputs(whole)
    pieces, owners, read = train_module._windows(texts, vocabulary, np.ones(vocabulary.size))
    assert (read == lengths).all()
    logits, windows = engine.heads_of(whole).T, engine.heads_of(inputs(pieces)).T
    combined = train_module._with_windows(logits, windows, owners, lengths, engine.quotes(whole)[0])
    assert combined == pytest.approx(engine.judge(texts).logits.T, abs=1e-3)
    decided = combined[:, 1] != logits[:, 1]  # by a window and not by the whole text
    assert 20 < decided.sum() < np.unique(owners).size - 20


def test_whole_scenarios_can_be_held_out(small_corpus):
    by_scenario, by_likeness = groups(small_corpus, scenarios=True), groups(small_corpus)
    of = {}
    for row, number in zip(small_corpus, by_scenario, strict=True):
        assert of.setdefault(row.scenario, number) == number
    for number in np.unique(by_likeness):  # similar messages still belong together
        assert len(set(by_scenario[by_likeness == number])) == 1
    assert len(set(by_scenario)) < len(set(by_likeness))
    for inside, outside in folds_of(small_corpus, 3, scenarios=True):
        assert not {small_corpus[i].scenario for i in inside} & {small_corpus[i].scenario for i in outside}


@pytest.mark.usefixtures("few_folds")
def test_unseen_scenarios_are_measured(small_corpus, tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    write_corpus(path, small_corpus)
    assert main(["evaluate", str(path), "--unseen-scenarios", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["messages"] == len(small_corpus)
    assert 0.1 < figures["macro_f1"] < 0.9
    assert main(["evaluate", str(path), "--unseen-scenarios", "-m", "model"]) == 2
    assert "--unseen-scenarios, which trains on the corpus, cannot be combined with --model" in capsys.readouterr().err
    assert main(["evaluate", "--card", str(path), "--unseen-scenarios", "--label", "kind"]) == 2
    assert "--card cannot be combined with --label, --unseen-scenarios" in capsys.readouterr().err


def test_an_honest_twin_has_less_weight_and_none_for_schemes():
    def row(labels, pair):
        return Row("a", "x", labels, (), "sms", "s", pair)

    rows = [row(("romance",), "p"), row(("romance",), None), row((), "p"), row((), None)]
    weights = train_module._weights(rows, 4, 3, TrainingOptions(twin_weight=0.25))
    rest = train_module.REST
    lure, honest = [1, rest, rest, rest], [1, 0, 0, rest]
    assert weights == pytest.approx(np.array([lure, lure, [x / 4 for x in honest], honest]))


def test_schemes_after_the_leading_one_have_lower_targets(small_corpus):
    several = [row for row in small_corpus if len(row.labels) > 1]
    options = TrainingOptions(further=0.25)
    gold = train_module._gold(small_corpus, TAXONOMY, 2)
    answers = train_module._answers(gold, small_corpus, TAXONOMY, options)
    names = ["fraud", *(scheme.name for scheme in TAXONOMY.schemes)]
    assert several
    for row, answer in zip(small_corpus, answers.tolist(), strict=True):
        expected = {"fraud": 1, row.labels[0]: 1, **dict.fromkeys(row.labels[1:], 0.25)} if row.labels else {}
        assert dict(zip(names, answer, strict=False)) == {name: expected.get(name, 0) for name in names}
    assert (answers[:, len(names) :] == gold[:, len(names) :]).all()


def test_labels_with_too_few_messages_are_named(corpus):
    rows = [row for row in corpus[::10] if "gambling" not in row.labels]
    with pytest.raises(CorpusError, match="'fraud' has 0 messages; training needs at least 5"):
        train([])
    with pytest.raises(CorpusError, match="'gambling' has 0 messages; training needs at least 5"):
        train(rows)


@pytest.mark.usefixtures("few_folds")
def test_train_and_evaluate_commands(small_corpus, tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    write_corpus(path, small_corpus)
    assert main(["train", str(path), "-o", str(tmp_path / "model")]) == 0
    assert "macro_f1" in capsys.readouterr().out
    assert main(["evaluate", str(path), "-m", str(tmp_path / "model"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["messages"] == len(small_corpus)
    assert figures["macro_f1"] > 0.8  # on its own training rows
    trained = fraudscan.load(tmp_path / "model")
    assert (figures["model"], figures["thresholds"]) == (trained.digest, asdict(trained.thresholds))
    assert main(["evaluate", str(path), "-m", str(tmp_path / "model")]) == 0
    assert "legitimate" in capsys.readouterr().out


def test_words_do_not_come_from_a_cache_in_the_folder_for_temporary_files(tmp_path, monkeypatch):
    (tmp_path / "jieba.cache").write_bytes(marshal.dumps(({"提现需要先交保证金": 10**6}, 10**6)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tokenize._tokenizer.cache_clear()
    assert tokenize.words("提现需要先交保证金") == ["提现", "需要", "先交", "保证金"]
    assert [path.name for path in tmp_path.iterdir()] == ["jieba.cache"]


def test_near_duplicates_ignore_script_and_number_of_digits():
    texts = [
        "您的快递1234到了，请到菜鸟驿站取件",
        "您的快递98765到了，請到菜鳥驛站取件",
        "完全不同的一句话",
        "完全不同的另一句",
        "[玫瑰][强]",
        "[微笑]",
    ]
    ((i, j, similarity),) = near_duplicates(texts)
    assert (i.tolist(), j.tolist()) == ([0], [1])
    assert similarity == 1  # the script and the number of digits do not count


@given(st.lists(st.text("一二三四，", max_size=12), max_size=12), st.sampled_from([0.3, 0.6, 1.0]))
@settings(max_examples=100)
def test_near_duplicates_match_their_definition(texts, threshold):
    read = [text.replace("，", ",") for text in texts]
    sets = [{text[i : i + 3] for i in range(max(1, len(text) - 2))} - {""} for text in read]
    expected = {
        (i, j): len(a & b) / len(a | b)
        for j, b in enumerate(sets)
        for i, a in enumerate(sets[:j])
        if a & b and len(a & b) / len(a | b) >= threshold
    }
    pairs = [pair for block in near_duplicates(texts, threshold) for pair in zip(*block, strict=True)]
    assert [(i, j) for i, j, _ in pairs] == sorted(expected)
    assert {(i, j): s for i, j, s in pairs} == pytest.approx(expected)


def test_near_duplicates_are_the_same_in_blocks_of_any_size(small_corpus, monkeypatch):
    texts = [row.text for row in small_corpus[:500]]
    (whole,) = near_duplicates(texts, 0.1)
    monkeypatch.setattr("fraudscan.corpus.BLOCK", 1000)
    blocks = list(near_duplicates(texts, 0.1))
    assert len(blocks) > 10
    assert all((np.concatenate(of) == all_).all() for of, all_ in zip(zip(*blocks, strict=True), whole, strict=True))


def test_memory_is_not_quadratic_in_messages_from_one_template():
    rng = random.Random(0)
    names = ["".join(rng.choices("赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨", k=4)) for _ in range(3000)]
    texts = [f"尊敬的{name}用户，您本月的电费账单已经生成，请在月底之前通过营业厅缴纳" for name in names]
    rows = [Row(str(i), text, (), (), "sms", "s") for i, text in enumerate(texts)]
    with traced() as memory:
        assert not groups(rows).any()
        assert memory()[1] < 250e6  # all pairs as tuples would take 600 MB


GOOD = {"id": "a", "text": "x", "labels": [], "targets": [], "channel": "sms", "scenario": "s"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "not JSON"),
        ('{"id":' + "[" * 100_000, "not JSON: nested too deeply"),
        (
            json.dumps({**GOOD, "text": ["x" * 100_000] * 9}),
            "a str, found ['xxxxxxxxxxxx...xxxxxxxxxxxxx', ",
        ),
        ("[]", "expected an object"),
        (json.dumps({**GOOD, "text": 3}), "'text' must be a str"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "labels"}), "'labels' must be a list"),
        (json.dumps({**GOOD, "labels": ["shopping"]}), "unknown name 'shopping' in 'labels'; known: investment"),
        (json.dumps({**GOOD, "labels": [3]}), "unknown name 3"),
        (json.dumps({**GOOD, "labels": ["romance", "romance"]}), "contains a name twice"),
        (json.dumps({**GOOD, "targets": ["pets"]}), "unknown name 'pets'"),
        (json.dumps({**GOOD, "channel": "fax"}), "unknown channel 'fax'"),
        (json.dumps({**GOOD, "text": " \n"}), "the text is empty"),
        (json.dumps({**GOOD, "pair": 1}), "'pair' must be a str"),
        (json.dumps({**GOOD, "lable": 1}), "unknown field 'lable'"),
        (json.dumps({**GOOD, "id": "first"}), "is already used at"),
    ],
)
def test_corpus_errors_name_file_and_line(tmp_path, line, fault):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**GOOD, "id": "first"}) + "\n\n" + line + "\n", "utf-8")
    with pytest.raises(CorpusError, match=r"rows\.jsonl:3: ") as caught:
        read_corpus([path])
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("row", "own"),
    [
        ({"id": 1, "text": "x"}, "Name it with --label COLUMN"),
        ({**GOOD, "text": 3}, "own.jsonl:1: 'text' must be a str"),
    ],
)
def test_messages_are_of_the_corpus_or_a_users_own_by_their_content(tmp_path, capsys, row, own):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(row), "utf-8")
    for command in ["train", "-o", str(tmp_path / "model")], ["evaluate"]:
        assert main([*command, str(path)]) == 2
        assert own in capsys.readouterr().err
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps({"text": "x", "label": "a"}), "utf-8")
    assert main(["evaluate", str(path)]) == 2
    assert "own, name the column with their labels: --label COLUMN" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [{"order": 0}, {"size": 0}, {"folds": 1}, {"prior": 1.0}, {"further": 1.1}, {"disguised": -0.1}, {"clauses": -0.1}],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}.* must"):
        TrainingOptions(**wrong)


def test_missing_or_invalid_corpora_are_refused(tmp_path, capsys):
    with pytest.raises(CorpusError, match="no such file"):
        read_corpus([tmp_path / "none"])
    with pytest.raises(CorpusError, match=f"no messages in {re.escape(str(tmp_path))}"):
        read_corpus(iter([tmp_path]))
    with pytest.raises(CorpusError, match="no messages in"):
        read_corpus([tmp_path])
    (tmp_path / "a.jsonl").write_bytes(json.dumps(GOOD).encode() + b'\n{"id": "\xff"}')
    with pytest.raises(CorpusError, match="not UTF-8"):
        read_corpus([tmp_path])
    assert main(["train", str(tmp_path), "-o", str(tmp_path / "model")]) == 2
    assert "not UTF-8" in capsys.readouterr().err


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(default_folder(), tmp_path / "model")


def test_a_missing_folder_is_refused(tmp_path, capsys):
    with pytest.raises(ModelError, match=r"none is not a model: manifest\.json is missing"):
        fraudscan.load(tmp_path / "none")
    assert main(["classify", "x", "-m", str(tmp_path / "none")]) == 2
    assert "is not a model" in capsys.readouterr().err


def test_a_missing_array_is_refused(folder):
    (folder / "weights.npy").unlink()
    with pytest.raises(ModelError, match=r"weights\.npy is missing"):
        fraudscan.load(folder)


@pytest.mark.parametrize("name", ["alphabet", "steps", "seeds", "weights", "scales", "biases", "hidden", "output"])
def test_one_changed_byte_is_noticed(folder, name):
    path = folder / f"{name}.npy"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=rf"{name}\.npy is damaged: its SHA-256"):
        fraudscan.load(folder)


@pytest.mark.parametrize("key", ["format_version", "normalization_version"])
@pytest.mark.parametrize("version", [0, 1, 99])
def test_other_versions_are_refused(folder, key, version):
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, key: version}), "utf-8")
    with pytest.raises(ModelError, match=rf"{key.replace('_', ' ')} {version}.*train it again"):
        fraudscan.load(folder)


@given(st.data())
@settings(max_examples=150)
def test_a_damaged_manifest_raises_model_error_or_still_loads(tmp_path, data):
    folder = tmp_path / "model"
    if not folder.exists():
        shutil.copytree(default_folder(), folder)
    text = (default_folder() / "manifest.json").read_bytes()
    start = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 40))
    new = text[:start] + data.draw(st.binary(max_size=20)) + text[start + cut :]
    (folder / "manifest.json").write_bytes(new)
    with contextlib.suppress(ModelError):
        fraudscan.load(folder).classify("你好")


def replace_array(folder, name, array):
    """Write an array, or bytes instead of one, with the digest that it needs."""
    file = io.BytesIO()
    file.write(array) if isinstance(array, bytes) else np.save(file, array, allow_pickle=True)
    data = file.getvalue()
    (folder / f"{name}.npy").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["arrays"][name] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def test_pickles_are_not_read(folder):
    replace_array(folder, "scales", np.array([{}], dtype=object))
    with pytest.raises(ModelError, match="allow_pickle"):
        fraudscan.load(folder)


def test_invalid_array_files_are_refused_even_if_their_digest_matches(folder):
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "<f8", "fortran_order": False, "shape": (1 << 58,)})
    for data in (b"", b"PK\x03\x04", array.getvalue()):
        replace_array(folder, "scales", data)
        with pytest.raises(ModelError, match="is damaged"):
            fraudscan.load(folder)


@pytest.mark.skipif(os.name != "posix", reason="file modes exist only on POSIX systems")
def test_a_saved_folder_has_the_mode_given_by_the_umask(scanner, tmp_path):
    for mask, mode in ((0o077, 0o700), (0o022, 0o755)):
        before = os.umask(mask)
        try:
            scanner.save(tmp_path / "model")
        finally:
            os.umask(before)
        assert (tmp_path / "model").stat().st_mode & 0o777 == mode
        assert [path.name for path in tmp_path.iterdir()] == ["model"]
        shutil.rmtree(tmp_path / "model")


@pytest.mark.skipif(os.name != "posix", reason="file modes exist only on POSIX systems")
def test_a_replaced_folder_keeps_its_modes(scanner, tmp_path):
    folder = tmp_path / "model"
    scanner.save(folder)
    (folder / "manifest.json").chmod(0o640)
    folder.chmod(0o700)
    scanner.save(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "manifest.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
@pytest.mark.parametrize("name", ["manifest.json", "seeds.npy"])
def test_pipes_and_devices_in_a_model_folder_are_refused(folder, name):
    for make in (os.mkfifo, lambda path: path.symlink_to(os.devnull)):
        (folder / name).unlink()
        make(folder / name)
        with pytest.raises(ModelError, match=f"{re.escape(name)} is not a regular file"):
            fraudscan.load(folder)


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("alphabet", lambda array: array[:, None], "one dimension"),
        ("weights", lambda array: array / 2, "weights must be whole numbers"),
        ("weights", lambda array: array * np.nan, "weights must be at most 127"),
        ("scales", lambda array: array.astype(complex), r"scales\.npy is damaged: its values are complex128"),
        ("scales", lambda array: array.astype("datetime64[s]"), r"its values are datetime64\[s\], neither integers"),
        ("scales", lambda array: array * np.inf, "scales and biases must be at most"),
        ("biases", lambda array: array * np.nan, "scales and biases must be at most"),
        ("biases", lambda array: array + 1e308, "scales and biases must be at most"),
        ("weights", lambda array: array[:, 1:], r"do not fit weights of shape"),
        ("scales", lambda array: array[1:], r"do not fit weights of shape .*, scales of \(31,\)"),
        ("biases", lambda array: array[1:], r"do not fit weights of shape .*, biases of \(31,\)"),
        ("output", lambda array: array[1:], r"do not fit weights of shape .* 32 inputs and 24 heads"),
        ("quotes", lambda array: array[None], r"quotes of shape \(1, 1, 257\) do not fit an output of \(25, 257\)"),
        ("quotes", lambda array: array[[0, 0]], r"quotes of shape \(2, 257\) do not fit"),
        ("quotes", lambda array: array[:0, 1:], r"quotes of shape \(0, 256\) do not fit"),
    ],
)
def test_unusable_arrays_are_refused_even_if_their_digest_matches(folder, name, change, why):
    replace_array(folder, name, change(np.load(folder / f"{name}.npy")))
    with np.errstate(invalid="ignore"), pytest.raises(ModelError, match=why):
        fraudscan.load(folder)


def test_a_deeply_nested_manifest_is_refused(folder):
    (folder / "manifest.json").write_text('{"format_version":' + "[" * 100_000, "utf-8")
    with pytest.raises(ModelError, match="is damaged"):
        fraudscan.load(folder)
    with pytest.raises(ModelError, match="is not part of a model"):
        fraudscan.load().save(folder)


def test_a_huge_manifest_is_refused(folder):
    with (folder / "manifest.json").open("ab") as file:
        file.truncate(1 << 24)
    with pytest.raises(ModelError, match=r"manifest.json has more than 8,388,608 bytes"):
        fraudscan.load(folder)


def test_a_manifest_that_could_not_be_read_is_not_written(folder, monkeypatch):
    before = folder_bytes(folder)
    monkeypatch.setattr("fraudscan.folder.MAX_MANIFEST_SIZE", len((folder / "manifest.json").read_bytes()) - 1)
    with pytest.raises(ModelError, match="its manifest would exceed"):
        fraudscan.load().save(folder.parent / "other")
    assert folder_bytes(folder) == before
    assert not (folder.parent / "other").exists()


def test_a_model_that_cannot_be_replaced_is_kept(scanner, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    scanner.save(folder)
    before = folder_bytes(folder)
    rename = type(folder).rename

    def failing(path, target):
        if target == folder and path.name != "old":
            raise PermissionError(13, "Permission denied")  # a virus scanner has it open, for example
        return rename(path, target)

    monkeypatch.setattr(type(folder), "rename", failing)
    with pytest.raises(ModelError, match=r"model cannot be written: .*Permission denied"):
        scanner.save(folder)
    assert list(tmp_path.iterdir()) == [folder]
    assert folder_bytes(folder) == before


def test_save_replaces_a_model_and_nothing_else(scanner, tmp_path):
    scanner.save(tmp_path / "deep" / "model")
    scanner.save(tmp_path / "deep" / "model")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model"]
    assert fraudscan.load(tmp_path / "deep" / "model").names == scanner.names


def test_a_model_that_is_replaced_while_it_is_read_is_read_again(scanner, folder, monkeypatch):
    replace_array(folder, "biases", np.load(folder / "biases.npy") + 1)
    read_file, saved = folder_module._read_file, []

    def replacing(path, *limit):
        if path.name == "seeds.npy" and not saved:
            saved.append(scanner.save(folder))
        return read_file(path, *limit)

    monkeypatch.setattr(folder_module, "_read_file", replacing)
    assert fraudscan.load(folder).digest == scanner.digest
    assert saved


def test_a_model_that_is_missing_while_it_is_replaced_is_found(scanner, folder, monkeypatch):
    old, read_file, pauses = folder.parent / "old", folder_module._read_file, []

    def removing(path, *limit):
        if path.name == "seeds.npy" and not pauses:
            folder.rename(old)
        return read_file(path, *limit)

    def putting_back(seconds):
        pauses.append(seconds)
        old.rename(folder)
        os.utime(folder, ns=(0, 0))  # as if it were another folder

    monkeypatch.setattr(folder_module, "_read_file", removing)
    monkeypatch.setattr(folder_module, "time", mock.Mock(sleep=putting_back))  # other threads sleep, too
    assert fraudscan.load(folder).digest == scanner.digest
    folder.rename(old)
    assert fraudscan.load(folder).digest == scanner.digest
    assert len(pauses) == 2


def test_save_says_why_a_folder_cannot_be_written(scanner, tmp_path):
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "model"):
        with pytest.raises(ModelError, match=rf"^{re.escape(str(folder))} cannot be written: [^\['/]+$"):
            scanner.save(folder)


def test_save_deletes_nothing_that_it_did_not_write(scanner, folder, tmp_path):
    extension = tmp_path / "extension"
    extension.mkdir()
    for text in ('{"manifest_version": 3}', '["arrays"]', "no JSON"):
        (extension / "manifest.json").write_text(text)
        with pytest.raises(ModelError, match=r"holds 'manifest\.json', which is not part of a model: name a new"):
            scanner.save(extension)
        assert (extension / "manifest.json").read_text() == text
    scanner.save(folder)  # with its card and diagram
    (folder / "mine.csv").write_text("text,label")
    before = folder_bytes(folder)
    with pytest.raises(ModelError, match=r"holds 'mine\.csv'"):
        scanner.save(folder)
    assert folder_bytes(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["extension", folder.name])


def test_a_bad_target_is_refused_before_training(scanner, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("dear")
    (tmp_path / "empty").mkdir()
    for target, fault in {"file": "Not a directory", "file/model": "cannot be written", "full": "holds 'diary"}.items():
        with pytest.raises(ModelError, match=fault):
            scanner.save(target)
        assert main(["train", "no-such-corpus", "-o", target]) == 2
        assert fault in capsys.readouterr().err  # reported before the missing corpus
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ModelError, match="is in use and cannot be replaced: name a folder in it"):
        scanner.save(".")
    (tmp_path / "Z").symlink_to(tmp_path)  # as on Windows, where a drive may stand for a folder elsewhere
    monkeypatch.setattr("pathlib.Path.cwd", lambda: tmp_path / "Z" / "empty")
    with pytest.raises(ModelError, match="is in use"):
        scanner.save(".")


def test_save_follows_links(scanner, tmp_path):
    scanner.save(tmp_path / "model")
    (tmp_path / "link").symlink_to("model")
    scanner.with_thresholds(flag=0.9).save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert fraudscan.load(tmp_path / "model").thresholds.flag == 0.9


def test_saved_shipped_model_has_the_shipped_bytes(scanner, tmp_path):
    scanner.save(tmp_path / "model")
    shipped = folder_bytes(default_folder())
    assert {k: shipped[k] for k in folder_bytes(tmp_path / "model")} == folder_bytes(tmp_path / "model")
