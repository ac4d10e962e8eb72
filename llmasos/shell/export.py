"""`llmasos export`: a session as Markdown, as a page, or as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmasos.errors import LLMasOSError
from llmasos.shell.ask import in_session
from llmasos.shell.changes import Session
from llmasos.shell.modes import one_of
from llmasos.shell.output import say, say_json, say_text
from llmasos.shell.proofs import Force, free_path, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmasos.api import SessionInfo
    from llmasos.client import AsyncSession
    from llmasos.events import Event

FORMATS = ("md", "html", "json", "jsonl")
_ENDINGS = {**{kind: kind for kind in FORMATS}, "markdown": "md", "htm": "html"}


def export(
    session: Session,
    output: Annotated[str, typer.Option("-o", "--output", help="The file; by default it is printed.")] = "",
    format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="md, html, json, or jsonl: an event a line.")
    ] = "",
    force: Force = False,
) -> None:
    """Write a session for others to read.

    All that was said and done is in it. Without --format the file's name
    tells what is written.
    """
    kind = one_of(format, FORMATS, "--format")
    if output not in ("", "-"):
        free_path(output, force)
        say(in_session(session, lambda it: write_session(it, output, kind, force=force)))
        return
    info, events = in_session(session, _read)
    if kind in ("json", "jsonl"):
        say_json(exported(info, events, kind).removesuffix("\n"))
    else:
        say_text(exported(info, events, kind or "md"), end="")


async def write_session(session: AsyncSession, output: str, kind: str = "", *, force: bool = False) -> str:
    """Write a session into a file, and say that it was done.

    Args:
        session: The session.
        output: The file.
        kind: One of `FORMATS`, or empty for what the file's name tells.
        force: Whether a file that is there is written over.

    Raises:
        LLMasOSError: The name does not tell, or the file is there.
    """
    path = free_path(output, force)
    kind = kind or _of_name(output)
    info, events = await _read(session)
    text = exported(info, events, kind)
    write_whole(path, text)
    return f"Wrote {path}, {len(text.encode()):,} bytes."


async def _read(session: AsyncSession) -> tuple[SessionInfo, list[Event]]:
    return await session.info(), await session.events()


def _of_name(name: str) -> str:
    ending = Path(name).suffix.lower()
    kind = _ENDINGS.get(ending.removeprefix(".")) if ending else "md"
    if kind is None:
        raise LLMasOSError(
            f"{Path(name).name} ends in none of .md, .html, .json and .jsonl.",
            hint="What is written goes by the name's ending; or say it with --format.",
        )
    return kind


def exported(info: SessionInfo, events: Sequence[Event], kind: str) -> str:
    """Return a session as text.

    Args:
        info: The session.
        events: Its stored events.
        kind: One of `FORMATS`: `json` is one object with what is known of the session and its events, `jsonl`
            the events alone; in both each has a line of its own, exactly as it is stored.
    """
    if kind in ("json", "jsonl"):
        lines = [event.model_dump_json() for event in events]
        if kind == "jsonl":
            return "".join(f"{line}\n" for line in lines)
        return "".join(
            ('{"session": ', info.model_dump_json(), ',\n"events": [\n', ",\n".join(lines), "\n]}\n")
        )
    from llmasos.shell.export_html import page
    from llmasos.shell.export_markdown import markdown
    from llmasos.story import Story

    return page(info, Story(events)) if kind == "html" else markdown(info, Story(events))
