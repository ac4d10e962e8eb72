"""The request that a command becomes with its arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from llmasos.shell.own.command import OwnCommand
from llmasos.shell.own.errors import CommandError

# Letters of other scripts may follow at once: there are no spaces between words in Chinese.
_PLACE = re.compile(
    r"\\?\$(?:(?P<bare>ARGUMENTS(?![A-Za-z0-9_])|[1-9](?![0-9]))"
    r"|\{(?P<braced>ARGUMENTS|[1-9])(?::-(?P<default>[^{}\n]*))?\})"
)


def expand(command: OwnCommand, arguments: str | Sequence[str]) -> str:
    """Return the request of a command, with its arguments where it wants them.

    `$ARGUMENTS` is all that was typed, `$1` to `$9` are single words, `${1:-main}` has what it is without
    one, and `\\$1` stays `$1`.

    Args:
        command: The command.
        arguments: What was typed after its name, with quotes around words that have spaces; or the words.

    Raises:
        CommandError: Arguments are missing, or there are more than it takes.
    """
    places = [found for found in _PLACE.finditer(command.body) if not found[0].startswith("\\")]
    names = {_name(found) for found in places}
    whole = arguments.strip() if isinstance(arguments, str) else " ".join(arguments)
    words = words_of(command, arguments) if names - {"ARGUMENTS"} else []
    most = max((int(name) for name in names - {"ARGUMENTS"}), default=0)
    if "ARGUMENTS" not in names and (len(words) > most or (whole and not most)):
        takes = f"{most} argument{'s' if most > 1 else ''} at most" if most else "no arguments"
        raise CommandError(
            f"/{command.name} takes {takes}.",
            hint=f"Type {command.usage}; quote an argument that has spaces.",
        )

    def put(found: re.Match[str]) -> str:
        if found[0].startswith("\\"):
            return found[0][1:]
        name = _name(found)
        given = whole if name == "ARGUMENTS" else words[int(name) - 1] if int(name) <= len(words) else ""
        if given or found["default"] is not None:
            return given or found["default"]
        missing = "arguments" if name == "ARGUMENTS" else f"argument {name}"
        raise CommandError(
            f"/{command.name} is missing its {missing}.",
            hint=f"Type {command.usage}."
            if command.argument_hint
            else f"`llmasos commands show {command.name}` shows what it makes of them.",
        )

    return _PLACE.sub(put, command.body)


def _name(found: re.Match[str]) -> str:
    return found["bare"] or found["braced"]


def words_of(command: OwnCommand, arguments: str | Sequence[str]) -> list[str]:
    """Return the single words of what was typed after a command's name.

    Raises:
        CommandError: A quote is not closed.
    """
    if not isinstance(arguments, str):
        return list(arguments)
    try:
        return shlex.split(arguments)
    except ValueError as error:
        raise CommandError(
            f"The arguments of /{command.name} cannot be read: a quote is not closed.",
            hint='Quote an argument that has spaces, and an apostrophe with ": "what\'s new".',
        ) from error
