"""Tables as text, CSV and TSV: cells of some columns are passages; all others are kept."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from llmasos.errors import ToolError
from llmasos.tools.translation.document import Document, Passage
from llmasos.tools.translation.marks import Kept, kept, words_in

_SNIFFED = 20_000
_LOOKED_AT = 200
_WORDS = re.compile(r"(?:[^\W\d_]+\W+){2}[^\W\d_]|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{3,}")


def _counted(text: str) -> Counter[str]:
    # A spreadsheet would compute it.
    return Counter(["formula"] if text.lstrip()[:1] in ("=", "+", "-", "@") else [])


_KEPT = Kept(kept(), counted=_counted)


@dataclass(frozen=True)
class _Cell:
    start: int
    end: int
    text: str
    quoted: bool


def table(source: str, names: Sequence[str], delimiter: str = "") -> Document:
    """Return the passages of a table: the cells below the names of its columns.

    Args:
        source: The table as text.
        names: Columns by name, or by number from 1; nothing for those that hold sentences.
        delimiter: What separates cells; found out where it is not given.

    Raises:
        ToolError: There is no such column, or none that holds sentences.
    """
    delimiter = delimiter or _delimiter(source)
    rows = list(_rows(source, delimiter))
    header = [cell.text.strip() for cell in rows[0]] if rows else []
    chosen = [_column(name, header) for name in names] if names else list(_prose(rows, len(header)))
    if not chosen:
        raise ToolError(
            "No column of this table holds sentences.",
            hint=f"Name the columns that are to be translated, of: {', '.join(header) or 'none'}.",
        )
    cells = [row[number] for row in rows[1:] for number in sorted(set(chosen)) if number < len(row)]
    told = ", ".join(header[number] or str(number + 1) for number in sorted(set(chosen)))
    passages = (_passage(cell, delimiter) for cell in cells if not cell.text.lstrip().startswith("="))
    return Document(source, passages, [f"Columns: {told}"])


def _passage(cell: _Cell, delimiter: str) -> Passage:
    write = partial(_written, quoted=cell.quoted, delimiter=delimiter)
    return Passage(cell.start, cell.end, cell.text, _KEPT, write, one_line="\n" not in cell.text)


def _written(text: str, *, quoted: bool, delimiter: str) -> str:
    if quoted or any(mark in text for mark in (delimiter, '"', "\n", "\r")):
        return '"' + text.replace('"', '""') + '"'
    return text


def _column(name: str, header: Sequence[str]) -> int:
    folded = [title.casefold() for title in header]
    if name.strip().casefold() in folded:
        return folded.index(name.strip().casefold())
    if name.strip().isdecimal() and 1 <= int(name) <= len(header):
        return int(name) - 1
    raise ToolError(f"There is no column {name!r}.", hint=f"The columns are: {', '.join(header)}.")


def _prose(rows: Sequence[Sequence[_Cell]], width: int) -> Iterator[int]:
    """Yield the columns that hold sentences, or at least a few words in a row."""
    for number in range(width):
        texts = [row[number].text for row in rows[1 : _LOOKED_AT + 1] if number < len(row)]
        told = [text for text in texts if text.strip() and not text.lstrip().startswith("=")]
        if told and sum(bool(_WORDS.search(text)) and bool(words_in(text)) for text in told) * 2 >= len(told):
            yield number


def _delimiter(source: str) -> str:
    try:
        return csv.Sniffer().sniff(source[:_SNIFFED].partition("\n")[0] or ",", ",;\t|").delimiter
    except csv.Error:
        return ","


def _rows(source: str, delimiter: str) -> Iterator[list[_Cell]]:
    """Yield the rows of a table with the places of their cells (RFC 4180)."""
    plain = re.compile(rf"[^{re.escape(delimiter)}\r\n]*")
    quoted = re.compile(r'[ \t]*"((?:[^"]|"")*)"?')
    at, row = 0, list[_Cell]()
    while at < len(source):
        found = quoted.match(source, at) or plain.match(source, at)
        assert found is not None
        inside = found.re is quoted
        text = found[1].replace('""', '"') if inside else found[0]
        row.append(_Cell(at, found.end(), text, inside))
        at = found.end()
        if inside:
            # What stands after a closing quote belongs to nothing.
            rest = plain.match(source, at)
            at = rest.end() if rest else at
        if source.startswith(delimiter, at):
            at += 1
            if at < len(source):
                continue
        if any(cell.text for cell in row):
            yield row
        row = []
        at += 2 if source.startswith("\r\n", at) else 1
    if row:
        yield row
