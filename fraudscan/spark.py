"""Spark: a data frame is returned with our columns after its own; for data that outgrows one machine.

Every executor needs fraudscan and pyarrow; ``README.md`` shows how to package them. The
shipped model is read on the executors, once per Python process; any other is sent with the job.
"""

from __future__ import annotations

import pickle
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fraudscan.columns import COLUMNS, OPTIONAL, ColumnError, check_columns, names_of
from fraudscan.frames import annotate as annotate_table
from fraudscan.model import ModelError, Scanner, load

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

__all__ = ["annotate"]


def annotate(  # noqa: PLR0913 - the options of `Scanner.annotate`, and the model
    frame: Any,
    text: str = "text",
    model: str | os.PathLike[str] | Scanner | None = None,
    *,
    sender: str | None = None,
    proba: bool = False,
    explain: bool = False,
) -> Any:
    """Return a Spark data frame with the decisions on its texts after its own columns.

    The columns are those of `Scanner.annotate`. Rows and partitions are unchanged. Nothing is shuffled, and nothing
    is read before an action requires it. A row without a text, or with another type of value in its place, is returned
    with ``fraud_notes`` that say so.

    Args:
        frame: a ``pyspark.sql.DataFrame``.
        text: the column with the texts.
        model: a model folder on this machine, or a scanner (default: the shipped model).
        sender: the column with the sender of each text; needed if entries of the scanner's lists are bound to senders.
        proba: add a column ``fraud_p_NAME`` for every label, scheme and target group.
        explain: add a column ``fraud_evidence`` with the strongest evidence.

    Raises:
        fraudscan.columns.ColumnError: a ValueError, if a named column does not exist, or one of ours already does, in
            capitals or not.
        fraudscan.ModelError: if the model cannot be read.
        TypeError: if ``frame`` is not such a frame.

    """
    scanner = model if isinstance(model, Scanner) else load(model)
    if not hasattr(frame, "mapInArrow"):
        kind = f"{type(frame).__module__.partition('.')[0]}.{type(frame).__name__}"
        how = "call to_spark() first" if hasattr(frame, "to_spark") else "use Scanner.annotate for other frames"
        raise TypeError(f"spark.annotate takes a pyspark.sql.DataFrame, not {kind}: {how}")
    options = {"proba": proba, "explain": explain}
    names = frame.columns
    ours = {name.lower() for name in check_columns(scanner, names, text, sender, **options)}
    if alike := [name for name in names if name.lower() in ours]:
        raise ColumnError(f"Spark takes the column {alike[0]!r} for {alike[0].lower()!r}: drop or rename it first")
    packed = scanner.digest, None if model is None else pickle.dumps(scanner)
    wanted = str(names.index(text)), None if sender is None else str(names.index(sender))

    def run(batches: Iterable[Any]) -> Iterator[Any]:
        import pyarrow as pa

        scanner = _scanner(*packed)
        for batch in batches:
            table = annotate_table(scanner, pa.Table.from_batches([batch]), wanted[0], sender=wanted[1], **options)
            yield from table.combine_chunks().to_batches()

    # numbers are the names inside: dots would be read as paths, and Arrow in Java joins columns of the same name
    numbered = frame.toDF(*map(str, range(len(names))))
    return numbered.mapInArrow(run, _schema(frame, scanner, **options))


@lru_cache(maxsize=4)
def _scanner(digest: str, data: bytes | None) -> Scanner:
    """Return a pickled scanner, or the shipped one if ``data`` is ``None``; each process unpickles it once."""
    if data is not None:
        scanner: Scanner = pickle.loads(data)  # noqa: S301 - made by `annotate` in the driver of the same job
        return scanner
    if load().digest != digest:
        raise ModelError("this executor has another shipped model than the driver: install the same fraudscan on both")
    return load()


def _schema(frame: Any, scanner: Scanner, **options: bool) -> Any:
    from pyspark.sql import types

    kinds = {str: types.StringType(), list: types.ArrayType(types.StringType()), float: types.DoubleType()}
    fields = list(frame.schema.fields)
    for name in names_of(scanner, **options):
        column = (COLUMNS | OPTIONAL).get(name)  # the others hold probabilities, as float32
        fields.append(types.StructField(name, kinds[column.kind] if column else types.FloatType()))
    return types.StructType(fields)
