"""Dumps of messages: read them, score them, write the same rows with the labels beside them."""

from fraudscan.dump.job import DumpError, Options, Progress, Summary, score_dump

__all__ = ["DumpError", "Options", "Progress", "Summary", "score_dump"]
