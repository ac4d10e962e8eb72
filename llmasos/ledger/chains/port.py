"""The port to a chain that holds the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from llmasos.errors import LedgerError
from llmasos.ledger._contract import Logged, SessionState


class ChainError(LedgerError):
    """The chain cannot be reached, or did not take what was sent; trying again may help."""


class ChainRefused(ChainError):
    """The chain is not the one that was meant, or lies; only a person can help."""


@dataclass(frozen=True)
class Fees:
    """What is offered for one unit of gas, in wei: `cap` at most, `tip` of it for the block's producer."""

    cap: int
    tip: int


@dataclass(frozen=True)
class Signed:
    """A signed transaction: its bytes and its hash."""

    raw: bytes
    tx_hash: str


@dataclass(frozen=True)
class Receipt:
    """What became of a mined transaction, and in which block.

    Args:
        ok: Whether the contract took it.
        cost: What it cost, in wei.
    """

    ok: bool
    block: int
    block_hash: str
    gas: int
    cost: int


@dataclass(frozen=True)
class Block:
    """A block's header, whose hash was recomputed from its bytes.

    Args:
        time: Seconds since 1970.
        header: The header in RLP; its Keccak-256 is `hash`.
    """

    number: int
    hash: str
    parent: str
    time: int
    header: bytes


@dataclass(frozen=True)
class Inclusion:
    """What proves that a transaction and its receipt are in a block.

    Args:
        index: The transaction's place in the block.
        transaction: The nodes from the root of the transactions' trie to the transaction.
        receipt: The nodes from the root of the receipts' trie to its receipt.
    """

    block: Block
    index: int
    transaction: tuple[bytes, ...]
    receipt: tuple[bytes, ...]


class Chain(Protocol):
    """One account on one chain.

    Every coroutine but `close` raises `ChainError` when the chain cannot be reached, and `ChainRefused` when
    it answers what cannot be true. Addresses and hashes are lower-case hexadecimal with `0x`.
    """

    name: str
    chain_id: int

    @property
    def account(self) -> str:
        """The account's address."""

    @property
    def successor(self) -> str:
        """The address of the account that is to take over; empty when none is."""

    async def prepare(self, key: str = "") -> str:
        """Store the key that is to take over, a new one if none is given, and return its address.

        It is durable when this returns. Until `adopt`, calling this again returns the same address.

        Raises:
            LedgerError: The text is not a key, another key is to take over already, or it cannot be stored.
        """

    async def adopt(self) -> None:
        """Sign with the key that was to take over from here on; once this returns there is no successor."""

    async def connect(self) -> None:
        """Make the chain reachable, starting or restarting it where that is ours to do."""

    async def close(self) -> None:
        """Let go of the chain."""

    async def fees(self, over: Fees | None = None) -> Fees:
        """Return what to offer now; at least what replaces a transaction that offered `over`."""

    def sign(self, nonce: int, to: str | None, data: bytes, fees: Fees, value: int = 0) -> Signed:
        """Sign a transaction; the same arguments give the same bytes."""

    async def send(self, transactions: Sequence[bytes]) -> None:
        """Send signed transactions in their order; sending one twice is harmless."""

    async def nonce(self) -> int:
        """Return the account's number of mined transactions."""

    async def balance(self) -> int:
        """Return what the account owns, in wei."""

    async def receipts(self, tx_hashes: Sequence[str]) -> list[Receipt | None]:
        """Return what became of transactions; None for those that are not mined."""

    async def block(self, number: int | None = None) -> Block | None:
        """Return a block, the newest if no number is given; None when there is none."""

    async def has_code(self, address: str) -> bool:
        """Return whether a contract lies at an address."""

    def logged(self, contract: str, first: int, last: int, key: bytes | None = None) -> AsyncIterator[Logged]:
        """Return what a contract logged in blocks `first` to `last`, oldest first, of one or all sessions."""

    async def sessions(self, contract: str, keys: Sequence[bytes], block: Block) -> list[SessionState]:
        """Return sessions as the contract stores them after a block, proved against its state root."""

    async def inclusion(self, tx_hash: str) -> Inclusion:
        """Return the proof that a mined transaction is in its block.

        Raises:
            ChainError: It is not mined, or the chain does not give what the proof is made of.
        """

    def inspect(self) -> AsyncIterator[str | int]:
        """Check what the chain has stored, where that is ours: problems as text, progress as a percentage."""
