"""Tables and texts from CSV and Parquet files, read in two passes so that little but the result is held.

Numbers stay as they are and booleans become 0 and 1. A column of words becomes a column of 0 and 1 for each
word, named `column=word`; a word that a client does not have is a column of zeros for it, so that clients
with other words still agree. A single column of words beside the label makes a data set of texts.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from llmasos.federated.data.files import MAX_BYTES, check_room, check_text, opened, shown
from llmasos.federated.data.labels import MAX_CLASSES, check_classes
from llmasos.federated.dataset import Dataset
from llmasos.federated.port import DataError

MAX_WORDS = 50
"""How many different words a column may hold to become columns of 0 and 1."""

_MAX_COLUMNS = 10_000
_LONGEST_WORD = 100
_BLOCK = 4 << 20
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "<NA>", "-", "?")
_BOOLEANS = {"true", "false"}
_WHOLE = re.compile(r"\A([+-]?\d+)\.0*\Z")
_GIVE_ROWS = "Give a file with a row for each example."

# Of what is parsed only a pass over all rows says whether it is numbers, booleans or words.
Kind = Literal["parsed", "numbers", "booleans", "words"]
Batches = Callable[[], Iterator[Any]]


@dataclass
class _Column:
    """What is known of a column.

    Args:
        words: What it holds, unless that is too much.
        many: Whether it is.
    """

    name: str
    kind: Kind
    words: set[str] = field(default_factory=set)
    many: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        if self.kind == "words":
            return tuple(f"{self.name}={word}" for word in sorted(self.words - {""}))
        return (self.name,)


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

        columns = [_Column(one, "parsed") for one in names]
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
        columns = [_Column(one.name, _kind(one, name)) for one in table.schema_arrow]
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
    if all(_is_number(one) for one in names):
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


def _kind(column: Any, name: str) -> Kind:
    """Return what a Parquet file's column holds."""
    from pyarrow import types

    held = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_string(held) or types.is_large_string(held) or types.is_string_view(held):
        return "words"
    if types.is_boolean(held):
        return "booleans"
    if types.is_integer(held) or types.is_floating(held) or types.is_decimal(held):
        return "numbers"
    raise DataError(
        f"Column {shown(column.name)} of {name} holds {held}, from which nothing is learnt.",
        hint="Leave it out, or turn it into numbers.",
    )


def _read(batches: Batches, columns: list[_Column], label: str, name: str, *, most: int) -> Dataset:
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
    classes = sorted(counts)
    labels = np.full(rows, "", f"<U{max(map(len, classes), default=1)}")
    done = 0
    for batch in batches():
        if done + batch.num_rows > rows:
            raise DataError(f"{name} changed while it was read.", hint="Try again.")
        part = slice(done, done + batch.num_rows)
        if at >= 0:
            labels[part] = _decoded(batch.column(at))
        if texts:
            inputs[part] = batch.column(features[0][0]).cast("string").fill_null("").to_pylist()
        else:
            _fill(inputs[part], batch, features)
        done += batch.num_rows
    return Dataset("texts" if texts else "table", inputs, labels, names)


def _scan(batches: Iterator[Any], columns: list[_Column], at: int, name: str) -> tuple[int, dict[str, int]]:
    """Find out what each column holds; return how many rows there are, and how many of each class."""
    import pyarrow as pa

    rows = 0
    counts: Counter[str] = Counter()
    parsed = [column.kind == "parsed" for column in columns]
    for batch in batches:
        rows += batch.num_rows
        for place, column in enumerate(columns):
            values = batch.column(place)
            if place == at:
                words, codes = _encoded(values)
                for word, times in zip(words, np.bincount(codes, minlength=len(words)), strict=True):
                    counts[word] += int(times)
                if len(counts) > MAX_CLASSES:
                    check_classes(counts, name)
                continue
            if column.kind in ("parsed", "words") and not column.many:
                words = _encoded(values)[0]
                column.words.update(words)
                column.many = (
                    len(column.words) > MAX_WORDS or max(map(len, column.words), default=0) > _LONGEST_WORD
                )
                values = pa.array(words, pa.string()) if column.kind == "parsed" else values
            if column.kind == "parsed" and _numbers(values) is None:
                column.kind = "words"
    if not rows:
        raise DataError(f"{name} has no rows.", hint=_GIVE_ROWS)
    for column, guessed in zip(columns, parsed, strict=True):
        if column.kind == "parsed":
            column.kind = "numbers"
        elif guessed and not column.many and {one.lower() for one in column.words} <= {*_BOOLEANS, *_MISSING}:
            column.kind = "booleans"
    return rows, dict(counts)


def _fill(into: npt.NDArray[np.float32], batch: Any, features: list[tuple[int, _Column]]) -> None:
    """Write a batch's columns as numbers; NaN is what is missing."""
    from pyarrow import types

    to = 0
    for place, column in features:
        values = batch.column(place)
        names = column.names
        if column.kind == "words":
            words, codes = _encoded(values)
            for shift, word in enumerate(sorted(column.words - {""})):
                into[:, to + shift] = codes == words.index(word) if word in words else 0
            if "" in words:
                into[codes == words.index(""), to : to + len(names)] = np.nan
        elif column.kind == "booleans":
            words, codes = _encoded(values)
            into[:, to] = np.array([_boolean(word) for word in words], np.float32)[codes]
        elif types.is_string(values.type):
            numbers = _numbers(values)
            into[:, to] = np.nan if numbers is None else numbers.to_numpy(zero_copy_only=False)
        else:
            into[:, to] = values.cast("float32", safe=False).to_numpy(zero_copy_only=False)
        to += len(names)


def _boolean(word: str) -> float:
    return float(word.lower() == "true") if word.lower() in _BOOLEANS else math.nan


def _numbers(values: Any) -> Any:
    """Return strings as 4-byte numbers, null where one is missing; or None if some are no numbers."""
    import pyarrow as pa
    from pyarrow import compute

    with suppress(pa.ArrowInvalid):
        return values.cast("float32")
    values = compute.utf8_trim_whitespace(values)
    missing = compute.is_in(values, value_set=pa.array(_MISSING))
    with suppress(pa.ArrowInvalid):
        return compute.if_else(missing, None, values).cast("float32")
    return None


def _encoded(values: Any) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the different words of a column, and each row's place among them; the empty one is missing."""
    coded = values if hasattr(values, "dictionary") else values.dictionary_encode()
    words = [_word(value) for value in coded.dictionary.to_pylist()]
    places = {word: place for place, word in enumerate(dict.fromkeys([*words, ""]))}
    codes = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False).astype(np.int64)
    codes = np.array([*(places[word] for word in words), places[""]])[codes]
    if "" not in words and not coded.null_count:
        del places[""]
    return list(places), codes


def _decoded(values: Any) -> npt.NDArray[np.str_]:
    words, codes = _encoded(values)
    return np.array(words, np.str_)[codes]


def _word(value: Any) -> str:
    """Return a value as a label; a whole number is written alike whatever its type is."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int)) and math.isfinite(value) and value == int(value):
        return str(int(value))
    # What is 1 on one client is often 1.0 on another.
    return _WHOLE.sub(r"\1", str(value).strip())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
