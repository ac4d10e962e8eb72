"""The audit-log contract as calls, events and addresses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from llmasos.ledger._digest import keccak

APPENDED = "Appended(bytes32,uint64,bytes32,uint8,bytes32)"
ANCHORED = "Anchored(bytes32,uint64,uint64,bytes32,bytes32)"

TREE_KEY = hashlib.sha256(b"llmasos.tree.v1").digest()
"""The session that holds the Merkle trees over the records that are not appended one by one."""


NOBODY = "0x" + "00" * 20
"""The owner of a session that was not opened."""


@dataclass(frozen=True)
class Appended:
    """A record as the chain has it: the event of one `append`."""

    key: bytes
    seq: int
    digest: bytes
    kind: int
    head: bytes
    tx_hash: str
    block: int


@dataclass(frozen=True)
class Anchored:
    """A tree over `count` records as the chain has it: the event of one `anchor`."""

    key: bytes
    first: int
    count: int
    root: bytes
    head: bytes
    tx_hash: str
    block: int


Logged = Appended | Anchored


@dataclass(frozen=True)
class Transaction:
    """What a signed transaction says; `tip` and `cap` are what it offers for one unit of gas, in wei.

    Args:
        gas: How much gas it may use.
        value: What it hands over, in wei.
    """

    chain_id: int
    nonce: int
    tip: int
    cap: int
    to: str | None
    data: bytes
    gas: int = 0
    value: int = 0

    @property
    def most(self) -> int:
        """What it may cost at most, in wei, what it hands over included."""
        return self.gas * self.cap + self.value


@dataclass(frozen=True)
class SessionState:
    """A session as the contract stores it."""

    owner: str
    count: int
    closed: bool
    head: bytes


@cache
def artifact() -> dict[str, Any]:
    """Return the compiled contract: `abi`, `bytecode`, `selectors`, `compiler`, `input_sha256`."""
    loaded: dict[str, Any] = json.loads(files("llmasos.ledger").joinpath("AuditLog.json").read_text())
    return loaded


def deploy_code() -> bytes:
    """Return the code of the transaction that creates the contract."""
    return bytes.fromhex(artifact()["bytecode"])


def open_call(key: bytes) -> bytes:
    """Return the call data that opens a session."""
    return _selector("open") + key


def append_call(key: bytes, seq: int, prev: bytes, digest: bytes, kind: int) -> bytes:
    """Return the call data that appends one record."""
    return _selector("append") + key + _word(seq) + prev + digest + _word(kind)


def append_many_call(
    key: bytes, seq: int, prev: bytes, digests: Sequence[bytes], kinds: Sequence[int]
) -> bytes:
    """Return the call data that appends consecutive records of one session."""
    count = _word(len(digests))
    head = [key, _word(seq), prev, _word(5 * 32), _word((6 + len(digests)) * 32)]
    return _selector("appendMany") + b"".join([*head, count, *digests, count, *map(_word, kinds)])


def anchor_call(key: bytes, first: int, prev: bytes, root: bytes, count: int) -> bytes:
    """Return the call data that anchors a tree over `count` records."""
    return _selector("anchor") + key + _word(first) + prev + root + _word(count)


def rotate_call(keys: Sequence[bytes], owner: str) -> bytes:
    """Return the call data that hands sessions to another account."""
    address = _word(int(owner, 16))
    return _selector("rotate") + b"".join([_word(64), address, _word(len(keys)), *keys])


def rotated_to(data: bytes) -> str:
    """Return the account to which call data of `rotate` hands sessions."""
    return "0x" + data[48:68].hex()


def sessions_call(key: bytes) -> bytes:
    """Return the call data that reads a session's state."""
    return _selector("sessions") + key


def session_state(output: bytes) -> SessionState:
    """Decode what `sessions` returns.

    Raises:
        ValueError: The output is not four words.
    """
    if len(output) != 128:
        raise ValueError(f"expected 128 bytes, got {len(output)}")
    owner, count, closed, head = (output[i : i + 32] for i in range(0, 128, 32))
    return SessionState("0x" + owner[12:].hex(), int.from_bytes(count), bool(int.from_bytes(closed)), head)


@cache
def appended_topic() -> str:
    """Return the topic that marks `Appended` events."""
    return "0x" + keccak(APPENDED.encode()).hex()


@cache
def anchored_topic() -> str:
    """Return the topic that marks `Anchored` events."""
    return "0x" + keccak(ANCHORED.encode()).hex()


def logged(log: dict[str, Any]) -> Logged:
    """Decode one `Appended` or `Anchored` event of JSON-RPC.

    Raises:
        ValueError: It is neither.
    """
    topics, data = log["topics"], bytes.fromhex(log["data"][2:])
    if len(topics) != 3 or len(data) != 96 or topics[0] not in (appended_topic(), anchored_topic()):
        raise ValueError("the log is not one of the audit log's")
    key, place = bytes.fromhex(topics[1][2:]), int(topics[2], 16)
    words = data[:32], data[32:64], data[64:]
    tx_hash, block = log["transactionHash"], int(log["blockNumber"], 16)
    if topics[0] == appended_topic():
        digest, kind, head = words
        return Appended(key, place, digest, int.from_bytes(kind), head, tx_hash, block)
    count, root, head = words
    return Anchored(key, place, int.from_bytes(count), root, head, tx_hash, block)


def transaction(raw: bytes) -> Transaction:
    """Decode a signed fee-market transaction (EIP-1559).

    Raises:
        ValueError: The bytes are not one.
    """
    import rlp
    from rlp.exceptions import RLPException

    try:
        if raw[:1] != b"\x02":
            raise ValueError("not a transaction of type 2")
        chain_id, nonce, tip, cap, gas, to, value, data, *_ = rlp.decode(raw[1:])
    except RLPException as error:
        raise ValueError(f"not a transaction: {error}") from error
    return Transaction(
        chain_id=int.from_bytes(chain_id),
        nonce=int.from_bytes(nonce),
        tip=int.from_bytes(tip),
        cap=int.from_bytes(cap),
        to="0x" + to.hex() if to else None,
        data=data,
        gas=int.from_bytes(gas),
        value=int.from_bytes(value),
    )


def transaction_hash(raw: bytes) -> str:
    """Return the hash that names a transaction."""
    return "0x" + keccak(raw).hex()


def created_address(account: str, nonce: int) -> str:
    """Return the address of the contract that an account's transaction creates.

    Source: the yellow paper, section 7: the last 20 bytes of `keccak(rlp([account, nonce]))`.
    """
    import rlp

    encoded: bytes = rlp.encode([bytes.fromhex(account[2:]), nonce])
    return "0x" + keccak(encoded)[12:].hex()


@cache
def _selector(name: str) -> bytes:
    return next(
        bytes.fromhex(selector)
        for signature, selector in artifact()["selectors"].items()
        if signature.split("(")[0] == name
    )


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
