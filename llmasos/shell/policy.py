"""`llmasos policy`: the rules that say what is allowed, asked about and denied."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmasos.shell.modules import run_module

policy_app = typer.Typer(
    help="Show, check and try the rules that decide on calls.", rich_markup_mode=None, no_args_is_help=True
)

Folder = Annotated[Path, typer.Option("-C", "--folder", help="The folder whose own rules count, too.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@policy_app.command()
def show(folder: Folder = Path(), as_json: Json = False) -> None:
    """Show the rules in force, and where they come from."""
    _run(folder, "show", *_json(as_json))


@policy_app.command()
def check(
    folder: Folder = Path(),
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Read proposed calls as lines of JSON, and answer each by a line.")
    ] = False,
) -> None:
    """Look for mistakes in rules, or decide on proposed calls."""
    _run(folder, "check", *(["--jsonl"] if jsonl else []))


@policy_app.command()
def test(
    file: Annotated[
        Path, typer.Argument(help="Calls and what ought to be decided, as TOML or lines of JSON.")
    ],
    folder: Folder = Path(),
) -> None:
    """Compare what is decided with what ought to be."""
    _run(folder, "test", "--", str(file))


@policy_app.command()
def explain(
    call: Annotated[str, typer.Argument(help='A call as JSON, such as {"command": "make"}; - reads it.')],
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Say what is decided of a call, and what would change it."""
    _run(folder, "explain", *_json(as_json), "--", call)


@policy_app.command()
def suggest(folder: Folder = Path(), as_json: Json = False) -> None:
    """Propose rules that allow what you have approved before."""
    _run(folder, "suggest", *_json(as_json))


def _json(wanted: bool) -> list[str]:
    return ["--json"] if wanted else []


def _run(folder: Path, *arguments: str) -> None:
    raise typer.Exit(run_module("llmasos.agent.policy", "--folder", str(folder), *arguments))
