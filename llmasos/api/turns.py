"""Turns on the wire: what was asked for, what is to be approved, and what came of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from llmasos.api.wire import Wire
from llmasos.events import ActionStatus, FileChange, TurnStatus, Usage


class Attachment(Wire):
    """Text that a person gives to the model beside the request."""

    name: str
    text: str


class ToolCall(Wire):
    """One call of a tool, which a person makes in place of a model.

    What is `typed` is the person's own word, with all of its arguments; what a program put together is not.
    """

    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    typed: bool = False


class TurnRequest(Wire):
    """A person's text, with limits of its own where they differ from the settings.

    `approve` says what happens when the policy asks: `ask` waits for a person, `deny` refuses because
    nobody is there, `all` was approved beforehand. A dry run shows its diff and then drops its changes.
    `approved` are digests of calls that were approved beforehand, each once. With a `call` no model is asked:
    the text says what is done, and the call goes through the gate like a model's.
    """

    text: str
    approve: Literal["ask", "deny", "all"] = "ask"
    attachments: tuple[Attachment, ...] = ()
    max_steps: int | None = Field(None, ge=1)
    timeout: float | None = Field(None, gt=0)
    dry_run: bool = False
    approved: tuple[str, ...] = ()
    call: ToolCall | None = None


class TurnAccepted(Wire):
    """The stored turn, and the place in the stream after which its events follow."""

    turn: str
    after: int


class SteerRequest(Wire):
    """What a person says to a turn while it runs."""

    text: str


class ApprovalRequest(Wire):
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


class ActionResult(Wire):
    """One action of a turn, as scripts get it."""

    id: str
    tool: str
    arguments: dict[str, Any]
    status: ActionStatus
    outcome: str
    backend: str = ""
    seconds: float = 0.0


class WantedApproval(Wire):
    """A call that was refused because nobody was there to approve it.

    Args:
        digest: What approves it beforehand: `llmasos run --approve DIGEST`.
    """

    action: str
    tool: str
    arguments: dict[str, Any]
    reason: str
    digest: str


class TurnResult(Wire):
    """A finished turn, as scripts get it."""

    status: TurnStatus
    answer: str
    actions: tuple[ActionResult, ...]
    diff: str
    changes: tuple[FileChange, ...] = ()
    committed: bool = False
    artifacts: tuple[str, ...] = ()
    approvals: tuple[WantedApproval, ...] = ()
    steered: tuple[str, ...] = ()
    session: str
    usage: Usage
    error: str = ""
    hint: str = ""
