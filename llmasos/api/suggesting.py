"""Suggestions on the wire: a sentence becomes a command line for a person's shell, which nobody runs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from llmasos.api.wire import Wire

ShellName = Literal["bash", "zsh", "fish"]


class SuggestRequest(Wire):
    """What a command line is wanted for; nothing else of the person's machine is told.

    Args:
        sentence: What it should do.
        shell: The shell that it is for.
        system: The operating system.
        last_command: The command line before it; its secrets are taken out.
        exit_code: What that one ended with.
        model: The model that is asked, or empty for the default one.
    """

    sentence: str = Field(min_length=1, max_length=2000)
    shell: ShellName = "bash"
    system: str = Field("Linux", max_length=100)
    last_command: str = Field("", max_length=8000)
    exit_code: int = 0
    model: str = ""


class Suggestion(Wire):
    """A command line, on one line and without characters that nobody sees.

    Args:
        command: The command line.
        model: The model that wrote it.
        effects: What it would do beyond reading, in words, as far as its text tells.
    """

    command: str
    model: str
    effects: tuple[str, ...] = ()
