"""Dumps of messages: read them, score them, write the same rows with the labels beside them."""

from fraudscan.dump.job import DumpError, Summary, score_dump

__all__ = ["DumpError", "Summary", "score_dump"]
