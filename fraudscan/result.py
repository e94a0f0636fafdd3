"""The result of scoring one text."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from fraudscan.decisions import VERDICTS

if TYPE_CHECKING:
    from fraudscan.explain import Explanation
    from fraudscan.model import Scanner

__all__ = ["DECIDED", "Result"]

DECIDED = ("label", "scheme", "labels", "score", "verdict", "targets", "notes", "rule")
"""The attributes that make up the decision on a text, in the order of `Decided`."""

Decided = tuple[str, str | None, tuple[str, ...], float, str, tuple[str, ...], tuple[str, ...], str | None]
"""The type of the decision on a text."""


class Result:
    """The result of scoring one text, as `Scanner.classify` returns it.

    A result keeps a reference to its scanner, which `explain` needs, so a pickled result contains the whole model. If
    the scanner is the shipped one, as `load` returns it, the pickle contains the digest of the model in its place and
    can be read wherever the same model is shipped. Unpickled results share one scanner if their scanners decide alike.
    To store results, store what `to_dict` returns, or score with `Scanner.annotate` or ``fraudscan score``. Two results
    are equal if their texts, decisions and probabilities are equal and their scanners decide alike.

    Attributes:
        text: the text.
        label: the most probable label: the legitimate one if ``score`` is below one half, else the pretence with the
            highest probability. In a model of a user's own labels, simply the most probable label.
        scheme: the label's most probable scheme; ``None`` for legitimate texts.
        labels: ``label``, then every other label with a probability of at least one half.
        score: the calibrated probability that the text is not legitimate; 1 if no label of the model is legitimate.
        verdict: ``"flag"``, ``"review"`` or ``"clear"``, by the scanner's thresholds.
        targets: the groups of people at whom the text is aimed.
        notes: reasons to doubt the decision: those of `fraudscan.notes.NOTES` that apply.
        rule: the entry of an allow or deny list that determined the verdict; ``None`` if the score determined it.

    """

    __slots__ = ("_probabilities", "_scanner", "text", *DECIDED)

    text: Final[str]
    label: Final[str]
    scheme: Final[str | None]
    labels: Final[tuple[str, ...]]
    score: Final[float]
    verdict: Final[str]
    targets: Final[tuple[str, ...]]
    notes: Final[tuple[str, ...]]
    rule: Final[str | None]

    def __init__(self, scanner: Scanner, text: str, probabilities: bytes, decision: Decided) -> None:
        self.text = text
        self.label, self.scheme, self.labels, self.score, self.verdict, self.targets, self.notes, self.rule = decision
        self._scanner = scanner
        self._probabilities = probabilities  # float32, in the order of `Scanner.names`

    _decision = property(attrgetter(*DECIDED))

    @property
    def scores(self) -> dict[str, float]:
        """The probability of every label, scheme and target group, by name."""
        return dict(zip(self._scanner.names, memoryview(self._probabilities).cast("f"), strict=True))

    @property
    def window(self) -> tuple[int, int] | None:
        """Begin and end, in code points, of the part of a long text that determined the decision.

        ``None`` if the whole text did, and always for a model of a user's own labels that was trained without this
        project's corpus. Computed anew at each access, which takes nearly as long as scoring the text.
        """
        engine = self._scanner.engine
        judged = engine.judge([self.text])
        if not judged.places.any():
            return None
        return engine.parts([self.text], judged).span(0)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON for example.

        The keys are the attributes and, from `explain`, ``evidence`` (the spans) and ``bias``.

        >>> import fraudscan
        >>> found = fraudscan.classify("到楼下了，下来拿快递").to_dict()
        >>> found["label"], found["verdict"], found["labels"]
        ('legitimate', 'clear', ('legitimate',))

        """
        found = self.explain()
        return {
            **{name: getattr(self, name) for name in ("text", *DECIDED)},
            "window": found.window,
            "scores": self.scores,
            "bias": found.bias,
            "evidence": [span._asdict() for span in found],
        }

    def explain(self, label: str | None = None) -> Explanation:
        """Return the spans of the text that speak for and against a label (see `fraudscan.explain`).

        Args:
            label: the label, scheme or target group to explain. Defaults to the result's own label, or to the likeliest
                pretence if that label is legitimate but the verdict is not ``"clear"``.

        Raises:
            KeyError: if the model has nothing of this name.

        """
        from fraudscan.explain import explain

        if label is None and (self.label != self._scanner.taxonomy.honest or self.verdict == VERDICTS[0]):
            label = self.label
        return explain(self._scanner, self.text, label)

    def _repr_html_(self) -> str:
        """Return the text with its evidence in colour, for notebooks."""
        from fraudscan.show import to_html

        return to_html(self)

    def __reduce__(self) -> tuple[Any, ...]:
        from fraudscan.model import is_shipped

        scanner = self._scanner.digest if is_shipped(self._scanner) else self._scanner
        return _restore, (scanner, self.text, self._probabilities, self._decision)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result):
            return NotImplemented
        return (
            self.text == other.text
            and self._decision == other._decision
            and self._probabilities == other._probabilities
            and (self._scanner is other._scanner or self._scanner.digest == other._scanner.digest)
        )

    def __hash__(self) -> int:
        return hash((self.text, self._decision))

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 40 else self.text[:39] + "…"
        rule = f", rule={self.rule!r}" if self.rule else ""
        decision = f"label={self.label!r}, scheme={self.scheme!r}, score={self.score:.3f}, verdict={self.verdict!r}"
        return f"Result({text!r}, {decision}{rule})"


_unpickled: WeakValueDictionary[str, Scanner] = WeakValueDictionary()
"""The scanners of unpickled results, by digest. Each result brings its own copy, of which only the first is kept."""


def _restore(scanner: Scanner | str, text: str, probabilities: bytes, decision: Decided) -> Result:
    """Rebuild a pickled result; ``scanner`` is a digest if it was the shipped one."""
    from fraudscan.model import ModelError, load

    if isinstance(scanner, str):
        if load().digest != scanner:
            raise ModelError(
                "the pickled result needs another shipped model than this process has: install the same fraudscan on "
                "both sides, or pickle what to_dict returns"
            )
        scanner = load()
    else:
        scanner = _unpickled.setdefault(scanner.digest, scanner)
    return Result(scanner, text, probabilities, decision)
