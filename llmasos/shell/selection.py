"""Which records a command of `llmasos ledger` is about: its options, and the filter that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llmasos.api import RecordFilter

What = Annotated[
    str, typer.Argument(metavar="ACTION", help="An action such as a-d3c29fb6056b, or a record's number.")
]
Session = Annotated[str, typer.Option("--session", help="Only this session.")]
Action = Annotated[str, typer.Option("--action", help="Only this action.")]
Tool = Annotated[str, typer.Option("--tool", help="Only this tool.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="KIND", help="Only this kind, such as outcome; repeatable."),
]
Since = Annotated[str, typer.Option("--since", help="Only from then on: 2h, yesterday, 2026-11-24.")]
Until = Annotated[str, typer.Option("--until", help="Only before that.")]


def chosen(
    session: str = "",
    action: str = "",
    tool: str = "",
    kinds: list[str] | None = None,
    since: str = "",
    until: str = "",
) -> RecordFilter:
    """Return the filter that options make."""
    from llmasos.api import RecordFilter
    from llmasos.shell.times import parse_time

    return RecordFilter(
        session=session,
        action=action,
        tool=tool,
        kinds=tuple(kinds or ()),
        since=parse_time(since),
        until=parse_time(until),
    )
