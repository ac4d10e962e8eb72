"""The two hashes of the ledger: a record's salted digest, and a session's chain of digests."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from llmasos.errors import LedgerError

DIGEST_TAG = b"llmasos.record.v1\0"
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


def record_digest(
    *, number: int, session: str, seq: int, kind: str, action: str, tool: str, at: str, body: str, salt: bytes
) -> bytes:
    """Return `SHA-256(tag || salt || JCS(record))`, which is all that leaves the database.

    The salt hides records whose content could be guessed; deleting body and salt erases a record.

    Args:
        body: The body's canonical JSON.
        salt: 16 random bytes.

    Raises:
        LedgerError: The record has no canonical form.
    """
    fields = {
        "number": number,
        "session": session,
        "seq": seq,
        "kind": kind,
        "action": action,
        "tool": tool,
        "at": at,
        "body": body,
    }
    return hashlib.sha256(DIGEST_TAG + salt + canonical(fields)).digest()


def session_key(session: str) -> bytes:
    """Return the 32 bytes that name a session on the chain."""
    return hashlib.sha256(session.encode()).digest()


def next_head(key: bytes, seq: int, head: bytes, digest: bytes, kind: int) -> bytes:
    """Return a session's head after one more record, as `AuditLog.sol` computes it."""
    return keccak(key + seq.to_bytes(32, "big") + head + digest + kind.to_bytes(32, "big"))


def use_native_code() -> None:
    """Choose the compiled hash and signature of the Ethereum libraries, before the first of them is imported.

    Without it they take ten times the time for a signature.
    """
    os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
    os.environ.setdefault("ECC_BACKEND_CLASS", "eth_keys.backends.CoinCurveECCBackend")


def keccak(data: bytes) -> bytes:
    """Return Ethereum's Keccak-256."""
    from eth_hash.backends.pysha3 import backend

    return backend.keccak256(data)
