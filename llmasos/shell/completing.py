"""Completion of the command line, for bash, zsh and fish."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from llmasos import paths
from llmasos.display import display
from llmasos.shell.help import said_of
from llmasos.shell.words import fit

# Whoever presses a key does not wait, and what must be quoted is left to the person.
_SECONDS = 0.3
_WORD = re.compile(r"[\w./:@%+,=-]+")
_LONGEST_HELP = 60


def completions(words: Sequence[str], incomplete: str) -> list[tuple[str, str]]:
    """Return what may come next on the command line of `llmasos`, each with what it is.

    Args:
        words: The words after the program's name, without the last one.
        incomplete: The last one, as far as it was typed.
    """
    from click.shell_completion import ShellComplete

    from llmasos.shell.cli import command_line

    found = ShellComplete(command_line(), {}, "llmasos", "").get_completions(list(words), incomplete)
    # Files are left to the shell.
    plain = [item for item in found if item.type == "plain" and _WORD.fullmatch(str(item.value))]
    return [(str(item.value), fit(display(said_of(item.help or "")), _LONGEST_HELP)) for item in plain]


def sessions(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the ids of the newest sessions, with their titles, if a kernel runs."""
    return _named("/v1/sessions", "id", "title", incomplete)


def models(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the names of the models, if a kernel runs."""
    return _named("/v1/kernel/models", "name", "title", incomplete)


def tools(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the names of the tools, if a kernel runs."""
    return _named("/v1/tools", "name", "description", incomplete)


def _named(path: str, name: str, about: str, incomplete: str) -> Iterator[tuple[str, str]]:
    for item in _get(path):
        if isinstance(item, dict) and str(item.get(name, "")).startswith(incomplete):
            yield str(item[name]), str(item.get(about, ""))


def _get(path: str) -> list[Any]:
    """Return a list that the kernel answers with; an empty one where none answers at once.

    The client takes longer to be imported than a person waits for a completion.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(str(paths.kernel_socket()))
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: kernel\r\n\r\n".encode())
            data = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = data.partition(b"\r\n\r\n")
        found = json.loads(body) if head.split(b" ", 2)[1:2] == [b"200"] else []
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []
