"""Tables that files are: their names in queries, and how each is read."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple


class DataError(Exception):
    """Data that cannot be used, for a person to read."""


class Source(NamedTuple):
    """A table, and the file that it is.

    Args:
        table: Its name in queries.
        file: The file.
        inner: The sheet or the table in it; nothing for a file that is one table.
        notes: What is odd about the file.
        query: The query that reads the file, for who wants to read it again; nothing where it is no query.
        encoding: What the file is recoded from before that query; nothing when it is read as it is.
        header: The row of a sheet that names the columns, from 0.
    """

    table: str
    file: str
    inner: str
    notes: list[str]
    query: str = ""
    encoding: str = ""
    header: int = 0

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
        name = re.sub(r"\W+", "_", stem(path)).strip("_").lower()[:40] or "data"
        if not re.match(r"[^\W\d]", name) or name in self._reserved or not name.isascii():
            name = "t_%s" % re.sub(r"[^a-z0-9_]+", "", name)
            name = name.rstrip("_") if name != "t_" else "data"
        base, number = name, 2
        while name in self._given:
            name, number = "%s_%d" % (base, number), number + 1
        self._given.add(name)
        return name


def view(con: Any, table: str, query: str, path: str) -> None:
    """Make a view of what a query reads from a file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        con.execute("CREATE OR REPLACE VIEW %s AS %s" % (table, query))
    except Exception as error:
        raise DataError("%s cannot be read: %s." % (path, reason(error))) from None


def reason(error: Exception) -> str:
    """Return what an error of DuckDB says is wrong, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not re.search(r"CSV Error on Line|^Original Line|sniffing file", line)]
    return re.sub(r"^[A-Z]\w+( \w+)? Error: ", "", (told or lines or ["nothing was said"])[0])[:300].rstrip(
        ". "
    )


def stem(path: str) -> str:
    """Return a file's name without what its endings say."""
    return os.path.basename(path).split(".")[0] or path


def quoted(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'%s'" % text.replace("'", "''")


def identifier(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"%s"' % name.replace('"', '""')
