"""The shell's slash commands."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmasos.errors import LLMasOSError
from llmasos.shell.words import MODEL_STATES, count

if TYPE_CHECKING:
    from llmasos.shell.repl import Shell


@dataclass(frozen=True)
class Command:
    """A slash command: what to type, what it does, and the function that does it."""

    usage: str
    summary: str
    run: Callable[[Shell, str], Awaitable[None]]


async def _help(shell: Shell, rest: str) -> None:
    for command in COMMANDS.values():
        print(f"  {command.usage:<20} {command.summary}")
    print("  /quit                leave; the kernel goes on (also Ctrl-D)")
    print("Enter sends, Alt+Enter or Ctrl+J makes a new line, Ctrl-C cancels the running turn.")


async def _model(shell: Shell, rest: str) -> None:
    client = await shell.client()
    if rest:
        session = await shell.session()
        await session.use_model(rest)
        shell.model = rest
        print(f"The next requests go to {rest}.")
        return
    for model in await client.models():
        size = f"{model.size / 1e6:,.0f} MB" if model.size else ""
        print(f"  {model.name:<24} {MODEL_STATES[model.state]:<16} {size:>9}  {model.title}")
    print("Choose one with /model NAME.")


async def _tools(shell: Shell, rest: str) -> None:
    for tool in await (await shell.client()).tools():
        print(f"  {tool.name:<14} {tool.description} [{', '.join(tool.capabilities)}]")


async def _diff(shell: Shell, rest: str) -> None:
    from llmasos.shell.render import make_console, show_diff

    diff = await (await shell.session()).diff()
    if not diff.changes:
        print("Nothing has changed.")
        return
    show_diff(make_console(), diff, most_lines=1_000_000)


async def _commit(shell: Shell, rest: str) -> None:
    from llmasos.events import display

    commit = await (await shell.session()).commit(_paths(rest))
    print(f"Wrote {count(len(commit.paths), 'file')} to {display(str(shell.folder))}. /undo takes it back.")


async def _discard(shell: Shell, rest: str) -> None:
    await (await shell.session()).discard(_paths(rest))
    print("Dropped.")


async def _undo(shell: Shell, rest: str) -> None:
    commit = await (await shell.session()).undo()
    print(f"Restored {count(len(commit.paths), 'file')}.")


async def _sessions(shell: Shell, rest: str) -> None:
    from llmasos.events import display

    if rest:
        await shell.switch(rest)
        print(f"Going on with {rest} in {display(str(shell.folder))}.")
        return
    for info in await (await shell.client()).sessions():
        running = " (running)" if info.running else ""
        when = info.updated.astimezone().strftime("%Y-%m-%d %H:%M")
        print(f"  {info.id}  {when}  {count(info.turns, 'turn'):>9}  {display(info.title)}{running}")
    print("Go on with one by /sessions ID.")


async def _ledger(shell: Shell, rest: str) -> None:
    from llmasos.events import display

    report = await (await shell.client()).verify()
    print(report.message)
    for problem in report.problems:
        print(f"  {display(problem)}")


COMMANDS = {
    "/help": Command("/help", "show this list", _help),
    "/model": Command("/model [NAME]", "list the models, or choose one", _model),
    "/tools": Command("/tools", "list the tools", _tools),
    "/diff": Command("/diff", "show what would change in the folder", _diff),
    "/commit": Command("/commit [PATH…]", "write the changes to the folder", _commit),
    "/discard": Command("/discard [PATH…]", "drop the changes", _discard),
    "/undo": Command("/undo", "take the newest commit back", _undo),
    "/sessions": Command("/sessions [ID]", "list the sessions, or go on with one", _sessions),
    "/ledger": Command("/ledger", "verify that every action is on the chain", _ledger),
}


def _paths(rest: str) -> list[str] | None:
    try:
        return shlex.split(rest) or None
    except ValueError as error:
        raise LLMasOSError(f"The paths cannot be read: {error}.", hint="Quote names with spaces.") from error
