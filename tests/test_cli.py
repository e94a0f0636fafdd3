"""The commands besides ``score`` and ``train``."""

import json

import pytest

from fraudscan import TAXONOMY, __version__
from fraudscan.cli import main
from fraudscan.taxonomy import Taxonomy

LURE = "跟着老师操作稳赚不赔，加微信进内部群"


def test_labels(capsys):
    assert main(["labels"]) == 0
    out = capsys.readouterr().out
    for scheme in TAXONOMY.schemes:
        assert scheme.name in out
        assert scheme.official in out
    assert main(["labels", "--json"]) == 0
    assert Taxonomy.from_dict(json.loads(capsys.readouterr().out)) == TAXONOMY


def test_taxonomy_names_what_it_does_not_know():
    assert TAXONOMY.label("games").schemes[0].label == "games"
    assert TAXONOMY.honest.name == "legitimate"
    with pytest.raises(KeyError, match="no scheme is called 'nonsense'; there are: investment"):
        TAXONOMY.scheme("nonsense")


def test_classify_prints_label_and_evidence(capsys):
    assert main(["classify", LURE, "你好"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("flag")
    assert "investment / investment (投资理财)" in out
    assert "legitimate (正常)" in out
    assert main(["classify", LURE, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["label"] == "investment"
    assert row["evidence"][0]["text"] in LURE
    assert row["window"] is None


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"fraudscan {__version__}\n"


def test_unknown_command_exits_with_2():
    with pytest.raises(SystemExit) as caught:
        main(["nonsense"])
    assert caught.value.code == 2
