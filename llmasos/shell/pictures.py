"""Pictures in terminals that can show them: the protocols of kitty and of iTerm2."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path

_LARGEST = 4_000_000
_PIECE = 4096
_ITERM = ("iTerm.app", "WezTerm", "vscode")
_MAGIC = b"\x89PNG\r\n\x1a\n"


def protocol(environment: Mapping[str, str] = os.environ) -> str:
    """Return which protocol the terminal has: `kitty`, `iterm`, or none."""
    # What stands between does not pass pictures on.
    if environment.get("TMUX") or environment.get("STY"):
        return ""
    if environment.get("KITTY_WINDOW_ID") or environment.get("TERM") in ("xterm-kitty", "xterm-ghostty"):
        return "kitty"
    return "iterm" if environment.get("TERM_PROGRAM") in _ITERM else ""


def shown(path: Path, kind: str) -> str:
    """Return what has a terminal show a PNG; empty when it cannot be.

    Args:
        path: The file.
        kind: The protocol.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError:
        return ""
    if not data.startswith(_MAGIC) or len(data) > _LARGEST:
        return ""
    text = base64.b64encode(data).decode()
    if kind == "iterm":
        return f"\x1b]1337;File=inline=1;size={len(data)}:{text}\x07\n"
    if kind != "kitty":
        return ""
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    heads = ["a=T,f=100,m=1", *["m=1"] * (len(pieces) - 1)]
    heads[-1] = heads[-1].replace("m=1", "m=0")
    return "".join(f"\x1b_G{head};{piece}\x1b\\" for head, piece in zip(heads, pieces, strict=True)) + "\n"
