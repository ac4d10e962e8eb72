"""Events as lines on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

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
    TurnStarted,
    TurnSteered,
    Usage,
)
from llmasos.language import translated
from llmasos.shell import pictures
from llmasos.shell.bars import Bar
from llmasos.shell.calls import call_arguments, language_of
from llmasos.shell.folds import Folds
from llmasos.shell.markdown import MarkdownStream, code_lines
from llmasos.shell.outputs import OutputLines
from llmasos.shell.words import fit
from llmasos.story import command_of

_SHOWN_LINES = 15
# Of a longer line of output, such as a file without newlines, only the beginning is seen at once.
_LONGEST_LINE = 500
_MARKS = {
    "ok": ("✓", "green"),
    "denied": ("⊘", "yellow"),
    "cancelled": ("■", "yellow"),
    "unknown": ("?", "yellow"),
}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # Rich would end the program from wherever it is written to, such as a task that others wait for.
        raise


def make_console(*, stderr: bool = False) -> Console:
    """Return a console for this terminal; colours are off when piped or when NO_COLOR is set."""
    # Code in a line has no background of its own: terminals are dark or light.
    theme = Theme({"markdown.code": "cyan"})
    return _Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False, theme=theme)


class Renderer:
    """Writes a turn's events as they come.

    Args:
        console: Where to write.
        text: Whether the model's text is shown; scripts get it as the answer instead.
        folds: Where long output is kept, so that a person can open it.
        beneath: Whether what changes is shown by somebody else, beneath what is written, from `live`.
        defaults: What the arguments of each tool are where a call does not say otherwise.
        joined: Whether the beginning of what the model says now was missed: it is shown when it is whole.
    """

    def __init__(
        self,
        console: Console,
        *,
        text: bool = True,
        folds: Folds | None = None,
        beneath: bool = False,
        defaults: Mapping[str, Mapping[str, Any]] | None = None,
        joined: bool = False,
    ) -> None:
        self._console = console
        self._text = text
        self._folds = folds
        self._beneath = beneath
        self._defaults = defaults or {}
        self._joined = joined
        self._command = False
        self._missing = False
        self._streaming = False
        self._streamed = ""
        self._shown = Stream()
        self._markdown = MarkdownStream(console) if beneath else None
        self._bar = Bar()
        self._progress = False
        self._outputs: dict[str, OutputLines] = {}

    def show(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, Progress):
            self._show_progress(event)
            return
        self._clear_progress()
        match event:
            case TurnStarted():
                self._command = bool(command_of(event))
            case TextDelta():
                self._missing |= self._joined
                if self._text and not self._missing:
                    self._streaming = True
                    self._streamed += event.text
                    self._write_text(self._shown.show(event.text))
            case TurnSteered():
                self.end_line()
                _print_set_in(self._console, f"↳ {event.text}", "bold")
            case AssistantText():
                self.end_line()
                self._show_missed(event.text)
                self._caught_up()
            case ActionStarted():
                self.end_line()
                self._caught_up()
                tool = (display(event.tool), "bold")
                said = call_arguments(event, self._usual(event))
                self._console.print(Text.assemble(("●", "cyan"), " ", tool, (said, "dim")))
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
                _print_set_in(self._console, translated(event.text), style)
            case TurnFinished():
                self.end_line()
                self._show_end(event)

    def live(self, columns: int) -> str:
        """Return what is being written and how far it is, in lines that may change.

        Args:
            columns: The width of the terminal in cells.
        """
        lines = []
        if self._markdown is not None and self._streaming:
            lines = self._markdown.live().split("\n")
        for output in self._outputs.values():
            lines += [f"\x1b[2m│ {fit(line, columns - 3)}\x1b[0m" for line in output.live()]
        if self._progress:
            lines.append(self._bar.line(columns - 1))
        return "\n".join(lines)

    def say(self, what: str) -> None:
        """Write in passing what is under way before there are events."""
        self._show_progress(Progress(what=what))

    def end(self) -> None:
        """Write all that is shown beneath and not written yet, however the turn ends."""
        self._clear_progress()
        self.end_line()
        for output in self._outputs.values():
            self._print_output(output.end()[1])
        self._outputs.clear()

    def end_line(self) -> None:
        """Finish a line that text has left open."""
        self._write_text(self._shown.end())
        self._shown = Stream()
        if self._streaming:
            self._write(self._markdown.end() if self._markdown is not None else "\n")
        if self._markdown is not None:
            self._markdown = MarkdownStream(self._console)
        self._streaming = False

    def _write_text(self, text: str) -> None:
        if text:
            self._write(text if self._markdown is None else self._markdown.feed(text))

    def _write(self, text: str) -> None:
        if text:
            self._console.file.write(text)
            self._console.file.flush()

    def _caught_up(self) -> None:
        if self._missing:
            self._joined = self._missing = False

    def _show_missed(self, text: str) -> None:
        # Streamed pieces are not kept for who joins late; the whole text is.
        if self._text and text.strip() not in self._streamed:
            shown = display(text.strip(), keep_newlines=True)
            if self._markdown is None:
                self._console.print(Text(shown))
            else:
                whole = MarkdownStream(self._console)
                self._write(whole.feed(shown) + whole.end())
        self._streamed = ""

    def _usual(self, event: ActionStarted) -> Mapping[str, Any]:
        """Return what goes without saying of a call; of a command that was typed, all but the command."""
        if self._command and not event.parent:
            return {name: value for name, value in event.arguments.items() if name != "command"}
        return self._defaults.get(event.tool, {})

    def _show_block(self, arguments: dict[str, Any]) -> None:
        for name, value in arguments.items():
            if isinstance(value, str) and "\n" in value.strip("\n"):
                lines = display(value.strip("\n"), keep_newlines=True).split("\n")
                shown = "\n".join(lines[:_SHOWN_LINES])
                # Set in, so that none can pass for a line of the shell.
                for line in code_lines(shown, language_of(name, arguments)):
                    self._console.print(line, style="dim")
                if len(lines) > _SHOWN_LINES:
                    opened = self._fold(name, lines)
                    more = translated(f"… {len(lines) - _SHOWN_LINES} more lines")
                    self._console.print(more + opened, style="dim")

    def _fold(self, title: str, lines: Sequence[str]) -> str:
        return "" if self._folds is None else f" · /open {self._folds.add(title, lines).number}"

    def _show_output(self, event: ActionOutput) -> None:
        self.end_line()
        self._print_output(self._outputs.setdefault(event.action, OutputLines()).feed(event.text))

    def _print_output(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._console.print(Text(f"│ {line[:_LONGEST_LINE]}", style="dim"))
            if (more := len(line) - _LONGEST_LINE) > 0:
                self._console.print(f"│ {translated(f'… {more:,} more characters')}", style="dim")

    def _show_finished(self, event: ActionFinished) -> None:
        output = self._outputs.pop(event.action, OutputLines())
        left, last = output.end()
        cut = any(len(line) > _LONGEST_LINE for line in output.lines)
        opened = self._fold(f"{event.tool} · {event.action}", output.lines) if left or cut else ""
        if left:
            more = translated(f"… at least {left:,} more lines" if output.lost else f"… {left:,} more lines")
            self._console.print(f"│ {more}{opened}", style="dim")
        self._print_output(last)
        if cut and not left:
            self._console.print(f"│ {translated('Long lines are shown in part')}{opened}", style="dim")
        facts = [event.tool]
        if event.backend:
            facts += [f"{event.seconds:.1f} s", event.backend]
        line = display(" · ".join([*facts, event.action]))
        self._console.print(Text.assemble(_MARKS.get(event.status, ("✗", "red")), " ", (line, "dim")))
        # That it was cancelled is what the turn's end says.
        if event.status not in ("ok", "cancelled"):
            # What it has printed was seen already.
            seen = set(output.lines[-_SHOWN_LINES:])
            told = [display(line) for line in event.result.strip().split("\n") if line.strip()]
            last = [line for line in told if line not in seen][-4:]
            if last:
                self._console.print(Text("\n".join(f"  {line}" for line in last), style="yellow"))

    def _show_progress(self, event: Progress) -> None:
        self._bar.update(event)
        self._progress = True
        if self._console.is_terminal and not self._beneath:
            # A wrapped line could not be taken back.
            self._console.file.write(f"\r\x1b[2K{self._bar.line(self._console.width - 1)}")
            self._console.file.flush()

    def _clear_progress(self) -> None:
        if self._progress and self._console.is_terminal and not self._beneath:
            self._console.file.write("\r\x1b[2K")
            self._console.file.flush()
        self._progress = False

    def _show_end(self, event: TurnFinished) -> None:
        if event.error:
            style = "yellow" if event.status in ("cancelled", "limit", "approval_needed") else "red"
            _print_set_in(self._console, translated(event.error), style)
        if event.hint:
            _print_set_in(self._console, translated(event.hint), "dim")
        self._console.print(translated(usage_line(event.usage)), style="dim")


def say_line(text: str) -> None:
    """Write what a person has sent, as they typed it."""
    shown = display(text, keep_newlines=True).replace("\n", "\n. ")
    make_console().print(Text(f"> {shown}", style="bold"))


def usage_line(usage: Usage) -> str:
    """Return tokens and time in a short line; no tokens where no model was asked."""
    if not (usage.requests or usage.input_tokens or usage.output_tokens):
        return f"after {usage.seconds:.1f} s"
    return (
        f"{usage.seconds:.1f} s · {usage.input_tokens:,} tokens in "
        f"({usage.cached_tokens:,} cached), {usage.output_tokens:,} out"
    )


def print_error(error: Exception) -> None:
    """Write an error and its next step to standard error."""
    console = make_console(stderr=True)
    message = getattr(error, "message", "") or str(error)
    _print_set_in(console, translated(message), "red")
    if hint := getattr(error, "hint", ""):
        _print_set_in(console, translated(hint), "dim")
    sys.stderr.flush()


def _print_set_in(console: Console, text: str, style: str) -> None:
    """Write a message, whose further lines can pass for none of the shell's own; words are not broken."""
    shown = Text(display(text, keep_newlines=True).replace("\n", "\n  "), style=style)
    console.print(shown, soft_wrap=not console.is_terminal)
