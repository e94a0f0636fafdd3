"""What ``--by`` writes: which messages a conversation has, and where they stand."""

import json

import pytest
from dumps import LURE, PLAIN, interrupt, rows_of, score

from fraudscan.dump import Options, score_dump


def conversations(path, *options, by="chat"):
    """Score a dump; return its conversations."""
    out = path.parent / f"out{path.suffix if path.suffix == '.csv' else '.jsonl'}"
    assert score(path, "-o", out, "--by", by, *options) == 0
    return rows_of(path.parent / f"{out.name}.conversations.jsonl")


def test_force_forgets_the_conversations_of_a_half_made_job(tmp_path, scanner):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(40_000 * (json.dumps({"text": PLAIN, "chat": "a"}).encode() + b"\n"))
    interrupt(scanner, source, out, Options(by="chat"))
    score_dump(scanner, [source], out, Options(by="chat"), force=True)
    assert [row["messages"] for row in rows_of(tmp_path / "out.jsonl.conversations.jsonl")] == [40_000]


@pytest.mark.parametrize("name", ["\ud83d", "a\0b", " ", "群\n二"])
def test_any_text_names_a_conversation(tmp_path, name):
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "好", "chat": name}) + "\n", "utf-8")
    assert [row["conversation"] for row in conversations(tmp_path / "in.jsonl")] == [name]


def test_large_numbers_name_conversations(tmp_path):
    numbers = 2**64 + 1, 2**64 + 3
    (tmp_path / "in.jsonl").write_text("".join(f'{{"text": "好", "chat": {n}}}\n' for n in numbers), "utf-8")
    assert [row["conversation"] for row in conversations(tmp_path / "in.jsonl")] == list(map(str, numbers))


def test_evidence_of_a_conversation_is_short(tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": LURE * 100, "chat": "a"}) + "\n", "utf-8")
    assert 0 < len(conversations(tmp_path / "in.jsonl")[0]["evidence"]) <= 500


def test_lines_of_messages_in_tables(tmp_path):
    (tmp_path / "in.csv").write_text(f"text,chat\n{PLAIN},a\n{LURE},a\n{PLAIN},b\n", "utf-8")
    a, b = conversations(tmp_path / "in.csv")
    assert (a["first"]["line"], a["strongest"]["line"], b["first"]["line"]) == (2, 3, 4)


def test_lines_of_messages_in_transcripts(tmp_path):
    path = tmp_path / "WhatsApp Chat with 人.txt"
    path.write_text(f"2026/10/6 09:01 - 甲: {PLAIN}\n2026/10/6 09:02 - 乙: {LURE}\n", "utf-8")
    (row,) = conversations(path, by="conversation")
    assert (row["first"]["line"], row["strongest"]["line"]) == (1, 2)


def test_rows_of_a_table_without_a_conversation_are_in_none(tmp_path):
    (tmp_path / "in.csv").write_text("text,chat\n" + f"{PLAIN},\n" * 500 + f"{PLAIN},b\n", "utf-8")
    rows = conversations(tmp_path / "in.csv", "--max-message", 4096)  # and so in several blocks
    assert [row["conversation"] for row in rows] == ["b"]
    assert json.loads((tmp_path / "out.csv.summary.json").read_text("utf-8"))["without_conversation"] == 500


def test_lines_that_are_alike_are_one_conversation_if_somebody_wants_it(tmp_path):
    (tmp_path / "in.txt").write_text(f"{PLAIN}\n\n{LURE}\n{PLAIN}\n", "utf-8")
    rows = conversations(tmp_path / "in.txt", by="text")
    found = [(row["conversation"], row["messages"], row["first"]["line"]) for row in rows]
    assert found == [(PLAIN, 2, 1), (LURE, 1, 3)]


def test_a_conversation_is_called_as_its_first_message_says(tmp_path):
    rows = "".join(
        f'<sms address="106" date="1" type="1" body="好" contact_name="{name}"/>' for name in ("小王", "王总")
    )
    (tmp_path / "in.xml").write_text(f"<smses>{rows}</smses>", "utf-8")
    assert [row["name"] for row in conversations(tmp_path / "in.xml", by="conversation")] == ["小王"]


def test_entries_for_senders_are_about_messages_not_windows(tmp_path):
    rows = [{"text": "晚上提现一起吃饭吗", "chat": "a", "from": name} for name in ("妈妈", "106")]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "deny.txt").write_text("sender=106: 提现\n", "utf-8")
    (row,) = conversations(tmp_path / "in.jsonl", "--deny", tmp_path / "deny.txt", "--sender", "from")
    assert (row["messages"], row["fraud_verdict"], row["verdicts"]["flag"]) == (2, "flag", 1)
