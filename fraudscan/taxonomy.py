"""Labels, schemes and target groups, read once from ``data/taxonomy.json``.

Every other module takes the names from here, so that a label is spelled out in
one file only.

>>> TAXONOMY.label("shopping").zh
'网络购物'
>>> [scheme.name for scheme in TAXONOMY.label("shopping").schemes]
['fake_goods', 'fake_refund']
>>> TAXONOMY.scheme("fake_refund").label
'shopping'
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

from fraudscan.lazy import cached_property

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TAXONOMY", "Label", "Scheme", "Target", "Taxonomy"]


MOST_TARGETS = 8
"""The maximum number of target groups. A decision's number has one bit for each group, and a table of all numbers is
built for each batch."""

TASKS = ("fraud", "multiclass", "multilabel")


@dataclass(frozen=True)
class Scheme:
    """One way of carrying out a label's pretence.

    Attributes:
        name: the name in results.
        zh: the Chinese name.
        en: the English name.
        official: the category name that the police or the law uses; empty for a user's own labels.
        about: one sentence that says what belongs to it.
        label: the name of its label.

    """

    name: str
    zh: str
    en: str
    official: str
    about: str
    label: str


@dataclass(frozen=True)
class Label:
    """One pretence, or "legitimate", which has no schemes.

    Attributes:
        name, zh, en, about: as those of a `Scheme`.
        schemes: the ways of carrying it out.

    """

    name: str
    zh: str
    en: str
    about: str
    schemes: tuple[Scheme, ...]


@dataclass(frozen=True)
class Target:
    """A group of people that a message can be aimed at; the attributes are those of a `Label`."""

    name: str
    zh: str
    en: str
    about: str


_Named = TypeVar("_Named", Label, Scheme)


@dataclass(frozen=True)
class Taxonomy:
    """All labels and target groups, in the order in which they are printed everywhere.

    Names are unique, except that a label's only scheme may share its name. ``"fraud"`` is the name of all pretences.

    Attributes:
        version: raised by hand with every change of the names. Model folders hold it, and scoring does not use it.
        labels: the labels that a message can have.
        targets: the groups that a message can be aimed at.
        task: ``"fraud"``: a message is legitimate, or a fraud of one or more schemes. ``"multiclass"``: it has exactly
            one label. ``"multilabel"``: each label applies or not, independently of the others.

    """

    version: int
    labels: tuple[Label, ...]
    targets: tuple[Target, ...]
    task: str = "fraud"

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"no task is called {self.task!r}; there are: {', '.join(TASKS)}")
        if self.task == "fraud" and self.honest is None:
            raise ValueError("one label must have no schemes: that of legitimate messages")
        if len(others := [label.name for label in self.labels if not label.schemes]) > 1:
            raise ValueError(f"only one label can be that of legitimate messages, not both {' and '.join(others[:2])}")
        if self.task != "fraud" and any(x.schemes and [s.name for s in x.schemes] != [x.name] for x in self.labels):
            raise ValueError(
                f"for {self.task!r} a label has one scheme of its own name, or none if it is the legitimate one"
            )
        if len(self.targets) > MOST_TARGETS:
            raise ValueError(f"{len(self.targets)} target groups, but at most {MOST_TARGETS} are allowed")
        names = [label.name for label in self.labels] + [target.name for target in self.targets]
        names += [s.name for x in self.labels for s in x.schemes if len(x.schemes) > 1 or s.name != x.name]
        names += ["fraud"] * (self.task == "fraud")
        if strange := [name for name in names if not isinstance(name, str)]:
            raise ValueError(f"a name must be a string, not {strange[0]!r}")
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"{twice[0]!r} stands for two things")

    @cached_property
    def schemes(self) -> tuple[Scheme, ...]:
        """The schemes of all labels."""
        return tuple(scheme for label in self.labels for scheme in label.schemes)

    @cached_property
    def honest(self) -> str | None:
        """The name of the label of legitimate messages; ``None`` if a user's labels have no such label."""
        return next((label.name for label in self.labels if not label.schemes), None)

    def label(self, name: str) -> Label:
        """Return the label called ``name``; raise ``KeyError`` if there is none."""
        return _find(self.labels, name, "label")

    def scheme(self, name: str) -> Scheme:
        """Return the scheme called ``name``; raise ``KeyError`` if there is none."""
        return _find(self.schemes, name, "scheme")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` accepts, ready for ``json.dumps``."""
        data = asdict(self)
        for label in data["labels"]:
            for scheme in label["schemes"]:
                del scheme["label"]  # implied by its place in the label
        if self.task == "fraud":
            del data["task"]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Taxonomy:
        """Build the taxonomy that ``data`` describes; raise ``KeyError`` or ``TypeError`` if something is missing."""
        labels = tuple(
            Label(**{**label, "schemes": tuple(Scheme(**scheme, label=label["name"]) for scheme in label["schemes"])})
            for label in data["labels"]
        )
        targets = tuple(Target(**target) for target in data["targets"])
        return cls(data["version"], labels, targets, data.get("task", "fraud"))

    @classmethod
    def from_names(cls, names: Sequence[str], honest: str | None, task: str) -> Taxonomy:
        """Build the taxonomy of a user's own labels. Each label except ``honest`` has one scheme, with the same name.

        >>> Taxonomy.from_names(["ham", "spam"], "ham", "multiclass").honest
        'ham'

        """
        labels = []
        for name in names:
            scheme = Scheme(name, zh=name, en=name, official="", about="", label=name)
            labels.append(Label(name, zh=name, en=name, about="", schemes=() if name == honest else (scheme,)))
        return cls(1, tuple(labels), (), task)


def _find(items: tuple[_Named, ...], name: str, what: str) -> _Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(f"no {what} is called {name!r}; there are: {', '.join(item.name for item in items)}")


TAXONOMY = Taxonomy.from_dict(
    json.loads(resources.files("fraudscan.data").joinpath("taxonomy.json").read_text("utf-8"))
)
"""The taxonomy of the shipped model."""
