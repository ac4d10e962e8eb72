"""Opening the shell on the terminal that there is."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmasos import paths
from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell.output import say
from llmasos.shell.repl import SessionOptions, Shell
from llmasos.shell.settings import check_settings

_WRONG = 2  # the exit code where what was given cannot be used
_PRINTING_ONLY = ("dumb", "unknown", "")


async def opened(folder: Path, options: SessionOptions, resume: str) -> int:
    """Open the shell, and return its exit code.

    Args:
        folder: The folder to work on.
        options: What a new session is begun with.
        resume: The session to go on with, or empty for a new one.
    """
    asyncio.get_running_loop().set_exception_handler(_failed)
    # They say how large the terminal was, which changes.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    if os.environ.get("TERM", "") in _PRINTING_ONLY:
        from llmasos.shell.screen.plain import PlainScreen

        return await _checked(Shell(folder, options, PlainScreen(), resume=resume))
    return await _on_terminal(folder, options, resume)


def _failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say in a line what went wrong where nobody waits for it."""
    error = context.get("exception")
    told = f"{type(error).__name__}: {error}" if error is not None else str(context["message"])
    say(f"The shell failed at something: {told}", err=True)


async def _on_terminal(folder: Path, options: SessionOptions, resume: str) -> int:
    from llmasos.shell.commands import COMMANDS
    from llmasos.shell.files import FolderFiles
    from llmasos.shell.own.running import own_commands
    from llmasos.shell.screen.completion import ShellCompleter
    from llmasos.shell.screen.terminal import TerminalScreen

    screen = TerminalScreen(_history_file())
    shell = Shell(folder, options, screen, resume=resume)
    files = FolderFiles()
    summaries = {name: command.summary for name, command in COMMANDS.items()} | {"/quit": "leave"}
    commands = {name: translated(summary) for name, summary in summaries.items()}
    screen.completes(
        ShellCompleter(
            lambda: commands | own_commands(shell),
            lambda command: shell.known.arguments(command),
            lambda: list(dict.fromkeys((*shell.changed, *files.list(shell.folder)))),
        )
    )
    screen.opens(lambda: shell.errand(COMMANDS["/open"].run(shell, "")))
    return await _checked(shell)


async def _checked(shell: Shell) -> int:
    """Run the shell until its settings turn out to be wrong: they are read when the prompt is there."""
    running = asyncio.create_task(shell.run())
    checking = asyncio.create_task(asyncio.to_thread(check_settings))
    try:
        await asyncio.wait({running, checking}, return_when=asyncio.FIRST_COMPLETED)
        if checking.done() and isinstance(error := checking.exception(), LLMasOSError):
            running.cancel()
            await asyncio.wait({running})
            from llmasos.shell.render import print_error

            print_error(error)
            return _WRONG
        if checking.done() and not checking.exception() and not shell.connected:
            # A kernel takes seconds to start, and who has the keys of vi types already.
            shell.screen.use_keys(checking.result().shell.keys == "vi")
        return await running
    finally:
        running.cancel()
        checking.cancel()
        await asyncio.gather(running, checking, return_exceptions=True)


def _history_file() -> Path:
    file = paths.private_dir(paths.data_dir()) / "history"
    # One that cannot be written is none.
    with suppress(OSError):
        file.touch(mode=0o600, exist_ok=True)
    return file
