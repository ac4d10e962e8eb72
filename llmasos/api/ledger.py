"""The ledger on the wire: its records, their proofs, its anchors and its account."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field, SecretStr, field_serializer

from llmasos.api.wire import ErrorBody, Wire


class AnchorInfo(Wire):
    """What a place outside vouches for: the records 1 to `last`.

    Args:
        target: The place, as it is configured.
        at: When it was told; None while it was not.
        note: What is remarkable about it.
        block: The block of the chain that holds these records.
    """

    target: str
    last: int = 0
    at: datetime | None = None
    note: str = ""
    block: int = 0


class LedgerInfo(Wire):
    """Where the ledger stands.

    Args:
        spent: What its transactions have cost, in the smallest unit of the chain's coin.
        backlog: How many records may wait for the chain before actions are refused.
        anchors: Each place outside, and what it vouches for.
        error: What went wrong last, and `hint` the next step.
    """

    backend: str
    chain_id: int = 0
    contract: str = ""
    account: str = ""
    mode: Literal["each", "batch", "merkle"] = "each"
    head_block: int | None = None
    records: int = 0
    confirmed: int = 0
    pending: int = 0
    failed: int = 0
    resent: int = 0
    replaced: int = 0
    spent: int = 0
    backlog: int = 0
    anchors: tuple[AnchorInfo, ...] = ()
    anchor_error: str = ""
    error: str = ""
    hint: str = ""


class VerifyReport(Wire):
    """The verdict of a verification.

    Args:
        finding: `bad` when something was altered or is missing; otherwise `unreachable` when the chain or an
            anchor could not be asked; otherwise `pending` when records have not reached the chain; else `ok`.
        unanchored: The first record that no place outside vouches for; None when there is none.
    """

    ok: bool
    message: str
    finding: Literal["ok", "bad", "pending", "unreachable"] = "ok"
    sessions: int = 0
    checked: int = 0
    confirmed: int = 0
    pending: int = 0
    erased: int = 0
    anchored: tuple[AnchorInfo, ...] = ()
    unanchored: int | None = None
    problems: tuple[str, ...] = ()


class VerifyProgress(Wire):
    """How far a verification is; the total is 0 while it is not known."""

    step: str
    done: int
    total: int


class VerifyLine(Wire):
    """One line of a verification as it is streamed: progress, at last the report, or why there is none."""

    progress: VerifyProgress | None = None
    report: VerifyReport | None = None
    error: ErrorBody | None = None


class RecordFilter(Wire):
    """Which records are meant; empty fields leave all.

    Args:
        since: Those recorded at this moment or later.
        until: Those recorded before this moment.
        after: Those with a higher number.
    """

    session: str = ""
    action: str = ""
    kinds: tuple[str, ...] = ()
    tool: str = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    after: int = Field(0, ge=0)

    @property
    def empty(self) -> bool:
        """Whether it leaves all."""
        return not self.model_dump(exclude_defaults=True)


class RecordQuery(RecordFilter):
    """A page of records: the newest, or with `after` the first after it; `follow` adds those to come."""

    limit: int = Field(100, ge=1, le=100_000)
    bodies: bool = False
    follow: bool = False


class RecordInfo(Wire):
    """One record of the ledger.

    Args:
        body: What was recorded; None when it was not asked for, or was erased.
        erasure: Why, by whom and when it was erased; None when it was not, or when that was not asked for.
    """

    number: int = 0
    session: str
    seq: int
    kind: str
    action: str
    tool: str
    digest: str
    at: datetime
    state: str
    tx_hash: str = ""
    block: int | None = None
    body: dict[str, Any] | None = None
    erased: bool = False
    erasure: ErasureInfo | None = None


class ErasureInfo(Wire):
    """Why a body was erased."""

    at: datetime
    reason: str
    by: str


class ProofRequest(Wire):
    """What to prove: an action, or the record of a number.

    Args:
        what: The action's id, or the number as text.
        up_to_anchor: Lead the proof up to a later block that a place outside vouches for.
    """

    what: str
    up_to_anchor: bool = False


class ExportQuery(RecordFilter):
    """Which records to export, and how."""

    format: Literal["html", "json"] = "html"


class AnchorRequest(Wire):
    """The place outside to tell; empty means all."""

    target: str = ""


class EraseRequest(Wire):
    """The records whose bodies are erased, and why.

    Args:
        count_only: Erase nothing, and say how many there are.
    """

    which: RecordFilter
    reason: str = Field("", max_length=1000)
    count_only: bool = False


class Erased(Wire):
    """How many bodies were erased, or would be."""

    count: int


class RotateRequest(Wire):
    """The new private key in hexadecimal; empty has one made, where the chain is ours."""

    key: SecretStr = SecretStr("")

    @field_serializer("key", when_used="json")
    def _sent(self, key: SecretStr) -> str:
        return key.get_secret_value()


class AccountInfo(Wire):
    """The account that signs."""

    account: str
