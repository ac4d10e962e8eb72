"""The gate: the only way to run a tool.

Validate, ask the policy, have the intent recorded, run, have the outcome recorded.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import anyio

from llmasos.agent import policy as policies
from llmasos.agent.approvals import Approvals, call_digest, encodable, sha256_json
from llmasos.agent.audit import sha256_result
from llmasos.agent.policy import Decision, Policy
from llmasos.agent.recording import record
from llmasos.agent.stream import EventStream
from llmasos.errors import LLMasOSError, SandboxError, ToolError
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ActionStatus,
    ApprovalRequested,
    ApprovalResolved,
)
from llmasos.ledger import Kind, Ledger
from llmasos.models import Origin
from llmasos.tools import Registry, Tool, ToolContext

_log = logging.getLogger(__name__)
_LONGEST_RESULT = 20_000
_REPEATS = 3


class RepeatedCall(LLMasOSError):
    """The model made the same call again and again."""

    code = "limit"


@dataclass(frozen=True)
class ActionOutcome:
    """What became of a call: its status, its value, and the text that the model gets."""

    action: str
    status: ActionStatus
    value: object
    text: str


class ContextFactory(Protocol):
    """Makes the context of one action; opening the sandbox belongs to it."""

    @property
    def backend(self) -> str:
        """The name of the sandbox's backend."""

    async def __call__(self, action: str) -> ToolContext:
        """Return the context for a running action."""

    async def diff_sha256(self) -> str:
        """Return the SHA-256 of all that the view changes at this moment; empty when that is nothing."""


class Gate:
    """Runs the calls of one turn."""

    def __init__(
        self,
        *,
        session: str,
        turn: str,
        origin: Origin,
        registry: Registry,
        policy: Policy,
        ledger: Ledger,
        stream: EventStream,
        approvals: Approvals,
        context: ContextFactory,
        while_waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._session = session
        self._turn = turn
        self._origin = origin
        self._registry = registry
        self._policy = policy
        self._ledger = ledger
        self._stream = stream
        self._approvals = approvals
        self._context = context
        self._while_waiting = while_waiting
        self._last_call = ""
        self._repeats = 0
        self.approvals_missing = 0

    async def call(self, name: str, arguments: Mapping[str, Any], *, parent: str = "") -> ActionOutcome:
        """Carry a call through the gate.

        Args:
            name: The tool.
            arguments: As the model, or code in the sandbox, gave them.
            parent: The action inside which the call was made, if any.

        Raises:
            RepeatedCall: The model made this very call twice before, with nothing in between.
            LedgerError: The intent cannot be recorded; the tool does not run.
        """
        action = f"a-{secrets.token_hex(6)}"
        arguments = encodable(dict(arguments))
        if not parent:
            self._refuse_repeats(name, arguments)
        try:
            tool = self._registry.get(name)
            arguments = tool.validate(arguments)
        except ToolError as error:
            await self._refuse(action, name, "invalid", str(error), arguments, parent)
            return ActionOutcome(action, "invalid", None, str(error))

        decision = self._policy.decide(tool, arguments)
        if decision.verdict != "allow" and not await self._may_run(action, tool, arguments, decision):
            text = f"Not allowed: {decision.reason}"
            await self._refuse(action, name, "denied", text, arguments, parent)
            return ActionOutcome(action, "denied", None, text)

        await self._record(
            "intent",
            action,
            name,
            turn=self._turn,
            parent=parent,
            arguments_sha256=sha256_json(arguments),
            policy=policies.VERSION,
            rule=decision.rule,
            backend=self._context.backend,
            **self._origin.fields(),
        )
        await self._stream.append(
            ActionStarted(turn=self._turn, action=action, tool=name, arguments=dict(arguments), parent=parent)
        )
        return await self._run(action, tool, arguments, parent)

    def _refuse_repeats(self, name: str, arguments: Mapping[str, Any]) -> None:
        key = json.dumps([name, dict(arguments)], sort_keys=True, default=str)
        self._repeats = self._repeats + 1 if key == self._last_call else 1
        self._last_call = key
        if self._repeats >= _REPEATS:
            raise RepeatedCall(
                f"The model called {name} {_REPEATS} times in a row with the same arguments.",
                hint="Say it in other words, in smaller steps, or choose a larger model with /model.",
            )

    async def _may_run(
        self, action: str, tool: Tool, arguments: Mapping[str, Any], decision: Decision
    ) -> bool:
        approved, by = False, f"policy rule {decision.rule}"
        digest = call_digest(tool.name, arguments)
        if decision.verdict == "ask":
            await self._stream.append(
                ApprovalRequested(
                    turn=self._turn,
                    action=action,
                    tool=tool.name,
                    arguments=dict(arguments),
                    reason=decision.reason,
                    digest=digest,
                )
            )
            with self._while_waiting():
                approval = await self._approvals.wait(action, digest)
            approved, by = approval.approved, approval.by
            self.approvals_missing += self._approvals.mode == "deny"
            await self._stream.append(
                ApprovalResolved(turn=self._turn, action=action, approved=approved, by=by)
            )
        await self._record(
            "approval",
            action,
            tool.name,
            turn=self._turn,
            call_sha256=digest,
            arguments_sha256=sha256_json(arguments),
            approved=approved,
            by=by,
            policy=policies.VERSION,
            rule=decision.rule,
        )
        return approved

    async def _run(self, action: str, tool: Tool, arguments: Mapping[str, Any], parent: str) -> ActionOutcome:
        began = time.monotonic()
        # What a call inside another one changes is in the hash of the outer one.
        changes = tool.capabilities.changes and not parent
        status: ActionStatus = "ok"
        value: object = None
        try:
            value = await tool.run(await self._context(action), arguments)
            text = render(value)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._finish(action, tool.name, "cancelled", "Cancelled.", began, changes)
            raise
        except (ToolError, SandboxError) as error:
            status, text = "failed", str(error)
        except LLMasOSError as error:
            await self._finish(action, tool.name, "failed", str(error), began, changes)
            raise
        except Exception as error:
            # A tool is somebody's code: whatever it raises is its outcome, not ours.
            _log.exception("the tool %s raised", tool.name)
            status, text = "failed", f"{tool.name} raised {type(error).__name__}: {error}"
        text = shorten(text)
        with anyio.CancelScope(shield=True):
            await self._finish(action, tool.name, status, text, began, changes)
        return ActionOutcome(action, status, value, text)

    async def _refuse(
        self,
        action: str,
        tool: str,
        status: ActionStatus,
        text: str,
        arguments: Mapping[str, Any],
        parent: str,
    ) -> None:
        """Record and tell the end of a call that did not run."""
        await self._record(
            "outcome",
            action,
            tool,
            turn=self._turn,
            parent=parent,
            status=status,
            arguments_sha256=sha256_json(dict(arguments)),
            result_sha256=sha256_result(text),
            **self._origin.fields(),
        )
        await self._tell(action, tool, status, text)

    async def _finish(
        self, action: str, tool: str, status: ActionStatus, text: str, began: float, changes: bool
    ) -> None:
        """Record and tell the end of a call that ran."""
        seconds = round(time.monotonic() - began, 3)
        backend = self._context.backend
        await self._record(
            "cancel" if status == "cancelled" else "outcome",
            action,
            tool,
            turn=self._turn,
            status=status,
            result_sha256=sha256_result(text),
            diff_sha256=await self._context.diff_sha256() if changes else "",
            backend=backend,
            milliseconds=round(seconds * 1000),
        )
        await self._tell(action, tool, status, text, backend, seconds)

    async def _tell(
        self, action: str, tool: str, status: ActionStatus, text: str, backend: str = "", seconds: float = 0.0
    ) -> None:
        await self._stream.append(
            ActionFinished(
                turn=self._turn,
                action=action,
                tool=tool,
                status=status,
                result=text,
                backend=backend,
                seconds=seconds,
            )
        )

    async def _record(self, kind: Kind, action: str, tool: str, **body: object) -> None:
        await record(self._ledger, self._session, kind, action=action, tool=tool, **body)


def render(value: object) -> str:
    """Return a tool's value as the text that a model reads: rows as lines, the rest as JSON."""
    if value is None:
        return "Done."
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not value:
        return "(nothing found)"
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return "\n".join("  ".join(str(cell) for cell in row.values()) for row in value)
    return json.dumps(value, ensure_ascii=False, default=str)


def shorten(text: str, longest: int = _LONGEST_RESULT) -> str:
    """Return the text with its middle left out when it is longer than `longest` characters."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"
