"""What a scanner says of one text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from fraudscan.decisions import VERDICTS

if TYPE_CHECKING:
    from fraudscan.explain import Explanation
    from fraudscan.model import Scanner

__all__ = ["DECIDED", "Result"]

DECIDED = ("label", "scheme", "labels", "score", "verdict", "targets", "notes", "rule")
"""The attributes that were decided on a text, in the order of `Decided`."""

Decided = tuple[str, str | None, tuple[str, ...], float, str, tuple[str, ...], tuple[str, ...], str | None]
"""What was decided on a text."""


class Result:
    """What a scanner says of one text.

    It holds on to its scanner, with which it explains itself, so a pickle has the whole model in it; but of the shipped
    one, as `load` returns it, it has the digest, and is read where the same model is shipped. Results that come out of
    pickles share one scanner where theirs decide alike. To store results store what `to_dict` returns, or score with
    `Scanner.annotate` or ``fraudscan score``. Results are equal where they say the same of the same text and their
    scanners decide alike.

    Attributes:
        text: the text.
        label: the most probable label: the honest one where ``score`` is below one half, else the pretence with the
            highest probability. Of a user's own labels the most probable one.
        scheme: the label's most probable scheme; ``None`` for honest texts.
        labels: ``label``, then every other label with a probability of at least one half.
        score: the calibrated probability that the text is not legitimate; 1 where no label of the model is.
        verdict: ``"flag"``, ``"review"`` or ``"clear"``, by the scanner's thresholds.
        targets: the groups at whom the text is aimed.
        notes: why the decision is to be doubted: ``"no Chinese"``, ``"unknown words"``, ``"too short to judge"``.
        rule: the entry of an allow or deny list that made the verdict; ``None`` where the score did.
        scores: the probability of every label, scheme and target group, by its name.
        window: begin and end of the part of a long text that decided; ``None`` where the whole did.

    """

    __slots__ = ("_probabilities", "_scanner", "text", *DECIDED)

    def __init__(
        self,
        scanner: Scanner,
        text: str,
        probabilities: bytes,
        decision: Decided,
    ) -> None:
        self.text = text
        self.label, self.scheme, self.labels, self.score, self.verdict, self.targets, self.notes, self.rule = decision
        self._scanner = scanner
        self._probabilities = probabilities  # float32, those of `Scanner.names`

    @property
    def _decision(self) -> Decided:
        return self.label, self.scheme, self.labels, self.score, self.verdict, self.targets, self.notes, self.rule

    @property
    def scores(self) -> dict[str, float]:
        """The probability of every label, scheme and target group by name."""
        return dict(zip(self._scanner.names, memoryview(self._probabilities).cast("f"), strict=True))

    @property
    def window(self) -> tuple[int, int] | None:
        """Where the most suspicious stretch of a long text begins and ends, if its windows say more than the whole."""
        _, window, repaired = self._scanner.engine.judge_one(self.text)
        if window.stop is None:
            return None
        _, starts, ends = self._scanner.engine.read(self.text, repaired=repaired)
        return int(starts[window][0]), int(ends[window][-1])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, for JSON say: the attributes, and as ``evidence`` the spans of `explain`.

        >>> import fraudscan
        >>> found = fraudscan.classify("到楼下了，下来拿快递").to_dict()
        >>> found["label"], found["verdict"], found["labels"]
        ('legitimate', 'clear', ('legitimate',))

        """
        found = self.explain()
        return {
            **{name: getattr(self, name) for name in ("text", *DECIDED, "window", "scores")},
            "bias": found.bias,
            "evidence": [span._asdict() for span in found],
        }

    def explain(self, label: str | None = None) -> Explanation:
        """Return the spans of the text that speak for and against a label (see `fraudscan.explain`).

        Args:
            label: which; without it the result's own, or where that is honest but the verdict is not ``"clear"``, the
                likeliest pretence.

        Raises:
            KeyError: if the model has no such label.

        """
        from fraudscan.explain import explain

        doubted = not self._scanner.taxonomy.label(self.label).schemes and self.verdict != VERDICTS[0]
        if label is None and not doubted:
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
        same = self.text == other.text and self._decision == other._decision
        same = same and self._probabilities == other._probabilities
        return same and (self._scanner is other._scanner or self._scanner.digest == other._scanner.digest)

    def __hash__(self) -> int:
        return hash((self.text, self._decision))

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 40 else self.text[:39] + "…"
        return f"Result({text!r}, label={self.label!r}, scheme={self.scheme!r}, score={self.score:.3f})"


_unpickled: WeakValueDictionary[str, Scanner] = WeakValueDictionary()
"""The scanners of results that came out of pickles, by their digests: each result brings its own, and one is kept."""


def _restore(scanner: Scanner | str, text: str, probabilities: bytes, decision: Decided) -> Result:
    """Return a result; the shipped scanner is given by its digest."""
    from fraudscan.model import ModelError, load

    if isinstance(scanner, str):
        if load().digest != scanner:
            raise ModelError(
                "the pickled result is of another shipped model than this process has: install the same fraudscan for "
                "both, or pickle what to_dict returns"
            )
        scanner = load()
    else:
        scanner = _unpickled.setdefault(scanner.digest, scanner)
    return Result(scanner, text, probabilities, decision)
