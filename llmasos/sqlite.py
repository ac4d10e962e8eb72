"""One SQLite file by itself, beside the kernel's database: a collection, the conversations of a desk."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_WAIT_SECONDS = 30.0


class SqliteFile:
    """A file with tables of its own.

    It is open during a transaction only, so that what was deleted is overwritten, also in the log, when that
    ends.

    Args:
        path: The file, which is made where there is none.
        schema: Statements that make what is not there yet.

    Raises:
        sqlite3.DatabaseError: It is no such file.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self.transaction() as db:
            db.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction, which is undone by an error."""
        with self._lock, closing(sqlite3.connect(self._path, timeout=_WAIT_SECONDS)) as db:
            for pragma in ("journal_mode = WAL", "foreign_keys = ON", "secure_delete = ON"):
                db.execute(f"PRAGMA {pragma}")
            with db:
                yield db
