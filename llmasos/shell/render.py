"""Events as lines on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from llmasos.api import Diff
from llmasos.display import Stream, display, display_name
from llmasos.events import (
    ActionFinished,
    ActionOutput,
    ActionStarted,
    ArtifactKept,
    AssistantText,
    Event,
    Notice,
    Progress,
    TextDelta,
    TurnFinished,
    Usage,
)
from llmasos.shell import pictures
from llmasos.shell.words import fit

_SHOWN_LINES = 15
_MARKS = {
    "ok": ("✓", "green"),
    "denied": ("⊘", "yellow"),
    "cancelled": ("■", "yellow"),
    "unknown": ("?", "yellow"),
}
_KINDS = {
    "added": ("added  ", "green"),
    "changed": ("changed", "yellow"),
    "deleted": ("deleted", "red"),
    "renamed": ("renamed", "cyan"),
}


def make_console(*, stderr: bool = False) -> Console:
    """Return a console for this terminal; colours are off when piped or when NO_COLOR is set."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


class Renderer:
    """Writes a turn's events as they come.

    Args:
        console: Where to write.
        text: Whether the model's text is shown; scripts get it as the answer instead.
    """

    def __init__(self, console: Console, *, text: bool = True) -> None:
        self._console = console
        self._text = text
        self._streaming = False
        self._streamed = ""
        self._shown = Stream()
        self._progress = False
        self._output_lines: dict[str, int] = {}
        self._outputs: dict[str, Stream] = {}
        self._at_line_start = True

    def show(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, Progress):
            self._show_progress(event)
            return
        self._clear_progress()
        match event:
            case TextDelta():
                if self._text:
                    self._streaming = True
                    self._streamed += event.text
                    self._console.out(self._shown.show(event.text), end="", highlight=False)
            case AssistantText():
                self.end_line()
                self._show_missed(event.text)
            case ActionStarted():
                self.end_line()
                tool = (display(event.tool), "bold")
                self._console.print(Text.assemble(("●", "cyan"), " ", tool, (_arguments(event), "dim")))
                self._show_block(event.arguments)
            case ActionOutput():
                self._show_output(event)
            case ActionFinished():
                self.end_line()
                self._show_finished(event)
            case ArtifactKept():
                self.end_line()
                facts = (f" · {event.size:,} bytes · {display_name(event.path)}", "dim")
                self._console.print(Text.assemble(("▣", "cyan"), " ", display_name(event.name), facts))
                if self._console.is_terminal and event.media_type == "image/png":
                    self._console.file.write(pictures.shown(Path(event.path), pictures.protocol()))
            case Notice():
                self.end_line()
                style = {"info": "dim", "warning": "yellow", "error": "red"}[event.level]
                self._console.print(_set_in(event.text, style))
            case TurnFinished():
                self.end_line()
                self._show_end(event)

    def say(self, what: str) -> None:
        """Write in passing what is under way before there are events."""
        self._show_progress(Progress(what=what))

    def end_line(self) -> None:
        """Finish a line that text or output has left open."""
        if rest := self._shown.end():
            self._console.out(rest, end="", highlight=False)
        self._shown = Stream()
        if self._streaming or not self._at_line_start:
            self._console.print()
        self._streaming = False
        self._at_line_start = True

    def _show_missed(self, text: str) -> None:
        # Streamed pieces are not kept for who joins late; the whole text is.
        if self._text and text.strip() not in self._streamed:
            self._console.print(Text(display(text.strip(), keep_newlines=True)))
        self._streamed = ""

    def _show_block(self, arguments: dict[str, Any]) -> None:
        for name, value in arguments.items():
            if isinstance(value, str) and "\n" in value.strip("\n"):
                lines = display(value.strip("\n"), keep_newlines=True).split("\n")
                # Set in, so that none can pass for a line of the shell.
                shown = "\n".join(f"  {line}" for line in lines[:_SHOWN_LINES])
                if name == "code":
                    self._console.print(
                        Syntax(shown, "python", theme="ansi_dark", background_color="default")
                    )
                else:
                    self._console.print(Text(shown, style="dim"))
                if len(lines) > _SHOWN_LINES:
                    self._console.print(f"… {len(lines) - _SHOWN_LINES} more lines", style="dim")

    def _show_output(self, event: ActionOutput) -> None:
        seen = self._output_lines.get(event.action, 0)
        shown = self._outputs.setdefault(event.action, Stream()).show(event.text)
        for piece in shown.splitlines(keepends=True):
            if seen < _SHOWN_LINES:
                if self._at_line_start:
                    self._console.print("│ ", style="dim", end="")
                self._console.print(
                    Text(piece.rstrip("\n"), style="dim"), end="\n" if piece.endswith("\n") else ""
                )
                self._at_line_start = piece.endswith("\n")
            seen += piece.endswith("\n")
        self._output_lines[event.action] = seen

    def _show_finished(self, event: ActionFinished) -> None:
        if rest := self._outputs.pop(event.action, Stream()).end():
            self._console.print(Text(rest, style="dim"))
        more = self._output_lines.pop(event.action, 0) - _SHOWN_LINES
        if more > 0:
            self._console.print(f"│ … {more} more lines", style="dim")
        facts = [event.tool]
        if event.backend:
            facts += [f"{event.seconds:.1f} s", event.backend]
        line = display(" · ".join([*facts, event.action]))
        self._console.print(Text.assemble(_MARKS.get(event.status, ("✗", "red")), " ", (line, "dim")))
        # That it was cancelled is what the turn's end says.
        if event.status not in ("ok", "cancelled"):
            last = [line for line in event.result.strip().split("\n") if line.strip()][-4:]
            self._console.print(Text("\n".join(f"  {display(line)}" for line in last), style="yellow"))

    def _show_progress(self, event: Progress) -> None:
        if not self._console.is_terminal:
            return
        amount = f" {_amount(event)}" if event.total else ""
        # A wrapped line could not be taken back.
        line = fit(display(event.what + amount), self._console.width - 1)
        self._console.file.write(f"\r\x1b[2K{line}")
        self._console.file.flush()
        self._progress = True

    def _clear_progress(self) -> None:
        if self._progress:
            self._console.file.write("\r\x1b[2K")
            self._console.file.flush()
            self._progress = False

    def _show_end(self, event: TurnFinished) -> None:
        if event.error:
            style = "yellow" if event.status in ("cancelled", "limit", "approval_needed") else "red"
            self._console.print(_set_in(event.error, style))
        if event.hint:
            self._console.print(_set_in(event.hint, "dim"))
        self._console.print(f"{usage_line(event.usage)}", style="dim")


def show_diff(console: Console, diff: Diff, *, most_lines: int = 200) -> None:
    """Write a diff: a line a file, then the changes themselves, up to `most_lines` lines."""
    for change in diff.changes:
        detail = f"  {display(change.detail)}" if change.detail else ""
        name = display_name(change.path)
        name = f"{display_name(change.source)} → {name}" if change.source else name
        console.print(Text.assemble(_KINDS[change.kind], " ", name, (detail, "dim")))
    if diff.omitted:
        console.print(f"… and {diff.omitted:,} more changes", style="dim")
    if diff.summary:
        console.print(Text(display(diff.summary, keep_newlines=True)))
    lines = [line for change in diff.changes for line in coloured_diff(change.diff)]
    for line in lines[:most_lines]:
        console.print(line)
    if len(lines) > most_lines:
        console.print(f"… {len(lines) - most_lines} more lines; /diff shows them all", style="dim")


def usage_line(usage: Usage) -> str:
    """Return tokens and time in a short line."""
    return (
        f"{usage.seconds:.1f} s · {usage.input_tokens:,} tokens in "
        f"({usage.cached_tokens:,} cached), {usage.output_tokens:,} out"
    )


def print_error(error: Exception) -> None:
    """Write an error and its next step to standard error."""
    console = make_console(stderr=True)
    message = getattr(error, "message", "") or str(error)
    console.print(_set_in(message, "red"))
    if hint := getattr(error, "hint", ""):
        console.print(_set_in(hint, "dim"))
    sys.stderr.flush()


def _set_in(text: str, style: str) -> Text:
    """Return a message, whose further lines can pass for none of the shell's own."""
    return Text(display(text, keep_newlines=True).replace("\n", "\n  "), style=style)


def coloured_diff(diff: str) -> list[Text]:
    """Return the lines of a unified diff, coloured."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    hunks = count(1)
    # Only a newline ends a line of a diff: a change of line endings alone has to be seen, too.
    lines = diff.removesuffix("\n").split("\n") if diff else []
    return [Text.assemble((display(line), styles.get(line[:1], "")), _number(line, hunks)) for line in lines]


def _number(line: str, hunks: Iterator[int]) -> tuple[str, str]:
    """Return the number by which a hunk can be committed, for the line that begins it."""
    return (f"  #{next(hunks)}" if line.startswith("@@ ") else "", "dim")


def _arguments(event: ActionStarted) -> str:
    """Return what a call says; what it leaves empty and texts of several lines are not shown."""
    shown = [
        f"{display(name)}={_short(value)}"
        for name, value in event.arguments.items()
        if value not in (None, "", [], {}) and not (isinstance(value, str) and "\n" in value.strip("\n"))
    ]
    return f"({', '.join(shown)})" if shown else ""


def _short(value: object, longest: int = 120) -> str:
    # A path or an address may pretend to be another one.
    seen = display_name if isinstance(value, str) and " " not in value else display
    text = seen(repr(value) if not isinstance(value, str) else f'"{value}"')
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _amount(event: Progress) -> str:
    share = f"{100 * event.done / event.total:3.0f}%"
    if event.unit == "bytes":
        return f"{share} of {event.total / 1e6:,.0f} MB"
    return f"{share} of {event.total:g} {event.unit}".rstrip()
