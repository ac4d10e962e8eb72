"""What is recorded, and what the ledger answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal[
    "intent",
    "approval",
    "outcome",
    "cancel",
    "commit",
    "discard",
    "undo",
    "session",
    "redo",
    "policy",
    "model",
    "plugin",
    "erase",
    "rotate",
    "key",
    "round",
    "knowledge",
]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds in the order of their numbers on the chain, from 0; new ones go to the end."""

KEPT: tuple[Kind, ...] = ("erase", "rotate")
"""The kinds whose bodies cannot be erased: without them nobody could tell what was erased, or who signed."""

State = Literal["pending", "confirmed", "failed"]

Mode = Literal["each", "batch", "merkle"]
"""One transaction per record, one for several records of a session, or one for a tree over records of all."""

Route = Literal["session", "tree"]
"""Whether a session's records are appended to it on the chain, or are leaves of trees; fixed by its first."""

SYSTEM = "ledger"
"""The session of what concerns the ledger as a whole: erasures, keys, plugins."""

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
        number: Its place among all records, from 1.
        seq: Its place in the session, from 1.
        digest: The salted SHA-256 that goes on chain, in hexadecimal.
        at: When it was recorded, ISO 8601 in UTC.
        tx_hash: Its transaction, once signed.
        block: The block that holds it, once mined.
        body: What was recorded; None when it was not asked for, or was erased.
        erased: Whether the body was erased.
    """

    number: int
    session: str
    seq: int
    kind: Kind
    action: str
    tool: str
    digest: str
    at: str
    tx_hash: str | None
    state: State
    block: int | None = None
    body: dict[str, Any] | None = None
    erased: bool = False


@dataclass(frozen=True)
class Filter:
    """Which records are meant; empty fields leave all.

    Args:
        since: Those recorded at this moment or later, ISO 8601 in UTC.
        until: Those recorded before this moment.
        after: Those with a higher number.
    """

    session: str = ""
    action: str = ""
    kinds: tuple[str, ...] = ()
    tool: str = ""
    since: str = ""
    until: str = ""
    after: int = 0


@dataclass(frozen=True)
class LedgerStatus:
    """How the ledger is doing.

    Args:
        backend: The chain's name.
        account: The address that signs.
        contract: The address of the audit log; None until it is deployed.
        head_block: The chain's newest block; None while it cannot be reached.
        resent: Transactions that the chain had lost, sent again since the ledger was opened.
        replaced: Transactions sent again with a higher fee since the ledger was opened.
        failed: Records that the contract refused.
        spent: What the transactions have cost, in wei.
        anchored: What each anchor was last told, the furthest first.
        anchor_error: Why an anchor could not be reached last; empty when all could.
        last_error: What went wrong last; empty when the chain is well.
        hint: The next step after that error.
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
    hint: str = ""
    mode: Mode = "each"
    account: str = ""
    replaced: int = 0
    failed: int = 0
    spent: int = 0
    anchored: tuple[AnchoredRange, ...] = ()
    anchor_error: str = ""


Finding = Literal["ok", "bad", "pending", "unreachable"]


@dataclass(frozen=True)
class Progress:
    """How far a verification is.

    Args:
        step: What is checked now: `records`, `transactions`, `chain`, `anchors`, `sessions`.
        done: How many of them are.
        total: How many there are; 0 while it is not known.
    """

    step: str
    done: int
    total: int


@dataclass(frozen=True)
class AnchoredRange:
    """What an anchor outside vouches for: the records 1 to `last`.

    Args:
        target: The anchor's name and place, such as `file:/mnt/other/anchors.jsonl`.
        at: When it was made, ISO 8601 in UTC; by the outside's own clock where it has one.
        note: What is remarkable about it, such as a chain that was rebuilt since; empty as a rule.
        block: The block that the statement names, which holds all of these records.
    """

    target: str
    last: int
    at: str
    note: str = ""
    block: int = 0


@dataclass(frozen=True)
class Verdict:
    """The result of checking everything: database, outbox, chain and anchors.

    Args:
        finding: `bad` when something was altered or is missing; otherwise `unreachable` when chain or anchors
            could not be asked; otherwise `pending` when records have not reached the chain; otherwise `ok`.
        checked: Records recomputed from the database.
        confirmed: Of those, the ones that the chain confirms.
        pending: Of those, the ones that have not reached the chain.
        erased: Of those, the ones whose body was erased.
        anchored: What each anchor vouches for, the furthest first.
        unanchored: The first record that no anchor vouches for; None when there is none.
        problems: What is wrong, in plain words, the first bad record first.
        message: The result in one sentence.
    """

    finding: Finding
    checked: int
    confirmed: int
    pending: int
    erased: int
    sessions: int
    anchored: tuple[AnchoredRange, ...]
    unanchored: int | None
    problems: tuple[str, ...]
    message: str

    @property
    def ok(self) -> bool:
        """Whether everything was checked and is in order."""
        return self.finding == "ok"
