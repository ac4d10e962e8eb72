"""Everything that happens in a session, as frozen, typed events.

A session's stream is its only history: the shell renders it, `resume` and `replay` read it back.
Events with `seq == 0` are passing (streamed text and output) and are not stored; what they add up to
is in the stored event that follows them.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote_to_bytes

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter

from llmasos.decisions import ArgumentOrigin, Decision
from llmasos.display import display as display

TurnStatus = Literal["done", "failed", "approval_needed", "limit", "cancelled"]
ActionStatus = Literal["ok", "failed", "invalid", "denied", "cancelled", "unknown"]

NOBODY = "nobody to ask"
"""Who has answered a request for approval that nobody was there to see."""

_BYTES = "bytes:"


def _name_to_wire(name: str) -> str:
    """Return a file's name as JSON can hold it: a name that is not UTF-8 as `bytes:` and percent-escapes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return _BYTES + quote(os.fsencode(name))
    return _BYTES + quote(name) if name.startswith(_BYTES) else name


def _name_from_wire(name: object) -> object:
    if isinstance(name, str) and name.startswith(_BYTES):
        return os.fsdecode(unquote_to_bytes(name.removeprefix(_BYTES)))
    return name


FileName = Annotated[
    str, BeforeValidator(_name_from_wire), PlainSerializer(_name_to_wire, return_type=str, when_used="json")
]


class Usage(BaseModel):
    """Tokens and requests of a turn or a session.

    Args:
        requests: Requests to models.
        input_tokens: Tokens that models read.
        cached_tokens: Those of them that were read before, and not computed again.
        output_tokens: Tokens that models wrote.
        seconds: Time that passed, waiting for approvals included.
    """

    model_config = ConfigDict(frozen=True)

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            requests=self.requests + other.requests,
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            seconds=self.seconds + other.seconds,
        )


class FileChange(BaseModel):
    """One path that a view has changed, with its unified diff where it is text.

    Bytes of a name that are not UTF-8 are lone surrogates, as `os.fsdecode` makes them.

    Args:
        path: The path in the folder.
        kind: What has become of it.
        source: Where a renamed path was before.
        detail: What a diff of lines does not show, such as a mode, a size or a hash.
        diff: The unified diff of a text.
        runs: Who runs it by itself, outside of the sandbox, once it is written, with what of it is new; empty
            where nobody does.
    """

    model_config = ConfigDict(frozen=True)

    path: FileName
    kind: Literal["added", "changed", "deleted", "renamed"]
    source: FileName = ""
    detail: str = ""
    diff: str = ""
    runs: str = ""


class EventBase(BaseModel):
    """What every event carries: its session, its turn, its place in the stream and its time.

    Args:
        session: The session's id.
        turn: The turn's id; empty for what happens between turns.
        seq: Its number in the session's stream, from 1; 0 for a passing one.
        at: When it happened.
    """

    model_config = ConfigDict(frozen=True)

    session: str = ""
    turn: str = ""
    seq: int = 0
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class TurnStarted(EventBase):
    """A person's text was accepted; it is stored before anything else happens.

    Args:
        text: The request.
        attachments: Names of what was attached to it.
        model: The model that is asked.
        sandbox: The tier of the sandbox.
        dry_run: Whether the changes are dropped at the end.
        in_place: Whether the folder itself is worked on, without a view.
        call: The tool that is called at once; empty where the model is asked what is to be done.
    """

    type: Literal["turn_started"] = "turn_started"
    text: str
    attachments: tuple[str, ...] = ()
    model: str = ""
    sandbox: str = ""
    dry_run: bool = False
    in_place: bool = False
    call: str = ""


class TurnSteered(EventBase):
    """A person said something to the running turn; the model reads it with its next request."""

    type: Literal["turn_steered"] = "turn_steered"
    text: str


class Progress(EventBase):
    """Something slow is under way: a model loads, an image is built. Passing.

    Args:
        what: What is under way.
        done: How much of it is done.
        total: How much there is; 0 when that is not known.
        unit: What both count.
    """

    type: Literal["progress"] = "progress"
    what: str
    done: float = 0.0
    total: float = 0.0
    unit: str = ""


class TextDelta(EventBase):
    """A piece of the model's text. Passing."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class AssistantText(EventBase):
    """Text of the model, whole."""

    type: Literal["assistant_text"] = "assistant_text"
    text: str


class ToolChoice(BaseModel):
    """How sure the model was of the tool that it named.

    Args:
        logprob: The natural logarithm of the probability that it gave the tool's name.
        alternatives: The names that it would rather have written than others, with the same of each.
    """

    model_config = ConfigDict(frozen=True)

    logprob: float
    alternatives: dict[str, float] = {}


class CallDecided(EventBase):
    """The policy has decided on a call with valid arguments; nothing has happened yet.

    Args:
        action: The action's id, which its later events carry, too.
        tool: The tool's name.
        arguments: The call's arguments.
        parent: The action whose code made the call, if any.
        decision: The decision.
        origins: Where each argument comes from.
        choice: How sure the model was; None where its engine does not tell.
        facts: All that was known of the call, so that the decision can be made again.
    """

    type: Literal["call_decided"] = "call_decided"
    action: str
    tool: str
    arguments: dict[str, Any]
    parent: str = ""
    decision: Decision
    origins: tuple[ArgumentOrigin, ...] = ()
    choice: ToolChoice | None = None
    facts: dict[str, Any] = {}


class ActionStarted(EventBase):
    """The gate has let a tool call through and its intent is recorded.

    Args:
        action: The action's id.
        tool: The tool's name.
        arguments: The call's arguments.
        parent: The action whose code made the call, if any.
    """

    type: Literal["action_started"] = "action_started"
    action: str
    tool: str
    arguments: dict[str, Any]
    parent: str = ""


class Forecast(BaseModel):
    """What a call is expected to use: tokens of the model, and seconds at most."""

    model_config = ConfigDict(frozen=True)

    tokens: int = 0
    seconds: float = 0.0


class ApprovalRequested(EventBase):
    """The policy asks a person before this call may run.

    Args:
        action: The action's id, to which the answer is given.
        tool: The tool's name.
        arguments: The call's arguments.
        reason: Why a person is asked.
        digest: The SHA-256 of tool, arguments and policy version that the answer counts for.
        decision: The policy's decision, with what would flip it.
        origins: Where each argument comes from.
        preview: What it would change, as a diff, where that is known.
        hosts: Whom it would reach.
        forecast: What it is expected to use.
        pattern: What "always" would allow from now on, in words.
        expires: When the request is refused by itself.
    """

    type: Literal["approval_requested"] = "approval_requested"
    action: str
    tool: str
    arguments: dict[str, Any]
    reason: str
    digest: str
    decision: Decision | None = None
    origins: tuple[ArgumentOrigin, ...] = ()
    preview: str = ""
    hosts: tuple[str, ...] = ()
    forecast: Forecast = Forecast()
    pattern: str = ""
    expires: datetime | None = None


class ApprovalResolved(EventBase):
    """The answer to an approval request.

    Args:
        action: The action's id.
        approved: Whether the call may run.
        by: Who answered.
        always: Whether calls of the same pattern are allowed from now on.
        arguments: What the person made of the arguments; None when they stayed as they were.
        why: What the person said to the model when they refused.
    """

    type: Literal["approval_resolved"] = "approval_resolved"
    action: str
    approved: bool
    by: str
    always: bool = False
    arguments: dict[str, Any] | None = None
    why: str = ""


class ActionOutput(EventBase):
    """A piece of what a running action prints. Passing.

    Args:
        action: The action's id.
        text: The piece.
        stream: Where it was printed.
    """

    type: Literal["action_output"] = "action_output"
    action: str
    text: str
    stream: Literal["stdout", "stderr"] = "stdout"


class ActionFinished(EventBase):
    """The outcome of a tool call, as recorded.

    Args:
        action: The action's id.
        tool: The tool's name.
        status: How it ended; `unknown` when nobody can tell, as after a crash.
        result: What the model is told.
        backend: The tier of the sandbox that it ran in.
        seconds: How long it took.
        arguments: Those of an invalid call, which no event before this one holds.
        parent: The action whose code made an invalid call, if any.
    """

    type: Literal["action_finished"] = "action_finished"
    action: str
    tool: str
    status: ActionStatus
    result: str = ""
    arguments: dict[str, Any] | None = None
    parent: str = ""
    backend: str = ""
    seconds: float = 0.0


class ArtifactKept(EventBase):
    """A plot or a file that an action handed out, and where it lies on the kernel's machine.

    Args:
        action: The action's id.
        name: The file's name.
        media_type: Its media type, such as `image/png`.
        size: Its size in bytes.
        path: Where it lies.
    """

    type: Literal["artifact_kept"] = "artifact_kept"
    action: str
    name: str
    media_type: str
    size: int
    path: str


class Notice(EventBase):
    """Something the person should know."""

    type: Literal["notice"] = "notice"
    level: Literal["info", "warning", "error"] = "info"
    text: str


class DiffOffered(EventBase):
    """The view differs from the folder; nothing is written until it is committed.

    Args:
        changes: What is different, path by path.
        omitted: How many changes are left out, where there are thousands.
        summary: What thousands of changes add up to, in a line or more.
        dry_run: Whether the changes are dropped, so that there is nothing to commit.
    """

    type: Literal["diff_offered"] = "diff_offered"
    changes: tuple[FileChange, ...]
    omitted: int = 0
    summary: str = ""
    dry_run: bool = False


class WorkspaceChanged(EventBase):
    """The person's folder, or the view on it, was changed by a decision of the person.

    Args:
        what: What was decided.
        commit: The commit that was made, undone or made again.
        paths: The paths that it concerns.
    """

    type: Literal["workspace_changed"] = "workspace_changed"
    what: Literal["commit", "discard", "undo", "redo"]
    commit: str = ""
    paths: tuple[FileName, ...] = ()


class TurnFinished(EventBase):
    """The end of a turn.

    Args:
        status: How it ended.
        answer: What the model answered.
        error: What went wrong, where something did.
        hint: The next step then.
        usage: What the turn used.
    """

    type: Literal["turn_finished"] = "turn_finished"
    status: TurnStatus
    answer: str = ""
    error: str = ""
    hint: str = ""
    usage: Usage = Usage()


Event = Annotated[
    TurnStarted
    | TurnSteered
    | Progress
    | TextDelta
    | AssistantText
    | CallDecided
    | ActionStarted
    | ApprovalRequested
    | ApprovalResolved
    | ActionOutput
    | ActionFinished
    | ArtifactKept
    | Notice
    | DiffOffered
    | WorkspaceChanged
    | TurnFinished,
    Field(discriminator="type"),
]

PASSING = (Progress, TextDelta, ActionOutput)
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
