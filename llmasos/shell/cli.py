"""The `llmasos` command. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import click
import typer
import typer.main

from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell import changes, completing, past, replay
from llmasos.shell.ask import ask
from llmasos.shell.audit import audit_app
from llmasos.shell.cluster import cluster_app
from llmasos.shell.console import console
from llmasos.shell.explain import explain
from llmasos.shell.export import export
from llmasos.shell.federated import federated_app
from llmasos.shell.help import HelpLines, usage_error_lines
from llmasos.shell.integrating import complete, shell_integration, suggest
from llmasos.shell.keys import keys_app
from llmasos.shell.knowledge import knowledge_app
from llmasos.shell.ledger import ledger_app
from llmasos.shell.mapping import map_inputs
from llmasos.shell.memory import memory_app
from llmasos.shell.models import models_app
from llmasos.shell.modes import ACCESS, ASKING, digests, one_of
from llmasos.shell.modules import python_module, run_module
from llmasos.shell.output import say, say_crash
from llmasos.shell.own_commands import commands_app
from llmasos.shell.policy import policy_app
from llmasos.shell.sandbox import sandbox_app
from llmasos.shell.tools import tools_app
from llmasos.shell.words import MODEL_STATES, count, pad
from llmasos.streams import output_ended

if TYPE_CHECKING:
    from llmasos.client import AsyncClient

# Where Rich is installed it writes backslashes before brackets, also where nothing is drawn with Rich.
typer.core.HAS_RICH = False
click.Context.formatter_class = HelpLines

T = TypeVar("T")

app = typer.Typer(
    name="llmasos",
    help="Say what you want; see it done; prove it. Without a command, the shell opens on this folder.",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(ledger_app, name="ledger")
app.add_typer(models_app, name="models")
app.add_typer(federated_app, name="federated")
app.add_typer(keys_app, name="keys")
for command in (*changes.COMMANDS, *past.COMMANDS, *replay.COMMANDS):
    app.command()(command)
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(policy_app, name="policy")
app.add_typer(cluster_app, name="cluster")
app.add_typer(tools_app, name="tools")
app.add_typer(knowledge_app, name="knowledge")
app.add_typer(memory_app, name="memory")
app.command()(explain)
app.command()(export)
app.command()(console)
app.command("map")(map_inputs)
app.add_typer(audit_app, name="audit")
app.add_typer(commands_app, name="commands")
app.command()(suggest)
app.command("shell-integration")(shell_integration)
app.command(hidden=True)(complete)

Folder = Annotated[Path, typer.Option("-C", "--folder", help="The folder to work on.")]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A name of `llmasos models`, a hub's org/name, or a path.",
        autocompletion=completing.models,
    ),
]
InPlace = Annotated[
    bool, typer.Option("--in-place", help="Change the folder itself, with nothing to discard or undo.")
]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="A host that code may reach; repeatable."),
]
Grants = Annotated[
    list[str] | None,
    typer.Option(
        "--grant", metavar="GLOB", help="A hidden file that code may see, such as .env; repeatable."
    ),
]

AccessMode = Annotated[
    str,
    typer.Option("--access", metavar="MODE", help="What is possible: read-only, workspace or open."),
]
AskingMode = Annotated[
    str,
    typer.Option("--ask", metavar="MODE", help="When a person is asked: always, on-risk or never."),
]


@app.callback(invoke_without_command=True)
def shell(
    context: typer.Context,
    folder: Folder = Path(),
    model: Model = "",
    resume: Annotated[
        str,
        typer.Option("--resume", help="Go on with this session.", autocompletion=completing.sessions),
    ] = "",
    in_place: InPlace = False,
    host: Hosts = None,
    grant: Grants = None,
    access: AccessMode = "",
    ask_when: AskingMode = "",
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Open the shell when no command is given."""
    if version:
        import llmasos

        say(f"llmasos {llmasos.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is not None:
        return
    # A stream that the caller has closed is none at all.
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        raise LLMasOSError("The shell needs a terminal.", hint='Use `llmasos run "..."` in scripts.')
    import asyncio

    from llmasos.shell.opening import opened
    from llmasos.shell.repl import SessionOptions

    options = SessionOptions(
        model=model,
        in_place=in_place,
        hosts=tuple(host or ()),
        granted=tuple(grant or ()),
        access=one_of(access, ACCESS, "--access"),
        asking=one_of(ask_when, ASKING, "--ask"),
    )
    raise typer.Exit(asyncio.run(opened(_folder(folder), options, resume)))


@app.command()
def run(
    request: Annotated[
        list[str],
        typer.Argument(
            metavar="REQUEST", help="What you want done; or /NAME of `llmasos commands`, and its arguments."
        ),
    ],
    folder: Folder = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Approve what is asked, and write the changes.")] = False,
    model: Model = "",
    max_steps: Annotated[int | None, typer.Option(min=1, help="Requests to the model at most.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Seconds at most.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the diff, and drop the changes at the end.")
    ] = False,
    in_place: InPlace = False,
    host: Hosts = None,
    grant: Grants = None,
    access: AccessMode = "",
    ask_when: AskingMode = "",
    approve: Annotated[
        list[str] | None,
        typer.Option(
            "--approve", metavar="HASH", help="A call that is approved beforehand, once; repeatable."
        ),
    ] = None,
) -> None:
    """Carry out one request without a terminal.

    Exit codes: 0 done, 1 failed, 2 usage, 3 approval needed, 4 limit reached, 130 cancelled.
    """
    from llmasos.shell import headless

    if len(request) > 1 and not request[0].startswith("/"):
        raise typer.BadParameter("it is several words; put quotes around it.", param_hint="REQUEST")
    if dry_run and (yes or in_place):
        raise typer.BadParameter("it goes neither with --yes nor with --in-place.", param_hint="--dry-run")
    code = headless.run(
        request,
        folder=folder,
        as_json=as_json,
        yes=yes,
        model=model,
        max_steps=max_steps,
        timeout=timeout,
        dry_run=dry_run,
        approved=digests(approve or ()),
        session={
            "in_place": in_place,
            "hosts": host or (),
            "granted": grant or (),
            "access": one_of(access, ACCESS, "--access"),
            "asking": one_of(ask_when, ASKING, "--ask"),
        },
    )
    raise typer.Exit(code)


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="The address for other programs.")] = "",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The TCP port for them.")] = 0,
    console: Annotated[
        bool, typer.Option("--console", help="Serve the console, a web page, there, too.")
    ] = False,
) -> None:
    """Run the kernel here, also for other programs.

    The shell starts a kernel by itself. With a port, other programs reach this one, each with a key of
    `llmasos keys`; browsers reach the console with a link of `llmasos console`.
    """
    _refuse_second()
    given = {
        "LLMASOS_SERVICE__HOST": host,
        "LLMASOS_SERVICE__PORT": str(port or ""),
        "LLMASOS_SERVICE__CONSOLE": "true" if console else "",
    }
    env = {**os.environ, **{name: value for name, value in given.items() if value}}
    from llmasos.client.starting import claim

    with claim() as file:
        if file is None:
            raise LLMasOSError("A kernel is starting or ending.", hint="Try again in a moment.")
        os.set_inheritable(file.fileno(), True)
        # In place of this process, so that signals reach the kernel and it can end in order.
        os.execve(sys.executable, python_module("llmasos.service"), env)  # noqa: S606


@app.command()
def stop() -> None:
    """Stop the kernel."""
    say("No kernel is running." if _running(lambda client: client.stop()) is None else "Stopped.")


@app.command()
def mcp(
    folder: Folder = Path(),
    yes: Annotated[bool, typer.Option("--yes", help="Approve what would be asked about.")] = False,
    model: Model = "",
    in_place: InPlace = False,
    host: Hosts = None,
    grant: Grants = None,
    access: AccessMode = "",
    ask_when: AskingMode = "",
) -> None:
    """Offer the tools to an MCP host, on standard streams."""
    import anyio

    from llmasos.shell.mcp import serve

    options = {
        "model": model,
        "in_place": in_place,
        "hosts": host or (),
        "granted": grant or (),
        "access": one_of(access, ACCESS, "--access"),
        "asking": one_of(ask_when, ASKING, "--ask"),
    }
    anyio.run(partial(serve, _folder(folder), yes=yes, options=options))


@app.command()
def status() -> None:
    """Show the kernel, its model, sandbox and ledger."""
    info = ask(lambda client: client.info(), start=False)
    ledger = info.ledger
    reason = f" ({info.sandbox_reason})" if info.sandbox_reason else ""
    say(f"kernel   {info.version}, process {info.pid}, since {info.started.astimezone():%Y-%m-%d %H:%M}")
    say(f"data     {info.data_dir} (log: kernel.log)")
    state = MODEL_STATES.get(info.model_state or "", "not loaded yet")
    say(f"model    {info.model}, {translated(state)}")
    say(f"sandbox  {info.sandbox}{reason}")
    say(f"ledger   {ledger.backend}: {ledger.confirmed} of {ledger.records} records on the chain")
    if ledger.error:
        say(f"         {ledger.error}")
    say(f"sessions {info.sessions} running")
    say(f"service  {f'{info.service}, with a key' if info.service else 'the own socket only'}")


@app.command()
def doctor() -> None:
    """Check each part, and name what mends what is missing."""
    raise typer.Exit(run_module("llmasos.doctor"))


@app.command()
def sessions() -> None:
    """List the sessions, newest first."""
    for info in ask(lambda client: client.sessions()):
        when = info.updated.astimezone().strftime("%Y-%m-%d %H:%M")
        turns = pad(translated(count(info.turns, "turn")), 9, right=True)
        say(f"{info.id}  {when}  {turns}  {info.folder}  {info.title}")


@cache
def command_line() -> click.Command:
    """Return the command line with all that is below it; taking the functions apart takes a while."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the command line; errors go to standard error with their next step, and never as a traceback."""
    sys.excepthook = say_crash
    try:
        sys.exit(command_line()(standalone_mode=False))
    except click.ClickException as wrong:
        for line in usage_error_lines(wrong):
            say(line, err=True)
        sys.exit(wrong.exit_code)
    except LLMasOSError as error:
        from llmasos.shell.render import print_error

        print_error(error)
        # As with options that Typer itself refuses.
        sys.exit(2 if error.code == "value" else 1)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not _is_somewhere():
            say("The folder that you are in is not there any more.", err=True)
            say("Go to another one with cd.", err=True)
            sys.exit(1)
        sys.exit(output_ended(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _is_somewhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _running(work: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> tuple[T] | None:
    """Return what `work` returns; None where no kernel runs."""
    try:
        return (ask(work, start=False),)
    except LLMasOSError as error:
        if error.code != "kernel":
            raise
        return None


def _refuse_second() -> None:
    found = _running(lambda client: client.info())
    if found is None:
        return
    info = found[0]
    reached = f", and other programs reach it at {info.service}" if info.service else ""
    raise LLMasOSError(
        f"A kernel runs already (process {info.pid}){reached}.",
        hint="Stop it with `llmasos stop`, and serve again; sessions, changes and keys stay. So that every "
        "kernel opens the port, set LLMASOS_SERVICE__PORT, or `port` under [service] in config.toml.",
    )


def _folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise LLMasOSError(f"There is no folder {folder}.", hint="Make it, or name another with -C.")
    return folder.absolute()
