"""What all errors of this package have in common that a caller may want to catch."""

__all__ = ["FraudscanError"]


class FraudscanError(Exception):
    """Something that was given cannot be used: a model, a list, a dump, a column, labelled messages.

    The message says what is wrong with it and what to do.
    """
