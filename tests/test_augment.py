"""Disguised copies for training: reproducible, bounded in length, and of the kinds that repair knows."""

import random

import pytest

from fraudscan import augment
from fraudscan.disguise import normalize

TEXT = "跟着老师操作稳赚不赔，加微信进内部群，每天领取返利，本金随时可以提现"


def test_same_seed_gives_the_same_disguise():
    first, second = ([augment.disguise(TEXT, random.Random(seed)) for seed in range(50)] for _ in range(2))
    assert first == second
    assert len(set(first)) > 40
    assert all(len(text) <= 6 * len(TEXT) for text in first)


@pytest.mark.parametrize("way", augment.WAYS)
def test_every_way_disguises_words_and_repair_restores_some(way, monkeypatch):
    monkeypatch.setattr(augment, "WAYS", (way,))
    monkeypatch.setattr(augment, "STRENGTHS", (1 / 3, 1 / 3))
    unrepaired = disguised = 0
    for seed in range(20):
        text = augment.disguise(TEXT, random.Random(seed))
        disguised += sum(word not in text for word in ("老师", "微信", "返利", "本金", "提现", "每天"))
        read = normalize(text).text
        unrepaired += sum(word not in read for word in ("老师", "微信", "返利", "本金", "提现", "每天"))
    assert disguised > 30
    assert unrepaired < disguised * 0.8


def test_signatures_are_masked_in_some_copies():
    rng = random.Random(0)
    copies = [augment.vary("【招商银行】您的账单已出", rng) for _ in range(300)]
    masked = [copy for copy in copies if copy.endswith("您的账单已出") and "招商" not in copy]
    assert 15 < len(masked) < 90
    assert {"【XX】您的账单已出", "您的账单已出"} <= set(masked)


def test_links_are_replaced_and_numbers_masked_in_some_copies():
    text = "您尾号3306的卡支出1204元，详情见 http://a--b.com/x1"
    copies = [augment.vary(text, random.Random(seed)) for seed in range(200)]
    relinked = [copy for copy in copies if copy.startswith("您尾号3306的卡支出1204元，详情见 ") and copy != text]
    masked = [copy for copy in copies if "尾号" in copy and "3306" not in copy and copy.endswith("http://a--b.com/x1")]
    assert 60 < len(relinked) < 140
    assert 5 < len(masked) < 40
    assert not any("1204" in copy for copy in masked)
    assert "您尾号****的卡支出****元，详情见 http://a--b.com/x1" in masked


def test_text_that_cannot_be_disguised_is_unchanged():
    assert augment.disguise("1", random.Random(0)) == "1"
    assert augment.disguise("", random.Random(0)) == ""
