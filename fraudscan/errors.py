"""The base class of all errors of this package that a caller may want to catch."""

__all__ = ["FraudscanError"]


class FraudscanError(Exception):
    """An input cannot be used: a model, a list, a dump, a column, or labelled messages.

    The message says what is wrong with it and what to do.
    """
