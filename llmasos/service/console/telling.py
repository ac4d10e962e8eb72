"""Telling: a session's events as messages that change its page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request

from llmasos.display import Stream, display
from llmasos.events import (
    PASSING,
    ActionFinished,
    ActionOutput,
    ActionStarted,
    ApprovalRequested,
    ApprovalResolved,
    AssistantText,
    Event,
    Progress,
    TextDelta,
    TurnFinished,
    TurnStarted,
    WorkspaceChanged,
)
from llmasos.service.console.following import message, part
from llmasos.service.console.rendering import Renderer
from llmasos.service.console.texts import texts_for
from llmasos.story import Story

# After these there is more, or less, to decide.
_DECISIVE = (TurnStarted, TurnFinished, WorkspaceChanged, ApprovalRequested, ApprovalResolved)

Changes = Callable[[Story], Awaitable[dict[str, Any]]]


class Telling:
    """What one reader of a session's page is told.

    Args:
        renderer: Draws the parts.
        request: The reader's request.
        after: The number of the last event that is on the page.
        before: How many turns the session had before those whose events come.
        changes: Returns what is shown of the changes that are offered.
    """

    def __init__(
        self, renderer: Renderer, request: Request, after: int, before: int, changes: Changes
    ) -> None:
        self._renderer = renderer
        self._request = request
        self._after = after
        self._changes = changes
        self._texts = texts_for(request.headers.get("accept-language", ""))
        self._story = Story(before=before)
        # What is streamed comes in pieces, and must not be shown otherwise than it will be in the end.
        self._streams: dict[str, Stream] = {}

    async def messages(self, events: AsyncIterator[Event]) -> AsyncIterator[str]:
        """Yield messages for what comes after the page; the events are all of the session's."""
        async for event in events:
            if isinstance(event, PASSING):
                if told := self._passing(event):
                    yield message(0, *told)
                continue
            turn, entry = self._story.add(event)
            if turn is None or 0 < event.seq <= self._after:
                continue
            told = []
            if isinstance(event, TurnStarted | TurnFinished):
                html = self._renderer.part(self._request, "turn.html", turn=turn)
                told.append(part(turn.id, html, into="turns", first=True))
            elif entry is not None:
                html = self._renderer.part(self._request, "entry.html", turn=turn, entry=entry)
                told.append(part(entry.id, html, into=f"{turn.id}-entries"))
            if isinstance(event, _DECISIVE):
                values = await self._changes(self._story)
                told += [
                    part(name, self._renderer.part(self._request, f"{name}.html", **values))
                    for name in ("state", "changes")
                ]
            yield message(event.seq, *told, *self._ended(event), *self._said(event))

    def _passing(self, event: Event) -> list[dict[str, object]]:
        match event:
            case TextDelta():
                return self._piece(f"{event.turn}-text", event.text)
            case ActionOutput():
                return self._piece(f"{event.action}-output", event.text)
            case Progress():
                share = f" {100 * event.done / event.total:.0f} %" if event.total else ""
                return [{"set": "progress", "text": f"{display(event.what)}{share}"}]
        return []

    def _piece(self, id: str, text: str) -> list[dict[str, object]]:
        shown = self._streams.setdefault(id, Stream()).show(text)
        return [{"append": id, "text": shown}] if shown else []

    def _ended(self, event: Event) -> list[dict[str, object]]:
        """Return what takes away the streamed text that an event holds whole."""
        match event:
            case AssistantText():
                self._streams.pop(f"{event.turn}-text", None)
                return [{"set": f"{event.turn}-text", "text": ""}]
            case ActionFinished():
                self._streams.pop(f"{event.action}-output", None)
        return []

    def _said(self, event: Event) -> list[dict[str, object]]:
        """Return what is said to those who do not see the page."""
        match event:
            case TurnStarted():
                text = self._texts("told_turn")
            case ActionStarted():
                text = self._texts("told_started", tool=event.tool)
            case ApprovalRequested():
                text = self._texts("told_approval", tool=event.tool)
            case TurnFinished():
                text = self._texts("told_ended", status=self._texts(f"status_{event.status}"))
            case _:
                return []
        return [{"set": "status", "text": display(text)}, {"set": "progress", "text": ""}]
