"""The port to a chain that holds the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from llmasos.errors import LedgerError
from llmasos.ledger._contract import Appended, SessionState


class ChainError(LedgerError):
    """The chain cannot be reached, or did not take what was sent."""


@dataclass(frozen=True)
class Signed:
    """A signed transaction: its bytes and its hash."""

    raw: bytes
    tx_hash: str


@dataclass(frozen=True)
class Receipt:
    """What became of a mined transaction."""

    ok: bool


class Chain(Protocol):
    """One account on one chain.

    Every coroutine but `close` raises `ChainError` when the chain cannot be reached. Addresses and hashes are
    lower-case hexadecimal with `0x`.
    """

    name: str
    chain_id: int

    @property
    def account(self) -> str:
        """The account's address."""

    async def connect(self) -> None:
        """Make the chain reachable, starting or restarting it where that is ours to do."""

    async def close(self) -> None:
        """Let go of the chain."""

    def sign(self, nonce: int, to: str | None, data: bytes) -> Signed:
        """Sign a transaction; the same arguments give the same bytes."""

    async def send(self, raw: bytes) -> None:
        """Send a signed transaction; sending it twice is harmless."""

    async def nonce(self) -> int:
        """Return the account's number of mined transactions."""

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """Return what became of a transaction; None while it is not mined."""

    async def block_number(self) -> int:
        """Return the number of the newest block."""

    async def has_code(self, address: str) -> bool:
        """Return whether a contract lies at an address."""

    async def appended(self, contract: str, block: int) -> list[Appended]:
        """Return a contract's `Appended` events up to a block, oldest first."""

    async def session(self, contract: str, key: bytes, block: int) -> SessionState:
        """Return a session as the contract stores it after a block."""
