"""Reports: what becomes of the calls of a turn, recorded first and then told."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from llmasos.agent.approvals import sha256_json
from llmasos.agent.audit import sha256_result
from llmasos.agent.judge import Judgement
from llmasos.agent.recording import record
from llmasos.agent.stream import EventStream
from llmasos.events import ActionFinished, ActionStarted, ActionStatus, CallDecided, ToolChoice
from llmasos.ledger import Kind, Ledger
from llmasos.models import Origin
from llmasos.secrets import Redactor


class Reports:
    """Records and tells what becomes of the calls of one turn, without the secrets in it.

    Args:
        session: The session.
        turn: The turn.
        origin: The model that makes the calls.
        ledger: Where it is recorded.
        stream: Where it is told.
        redactor: Takes secrets out.
    """

    def __init__(
        self, session: str, turn: str, origin: Origin, ledger: Ledger, stream: EventStream, redactor: Redactor
    ) -> None:
        self._session = session
        self._turn = turn
        self._origin = origin
        self._ledger = ledger
        self._stream = stream
        self._redactor = redactor

    async def record(self, kind: Kind, action: str, tool: str, **body: object) -> None:
        """Record one thing about an action of the turn.

        Raises:
            LedgerError: It cannot be written.
        """
        await record(self._ledger, self._session, kind, action=action, tool=tool, turn=self._turn, **body)

    async def decided(self, action: str, made: Judgement, parent: str, choice: ToolChoice | None) -> None:
        """Tell what was decided on a call."""
        await self._stream.append(
            CallDecided(
                turn=self._turn,
                action=action,
                tool=made.call.tool,
                arguments=made.call.arguments,
                parent=parent,
                decision=made.decision,
                origins=made.facts.origins,
                choice=choice,
                facts=made.facts.model_dump(mode="json"),
            )
        )

    async def started(self, action: str, made: Judgement, parent: str, backend: str) -> None:
        """Record the intent of a call that is about to run, and tell it.

        Raises:
            LedgerError: It cannot be recorded, so the call must not run.
        """
        await self.record(
            "intent", action, made.call.tool, parent=parent, backend=backend, **self._judged(made)
        )
        arguments = self._redactor.value(made.call.arguments)
        await self._stream.append(
            ActionStarted(
                turn=self._turn, action=action, tool=made.call.tool, arguments=arguments, parent=parent
            )
        )

    async def invalid(
        self, action: str, tool: str, text: str, arguments: Mapping[str, Any], parent: str
    ) -> str:
        """Record and tell the end of a call that cannot be made so; return its text without secrets."""
        text, told = self._redactor.text(text), self._redactor.value(dict(arguments))
        await self.record(
            "outcome",
            action,
            tool,
            parent=parent,
            status="invalid",
            arguments_sha256=sha256_json(told),
            result_sha256=sha256_result(text),
            **self._origin.fields(),
        )
        await self._tell(action, tool, "invalid", text, arguments=told, parent=parent)
        return text

    async def denied(
        self, action: str, made: Judgement, text: str, parent: str, *, status: ActionStatus = "denied"
    ) -> str:
        """Record and tell the end of a call that did not begin; return its text without secrets."""
        text, tool = self._redactor.text(text), made.call.tool
        await self.record(
            "cancel" if status == "cancelled" else "outcome",
            action,
            tool,
            parent=parent,
            status=status,
            result_sha256=sha256_result(text),
            **self._judged(made),
        )
        await self._tell(action, tool, status, text)
        return text

    async def ended(
        self,
        action: str,
        tool: str,
        status: ActionStatus,
        text: str,
        *,
        began: float,
        backend: str,
        diff: Callable[[], Awaitable[str]] | None,
    ) -> None:
        """Record and tell the end of a call that ran.

        Args:
            action: The action.
            tool: The tool.
            status: How it ended.
            text: What came of it, without secrets.
            began: When, by `time.monotonic`.
            backend: The sandbox's backend.
            diff: Returns the SHA-256 of what the view changes; None where that is not for this action to say.
        """
        seconds = round(time.monotonic() - began, 3)
        await self.record(
            "cancel" if status == "cancelled" else "outcome",
            action,
            tool,
            status=status,
            result_sha256=sha256_result(text),
            diff_sha256=await diff() if diff is not None else "",
            backend=backend,
            milliseconds=round(seconds * 1000),
        )
        await self._tell(action, tool, status, text, backend=backend, seconds=seconds)

    def _judged(self, made: Judgement) -> dict[str, object]:
        """Return what the ledger holds of a call that was decided on."""
        return {
            "arguments_sha256": sha256_json(self._redactor.value(made.call.arguments)),
            "facts_sha256": sha256_json(self._redactor.value(made.facts.model_dump(mode="json"))),
            "policy": made.decision.policy,
            "rule": made.decision.rule,
            **self._origin.fields(),
        }

    async def _tell(self, action: str, tool: str, status: ActionStatus, text: str, **more: Any) -> None:
        await self._stream.append(
            ActionFinished(turn=self._turn, action=action, tool=tool, status=status, result=text, **more)
        )
