"""Asking a person for an approval: what would happen, where its values come from, and the choices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from llmasos.decisions import ArgumentOrigin, Decision, Flip, Span
from llmasos.errors import LLMasOSError
from llmasos.events import display
from llmasos.shell.render import coloured_diff, make_console, print_error

if TYPE_CHECKING:
    from rich.console import Console

    from llmasos.api import WantedApproval
    from llmasos.client import AsyncSession
    from llmasos.events import ApprovalRequested
    from llmasos.shell.repl import Shell

_MOST_LINES = 60
_LONGEST_SPAN = 100
_FOUND = {
    "listing": "the name of a file",
    "file": "found in the file {}",
    "output": "printed by {}",
    "web": "found on the page {}",
    "mcp": "sent by the server {}",
    "tool": "returned by {}",
    "attachment": "found in the attachment {}",
}


async def answer_request(shell: Shell, session: AsyncSession, request: ApprovalRequested) -> None:
    """Show a request to the person, and send their answer."""
    show_request(make_console(), request)
    always = " / [a]lways for this" if request.pattern else ""
    answer = await shell.ask(f"Allow it? [y]es, once{always} / [e]dit / [N]o / [w] no, and say why ")
    more: dict[str, Any] = {}
    if answer in ("a", "always") and request.pattern:
        more["always"] = True
    elif answer in ("e", "edit"):
        edited = await _edited(shell, request.arguments)
        if edited is None:
            answer = "n"
        else:
            more["arguments"] = edited
    elif answer in ("w", "why"):
        more["why"] = await shell.ask("Tell the model why: ", lower=False)
    approve = bool(more.get("always") or "arguments" in more) or answer in ("y", "yes")
    try:
        await session.answer(request.action, request.digest, approve=approve, **more)
    except LLMasOSError as error:
        # It has expired meanwhile; the turn goes on.
        print_error(error)


def show_request(console: Console, request: ApprovalRequested) -> None:
    """Write what a call would do, and why a person is asked."""
    console.print(
        Text.assemble(
            (display(request.tool), "bold"), " asks for your approval: ", (display(request.reason), "yellow")
        )
    )
    _show_arguments(console, request.arguments)
    for line in coloured_diff(request.preview)[:_MOST_LINES]:
        console.print(Text("  ").append_text(line))
    if request.hosts:
        console.print(Text(f"  reaches {display(', '.join(request.hosts))}"))
    console.print(Text(f"  takes {_forecast(request)}", style="dim"))
    for found in origin_lines(request.origins):
        console.print(Text(f"  {found}", style="yellow"))
    if request.decision is not None:
        for flip in flip_lines(request.decision):
            console.print(Text(f"  {flip}", style="dim"))
    if request.pattern:
        console.print(Text(f"  “always” would allow: {display(request.pattern)}", style="dim"))


def show_wanted(console: Console, wanted: WantedApproval) -> None:
    """Write a call that nobody was there to approve, and how it is approved beforehand."""
    console.print(Text.assemble((display(wanted.tool), "bold"), f" was refused: {display(wanted.reason)}"))
    _show_arguments(console, wanted.arguments)
    console.print(Text(f"  Approve it beforehand, once, with: --approve {wanted.digest}", style="yellow"))


def origin_lines(origins: tuple[ArgumentOrigin, ...]) -> list[str]:
    """Return a line for each piece of an argument that somebody else may have written."""
    lines = [
        f"{display(origin.argument)}: {_span(span)}"
        for origin in origins
        for span in origin.spans
        if not span.source.trusted
    ]
    return list(dict.fromkeys(lines))


def flip_lines(decision: Decision) -> list[str]:
    """Return what would have decided otherwise, a line each."""
    return [f"It would be {_VERBS[flip.verdict]} if {_changes(flip)}." for flip in decision.flips[:3]]


_HARMLESS = {
    "copied": "nothing of it were copied from others' text",
    "sinks": "what directs it came from nobody else",
    "identifiers": "it named nothing that only others wrote",
    "untrusted": "the model had read nothing that others may have written",
    "carries": "it handed on nothing that you did not name",
    "gains": "the program would do no more than before",
    "ungiven": "you had named all that it reaches or changes",
    "disguised": "no path looked like another one",
    "dynamic": "all of it could be known beforehand",
    "secrets": "it held nothing like a secret",
    "outside": "it stayed in the folder",
    "hosts": "it reached no host",
    "plugin": "the tool were one of ours",
    "writes": "it wrote nothing there",
}
_VERBS = {"allow": "allowed", "ask": "asked about", "deny": "denied"}


def _span(span: Span) -> str:
    text = display(span.text if len(span.text) <= _LONGEST_SPAN else f"{span.text[:_LONGEST_SPAN]}…")
    where = _FOUND.get(span.source.kind, "from {}").format(display(span.source.name) or "somewhere unknown")
    return f"“{text}” was {where}" + (", encoded" if span.how == "decoded" else "")


def _changes(flip: Flip) -> str:
    """Return what would have to be different, in words where a fact would have its harmless value."""
    return " and ".join(
        _HARMLESS[name]
        if name in _HARMLESS and value in ([], False)
        else f"{display(name)} were {display(json.dumps(value, ensure_ascii=False))}"
        for name, value in flip.facts.items()
    )


def _show_arguments(console: Console, arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        # Lines of the model's own are set in, so that none can pass for a line of the shell.
        lines = display(str(value), keep_newlines=True).split("\n")
        shown = "\n    ".join(lines[:_MOST_LINES])
        more = f"\n    … {len(lines) - _MOST_LINES} more lines" if len(lines) > _MOST_LINES else ""
        console.print(Text(f"  {display(name)} = {shown}{more}"))


def _forecast(request: ApprovalRequested) -> str:
    tokens = f", about {request.forecast.tokens:,} tokens" if request.forecast.tokens else ""
    return f"at most {request.forecast.seconds:g} s{tokens}"


async def _edited(shell: Shell, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments as the person changed them; None when they gave up."""
    edited = dict(arguments)
    for name, value in arguments.items():
        if isinstance(value, str):
            text = await shell.edit(f"{display(name)} = ", value)
            if text is None:
                return None
            edited[name] = text
    return edited
