"""The database: one engine, one declarative base, short transactions in worker threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import anyio.to_thread
from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session

from llmasos.errors import ConfigError

T = TypeVar("T")


class Base(DeclarativeBase):
    """What every table of ours derives from; each package declares its own tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Store:
    """Transactions on the database.

    On SQLite the write-ahead log is used; `durable` transactions are on the disk when they return
    (`synchronous=FULL`), the others may lose their last moments in a power cut, never in a crash of ours.
    What is deleted is overwritten, so that it can be erased for good.
    """

    def __init__(self, url: str) -> None:
        try:
            self.sqlite = make_url(url).get_backend_name() == "sqlite"
            self.engine = _engine(url, sqlite=self.sqlite, synchronous="NORMAL")
            self.durable_engine = (
                _engine(url, sqlite=True, synchronous="FULL") if self.sqlite else self.engine
            )
            self._reader = self.engine.execution_options(reading=True)
        except (ArgumentError, ModuleNotFoundError) as error:
            raise ConfigError(
                f"The database URL {url!r} cannot be used: {error}.",
                hint="Set LLMASOS_DATABASE_URL to a SQLAlchemy URL whose driver is installed.",
            ) from error

    async def run(self, work: Callable[[Session], T], *, durable: bool = False) -> T:
        """Run `work` in one transaction, in a worker thread, and return what it returns.

        Raises:
            ConfigError: The database cannot be opened or written.
        """
        return await anyio.to_thread.run_sync(lambda: self.run_sync(work, durable=durable))

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run `work`, which only reads, on one state of the database, while others go on writing.

        Raises:
            ConfigError: The database cannot be opened or read.
        """
        return await anyio.to_thread.run_sync(lambda: self._run(self._reader, work))

    def run_sync(self, work: Callable[[Session], T], *, durable: bool = False) -> T:
        """Run `work` in one transaction on this thread, and return what it returns."""
        return self._run(self.durable_engine if durable else self.engine, work)

    def _run(self, engine: Engine, work: Callable[[Session], T]) -> T:
        with usable(), Session(engine, expire_on_commit=False) as session, session.begin():
            return work(session)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        self.durable_engine.dispose()


@contextmanager
def usable() -> Iterator[None]:
    """Say in words that a database cannot be opened, read or written.

    Raises:
        ConfigError: It cannot.
    """
    try:
        yield
    except DatabaseError as error:
        # The other kinds are about what is asked of it; a file that is no database has none.
        if type(error) not in (DatabaseError, OperationalError):
            raise
        raise ConfigError(
            f"The database cannot be used: {error.orig}.",
            hint="Free space on the disk, or check LLMASOS_DATABASE_URL and the folder's permissions.",
        ) from error


def _engine(url: str, *, sqlite: bool, synchronous: str) -> Engine:
    if not sqlite:
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection, _record) -> None:  # type: ignore[no-untyped-def]
        # pysqlite begins transactions on its own terms; ours begin below, so that a reader
        # that turns writer cannot fail with "database is locked".
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection) -> None:  # type: ignore[no-untyped-def]
        reading = connection.get_execution_options().get("reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
