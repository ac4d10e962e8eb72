"""`llmasos memory`: what the model is to keep in mind, in a folder or everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmasos.shell.ask import ask
from llmasos.shell.output import say, say_found
from llmasos.shell.proofs import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmasos.api import Fact

memory_app = typer.Typer(
    help="Say what the model is to keep in mind.", rich_markup_mode=None, no_args_is_help=True
)

FactId = Annotated[str, typer.Argument(metavar="FACT", help="Its id, as `llmasos memory list` shows it.")]
Folder = Annotated[Path, typer.Option("-C", "--folder", help="The folder where it holds.")]


@memory_app.command("list")
def list_facts(
    folder: Folder = Path(),
    everything: Annotated[bool, typer.Option("--all", help="Those of other folders, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what is remembered, newest first."""
    found = ask(lambda client: client.facts(None if everything else folder))
    say_found(found, as_json, _lines)


@memory_app.command()
def add(
    text: Annotated[str, typer.Argument(help="What is to be remembered.")],
    folder: Folder = Path(),
    everywhere: Annotated[bool, typer.Option("--everywhere", help="It holds in every folder.")] = False,
) -> None:
    """Have something remembered in this folder.

    The model is told it with each request from then on.
    """
    for line in remembered_lines(ask(lambda client: client.remember(text, None if everywhere else folder))):
        say(line)


def remembered_lines(fact: Fact, folder: str = "") -> Iterator[str]:
    """Yield what became of something that was to be remembered."""
    if fact.already:
        yield "This is remembered already."
    yield fact_line(fact, folder)


@memory_app.command()
def edit(fact: FactId, text: Annotated[str, typer.Argument(help="What it says from now on.")]) -> None:
    """Change what is remembered."""
    say(fact_line(ask(lambda client: client.change_fact(fact, text))))


@memory_app.command()
def remove(fact: FactId) -> None:
    """Have something forgotten."""
    ask(lambda client: client.forget(fact))
    say(f"Forgot {fact}.")


def fact_line(fact: Fact, here: str = "") -> str:
    """Return a fact in a line: id, date, where it holds, what it says.

    Args:
        fact: The fact.
        here: The folder that needs no name.
    """
    where = "everywhere" if not fact.folder else "here" if fact.folder == here else fact.folder
    return f"{fact.id}  {fact.at.astimezone():%Y-%m-%d}  {where}  {fact.text}"


def _lines(found: list[Fact]) -> Iterator[str]:
    yield from map(fact_line, found)
    if not found:
        yield "Nothing is remembered. Add something: llmasos memory add TEXT"
