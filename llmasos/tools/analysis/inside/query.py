"""One query, run; and which rows of which tables its answer rests on."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
import math
import os
from typing import Any, TextIO

from .tables import DataError

_MOST_ROWS = 1000
_LONGEST = 300
_AT_ONCE = 10_000


def run(con: Any, sql: str, save_as: str = "") -> dict[str, Any]:
    """Return the first rows of a query, as JSON has them, and how many were saved.

    Args:
        con: The connection.
        sql: One SELECT.
        save_as: A file of the workspace that gets all rows as CSV (RFC 4180, with line feeds).

    Raises:
        DataError: It is another statement, or fails.
    """
    import duckdb

    try:
        statements = con.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise DataError("It is not one SELECT.")
        found = con.execute(sql)
        columns = [[column[0], str(column[1])] for column in found.description]
        rows = found.fetchmany(_MOST_ROWS + 1)
        saved = _save(save_as, columns, rows, found) if save_as else 0
    except duckdb.Error as error:
        raise DataError(str(error)[:1500]) from None
    except OSError as error:
        raise DataError("%s cannot be written: %s" % (save_as, error.strerror)) from None
    return {
        "columns": columns,
        "rows": [[plain(value) for value in row] for row in rows[:_MOST_ROWS]],
        "more": len(rows) > _MOST_ROWS,
        "saved": saved,
        "rests": rests_on(con, sql),
    }


class _Lines:
    """Ends lines with line feeds; with `lineterminator`, a carriage return in a value would stay bare."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line.removesuffix("\r\n") + "\n")


def _save(path: str, columns: list[list[str]], rows: list[tuple[Any, ...]], found: Any) -> int:
    """Write rows and those that follow as CSV, wholly or not at all; return how many they are."""
    count = 0
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    part = path + ".part"
    try:
        with open(part, "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(_Lines(file))
            lines.writerow([name for name, _ in columns])
            while rows:
                lines.writerows([_text(value) for value in row] for row in rows)
                count += len(rows)
                rows = found.fetchmany(_AT_ONCE)
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.unlink(part)
        raise
    return count


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value


def rests_on(con: Any, sql: str) -> list[dict[str, Any]]:
    """Return how many rows of each table the answer rests on, and by which conditions they were chosen.

    Of what cannot be told, such as a query of queries, it is told whether it leaves out rows.
    """
    import duckdb

    try:
        tree = json.loads(con.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()[0])
        node = tree["statements"][0]["node"]
        one = json.loads(con.execute("SELECT json_serialize_sql('SELECT count(*) FROM t')").fetchone()[0])
        counting = one["statements"][0]["node"]
    except (duckdb.Error, LookupError):
        # A query that cannot be taken apart, or another form of its parts.
        return []
    tables = sorted(set(_tables(node)) & {row[0] for row in con.execute("SHOW TABLES").fetchall()})
    found = []
    for table in tables:
        count = _count(con, table)
        found.append({"table": table, "rows": count, "of": count, "where": "", "some": False})
    source = node.get("from_table", {})
    condition = node.get("where_clause")
    plain_one = (
        node.get("type") == "SELECT_NODE"
        and source.get("type") == "BASE_TABLE"
        and len(tables) == 1
        and not (node.get("cte_map", {}).get("map") or node.get("sample") or node.get("qualify"))
    )
    if not plain_one or not condition:
        return [{**one, "some": _narrowed(node, top=True)} for one in found]
    counting["from_table"], counting["where_clause"] = source, condition
    wrapped = json.dumps({"error": False, "statements": [{"node": counting, "named_param_map": []}]})
    try:
        found[0]["rows"] = con.execute("SELECT * FROM json_execute_serialized_sql(?)", [wrapped]).fetchone()[
            0
        ]
        text = con.execute("SELECT json_deserialize_sql(?)", [wrapped]).fetchone()[0]
        found[0]["where"] = text.split(" WHERE ", 1)[1].strip()
    except (duckdb.Error, LookupError):
        found[0]["rows"] = found[0]["of"]
    return found


def _narrowed(node: Any, top: bool = False) -> bool:
    """Return whether a part of a query leaves out rows; how many of a result's rows are shown does not."""
    if isinstance(node, list):
        return any(map(_narrowed, node))
    if not isinstance(node, dict):
        return False
    limited = node.get("type") in ("LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER")
    if limited or any(node.get(what) for what in ("where_clause", "sample", "qualify")):
        return True
    parts = {name: value for name, value in node.items() if not (top and name == "modifiers")}
    return any(map(_narrowed, parts.values()))


def _tables(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["table_name"]] if node.get("type") == "BASE_TABLE" else []
        return own + [name for value in node.values() for name in _tables(value)]
    if isinstance(node, list):
        return [name for value in node for name in _tables(value)]
    return []


def _count(con: Any, table: str) -> int:
    return int(con.execute('SELECT count(*) FROM "%s"' % table).fetchone()[0])


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
