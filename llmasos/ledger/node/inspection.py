"""The check of the embedded chain's own file, page by page: every row and every byte of its tables."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from typing import Any

from llmasos.ledger._digest import keccak
from llmasos.ledger.node.accounts import EMPTY_CODE
from llmasos.ledger.node.evm import Evm, root_of_one
from llmasos.ledger.node.trie import BLANK_ROOT, BRANCH, HASH_BYTES, decode, unpacked

PAGE_BLOCKS = 250
PAGE_BYTES = 4 * 2**20
MOST_PROBLEMS = 20

PARENT, STATE_ROOT, TX_ROOT, RECEIPT_ROOT, NUMBER, HEADER_FIELDS = 0, 3, 4, 5, 8, 20
TABLES = {"blocks", "nodes", "logs", "logs_by_topic1"}

STATE, STORAGE, CODE = range(3)

_Node = tuple[int, Any, Any, Any]


def inspect(evm: Evm, cursor: str | None) -> dict[str, Any]:
    """Check the next page of the chain's file.

    Blocks must follow each other from the first to the newest, each must give the roots in its header, its
    logs must be those of its receipt, and its state must be whole: a node belongs to the block that needed
    it first, so that one that is missing, or that no block needs, is found in the same pass.

    Args:
        cursor: Where the page before ended; None for the first.

    Returns:
        `problems` as text, `cursor` for the next page or None after the last, `percent` done.

    Raises:
        ValueError: The cursor is not one of ours.
    """
    number, node = (int(part) for part in (cursor or "0:1").split(":"))
    try:
        # A connection of its own reads what is in the file, not what the node remembers of it.
        with closing(sqlite3.connect(f"{evm.store.path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("BEGIN")
            page = _Page(connection, number, node)
            page.check()
            done = page.number > evm.height or len(page.problems) >= MOST_PROBLEMS
            if page.number > evm.height:
                page.check_rest()
    except sqlite3.Error as error:
        return {
            "problems": [f"The file {evm.store.path} is damaged: {error}."],
            "cursor": None,
            "percent": 100,
        }
    return {
        "problems": page.problems[:MOST_PROBLEMS],
        "cursor": None if done else f"{page.number}:{page.node}",
        "percent": 100 if done else 100 * page.number // (evm.height + 1),
    }


class _Page:
    """Some consecutive blocks with all that belongs to them.

    Args:
        number: The first block.
        node: The id of its first node.
    """

    def __init__(self, connection: sqlite3.Connection, number: int, node: int) -> None:
        self._sql = connection
        self.number, self.node = number, node
        self.problems: list[str] = []
        self._stored: set[bytes] = set()
        self._read = 0

    def check(self) -> None:
        """Check blocks until the page is full or the chain ends."""
        if self.number == 0:
            names = {name for (name,) in self._sql.execute("SELECT name FROM sqlite_master")}
            if others := {name for name in names ^ TABLES if not name.startswith("sqlite_")}:
                self._bad(f"The file's tables are not the chain's: {', '.join(sorted(others))}.")
        newest = self._sql.execute("SELECT max(number) FROM blocks").fetchone()[0]
        end = min(self.number + PAGE_BLOCKS, 1 + (-1 if newest is None else newest))
        groups = groupby(self._nodes(), lambda row: row[3])
        group = next(groups, None)
        while self.number < end and self._read < PAGE_BYTES and len(self.problems) < MOST_PROBLEMS:
            rows: list[_Node] = []
            if group is not None and group[0] == self.number:
                rows = list(group[1])
                self.node = rows[-1][0] + 1
                group = next(groups, None)
            try:
                self._check_block(self.number, rows)
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                # What is not as it was written can fail anywhere.
                self._bad(f"Block {self.number} cannot be read: {type(error).__name__}.")
            self.number += 1

    def check_rest(self) -> None:
        """Check that nothing lies outside the blocks."""
        for name, column in ("blocks", "number"), ("nodes", "block"), ("logs", "block"):
            outside = f"typeof({column}) != 'integer' OR {column} NOT BETWEEN 0 AND ?"
            query = f"SELECT count(*) FROM {name} WHERE {outside}"  # noqa: S608
            if count := self._sql.execute(query, (self.number - 1,)).fetchone()[0]:
                self._bad(f"Rows of {name} that belong to no block of the chain: {count}.")
        if self._sql.execute("SELECT 1 FROM nodes WHERE id >= ? OR id < 1", (self.node,)).fetchone():
            self._bad(f"State nodes {self.node} and after belong to no block, or are out of their order.")

    def _nodes(self) -> Iterator[_Node]:
        query = "SELECT id, hash, data, block FROM nodes WHERE id >= ? ORDER BY id"
        for expected, row in enumerate(self._sql.execute(query, (self.node,)), self.node):
            if row[0] != expected and len(self.problems) < MOST_PROBLEMS:
                self._bad(f"State node {expected} is missing, or one after it.")
            self._read += len(row[2]) if isinstance(row[2], bytes) else 0
            yield row

    def _check_block(self, number: int, nodes: list[_Node]) -> None:
        row = self._sql.execute("SELECT * FROM blocks WHERE number = ?", (number,)).fetchone()
        if row is None:
            self._bad(f"Block {number} is missing.")
            return
        _, digest, header, tx_hash, tx, receipt = row
        if not isinstance(header, bytes) or keccak(header) != digest:
            self._bad(f"Block {number}: its header is not what its hash stands for.")
            return
        self._read += len(header) + len(tx or b"") + len(receipt or b"")
        fields = decode(header)
        if len(fields) != HEADER_FIELDS or int.from_bytes(fields[NUMBER]) != number:
            self._bad(f"Block {number}: its header is not that of this block.")
            return
        self._check_place(number, digest, tx_hash, fields[PARENT])
        self._check_transaction(number, fields, tx_hash, tx, receipt)
        self._check_state(number, fields[STATE_ROOT], nodes)

    def _check_place(self, number: int, digest: bytes, tx_hash: Any, parent: bytes) -> None:
        before = self._sql.execute("SELECT hash FROM blocks WHERE number = ?", (number - 1,)).fetchone()
        if parent != (bytes(HASH_BYTES) if number == 0 else before and before[0]):
            self._bad(f"Block {number} does not follow block {number - 1}.")
        # The two indexes are other bytes in the file, by which the node finds blocks.
        for column, value in ("hash", digest), ("tx_hash", tx_hash):
            query = f"SELECT number FROM blocks WHERE {column} IS ?"  # noqa: S608
            if self._sql.execute(query, (value,)).fetchall() != [(number,)]:
                self._bad(f"Block {number} cannot be found by its {column}.")

    def _check_transaction(
        self, number: int, fields: list[bytes], tx_hash: Any, tx: Any, receipt: Any
    ) -> None:
        if number == 0:
            if (tx_hash, tx, receipt) != (None, None, None) or {fields[TX_ROOT], fields[RECEIPT_ROOT]} != {
                BLANK_ROOT
            }:
                self._bad("Block 0 has a transaction.")
            said: list[Any] = []
        else:
            if not isinstance(tx, bytes) or keccak(tx) != tx_hash or root_of_one(tx) != fields[TX_ROOT]:
                self._bad(f"Block {number}: its transaction was altered.")
            if not isinstance(receipt, bytes) or root_of_one(receipt) != fields[RECEIPT_ROOT]:
                self._bad(f"Block {number}: its receipt was altered.")
                return
            # A receipt with a type begins with it (EIP-2718); a list never begins with so small a byte.
            said = decode(receipt[1:] if receipt[0] < 0x80 else receipt)[3]
        expected = [
            (number, position, address, *topics, *([None] * (4 - len(topics))), data)
            for position, (address, topics, data) in enumerate(said)
        ]
        rows = self._sql.execute("SELECT * FROM logs WHERE block = ? ORDER BY position", (number,)).fetchall()
        if rows != expected:
            self._bad(f"Block {number}: its logs are not those of its receipt.")
            return
        self._read += sum(len(row[-1]) for row in rows)
        for topic, count in Counter(row[4] for row in rows).items():
            query = "SELECT count(*) FROM logs INDEXED BY logs_by_topic1 WHERE topic1 IS ? AND block = ?"
            if self._sql.execute(query, (topic, number)).fetchone()[0] != count:
                self._bad(f"Block {number}: its logs cannot be found by their topic.")

    def _check_state(self, number: int, root: bytes, rows: list[_Node]) -> None:
        came: dict[bytes, bytes] = {}
        for ident, digest, data, _ in rows:
            if not isinstance(data, bytes) or keccak(data) != digest:
                self._bad(f"State node {ident} of block {number} is not what its hash stands for.")
            else:
                came[digest] = data
        unused, ahead = set(came), [(root, STATE)]
        while ahead:
            reference, kind = ahead.pop()
            if reference in unused:
                unused.remove(reference)
                ahead += _children(came[reference], kind)
            elif reference not in came:
                self._check_stored(number, reference)
        if unused:
            self._bad(f"State nodes of block {number} that no block needs: {len(unused)}.")

    def _check_stored(self, number: int, digest: bytes) -> None:
        """Check that a node came with an earlier block."""
        if digest in self._stored:
            return
        row = self._sql.execute("SELECT block FROM nodes WHERE hash = ?", (digest,)).fetchone()
        if row is None or not isinstance(row[0], int) or row[0] >= number:
            self._bad(f"The state of block {number} lacks the node {digest.hex()}.")
        self._stored.add(digest)

    def _bad(self, problem: str) -> None:
        self.problems.append(problem)


def _children(data: bytes, kind: int) -> list[tuple[bytes, int]]:
    """Return what a node, or an account in it, refers to by hash."""
    return [] if kind == CODE else list(_references(decode(data), kind))


def _references(node: Any, kind: int) -> Iterator[tuple[bytes, int]]:
    if len(node) == BRANCH:
        below = node[:16]
    elif not unpacked(node[0])[1]:
        below = node[1:]
    else:
        if kind == STATE:
            _, _, storage_root, code_hash = decode(node[1])
            if storage_root != BLANK_ROOT:
                yield storage_root, STORAGE
            if code_hash != EMPTY_CODE:
                yield code_hash, CODE
        return
    for child in below:
        # A child of less than 32 bytes lies inside its parent.
        if isinstance(child, list):
            yield from _references(child, kind)
        elif child:
            yield child, kind
