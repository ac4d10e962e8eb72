"""Which chart rows make: it needs nothing but them."""

from __future__ import annotations

from typing import Any, Sequence

_MOST_BARS = 30
_MOST_POINTS = 500
_NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "NUMBER",
    "U",
)
_TIMES = ("DATE", "TIMESTAMP", "TIME")
_PERIODS = ("year", "month", "quarter", "week", "day", "date", "hour", "年", "月", "日", "周", "季")


def chart_of(
    columns: Sequence[Sequence[str]], rows: Sequence[Sequence[Any]], title: str
) -> "dict[str, Any] | None":
    """Return a chart of rows: kind, title, names of both axes, and points; None when they make none.

    Args:
        columns: Each column's name and type.
        rows: The rows.
        title: What the chart is called.
    """
    if len(rows) < 2 or len(columns) < 2:
        return None
    numbers = [index for index, (_, kind) in enumerate(columns) if kind.upper().startswith(_NUMBERS)]
    others = [index for index in range(len(columns)) if index not in numbers]
    times = [index for index in others if columns[index][1].upper().startswith(_TIMES)]
    periods = [index for index in numbers if any(word in columns[index][0].lower() for word in _PERIODS)]
    values = [index for index in numbers if index not in periods[:1]]
    if times and numbers:
        kind, x, y = "line", times[0], numbers[-1]
    elif periods and values and not others:
        kind, x, y = "line", periods[0], values[-1]
    elif others and numbers and len(rows) <= _MOST_BARS:
        kind, x, y = "bar", others[0], numbers[-1]
    elif len(numbers) == 2 and not others:
        kind, x, y = "scatter", numbers[0], numbers[1]
    else:
        return None
    points = [[row[x], row[y]] for row in rows[:_MOST_POINTS] if row[x] is not None and row[y] is not None]
    if kind == "line":
        points.sort(key=lambda point: point[0])
    if len(points) < 2:
        return None
    return {"kind": kind, "title": title, "x": columns[x][0], "y": columns[y][0], "points": points}
