"""`llmasos replay` and `llmasos watch`: a session as it was, and as it goes on; neither changes anything."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from llmasos.errors import LLMasOSError
from llmasos.shell.ask import ask, in_session, unless_stopped
from llmasos.shell.changes import Session
from llmasos.shell.output import say

if TYPE_CHECKING:
    from llmasos.client import AsyncClient
    from llmasos.events import Event

_LONGEST_PAUSE = 3.0  # seconds


def replay(
    session: Session,
    turn: Annotated[
        str, typer.Option("--turn", metavar="TURN", help="Only this one: its number, from 1, or its id.")
    ] = "",
    speed: Annotated[
        float, typer.Option(min=0, metavar="TIMES", help="How many times as fast; 0 leaves pauses out.")
    ] = 1.0,
) -> None:
    """Show a session again as it went; nothing is run.

    What the model said and what actions gave is what was recorded then.
    Pauses are those of then, three seconds at most.
    """
    events = chosen(in_session(session, lambda it: it.events()), turn)
    screen = Screen(f"llmasos export {session}", results=True)
    for pause, event in paced(events, speed):
        if pause:
            time.sleep(pause)
        screen.show(event)
    screen.end()


def watch(
    session: Session,
    last: Annotated[int, typer.Option(min=1, help="How many of the last turns are shown first.")] = 1,
) -> None:
    """Follow a session from another terminal.

    Ctrl-C leaves; the turn goes on.
    """

    async def follow(client: AsyncClient) -> None:
        found = await client.resume(session)
        screen = Screen(f"llmasos diff {found.id}")

        async def show() -> None:
            async with client.follow(found.id, last=last) as events:
                async for event in events:
                    screen.show(event)

        await unless_stopped(show)
        screen.end()

    ask(follow)


def chosen(events: Sequence[Event], turn: str) -> list[Event]:
    """Return the events of a turn, by its number or id, with what was done after it; all for no turn.

    Raises:
        LLMasOSError: There is no such turn.
    """
    if not turn:
        return list(events)
    found: list[Event] = []
    number, wanted = 0, False
    for event in events:
        if event.type == "turn_started":
            number += 1
            wanted = turn in (str(number), event.turn)
        if wanted:
            found.append(event)
    if not found:
        raise LLMasOSError(
            f"The session has no turn {turn[:100]!r}.", hint=f"It has {number}; the first is --turn 1."
        )
    return found


def paced(events: Iterable[Event], speed: float) -> Iterator[tuple[float, Event]]:
    """Give events, each after how many seconds.

    Args:
        events: The events.
        speed: How many times as fast as they came; 0 for no pauses.
    """
    before = None
    for event in events:
        passed = (event.at - before).total_seconds() if before is not None and speed else 0.0
        yield min(max(passed / speed, 0.0) if speed else 0.0, _LONGEST_PAUSE), event
        before = event.at


class Screen:
    """Shows a session's events, those included that its own terminal shows by other means.

    Args:
        command: What shows all of a diff that is cut here.
        results: Whether what actions gave is shown as what they printed, which is not stored.
    """

    def __init__(self, command: str, *, results: bool = False) -> None:
        from llmasos.shell.render import Renderer, make_console

        self._command = command
        self._results = results
        self._console = make_console()
        self._renderer = Renderer(self._console, joined=not results)

    def show(self, event: Event) -> None:
        """Show one event."""
        from llmasos.api import Diff
        from llmasos.events import (
            ActionFinished,
            ActionOutput,
            ApprovalRequested,
            ApprovalResolved,
            DiffOffered,
            TurnStarted,
            TurnSteered,
            WorkspaceChanged,
        )
        from llmasos.shell.diffs import show_diff
        from llmasos.story import asked

        match event:
            case TurnStarted():
                self._lines("> ", asked(event))
                self._renderer.show(event)
            case TurnSteered():
                self._lines("> ", event.text)
            case ApprovalRequested():
                self._lines("? ", f"{event.tool}: {event.reason}")
            case ApprovalResolved():
                said = "approved" if event.approved else "refused"
                self._lines("? ", f"{said} by {event.by}" + (f": {event.why}" if event.why else ""))
            case DiffOffered():
                self._renderer.end_line()
                diff = Diff(changes=event.changes, omitted=event.omitted, summary=event.summary)
                show_diff(self._console, diff, command=self._command)
            case WorkspaceChanged():
                self._lines("· ", f"{event.what} {event.commit}".strip())
            case ActionFinished(status="ok") if self._results and event.result.strip():
                said = event.result.rstrip("\n") + "\n"
                self._renderer.show(ActionOutput(turn=event.turn, action=event.action, text=said))
                self._renderer.show(event)
            case _:
                self._renderer.show(event)

    def end(self) -> None:
        """End the last line."""
        self._renderer.end_line()

    def _lines(self, sign: str, text: str) -> None:
        self._renderer.end_line()
        for line in text.split("\n"):
            say(f"{sign}{line}")


COMMANDS = (replay, watch)
