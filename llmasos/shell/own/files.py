"""Where commands of one's own lie: their names, without a look into any file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmasos import paths
from llmasos.display import display_name
from llmasos.shell.own.errors import CommandError

Source = Literal["project", "user"]

_ENDING = ".md"
_PART = re.compile(r"[^\W_][\w-]*")
_DEEPEST = 3
_MOST = 500


@dataclass(frozen=True)
class Place:
    """A command's name, and the file that holds it.

    Args:
        name: As it is typed after the slash, with `:` between a folder and what is in it.
        file: The file.
        source: Whose it is: the project's, which may come from anybody, or the user's own.
    """

    name: str
    file: Path
    source: Source


@dataclass(frozen=True)
class Found:
    """The commands that there are.

    Args:
        places: By their names, in order.
        hidden: The user's commands in whose place a project's of the same name is taken.
        problems: What was found and is no command, each with its reason.
    """

    places: dict[str, Place]
    hidden: tuple[Place, ...]
    problems: tuple[CommandError, ...]


def folder_of(source: Source, folder: Path) -> Path:
    """Return the folder of the project's commands, or of the user's.

    Args:
        source: Which of both.
        folder: The project's folder.
    """
    return folder.absolute() / ".llmasos" / "commands" if source == "project" else user_folder()


def user_folder() -> Path:
    """Return the folder of the user's commands."""
    return paths.config_dir() / "commands"


def new_file(name: str, source: Source, folder: Path) -> Path:
    """Return where a new command would lie.

    Args:
        name: Its name.
        source: Whose it will be.
        folder: The project's folder.

    Raises:
        CommandError: A command cannot be called so, or a link leads out of the project there.
    """
    check_name(name)
    *groups, last = name.split(":")
    file = folder_of(source, folder).joinpath(*groups, f"{last}{_ENDING}")
    if source == "project" and not _inside(file, folder):
        raise _link_out(file, name, "the project")
    return file


def find(folder: Path) -> Found:
    """Return the commands of a project's folder and of the user, by their names alone.

    Args:
        folder: The project's folder.
    """
    problems: list[CommandError] = []
    project = {place.name: place for place in _places("project", folder, problems)}
    user = {place.name: place for place in _places("user", folder, problems)}
    hidden = tuple(place for name, place in sorted(user.items()) if name in project)
    return Found(dict(sorted((user | project).items())), hidden, tuple(problems))


def named(text: str, found: Found) -> tuple[Place, str] | None:
    """Return the command that a text begins with, and its arguments; None where there is no such command.

    Args:
        text: What was typed, such as `/review main`.
        found: The commands that there are.

    Raises:
        CommandError: A file has that name, and is no command.
    """
    if not text.startswith("/"):
        return None
    words = text[1:].split(None, 1)
    if not words or text[1:2].isspace():
        return None
    place = found.places.get(words[0])
    if place is not None:
        return place, words[1].strip() if len(words) > 1 else ""
    for problem in found.problems:
        if isinstance(problem, _Refused) and problem.name == words[0]:
            raise problem
    return None


def check_name(name: str) -> None:
    """Return when a command may be called so.

    Raises:
        CommandError: It may not.
    """
    _check_parts(name.split(":"))
    if f"/{name}" in _built_in():
        raise CommandError(
            f"/{name} is part of the shell, and cannot be replaced.", hint="Choose another name."
        )


def _check_parts(parts: Sequence[str]) -> None:
    name = ":".join(parts)
    if len(parts) > _DEEPEST + 1 or not all(_PART.fullmatch(part) for part in parts):
        raise CommandError(
            f"{display_name(name)} is no name for a command.",
            hint="Names have letters, digits, - and _, and begin with a letter or digit; "
            f"folders above it, {_DEEPEST} at most, as in git:review.",
        )
    if display_name(name) != name:
        raise CommandError(
            f"{display_name(name)} is no name for a command: it has letters that only look like others.",
            hint="Type it anew.",
        )


class _Refused(CommandError):
    """A file that would be a command, if something were otherwise."""

    def __init__(self, name: str, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.name = name


def _built_in() -> set[str]:
    from llmasos.shell.commands import COMMANDS

    return {*COMMANDS, "/quit", "/exit"}


def _places(source: Source, folder: Path, problems: list[CommandError]) -> Iterator[Place]:
    """Yield the commands of one of both folders, in order; what is none goes to `problems`."""
    top = folder_of(source, folder)
    if source == "project" and not _inside(top, folder):
        problems.append(_link_out(top, "", "the project"))
        return
    count = 0
    for file, parts in _files(top, source, problems):
        name = ":".join(parts)
        count += 1
        if count > _MOST:
            problems.append(
                CommandError(f"{top} has more than {_MOST} commands.", hint="The rest are left out.")
            )
            return
        if file.is_symlink() and source == "project" and not _inside(file, top):
            problems.append(_link_out(file, name, "the folder of commands"))
            continue
        try:
            _check_parts(parts)
            check_name(name)
        except CommandError as error:
            shown = display_name(str(file))
            problems.append(_Refused(name, f"{shown}: {error.message}", hint=error.hint))
            continue
        yield Place(name, file, source)


def _files(
    top: Path, source: Source, problems: list[CommandError], above: tuple[str, ...] = ()
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield the files below a folder that end like commands, each with the parts of its name."""
    try:
        with os.scandir(top) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        problems.append(
            CommandError(
                f"Cannot read {display_name(str(top))}: {error.strerror}.", hint="Look at its rights."
            )
        )
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=source == "user"):
            if len(above) < _DEEPEST:
                yield from _files(Path(entry.path), source, problems, (*above, entry.name))
        elif entry.name.endswith(_ENDING):
            yield Path(entry.path), (*above, entry.name.removesuffix(_ENDING))


def _inside(path: Path, folder: Path) -> bool:
    """Tell whether a path lies in a folder, wherever links lead."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _link_out(path: Path, name: str, whence: str) -> CommandError:
    return _Refused(
        name,
        f"{display_name(str(path))} is a link, or lies behind one, that leads out of {whence}.",
        hint="Put the text itself there.",
    )
