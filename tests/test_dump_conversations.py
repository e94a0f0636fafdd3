"""Tests of the output of ``--by``: the messages of a conversation, their positions and their combined score."""

import itertools
import json
import random

import dumps
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dumps import LURE, PLAIN, interrupt, rows_of, score, workbook, write_and_score
from hypothesis import example, given
from hypothesis import strategies as st

from fraudscan.characters import fold
from fraudscan.columns import COLUMNS
from fraudscan.decisions import Thresholds
from fraudscan.dump import DumpError, Options, documents, readers, score_dump
from fraudscan.dump.conversations import SHOWN, WINDOW, Conversation, Window
from fraudscan.dump.scoring import Message


def conversations(path, content, *options, by="chat"):
    """Write and score a dump; return its conversations."""
    return rows_of(write_and_score(path, content, "--by", by, *options).with_name("out.jsonl.conversations.jsonl"))


def test_force_discards_the_conversations_of_an_interrupted_job(tmp_path, scanner):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(400 * (json.dumps({"text": PLAIN, "chat": "a"}).encode() + b"\n"))
    options = Options(by="chat", max_message=4096)
    interrupt(scanner, source, out, options)
    score_dump(scanner, [source], out, options, force=True)
    assert [row["messages"] for row in rows_of(tmp_path / "out.jsonl.conversations.jsonl")] == [400]


@pytest.mark.parametrize("name", ["\ud83d", "a\0b", " ", "群\n二"])
def test_any_text_can_name_a_conversation(tmp_path, name):
    found = conversations(tmp_path / "in.jsonl", [{"text": "好", "chat": name}])
    assert [row["conversation"] for row in found] == [name]


def test_large_numbers_can_name_conversations(tmp_path):
    numbers = 2**64 + 1, 2**64 + 3
    found = conversations(tmp_path / "in.jsonl", [{"text": "好", "chat": number} for number in numbers])
    assert [row["conversation"] for row in found] == list(map(str, numbers))


def test_evidence_of_a_conversation_is_short(tmp_path):
    (row,) = conversations(tmp_path / "in.jsonl", [{"text": LURE * 100, "chat": "a"}])
    assert 0 < len(row["evidence"]) <= 500


def test_line_numbers_of_messages_in_tables(tmp_path):
    a, b = conversations(tmp_path / "in.csv", f"text,chat\n{PLAIN},a\n{LURE},a\n{PLAIN},b\n")
    assert (a["first"]["line"], a["strongest"]["line"], b["first"]["line"]) == (2, 3, 4)


def test_line_numbers_of_messages_in_transcripts(tmp_path):
    chat = f"2026/10/6 09:01 - 甲: {PLAIN}\n2026/10/6 09:02 - 乙: {LURE}\n"
    (row,) = conversations(tmp_path / "WhatsApp Chat with 人.txt", chat, by="conversation")
    assert (row["first"]["line"], row["strongest"]["line"]) == (1, 2)


def test_table_rows_without_a_conversation_belong_to_none(tmp_path):
    table = "text,chat\n" + f"{PLAIN},\n" * 500 + f"{PLAIN},b\n"
    rows = conversations(tmp_path / "in.csv", table, "--max-message", 4096)  # several blocks
    assert [row["conversation"] for row in rows] == ["b"]
    assert json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8"))["without_conversation"] == 500


def test_identical_lines_are_one_conversation_if_grouped_by_text(tmp_path):
    rows = conversations(tmp_path / "in.txt", f"{PLAIN}\n\n{LURE}\n{PLAIN}\n", by="text")
    found = [(row["conversation"], row["messages"], row["first"]["line"]) for row in rows]
    assert found == [(LURE, 1, 3), (PLAIN, 2, 1)]


def test_a_conversation_is_named_by_its_first_message(tmp_path):
    rows = "".join(
        f'<sms address="106" date="1" type="1" body="好" contact_name="{name}"/>' for name in ("小王", "王总")
    )
    (row,) = conversations(tmp_path / "in.xml", f"<smses>{rows}</smses>", by="conversation")
    assert row["name"] == "小王"


def test_list_entries_for_senders_apply_to_messages_not_windows(tmp_path):
    rows = [{"text": "晚上提现一起吃饭吗", "chat": "a", "from": name} for name in ("妈妈", "106")]
    (tmp_path / "deny.txt").write_text("sender=106: 提现\n", "utf-8")
    (row,) = conversations(tmp_path / "in.jsonl", rows, "--deny", tmp_path / "deny.txt", "--sender", "from")
    assert (row["messages"], row["fraud_verdict"], row["verdicts"]["flag"]) == (2, "flag", 1)


COURTSHIP = [
    "早安，昨晚睡得好吗",
    "我一个人在新加坡，最怕过节",
    "遇到你以后每天都有盼头",
    "我叔叔那边的数据一直很准，跟着下单就行",
    "你也可以先放一万块试试，我手把手带你",
    "赚了我们一起买房",
]


def odds(score):
    return score / (1 - score)


def test_conversations(tmp_path, scanner):
    source = tmp_path / "in.jsonl"
    rows = [{"chat": "a", "text": text} for text in COURTSHIP]
    for i in range(0, 18, 3):
        rows.insert(i, {"chat": "b", "text": f"今晚{i}点吃饭"})
    rows += [{"chat": None, "text": "x"}, {"chat": float("nan"), "text": "x"}]
    second, first = conversations(source, rows)
    assert (first["conversation"], second["conversation"]) == ("b", "a")
    assert (first["messages"], second["messages"]) == (6, 6)
    assert second["first"] == {"source": str(source), "line": 2, "text": COURTSHIP[0]}
    alone = scanner.decide(COURTSHIP)
    assert second["strongest"]["score"] == pytest.approx(max(alone.score), abs=1e-6)
    windows = scanner.decide(["\n".join(COURTSHIP[:last]) for last in (5, 6)])
    expected = np.sqrt(odds(max(alone.score)) * np.mean([odds(score) for score in windows.score]))
    assert second["fraud_score"] == pytest.approx(expected / (1 + expected), abs=2e-6)
    assert sum(second["labels"].values()) == sum(second["verdicts"].values()) == 6
    summary = json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8"))
    assert summary["without_conversation"] == 2
    assert score(source, "-o", tmp_path / "x.jsonl", "--by", "nothing") == 2


def test_the_summary_counts_conversations_by_verdict(tmp_path, capsys):
    source, summary = tmp_path / "in.jsonl", tmp_path / "out.jsonl.summary.json"
    texts = {"a": PLAIN, "b": LURE, "c": PLAIN}
    source.write_text("".join(json.dumps({"chat": chat, "text": text}) + "\n" for chat, text in texts.items()), "utf-8")
    for again in ((), ["--resume"]):
        assert score(source, "-o", tmp_path / "out.jsonl", "--by", "chat", *again) == 0
        assert json.loads(summary.read_text("utf-8"))["conversations"] == {"clear": 2, "flag": 1}
        assert "3  conversations: 2 clear, 1 flag\n" in capsys.readouterr().err


def test_the_most_suspicious_conversations_come_first(tmp_path):
    texts = [PLAIN, LURE[:10], "暗号三号", LURE, COURTSHIP[0], LURE]
    rows = [{"chat": i, "text": texts[i % len(texts)]} for i in range(1500)]
    (tmp_path / "deny.txt").write_text("暗号三号", "utf-8")
    found = conversations(tmp_path / "in.jsonl", rows, "--deny", tmp_path / "deny.txt")
    order = [(row["fraud_verdict"] != "flag", -row["fraud_score"], row["first"]["line"]) for row in found]
    assert order == sorted(order)
    flagged = [row for row in found if row["fraud_verdict"] == "flag"]
    assert flagged[-1]["fraud_score"] < found[len(flagged)]["fraud_score"]  # a list flags it
    assert len(found) == 1500


def test_numbers_name_the_same_conversation_with_and_without_a_point(tmp_path):
    chats = ["7", "7.0", "7.5", "1e300", "true", '"7"', "[7.0]"]
    rows = "".join(f'{{"chat": {chat}, "text": "{PLAIN}"}}\n' for chat in chats)
    found = {row["conversation"]: row["messages"] for row in conversations(tmp_path / "in.jsonl", rows)}
    assert found == {"7": 3, "7.5": 1, "1e+300": 1, "true": 1, "[7.0]": 1}


def test_a_lure_among_harmless_lines_is_detected(tmp_path, scanner):
    quiet = [f"今天第{i}顿饭吃得很好" for i in range(150)]
    rows = [{"chat": 7, "text": text} for text in [*quiet[:100], *COURTSHIP, *quiet[100:]]]
    rows += [{"chat": 8, "text": text} for text in quiet]
    found, harmless = conversations(tmp_path / "in.jsonl", rows, "--max-message", 4096)
    assert (found["conversation"], harmless["conversation"]) == ("7", "8")
    assert found["fraud_score"] > 0.5
    assert harmless["fraud_score"] < 0.1
    assert len(found["evidence"]) <= WINDOW
    assert set(found["evidence"].split("\n")) & set(COURTSHIP)
    assert scanner.classify(found["evidence"]).label == found["fraud_label"] != "legitimate"


@pytest.mark.parametrize(
    ("kind", "phrase", "texts", "verdict"),
    [
        ("deny", "暗号三号", ["跟着老师操作稳赚不赔", f"{PLAIN}，暗号三号"], "flag"),  # the first scores higher
        ("allow", "暗号三号", [LURE, "老师带单，日赚三千，名额有限，暗号三号"], "flag"),  # both together score higher
        ("allow", "稳赚不赔", [LURE, "好的"], "clear"),
    ],
)
def test_lists_also_determine_the_verdicts_of_conversations(tmp_path, kind, phrase, texts, verdict):
    rows = [{"chat": "a", "text": text} for text in texts]
    (tmp_path / "list.txt").write_text(phrase, "utf-8")
    (found,) = conversations(tmp_path / "in.jsonl", rows, f"--{kind}", tmp_path / "list.txt")
    assert found["fraud_verdict"] == verdict


LIMITS = Thresholds(flag=0.8, review=0.05)


def decision(score, verdict=None):
    """Return the decision on a message or a window, in the form that `Conversation` takes."""
    label, scheme = ("romance", "romance") if score >= 0.5 else ("legitimate", None)
    known = {"label": label, "scheme": scheme, "labels": [label], "score": score, "targets": [], "notes": []}
    known["verdict"] = verdict or LIMITS.verdict(score)
    return [known.get(name.removeprefix("fraud_")) for name in COLUMNS]


def to_score(conversation, windows):
    """Count the windows that are single messages, and return the texts of the others."""
    for window in windows:
        if window.odds is not None:
            conversation.take_window(window, ())
    return [window.text for window in windows if window.odds is None]


@given(st.lists(st.one_of(st.integers(0, 100), st.integers(0, 200)), min_size=1, max_size=40))
@example([60, 60, 60, 110])
def test_windows_cover_every_message_and_stay_small(sizes):
    conversation, windows = Conversation(), []
    texts = [f"<{line}>{'a' * size}." for line, size in enumerate(sizes)]
    for line, text in enumerate(texts):
        windows += to_score(conversation, conversation.add("source", Message("k", line, text, decision(0.25))))
        assert sum(len(text) + 1 for text, *_ in conversation.window) - 1 <= WINDOW
    windows += to_score(conversation, conversation.close_window())
    assert all(len(window) <= WINDOW for window in windows)
    assert conversation.messages == len(texts)
    alone = [size for size in map(len, texts) if size > WINDOW]
    assert conversation.windows >= len(alone) - 1  # a window of one message has the score of the message
    for before, text in itertools.pairwise(texts):
        if len(before) + len(text) < WINDOW:
            assert any(text in window for window in windows)


def test_a_window_has_maximal_length_and_several_messages_and_is_scored_once():
    for first, second, together in ((62, 65, True), (64, 64, False)):
        conversation = Conversation()
        windows = conversation.add("source", Message("k", 1, "a" * first, decision(0.25)))
        assert to_score(conversation, windows) == []
        windows = conversation.add("source", Message("k", 2, "b" * second, decision(0.75)))
        assert to_score(conversation, windows) == (["a" * first + "\n" + "b" * second] if together else [])
        assert conversation.close_window() == []
        assert (conversation.windows, conversation.odds) == ((0, 0) if together else (2, pytest.approx(1 / 3 + 3)))


@pytest.mark.parametrize(
    ("messages", "windows", "score", "label", "verdict"),
    [
        ([0.5], [0.5], 0.5, "romance", "review"),
        ([0.5], [0.8, 0.0], 2**0.5 / (1 + 2**0.5), "romance", "review"),  # the mean of odds of 4 and 0
        ([0.2, 0.1], [0.8], 0.5, "romance", "review"),
        ([0.2], [0.8, 0.0], 0.4142136, "legitimate", "review"),
        ([0.8, 0.1], [0.0], 0.0, "romance", "flag"),  # a message is flagged
        ([1.0], [], 0.9999999, "romance", "flag"),
    ],
)
def test_odds_of_conversations(messages, windows, score, label, verdict):
    conversation = Conversation()
    for message in messages:
        conversation.add("source", Message("k", 1, "a message", decision(message)))
    for window in windows:
        conversation.take_window(Window(len(messages), "the window"), decision(window))
    if not windows:
        assert to_score(conversation, conversation.close_window()) == []
    row = conversation.row("k", LIMITS, "legitimate")
    assert row["fraud_score"] == pytest.approx(score, abs=2e-6)
    assert (row["fraud_label"], row["fraud_labels"], row["fraud_verdict"]) == (label, [label], verdict)


def test_a_flagged_message_is_the_evidence_even_if_others_score_higher():
    conversation = Conversation()
    conversation.add("source", Message("k", 1, "likelier", decision(0.7)))
    conversation.add("source", Message("k", 2, "denied by a list", decision(0.6, "flag")))
    conversation.add("source", Message("k", 3, "likelier still", decision(0.75)))
    row = conversation.row("k", LIMITS, "legitimate")
    assert (row["evidence"], row["fraud_verdict"], row["strongest"]["line"]) == ("denied by a list", "flag", 3)


def test_messages_cleared_by_an_allow_list_do_not_count_as_fraud():
    conversation = Conversation()
    windows = conversation.add("source", Message("k", 1, "a" * 100, decision(0.9, "clear"), allowed=True))
    row = conversation.row("k", LIMITS, "legitimate")
    assert (row["fraud_label"], row["fraud_score"], row["fraud_verdict"]) == ("legitimate", 0, "clear")
    assert (row["evidence"], row["strongest"], row["messages"]) == ("", None, 1)
    row = conversation.row("k", LIMITS, None)
    assert (row["fraud_label"], row["fraud_labels"]) == (None, [])
    windows += conversation.add("source", Message("k", 2, "b" * 100, decision(0.2)))
    assert (to_score(conversation, windows), conversation.close_window()) == ([], [])
    row = conversation.row("k", LIMITS, "legitimate")
    assert (row["fraud_score"], row["evidence"][0], row["strongest"]["line"]) == (pytest.approx(0.2, abs=2e-6), "b", 2)


def test_ignored_characters_do_not_fill_a_window():
    conversation = Conversation()
    for line in range(3):
        windows = conversation.add("source", Message("k", line, "好" * 30 + "\u200b \n\ufe0f" * 60, decision(0.5)))
    assert to_score(conversation, windows) == ["\n".join(["好" * 30] * 3)]


@given(st.lists(st.text("好a\u200b \n") | st.text() | st.just("稳赚 不赔，" * 30), max_size=20))
@example(["点 http://a.example 领取", "OK, see you at nine"] * 9)
@example(["稳 赚 不 赔 " * 16 + "明 天 见 呀 " * 28])
@example(["a" + "\u200b" * 499] * 64)
def test_messages_are_quoted_as_they_are_written(texts):
    conversation, windows = Conversation(), []
    for line, text in enumerate(texts):
        windows += conversation.add("source", Message("k", line, text, decision(0.5)))
    windows += conversation.close_window()
    for window in windows:
        conversation.take_window(window, decision(0.75))
        assert window.shown in "\n".join(texts)
        assert fold(window.shown) == fold(window.text) or len(window.shown) == SHOWN
    evidence = conversation.row("k", LIMITS, "legitimate")["evidence"]
    assert evidence in [*(window.shown for window in windows), *texts, ""]


def test_the_first_of_messages_with_equal_scores_is_shown():
    conversation = Conversation()
    for line, value in enumerate((0.25, 0.75, 0.75)):
        conversation.add("source", Message("k", line, f"text {line}", decision(value)))
    row = conversation.row("k", LIMITS, "legitimate")
    assert (row["evidence"], row["strongest"]["line"], row["first"]["line"]) == ("text 1", 1, 0)


def test_conversations_require_an_output_file(tmp_path, capsys):
    (tmp_path / "in.jsonl").write_bytes(dumps.jsonl(dumps.rows(random.Random(0), 9)))
    assert score(tmp_path / "in.jsonl", "-o", "-", "--by", "chat") == 2
    assert "--by writes conversations beside the output" in capsys.readouterr().err


NAMES = "conversation", "会话", "Remark"


@pytest.fixture
def seized(tmp_path):
    """A folder of dumps that name the conversation by different columns, or by none."""
    folder = tmp_path / "seized"
    folder.mkdir()
    sheets = {
        "微信": [["会话", "text"], ["群一", LURE]],
        "QQ": [["Remark", "text"], ["小王", PLAIN], ["小李", PLAIN]],
        "短信": [["号码", "text"], ["106", PLAIN]],
    }
    contents = {
        "a.csv": f"Remark, 会话,text\n小王,群一,{LURE}\n小王,,{PLAIN}\n",
        "b.jsonl": f'{{"text": "{PLAIN}"}}\n{{"Remark": "小王", "text": "{LURE}"}}\n',
        "c.txt": f"{PLAIN}\n{LURE}\n{PLAIN}\n",
        "e.xml": f'<smses><sms address="106" date="1" type="1" body="{LURE}" contact_name="银行"/></smses>',
        "WhatsApp Chat with 妈妈.txt": f"2026/10/6 09:01 - 妈妈: {PLAIN}\n2026/10/6 09:02 - 妈妈: {PLAIN}\n",
    }
    for name, content in contents.items():
        (folder / name).write_text(content, "utf-8")
    (folder / "d.xlsx").write_bytes(workbook(sheets))
    pq.write_table(pa.table({"text": [PLAIN], "会话": [b"\xe7\xbe\xa4\xe4\xb8\x80"]}), folder / "f.parquet")
    return folder


def options_of(names):
    return [part for name in names for part in ("--by", name)]


@pytest.mark.parametrize("more", [[], ["--workers", "3", "--max-message", "4096"]])
def test_each_dump_of_a_folder_may_name_conversations_by_another_column(tmp_path, seized, capsys, more):
    out = tmp_path / "out.jsonl"
    assert score(seized, "-o", out, *options_of(NAMES), *more) == 0
    rows = rows_of(tmp_path / "out.jsonl.conversations.jsonl")
    found = {row["conversation"]: (row.get("name"), row["messages"]) for row in rows}
    assert found == {
        "妈妈": (None, 2),
        "106": ("银行", 1),
        "群一": (None, 3),  # of the table, the workbook and Parquet
        "小王": (None, 2),  # not those of the table, which has a better column
        "小李": (None, 1),
    }
    summary = json.loads((tmp_path / "out.jsonl.summary.json").read_text("utf-8"))
    assert (summary["scored"], summary["without_conversation"]) == (15, 6)
    notices = [line for line in capsys.readouterr().err.splitlines() if "--by" in line]
    expected = "c.txt has no column that --by names (it has text): its messages are in no conversation"
    assert [line.endswith(expected) for line in notices] == [True]


def test_a_single_name_of_the_conversation_has_to_be_in_each_dump(tmp_path, seized, capsys):
    assert score(seized / "a.csv", seized / "b.jsonl", "-o", tmp_path / "out.jsonl", "--by", "会话") == 2
    wrong = f"no column is called '会话'; {seized / 'b.jsonl'} has the columns: text, Remark. If another column"
    assert f"{wrong} names the conversation there, add it: --by can be repeated\n" in capsys.readouterr().err
    assert score(seized / "b.jsonl", "-o", tmp_path / "out.jsonl", *options_of(["Remark", "Remark"])) == 0
    assert score(seized / "c.txt", "-o", tmp_path / "c.jsonl", *options_of(["会话", "会话"])) == 2


@pytest.mark.parametrize("rowless", ["[]", "\n", " "])
def test_several_names_of_the_conversation_that_no_dump_has_are_refused(tmp_path, seized, capsys, rowless):
    (tmp_path / "d.json").write_text(rowless, "utf-8")  # its rows might have had it, if it had any
    sources = tmp_path / "d.json", seized / "b.jsonl", seized / "c.txt"
    assert score(*sources, "-o", tmp_path / "out.jsonl", *options_of(["群", "会话"])) == 2
    assert "no source has a column called '群' or '会话': name the one" in capsys.readouterr().err
    assert not list(tmp_path.glob("out.jsonl*"))


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_dumps_that_begin_with_broken_rows_may_have_a_name_of_the_conversation(tmp_path, seized, monkeypatch, form):
    for module in (readers, documents):
        monkeypatch.setattr(module, "BLOCK", 1000)
    broken, row = "{broken}", json.dumps({"text": PLAIN, "会话": "a"})
    rows = [broken] * 200 + [row]
    (tmp_path / f"d.{form}").write_text("\n".join(rows) if form == "jsonl" else f"[{','.join(rows)}]", "utf-8")
    sources = tmp_path / f"d.{form}", seized / "c.txt"
    assert score(*sources, "-o", tmp_path / "out.jsonl", *options_of(["会话", "群"])) == 0


@pytest.mark.parametrize("name", ["a.csv", "b.jsonl", "c.txt"])
def test_dumps_without_rows_lack_no_name_of_the_conversation(tmp_path, name):
    (tmp_path / name).write_text("text\n" if name == "a.csv" else "\n", "utf-8")
    assert score(tmp_path / name, "-o", tmp_path / "1.jsonl", "--by", "text") == (
        score(tmp_path / name, "-o", tmp_path / "2.jsonl", *options_of(["text", "chat"]))
    )
    (tmp_path / "d.jsonl").write_text('{"text": "在吗", "chat": "a"}', "utf-8")
    sources = tmp_path / "d.jsonl", tmp_path / name
    assert score(*sources, "-o", tmp_path / "3.jsonl", *options_of(["group", "chat"])) == 0


@given(
    columns=st.lists(st.sampled_from(["a", "b", " c", "名", ""]), unique=True),
    names=st.lists(st.sampled_from(["a", "b", "c", "d", "名", ""]), min_size=2, unique=True),
    kind=st.sampled_from(["csv", "jsonl"]),
)
@example([" c", "a"], ["c", "a"], "csv")
def test_of_several_names_the_first_that_a_dump_has_counts(tmp_path, scanner, columns, names, kind):
    table = [{**{column: f"{column}{i % 2}" for column in columns}, "text": LURE} for i in range(3)]
    lines = [[*columns, "text"], *(row.values() for row in table)]
    data = "".join(",".join(line) + "\n" for line in lines) if kind == "csv" else dumps.jsonl(table).decode()
    source = tmp_path / f"in.{kind}"
    source.write_text(data, "utf-8")
    known = [column.strip() if kind == "csv" else column for column in columns]
    first = next((name for name in names if name in known), None)

    def run(by):
        target = tmp_path / "out.jsonl"
        summary = score_dump(scanner, [source], target, Options(by=by), force=True)
        path = tmp_path / "out.jsonl.conversations.jsonl"
        return target.read_bytes(), path.read_bytes() if path.exists() else b"", summary.without_conversation

    if first is not None:
        assert run(names) == run(first)
    else:
        with pytest.raises(DumpError, match="no source has a column"):
            run(names)


def test_conversations_do_not_depend_on_how_their_rows_are_parsed(tmp_path, scanner, monkeypatch):
    """Rows are parsed together or one by one, and states are written with or without orjson: it has other limits."""
    keys = ["1", 1, 2**63, 2**64, 10**30, 1.0, -0.0, 0.5, True, None, "", [1], {"a": 2**70}, "半\ud800", "群"]
    texts = [LURE, PLAIN, "", "见\ud83d", "a<br>b\u200b", "　空 格　", PLAIN * 30]
    rows = [{"chat": key, "text": text} for text in texts for key in keys] + [{"text": PLAIN}]
    together = [row for row in rows if type(row.get("chat")) in (str, int) and "\ud800" not in str(row)] * 3
    source = tmp_path / "in.jsonl"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in together + rows + together), "utf-8")
    found = []
    for run, changed in (
        (1, {}),
        (50, {}),
        (50, {"dumps": lambda state: json.dumps(state).encode(), "loads": json.loads}),
    ):
        monkeypatch.setattr(readers, "RUN", run)
        for name, function in changed.items():
            monkeypatch.setattr(f"fraudscan.dump.conversations.{name}", function)
        out = tmp_path / f"{len(found)}.jsonl"
        score_dump(scanner, [source], out, Options(by="chat"))
        found.append((out.read_bytes(), out.with_name(f"{out.name}.conversations.jsonl").read_bytes()))
    assert found[0] == found[1] == found[2]
    named = [json.loads(line)["conversation"] for line in found[0][1].decode().splitlines()]
    assert {"1", "9223372036854775808", "18446744073709551616", "0", "0.5", "true", "群"} <= set(named)
    assert len(set(named)) == len(named) == 11
