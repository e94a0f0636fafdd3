"""Read dumps of messages, score them, and write the same rows with the labels added."""

from fraudscan.dump.job import DumpError, Options, Progress, Summary, score_dump

__all__ = ["DumpError", "Options", "Progress", "Summary", "score_dump"]
