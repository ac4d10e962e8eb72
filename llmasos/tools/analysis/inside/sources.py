"""Files as tables of DuckDB: read where they lie, whatever their size, where DuckDB can read them."""

from __future__ import annotations

import os
from typing import Any

from .books import read_base, read_workbook
from .tables import DataError, Names, Source, quoted, view
from .texts import ENDINGS as TEXTS
from .texts import LOOKED_AT, read_csv, read_json

_MOST_FILES = 50
_WORKBOOKS = (".xlsx", ".xlsm")
_BASES = (".sqlite", ".sqlite3", ".db")
_JSON = (".json", ".jsonl", ".ndjson")
_KNOWN = (*TEXTS, *_JSON, ".parquet", *_WORKBOOKS, *_BASES)


def connect(memory_mb: int) -> Any:
    """Return a connection that keeps to a part of the sandbox's memory."""
    import duckdb

    con = duckdb.connect()
    con.execute("SET memory_limit='%dMB'" % max(128, memory_mb // 2))
    con.execute("SET temp_directory='/tmp/duckdb'")
    con.execute("SET preserve_insertion_order=false")
    con.execute("SET autoinstall_known_extensions=false")
    return con


def open_sources(con: Any, path: str) -> tuple[list[Source], list[str]]:
    """Make a table of each file of data; from then on, queries reach no other file.

    A query is a model's, which has read the data: the files that it may look at are those that the call names.

    Args:
        con: The connection.
        path: A file, or a folder with files.

    Returns:
        The tables, and what of a folder or a database cannot be read and is left out.

    Raises:
        DataError: There is none, or one that was named by itself cannot be read.
    """
    sources: list[Source] = []
    names = Names(con)
    opened: list[str] = []
    left_out: list[str] = []
    alone = not os.path.isdir(path)
    for file in _files(path):
        try:
            sources += _open(con, file, names, opened, left_out)
        except DataError as error:
            if alone:
                raise
            left_out.append(str(error))
    if not sources:
        raise DataError("Nothing in %s can be read. %s" % (path, " ".join(left_out)))
    con.execute("SET allowed_paths=[%s]" % ", ".join(map(quoted, opened)))
    con.execute("SET enable_external_access=false")
    con.execute("SET lock_configuration=true")
    return sources, left_out


def _files(path: str) -> list[str]:
    if not os.path.exists(path):
        raise DataError("There is no file or folder %s." % path)
    if not os.path.isdir(path):
        return [path]
    found = sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(path)
        for name in names
        if os.path.splitext(name)[1].lower() in _KNOWN and not name.startswith(".")
    )
    if not found:
        raise DataError("%s has no data: no CSV, TSV, JSON, Parquet, Excel or SQLite files." % path)
    if len(found) > _MOST_FILES:
        raise DataError("%s has %d files of data, and %d are the most." % (path, len(found), _MOST_FILES))
    return [os.path.normpath(name) for name in found]


def _open(con: Any, path: str, names: Names, opened: list[str], left_out: list[str]) -> list[Source]:
    """Return the tables of a file, and add to `opened` what DuckDB reads at each query."""
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            head = file.read(LOOKED_AT)
    except OSError as error:
        raise DataError("%s cannot be read: %s." % (path, error.strerror)) from None
    if size == 0:
        raise DataError("%s is empty." % path)
    ending = os.path.splitext(path)[1].lower()
    if head.startswith(b"SQLite format 3\0"):
        return read_base(con, path, names, left_out)
    if head.startswith(b"PAR1"):
        opened.append(path)
        source = Source(names.of(path), path, "", [], "SELECT * FROM read_parquet(%s)" % quoted(path))
        view(con, source.table, source.query, path)
        return [source]
    if head.startswith(b"PK\3\4") and ending in (*_WORKBOOKS, ""):
        return read_workbook(con, path, names)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise DataError("%s is in Excel's old format; save it as .xlsx, or as CSV." % path)
    if head.startswith((b"%PDF", b"PK\3\4", b"\x89PNG", b"\xff\xd8\xff")):
        raise DataError("%s is no table: it is a document, a picture or an archive." % path)
    for endings, kind in (
        (_WORKBOOKS, "Excel file"),
        (_BASES, "SQLite database"),
        ((".parquet",), "Parquet file"),
    ):
        if ending in endings:
            raise DataError("%s is no %s, whatever its name says." % (path, kind))
    if ending in _JSON or (ending not in TEXTS and head.lstrip()[:1] in (b"{", b"[")):
        opened.append(path)
        return read_json(con, path, names)
    return [read_csv(con, path, names, head, opened)]
