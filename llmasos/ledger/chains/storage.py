"""Sessions in the contract's storage, proved against the state root of a block."""

from __future__ import annotations

from typing import Any

from llmasos.ledger._contract import SessionState
from llmasos.ledger._digest import FIRST_HEAD, keccak
from llmasos.ledger.chains.patricia import EMPTY_ROOT, lookup
from llmasos.ledger.chains.values import octets, shown

SESSIONS_SLOT = 0
"""Where `AuditLog.sol` keeps its mapping of sessions."""

NO_CODE = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")


class NoContract(ValueError):
    """The state proves that there is no contract."""


def session_slots(key: bytes) -> tuple[int, int]:
    """Return the storage slots of a session: of its owner, count and closing, and of its head."""
    first = int.from_bytes(keccak(key + SESSIONS_SLOT.to_bytes(32, "big")), "big")
    return first, (first + 1) % 2**256


def storage_root(state_root: bytes, contract: str, proof: dict[str, Any]) -> bytes:
    """Return the root of a contract's storage, by the answer to `eth_getProof`.

    Raises:
        NoContract: The proof shows that nothing lies at the address.
        ValueError: The proof does not hold.
    """
    import rlp
    from rlp.exceptions import RLPException

    account = lookup(state_root, keccak(octets(contract, 20)), map(octets, proof["accountProof"]))
    if account is None:
        raise NoContract(f"there is no audit log at {contract}")
    try:
        _, _, root, code = rlp.decode(account)
    except RLPException as error:
        raise ValueError(f"the account cannot be read: {error}") from error
    if code == NO_CODE:
        raise NoContract(f"there is no audit log at {contract}")
    return bytes(root)


def proved_slot(root: bytes, slot: int, proof: dict[str, Any]) -> int:
    """Return what a storage slot holds, by its part of the answer to `eth_getProof`.

    Raises:
        ValueError: The proof does not hold.
    """
    import rlp
    from rlp.exceptions import RLPException

    if root == EMPTY_ROOT:
        return 0
    value = lookup(root, keccak(slot.to_bytes(32, "big")), map(octets, proof["proof"]))
    if value is None:
        return 0
    try:
        number = rlp.decode(value)
    except RLPException as error:
        raise ValueError(f"a slot cannot be read: {error}") from error
    if not isinstance(number, bytes) or len(number) > 32:
        raise ValueError("a slot is not a number")
    return int.from_bytes(number, "big")


def session_stored(packed: int, head: int) -> SessionState:
    """Return a session by its two slots; Solidity puts the first member into the lowest bits."""
    owner = shown((packed & (2**160 - 1)).to_bytes(20, "big"))
    count, closed = packed >> 160 & (2**64 - 1), bool(packed >> 224 & 0xFF)
    return SessionState(owner, count, closed, head.to_bytes(len(FIRST_HEAD), "big"))
