"""Tables and texts from CSV and Parquet files, read in two passes so that little but the result is held.

A single column of words beside the label makes a data set of texts, and more columns a table.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from llmasos.federated.data.columns import MAX_WORDS, Column, encoded, is_number, kind_of
from llmasos.federated.data.files import MAX_BYTES, check_room, check_text, opened, shown
from llmasos.federated.data.labels import MAX_CLASSES, check_classes
from llmasos.federated.dataset import Dataset
from llmasos.federated.port import DataError

_MAX_COLUMNS = 10_000
_BLOCK = 4 << 20
_GIVE_ROWS = "Give a file with a row for each example."

Batches = Callable[[], Iterator[Any]]


def read_csv(path: Path, label: str = "") -> Dataset:
    """Read a CSV file with a line of names; commas, semicolons or tabs part the columns.

    Raises:
        DataError: It is not such a file, or nothing can be learnt from it.
    """
    from pyarrow import csv as arrow
    from pyarrow import string

    name = shown(path.name)
    with opened(path) as file, _refusing(name):
        check_text(file, name)
        names, delimiter = _header(file, name)
        places = [str(place) for place in range(len(names))]
        size = file.seek(0, io.SEEK_END)

        def batches() -> Iterator[Any]:
            file.seek(0)
            return iter(
                arrow.open_csv(
                    # Arrow closes what it is given.
                    io.FileIO(file.fileno(), closefd=False),
                    arrow.ReadOptions(
                        use_threads=False, block_size=_BLOCK, column_names=places, skip_rows_after_names=1
                    ),
                    arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                    arrow.ConvertOptions(column_types=dict.fromkeys(places, string())),
                )
            )

        columns = [Column(one) for one in names]
        return _read(batches, columns, label, name, most=min(MAX_BYTES, max(3 * size, 64 << 20)))


def read_parquet(path: Path, label: str = "") -> Dataset:
    """Read a Parquet file.

    Raises:
        DataError: It is not such a file, or nothing can be learnt from it.
    """
    from pyarrow import parquet

    name = shown(path.name)
    with opened(path) as file, _refusing(name):
        table = parquet.ParquetFile(file, pre_buffer=False)
        _check_names(table.schema_arrow.names, name)
        columns = [Column(one.name, kind_of(one.type, one.name, name)) for one in table.schema_arrow]
        # A few bytes can stand for very many equal rows.
        check_room(table.metadata.num_rows, len(columns), name, MAX_BYTES)
        return _read(
            lambda: table.iter_batches(batch_size=1 << 16, use_threads=False),
            columns,
            label,
            name,
            most=MAX_BYTES,
        )


def _header(file: BinaryIO, name: str) -> tuple[list[str], str]:
    """Return the columns' names, and what parts them."""
    text = file.read(_BLOCK).decode("utf-8-sig", errors="ignore")
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    names = [one.strip() for one in next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])]
    if not names:
        raise DataError(f"The first line of {name} is blank.", hint="Begin with the columns' names.")
    if not re.search(r"[\r\n]", text.strip()):
        raise DataError(f"{name} has no rows.", hint=_GIVE_ROWS)
    if all(is_number(one) for one in names):
        raise DataError(
            f"The first line of {name} has numbers in place of the columns' names.",
            hint="Write a first line with a name for each column.",
        )
    _check_names(names, name)
    return names, delimiter


def _check_names(names: list[str], name: str) -> None:
    if not names or len(names) > _MAX_COLUMNS:
        raise DataError(
            f"{name} has {len(names):,} columns.", hint=f"Give a file with 1 to {_MAX_COLUMNS:,} columns."
        )
    if not all(names):
        raise DataError(
            f"Column {names.index('') + 1} of {name} has no name; perhaps it holds the rows' numbers.",
            hint="Leave it out (in pandas with `to_csv(index=False)`), or name it.",
        )
    if twice := [one for one, times in Counter(names).items() if times > 1]:
        raise DataError(
            f"{name} has several columns of the name {shown(*twice)}.", hint="Give each column its own name."
        )
    if signs := [one for one in names if "=" in one]:
        raise DataError(
            f"Column {shown(*signs)} of {name} has `=` in its name, which parts a column from its words.",
            hint="Rename it.",
        )


def _read(batches: Batches, columns: list[Column], label: str, name: str, *, most: int) -> Dataset:
    """Return the rows that two passes over batches give."""
    told = [column.name for column in columns]
    if label and label not in told:
        raise DataError(
            f"{name} has no column {shown(label)}; it has {shown(*told, most=20)}.",
            hint="Name one of its columns with `label`.",
        )
    at = told.index(label) if label else len(told) - 1 if len(told) > 1 else -1
    rows, counts = _scan(batches(), columns, at, name)
    features = [(place, column) for place, column in enumerate(columns) if place != at]
    if not features or (at < 0 and columns[0].kind != "words"):
        raise DataError(f"{name} has one column only.", hint="Give columns to learn from, and one of labels.")
    if missing := counts.pop("", 0):
        raise DataError(
            f"{missing:,} rows of {name} have no label in column {shown(told[at])}.",
            hint="Leave those rows out, or write their labels.",
        )
    check_classes(counts, name)
    texts = len(features) == 1 and features[0][1].kind == "words"
    if blank := [column.name for _, column in features if column.kind == "words" and column.words <= {""}]:
        raise DataError(f"Column {shown(*blank)} of {name} is blank.", hint="Leave it out.")
    many = [column.name for _, column in features if column.kind == "words" and column.many]
    if many and not texts:
        raise DataError(
            f"Column {shown(*many)} of {name} holds texts, or more than {MAX_WORDS} different words.",
            hint="Leave it out, or write what matters in it as numbers (with a point before decimals); to "
            "learn from texts, keep one column of them and the label.",
        )
    names = () if texts else tuple(one for _, column in features for one in column.names)
    check_room(rows, len(names) + max(map(len, counts), default=0), name, most)
    inputs: npt.NDArray[Any] = (
        np.empty(rows, np.dtypes.StringDType()) if texts else np.empty((rows, len(names)), np.float32)
    )
    labels = np.full(rows, "", f"<U{max(map(len, counts), default=1)}")
    done = 0
    for batch in batches():
        part = slice(done, done + batch.num_rows)
        done += batch.num_rows
        if done > rows:
            break
        if at >= 0:
            words, codes = encoded(batch.column(at))
            labels[part] = np.array(words, np.str_)[codes]
        if texts:
            inputs[part] = batch.column(features[0][0]).cast("string").fill_null("").to_pylist()
            continue
        to = 0
        for place, column in features:
            wide = len(column.names)
            column.fill(inputs[part, to : to + wide], batch.column(place))
            to += wide
    if done != rows:
        raise DataError(f"{name} changed while it was read.", hint="Try again.")
    return Dataset("texts" if texts else "table", inputs, labels, names)


def _scan(batches: Iterator[Any], columns: list[Column], at: int, name: str) -> tuple[int, dict[str, int]]:
    """Find out what each column holds; return how many rows there are, and how many of each class."""
    rows = 0
    counts: Counter[str] = Counter()
    for batch in batches:
        rows += batch.num_rows
        for place, column in enumerate(columns):
            if place != at:
                column.look(batch.column(place))
                continue
            words, codes = encoded(batch.column(place))
            for word, times in zip(words, np.bincount(codes, minlength=len(words)).tolist(), strict=True):
                counts[word] += times
            if len(counts) > MAX_CLASSES:
                check_classes(counts, name)
    if not rows:
        raise DataError(f"{name} has no rows.", hint=_GIVE_ROWS)
    for column in columns:
        column.settle()
    return rows, dict(counts)


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Turn what a parser says into what is wrong with a file; values of rows are not told on."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, csv.Error, UnicodeDecodeError, OSError) as error:
        if uneven := re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", str(error)):
            row = f"row {uneven[1]}" if uneven[1] else "a row"
            raise DataError(
                f"{name} is ragged: {row} has {uneven[3]} columns, not {uneven[2]}.",
                hint="Fix that row; texts with commas need quotation marks around them.",
            ) from None
        if "straddling" in str(error):
            raise DataError(
                f"{name} has a row of more than {_BLOCK >> 20} MiB; perhaps a quotation mark is not closed.",
                hint="Close it, or shorten the row.",
            ) from None
        raise DataError(
            f"{name} is damaged, or not what its name says.", hint="Export the data once more."
        ) from None
