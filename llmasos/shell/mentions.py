"""Files that a request names after an @."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmasos.shell.repl import Shell

_FILE = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|(\S+))')


def without_signs(shell: Shell, text: str) -> str:
    """Return a request with the names of files as the tools take them; what names no file stays."""

    def name(found: re.Match[str]) -> str:
        path = found[1] or found[2]
        return path if path in shell.changed or _there(shell, path) else found[0]

    return _FILE.sub(name, text)


def _there(shell: Shell, path: str) -> bool:
    try:
        return (shell.folder / path).exists()
    except (OSError, ValueError):
        # No name of a file, or one that this user may not look at.
        return False
