"""`llmasos sandbox`: the image and the tree that sandboxes run on."""

from __future__ import annotations

from typing import Annotated

import typer

from llmasos.shell.modules import run_module

sandbox_app = typer.Typer(
    help="Build, list and remove what sandboxes run on.", rich_markup_mode=None, no_args_is_help=True
)


@sandbox_app.command()
def build(
    again: Annotated[bool, typer.Option("--again", help="Build anew, with today's packages.")] = False,
) -> None:
    """Build what is missing; the first sandbox does so by itself."""
    _run("build", *(["--again"] if again else []))


@sandbox_app.command("list")
def show() -> None:
    """List images and trees: digest, size, age, whether in use."""
    _run("list")


@sandbox_app.command()
def clean(
    everything: Annotated[bool, typer.Option("--all", help="Remove what is up to date, too.")] = False,
) -> None:
    """Remove what is out of date and not in use."""
    _run("clean", *(["--all"] if everything else []))


def _run(*arguments: str) -> None:
    raise typer.Exit(run_module("llmasos.sandbox.image", *arguments))
