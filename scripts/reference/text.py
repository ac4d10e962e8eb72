"""Docstrings, and Markdown that GitHub and MkDocs read alike."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MADE = "<!-- Made from the code by `make reference`; change it there. -->\n\n"

_PART = re.compile(r"^(Args|Attributes|Raises|Source):(.*)$")
_ENTRY = re.compile(r"^ {4}(\w[\w.]*): (.*)$")
_CODE = re.compile(r"(`[^`]*`)")


@dataclass
class Doc:
    """A docstring in parts: what it says, and what it says of each argument and error."""

    text: str = ""
    args: dict[str, str] = field(default_factory=dict)
    raises: dict[str, str] = field(default_factory=dict)

    @property
    def first(self) -> str:
        """The first paragraph, on one line."""
        return " ".join(self.text.split("\n\n")[0].split())


def docstring(raw: str | None) -> Doc:
    """Take a docstring in Google's style apart."""
    doc, lines, part, name = Doc(), [], "", ""
    for line in inspect.cleandoc(raw or "").splitlines():
        if found := _PART.match(line):
            part, name = found[1], ""
        elif not part:
            lines.append(line)
        elif entry := _ENTRY.match(line):
            name = entry[1]
            (doc.raises if part == "Raises" else doc.args)[name] = entry[2]
        elif name and line.startswith(" " * 8):
            (doc.raises if part == "Raises" else doc.args)[name] += f" {line.strip()}"
    doc.text = "\n".join(lines).strip()
    return doc


def prose(text: str) -> str:
    """Return plain text as Markdown that shows it as it is; what stands between backticks is code already."""
    parts = _CODE.split(text)
    return "".join(
        part if number % 2 else re.sub(r"([*_<\[\]])", r"\\\1", part) for number, part in enumerate(parts)
    )


def code(text: object) -> str:
    """Return text as code; nothing for nothing."""
    return f"`{text}`" if str(text) else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a line break becomes a space, and a pipe is escaped as GitHub wants it."""
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    for row in rows:
        cells = [" ".join(cell.split()).replace("|", r"\|") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(title: str, *parts: str) -> str:
    """Return a page that is made."""
    return f"# {title}\n\n{MADE}" + "\n\n".join(part for part in parts if part) + "\n"


def anchor(heading: str) -> str:
    """Return the anchor that a heading of words gets."""
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))
