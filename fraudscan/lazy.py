"""`cached_property` without a lock.

Before Python 3.12, `functools.cached_property` has one lock for all instances of a class. Threads that score messages
would take turns at it, and a process forked while another thread holds it would wait for ever. Without the lock,
threads that meet may compute a value several times; the values are equal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

__all__ = ["cached_property"]

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property:  # noqa: N801 - it stands in for the one of functools
        """A method that is called once per instance, which then holds its result as an attribute of the same name."""

        def __init__(self, method: Any) -> None:
            self.method = method
            self.__doc__ = method.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self.name = name

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            value = instance.__dict__[self.name] = self.method(instance)
            return value
