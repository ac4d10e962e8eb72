"""A turn at the shell: sent, shown as it happens, steered, and the diff before anything is written."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from llmasos.api import Diff, ToolCall
from llmasos.errors import LLMasOSError
from llmasos.events import (
    ApprovalRequested,
    DiffOffered,
    Event,
    TurnFinished,
    TurnStarted,
)
from llmasos.language import translated
from llmasos.shell.approval import answer_request
from llmasos.shell.output import say
from llmasos.shell.render import make_console, print_error, say_line, show_diff
from llmasos.shell.screen import Line
from llmasos.shell.words import count

if TYPE_CHECKING:
    from llmasos.client import AsyncSession
    from llmasos.shell.repl import Shell

_FILE = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|(\S+))')
_SHOWN_TURNS = 3


async def run_turn(shell: Shell, line: Line, *, dry_run: bool = False, **limits: float | None) -> None:
    """Run a turn, show it as it happens, and offer to write what it changed.

    Args:
        shell: Where it is shown.
        line: The request.
        dry_run: Drop the changes at the end.
        limits: `max_steps` and `timeout`, as `TurnRequest` has them.
    """
    session = await shell.session()
    request = _named(shell, line.text)
    options: dict[str, Any] = {"dry_run": dry_run, "attachments": line.attachments, **limits}
    shell.screen.steers(lambda more: shell.errand(_steer(shell, session, more)))
    try:
        async with session.turn(request, **options) as events:
            await _follow(shell, session, events)
    finally:
        shell.screen.steers(None)


async def run_command(shell: Shell, command: str) -> None:
    """Run a command in the session's sandbox; the model sees later what it printed."""
    if not command:
        raise LLMasOSError("Say which command is to be run.", hint="As in !ls -l.")
    session = await shell.session()
    call = ToolCall(tool="run_shell", arguments={"command": command})
    async with session.turn(f"Run the command: {command}", call=call) as events:
        await _follow(shell, session, events, answer=False)


async def show_last_turns(shell: Shell, session: AsyncSession) -> None:
    """Write the newest turns of a session that is gone on with, and follow the one that runs."""
    info = await session.info()
    events = await session.events(last=_SHOWN_TURNS)
    if info.turns > _SHOWN_TURNS:
        say(f"… {count(info.turns - _SHOWN_TURNS, 'earlier turn')}; /export FILE writes them all.")
    renderer = shell.make_renderer(make_console())
    for event in events:
        if isinstance(event, TurnStarted):
            say_line(event.text)
        renderer.show(event)
    if info.running and events:
        say("A turn is running; it is followed from here.")
        client = await shell.client()
        async with client.follow(session.id, after=events[-1].seq) as coming:
            await _follow(shell, session, _until_end(coming, events[-1].turn))


async def _follow(
    shell: Shell, session: AsyncSession, events: AsyncIterator[Event], *, answer: bool = True
) -> None:
    console = make_console()
    renderer = shell.make_renderer(console, text=answer)
    offered: DiffOffered | None = None
    with shell.shown(renderer, session):
        async for event in events:
            renderer.show(event)
            if isinstance(event, ApprovalRequested) and event.expires is not None:
                await answer_request(shell, session, event)
            elif isinstance(event, DiffOffered):
                offered = event
            elif isinstance(event, TurnFinished) and not event.answer and not event.error:
                console.print(translated("The model had nothing to say."), style="dim")
    await shell.update_status()
    if offered is not None:
        await _offer(shell, offered)


async def _offer(shell: Shell, offered: DiffOffered) -> None:
    """Show what a turn changed, and ask what becomes of it."""
    shell.changed = tuple(change.path for change in offered.changes)
    show_diff(make_console(), Diff(changes=offered.changes, omitted=offered.omitted, summary=offered.summary))
    if offered.dry_run:
        say("This was a dry run: nothing was written, and the changes were dropped.")
        return
    from llmasos.shell.commands import COMMANDS

    answer = await shell.ask("Write these changes to the folder? [y]es / [n]o, drop them / Enter: later ")
    if answer in ("y", "yes"):
        await COMMANDS["/commit"].run(shell, "")
    elif answer in ("n", "no"):
        await COMMANDS["/discard"].run(shell, "")
    else:
        say("Kept for later: /commit writes the changes, /discard drops them.")


async def _steer(shell: Shell, session: AsyncSession, line: Line) -> None:
    """Say a line to the running turn; one that comes too late is the next request."""
    if line.attachments or line.text.startswith(("/", "!")):
        say("Only text can be said to a running turn; the line waits.")
        shell.screen.put_back(line)
        return
    try:
        await session.steer(_named(shell, line.text))
    except LLMasOSError as error:
        shell.screen.put_back(line)
        if error.code != "idle":
            print_error(error)


async def _until_end(events: AsyncIterator[Event], turn: str) -> AsyncIterator[Event]:
    async for event in events:
        yield event
        if isinstance(event, TurnFinished) and event.turn == turn:
            return


def _named(shell: Shell, text: str) -> str:
    """Return a request with the names of files as the tools take them, without their signs."""

    def name(found: re.Match[str]) -> str:
        path = found[1] or found[2]
        known = path in shell.changed or (shell.folder / path).exists()
        return path if known else found[0]

    return _FILE.sub(name, text)
