"""Explanations on the wire: why something was done, from the log alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from llmasos.api.ledger import RecordInfo
from llmasos.api.wire import Wire
from llmasos.decisions import ArgumentOrigin, Decision, Verdict
from llmasos.events import ActionStatus, FileChange, FileName, ToolChoice, TurnStatus


class DecisionCheck(Wire):
    """The decision made again, with other facts.

    Args:
        facts: The facts that were changed, with the values that they had instead; empty changes nothing.
        expected: What was said that would be decided.
        found: What is decided; None when these facts cannot be decided on.
        holds: Whether that is the same.
    """

    facts: dict[str, Any] = Field(default_factory=dict)
    expected: Verdict
    found: Verdict | None
    holds: bool


class ApprovalExplanation(Wire):
    """What became of the question whether a call may run.

    Args:
        approved: The answer; None when there was none.
        by: Who gave it.
        always: Whether it counts for calls of the same pattern from now on.
        arguments: What the person made of the arguments; None when they stayed as they were.
        why: What the person said to the model.
    """

    reason: str = ""
    digest: str = ""
    pattern: str = ""
    asked: datetime | None = None
    answered: datetime | None = None
    approved: bool | None = None
    by: str = ""
    always: bool = False
    arguments: dict[str, Any] | None = None
    why: str = ""


class ProofExplanation(Wire):
    """What the ledger holds of an action, and how a stranger is convinced.

    Args:
        records: The records, oldest first.
        state: Whether they are on the chain: `confirmed` when all are.
        agrees: Whether the session shows what was recorded; None when what was recorded was erased.
        verified: Whether a proof was made and holds, as a stranger checks it; None while there is none.
        command: The command that writes the proof.
    """

    records: tuple[RecordInfo, ...]
    state: Literal["confirmed", "pending", "failed"]
    agrees: bool | None
    verified: bool | None = None
    command: str


class ActionExplanation(Wire):
    """Why one action was done, and what became of it.

    What is None is not known, and `absent` says why.

    Args:
        parent: The action whose code made the call; empty when the model made it.
        nested: The actions that its code called.
        said: What the model wrote before the call. It is no evidence: a model may write anything.
        arguments: What it was called with, as the person left them.
        origins: Where each argument comes from; an argument that is not among them was made up by the model.
        choice: How sure the model was of the tool.
        decision: What the policy said; of several, because the arguments were edited, the last.
        earlier: What it said before.
        facts: What was known of the call.
        checks: The decision made again, as it was and with the facts changed that would flip it.
        today: What the policy of today says, where it is another one.
        approvals: What became of the questions to a person.
        changes: The paths of the turn's diff that it wrote.
        proof: What the ledger holds of it.
        problems: What does not fit together.
        absent: The parts that are not known, each with why.
    """

    action: str
    tool: str
    parent: str = ""
    nested: tuple[str, ...] = ()
    at: datetime | None = None
    said: str | None = None
    arguments: dict[str, Any] | None = None
    origins: tuple[ArgumentOrigin, ...] | None = None
    choice: ToolChoice | None = None
    decision: Decision | None = None
    earlier: tuple[Decision, ...] = ()
    facts: dict[str, Any] | None = None
    checks: tuple[DecisionCheck, ...] | None = None
    today: Decision | None = None
    approvals: tuple[ApprovalExplanation, ...] | None = None
    status: ActionStatus | None = None
    result: str | None = None
    backend: str = ""
    seconds: float = 0.0
    changes: tuple[FileName, ...] | None = None
    proof: ProofExplanation | None = None
    problems: tuple[str, ...] = ()
    absent: dict[str, str] = Field(default_factory=dict)


class FolderDecision(Wire):
    """What a person decided about the changes after the turn."""

    what: Literal["commit", "discard", "undo", "redo"]
    at: datetime
    commit: str = ""
    paths: tuple[FileName, ...] = ()


class Explanation(Wire):
    """Why a turn, or one action of it, was done; all of it from the log.

    What is None is not known, and `absent` says why.

    Args:
        id: What was asked about.
        request: What the person wanted, in their words.
        status: How the turn ended.
        actions: The actions of the turn, or the one that was asked about with those that its code called.
        diff: What the turn would change in the folder.
        omitted: How many changes more there are.
        decisions: What a person decided about these changes since.
        policy: The version of today's policy; empty when it is not known.
        problems: What does not fit together: the log was altered, or is damaged.
        absent: The parts that are not known, each with why.
    """

    id: str
    session: str
    turn: str
    at: datetime | None = None
    request: str | None = None
    attachments: tuple[str, ...] = ()
    steered: tuple[str, ...] = ()
    model: str = ""
    sandbox: str = ""
    dry_run: bool = False
    in_place: bool = False
    status: TurnStatus | None = None
    error: str = ""
    actions: tuple[ActionExplanation, ...] = ()
    diff: tuple[FileChange, ...] | None = None
    omitted: int = 0
    decisions: tuple[FolderDecision, ...] = ()
    policy: str = ""
    problems: tuple[str, ...] = ()
    absent: dict[str, str] = Field(default_factory=dict)
