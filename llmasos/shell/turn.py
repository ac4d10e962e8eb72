"""A turn at the shell: sent, shown as it happens, steered, and the diff before anything is written."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING, Any

from llmasos.api import Diff, ToolCall
from llmasos.errors import LLMasOSError
from llmasos.events import (
    ActionFinished,
    ApprovalRequested,
    ApprovalResolved,
    DiffOffered,
    Event,
    TurnFinished,
    TurnStarted,
)
from llmasos.language import translated
from llmasos.shell.diffs import show_diff
from llmasos.shell.mentions import without_signs
from llmasos.shell.output import say
from llmasos.shell.questions import Questions
from llmasos.shell.render import make_console, say_line
from llmasos.shell.screen import Line
from llmasos.shell.steering import Steering
from llmasos.shell.words import count, english_answer
from llmasos.story import asked, command_request

if TYPE_CHECKING:
    from llmasos.client import AsyncSession
    from llmasos.shell.repl import Shell

_SHOWN_TURNS = 3
_MARKER = re.compile(r"\[redacted:[^\]\s]*\]")
_LONGEST = 600.0  # seconds, which is what the tool allows


async def run_turn(shell: Shell, line: Line, *, dry_run: bool = False, **limits: float | None) -> None:
    """Run a turn, show it as it happens, and offer to write what it changed.

    Args:
        shell: Where it is shown.
        line: The request.
        dry_run: Drop the changes at the end.
        limits: `max_steps` and `timeout`, as `TurnRequest` has them.
    """
    session = await shell.session()
    request = without_signs(shell, line.text)
    options: dict[str, Any] = {"dry_run": dry_run, "attachments": line.attachments, **limits}
    async with session.turn(request, **options) as events:
        await _steered(shell, session, events)


async def run_command(shell: Shell, command: str) -> None:
    """Run a command in the session's sandbox; the model sees later what it printed."""
    if not command:
        raise LLMasOSError("Say which command is to be run.", hint="As in !ls -l.")
    session = await shell.session()
    # The person waits for it, and can end it.
    call = ToolCall(tool="run_shell", arguments={"command": command, "timeout": _LONGEST}, typed=True)
    async with session.turn(command_request(command), call=call) as events:
        await _follow(shell, session, events, answer=False)


async def show_last_turns(shell: Shell, session: AsyncSession) -> None:
    """Write the newest turns of a session that is gone on with, and follow the one that runs."""
    info = await session.info()
    events = await session.events(last=_SHOWN_TURNS)
    if info.turns > _SHOWN_TURNS:
        say(f"… {count(info.turns - _SHOWN_TURNS, 'earlier turn')}; /export FILE writes them all.")
    running = _running(events)
    renderer = shell.make_renderer(make_console())
    for event in events:
        if isinstance(event, TurnStarted):
            say_line(asked(event))
        if running is None or event.turn != running.turn:
            renderer.show(event)
    if running is not None:
        say("A turn is running; it is followed from here.")
        await _join(shell, session, events, running)


async def follow_running(shell: Shell, session: AsyncSession) -> None:
    """Follow the turn that was begun elsewhere, if it has not ended yet, while what was typed here waits."""
    events = await session.events(last=1)
    running = _running(events)
    if running is None:
        return
    say("A turn that was begun elsewhere is running; it is followed, and your line waits for its end.")
    for event in events:
        if isinstance(event, TurnStarted):
            say_line(asked(event))
    # Whoever began it is asked what becomes of its changes.
    await _join(shell, session, events, running, decides=False)


def _running(events: Sequence[Event]) -> Event | None:
    """Return the first event of the turn that has not ended."""
    ended = {event.turn for event in events if isinstance(event, TurnFinished)}
    return next((event for event in events if event.turn and event.turn not in ended), None)


async def _join(
    shell: Shell, session: AsyncSession, events: Sequence[Event], first: Event, *, decides: bool = True
) -> None:
    """Follow a turn from its beginning on, so that nothing is missed and what it has asked is asked here."""
    client = await shell.client()
    settled = {event.action for event in events if isinstance(event, ApprovalResolved | ActionFinished)}
    async with client.follow(session.id, after=first.seq - 1) as coming:
        turn = _until_end(coming, first.turn)
        await _steered(shell, session, turn, settled, joined=True, decides=decides)


async def _steered(
    shell: Shell,
    session: AsyncSession,
    events: AsyncIterator[Event],
    settled: Collection[str] = (),
    *,
    joined: bool = False,
    decides: bool = True,
) -> None:
    """Follow a turn, to which lines can be said meanwhile."""
    steering = Steering(shell, session)
    shell.screen.steers(steering.take)
    try:
        await _follow(shell, session, events, settled=settled, joined=joined, decides=decides)
    finally:
        shell.screen.steers(None)
        await steering.end()


async def _follow(
    shell: Shell,
    session: AsyncSession,
    events: AsyncIterator[Event],
    *,
    answer: bool = True,
    settled: Collection[str] = (),
    joined: bool = False,
    decides: bool = True,
) -> None:
    """Show the events of a turn to its end, ask what it asks, and offer to write what it changed."""
    console = make_console()
    renderer = shell.make_renderer(console, text=answer, joined=joined)
    questions = Questions(shell, session)
    offered: DiffOffered | None = None
    with shell.shown(renderer, session):
        try:
            async for event in events:
                renderer.show(event)
                if not (isinstance(event, ApprovalRequested) and event.action in settled):
                    questions.take(event)
                if isinstance(event, DiffOffered):
                    offered = event
                elif isinstance(event, TurnFinished) and not event.answer and not event.error:
                    console.print(translated("The model had nothing to say."), style="dim")
        finally:
            # What was written so far stays on the screen, however it ends.
            renderer.end()
            await questions.end()
    await shell.update_status()
    if offered is not None:
        await _offer(shell, offered, decides=decides)


async def _offer(shell: Shell, offered: DiffOffered, *, decides: bool) -> None:
    """Show what a turn changed, and ask what becomes of it; about what was kept for later only once."""
    shell.changed = tuple(change.path for change in offered.changes if change.kind != "deleted")
    kept = f"{count(len(offered.changes), 'change')} kept for later: /diff, /commit, /discard."
    if offered.changes == shell.kept:
        say(kept)
        return
    show_diff(make_console(), Diff(changes=offered.changes, omitted=offered.omitted, summary=offered.summary))
    if offered.dry_run:
        say("This was a dry run: nothing was written, and the changes were dropped.")
        return
    if not decides:
        say(kept)
        return
    from llmasos.shell.commands import COMMANDS

    question = "Write these changes to the folder? [y]es / [n]o, drop them / Enter: later "
    session = await shell.session()
    seen = await session.diff()
    if seen.changes and not _was_shown(offered, seen):
        _show_others(seen)
    while True:
        said = await shell.ask(question, lower=False)
        answer = english_answer(said)
        if answer not in ("y", "yes", "n", "no") or (now := await session.diff()) == seen:
            break
        # What runs in the background, or another shell, has gone on while the person was reading.
        seen = now
        if not seen.changes:
            say("Meanwhile they were written or dropped elsewhere.")
            return
        _show_others(seen)
    if answer in ("y", "yes"):
        await COMMANDS["/commit"].run(shell, "")
    elif answer in ("n", "no"):
        await COMMANDS["/discard"].run(shell, "")
    else:
        shell.kept = offered.changes
        say("Kept for later: /commit writes the changes, /discard drops them.")
        if answer:
            # No answer, but the next thing that is wanted.
            shell.screen.put_back(Line(said))


def _show_others(seen: Diff) -> None:
    say("They are others by now:")
    show_diff(make_console(), seen)


def _was_shown(offered: DiffOffered, seen: Diff) -> bool:
    """Return whether the view has what a turn offered; events name secrets that are in it by markers."""
    if len(offered.changes) != len(seen.changes) or offered.omitted != seen.omitted:
        return False
    return all(
        one.path == other.path and one.kind == other.kind and _same(one.diff, other.diff)
        for one, other in zip(offered.changes, seen.changes, strict=True)
    )


def _same(told: str, seen: str) -> bool:
    """Return whether a diff is as it was told, where a marker stands for one word and nothing else."""
    first, *pieces = _MARKER.split(told)
    if not pieces or not seen.startswith(first):
        return told == seen
    at = len(first)
    for number, piece in enumerate(pieces, 1):
        last = number == len(pieces)
        place = len(seen) - len(piece) if last and seen.endswith(piece) else seen.find(piece, at + 1)
        # A secret of several words is shown once more: what stands beside it may be new.
        if place <= at or re.search(r"\s", seen[at:place]):
            return False
        at = place + len(piece)
    return at == len(seen)


async def _until_end(events: AsyncIterator[Event], turn: str) -> AsyncIterator[Event]:
    async for event in events:
        yield event
        if isinstance(event, TurnFinished) and event.turn == turn:
            return
