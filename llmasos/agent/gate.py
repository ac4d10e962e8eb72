"""The gate: the only way to run a tool.

Validate, have the judge decide, ask a person where it says so, record the intent, run, record the outcome.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import anyio

from llmasos.agent.approvals import encodable
from llmasos.agent.consent import Consent, Outlook, Refusals
from llmasos.agent.judge import Judge, Judgement
from llmasos.agent.policy import Facts
from llmasos.agent.rendering import render, shorten
from llmasos.agent.reports import Reports
from llmasos.agent.values import texts
from llmasos.errors import LLMasOSError, SandboxError, ToolError
from llmasos.events import ActionStatus, ToolChoice
from llmasos.secrets import Redactor
from llmasos.tools import KernelContext, Registry, Tool

_log = logging.getLogger(__name__)
_REPEATS = 3


class RepeatedCall(LLMasOSError):
    """The model made the same call again and again."""

    code = "limit"


@dataclass(frozen=True)
class ActionOutcome:
    """What became of a call: its status, its value, its text, and that text as the model is told it."""

    action: str
    status: ActionStatus
    value: object
    text: str
    told: str


class ContextFactory(Protocol):
    """Makes the context of one action; opening the sandbox belongs to it."""

    @property
    def backend(self) -> str:
        """The name of the sandbox's backend."""

    async def __call__(self, action: str, tool: str) -> KernelContext:
        """Return the context for a running action of a tool."""

    async def diff_sha256(self) -> str:
        """Return the SHA-256 of all that the view changes at this moment; empty when that is nothing."""

    async def outlook(self, tool: Tool, arguments: Mapping[str, Any]) -> Outlook:
        """Return what a person should see of a call before they allow it."""


@dataclass(frozen=True)
class _Running:
    """An action that runs.

    Args:
        facts: What is known of it.
        inside: Those of the action that made the call; None when the model did.
        texts: What it was called with.
    """

    facts: Facts
    inside: Facts | None
    texts: tuple[str, ...]

    def gave(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether arguments hold nothing but what it was called with, or a part of that."""
        return all(any(text in given for given in self.texts) for text in texts(arguments))


class Gate:
    """Runs the calls of one turn.

    Args:
        registry: The tools.
        judge: Decides on each call.
        consent: Asks a person.
        reports: Records and tells what becomes of each call.
        redactor: Takes secrets out of results.
        context: Makes what running tools get.
    """

    def __init__(
        self,
        registry: Registry,
        judge: Judge,
        consent: Consent,
        reports: Reports,
        redactor: Redactor,
        context: ContextFactory,
    ) -> None:
        self._registry = registry
        self._judge = judge
        self._consent = consent
        self._reports = reports
        self._redactor = redactor
        self._context = context
        self._running: dict[str, _Running] = {}
        self._last_call = ""
        self._repeats = 0

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        parent: str = "",
        handed_on: bool = False,
        choice: ToolChoice | None = None,
    ) -> ActionOutcome:
        """Carry a call through the gate.

        Args:
            name: The tool.
            arguments: As the model, or code in the sandbox, gave them.
            parent: The action inside which the call was made, if any.
            handed_on: It has nothing but what that action was called with, and is judged as that one was;
                with anything else it is judged as what that action has put together.
            choice: How sure the model was of the tool.

        Raises:
            RepeatedCall: The model made this very call twice before, with nothing in between.
            Refusals: The model kept on asking for what it does not get.
            LedgerError: The intent cannot be recorded; the tool does not run.
        """
        action = f"a-{secrets.token_hex(6)}"
        arguments = encodable(dict(arguments))
        if not parent:
            self._refuse_repeats(name, arguments)
        try:
            tool = self._registry.get(name)
            inside = self._inside(parent, arguments, handed_on=handed_on)
            made = await self._judge.decide(tool, tool.validate(arguments), inside)
        except ToolError as error:
            text = await self._reports.invalid(action, name, str(error), arguments, parent)
            return ActionOutcome(action, "invalid", None, text, text)
        await self._reports.decided(action, made, parent, choice)
        try:
            made, why = await self._settled(action, tool, made, parent)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._reports.denied(action, made, "Cancelled.", parent, status="cancelled")
            raise
        except Refusals as error:
            await self._reports.denied(action, made, str(error), parent)
            raise
        if why:
            text = await self._reports.denied(action, made, f"Not allowed: {why}", parent)
            return ActionOutcome(action, "denied", None, text, text)
        await self._reports.started(action, made, parent, self._context.backend)
        self._running[action] = _Running(made.facts, inside, tuple(texts(made.call.arguments)))
        try:
            return await self._run(action, tool, made.call.arguments, parent)
        finally:
            del self._running[action]

    def _inside(self, parent: str, arguments: Mapping[str, Any], *, handed_on: bool) -> Facts | None:
        """Return the facts of the action that has put a call together; None when the model has."""
        if (outer := self._running.get(parent)) is None:
            return None
        return outer.inside if handed_on and outer.gave(arguments) else outer.facts

    def _refuse_repeats(self, name: str, arguments: Mapping[str, Any]) -> None:
        key = json.dumps([name, dict(arguments)], sort_keys=True, default=str)
        self._repeats = self._repeats + 1 if key == self._last_call else 1
        self._last_call = key
        if self._repeats >= _REPEATS:
            raise RepeatedCall(
                f"The model called {name} {_REPEATS} times in a row with the same arguments.",
                hint="Say it in other words, in smaller steps, or choose a larger model with /model.",
            )

    async def _settled(self, action: str, tool: Tool, made: Judgement, parent: str) -> tuple[Judgement, str]:
        """Return the call as a person has it at last, and why it may not run; empty when it may."""
        if made.decision.verdict == "ask":
            answer = await self._consent.seek(
                action, made, lambda: self._context.outlook(tool, made.call.arguments)
            )
            if not answer.approved:
                self._judge.hear(answer.why)
                said = f" The person says: {answer.why}" if answer.why else ""
                return made, f"{made.decision.reason}{said}"
            if answer.arguments is None:
                # Rules may have been changed while it waited; what denies now counts.
                again = await self._judge.decide_again(made)
                if again.decision.verdict != "deny":
                    return made, ""
                await self._reports.decided(action, again, parent, None)
                await self._consent.settle(action, again)
                return again, again.decision.reason
            try:
                given = tool.validate(encodable(dict(answer.arguments)))
            except ToolError as error:
                return made, str(error)
            made = await self._judge.decide_edited(made, tool, given)
            await self._reports.decided(action, made, parent, None)
            await self._consent.settle(action, made, answer.by)
        elif made.decision.verdict == "deny":
            await self._consent.settle(action, made)
        return made, made.decision.reason if made.decision.verdict == "deny" else ""

    async def _run(self, action: str, tool: Tool, arguments: Mapping[str, Any], parent: str) -> ActionOutcome:
        began = time.monotonic()
        status: ActionStatus = "ok"
        value: object = None

        async def end(status: ActionStatus, text: str) -> None:
            # What a call inside another one changes is in the hash of the outer one.
            changes = tool.capabilities.changes and not parent
            await self._reports.ended(
                action,
                tool.name,
                status,
                text,
                began=began,
                backend=self._context.backend,
                diff=self._context.diff_sha256 if changes else None,
            )

        try:
            value = await tool.run(await self._context(action, tool.name), arguments)
            text = render(value)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await end("cancelled", "Cancelled.")
            raise
        except (ToolError, SandboxError) as error:
            status, text = "failed", str(error)
        except LLMasOSError as error:
            await end("failed", self._redactor.text(str(error)))
            raise
        except Exception as error:
            # A tool is somebody's code: whatever it raises is its outcome, not ours.
            _log.exception("the tool %s raised", tool.name)
            status, text = "failed", f"{tool.name} raised {type(error).__name__}: {error}"
        text = shorten(self._redactor.text(text))
        told = self._judge.remember(action, tool, arguments, value, text, self._running[action].facts)
        with anyio.CancelScope(shield=True):
            await end(status, text)
        return ActionOutcome(action, status, value, text, told)
