"""`llmasos console`: a link, and a browser where there is a desktop."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

import pytest

from llmasos.api.console import ConsoleLink
from llmasos.shell import console
from tests.shell.conftest import Run

URL = "http://127.0.0.1:7717/console/login?token=a&b"


def test_a_console_that_is_off_says_how_it_is_turned_on(run: Run) -> None:
    done = run("console")
    assert done.code == 1 and "The console is off." in done.err and "serve --console" in done.err


@pytest.mark.parametrize(
    ("desktop", "options", "opens"),
    [("DISPLAY", (), True), ("WAYLAND_DISPLAY", (), True), ("DISPLAY", ("--print",), False), ("", (), False)],
)
def test_a_link_is_printed_and_opened_where_there_is_a_desktop(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, desktop: str, options: tuple[str], opens: bool
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if desktop:
        monkeypatch.setenv(desktop, "x")
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(console, "ask", lambda work: ConsoleLink(url=URL, seconds=300))
    done = run("console", *options)
    assert (done.code, done.out) == (0, f"{URL}\n")
    assert len(opened) == opens
    for address in opened:
        # The link itself would be seen by all users, among the arguments of programs.
        assert address.startswith("file://") and "token" not in address
        file = Path(address.removeprefix("file://"))
        assert "token=a&amp;b" in file.read_text() and file.stat().st_mode & 0o077 == 0
