"""Consent: what the policy asks about is put before a person, and the answer recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from llmasos.agent.approvals import Approval, Approvals, call_digest, sha256_json
from llmasos.agent.judge import Judgement
from llmasos.agent.policy import Rule, pattern
from llmasos.agent.reports import Reports
from llmasos.agent.rulebook import Rulebook
from llmasos.agent.scripts import Weigh, held
from llmasos.agent.stream import EventStream
from llmasos.errors import LLMasOSError
from llmasos.events import NOBODY, ApprovalRequested, ApprovalResolved, Forecast, Notice

_MOST_REFUSED = 8
_CHANGED = "nobody: what it runs was changed meanwhile"


class Refusals(LLMasOSError):
    """The model kept on asking for what it does not get."""

    code = "limit"


@dataclass(frozen=True)
class Outlook:
    """What a person should see of a call before they allow it.

    Args:
        preview: What it would change, as a diff; empty where that is not known.
        forecast: What it is expected to use.
    """

    preview: str = ""
    forecast: Forecast = field(default_factory=Forecast)


class Consent:
    """Asks a person on behalf of the calls of one turn.

    Args:
        turn: The turn.
        stream: Where requests and answers are told.
        approvals: Where the answers come in.
        reports: Where answers are recorded.
        rulebook: The rules, to which an answer that counts for a whole pattern adds one.
        redact: Takes secrets out of what is shown.
        while_waiting: Stops the turn's clock.
        weigh: Weighs files that a call runs.
    """

    def __init__(
        self,
        turn: str,
        stream: EventStream,
        approvals: Approvals,
        reports: Reports,
        rulebook: Rulebook,
        redact: Callable[[Any], Any],
        while_waiting: Callable[[], AbstractContextManager[None]],
        weigh: Weigh,
    ) -> None:
        self._turn = turn
        self._stream = stream
        self._approvals = approvals
        self._reports = reports
        self._rulebook = rulebook
        self._redact = redact
        self._while_waiting = while_waiting
        self._weigh = weigh
        self._refused = 0
        self.missing = 0

    async def seek(self, action: str, made: Judgement, outlook: Callable[[], Awaitable[Outlook]]) -> Approval:
        """Ask whether a call may run, and return the answer, recorded.

        Raises:
            Refusals: So many calls were refused in this turn that the model will not stop by itself.
            LedgerError: The answer cannot be recorded.
        """
        rule = pattern(made.call, made.facts, self._rulebook.policy)
        while True:
            digest = await self._digest(made)
            known = self._approvals.known(digest)
            await self._request(action, made, digest, rule, await outlook() if known is None else None)
            if known is not None:
                approval = known
                break
            with self._while_waiting():
                approval = await self._approvals.wait(action, digest)
            if not approval.approved or await self._digest(made) == digest:
                break
            # They have seen another script than the one that would run.
            await self._answered(action, made, digest, Approval(approved=False, by=_CHANGED))
        # The pattern is that of the call as it was, which a person who edits it does not want.
        unedited = approval.arguments is None
        always = approval.approved and approval.always and unedited and rule is not None
        await self._answered(action, made, digest, replace(approval, always=always))
        if always and rule is not None:
            await self._keep(rule)
        if not approval.approved:
            self._count(approval)
        return approval

    async def settle(self, action: str, made: Judgement, by: str = "") -> None:
        """Record what holds without asking: that a rule denies a call, or that a person wrote it like this.

        Raises:
            LedgerError: It cannot be recorded, so the call must not run.
        """
        denied = made.decision.verdict == "deny"
        by = f"policy rule {made.decision.rule}" if denied else by
        digest = await self._digest(made)
        await self._record(action, made, digest, approved=not denied, by=by, always=False)

    async def _answered(self, action: str, made: Judgement, digest: str, answer: Approval) -> None:
        await self._stream.append(
            ApprovalResolved(
                turn=self._turn,
                action=action,
                approved=answer.approved,
                by=answer.by,
                always=answer.always,
                arguments=dict(answer.arguments) if answer.arguments is not None else None,
                why=answer.why,
            )
        )
        await self._record(action, made, digest, approved=answer.approved, by=answer.by, always=answer.always)

    async def _request(
        self, action: str, made: Judgement, digest: str, rule: Rule | None, seen: Outlook | None
    ) -> None:
        await self._stream.append(
            ApprovalRequested(
                turn=self._turn,
                action=action,
                tool=made.call.tool,
                arguments=made.call.arguments,
                reason=made.decision.reason,
                digest=digest,
                decision=made.decision,
                origins=made.facts.origins,
                preview=seen.preview if seen is not None else "",
                hosts=made.facts.hosts,
                forecast=seen.forecast if seen is not None else Forecast(),
                pattern=rule.reason if rule is not None else "",
                expires=self._approvals.expires if seen is not None else None,
            )
        )

    async def _record(
        self, action: str, made: Judgement, digest: str, *, approved: bool, by: str, always: bool
    ) -> None:
        call, decision = made.call, made.decision
        await self._reports.record(
            "approval",
            action,
            call.tool,
            call_sha256=digest,
            arguments_sha256=sha256_json(self._redact(call.arguments)),
            approved=approved,
            by=by,
            always=always or None,
            policy=decision.policy,
            rule=decision.rule,
        )

    async def _digest(self, made: Judgement) -> str:
        return call_digest(
            made.call.tool,
            made.call.arguments,
            made.decision.policy,
            origin=made.facts.plugin,
            folder=str(self._rulebook.folder),
            scripts=await held(made.facts, self._weigh),
        )

    def _count(self, refusal: Approval) -> None:
        self.missing += refusal.by == NOBODY
        self._refused += 1
        if self._refused >= _MOST_REFUSED:
            raise Refusals(
                f"The model asked for {_MOST_REFUSED} things that were refused.",
                hint="Say in other words what you want done, or approve beforehand what it needs.",
            )

    async def _keep(self, rule: Rule) -> None:
        try:
            await self._rulebook.remember(rule)
        except (LLMasOSError, OSError) as error:
            text = f"The rule could not be kept, so you will be asked again: {error}"
            await self._stream.append(Notice(turn=self._turn, level="warning", text=text))
