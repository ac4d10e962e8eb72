"""One command of one's own: what its file says."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmasos.display import display_name
from llmasos.shell.own.errors import CommandError
from llmasos.shell.own.files import Place, Source
from llmasos.shell.own.front import split_front

LARGEST = 64_000  # bytes


@dataclass(frozen=True)
class OwnCommand:
    """A command of one's own.

    Args:
        name: As it is typed after the slash.
        file: Where it was read.
        source: Whose it is.
        text: The whole file, front matter and body.
        body: The request, with places for arguments.
        sha256: The digest of the file's bytes.
        description: What it does, in a line.
        argument_hint: What its arguments are, in a line.
        model: The model that it is for, or empty.
        dry_run: Show the diff, and drop the changes at the end.
        max_steps: Requests to the model at most.
        timeout: Seconds at most.
    """

    name: str
    file: Path
    source: Source
    text: str
    body: str
    sha256: str
    description: str = ""
    argument_hint: str = ""
    model: str = ""
    dry_run: bool = False
    max_steps: int | None = None
    timeout: float | None = None

    @property
    def usage(self) -> str:
        """What is typed, such as `/review <branch>`."""
        return f"/{self.name} {self.argument_hint}".rstrip()


def read(place: Place) -> OwnCommand:
    """Return the command that a file holds.

    Raises:
        CommandError: The file cannot be read, or is no command; the message names it, and what is wrong.
    """
    data = _bytes(place.file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(place.file, f"it is not UTF-8, at byte {error.start}", "Save it as UTF-8.") from error
    if "\0" in text:
        raise _wrong(place.file, "it is not text", "Write a request in it, as Markdown.")
    text = text.replace("\r\n", "\n")
    try:
        values, body = split_front(text)
        fields = _fields(values)
    except ValueError as error:
        raise _wrong(place.file, str(error), f"Keys are {', '.join(_KEYS)}; a line each.") from error
    body = body.strip()
    if not body:
        raise _wrong(place.file, "there is no request in it", "Write below the front matter what is wanted.")
    digest = hashlib.sha256(data).hexdigest()
    return OwnCommand(place.name, place.file, place.source, text, body, digest, **fields)


def _fields(values: Mapping[str, str]) -> dict[str, Any]:
    """Return what a front matter says.

    Raises:
        ValueError: It says what nobody would honour; the message names the key.
    """
    fields: dict[str, Any] = {}
    for key, value in values.items():
        if key not in _KEYS:
            raise ValueError(f"the key {key} is not known")
        fields[key.replace("-", "_")] = _KEYS[key](key, value)
    return fields


def _text(_key: str, value: str) -> str:
    return value


def _switch(key: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError(f"{key} is true or false, not {value!r}")
    return value == "true"


def _count(key: str, value: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", value):
        raise ValueError(f"{key} is a number from 1, not {value!r}")
    return int(value)


def _seconds(key: str, value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value) or float(value) == 0:
        raise ValueError(f"{key} is a number of seconds, not {value!r}")
    return float(value)


_KEYS: Mapping[str, Callable[[str, str], Any]] = {
    "description": _text,
    "argument-hint": _text,
    "model": _text,
    "dry-run": _switch,
    "max-steps": _count,
    "timeout": _seconds,
}
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def _bytes(file: Path) -> bytes:
    """Return what a file holds; nothing else is read, and nothing is waited for."""
    try:
        descriptor = os.open(os.path.realpath(file), _FLAGS)
    except OSError as error:
        raise _wrong(file, (error.strerror or "it cannot be opened").lower(), "Look at the file.") from error
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _wrong(file, "it is no file", "A command is a Markdown file.")
        data = opened.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise _wrong(
            file,
            f"it has more than {LARGEST // 1000} KB",
            "Put what is long into a file of its own, and name it with @FILE.",
        )
    return data


def _wrong(file: Path, what: str, hint: str) -> CommandError:
    return CommandError(f"{display_name(str(file))} is no command: {what}.", hint=hint)
