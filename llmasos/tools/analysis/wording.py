"""An analysis in words: what a model is told of data, and what a person is told of an answer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN_ROWS = 20
_BAR = 30
_STEPS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_WIDEST = 60
_LINE = 60


def profile_lines(table: Mapping[str, Any]) -> list[str]:
    """Return a table's profile, a line for each column."""
    notes = f" ({'; '.join(table['notes'])})" if table["notes"] else ""
    return [
        f"table {table['table']}: {table['path']}, {table['rows']:,} rows{notes}",
        *(f"  {_column(column)}" for column in table["columns"]),
    ]


def _column(column: Mapping[str, Any]) -> str:
    name = column["name"] if re.fullmatch(r"[a-z_][a-z0-9_]*", column["name"]) else f'"{column["name"]}"'
    parts = [f"{name} {column['type']}"]
    if column["missing"]:
        parts.append(f"{column['missing']:g}% missing")
    if column["common"]:
        values = ", ".join(f"'{value}'" for value, _ in column["common"])
        parts.append(f"{column['distinct']:,} values such as {values}")
    elif column["min"] != "":
        middle = f", median {_short(column['median'])}" if column["median"] else ""
        parts.append(f"{_short(column['min'])} to {_short(column['max'])}{middle}")
    return ", ".join([*parts, *column["notes"]])


def _short(text: str) -> str:
    try:
        return f"{float(text):g}" if "." in text else text
    except ValueError:
        return text


def table_of(result: Mapping[str, Any]) -> str:
    """Return the rows of a result as a Markdown table, the first of many."""
    names = [_cell(name) for name, _ in result["columns"]]
    lines = [names, ["---"] * len(names)]
    lines += [[_cell(_value(value)) for value in row] for row in result["rows"][:_SHOWN_ROWS]]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    count = len(result["rows"])
    if count > _SHOWN_ROWS or result["more"]:
        text += f"\n({count:,}{' or more' if result['more'] else ''} rows; the first {_SHOWN_ROWS} are shown)"
    return text


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:_WIDEST]


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) >= 0.01 or value == 0 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def blocks_of(chart: Mapping[str, Any]) -> str:
    """Return a chart in block characters; empty for one that cannot be."""
    labels = [str(point[0]) for point in chart["points"]]
    values = [float(point[1]) for point in chart["points"]]
    low, high = min(0.0, *values), max(0.0, *values)
    if high == low:
        return ""
    if chart["kind"] == "bar" and low == 0:
        width = min(24, max(map(_width, labels)))
        return "\n".join(
            f"{_padded(label, width)} {_bar(value / high)} {_value(value)}"
            for label, value in zip(labels, values, strict=True)
        )
    if chart["kind"] != "line":
        return ""
    least = min(values)
    span = max(values) - least or 1.0
    step = max(1, -(-len(values) // _LINE))
    line = "".join(_STEPS[round((value - least) / span * 7)] for value in values[::step])
    return f"{chart['y']}: {_value(least)} to {_value(max(values))}\n{line}\n{labels[0]} … {labels[-1]}"


def _bar(share: float) -> str:
    eighths = round(share * _BAR * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _padded(text: str, width: int) -> str:
    while _width(text) > width:
        text = text[:-1]
    return text + " " * (width - _width(text))


def rests_line(rests: Sequence[Mapping[str, Any]], paths: Mapping[str, str]) -> str:
    """Return the rows that an answer rests on, and by what they were chosen."""
    told = []
    for one in rests:
        of = f"{one['rows']:,} of {one['of']:,}" if one["rows"] != one["of"] else f"all {one['of']:,}"
        if one["some"]:
            of = f"some of the {one['of']:,}"
        where = f", where {one['where']}" if one["where"] else ""
        told.append(f"{of} rows of {paths.get(one['table'], one['table'])}{where}")
    which = " The query says which." if any(one["some"] for one in rests) else ""
    return f"Rests on {'; '.join(told)}.{which}" if told else ""
