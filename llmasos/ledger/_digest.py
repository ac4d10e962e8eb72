"""The hashes of the ledger: a record's salted digest, a session's chain of digests, and that of them all."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from llmasos.errors import LedgerError

RECORD_TAG = b"llmasos.record.v2\0"
BODY_TAG = b"llmasos.body.v2\0"
HISTORY_TAG = b"llmasos.history.v2\0"
SALT_BYTES = 16
FIRST_HEAD = bytes(32)


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value (RFC 8785).

    Raises:
        LedgerError: The value has no canonical form: a type that JSON lacks, NaN, an integer beyond 2**53, or
            text with lone surrogates.
    """
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise LedgerError(
            f"This cannot be recorded: {error}.",
            hint="Record hashes and plain JSON values; write large numbers as text.",
        ) from error


def body_digest(body: str, salt: bytes) -> bytes:
    """Return `SHA-256(tag || salt || body)`, by which a record holds its body.

    Deleting the body and its salt erases what was said, and leaves a record that can still be proved.

    Args:
        body: The body's canonical JSON.
        salt: 16 random bytes, which hide a body that could be guessed.
    """
    return hashlib.sha256(BODY_TAG + salt + body.encode()).digest()


def record_digest(
    *,
    number: int,
    session: str,
    seq: int,
    kind: str,
    action: str,
    tool: str,
    at: str,
    body_digest: str,
    salt: bytes,
) -> bytes:
    """Return `SHA-256(tag || salt || JCS(record))`, which is all that leaves the database.

    Args:
        body_digest: What holds the body, in hexadecimal.
        salt: 16 random bytes, which hide a record that could be guessed.
    """
    fields = {
        "action": action,
        "at": at,
        "body": body_digest,
        "kind": kind,
        "number": number,
        "seq": seq,
        "session": session,
        "tool": tool,
    }
    return hashlib.sha256(RECORD_TAG + salt + _flat(fields).encode()).digest()


# Of an object whose names are in order and whose values are text or small integers, this is the canonical
# form (RFC 8785), thirty times as fast as a library that takes any value.
_flat = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def session_key(session: str) -> bytes:
    """Return the 32 bytes that name a session on the chain."""
    return hashlib.sha256(session.encode()).digest()


def next_head(key: bytes, seq: int, head: bytes, digest: bytes, kind: int) -> bytes:
    """Return a session's head after one more record, as `AuditLog.sol` computes it."""
    return keccak(key + seq.to_bytes(32, "big") + head + digest + kind.to_bytes(32, "big"))


def next_anchored_head(key: bytes, first: int, head: bytes, root: bytes, count: int) -> bytes:
    """Return a session's head after one more tree, as `AuditLog.sol` computes it."""
    words = first.to_bytes(32, "big"), head, root, count.to_bytes(32, "big"), (1).to_bytes(32, "big")
    return keccak(key + b"".join(words))


def next_history(history: bytes, digest: bytes) -> bytes:
    """Return the hash over all records in the order of their numbers, after one more."""
    return hashlib.sha256(HISTORY_TAG + history + digest).digest()


def use_native_code() -> None:
    """Choose the compiled hash and signature of the Ethereum libraries, before the first of them is imported.

    Without it they take ten times the time for a signature.
    """
    os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
    os.environ.setdefault("ECC_BACKEND_CLASS", "eth_keys.backends.CoinCurveECCBackend")


def keccak(data: bytes) -> bytes:
    """Return Ethereum's Keccak-256."""
    from sha3 import keccak_256

    digest: bytes = keccak_256(data).digest()
    return digest
