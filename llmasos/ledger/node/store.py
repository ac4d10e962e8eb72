"""The embedded chain's file: blocks, state nodes and event logs in SQLite, one commit per block."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eth.db.backends.base import BaseDB

from llmasos.errors import LedgerError
from llmasos.ledger._digest import keccak
from llmasos.ledger.node.receipt import Event

LAYOUT = 2
CACHED_NODES = 20_000
LOG_PAGES, CACHE_KIB = 4_000, 16_000

_CIRCUMSTANCES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}

_TABLES = """
CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, header BLOB NOT NULL,
    tx_hash BLOB UNIQUE, tx BLOB, receipt BLOB);
CREATE TABLE nodes (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, data BLOB NOT NULL,
    block INTEGER NOT NULL);
CREATE TABLE logs (block INTEGER NOT NULL, position INTEGER NOT NULL, address BLOB NOT NULL,
    topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, data BLOB NOT NULL,
    PRIMARY KEY (block, position)) WITHOUT ROWID;
CREATE INDEX logs_by_topic1 ON logs (topic1, block, position);
"""


class FileUnusable(LedgerError):
    """The chain's file is damaged, or cannot be read or written.

    Args:
        damaged: Whether it is what the file holds, rather than the disk or its permissions.
    """

    def __init__(self, message: str, *, hint: str, damaged: bool) -> None:
        super().__init__(message, hint=hint)
        self.damaged = damaged


class Mined(NamedTuple):
    """A block and its only transaction, as encoded for their hashes; the first block has no transaction."""

    number: int
    hash: bytes
    header: bytes
    tx_hash: bytes | None
    tx: bytes | None
    receipt: bytes | None


@dataclass(frozen=True, slots=True)
class Log:
    """An event: its place, who logged it, what it says, and its block's and transaction's hashes."""

    block: int
    position: int
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_hash: bytes
    tx_hash: bytes


class ChainStore(BaseDB):
    """The chain's file, which py-evm sees as a database of state nodes and code by their hashes.

    Nothing is on the disk before the surrounding `block` ends, so a block is stored whole or not at all,
    whenever the process dies. Each node says with which block it came, so that a node which is missing,
    or that no block needs, can be found by reading the file once.

    Args:
        path: The SQLite file, which is made when it is missing.

    Raises:
        FileUnusable: It is not a chain's file, or has another layout.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._nodes: dict[bytes, bytes] = {}
        self._open = False
        self._new: dict[bytes, bytes] = {}
        self._added: tuple[Mined, Sequence[Event]] | None = None
        self.connection = sqlite3.connect(path, isolation_level=None)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self.connection.close()
            raise self.unusable(str(error), damaged=_damage(error)) from error
        except LedgerError:
            self.connection.close()
            raise

    def _prepare(self) -> None:
        (layout,) = self.connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if layout != LAYOUT and tables:
            raise self.unusable(f"its layout is {layout}, of another version of LLMasOS, not {LAYOUT}")
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        self.connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        if not tables:
            self.connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={LAYOUT}; COMMIT;")

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Keep the blocks that are added meanwhile in one commit, or none of them.

        Raises:
            sqlite3.Error: They cannot be kept.
        """
        self.connection.execute("BEGIN IMMEDIATE")
        self._open = True
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            # Nodes that were never stored must not be taken for stored ones.
            self._nodes.clear()
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        finally:
            self._open = False

    @contextmanager
    def block(self, number: int) -> Iterator[None]:
        """Keep every write of a block, or none of them: nothing is written before all of it is there."""
        self._new, self._added = {}, None
        try:
            yield
            if self._open and not self.connection.in_transaction:
                raise sqlite3.OperationalError("a block before this one could not be stored")
            with nullcontext() if self._open else self.commit():
                self._write(number)
            for digest, data in self._new.items():
                self._remember(digest, data)
        except sqlite3.Error:
            # Half a block must not be kept with those before it.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        finally:
            self._new, self._added = {}, None

    def add(self, block: Mined, events: Sequence[Event]) -> None:
        """Store a block and what its transaction logged."""
        self._added = block, events

    def _write(self, number: int) -> None:
        nodes = [(digest, data, number) for digest, data in self._new.items()]
        self.connection.executemany("INSERT OR IGNORE INTO nodes (hash, data, block) VALUES (?, ?, ?)", nodes)
        if self._added is not None:
            block, events = self._added
            self.connection.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", block)
            rows = [(number, position, *log_columns(*event)) for position, event in enumerate(events)]
            self.connection.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def newest(self) -> Mined | None:
        """Return the block with the highest number; None when the chain is new.

        Raises:
            FileUnusable: It is not what its hash stands for, so that nothing may be built on it.
        """
        try:
            found = self._one("ORDER BY number DESC LIMIT 1")
        except sqlite3.Error as error:
            raise self.unusable(str(error), damaged=_damage(error)) from error
        if found is not None and (not isinstance(found.header, bytes) or keccak(found.header) != found.hash):
            raise self.unusable(f"block {found.number} was altered")
        return found

    def unusable(self, reason: str, *, damaged: bool = True) -> FileUnusable:
        """Return what to raise when the file cannot be used."""
        return FileUnusable(
            f"The chain's file {self.path} cannot be used: {reason}.",
            hint="Move it away: all records are then sent to a new chain.",
            damaged=damaged,
        )

    def by_number(self, number: int) -> Mined | None:
        """Return a block; None when there is none."""
        return self._one("WHERE number = ?", number)

    def by_hash(self, digest: bytes) -> Mined | None:
        """Return a block; None when there is none."""
        return self._one("WHERE hash = ?", digest)

    def by_transaction(self, digest: bytes) -> Mined | None:
        """Return the block of a transaction; None when it is not mined."""
        return self._one("WHERE tx_hash = ?", digest)

    def _one(self, where: str, *values: Any) -> Mined | None:
        row = self.connection.execute(f"SELECT * FROM blocks {where}", values).fetchone()  # noqa: S608
        return None if row is None else Mined(*row)

    def logs(
        self,
        first: int,
        last: int,
        addresses: Sequence[bytes] = (),
        topics: Sequence[Sequence[bytes]] = (),
        limit: int = -1,
    ) -> Iterator[Log]:
        """Return the events of blocks `first` to `last`, both included, oldest first.

        Args:
            addresses: Who logged them; empty means anybody.
            topics: For each place, the topics that are meant; an empty place means any.
            limit: The most to return; -1 means all.
        """
        where, values = ["l.block BETWEEN ? AND ?"], [first, last, *addresses]
        if addresses:
            where.append(f"l.address IN ({','.join('?' * len(addresses))})")
        for place, meant in enumerate(topics):
            # A place that is named at all must be there.
            where.append(
                f"l.topic{place} " + (f"IN ({','.join('?' * len(meant))})" if meant else "IS NOT NULL")
            )
            values += meant
        query = (
            "SELECT l.*, b.hash, b.tx_hash FROM logs l JOIN blocks b ON b.number = l.block"  # noqa: S608
            f" WHERE {' AND '.join(where)} ORDER BY l.block, l.position LIMIT ?"
        )
        for number, position, address, *given, data, block_hash, tx_hash in self.connection.execute(
            query, [*values, limit]
        ):
            said = tuple(topic for topic in given if topic is not None)
            yield Log(number, position, address, said, data, block_hash, tx_hash)

    @contextmanager
    def atomic_batch(self) -> Iterator[ChainStore]:
        """Take py-evm's writes, which are atomic by the surrounding `block` already."""
        yield self

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def __getitem__(self, key: bytes) -> bytes:
        if key in self._new:
            return self._new[key]
        data = self._nodes.pop(key, None)
        if data is None:
            row = self.connection.execute("SELECT data FROM nodes WHERE hash = ?", (key,)).fetchone()
            if row is None:
                raise KeyError(key)
            data = row[0]
        self._remember(key, data)
        return data

    def __setitem__(self, key: bytes, value: bytes) -> None:
        if key not in self._nodes:
            self._new[key] = value

    def __delitem__(self, key: bytes) -> None:
        raise NotImplementedError("old states are kept")

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def _remember(self, key: bytes, data: bytes) -> None:
        if len(self._nodes) >= CACHED_NODES:
            del self._nodes[next(iter(self._nodes))]
        self._nodes[key] = data


def _damage(error: sqlite3.Error) -> bool:
    """Return whether an error is about what the file holds."""
    # The first byte is the error's kind, the others say more of it; an error of Python's module has none.
    return (getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF) not in _CIRCUMSTANCES


def log_columns(address: bytes, topics: Sequence[int], data: bytes) -> tuple[bytes | None, ...]:
    """Return an event as its table's columns: address, four topics, data."""
    given = [topic.to_bytes(32, "big") for topic in topics]
    return (address, *given, *([None] * (4 - len(given))), data)
