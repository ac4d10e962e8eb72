"""What clients say of their rows, and whether it is one thing that can be learnt."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from llmasos.federated.data.files import shown
from llmasos.federated.data.labels import check_classes
from llmasos.federated.dataset import Dataset
from llmasos.federated.port import DataError
from llmasos.federated.schema import Schema, Survey

_PART = 1 << 20
# A column whose deviation is smaller than this share of its mean differs by rounding only.
_ROUNDING = 1e-12


def survey(client: str, dataset: Dataset) -> Survey:
    """Return what a client says of its rows.

    Raises:
        DataError: It has none, values are missing or infinite, or its labels are no classes.
    """
    name, rows = shown(client), len(dataset)
    if not rows:
        raise DataError(f"Client {name} has no rows.", hint="Give it rows, or leave it out.")
    if dataset.kind != "texts":
        _check_finite(dataset, name)
    classes, counts = np.unique(dataset.labels, return_counts=True)
    told = dict(zip(classes.tolist(), counts.tolist(), strict=True))
    check_classes(told, f"client {name}")
    sums, squares = _moments(dataset.inputs) if dataset.kind == "table" else ((), ())
    return Survey(
        client=client,
        kind=dataset.kind,
        rows=rows,
        shape=() if dataset.kind == "texts" else dataset.inputs.shape[1:],
        columns=dataset.columns,
        classes=told,
        sums=sums,
        squares=squares,
    )


def agree(surveys: Sequence[Survey], *, standardise: bool = True) -> Schema:
    """Return what all clients agree on.

    Args:
        surveys: What each client says, in the clients' order.
        standardise: Whether a table's columns are to have mean 0 and deviation 1 over all clients; without it
            they stay as they are.

    Raises:
        DataError: They do not agree, or there is nothing to learn; names the client and the columns.
    """
    if not surveys:
        raise DataError("There is no client.", hint="Name a data set for each client.")
    first = surveys[0]
    names = Counter(one.client for one in surveys)
    if twice := [name for name, times in names.items() if times > 1]:
        raise DataError(f"Several clients are called {shown(*twice)}.", hint="Give each its own name.")
    for one in surveys:
        _check(one)
        if one.kind != first.kind:
            raise DataError(
                f"Client {shown(one.client)} has {_KINDS[one.kind]}, and {shown(first.client)} has "
                f"{_KINDS[first.kind]}.",
                hint="Give all clients data of one kind.",
            )
        if one.kind == "images" and one.shape != first.shape:
            raise DataError(
                f"The images of client {shown(one.client)} have the shape {_shape(one)}, and those of "
                f"{shown(first.client)} {_shape(first)}.",
                hint=f"Bring all to one size: write @{_shape(first)} behind each folder.",
            )
        _check_columns(one, first)
    classes = _classes(surveys)
    columns, mean, scale = _columns(surveys)
    if not standardise:
        mean, scale = (0.0,) * len(columns), (1.0,) * len(columns)
    return Schema(
        kind=first.kind,
        shape=(len(columns),) if first.kind == "table" else first.shape,
        columns=columns,
        classes=classes,
        mean=mean,
        scale=scale,
        rows=tuple(one.rows for one in surveys),
    )


_KINDS = {"table": "a table", "images": "images", "texts": "texts"}


def _shape(one: Survey) -> str:
    return "x".join(map(str, one.shape))


def _parts(inputs: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the rows in parts that are small in memory."""
    step = max(1, _PART // max(1, math.prod(inputs.shape[1:])))
    for start in range(0, len(inputs), step):
        yield inputs[start : start + step]


def _check_finite(dataset: Dataset, name: str) -> None:
    checks: tuple[tuple[str, Callable[[npt.NDArray[np.float32]], npt.NDArray[np.bool_]]], ...] = (
        ("missing", np.isnan),
        ("infinite or too large", np.isinf),
    )
    for what, wrong in checks:
        counts = sum(wrong(part).reshape(len(part), -1).sum(axis=0) for part in _parts(dataset.inputs))
        found: dict[str, int] = {}
        for place in np.flatnonzero(counts):
            column = _base(dataset.columns[place]) if dataset.columns else "pixels"
            found[column] = max(found.get(column, 0), int(np.asarray(counts)[place]))
        if found:
            told = ", ".join(f"{shown(column)} ({times:,})" for column, times in list(found.items())[:10])
            more = f" and {len(found) - 10} more columns" if len(found) > 10 else ""
            raise DataError(
                f"Client {name} has values that are {what}: {told}{more}.",
                hint="Fill them in, or leave those rows or columns out.",
            )


def _moments(inputs: npt.NDArray[np.float32]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return each column's sum, and the sum of its squared distances to its mean."""
    sums = np.sum([part.sum(axis=0, dtype=np.float64) for part in _parts(inputs)], axis=0)
    mean = sums / len(inputs)
    squares = np.sum([np.square(part - mean).sum(axis=0) for part in _parts(inputs)], axis=0)
    return tuple(sums.tolist()), tuple(squares.tolist())


def _check(one: Survey) -> None:
    """Check a survey by itself; it may come from another machine."""
    name = shown(one.client)
    if one.rows < 2:
        raise DataError(
            f"Client {name} has {one.rows} row{'' if one.rows == 1 else 's'}; 2 are needed, to train on one "
            "and evaluate on the other.",
            hint="Give it more rows, or leave it out.",
        )
    table = one.kind == "table"
    wide = len(one.columns) if table else 0
    sizes = {len(one.columns), len(one.sums), len(one.squares), *(one.shape if table else ())}
    if (
        sizes != {wide}
        or table != (wide > 0)
        or len(set(one.columns)) != wide
        or len(one.shape) != {"table": 1, "images": 3, "texts": 0}[one.kind]
        or min(one.shape, default=1) < 1
        or min(one.classes.values(), default=0) < 1
        or sum(one.classes.values()) != one.rows
        or not all(map(math.isfinite, (*one.sums, *one.squares)))
        or min(one.squares, default=0) < 0
    ):
        raise DataError(
            f"What client {name} says of its rows contradicts itself.",
            hint="Use the same version of LLMasOS on all machines, or leave the client out.",
        )


def _base(column: str) -> str:
    """Return the column of a source that a column of words comes from."""
    return column.partition("=")[0]


def _check_columns(one: Survey, first: Survey) -> None:
    bases, wanted = ({_base(column): "=" in column for column in each.columns} for each in (one, first))
    name, other = shown(one.client), shown(first.client)
    extra, missing = (
        [each for each in bases if each not in wanted],
        [each for each in wanted if each not in bases],
    )
    if extra or missing:
        parts = [f"has no column {shown(*missing)}"] if missing else []
        parts += [f"has {shown(*extra)} besides"] if extra else []
        raise DataError(
            f"Client {name} {' and '.join(parts)}, unlike {other}.",
            hint="Give all clients the same columns, with the same names.",
        )
    if mixed := [each for each in bases if bases[each] != wanted[each]]:
        words, numbers = (name, other) if bases[mixed[0]] else (other, name)
        raise DataError(
            f"Column {shown(*mixed)} holds words on {words} and numbers on {numbers}.",
            hint="Write it alike on all clients.",
        )


def _classes(surveys: Sequence[Survey]) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for one in surveys:
        counts.update(one.classes)
    if surveys[0].kind == "texts" and set(counts) == {""}:
        return ()
    if "" in counts:
        without = [one.client for one in surveys if "" in one.classes]
        raise DataError(
            f"Client {shown(*without)} has rows without labels.", hint="Leave those rows out, or label them."
        )
    if len(counts) < 2:
        raise DataError(
            f"All rows are of one class, {shown(*counts)}.",
            hint="Give rows of other classes, too, or name another column with `label`.",
        )
    check_classes(counts, "all clients", whole=True)
    return tuple(sorted(counts))


def _columns(
    surveys: Sequence[Survey],
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
    """Return a table's columns with their means and deviations over all rows (Chan et al. 1979)."""
    bases = {_base(column): place for place, column in enumerate(surveys[0].columns)}
    known = {column for one in surveys for column in one.columns}
    columns = tuple(sorted(known, key=lambda column: (bases[_base(column)], column)))
    places = {column: place for place, column in enumerate(columns)}
    rows = np.array([one.rows for one in surveys], np.float64)[:, np.newaxis]
    # Where a client does not have a word, its column is all zeros.
    sums, squares = np.zeros((2, len(surveys), len(columns)))
    for row, one in enumerate(surveys):
        at = [places[column] for column in one.columns]
        sums[row, at], squares[row, at] = one.sums, one.squares
    mean = np.array([math.fsum(column) for column in sums.T]) / rows.sum()
    between = rows * np.square(sums / rows - mean)
    spread = np.array([math.fsum(column) for column in np.concatenate([squares, between]).T])
    scale = np.sqrt(spread / rows.sum())
    scale[scale <= _ROUNDING * np.abs(mean)] = 1
    return columns, tuple(mean.tolist()), tuple(scale.tolist())
