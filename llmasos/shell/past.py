"""The commands on sessions that are there: found, named, and gone on with from a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from llmasos.shell.ask import ask, in_session
from llmasos.shell.changes import Session
from llmasos.shell.output import say, say_found
from llmasos.shell.proofs import AsJson
from llmasos.shell.words import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmasos.api import Compacted, SearchHit


HIT_INDENT = 6


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="They all have to stand there.")],
    limit: Annotated[int, typer.Option(min=1, max=200, help="Places at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Find words in past sessions.

    They are looked for in requests, answers, calls and results, in any script.
    """
    found = ask(lambda client: client.search(" ".join(words), limit))
    say_found(found, as_json, hit_lines, indent=HIT_INDENT)


def hit_lines(found: list[SearchHit]) -> Iterator[str]:
    """Yield two lines for each place: where it is, and what stands there."""
    for hit in found:
        when = hit.at.astimezone().strftime("%Y-%m-%d %H:%M")
        yield f"{hit.session}  turn {hit.number}  {when}  {hit.title}"
        yield f"    {hit.kind}: {hit.snippet}"
    if not found:
        yield "Nothing was found."


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
    """Begin a session that goes on from a turn of another.

    It has the conversation up to there, the folder and the options. Changes
    that were not written come along from the newest turn.
    """
    made = in_session(session, lambda it: it.fork(turn))
    say(f"{made.id}: go on with `llmasos --resume {made.id}`.")


def compact(
    session: Session,
    keep: Annotated[int, typer.Option(min=0, help="How many of the newest turns stay whole.")] = 2,
) -> None:
    """Have the model told older turns in short.

    What was said in them stays, word for word; results of calls are left out.
    """
    say(compacted_line(in_session(session, lambda it: it.compact(keep))))


def compacted_line(done: Compacted) -> str:
    """Return what became of a conversation, in a line."""
    if not done.turns:
        return "There is nothing to compact."
    return f"Compacted {count(done.turns, 'turn')} to {done.characters:,} characters."


COMMANDS = (search, rename, fork, compact)
