"""Which of a project's commands a person has agreed to: their text is sent as if the person had typed it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from llmasos import paths
from llmasos.shell.own.command import OwnCommand
from llmasos.shell.own.errors import NotAgreed

Agreement = Literal["agreed", "new", "changed"]


def agreement(command: OwnCommand) -> Agreement:
    """Return whether a command may be carried out as it is; the user's own always may."""
    if command.source == "user":
        return "agreed"
    try:
        known = _record(command).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return "new"
    return "agreed" if known == command.sha256 else "changed"


def check_agreed(command: OwnCommand) -> None:
    """Return when a command may be carried out as it is.

    Raises:
        NotAgreed: Nobody has agreed to it, or it has changed since.
    """
    state = agreement(command)
    if state != "agreed":
        raise NotAgreed(
            f"/{command.name} comes from the project, and "
            + ("nobody has agreed to it yet." if state == "new" else "has changed since you agreed to it."),
            hint=f"Read it with `llmasos commands show {command.name}`; then agree to it with "
            f"`llmasos commands agree {command.name}`, or for once with --yes.",
        )


def agree(command: OwnCommand) -> None:
    """Remember that the person agrees to a command as it is.

    Raises:
        ConfigError: The folder of data is not this user's.
        OSError: It cannot be written.
    """
    paths.write_whole(_record(command), f"{command.sha256}\n")


def _record(command: OwnCommand) -> Path:
    place = hashlib.sha256(str(command.file.absolute()).encode("utf-8", "surrogateescape")).hexdigest()
    return paths.data_dir() / "agreed-commands" / place
