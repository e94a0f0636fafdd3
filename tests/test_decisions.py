"""The decisions for a batch equal those that the definition gives for each text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudscan import TAXONOMY, Thresholds
from fraudscan.decisions import Decider
from fraudscan.notes import NOTES, notes_of
from fraudscan.taxonomy import Taxonomy

GRID = [0.0, 0.25, 0.4999, 0.5, 0.75, 1.0]  # few values, so that ties occur


def expected(taxonomy, p, thresholds):
    """Return label, scheme, labels, score, verdict and targets of one text, as `Result` describes them."""
    honest = taxonomy.honest
    pretences = [label for label in taxonomy.labels if label.schemes]
    score = 1.0 if honest is None else 1 - p[honest]
    best = max(pretences, key=lambda label: p[label.name])
    own = taxonomy.task != "fraud"
    label = best
    if honest is not None and (p[best.name] <= p[honest] if own else score < 0.5):
        label = taxonomy.label(honest)
    scheme = max(label.schemes, key=lambda scheme: p[scheme.name]).name if label.schemes else None
    among = taxonomy.labels if own else pretences
    others = sorted((x for x in among if x != label and p[x.name] >= 0.5), key=lambda x: -p[x.name])
    labels = [x.name for x in (label, *others)]
    verdict = "flag" if score >= thresholds.flag else "review" if score >= thresholds.review else "clear"
    targets = tuple(target.name for target in taxonomy.targets if p[target.name] >= 0.5)
    return label.name, scheme, tuple(labels), pytest.approx(score), verdict, targets


@pytest.mark.parametrize(
    "taxonomy",
    [
        TAXONOMY,
        Taxonomy.from_names(["a", "b", "c"], "c", "multiclass"),
        Taxonomy.from_names(["a", "b", "c"], None, "multiclass"),
        Taxonomy.from_names(["a", "b", "c"], "c", "multilabel"),
        Taxonomy.from_names(["a", "b", "c"], None, "multilabel"),
    ],
    ids=lambda taxonomy: f"{taxonomy.task}-{taxonomy.honest}",
)
@given(st.data())
def test_batch_decisions_equal_the_definition(taxonomy, data):
    thresholds = Thresholds(flag=0.75, review=0.3)
    own = [*(scheme.name for scheme in taxonomy.schemes), *(target.name for target in taxonomy.targets)]
    names = [*(label.name for label in taxonomy.labels)]
    names += [name for name in own if name not in names]
    rows = []
    for _ in range(data.draw(st.integers(0, 6))):
        p = {name: data.draw(st.sampled_from(GRID)) for name in names}
        if taxonomy.task == "fraud":  # no scheme is more probable than fraud itself
            p |= {scheme.name: min(p[scheme.name], 1 - p[taxonomy.honest]) for scheme in taxonomy.schemes}
        for label in taxonomy.labels:
            if label.schemes:  # a label is as probable as its likeliest scheme
                p[label.name] = max(p[scheme.name] for scheme in label.schemes)
        rows.append(p)
    probabilities = np.array([[p[name] for name in names] for p in rows], dtype=np.float32).reshape(-1, len(names))
    doubts = np.array([data.draw(st.integers(0, (1 << len(NOTES)) - 1)) for _ in rows], dtype=np.int64)
    decided = Decider(taxonomy, names, thresholds)(probabilities, doubts)
    columns = (decided.label, decided.scheme, decided.labels, decided.score, decided.verdict, decided.targets)
    got = list(zip(*columns, strict=True))
    assert got == [expected(taxonomy, dict(zip(names, row.tolist(), strict=True)), thresholds) for row in probabilities]
    assert decided.notes == [notes_of(bits) for bits in doubts.tolist()]
    assert len(decided.kinds) == len(set(decided.kinds))
    different, places = decided.outcomes
    for name in ("label", "scheme", "labels", "verdict", "targets", "notes", "rule"):
        values = getattr(different, name)
        assert [values[place] for place in places] == getattr(decided, name)
    shared = zip(different.label, different.scheme, different.labels, different.verdict, different.targets, strict=True)
    assert len(set(zip(shared, different.notes, strict=True))) == len(different.kind)


def test_a_label_that_is_certain_is_never_dropped():
    taxonomy = Taxonomy.from_names(["loan", "urgent", "normal"], "normal", "multilabel")
    decide = Decider(taxonomy, ["loan", "urgent", "normal"], Thresholds(flag=0.9, review=0.1))
    decisions = decide(np.array([[1.0, 0.1, 0.75], [0.6, 0.7, 0.9], [0.3, 0.2, 0.4]], dtype=np.float32))
    assert decisions.labels == [("loan", "normal"), ("normal", "urgent", "loan"), ("normal",)]
    assert (decisions.label, decisions.scheme) == (["loan", "normal", "normal"], ["loan", None, None])


def test_taxonomies_that_do_not_fit_their_task_are_refused():
    data = Taxonomy.from_names(["a", "b"], None, "multiclass").to_dict()
    assert Taxonomy.from_dict(data).task == "multiclass"
    for task, fault in (
        ("nonsense", "no task is called 'nonsense'; there are: fraud, multiclass, multilabel"),
        ("fraud", "one label must have no schemes"),
    ):
        with pytest.raises(ValueError, match=fault):
            Taxonomy.from_dict({**data, "task": task})
    with pytest.raises(ValueError, match="a label has one scheme of its own name"):
        Taxonomy.from_dict({**TAXONOMY.to_dict(), "task": "multiclass"})
