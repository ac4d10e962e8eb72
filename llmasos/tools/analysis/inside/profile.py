"""What tables hold: types, missing values, distributions, and what is suspicious about them."""

from __future__ import annotations

import datetime
from typing import Any

from .tables import Source, identifier

_MOST_COLUMNS = 60
_SAMPLED = 1_000_000  # rows; of more, values are looked at in a sample
_SAMPLE = 100_000
_LARGE = 1_000_000_000  # bytes; of more, all statistics come from the sample
_COMMON = 5
_NAMED = 20
_SHOWN = 60
_TOTAL = r"(?i)\s*((grand|sub)?[- ]?totals?( général)?|sum|summe|gesamt(summe)?|итого|合计|总计|小计|合計|総計)\s*:?\s*"
_DATES = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"


def profile(con: Any, source: Source, size: int) -> dict[str, Any]:
    """Return what a table holds.

    Args:
        con: The connection.
        source: The table.
        size: Bytes of its file.
    """
    table = source.table
    before = _scans(con)
    rows = con.execute("SELECT count(*) FROM %s" % table).fetchone()[0]
    looked_at = table
    if rows > _SAMPLED:
        looked_at = "sample_of_%s" % table
        con.execute(
            "CREATE TEMP TABLE %s AS SELECT * FROM %s USING SAMPLE reservoir(%d ROWS) REPEATABLE (1)"
            % (looked_at, table, _SAMPLE)
        )
    every = [row[0] for row in con.execute("DESCRIBE %s" % table).fetchall()]
    shown_of = ", ".join(map(identifier, every[:_MOST_COLUMNS]))
    sampled = size > _LARGE and looked_at != table
    if len(every) > _MOST_COLUMNS and looked_at == table:
        # A line of thousands of fields takes long to read, and each column is looked at by itself.
        looked_at = "part_of_%s" % table
        con.execute("CREATE TEMP TABLE %s AS SELECT %s FROM %s" % (looked_at, shown_of, table))
    summarised = looked_at if sampled or rows <= _SAMPLED else table
    found = con.execute("SUMMARIZE SELECT %s FROM %s" % (shown_of, summarised))
    names = [column[0] for column in found.description]
    columns = [dict(zip(names, row)) for row in found.fetchall()]
    notes = list(source.notes)
    if sampled:
        notes.append("its statistics come from %s rows of it" % format(_SAMPLE, ","))
    if len(every) > _MOST_COLUMNS:
        more = every[_MOST_COLUMNS:]
        notes.append("%d more columns are not shown: %s" % (len(more), _in_short(more)))
    shown = [_column(con, looked_at, one) for one in columns]
    notes += _totals(
        con, looked_at, [one["column_name"] for one in columns if one["column_type"] == "VARCHAR"]
    )
    rejected = _rejected(con, before)
    if rejected:
        notes.append("%s lines cannot be read and are left out" % format(rejected, ","))
    return {
        "table": table,
        "path": source.path,
        "file": source.file,
        "inner": source.inner,
        "query": source.query,
        "encoding": source.encoding,
        "header": source.header,
        "rows": rows,
        "columns": shown,
        "notes": notes,
    }


def _in_short(names: list[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return "%s … %s" % (", ".join(names[: _NAMED - 1]), names[-1])


def _scans(con: Any) -> int:
    """Return the number of the last scan that left lines out."""
    return _of_rejects(con, "SELECT coalesce(max(scan_id), 0) FROM reject_errors")


def _rejected(con: Any, before: int) -> int:
    return _of_rejects(con, "SELECT count(DISTINCT line) FROM reject_errors WHERE scan_id > %d" % before)


def _of_rejects(con: Any, query: str) -> int:
    import duckdb

    try:
        return int(con.execute(query).fetchone()[0])
    except duckdb.CatalogException:
        # The table is there once a CSV has been read.
        return 0


def _column(con: Any, table: str, told: dict[str, Any]) -> dict[str, Any]:
    name, kind = told["column_name"], told["column_type"]
    quoted = identifier(name)
    column = {
        "name": name,
        "type": kind,
        "missing": float(told["null_percentage"] or 0),
        "distinct": int(told["approx_unique"] or 0),
        "min": _plain(told["min"]),
        "max": _plain(told["max"]),
        "mean": _plain(told["avg"]) if kind not in ("DATE", "TIMESTAMP") else "",
        "median": _plain(told["q50"]) if kind not in ("DATE", "TIMESTAMP") else "",
        "common": [],
        "notes": [],
    }
    if kind == "VARCHAR":
        column["common"] = [
            [_plain(value), count]
            for value, count in con.execute(
                "SELECT %s, count(*) FROM %s WHERE %s IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %d"
                % (quoted, table, quoted, _COMMON)
            ).fetchall()
        ]
        column["distinct"], column["notes"] = _texts(con, table, quoted)
    elif kind.startswith(("DATE", "TIMESTAMP")):
        column["notes"] = _dates(con, table, quoted)
    elif _is_number(kind):
        column["notes"] = _numbers(con, table, quoted)
    return column


def _is_number(kind: str) -> bool:
    return kind.startswith(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "U")
    )


def _numbers(con: Any, table: str, column: str) -> list[str]:
    low, high, far = con.execute(
        "WITH v AS (SELECT %s AS value FROM %s), "
        "q AS (SELECT quantile_cont(value, 0.25) AS low, quantile_cont(value, 0.75) AS high FROM v) "
        "SELECT low, high, (SELECT count(*) FROM v WHERE value < low - 5 * (high - low) OR "
        "value > high + 5 * (high - low)) FROM q" % (column, table)
    ).fetchone()
    if far and high is not None and high > low:
        return ["%s values are far from the others" % format(far, ",")]
    return []


def _dates(con: Any, table: str, column: str) -> list[str]:
    today = datetime.date.today().isoformat()
    counted = con.execute(
        "SELECT count(*) FILTER (%s > DATE '%s'), count(*) FILTER (%s < DATE '1900-01-01'), "
        "count(*) FILTER (%s::DATE IN (DATE '1970-01-01', DATE '1900-01-01', DATE '9999-12-31')) FROM %s"
        % (column, today, column, column, table)
    ).fetchone()
    words = ("lie in the future", "lie before 1900", "look like placeholders")
    return ["%s dates %s" % (format(count, ","), what) for count, what in zip(counted, words) if count]


def _totals(con: Any, table: str, columns: list[str]) -> list[str]:
    """Return which rows may be sums of others, so that a sum of all has them twice."""
    found = []
    for name in columns:
        count, said = con.execute(
            "SELECT count(*), any_value(v) FROM (SELECT %s AS v FROM %s) WHERE regexp_full_match(v, ?)"
            % (identifier(name), table),
            [_TOTAL],
        ).fetchone()
        if count:
            rows = "1 row whose" if count == 1 else "%s rows whose" % format(count, ",")
            found.append("%s %s is %r may be a sum of others" % (rows, name, said))
    return found


def _texts(con: Any, table: str, column: str) -> tuple[int, list[str]]:
    distinct, dates, formulas, numbers, blank, rows = con.execute(
        "SELECT count(DISTINCT %s), count(*) FILTER (regexp_matches(%s, '%s')), "
        "count(*) FILTER (regexp_matches(%s, '^[=+@][A-Za-z(]')), "
        "count(*) FILTER (try_cast(%s AS DOUBLE) IS NOT NULL), "
        "count(*) FILTER (trim(%s) = ''), count(%s) FROM %s"
        % (column, column, _DATES, column, column, column, column, table)
    ).fetchone()
    notes = []
    if rows and dates > rows / 2:
        notes.append("looks like dates, but not in one order of day and month, or not all of it")
    if formulas:
        notes.append("%s values begin like formulas; they are taken as text" % format(formulas, ","))
    if rows and numbers > rows / 2:
        notes.append("%s of %s values are numbers" % (format(numbers, ","), format(rows, ",")))
    if blank:
        notes.append("%s values are blank" % format(blank, ","))
    return int(distinct), notes


def _plain(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
