"""`llmasos models`: list, pull, load and measure models, and see how they share the machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from llmasos.display import display
from llmasos.shell import completing
from llmasos.shell.ask import ask
from llmasos.shell.model_lines import (
    detail_lines,
    list_lines,
    report_lines,
    top_lines,
)
from llmasos.shell.output import say, say_found
from llmasos.shell.progress import watched

if TYPE_CHECKING:
    from llmasos.client import AsyncClient


_REFRESH_SECONDS = 1.0

models_app = typer.Typer(help="Pull, load and measure models; alone, it lists them.", rich_markup_mode=None)

Name = Annotated[
    str,
    typer.Argument(
        help="A name of the list, a path, or a hub's org/name[@revision][:file.gguf]; or the default.",
        autocompletion=completing.models,
    ),
]
Needed = Annotated[
    str,
    typer.Argument(
        help="A name of the list, or a hub's org/name[@revision][:file.gguf].",
        autocompletion=completing.models,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """Pull, load and measure models; alone, it lists them."""
    if context.invoked_subcommand is None:
        show_list()


@models_app.command("list")
def show_list(as_json: AsJson = False) -> None:
    """List the models that ship with the system or were pulled."""
    found = ask(lambda client: client.models())
    say_found(found, as_json, list_lines)


@models_app.command()
def pull(name: Needed, as_json: AsJson = False) -> None:
    """Fetch a model; from a hub, the newest that it has.

    Safetensors or GGUF, never pickles.
    """
    found = watched(lambda client, tell: client.pull_model(name, tell))
    say_found(found, as_json, lambda it: [f"{it.name} is here: {it.path}"])


@models_app.command()
def show(name: Name = "", as_json: AsJson = False) -> None:
    """Show a model: source, digest, memory, and how it is driven."""
    found = ask(lambda client: client.show_model(name))
    say_found(found, as_json, detail_lines)


@models_app.command()
def load(name: Name = "", as_json: AsJson = False) -> None:
    """Have a model resident, fetched first where it is not here."""
    found = watched(lambda client, tell: client.load_model(name, tell))
    say_found(found, as_json, lambda it: [f"{it.name} is loaded."])


@models_app.command()
def unload(name: Name = "") -> None:
    """Have a model leave the memory, when its requests have ended."""
    ask(lambda client: client.unload_model(name))
    say("Unloaded.")


@models_app.command()
def pin(name: Name = "") -> None:
    """Keep a model resident, whatever else is asked for."""
    ask(lambda client: client.pin_model(name))
    say("Pinned.")


@models_app.command()
def unpin(name: Name = "") -> None:
    """Let a model go when others need its memory."""
    ask(lambda client: client.unpin_model(name))
    say("Let go.")


@models_app.command()
def top(as_json: AsJson = False) -> None:
    """Show how models share the machine; on a terminal, until Ctrl-C."""
    if as_json or not sys.stdout.isatty():
        found = ask(lambda client: client.models_top())
        say_found(found, as_json, top_lines)
        return
    ask(_follow_top)


@models_app.command()
def bench(
    name: Name = "",
    limit: Annotated[int, typer.Option(min=0, help="Requests of each kind at most; 0 is all.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure a model's choice of tools, its arguments and its speed.

    It is asked some eighty requests in English and Chinese; nothing is carried out.
    """
    report = watched(lambda client, tell: client.bench_model(name, limit, tell))
    say_found(report, as_json, report_lines)


async def _follow_top(client: AsyncClient) -> None:
    import anyio
    from rich.live import Live
    from rich.text import Text

    from llmasos.shell.render import make_console

    with Live(console=make_console(), auto_refresh=False, screen=True) as live:
        while True:
            lines = top_lines(await client.models_top())
            live.update(Text("\n".join(map(display, lines)), no_wrap=True, overflow="ellipsis"), refresh=True)
            await anyio.sleep(_REFRESH_SECONDS)
