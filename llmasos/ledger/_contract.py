"""The audit-log contract as calls, events and addresses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from llmasos.ledger._digest import keccak

APPENDED = "Appended(bytes32,uint64,bytes32,uint8,bytes32)"


@dataclass(frozen=True)
class Appended:
    """A record as the chain has it: the event of one `append`."""

    key: bytes
    seq: int
    digest: bytes
    kind: int
    head: bytes
    tx_hash: str


@dataclass(frozen=True)
class Transaction:
    """What a signed transaction says."""

    chain_id: int
    nonce: int
    to: str | None
    data: bytes


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


def appended_topic() -> str:
    """Return the topic that marks `Appended` events."""
    return "0x" + keccak(APPENDED.encode()).hex()


def appended(log: dict[str, Any]) -> Appended:
    """Decode one event log of JSON-RPC."""
    data = bytes.fromhex(log["data"][2:])
    return Appended(
        key=bytes.fromhex(log["topics"][1][2:]),
        seq=int(log["topics"][2], 16),
        digest=data[:32],
        kind=int.from_bytes(data[32:64]),
        head=data[64:96],
        tx_hash=log["transactionHash"],
    )


def transaction(raw: bytes) -> Transaction:
    """Decode a signed fee-market transaction (EIP-1559).

    Raises:
        ValueError: The bytes are not one.
    """
    import rlp  # type: ignore[import-untyped]
    from rlp.exceptions import RLPException  # type: ignore[import-untyped]

    try:
        if raw[:1] != b"\x02":
            raise ValueError("not a transaction of type 2")
        chain_id, nonce, _, _, _, to, _, data, *_ = rlp.decode(raw[1:])
    except RLPException as error:
        raise ValueError(f"not a transaction: {error}") from error
    return Transaction(int.from_bytes(chain_id), int.from_bytes(nonce), "0x" + to.hex() if to else None, data)


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


def _selector(name: str) -> bytes:
    return next(
        bytes.fromhex(selector)
        for signature, selector in artifact()["selectors"].items()
        if signature.split("(")[0] == name
    )


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
