"""The commands on sessions that are there: named, and gone on with from a turn."""

from __future__ import annotations

from typing import Annotated

import typer

from llmasos.shell.ask import in_session
from llmasos.shell.changes import Session
from llmasos.shell.output import say


def rename(
    session: Session, title: Annotated[str, typer.Argument(help="What it is called in lists.")]
) -> None:
    """Give a session a name."""
    info = in_session(session, lambda it: it.rename(title))
    say(f"{info.id}  {info.title}")


def fork(
    session: Session,
    turn: Annotated[
        str,
        typer.Option("--turn", metavar="TURN", help="Its number, from 1, or its id; the newest by default."),
    ] = "",
) -> None:
    """Begin a session that goes on from a turn of another one.

    It has the conversation up to there, the folder and the options. Changes
    that were not written come along from the newest turn.
    """
    made = in_session(session, lambda it: it.fork(turn))
    say(f"{made.id}: go on with `llmasos --resume {made.id}`.")


COMMANDS = (rename, fork)
