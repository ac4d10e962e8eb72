"""Columns of a file: what they hold, and how it is written as numbers.

Numbers stay as they are and booleans become 0 and 1. A column of words becomes a column of 0 and 1 for each
word, named `column=word`; a word that a client does not have is a column of zeros for it, so that clients
with other words still agree. What is missing is NaN.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from llmasos.federated.data.files import shown
from llmasos.federated.port import DataError

MAX_WORDS = 50
"""How many different words a column may hold to become columns of 0 and 1."""

_LONGEST_WORD = 100
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "<NA>", "-", "?")
_BOOLEANS = {"true", "false"}
_WHOLE = re.compile(r"\A([+-]?\d+)\.0*\Z")

# Of what is parsed only a pass over all rows says whether it is numbers, booleans or words.
Kind = Literal["parsed", "numbers", "booleans", "words"]


@dataclass
class Column:
    """What is known of a column; `look` at all its values, `settle`, and then `fill`.

    Args:
        words: What it holds, unless that is too much.
        many: Whether it is.
        numeric: Whether all that was seen are numbers.
    """

    name: str
    kind: Kind = "parsed"
    words: set[str] = field(default_factory=set)
    many: bool = False
    numeric: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that it becomes."""
        if self.kind == "words":
            return tuple(f"{self.name}={word}" for word in sorted(self.words - {""}))
        return (self.name,)

    def look(self, values: Any) -> None:
        """Take some of its values, an array of Arrow's, into account."""
        import pyarrow as pa

        if self.kind in ("parsed", "words") and not self.many:
            words = encoded(values)[0]
            self.words.update(words)
            longest = max(map(len, self.words), default=0)
            self.many = len(self.words) > MAX_WORDS or longest > _LONGEST_WORD
            values = pa.array(words, pa.string())
        if self.kind == "parsed" and self.numeric:
            self.numeric = _numbers(values) is not None

    def settle(self) -> None:
        """Say what it holds, after all values were looked at."""
        if self.kind == "parsed" and self.numeric:
            self.kind = "numbers"
        elif self.kind == "parsed":
            boolean = {word.lower() for word in self.words} <= {*_BOOLEANS, *_MISSING}
            self.kind = "booleans" if boolean and not self.many else "words"

    def fill(self, into: npt.NDArray[np.float32], values: Any) -> None:
        """Write values as numbers into an array of shape (rows, names)."""
        from pyarrow import types

        if self.kind == "words":
            words, codes = encoded(values)
            for place, word in enumerate(sorted(self.words - {""})):
                into[:, place] = codes == words.index(word) if word in words else 0
            if "" in words:
                into[codes == words.index("")] = np.nan
        elif self.kind == "booleans":
            words, codes = encoded(values)
            into[:, 0] = np.array([_boolean(word) for word in words], np.float32)[codes]
        else:
            numbers = _numbers(values) if types.is_string(values.type) else values.cast("float32", safe=False)
            into[:, 0] = math.nan if numbers is None else numbers.to_numpy(zero_copy_only=False)


def kind_of(held: Any, column: str, name: str) -> Kind:
    """Return what an Arrow type stands for.

    Raises:
        DataError: Nothing is learnt from it.
    """
    from pyarrow import types

    held = held.value_type if types.is_dictionary(held) else held
    if types.is_string(held) or types.is_large_string(held) or types.is_string_view(held):
        return "words"
    if types.is_boolean(held):
        return "booleans"
    if types.is_integer(held) or types.is_floating(held) or types.is_decimal(held):
        return "numbers"
    raise DataError(
        f"Column {shown(column)} of {name} holds {held}, from which nothing is learnt.",
        hint="Leave it out, or turn it into numbers.",
    )


def encoded(values: Any) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return an Arrow array's different words, and each row's place among them; "" is what is missing."""
    coded = values if hasattr(values, "dictionary") else values.dictionary_encode()
    words = [_word(value) for value in coded.dictionary.to_pylist()]
    places = {word: place for place, word in enumerate(dict.fromkeys([*words, ""]))}
    codes = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False).astype(np.int64)
    codes = np.array([*(places[word] for word in words), places[""]])[codes]
    if "" not in words and not coded.null_count:
        del places[""]
    return list(places), codes


def is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


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
