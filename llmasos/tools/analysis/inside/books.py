"""Files with several tables, which are read into memory: Excel's workbooks and SQLite's databases."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import Any

from .tables import DataError, Names, Source, identifier, stem

_MOST_SHEETS = 20
_MOST_TABLES = 50
_ROWS = 50_000
_LARGEST_LOOKED_INTO = 20_000_000
_FIRST = 30  # rows in which a sheet's header is


def read_workbook(con: Any, path: str, names: Names) -> list[Source]:
    """Make a table of each sheet with rows.

    Raises:
        DataError: It cannot be read, or has none.
    """
    import pandas

    try:
        with pandas.ExcelFile(path) as book:
            sheets = book.sheet_names[:_MOST_SHEETS]
            headers = {sheet: _header(book.parse(sheet, header=None, nrows=_FIRST)) for sheet in sheets}
            frames = {sheet: book.parse(sheet, header=row) for sheet, row in headers.items() if row >= 0}
    except Exception as error:
        raise DataError("%s cannot be read as an Excel file: %s." % (path, error)) from None
    found = []
    formulas = _formulas(path)
    for sheet, frame in frames.items():
        frame = frame.dropna(how="all")
        if frame.empty:
            continue
        frame.columns = [str(name) for name in frame.columns]
        name = names.of(path if len(sheets) == 1 else "%s_%s" % (stem(path), sheet))
        # Columns of mixed types are text.
        for column in frame.columns:
            if frame[column].map(type).nunique() > 1 and frame[column].dtype == object:
                frame[column] = frame[column].map(lambda value: None if value != value else str(value))
        con.register("frame_%s" % name, frame)
        con.execute('CREATE VIEW %s AS SELECT * FROM "frame_%s"' % (name, name))
        notes = []
        if headers[sheet]:
            notes.append("its table begins in row %d" % (headers[sheet] + 1))
        if formulas.get(sheet):
            notes.append("%d formulas have no value until a program has computed it" % formulas[sheet])
        found.append(Source(name, path, sheet, notes, header=headers[sheet]))
    if not found:
        raise DataError("%s has no rows in any sheet." % path)
    return found


def _header(frame: Any) -> int:
    """Return the row that names a sheet's columns, the first that has more than a title; -1 without any."""
    filled = [int(count) for count in frame.notna().sum(axis=1)]
    if not filled:
        return -1
    return next((row for row, count in enumerate(filled) if count > 1 and 2 * count > max(filled)), 0)


def _formulas(path: str) -> dict[str, int]:
    """Return how many formulas the sheets of an Excel file have whose values were not kept."""
    from openpyxl import load_workbook

    if os.path.getsize(path) > _LARGEST_LOOKED_INTO:
        return {}
    written = load_workbook(path, read_only=True)
    kept = load_workbook(path, read_only=True, data_only=True)
    return {
        sheet.title: sum(
            isinstance(cell.value, str) and cell.value.startswith("=") and value.value is None
            for row, seen in zip(sheet.iter_rows(), values.iter_rows())
            for cell, value in zip(row, seen)
        )
        for sheet, values in zip(written.worksheets, kept.worksheets)
    }


def read_base(con: Any, path: str, names: Names, left_out: list[str]) -> list[Source]:
    """Make a table of each table and view with rows.

    Args:
        con: The connection.
        path: The file.
        names: Names of tables.
        left_out: Takes the views that cannot be read.

    Raises:
        DataError: It cannot be read, or has none.
    """
    found = []
    try:
        base = sqlite3.connect(_address(path), uri=True)
        tables = base.execute(
            "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' "
            "ORDER BY name"
        ).fetchall()
        for table, kind in tables[:_MOST_TABLES]:
            try:
                made = _copied(con, base, table, names)
            except sqlite3.OperationalError as error:
                left_out.append("The %s %s of %s cannot be read: %s." % (kind, table, path, error))
                continue
            if made:
                found.append(Source(made, path, table, []))
    except sqlite3.DatabaseError as error:
        raise DataError("%s cannot be read as a SQLite database: %s." % (path, error)) from None
    if not found:
        raise DataError(" ".join(["%s has no table with rows." % path, *left_out]))
    return found


def _address(path: str) -> str:
    """Return how a database is opened without a change to its folder.

    What a program has written last, or not yet taken back, stands beside the file: with that, a copy is read.
    """
    beside = [
        end for end in ("-wal", "-journal") if os.path.exists(path + end) and os.path.getsize(path + end)
    ]
    if not beside:
        return "file:%s?mode=ro&immutable=1" % _escaped(path)
    os.makedirs("/tmp/base", exist_ok=True)
    copy = os.path.join("/tmp/base", os.path.basename(path))
    for end in ("", *beside):
        shutil.copyfile(path + end, copy + end)
    return "file:%s" % _escaped(copy)


def _escaped(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _copied(con: Any, base: sqlite3.Connection, table: str, names: Names) -> str:
    """Return the name of a table with all rows of one in a database; nothing when there are none."""
    import pandas

    rows = "SELECT * FROM %s" % identifier(table)
    columns = [column[0] for column in base.execute(rows).description]
    asked = ", ".join("group_concat(DISTINCT typeof(%s))" % identifier(column) for column in columns)
    held = base.execute("SELECT %s FROM %s" % (asked, identifier(table))).fetchone()
    if not any(held):
        return ""
    # SQLite's columns hold anything: what they are is told by their values, of which the first are not all.
    kinds = [_kind(set((kinds or "").split(","))) for kinds in held]
    name = names.of(table)
    told = ", ".join(
        "%s %s" % (identifier(column), kind) for column, kind in zip(_told_apart(columns), kinds)
    )
    con.execute("CREATE TABLE %s (%s)" % (name, told))
    cursor = base.execute(rows)
    while True:
        piece = cursor.fetchmany(_ROWS)
        if not piece:
            return name
        texts = [
            [_text(value) if kind == "VARCHAR" else value for value, kind in zip(row, kinds)] for row in piece
        ]
        frame = pandas.DataFrame(texts, columns=range(len(columns)), dtype=object)
        con.register("piece", frame)
        con.execute("INSERT INTO %s SELECT * FROM piece" % name)
        con.unregister("piece")


def _kind(held: set[str]) -> str:
    held = held - {"null"}
    if held == {"integer"}:
        return "BIGINT"
    return "DOUBLE" if held and held <= {"integer", "real"} else "VARCHAR"


def _text(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else None if value is None else str(value)


def _told_apart(columns: list[str]) -> list[str]:
    """Return names that differ also without regard to case: a view may give one twice."""
    found: list[str] = []
    for column in columns:
        name, number = column, 1
        while name.lower() in (one.lower() for one in found):
            name, number = "%s_%d" % (column, number), number + 1
        found.append(name)
    return found
