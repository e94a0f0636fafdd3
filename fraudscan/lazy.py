"""Values that are computed when they are first needed: of one instance, or shared by all threads.

`cached_property` has no lock. Before Python 3.12, `functools.cached_property` has one for all instances of a class, so
threads that score messages would take turns at it. Threads that meet may compute a value several times; the values are
equal.

What all threads need is large, so `shared` and `shared_property` let one thread compute it while the others wait: with
the first messages of a server, each of its threads would build all tables, which takes many times as long and as much
memory. Once a value is there, no lock is taken.
"""

from __future__ import annotations

import os
from functools import cache, wraps
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cached_property", "shared", "shared_property"]

_locks = [RLock()]
"""The first one is what a thread holds while it computes what all threads share."""

if hasattr(os, "register_at_fork"):  # a forked process lacks the thread that may hold the lock
    os.register_at_fork(after_in_child=lambda: _locks.insert(0, RLock()))


if TYPE_CHECKING:
    from functools import cache as shared
    from functools import cached_property

    shared_property = cached_property
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

    class shared_property(cached_property):  # noqa: N801
        """A `cached_property` that one thread computes while the others wait."""

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            with _locks[0]:
                found = vars(instance)
                return found[self.name] if self.name in found else super().__get__(instance, owner)

    def shared(function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a cache; one thread computes a value while the others wait."""
        once = cache(function)

        @cache
        @wraps(function)
        def get(*args: Any) -> Any:
            with _locks[0]:
                return once(*args)  # the threads that waited get what the first one has computed

        return get
