"""Markdown of others, written anew: it means the same, and nothing of it can reach beyond its place.

Only what `llmasos.markdown` takes for Markdown is written as such: HTML, pictures and definitions are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from markdown_it.tree import SyntaxTreeNode

from llmasos.display import display
from llmasos.markdown import parse

_MARKS = {"em": "*", "strong": "**", "s": "~~"}
# What means something anywhere in a line: signs of code and emphasis, ends of links, footnotes, pictures,
# tags, entities, the end of a heading, and backslashes that would be read with what follows them.
_MEANS = (
    r"[`*~]|(?<![^\W_])_+|_+(?![^\W_])|\](?=[(\[:])|\[(?=[!^])|!(?=\[)|<(?=[A-Za-z/!?])|&(?=#?\w{1,40};)"
    r"|(?:(?<=\s)|^)#(?=#*$)|\\(?=[!-/:-@\[-`{-~]|$)"
)
_ANYWHERE, _IN_A_LINK = re.compile(_MEANS), re.compile(rf"{_MEANS}|[\[\]]")
# What begins a block: headings, quotations, lists, and lines across or beneath what stands before them.
_BEGINS = re.compile(r"#{1,6}(?=\s|$)|>|[+-](?=\s|$)|[=|:-][=|:\s-]*$")
_NUMBERS = re.compile(r"(\d{1,9})(?=[.)](?:\s|$))")
_ENTITY = re.compile(r"&(?=#?\w{1,40};)")


def plain(text: str) -> str:
    """Return text on one line that means nothing to Markdown."""
    return _begun(_escaped(display(" ".join(text.split()))))


def code(text: str) -> str:
    """Return text as code within a line."""
    shown = display(text)
    if not shown.strip():
        return shown
    ticks = "`" * (1 + _longest("`", shown, 0))
    # One space at both ends is no part of it.
    spaced = "`" in (shown[0], shown[-1]) or shown[0] == shown[-1] == " "
    return f"{ticks} {shown} {ticks}" if spaced else f"{ticks}{shown}{ticks}"


def fenced(text: str, language: str = "") -> list[str]:
    """Return a text of several lines as a block of code."""
    shown = display(text, keep_newlines=True)
    fence = "`" * max(3, 1 + _longest("`", shown, 0))
    return [f"{fence}{language}", *shown.removesuffix("\n").split("\n"), fence]


def quoted(text: str, heading: int) -> Iterator[str]:
    """Yield the lines of Markdown as a quotation.

    Args:
        text: The Markdown.
        heading: The level of its greatest headings.
    """
    tree = SyntaxTreeNode(parse(display(text, keep_newlines=True)))
    for line in _Writer(heading).blocks(tree.children) or [""]:
        yield f"> {line}".rstrip()


class _Writer:
    def __init__(self, heading: int) -> None:
        self._heading = heading
        self._linking = False

    def blocks(self, nodes: Iterable[SyntaxTreeNode], *, tight: bool = False) -> list[str]:
        """Return the lines of blocks, which stand apart unless they are those of a tight list."""
        lines: list[str] = []
        for node in nodes:
            written = self._block(node)
            if lines and written and not tight:
                lines.append("")
            lines += written
        return lines

    def _block(self, node: SyntaxTreeNode) -> list[str]:
        match node.type:
            case "heading":
                level = min(6, self._heading + int(node.tag[1:]) - 1)
                said = " ".join(line.removesuffix("\\") for line in self._lines(node))
                return [f"{'#' * level} {said}"]
            case "fence" | "code_block":
                return fenced(node.content, node.info.strip())
            case "blockquote":
                return [f"> {line}".rstrip() for line in self.blocks(node.children)]
            case "bullet_list" | "ordered_list":
                return self._list(node)
            case "hr":
                return ["___"]
            case "table":
                return self._table(node)
            case _:
                return self._lines(node)

    def _list(self, node: SyntaxTreeNode) -> list[str]:
        first = int(node.attrs.get("start", 1))
        paragraphs = (child for item in node.children for child in item.children if child.type == "paragraph")
        tight = all(child.hidden for child in paragraphs)
        lines: list[str] = []
        for number, item in enumerate(node.children, first):
            mark = item.markup if node.type == "bullet_list" else f"{number}{item.markup}"
            written = self.blocks(item.children, tight=tight) or [""]
            if lines and not tight:
                lines.append("")
            lines.append(f"{mark} {written[0]}".rstrip())
            lines += [f"{' ' * (len(mark) + 1)}{line}".rstrip() for line in written[1:]]
        return lines

    def _table(self, node: SyntaxTreeNode) -> list[str]:
        rows = [row for part in node.children for row in part.children]
        aligned = (str(cell.attrs.get("style", "")).removeprefix("text-align:") for cell in rows[0].children)
        marks = {"left": ":--", "center": ":-:", "right": "--:"}
        lines = [self._row(map(self._cell, row.children)) for row in rows]
        return [lines[0], self._row(marks.get(side, "---") for side in aligned), *lines[1:]]

    def _row(self, cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def _cell(self, node: SyntaxTreeNode) -> str:
        return " ".join(self._lines(node)).replace("|", "\\|")

    def _lines(self, node: SyntaxTreeNode) -> list[str]:
        """Return what stands in a block, in lines that begin nothing."""
        inline = node.children[0].children if node.children else ()
        lines = [line.strip() for line in self._inline(inline).split("\n")]
        return [_begun(line) for line in lines if line]

    def _inline(self, nodes: Sequence[SyntaxTreeNode]) -> str:
        written, said = "", ""
        for node in nodes:
            # Pieces of text that touch are escaped together.
            if node.type == "text":
                said += node.content
                continue
            piece = self._piece(node)
            # Before a link it would make a picture of it.
            picture = said.endswith("!") and piece.startswith("[")
            written += self._escaped(said.removesuffix("!") if picture else said)
            written += f"\\!{piece}" if picture else piece
            said = ""
        return written + self._escaped(said)

    def _piece(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "softbreak":
                return "\n"
            case "hardbreak":
                return "\\\n"
            case "code_inline":
                return code(node.content)
            case "link" if not self._linking:
                return self._link(node)
            case _:
                mark = _MARKS.get(node.type, "")
                return f"{mark}{self._inline(node.children)}{mark}"

    def _link(self, node: SyntaxTreeNode) -> str:
        address = str(node.attrs["href"])
        if node.markup == "autolink":
            return f"<{address.removeprefix('mailto:')}>"
        self._linking = True
        said = self._inline(node.children)
        self._linking = False
        address = _ENTITY.sub(r"\&", address)
        return f"[{said}](<{address}>)" if "(" in address or ")" in address else f"[{said}]({address})"

    def _escaped(self, text: str) -> str:
        return _escaped(text, _IN_A_LINK if self._linking else _ANYWHERE)


def _escaped(text: str, signs: re.Pattern[str] = _ANYWHERE) -> str:
    return signs.sub(lambda found: "".join(f"\\{sign}" for sign in found[0]), text)


def _begun(line: str) -> str:
    """Return a line that begins no block of its own."""
    if _BEGINS.match(line):
        return f"\\{line}"
    return _NUMBERS.sub(r"\1\\", line, count=1) if _NUMBERS.match(line) else line


def _longest(sign: str, text: str, least: int) -> int:
    return max(map(len, re.findall(f"{re.escape(sign)}+", text)), default=least)
