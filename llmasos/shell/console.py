"""`llmasos console`: a link that opens the kernel's web page."""

from __future__ import annotations

import html
import os
import sys
from typing import Annotated

import typer

from llmasos import paths
from llmasos.shell.ask import ask
from llmasos.shell.output import say


def console(
    key: Annotated[
        str,
        typer.Option("--key", metavar="KEY", help="Let in as this key of `llmasos keys`, such as k-1f2e3d."),
    ] = "",
    only_print: Annotated[bool, typer.Option("--print", help="Print the link, and open no browser.")] = False,
) -> None:
    """Print a link that opens the kernel's web page.

    Where there is a desktop, its browser opens it. The link works once, within five minutes. The page is
    there with `llmasos serve --console`, or LLMASOS_SERVICE__CONSOLE=true.
    """
    link = ask(lambda client: client.console_link(key))
    say(link.url)
    if not only_print and _has_desktop():
        _open(link.url)


def _has_desktop() -> bool:
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(url: str) -> None:
    """Open a link in the browser by way of a private file: all users see the arguments of programs."""
    import webbrowser

    file = paths.runtime_dir() / "console.html"
    leads = f'<meta http-equiv="refresh" content="0; url={html.escape(url)}">'
    paths.write_whole(file, f"<!doctype html><title>LLMasOS</title>{leads}")
    webbrowser.open(file.as_uri())
