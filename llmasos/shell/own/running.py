"""Carrying out a command of one's own: a project's is agreed to first, then it is sent as a request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell.own.agreed import agree, agreement
from llmasos.shell.own.command import OwnCommand, read
from llmasos.shell.own.expand import expand
from llmasos.shell.own.files import find, named
from llmasos.shell.screen import Line

if TYPE_CHECKING:
    from llmasos.shell.repl import Shell


async def run_own(shell: Shell, line: Line) -> None:
    """Carry out the command that a line names.

    Raises:
        LLMasOSError: There is none of that name, or it cannot be carried out so.
    """
    from llmasos.shell.commands import COMMANDS
    from llmasos.shell.turn import run_turn

    found = named(line.text, find(shell.folder))
    if found is None:
        name = line.text.split()[0]
        near = get_close_matches(name, [*COMMANDS, *own_commands(shell)], 1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise LLMasOSError(f"There is no command {name}.", hint=f"{meant}/help lists them.")
    place, arguments = found
    command = read(place)
    request = expand(command, arguments)
    if not await _agreed(shell, command):
        raise LLMasOSError(f"/{command.name} was not carried out.", hint="Ask for it again to agree to it.")
    limits = {"max_steps": command.max_steps, "timeout": command.timeout}
    async with _model(shell, command.model):
        await run_turn(shell, Line(request, line.attachments), dry_run=command.dry_run, **limits)


def own_commands(shell: Shell) -> dict[str, str]:
    """Return the commands of the folder and of the user, with whose they are."""
    whose = {"project": translated("the project's own"), "user": translated("the user's own")}
    return {f"/{name}": whose[place.source] for name, place in find(shell.folder).places.items()}


@asynccontextmanager
async def _model(shell: Shell, name: str) -> AsyncIterator[None]:
    """Have the session's model be another one, where one is named, and afterwards what it was."""
    if not name:
        yield
        return
    session = await shell.session()
    before = session.model or (await (await shell.client()).info()).model
    await session.use_model(name)
    try:
        yield
    finally:
        with suppress(LLMasOSError):
            await session.use_model(before)


async def _agreed(shell: Shell, command: OwnCommand) -> bool:
    from rich.text import Text

    from llmasos.display import display, display_name
    from llmasos.shell.render import make_console

    state = agreement(command)
    if state == "agreed":
        return True
    console = make_console()
    console.print(
        Text.assemble(
            (f"/{command.name}", "bold"),
            translated(" comes from the project, and nobody has agreed to it yet:")
            if state == "new"
            else translated(" comes from the project, and has changed since you agreed to it:"),
        )
    )
    # Set in, so that no line of it can pass for one of the shell.
    # What its front matter asks for, such as another model, is agreed to as well.
    shown = display(command.text.strip(), keep_newlines=True).replace("\n", "\n  ")
    console.print(Text(f"  {shown}\n  ({display_name(str(command.file))})", style="dim"))
    if not await shell.agreed("Send it as your own words, from now on? [y/N] "):
        return False
    agree(command)
    return True
