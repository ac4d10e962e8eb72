"""`llmasos map`: one command over many inputs, each in a sandbox."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell.ask import unless_stopped
from llmasos.shell.map_results import RESULTS, Lines, done_before, opened, read_text
from llmasos.shell.output import say

if TYPE_CHECKING:
    from llmasos.api import TurnResult

_MOST_SECONDS = 30 * 24 * 3600.0
_ASKED_AT_ONCE = 4


def map_inputs(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INSTRUCTION] FILES|GLOBS...",
            help="Files, folders or globs; each file is an input. First what the model does, if no command.",
        ),
    ] = None,
    command: Annotated[
        str,
        typer.Option(
            "--command",
            "-c",
            help="What runs for each: {} is the input, {.} it without suffix, {/} its name, {/.} both.",
        ),
    ] = "",
    python: Annotated[
        Path | None, typer.Option("--python", help="In its place, a file that defines run(item).")
    ] = None,
    jsonl: Annotated[
        str,
        typer.Option("--jsonl", metavar="IN", help="Inputs from a JSON Lines file, or - for lines of stdin."),
    ] = "",
    along: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="FILE", help="A file that every input needs; repeatable."),
    ] = None,
    folder: Annotated[Path, typer.Option("-C", "--folder", help="The folder to work on.")] = Path(),
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="At once, here; 0 is all cores.")] = 0,
    cpus: Annotated[float, typer.Option(min=0.01, help="Cores that each takes.")] = 1.0,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs that each takes.")] = 0.0,
    memory: Annotated[int | None, typer.Option(min=64, help="MiB that each may use.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=86_400, help="Seconds that each may take.")] = 60.0,
    tries: Annotated[int, typer.Option(min=1, help="How often one is begun whose worker dies.")] = 3,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for results.jsonl; nothing is printed then.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out what is done by --out's results.")
    ] = False,
    address: Annotated[
        str, typer.Option("--address", help="Run on this cluster, which this machine has joined; or auto.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each input.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve what the policy asks.")] = False,
) -> None:
    """Run a command, or what you say, over many inputs.

    A command runs in a sandbox for each, and what it prints is kept; what you say, the model does to each.
    The files of the folder stay as they are.

    Exit codes: 0 all done, 1 some failed, 2 usage, 3 approval needed, 130 stopped.
    """
    if command and python:
        raise typer.BadParameter("give either a command or --python FILE.", param_hint="--command")
    instruction = ""
    if not command and not python:
        # The first word says what the model does to each.
        instruction, inputs = (inputs or [""])[0].strip(), (inputs or [])[1:]
        if not instruction:
            raise typer.BadParameter(
                "give a command, --python FILE, or an instruction.", param_hint="--command"
            )
        if address:
            raise typer.BadParameter("a model runs where its replicas do.", param_hint="--address")
    if not inputs and not jsonl:
        raise typer.BadParameter("name files, folders or globs, or give --jsonl.", param_hint="FILES")
    if resume and out is None:
        raise typer.BadParameter("it needs --out, where the results lie.", param_hint="--resume")
    settings: dict[str, float] = {"cpus": cpus, "gpus": gpus, "tries": tries, "jobs": jobs}
    if memory is not None:
        settings["memory_mb"] = memory
    results = None if out is None else out / RESULTS
    arguments: dict[str, Any] = {
        "files": [_inside(name, folder) for name in inputs or ()],
        "items": _lines(jsonl) if jsonl else [],
        "skip": done_before(results) if resume and results is not None else [],
        "save_as": "",
    }
    if instruction:
        arguments |= {"instruction": instruction, "jobs": jobs or _ASKED_AT_ONCE}
        raise typer.Exit(
            _mapped("ask_files", arguments, folder, results, resume=resume, as_json=as_json, yes=yes)
        )
    arguments |= {
        "command": command,
        "code": "" if python is None else read_text(python),
        "along": [_inside(name, folder) for name in along or ()],
        "cluster": address,
        "timeout": timeout,
        "settings": settings,
    }
    raise typer.Exit(
        _mapped("map_files", arguments, folder, results, resume=resume, as_json=as_json, yes=yes)
    )


def _mapped(
    tool: str,
    arguments: dict[str, Any],
    folder: Path,
    results: Path | None,
    *,
    resume: bool,
    as_json: bool,
    yes: bool,
) -> int:
    from contextlib import ExitStack

    import anyio

    with ExitStack() as stack:
        file = None
        if results is not None:
            file = stack.enter_context(opened(results, resume=resume))
        lines = Lines(file, as_json, _bar(stack))
        result = anyio.run(_run, tool, arguments, folder, lines, yes)
    counted = f"{lines.done:,} of {int(lines.total):,} done, {lines.failed:,} failed."
    if result is None:
        more = " Go on with --resume." if results is not None else ""
        say(f"Stopped: {counted}{more}", err=True)
        return 130
    return _ended(result, lines, results)


def _ended(result: TurnResult, lines: Lines, results: Path | None) -> int:
    """Say how it went, and return the exit code."""
    from llmasos.shell.approval import show_wanted
    from llmasos.shell.render import make_console

    for wanted in result.approvals:
        show_wanted(make_console(stderr=True), wanted)
    if result.approvals:
        return 3
    action = result.actions[-1] if result.actions else None
    if action is None or action.status != "ok":
        text = action.outcome if action is not None else result.error or result.answer
        raise LLMasOSError(text, hint=result.hint)
    for line in action.outcome.splitlines():
        say(line, err=True)
    if results is not None:
        say(f"The results lie in {results}.", err=True)
    return 1 if lines.failed else 0


async def _run(
    tool: str, arguments: dict[str, Any], folder: Path, lines: Lines, yes: bool
) -> TurnResult | None:
    from llmasos.api import ToolCall
    from llmasos.client import AsyncClient

    call = ToolCall(tool=tool, arguments=arguments)

    async def turn() -> TurnResult:
        async with AsyncClient(progress=lambda text: say(text, err=True), name="map") as client:
            session = await client.session(folder)
            return await session.run(
                _words(arguments),
                on_event=lines.take,
                approve="all" if yes else "deny",
                timeout=_MOST_SECONDS,
                call=call,
            )

    return await unless_stopped(turn)


def _words(arguments: dict[str, Any]) -> str:
    """Return what is done in words: what the person wrote, so that the policy knows it for theirs."""
    run = arguments.get("instruction") or arguments["command"] or arguments["code"]
    named = [*arguments["files"], *(f"with {name}" for name in arguments.get("along", ()))]
    return f"Run over {' '.join(named) or 'the inputs'}:\n{run}"


def _bar(stack: Any) -> Callable[[int, int, float], None]:
    """Return what shows how far it is, where a person sees it."""
    if not sys.stderr.isatty():
        return lambda done, failed, total: None
    from llmasos.shell.progress import bars

    progress = stack.enter_context(bars(transient=False))
    task = progress.add_task(translated("Running"), amount="", total=None)

    def show(done: int, failed: int, total: float) -> None:
        amount = translated(f"{done + failed:,} of {int(total):,}, {failed:,} failed")
        progress.update(task, completed=done + failed, total=total, amount=amount)

    return show


def _inside(name: str, folder: Path) -> str:
    """Return a path from the folder on, where an absolute one lies in it."""
    path, root = Path(name), folder.absolute()
    return str(path.relative_to(root)) if path.is_absolute() and path.is_relative_to(root) else name


def _lines(name: str) -> list[str]:
    """Return inputs: texts, and other JSON as its text."""
    if name == "-":
        return [line.rstrip("\n") for line in sys.stdin if line.strip()]
    found = []
    # Texts may hold what str.splitlines takes for an end of line.
    for number, line in enumerate(read_text(Path(name)).split("\n"), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError:
                raise typer.BadParameter(
                    f"line {number} of {name} is no JSON.", param_hint="--jsonl"
                ) from None
            found.append(value if isinstance(value, str) else line.strip())
    return found
