"""Reading the ledger's tables in pages, beside whoever writes them."""

from __future__ import annotations

from typing import Any

from llmasos.errors import LedgerError
from llmasos.store import Store

Row = tuple[Any, ...]


class Pages:
    """Rows as the driver gives them: no objects are made of them, and no lock is taken.

    A value that is not what its column holds, such as text that is not UTF-8, is given as it is, for the
    reader to judge.
    """

    def __init__(self, store: Store) -> None:
        self._engine = store.engine
        self._mark = "?" if store.engine.dialect.paramstyle == "qmark" else "%s"

    def fetch(self, query: str, *values: object) -> list[Row]:
        """Return a query's rows.

        Args:
            query: SQL with `?` for each value.
            values: Text that is not UTF-8 matches nothing, nor does a number of more than 64 bits.

        Raises:
            LedgerError: The database cannot be read.
        """
        assert self._engine.dialect.dbapi is not None
        error: type[Exception] = self._engine.dialect.dbapi.Error
        connection = self._engine.raw_connection()
        try:
            try:
                return _rows(connection, query.replace("?", self._mark), values)
            except error as problem:
                if "decode" not in str(problem):
                    raise
                raw: Any = connection.driver_connection
                raw.text_factory = _tolerant
                try:
                    return _rows(connection, query.replace("?", self._mark), values)
                finally:
                    raw.text_factory = str
        except (UnicodeEncodeError, OverflowError):
            return []
        except error as problem:
            raise LedgerError(
                f"The database cannot be read: {problem}.",
                hint="Put a backup of it in its place; what it holds can then be compared with the chain.",
            ) from problem
        finally:
            connection.close()

    def one(self, query: str, *values: object) -> Any:
        """Return the first value of a query's first row; None when there is none."""
        rows = self.fetch(query, *values)
        return rows[0][0] if rows else None


def _rows(connection: Any, query: str, values: tuple[object, ...]) -> list[Row]:
    cursor = connection.cursor()
    try:
        cursor.execute(query, values)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def _tolerant(text: bytes) -> str:
    return text.decode(errors="surrogateescape")
