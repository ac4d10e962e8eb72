"""A turn's events, added up to its result."""

from __future__ import annotations

from llmasos.api import ActionResult, Diff, TurnResult, WantedApproval
from llmasos.client._errors import gone
from llmasos.events import (
    NOBODY,
    ActionFinished,
    ActionStarted,
    ApprovalRequested,
    ApprovalResolved,
    ArtifactKept,
    DiffOffered,
    Event,
    TurnFinished,
    TurnSteered,
)


class TurnFold:
    """Adds up a turn's events to its result.

    Args:
        session: The session's id, for the result.
    """

    def __init__(self, session: str) -> None:
        self._session = session
        self._started: dict[str, ActionStarted] = {}
        self._asked: dict[str, ApprovalRequested] = {}
        self._wanted: list[WantedApproval] = []
        self._actions: list[ActionResult] = []
        self._artifacts: list[str] = []
        self._steered: list[str] = []
        self._diff = Diff()
        self._end: TurnFinished | None = None

    def add(self, event: Event) -> None:
        """Take the next event of the turn."""
        match event:
            case ActionStarted():
                self._started[event.action] = event
            case ActionFinished():
                started = self._started.get(event.action)
                self._actions.append(
                    ActionResult(
                        id=event.action,
                        tool=event.tool,
                        arguments=started.arguments if started else {},
                        status=event.status,
                        outcome=event.result,
                        backend=event.backend,
                        seconds=event.seconds,
                    )
                )
            case ApprovalRequested():
                self._asked[event.action] = event
            case ApprovalResolved():
                self._resolve(event)
            case ArtifactKept():
                self._artifacts.append(event.path)
            case TurnSteered():
                self._steered.append(event.text)
            case DiffOffered():
                self._diff = Diff(changes=event.changes, omitted=event.omitted, summary=event.summary)
            case TurnFinished():
                self._end = event

    def _resolve(self, event: ApprovalResolved) -> None:
        asked = self._asked.pop(event.action, None)
        if asked is None or event.by != NOBODY:
            return
        self._wanted.append(
            WantedApproval(
                action=asked.action,
                tool=asked.tool,
                arguments=asked.arguments,
                reason=asked.reason,
                digest=asked.digest,
            )
        )

    def result(self) -> TurnResult:
        """Return the result.

        Raises:
            KernelError: The turn has no end, because the kernel stopped.
        """
        if self._end is None:
            raise gone()
        return TurnResult(
            status=self._end.status,
            answer=self._end.answer,
            actions=tuple(self._actions),
            diff=self._diff.unified(),
            changes=self._diff.changes,
            artifacts=tuple(self._artifacts),
            approvals=tuple(self._wanted),
            steered=tuple(self._steered),
            session=self._session,
            usage=self._end.usage,
            error=self._end.error,
            hint=self._end.hint,
        )
