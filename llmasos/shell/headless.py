"""`llmasos run`: one request without a terminal, for scripts."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from llmasos.api import Attachment, Diff, TurnResult
from llmasos.client import AsyncClient
from llmasos.display import display
from llmasos.errors import LLMasOSError
from llmasos.events import TurnStatus, Usage
from llmasos.language import translated
from llmasos.shell.approval import show_wanted
from llmasos.shell.ask import unless_stopped
from llmasos.shell.diffs import show_diff, warn_of_running
from llmasos.shell.output import say, say_json, say_text
from llmasos.shell.render import Renderer, make_console, print_error

if TYPE_CHECKING:
    from llmasos.shell.own import OwnCommand

EXIT_CODES = {"done": 0, "failed": 1, "usage": 2, "approval_needed": 3, "limit": 4, "cancelled": 130}
_LARGEST_INPUT = 4_000_000
_PATIENCE = 2.0  # seconds


def run(
    words: Sequence[str],
    *,
    folder: Path,
    as_json: bool,
    yes: bool,
    model: str,
    max_steps: int | None,
    timeout: float | None,
    dry_run: bool,
    approved: Sequence[str],
    session: Mapping[str, Any],
) -> int:
    """Run a request and return the exit code.

    Args:
        words: The request; or a command of one's own as `/NAME`, with its arguments there or as words.
        folder: The folder to work on.
        as_json: Print one JSON object on standard output.
        yes: Approve what the policy asks, and commit the changes.
        model: The model, or empty for the default.
        max_steps: Requests to the model at most.
        timeout: Seconds at most.
        dry_run: Show the diff, and drop the changes at the end.
        approved: Digests of calls that are approved beforehand.
        session: What else the session is begun with: the other fields of `SessionRequest`.
    """
    options: dict[str, Any] = {"commit": yes, "max_steps": max_steps, "timeout": timeout, "dry_run": dry_run}
    options["approved"] = approved
    try:
        text, own = _request(words, folder, yes=yes)
        if own is not None:
            model = model or own.model
            dry_run = options["dry_run"] = dry_run or own.dry_run
            options |= {"max_steps": max_steps or own.max_steps, "timeout": timeout or own.timeout}
            if dry_run and session.get("in_place"):
                raise LLMasOSError(
                    f"/{own.name} is a dry run, and nothing can be dropped that is done in place.",
                    hint="Leave --in-place out.",
                )
        options |= {"attachments": _piped_input(), "approve": "all" if yes else "deny"}
        result = anyio.run(_run, text, folder, {"model": model, **session}, options)
    except LLMasOSError as error:
        print_error(error)
        status: TurnStatus = "approval_needed" if error.code == "approval" else "failed"
        if as_json:
            say_json(_failure(error, status))
        return EXIT_CODES[status]
    except KeyboardInterrupt:
        return EXIT_CODES["cancelled"]
    if result is None:
        return EXIT_CODES["cancelled"]
    if as_json:
        say_json(result.model_dump_json())
    elif result.answer:
        say_text(result.answer)
    for wanted in result.approvals:
        show_wanted(make_console(stderr=True), wanted)
    errors = make_console(stderr=True)
    if result.committed:
        warn_of_running(errors, result.changes)
    elif result.changes:
        show_diff(errors, Diff(changes=result.changes), command=f"llmasos diff {result.session}")
        next_step = (
            "This was a dry run: nothing was written, and the changes were dropped."
            if dry_run
            else f"Nothing was written yet. Write it with: llmasos commit {result.session}"
        )
        errors.print(display(translated(next_step)), style="yellow")
    return EXIT_CODES[result.status]


async def _run(
    text: str,
    folder: Path,
    beginning: Mapping[str, Any],
    options: Mapping[str, Any],
) -> TurnResult | None:
    renderer = Renderer(make_console(stderr=True), text=False)

    async def turn() -> TurnResult:
        async with AsyncClient(progress=renderer.say, name="headless") as client:
            session = await client.session(folder, **beginning)
            return await session.run(text, on_event=renderer.show, **options)

    return await unless_stopped(turn)


def _request(words: Sequence[str], folder: Path, *, yes: bool) -> tuple[str, OwnCommand | None]:
    """Return the request, and the command of one's own that it comes from, if it is one.

    Raises:
        LLMasOSError: There is no such command, its file is none, arguments are missing, or nobody has agreed
            to it yet.
    """
    text = words[0].strip()
    if not text.startswith("/"):
        return text, None
    from llmasos.shell import own

    known = own.named(text, own.find(folder))
    if known is None:
        name = text.split()[0]
        # Paths begin so, too.
        if name != "/" and "/" not in name[1:] and not os.path.lexists(name):
            hint = "`llmasos commands list` lists them; those of the shell are in /help."
            raise LLMasOSError(f"There is no command {name}.", hint=hint)
        return text, None
    place, rest = known
    command = own.read(place)
    if not yes:
        own.check_agreed(command)
    arguments = [*own.words_of(command, rest), *words[1:]] if words[1:] else rest
    return own.expand(command, arguments), command


def _piped_input() -> list[Attachment]:
    """Read standard input when something is piped into it, and never wait for a person or a closed end.

    Raises:
        LLMasOSError: What is piped is not text, or too much.
    """
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return []
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return []
    if stat.S_ISFIFO(mode) and not select.select([0], [], [], _PATIENCE)[0]:
        say("Reading standard input; redirect it from /dev/null if nothing comes.", err=True)
    data = sys.stdin.buffer.read(_LARGEST_INPUT + 1)
    if len(data) > _LARGEST_INPUT:
        raise LLMasOSError(
            f"Standard input has more than {_LARGEST_INPUT // 1_000_000} MB.",
            hint="Save it as a file in the folder and name the file in the request.",
        )
    if b"\0" in data:
        raise LLMasOSError(
            "Standard input is not text.", hint="Save it as a file in the folder and name the file."
        )
    return [Attachment(name="standard input", text=data.decode("utf-8", "replace"))] if data.strip() else []


def _failure(error: LLMasOSError, status: TurnStatus) -> str:
    return TurnResult(
        status=status,
        answer="",
        actions=(),
        diff="",
        session="",
        usage=Usage(),
        error=error.message,
        hint=error.hint,
    ).model_dump_json()
