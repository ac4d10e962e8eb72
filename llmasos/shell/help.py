"""`--help`, and what Click says against a command line, in the person's language."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator

import click

from llmasos.language import ENGLISH, chosen_language, translated
from llmasos.shell.words import wrapped

_NOTES = re.compile(r"(?P<text>.*?)  \[(?P<notes>[^\]]*)\]", re.DOTALL)
# Both Typer and Click say which commands may be meant.
_TWICE = re.compile(r" Did you mean [^?\n]*\?(?= \(?Did you mean )")


class HelpLines(click.HelpFormatter):
    """Click's lines of help; of another language than English, wrapped by cells and between any two signs."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how a command is called."""
        if prefix is None and chosen_language() != ENGLISH:
            prefix = translated("Usage:")
        super().write_usage(prog, args, prefix)

    def write_heading(self, heading: str) -> None:
        """Write what stands above a list."""
        if chosen_language() == ENGLISH:
            super().write_heading(heading)
        else:
            self.write(f"{'':>{self.current_indent}}{translated(heading)}：\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        if chosen_language() == ENGLISH:
            super().write_text(text)
            return
        indent = " " * self.current_indent
        said = [translated(" ".join(each.split())) for each in text.split("\n\n")]
        paragraphs = [wrapped(each, self.width - self.current_indent) for each in said]
        self.write("\n\n".join("\n".join(indent + line for line in lines) for lines in paragraphs) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a list of options or commands, with what each does."""
        if chosen_language() == ENGLISH:
            super().write_dl(rows, col_max, col_spacing)
            return
        rows = list(rows)
        first = min(max(len(name) for name, _ in rows), col_max) + col_spacing
        for name, about in rows:
            start = f"{'':>{self.current_indent}}{name}"
            lines = wrapped(said_of(about), max(self.width - first - 2, 10))
            if len(name) > first - col_spacing:
                self.write(f"{start}\n")
                start = ""
            for line in lines:
                self.write(f"{start:<{first + self.current_indent}}{line}".rstrip() + "\n")
                start = ""
            if start:
                self.write(f"{start}\n")


def usage_error_lines(error: click.ClickException) -> Iterator[str]:
    """Yield what is wrong with a command line, as Click says it."""
    said = io.StringIO()
    error.show(said)
    yield from _TWICE.sub("", said.getvalue()).rstrip("\n").expandtabs(2).split("\n")


def said_of(text: str) -> str:
    """Return what an option or a command does, with what Click notes at its end.

    Args:
        text: What Click says of it, which is an option's help, or the first sentence of a command's.
    """
    noted = _NOTES.fullmatch(text)
    said = " ".join((noted["text"] if noted else text).split())
    # Of a command, Click gives the first sentence, without its full stop.
    told = translated(said) if translated(said) != said else translated(f"{said}.").removesuffix("。")
    if not noted:
        return told if told != f"{said}." else said
    return f"{told}  [{'; '.join(map(translated, noted['notes'].split('; ')))}]"
