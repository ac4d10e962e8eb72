"""`llmasos commands`: commands of one's own, as Markdown files of the project or the user."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmasos.display import display, display_name
from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell.ask import confirmed
from llmasos.shell.output import say, say_json, say_text
from llmasos.shell.proofs import AsJson
from llmasos.shell.words import pad

if TYPE_CHECKING:
    from llmasos.shell.own import OwnCommand

commands_app = typer.Typer(
    help="List, show and write commands of your own.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option("-C", "--folder", help="The project's folder.")]


def _names(incomplete: str) -> list[str]:
    from llmasos.shell.own import find

    return [name for name in find(Path()).places if name.startswith(incomplete.removeprefix("/"))]


Named = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Its name, with or without the slash.", autocompletion=_names),
]

_TEMPLATE = """\
---
description: What it does, in a line
argument-hint: <file>
---
Look at @$1 and say what could be simpler in it.
"""


@commands_app.command("list")
def list_commands(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the commands of the project and of the user.

    What is wrong with other files is told, too.

    Exit codes: 0 all can be read, 1 some cannot.
    """
    from llmasos.shell.own import find, read
    from llmasos.shell.render import print_error

    found = find(folder)
    problems: list[LLMasOSError] = list(found.problems)
    for place in found.places.values():
        try:
            command = read(place)
        except LLMasOSError as error:
            problems.append(error)
            continue
        if as_json:
            say_json(json.dumps(_object(command), ensure_ascii=False))
        else:
            say(f"{command.usage:<28} {command.description}{_note(command)}".rstrip())
    if not found.places and not as_json:
        say("There are no commands; write one with `llmasos commands new NAME`.", err=True)
    for place in found.hidden:
        say(f"/{place.name} of the project is taken in place of your own: {place.file}", err=True)
    for problem in problems:
        print_error(problem)
    raise typer.Exit(1 if problems else 0)


@commands_app.command()
def show(name: Named, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Show a command's file."""
    command = _read(name, folder)
    if as_json:
        say_json(json.dumps({**_object(command), "text": command.text}, ensure_ascii=False))
        return
    for line in _lines(command):
        say(line)
    say()
    say_text(command.text.rstrip("\n"))


@commands_app.command()
def agree(
    name: Named,
    folder: Folder = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Show a project's command and agree to it, until it changes.

    Its text goes to the model as if you had typed it, and comes from whoever wrote the project.
    """
    from llmasos.shell import own

    command = _read(name, folder)
    if own.agreement(command) == "agreed":
        say(f"Nobody asks about /{command.name}.")
        return
    show(name, folder)
    say()
    confirmed(f"Send this to the model when you type /{command.name}?", yes)
    own.agree(command)
    say(f"You agreed to /{command.name} as it is now.")


@commands_app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in review, or git:review in a folder git.")],
    folder: Folder = Path(),
    user: Annotated[
        bool, typer.Option("--user", help="For all of your projects, not for this one only.")
    ] = False,
) -> None:
    """Write a command to begin with."""
    from llmasos.shell.own import new_file

    if not folder.is_dir():
        raise LLMasOSError(
            f"There is no folder {display_name(str(folder))}.", hint="Make it, or name another with -C."
        )
    name = name.removeprefix("/")
    file = new_file(name, "user" if user else "project", folder)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise LLMasOSError(
            f"Cannot write {display_name(str(file))}: {error.strerror}.",
            hint="Change the file that is there, or choose another name."
            if isinstance(error, FileExistsError)
            else "Look at the rights of the folder.",
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(_TEMPLATE)
    say(f"Write what is wanted into {display_name(str(file))}; then type /{name}.")


def _read(name: str, folder: Path) -> OwnCommand:
    from llmasos.shell.own import find, named, read

    known = named(f"/{name.removeprefix('/')}", find(folder))
    if known is None or known[1]:
        raise LLMasOSError(
            f"There is no command /{display(name.removeprefix('/'))}.",
            hint="`llmasos commands list` lists them; those of the shell are in /help.",
        )
    return read(known[0])


def _note(command: OwnCommand) -> str:
    from llmasos.shell.own import agreement

    whose = "your own" if command.source == "user" else "the project's"
    state = {"agreed": "", "new": "not agreed to", "changed": "changed since you agreed to it"}
    return f" ({', '.join(translated(one) for one in (whose, state[agreement(command)]) if one)})"


def _lines(command: OwnCommand) -> list[str]:
    limits = [
        *([translated("dry run")] if command.dry_run else []),
        *([translated(f"{command.max_steps:d} steps")] if command.max_steps else []),
        *([f"{command.timeout:g} s"] if command.timeout else []),
    ]
    lines = {
        "command": command.usage + _note(command),
        "does": command.description,
        "model": command.model,
        "limits": ", ".join(limits),
        "file": display_name(str(command.file)),
        "digest": f"SHA-256 {command.sha256}",
    }
    return [f"{pad(translated(name), 8)} {value}" for name, value in lines.items() if value]


def _object(command: OwnCommand) -> dict[str, object]:
    from llmasos.shell.own import agreement

    return {
        "name": command.name,
        "source": command.source,
        "file": os.fsencode(command.file).decode("utf-8", "replace"),
        "description": command.description,
        "argument_hint": command.argument_hint,
        "model": command.model,
        "dry_run": command.dry_run,
        "max_steps": command.max_steps,
        "timeout": command.timeout,
        "sha256": command.sha256,
        "agreement": agreement(command),
    }
