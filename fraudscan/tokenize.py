"""Chinese words from jieba: candidates for the vocabulary, and the words from which `fraudscan.background` draws.

Used in training only, because jieba's dictionary takes as long to load as hundreds of thousands of messages take to
score.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

__all__ = ["dictionary", "words"]


@cache
def _tokenizer() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba 0.42 still imports pkg_resources and has invalid escapes
        import jieba
    jieba.setLogLevel(logging.ERROR)
    tokenizer = jieba.Tokenizer()
    # by itself it would read whatever is called jieba.cache in the folder for temporary files, which all may write to
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


def words(text: str) -> list[str]:
    """Return the words of ``text`` in order, including everything that is not a word.

    >>> words("提现需要先交保证金")
    ['提现', '需要', '先交', '保证金']

    """
    return list(_tokenizer().cut(text))


def dictionary() -> list[tuple[str, int, str]]:
    """Return the words of jieba's dictionary, each with its count and its part-of-speech tag.

    >>> next(entry for entry in dictionary() if entry[0] == "转账")
    ('转账', 50, 'v')

    """
    with _tokenizer().get_dict_file() as file:
        entries = (line.decode().split() for line in file)
        return [(word, int(count), tag) for word, count, tag in entries]
