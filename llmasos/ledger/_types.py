"""What is recorded, and what the ledger answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal[
    "intent", "approval", "outcome", "cancel", "commit", "discard", "undo", "session", "redo", "policy"
]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds in the order of their numbers on the chain, from 0; new ones go to the end."""

State = Literal["pending", "confirmed"]

UNKNOWN_KIND = 255


def kind_number(kind: str) -> int:
    """Return a kind's number on the chain; 255, which no record has, for text that is not a kind."""
    return next((number for number, name in enumerate(KINDS) if name == kind), UNKNOWN_KIND)


class Entry(BaseModel):
    """One thing to record.

    Args:
        session: The session it belongs to.
        kind: What it is.
        action: The id of the action it belongs to, if any.
        tool: The tool of that action.
        body: Facts as JSON: hashes of arguments and results, the policy's rule, the backend, the model.
    """

    model_config = ConfigDict(frozen=True)

    session: str = Field(min_length=1, max_length=200)
    kind: Kind
    action: str = Field("", max_length=200)
    tool: str = Field("", max_length=200)
    body: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """An entry in its place.

    Args:
        seq: Its place in the session, from 1.
        digest: The salted SHA-256 that goes on chain, in hexadecimal.
        at: When it was recorded, ISO 8601 in UTC.
        tx_hash: Its transaction, once signed.
    """

    session: str
    seq: int
    kind: Kind
    action: str
    tool: str
    digest: str
    at: str
    tx_hash: str | None
    state: State


@dataclass(frozen=True)
class LedgerStatus:
    """How the ledger is doing.

    Args:
        backend: The chain's name.
        contract: The address of the audit log; None until it is deployed.
        head_block: The chain's newest block; None while it cannot be reached.
        resent: Transactions that the chain had lost, sent again since the ledger was opened.
        last_error: What went wrong last; empty when the chain is well.
    """

    backend: str
    chain_id: int
    contract: str | None
    records: int
    confirmed: int
    pending: int
    head_block: int | None
    resent: int
    last_error: str


@dataclass(frozen=True)
class Verdict:
    """The result of checking every record against the chain.

    Args:
        checked: Records recomputed from the database.
        confirmed: Of those, the ones that the chain confirms.
        pending: Of those, the ones that have not reached the chain.
        problems: What is wrong, in plain words, the first bad record first.
        message: The result in one sentence.
    """

    ok: bool
    checked: int
    confirmed: int
    pending: int
    sessions: int
    problems: tuple[str, ...]
    message: str
