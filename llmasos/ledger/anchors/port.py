"""The port to a place outside the operator's control that vouches for the ledger."""

from __future__ import annotations

import hashlib
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from llmasos.errors import LedgerError
from llmasos.ledger._digest import canonical

STATEMENT_TAG = b"llmasos.statement.v1\0"


class AnchorError(LedgerError):
    """The place cannot be reached or written; trying again may help."""


class AnchorMismatch(LedgerError):
    """The place vouches for something else than the ledger holds."""


class Statement(BaseModel, frozen=True):
    """What is said about the ledger at one moment.

    Args:
        records: How many records there are; it covers them all.
        history: The hash over all of their digests in the order of their numbers, in hexadecimal.
        block: A block of the chain that holds them all, and its hash.
        at: When it was made, ISO 8601 in UTC, by our own clock.
    """

    chain_id: int
    contract: str
    block: int
    block_hash: str
    records: int
    history: str
    at: str

    @property
    def content(self) -> bytes:
        """What is vouched for: `tag || JCS(statement)`."""
        return STATEMENT_TAG + canonical(self.model_dump())

    @property
    def digest(self) -> bytes:
        """The SHA-256 that is put outside: `SHA-256(tag || JCS(statement))`."""
        return hashlib.sha256(self.content).digest()


class Anchor(Protocol):
    """One place outside.

    Args:
        target: The place as it is configured, such as `file:/mnt/other/anchors.jsonl`.
    """

    target: str

    async def put(self, statement: Statement) -> bytes:
        """Put a statement outside and return the receipt that proves it.

        One that lies there already is not put again where that can be told: its receipt is returned, so that
        a crash between putting it and storing the receipt leaves nothing behind.

        Raises:
            AnchorError: The place cannot be reached or written.
            AnchorMismatch: What lies there was altered, or belongs to somebody else.
        """

    async def check(self, statement: Statement, receipt: bytes) -> str:
        """Check a receipt and return the time that it vouches for, ISO 8601 in UTC.

        Raises:
            AnchorError: The place cannot be reached.
            AnchorMismatch: The receipt is not for this statement, or the place does not know it.
        """

    async def digests(self) -> list[bytes] | None:
        """Return the digests of all statements that lie there, oldest first; None where it cannot list them.

        Raises:
            AnchorError: The place cannot be reached.
            AnchorMismatch: What lies there was altered.
        """

    async def close(self) -> None:
        """Let go of the place."""


R = TypeVar("R", bound=BaseModel)


def read_receipt(model: type[R], receipt: bytes) -> R:
    """Return a receipt that is JSON.

    Raises:
        AnchorMismatch: It is not one.
    """
    try:
        return model.model_validate_json(receipt)
    except ValidationError as error:
        raise AnchorMismatch(
            "The receipt was altered: it cannot be read.", hint="Restore the database from a backup."
        ) from error
