"""Labels: whether they are classes at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from llmasos.federated.port import DataError

MAX_CLASSES = 10_000
"""How many classes there may be."""

_LONGEST = 100
_FEW = 20
_ENOUGH = 200


def check_classes(counts: Mapping[str, int], name: str, *, whole: bool = False) -> None:
    """Check that labels are classes, and neither measurements, names nor texts.

    Args:
        counts: How many rows there are of each class.
        name: Whose labels they are.
        whole: Whether these are all rows there are; a client's few rows may have many classes of many.

    Raises:
        DataError: They are something else.
    """
    rows, several = sum(counts.values()), len(counts)
    if not all(map(str.isprintable, counts)):
        raise DataError(
            f"The labels of {name} hold line breaks or other characters that are not seen.",
            hint="Close all quotation marks, and clean the labels.",
        )
    longest = max(map(len, counts), default=0)
    if longest > _LONGEST:
        raise DataError(
            f"The labels of {name} are texts of up to {longest:,} characters, not classes.",
            hint="Name the column that holds the classes with `label`.",
        )
    telling = several > _FEW and (whole or rows >= _ENOUGH)
    numbers = _numbers(counts)
    # Whole numbers are often names of classes; broken numbers seldom are.
    broken = any(number != round(number) for number in numbers if math.isfinite(number))
    if (broken and several > 2 and (several > _FEW or several * 2 > rows)) or (
        numbers and telling and several * 5 > rows
    ):
        raise DataError(
            f"The labels of {name} look like measurements: {several:,} different numbers in {rows:,} rows.",
            hint="Only classes are learnt: name another column with `label`, or write ranges such as low, "
            "middle and high in place of the numbers.",
        )
    if several > MAX_CLASSES or (telling and several * 2 > rows):
        raise DataError(
            f"The labels of {name} look like names: {several:,} different ones in {rows:,} rows.",
            hint="Name the column that holds the classes with `label`.",
        )


def _numbers(labels: Iterable[str]) -> list[float]:
    """Return labels as numbers; nothing if one of them is none."""
    try:
        return [float(label) for label in labels]
    except ValueError:
        return []
