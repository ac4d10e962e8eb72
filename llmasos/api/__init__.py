"""The types on the wire between the kernel and its clients."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, field_serializer

from llmasos.events import ActionStatus, FileChange, FileName, TurnStatus, Usage

CLIENT_HEADER = "llmasos-client"
"""The header in which a client says what it is, in lower case; the ledger holds it."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorBody(_Wire):
    """What every refused request gets."""

    code: str
    message: str
    hint: str = ""


class SessionRequest(_Wire):
    """A new session on a folder.

    Args:
        folder: The folder.
        model: The model, or empty for the default.
        in_place: Work on the folder itself, with nothing to discard or undo.
        hosts: Hosts that code may reach, beside those of the settings.
        granted: Hidden files that code may see, as globs, beside those of the settings.
        access: What is possible at all; empty for what the settings say.
        asking: When a person is asked; empty for what the settings say.
    """

    folder: str
    model: str = ""
    in_place: bool = False
    hosts: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    access: Literal["", "read-only", "workspace", "open"] = ""
    asking: Literal["", "always", "on-risk", "never"] = ""


class SessionInfo(_Wire):
    """A session as lists show it."""

    id: str
    folder: str
    title: str = ""
    model: str = ""
    created: datetime
    updated: datetime
    turns: int = 0
    running: bool = False
    usage: Usage = Usage()
    in_place: bool = False
    hosts: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    access: Literal["", "read-only", "workspace", "open"] = ""
    asking: Literal["", "always", "on-risk", "never"] = ""


class AccessRequest(_Wire):
    """What a session's code may reach and see, and when a person is asked, from now on.

    None leaves it as it is.
    """

    hosts: tuple[str, ...] | None = None
    granted: tuple[str, ...] | None = None
    access: Literal["read-only", "workspace", "open"] | None = None
    asking: Literal["always", "on-risk", "never"] | None = None


class Attachment(_Wire):
    """Text that a person gives to the model beside the request."""

    name: str
    text: str


class TurnRequest(_Wire):
    """A person's text, with limits of its own where they differ from the settings.

    `approve` says what happens when the policy asks: `ask` waits for a person, `deny` refuses because
    nobody is there, `all` was approved beforehand. A dry run shows its diff and then drops its changes.
    `approved` are digests of calls that were approved beforehand, each once.
    """

    text: str
    approve: Literal["ask", "deny", "all"] = "ask"
    attachments: tuple[Attachment, ...] = ()
    max_steps: int | None = Field(None, ge=1)
    timeout: float | None = Field(None, gt=0)
    dry_run: bool = False
    approved: tuple[str, ...] = ()


class TurnAccepted(_Wire):
    """The stored turn, and the place in the stream after which its events follow."""

    turn: str
    after: int


class ApprovalRequest(_Wire):
    """An answer to an approval request; it counts only for the call with this digest.

    Args:
        approve: Whether it may run.
        digest: The digest of the request.
        always: Allow calls of the same pattern from now on.
        arguments: Run it with these arguments instead; they are decided on anew.
        why: What the model is told when it is refused.
    """

    approve: bool
    digest: str
    always: bool = False
    arguments: dict[str, Any] | None = None
    why: str = Field("", max_length=2000)


class Choice(_Wire):
    """A changed path, whole or only some hunks of its diff, numbered from 1."""

    path: FileName
    hunks: tuple[int, ...] | None = None


class ChangesRequest(_Wire):
    """The changes to commit or discard; none means all.

    `merge` merges text files that were changed in the folder in the meantime, instead of refusing them.
    """

    choices: tuple[Choice, ...] | None = None
    merge: bool = False


class CommitChoice(_Wire):
    """A commit to undo or redo; empty means the newest."""

    commit: str = ""


class ModelChoice(_Wire):
    """The model that a session's next turns ask."""

    model: str


class Diff(_Wire):
    """What a session's view would change in its folder."""

    changes: tuple[FileChange, ...] = ()
    omitted: int = 0
    summary: str = ""

    def unified(self) -> str:
        """Return the whole diff as one text."""
        return "".join(
            change.diff or f"{change.kind} {change.path} {change.detail}\n" for change in self.changes
        )


class CommitInfo(_Wire):
    """A commit as it was written to the folder, undone or done again.

    `left` are changes that cannot be written, such as pipes, and stay in the view.
    """

    id: str
    paths: tuple[FileName, ...]
    at: datetime | None = None
    undone: bool = False
    left: tuple[FileName, ...] = ()


class MergedFile(_Wire):
    """A file that was changed on both sides, merged; what clashes stands between conflict markers."""

    path: FileName
    text: str
    conflicts: int


class JobInfo(_Wire):
    """A command in the background of a session's sandbox."""

    id: str
    command: str
    running: bool
    exit_code: int | None = None
    seconds: float = 0.0
    written: int = 0


class JobOutput(_Wire):
    """What a job has printed from a byte on, which may be later than the one asked for."""

    text: str
    offset: int
    job: JobInfo


class JobPlace(_Wire):
    """From which byte on a job's output is wanted, and how many seconds to wait for more."""

    offset: int = Field(0, ge=0)
    wait: float = Field(0.0, ge=0, le=60)


class StateRequest(_Wire):
    """A name under which the Python session's variables are kept or found again."""

    name: str = Field(min_length=1, max_length=100)


class ModelInfo(_Wire):
    """A model that can be chosen.

    Args:
        size: Bytes of its files; 0 when that is not known.
        licence: SPDX identifier, or what its makers say.
        default: Whether it is asked where none is named.
    """

    name: str
    title: str = ""
    size: int = 0
    state: Literal["remote", "resident", "cached", "absent"] = "absent"
    licence: str = ""
    default: bool = False


class ToolInfo(_Wire):
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: dict[str, Any]
    capabilities: tuple[str, ...] = ()


class AnchorInfo(_Wire):
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


class LedgerInfo(_Wire):
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


class VerifyReport(_Wire):
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


class VerifyProgress(_Wire):
    """How far a verification is; the total is 0 while it is not known."""

    step: str
    done: int
    total: int


class VerifyLine(_Wire):
    """One line of a verification as it is streamed: progress, at last the report, or why there is none."""

    progress: VerifyProgress | None = None
    report: VerifyReport | None = None
    error: ErrorBody | None = None


class RecordFilter(_Wire):
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


class RecordInfo(_Wire):
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


class ErasureInfo(_Wire):
    """Why a body was erased."""

    at: datetime
    reason: str
    by: str


class ProofRequest(_Wire):
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


class AnchorRequest(_Wire):
    """The place outside to tell; empty means all."""

    target: str = ""


class EraseRequest(_Wire):
    """The records whose bodies are erased, and why.

    Args:
        count_only: Erase nothing, and say how many there are.
    """

    which: RecordFilter
    reason: str = Field("", max_length=1000)
    count_only: bool = False


class Erased(_Wire):
    """How many bodies were erased, or would be."""

    count: int


class RotateRequest(_Wire):
    """The new private key in hexadecimal; empty has one made, where the chain is ours."""

    key: SecretStr = SecretStr("")

    @field_serializer("key", when_used="json")
    def _sent(self, key: SecretStr) -> str:
        return key.get_secret_value()


class AccountInfo(_Wire):
    """The account that signs."""

    account: str


KeyScope = Literal["models", "agent", "approve", "admin"]
"""What a key opens: models; sessions and turns; a person's decisions in them; everything."""


class KeyRequest(_Wire):
    """A new key for another program; what is None has no limit.

    Args:
        name: What it is for.
        scopes: What it opens.
        models: Models that it may ask, as globs; none means all.
        requests_per_minute: Requests of any kind.
        tokens_per_minute: Tokens that models read and write for it.
        tokens_per_day: The same in a day of UTC.
        budget: What models may cost in a month of UTC, by the prices of the settings.
        expires_days: Days until it ends.
        priority: The highest priority that it may ask for.
    """

    name: str = Field(min_length=1, max_length=100)
    scopes: tuple[KeyScope, ...] = Field(("models",), min_length=1)
    models: tuple[str, ...] = ()
    requests_per_minute: int | None = Field(None, ge=1, le=10**9)
    tokens_per_minute: int | None = Field(None, ge=1, le=10**12)
    tokens_per_day: int | None = Field(None, ge=1, le=10**12)
    budget: float | None = Field(None, gt=0, le=10**12, allow_inf_nan=False)
    expires_days: float | None = Field(None, gt=0, le=36_500)
    priority: Literal["interactive", "normal", "batch"] = "normal"


class KeyUsage(_Wire):
    """What models did for a key; `cost` is in the currency of the prices."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


class KeyInfo(_Wire):
    """A key without its secret; times are in UTC."""

    id: str
    name: str
    scopes: tuple[KeyScope, ...]
    models: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    budget: float | None = None
    priority: Literal["interactive", "normal", "batch"] = "normal"
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None
    today: KeyUsage = KeyUsage()
    month: KeyUsage = KeyUsage()
    total: KeyUsage = KeyUsage()


class KeyCreated(_Wire):
    """A new key with its secret, which nobody can show again."""

    key: KeyInfo
    secret: str


class Health(_Wire):
    """Whether the kernel lives, and whether it takes work."""

    status: Literal["ok", "ready", "draining", "unready"]
    model: str = ""
    model_state: str = ""
    sandbox: str = ""
    ledger: str = ""


class KernelInfo(_Wire):
    """The kernel as `llmasos status` shows it."""

    version: str
    pid: int
    started: datetime
    data_dir: str
    model: str
    model_resident: bool
    model_state: Literal["absent", "cached", "resident", "remote"] | None = None
    sandbox: str
    sandbox_reason: str = ""
    service: str = Field("", description="Where other programs reach it; empty without a port.")
    sessions: int
    ledger: LedgerInfo


class Check(_Wire):
    """One line of the doctor's report."""

    part: str
    ok: bool
    message: str
    fix: str = ""


class ActionResult(_Wire):
    """One action of a turn, as scripts get it."""

    id: str
    tool: str
    arguments: dict[str, Any]
    status: ActionStatus
    outcome: str
    backend: str = ""
    seconds: float = 0.0


class WantedApproval(_Wire):
    """A call that was refused because nobody was there to approve it.

    Args:
        digest: What approves it beforehand: `llmasos run --approve DIGEST`.
    """

    action: str
    tool: str
    arguments: dict[str, Any]
    reason: str
    digest: str


class TurnResult(_Wire):
    """A finished turn, as scripts get it."""

    status: TurnStatus
    answer: str
    actions: tuple[ActionResult, ...]
    diff: str
    changes: tuple[FileChange, ...] = ()
    committed: bool = False
    artifacts: tuple[str, ...] = ()
    approvals: tuple[WantedApproval, ...] = ()
    session: str
    usage: Usage
    error: str = ""
    hint: str = ""
