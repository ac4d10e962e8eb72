"""Pictures for terminals that can show them, and nothing for others."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from llmasos.shell.pictures import protocol, shown

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, ""),
        ({"TERM": "xterm-256color"}, ""),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM_PROGRAM": "iTerm.app", "TMUX": "/tmp/x"}, ""),
    ],
)
def test_the_protocol_is_the_terminals(environment: dict[str, str], kind: str) -> None:
    assert protocol(environment) == kind


def test_a_picture_is_sent_whole(tmp_path: Path) -> None:
    file = tmp_path / "chart.png"
    file.write_bytes(PNG)
    pieces = shown(file, "kitty").rstrip("\n").removesuffix("\x1b\\").split("\x1b\\")
    assert pieces[0].startswith("\x1b_Ga=T,f=100,m=1;") and pieces[-1].startswith("\x1b_Gm=0;")
    assert base64.b64decode("".join(piece.split(";", 1)[1] for piece in pieces)) == PNG
    assert (
        shown(file, "iterm")
        == f"\x1b]1337;File=inline=1;size={len(PNG)}:{base64.b64encode(PNG).decode()}\x07\n"
    )
    assert shown(file, "") == ""


def test_what_is_no_picture_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x1b]0;title\x07")
    (tmp_path / "big.png").write_bytes(PNG[:8] + bytes(5_000_000))
    for name in ("a.png", "big.png", "nowhere.png"):
        assert shown(tmp_path / name, "kitty") == ""
