"""The page of the command line."""

from __future__ import annotations

from collections.abc import Iterator

import click
import typer

from llmasos.shell.cli import app
from scripts.reference.text import anchor, code, page, prose, table

INTRO = "Every command, with what `--help` says of it. Options of one name mean the same in all commands."


def pages() -> dict[str, str]:
    """Return the page of all commands."""
    found = list(_commands(typer.main.get_command(app), "llmasos"))
    rows = [(f"[`{name}`](#{anchor(name)})", prose(_first(command))) for name, command in found]
    parts = [part for name, command in found for part in _command(name, command)]
    return {"cli.md": page("Command line", INTRO, table(("command", "what it does"), rows), *parts)}


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for word, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from _commands(below, f"{name} {word}")


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    yield f"## {name}"
    yield "\n\n".join(prose(" ".join(part.split())) for part in (command.help or "").split("\n\n"))
    yield f"```text\n{name} {' '.join(command.collect_usage_pieces(context))}\n```"
    records = [found for each in command.get_params(context) if (found := each.get_help_record(context))]
    given = [(shown, said) for shown, said in records if not shown.startswith("--help")]
    if given:
        yield table(("", ""), [(code(shown), prose(said)) for shown, said in given])
    if below := getattr(command, "commands", {}):
        listed = [(f"{name} {word}", each) for word, each in below.items() if not each.hidden]
        links = ", ".join(f"[`{full.split()[-1]}`](#{anchor(full)})" for full, _ in listed)
        yield f"Commands: {links}."


def _first(command: click.Command) -> str:
    return " ".join((command.help or "").split("\n\n")[0].split())
