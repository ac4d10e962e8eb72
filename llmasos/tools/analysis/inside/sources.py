"""Files as tables of DuckDB: read where they lie, whatever their size, where DuckDB can read them."""

from __future__ import annotations

import codecs
import os
import re
import sqlite3
from typing import Any, NamedTuple

_MOST_FILES = 50
_MOST_SHEETS = 20
_LOOKED_AT = 1 << 20
_LARGEST_RECODED = 300_000_000
_PIECE = 1 << 20
_ROWS = 50_000
_TEXTS = (".csv", ".tsv", ".txt", ".tab", ".gz")
_KNOWN = (*_TEXTS, ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xlsm", ".sqlite", ".sqlite3", ".db")


class Source(NamedTuple):
    """A table, and the file that it is.

    Args:
        table: Its name in queries.
        file: The file.
        inner: The sheet or the table in it; nothing for a file that is one table.
        notes: What is odd about the file.
    """

    table: str
    file: str
    inner: str
    notes: list[str]

    @property
    def path(self) -> str:
        """The file, with what is meant in it."""
        return "%s:%s" % (self.file, self.inner) if self.inner else self.file


class Names:
    """Names of tables that need no quotes, each given once.

    Args:
        con: The connection, which knows what is reserved.
    """

    def __init__(self, con: Any) -> None:
        reserved = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
        self._reserved = {row[0] for row in con.execute(reserved).fetchall()}
        self._given: set[str] = set()

    def of(self, path: str) -> str:
        """Return a name for what lies there."""
        stem = re.sub(r"\W+", "_", _stem(path)).strip("_").lower()[:40] or "data"
        if not re.match(r"[^\W\d]", stem) or stem in self._reserved or not stem.isascii():
            stem = "t_%s" % re.sub(r"[^a-z0-9_]+", "", stem)
            stem = stem.rstrip("_") if stem != "t_" else "data"
        name, number = stem, 2
        while name in self._given:
            name, number = "%s_%d" % (stem, number), number + 1
        self._given.add(name)
        return name


class DataError(Exception):
    """Data that cannot be used, for a person to read."""


def connect(memory_mb: int) -> Any:
    """Return a connection that keeps to a part of the sandbox's memory."""
    import duckdb

    con = duckdb.connect()
    con.execute("SET memory_limit='%dMB'" % max(128, memory_mb // 2))
    con.execute("SET temp_directory='/tmp/duckdb'")
    con.execute("SET preserve_insertion_order=false")
    con.execute("SET autoinstall_known_extensions=false")
    return con


def open_sources(con: Any, path: str) -> list[Source]:
    """Make a table of each file of data; from then on, queries reach no other file.

    A query is a model's, which has read the data: the files that it may look at are those that the call names.

    Args:
        con: The connection.
        path: A file, or a folder with files.

    Raises:
        DataError: There is none, or one cannot be read.
    """
    sources: list[Source] = []
    names = Names(con)
    opened: list[str] = []
    for file in _files(path):
        sources += _open(con, file, names, opened)
    con.execute("SET allowed_paths=[%s]" % ", ".join(map(_quoted, opened)))
    con.execute("SET enable_external_access=false")
    con.execute("SET lock_configuration=true")
    return sources


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


def _open(con: Any, path: str, names: Names, opened: list[str]) -> list[Source]:
    """Return the tables of a file, and add to `opened` what DuckDB reads at each query."""
    size = os.path.getsize(path)
    if size == 0:
        raise DataError("%s is empty." % path)
    with open(path, "rb") as file:
        head = file.read(_LOOKED_AT)
    ending = os.path.splitext(path)[1].lower()
    if head.startswith(b"SQLite format 3\0"):
        return _sqlite(con, path, names)
    if head.startswith(b"PAR1"):
        opened.append(path)
        return [_view(con, path, names, "read_parquet(%s)" % _quoted(path))]
    if head.startswith(b"PK\3\4") and ending in (".xlsx", ".xlsm", ""):
        return _excel(con, path, names)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise DataError("%s is in Excel's old format; save it as .xlsx, or as CSV." % path)
    if head.startswith((b"%PDF", b"PK\3\4", b"\x89PNG", b"\xff\xd8\xff")):
        raise DataError("%s is no table: it is a document, a picture or an archive." % path)
    if ending in (".json", ".jsonl", ".ndjson") or (
        ending not in _TEXTS and head.lstrip()[:1] in (b"{", b"[")
    ):
        opened.append(path)
        return [_json(con, path, names)]
    return [_csv(con, path, names, head, opened)]


def _csv(con: Any, path: str, names: Names, head: bytes, opened: list[str]) -> Source:
    notes: list[str] = []
    options = ["null_padding=true", "ignore_errors=true", "store_rejects=true"]
    if path.lower().endswith((".tsv", ".tab")):
        options.append("delim='\\t'")
    encoding = "utf-8" if path.lower().endswith(".gz") else _encoding(head)
    place = path
    if encoding in ("utf-16", "latin-1"):
        options.append("encoding='%s'" % encoding)
    elif encoding != "utf-8":
        place = _recoded(path, encoding, len(opened))
    opened.append(place)
    if encoding != "utf-8":
        notes.append("its text is in %s" % encoding.upper())
    if b"\0" in head and encoding == "utf-8":
        raise DataError("%s is no text: it is binary." % path)
    source = _view(con, path, names, "read_csv(%s, %s)" % (_quoted(place), ", ".join(options)), notes)
    columns = [row[0] for row in con.execute("DESCRIBE %s" % source.table).fetchall()]
    unnamed = [name for name in columns if re.fullmatch(r"column\d+", name)]
    if unnamed and len(unnamed) < len(columns):
        notes.append("some lines have more fields than the header: %s" % ", ".join(unnamed))
    if not con.execute("SELECT 1 FROM %s LIMIT 1" % source.table).fetchall():
        raise DataError("%s has a header at most, and no rows." % path)
    return source


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            decoder.decode(head, final=len(head) < _LOOKED_AT)
            return encoding
        except UnicodeDecodeError:
            continue
    return "latin-1"


def _recoded(path: str, encoding: str, number: int) -> str:
    """Return where a text lies in UTF-8."""
    if os.path.getsize(path) > _LARGEST_RECODED:
        raise DataError("%s is in %s, and too large for that; save it in UTF-8." % (path, encoding.upper()))
    place = "/tmp/recoded-%d.csv" % number
    with (
        open(path, encoding=encoding, errors="replace", newline="") as old,
        open(place, "w", encoding="utf-8", newline="") as new,
    ):
        while True:
            piece = old.read(_PIECE)
            if not piece:
                return place
            new.write(piece)


def _json(con: Any, path: str, names: Names) -> Source:
    return _view(con, path, names, "read_json_auto(%s, maximum_object_size=50000000)" % _quoted(path))


def _excel(con: Any, path: str, names: Names) -> list[Source]:
    import pandas

    try:
        sheets = pandas.read_excel(path, sheet_name=None)
    except Exception as error:
        raise DataError("%s cannot be read as an Excel file: %s." % (path, error)) from None
    found = []
    formulas = _formulas(path)
    for sheet, frame in list(sheets.items())[:_MOST_SHEETS]:
        if frame.empty:
            continue
        frame.columns = [str(name) for name in frame.columns]
        name = names.of(path if len(sheets) == 1 else "%s_%s" % (_stem(path), sheet))
        # Columns of mixed types are text.
        for column in frame.columns:
            if frame[column].map(type).nunique() > 1 and frame[column].dtype == object:
                frame[column] = frame[column].map(lambda value: None if value != value else str(value))
        con.register("frame_%s" % name, frame)
        con.execute('CREATE VIEW %s AS SELECT * FROM "frame_%s"' % (name, name))
        notes = ["%d formulas have no value until a program has computed it" % formulas] if formulas else []
        found.append(Source(name, path, str(sheet), notes))
    if not found:
        raise DataError("%s has no rows in any sheet." % path)
    return found


def _formulas(path: str) -> int:
    """Return how many formulas an Excel file has whose values were not kept."""
    from openpyxl import load_workbook

    if os.path.getsize(path) > 20_000_000:
        return 0
    written = load_workbook(path, read_only=True)
    kept = load_workbook(path, read_only=True, data_only=True)
    return sum(
        isinstance(cell.value, str) and cell.value.startswith("=") and value.value is None
        for sheet, values in zip(written.worksheets, kept.worksheets)
        for row, seen in zip(sheet.iter_rows(), values.iter_rows())
        for cell, value in zip(row, seen)
    )


def _sqlite(con: Any, path: str, names: Names) -> list[Source]:
    import pandas

    found = []
    try:
        base = sqlite3.connect(
            "file:%s?mode=ro&immutable=1" % path.replace("?", "%3f").replace("#", "%23"), uri=True
        )
        tables = [
            row[0]
            for row in base.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
                "AND name NOT LIKE 'sqlite_%' ORDER BY name"
            )
        ]
        for table in tables[:_MOST_FILES]:
            name = names.of(table)
            cursor = base.execute('SELECT * FROM "%s"' % table.replace('"', '""'))
            columns = [column[0] for column in cursor.description]
            made = False
            while True:
                rows = cursor.fetchmany(_ROWS)
                if not rows:
                    break
                frame = pandas.DataFrame(rows, columns=columns).convert_dtypes()
                con.register("piece", frame)
                con.execute(
                    (
                        "INSERT INTO %s SELECT * FROM piece"
                        if made
                        else "CREATE TABLE %s AS SELECT * FROM piece"
                    )
                    % name
                )
                con.unregister("piece")
                made = True
            if made:
                found.append(Source(name, path, table, []))
    except sqlite3.DatabaseError as error:
        raise DataError("%s cannot be read as a SQLite database: %s." % (path, error)) from None
    if not found:
        raise DataError("%s has no table with rows." % path)
    return found


def _view(con: Any, path: str, names: Names, reader: str, notes: list[str] | None = None) -> Source:
    name = names.of(path)
    try:
        con.execute("CREATE VIEW %s AS SELECT * FROM %s" % (name, reader))
    except Exception as error:
        raise DataError("%s cannot be read: %s." % (path, str(error).splitlines()[0][:300])) from None
    return Source(name, path, "", notes if notes is not None else [])


def _stem(path: str) -> str:
    return os.path.basename(path).split(".")[0] or path


def _quoted(text: str) -> str:
    return "'%s'" % text.replace("'", "''")
