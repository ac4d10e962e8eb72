"""Asking a person for an approval: what would happen, where its values come from, and the choices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.text import Text

from llmasos.decisions import ArgumentOrigin, Decision, Span
from llmasos.display import display, display_name
from llmasos.flips import otherwise
from llmasos.language import translated
from llmasos.shell.diffs import coloured_diff
from llmasos.shell.output import say
from llmasos.shell.render import make_console

if TYPE_CHECKING:
    from rich.console import Console

    from llmasos.api import WantedApproval
    from llmasos.events import ApprovalRequested
    from llmasos.shell.repl import Shell

# A request has to fit on a few screens, whatever the model makes it of; what is left out is told.
_MOST_LINES = 60
_MOST_LETTERS = 6_000
_MOST_ITEMS = 12
_FEW_LINES = 4
_LONGEST_SPAN = 100
_ANSWERS = ("", "y", "yes", "a", "always", "e", "edit", "n", "no", "w", "why")
_FOUND = {
    "listing": "the name of a file",
    "file": "found in the file {}",
    "output": "printed by {}",
    "web": "found on the page {}",
    "mcp": "sent by the server {}",
    "tool": "returned by {}",
    "attachment": "found in the attachment {}",
}


async def ask_for(shell: Shell, request: ApprovalRequested) -> dict[str, Any]:
    """Show a request to the person, and return their answer, as `AsyncSession.answer` takes it."""
    show_request(make_console(), request)
    always = " / [a]lways for this" if request.pattern else ""
    question = f"Allow it? [y]es, once{always} / [e]dit / [N]o / [w] no, and say why "
    while (answer := await shell.ask(question)) not in _ANSWERS:
        say("That is no answer. Enter or n refuses; what you want done next can be said afterwards.")
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
    return {"approve": approve, **more}


def show_request(console: Console, request: ApprovalRequested) -> None:
    """Write what a call would do, and why a person is asked."""
    console.print(
        Text.assemble(
            (display(request.tool), "bold"),
            translated(" asks for your approval: "),
            (display_name(translated(request.reason)), "yellow"),
        )
    )
    _show_arguments(console, request.arguments)
    diff, more = _cut(request.preview.removesuffix("\n"), _MOST_LINES)
    for line in coloured_diff(diff):
        console.print(Text("  ").append_text(line))
    if more:
        console.print(Text(f"  {translated(more)}", style="dim"))
    if request.hosts:
        console.print(Text(translated(f"  reaches {display_name(_listed(request.hosts))}")))
    console.print(Text(translated(f"  takes {_forecast(request)}"), style="dim"))
    for found in origin_lines(request.origins):
        console.print(Text(f"  {found}", style="yellow"))
    if request.decision is not None:
        for flip in flip_lines(request.decision):
            console.print(Text(f"  {flip}", style="dim"))
    if request.pattern:
        console.print(Text(translated(f"  “always” would allow: {display(request.pattern)}"), style="dim"))


def show_wanted(console: Console, wanted: WantedApproval) -> None:
    """Write a call that nobody was there to approve, and how it is approved beforehand."""
    console.print(
        Text.assemble(
            (display(wanted.tool), "bold"),
            translated(" was refused: "),
            display_name(translated(wanted.reason)),
        )
    )
    _show_arguments(console, wanted.arguments)
    beforehand = translated(f"  Approve it beforehand, once, with: --approve {wanted.digest}")
    console.print(Text(beforehand, style="yellow"))


def origin_lines(origins: tuple[ArgumentOrigin, ...]) -> list[str]:
    """Return lines about what others may have written in the arguments, one of each argument first."""
    found: dict[str, dict[str, None]] = {}
    for origin in origins:
        for span in origin.spans:
            if not span.source.trusted:
                line = f"{_name(origin.argument)}: {translated(_span(span))}"
                found.setdefault(origin.argument.partition(".")[0], {})[line] = None
    lines = [line for row in zip_longest(*found.values()) for line in row if line is not None]
    return lines[:_MOST_ITEMS] + _left_out(len(lines) - _MOST_ITEMS, "value")


def flip_lines(decision: Decision) -> list[str]:
    """Return what would have decided otherwise, a line each."""
    told = [otherwise(flip.facts, flip.verdict, translated) for flip in decision.flips[:3]]
    return [translated(f"It would be {display(one)}.") for one in told]


def _span(span: Span) -> str:
    name = display_name(_short(span.source.name)) or "somewhere unknown"
    where = _FOUND.get(span.source.kind, "from {}").format(name)
    return f"“{_seen(_short(span.text))}” was {where}" + (", encoded" if span.how == "decoded" else "")


def _show_arguments(console: Console, arguments: Mapping[str, Any]) -> None:
    texts = {name: str(value) for name, value in arguments.items()}
    long = sum(
        text.count("\n") >= _FEW_LINES or len(text) > _MOST_LETTERS // _MOST_ITEMS for text in texts.values()
    )
    for name, text in list(texts.items())[:_MOST_ITEMS]:
        # Lines of the model's own are set in, so that none can pass for a line of the shell.
        shown, more = _cut(text, max(_FEW_LINES, _MOST_LINES // max(1, long)))
        lines = [
            _seen(shown, keep_newlines=True).replace("\n", "\n    "),
            *([translated(more)] if more else []),
        ]
        console.print(Text(f"  {_name(name)} = " + "\n    ".join(lines)))
    for line in _left_out(len(texts) - _MOST_ITEMS, "argument"):
        console.print(Text(f"  {line}"))


def _cut(text: str, most: int) -> tuple[str, str]:
    """Return the first lines of a text, and in words how much more there is."""
    lines = text.split("\n")
    shown = "\n".join(lines[:most])
    room = _MOST_LETTERS * most // _MOST_LINES
    if len(shown) > room:
        return shown[:room], f"… {len(text) - room:,} more characters"
    return shown, "".join(_left_out(len(lines) - most, "line"))


def _left_out(number: int, noun: str) -> list[str]:
    return [translated(f"… {number:,} more {noun}{'s' if number > 1 else ''}")] if number > 0 else []


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - _MOST_ITEMS:,} more" if len(items) > _MOST_ITEMS else ""
    return ", ".join(map(_short, items[:_MOST_ITEMS])) + more


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SPAN else f"{text[:_LONGEST_SPAN]}…"


def _seen(text: str, *, keep_newlines: bool = False) -> str:
    """Return text as a person may see it; a path or an address may pretend to be another one."""
    return display(text, keep_newlines=keep_newlines) if re.search(r"\s", text) else display_name(text)


def _name(argument: str) -> str:
    return display(_short(argument))


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
