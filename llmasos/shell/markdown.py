"""Markdown on a terminal while it is still being written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import Heading, ListItem, Markdown, MarkdownElement
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text

from llmasos.markdown import parse

_WIDEST = 100
_CODE_THEME = "ansi_dark"
# Of a long block, so many lines that are given out are kept, for the look of those that follow.
_MOST_KEPT, _KEPT = 40, 20


class MarkdownStream:
    """Shows a text that comes in pieces, block by block.

    What is whole is given out once, to be written and never changed; the block that is being written
    can be looked at meanwhile. The text is foreign and has been through `display`.

    Args:
        console: Where it is written: its width and colours count.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open = ""
        self._given = 0
        self._begun = False
        self._first = True
        self._seen = ("", "")

    def feed(self, piece: str) -> str:
        """Take a piece, and return what can be written now."""
        self._open += piece
        if "\n" not in piece:
            return ""
        blocks = _blocks(_parse(self._open))
        if not blocks:
            return ""
        written = ""
        if len(blocks) > 1:
            lines = self._open.split("\n")
            start = blocks[-1].start
            written = "".join(self._finish(block) for block in blocks[:-1])
            self._open = "\n".join(lines[start:])
        written += self._settled(_blocks(_parse(self._open))[-1:])
        self._shorten()
        return written

    def end(self) -> str:
        """Return the rest."""
        written = "".join(self._finish(block) for block in _blocks(_parse(self._open)))
        self._open = ""
        return written

    def live(self) -> str:
        """Return the block that is being written, without what was given out of it."""
        if self._seen[0] != self._open:
            lines = [line for block in _blocks(_parse(self._open)) for line in self._lines(block)]
            self._seen = (self._open, "\n".join(lines[self._given :]))
        return self._seen[1]

    def _finish(self, block: _Block) -> str:
        written = self._begin() + "".join(f"{line}\n" for line in self._lines(block)[self._given :])
        self._begun, self._given = False, 0
        return written

    def _begin(self) -> str:
        """Return what stands before the next lines: nothing within a block."""
        gap = "" if self._first or self._begun else "\n"
        self._first, self._begun = False, True
        return gap

    def _settled(self, blocks: Sequence[_Block]) -> str:
        """Return the lines of the last block that will not change: long code and lists come line by line."""
        for block in blocks:
            settled = block.settled()
            lines = self._lines(settled) if settled is not None else []
            if len(lines) > self._given:
                new, self._given = lines[self._given :], len(lines)
                return self._begin() + "".join(f"{line}\n" for line in new)
        return ""

    def _shorten(self) -> None:
        """Forget the beginning of a long block, which is written: to read it again would take ever longer."""
        blocks = _blocks(_parse(self._open))
        if self._given < _MOST_KEPT or len(blocks) != 1:
            return
        lines = self._open.split("\n")
        block = blocks[0]
        if block.tokens[0].type == "fence":
            gone = self._given - _KEPT
            self._open = "\n".join([*lines[: block.start + 1], *lines[block.start + 1 + gone :]])
            self._given = _KEPT
        elif (settled := block.settled()) is not None and len(self._lines(settled)) == self._given:
            self._open = "\n".join(lines[block.last_item :])
            self._given = 0

    def _lines(self, block: _Block) -> list[str]:
        with self._console.capture() as captured:
            width = min(_WIDEST, self._console.width)
            # Code keeps its lines, whatever the width.
            soft = block.tokens[0].type in ("fence", "code_block")
            self._console.print(_Blocks(block.tokens), width=width, soft_wrap=soft, no_wrap=soft or None)
        return [line.rstrip() for line in captured.get().strip("\n").split("\n")]


class _Block:
    """A block of the top level, and the line of the text on which it begins."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.start = (tokens[0].map or [0])[0]

    @property
    def last_item(self) -> int:
        """The line on which the last item of a list begins."""
        level = self.tokens[0].level + 1
        starts = [
            token.map for token in self.tokens if token.type == "list_item_open" and token.level == level
        ]
        return (starts[-1] or [0])[0]

    def settled(self) -> _Block | None:
        """Return the block without its last line of code, or its last item; None when nothing is settled."""
        first = self.tokens[0]
        if first.type == "fence":
            whole = first.content.rpartition("\n")[0].rpartition("\n")[0]
            return _Block([first.copy(content=whole + "\n")]) if whole else None
        if first.type in ("bullet_list_open", "ordered_list_open"):
            items = [n for n, token in enumerate(self.tokens) if token.type == "list_item_open"]
            last = [n for n in items if self.tokens[n].level == first.level + 1][-1]
            return _Block([*self.tokens[:last], self.tokens[-1]]) if last > 1 else None
        return None


def _blocks(tokens: Sequence[Token]) -> list[_Block]:
    blocks: list[list[Token]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0:
            blocks.append([])
        blocks[-1].append(token)
    return [_Block(block) for block in blocks]


def _parse(text: str) -> list[Token]:
    tokens = parse(text)
    for token in tokens:
        token.children = list(map(_line_end, token.children)) if token.children else None
    return tokens


def _line_end(token: Token) -> Token:
    """Return a part of a paragraph, whose lines stay lines."""
    return Token("hardbreak", "br", 0) if token.type == "softbreak" else token


class _Heading(Heading):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text
        text.justify = "left"
        text.stylize("bold underline" if self.tag == "h1" else "bold")
        yield text


class _Item(ListItem):
    def render_number(
        self, console: Console, options: ConsoleOptions, number: int, last_number: int
    ) -> RenderResult:
        """Yield an item with its number as it is written: `2.`."""
        label = f"{number}. ".rjust(len(str(last_number)) + 3)
        lines = console.render_lines(self.elements, options.update(width=options.max_width - len(label)))
        for place, line in enumerate(lines):
            yield Segment(" " * len(label) if place else label, console.get_style("markdown.item.number"))
            yield from line
            yield Segment("\n")


class _Code(MarkdownElement):
    """A block of code: its lines set in, highlighted, never cut or broken."""

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> _Code:
        """Return the element for a token."""
        return cls(token.content, (token.info or "").split(" ")[0])

    def __init__(self, code: str, lexer: str) -> None:
        self._code = code
        self._lexer = lexer

    def on_text(self, context: Any, text: Any) -> None:
        """Leave the text aside: the token has brought it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from code_lines(self._code, self._lexer)


class _Blocks(Markdown):
    """Blocks that are parsed already."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "list_item_open": _Item,
        "fence": _Code,
        "code_block": _Code,
    }

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = tokens


def code_lines(code: str, lexer: str) -> Iterator[RenderableType]:
    """Yield the highlighted lines of a piece of code, set in."""
    if lexer:
        highlighted = Syntax("", lexer, theme=_CODE_THEME, background_color="default").highlight(code)
    else:
        highlighted = Text(code)
    highlighted.rstrip()
    for line in highlighted.split("\n", allow_blank=True):
        yield Text("  ").append_text(line)
