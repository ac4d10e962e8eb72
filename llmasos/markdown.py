"""Markdown of others: what of it counts, and HTML of it that neither acts, hides nor fetches anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from html import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token

from llmasos.display import display

_LEADS = re.compile(r"(https?://|mailto:)[^\s]", re.IGNORECASE)
_LANGUAGE = re.compile(r"[\w+#.-]{0,20}")
_LONGEST = 50_000  # characters
_DEEPEST = 20
# Rows are filled up to the width of their table, so that few characters can ask for very many cells.
_MOST_CELLS = 20_000
_RULE = frozenset("|:- \t>*+.)0123456789")
_WITHIN = ("em", "strong", "s")
_BLOCKS = ("p", "ul", "ol", "li", "blockquote", "table", "thead", "tbody", "tr", "th", "td")
_REL = "noopener noreferrer nofollow"


def parse(text: str) -> list[Token]:
    """Return the tokens of a text that has been through `display`.

    HTML and definitions of links would not be seen by a person, and pictures would be fetched: all of them
    are text, as they are written. Links lead to the web and to mail only. What is very long, or nested so
    deeply that a parser would drop it, is one block of code.
    """
    tokens = _parser(_tables(text)).parse(text) if len(text) <= _LONGEST else []
    if any(token.level >= _DEEPEST - 1 for token in tokens) or len(text) > _LONGEST:
        return [Token("code_block", "code", 0, content=f"{text}\n", map=[0, text.count("\n") + 1])]
    for token in tokens:
        if token.children:
            token.children = list(_seen(token.children))
        if token.type == "fence" and not _LANGUAGE.fullmatch(token.info.strip()):
            # What stands beside a fence is no language alone: it would not be seen.
            token.content = f"{token.markup}{token.info}\n{token.content}"
            token.info = ""
    return tokens


@lru_cache(maxsize=256)
def html(text: str, heading: int) -> str:
    """Return Markdown as HTML.

    Args:
        text: The Markdown; what would hide or act is shown as `display` does.
        heading: The level of its greatest headings, beneath those of the page; no level is left out.
    """
    tokens = parse(display(text, keep_newlines=True))
    used = sorted({token.tag for token in tokens if token.type == "heading_open"})
    levels = {tag: min(6, heading + rank) for rank, tag in enumerate(used)}
    return "".join(_Html(levels).render(tokens))


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        """Return whether a link may lead to an address; others stay text."""
        return _LEADS.match(url) is not None


@cache
def _parser(tables: bool) -> MarkdownIt:
    parser = _Parser("commonmark", {"html": False, "maxNesting": _DEEPEST})
    return parser.enable(["strikethrough", *(["table"] if tables else [])]).disable("reference")


def _tables(text: str) -> bool:
    """Return whether the tables of a text can be so large only as people can read them."""
    lines = text.split("\n")
    columns = max(
        (line.count("|") + 1 for line in lines if "|" in line and _RULE.issuperset(line)), default=0
    )
    return columns * len(lines) <= _MOST_CELLS


def _seen(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield the parts of a paragraph as a person is to see them."""
    leading: list[bool] = []
    for token in tokens:
        if token.type in ("link_open", "link_close"):
            # No address is one, too: that of the page itself.
            if token.nesting > 0:
                leading.append(bool(token.attrGet("href")))
            if leading[-1] if token.nesting > 0 else leading.pop():
                yield token
            continue
        if token.type == "text":
            # Entities may have become characters that hide.
            yield token.copy(content=display(token.content))
        elif token.markup in ("_", "__") and token.type.startswith(("em_", "strong_")):
            # Names such as __init__.py are more often meant than emphasis.
            yield Token("text", "", 0, content=token.markup)
        elif token.type == "image":
            yield Token("text", "", 0, content=display(f"![{token.content}]({token.attrGet('src')})"))
        else:
            yield token


class _Html:
    """Makes HTML of tokens: tags of a few kinds, and everything else as text.

    Args:
        levels: The level of each kind of heading.
    """

    def __init__(self, levels: Mapping[str, int]) -> None:
        self._levels = levels
        # Where the links lead that are open; only the outermost is one.
        self._links: list[str] = []
        self._said = ""

    def render(self, tokens: Sequence[Token]) -> Iterator[str]:
        """Yield the pieces."""
        for token in tokens:
            match token.type:
                case "inline":
                    yield from self.render(token.children or ())
                case "text" | "code_inline":
                    self._said += token.content
                    shown = escape(token.content)
                    yield shown if token.type == "text" else f"<code>{shown}</code>"
                case "softbreak" | "hardbreak":
                    yield "<br>\n"
                case "fence" | "code_block":
                    yield f'<pre tabindex="0"><code>{escape(token.content)}</code></pre>\n'
                case "hr":
                    yield "<hr>\n"
                case "link_open":
                    yield self._link(str(token.attrGet("href")))
                case "link_close":
                    yield self._linked()
                case _ if token.tag in _WITHIN:
                    yield f"<{'/' if token.nesting < 0 else ''}{token.tag}>"
                case _ if token.tag in _BLOCKS or token.tag in self._levels:
                    # Paragraphs of a tight list are none.
                    yield "" if token.hidden else self._block(token)
                case _:
                    yield escape(token.content)

    def _link(self, address: str) -> str:
        self._links.append(address)
        if len(self._links) > 1:
            return ""
        self._said = ""
        return f'<a href="{escape(address)}" rel="{_REL}">'

    def _linked(self) -> str:
        """Return the end of a link, and where it leads if its text does not say so."""
        address = self._links.pop()
        if self._links:
            return ""
        told = "" if address in (self._said, f"mailto:{self._said}") else f" ({escape(address)})"
        return f"</a>{told}"

    def _block(self, token: Token) -> str:
        name = token.tag
        if name in self._levels:
            name = f"h{self._levels[name]}"
        if token.nesting < 0:
            return f"</{name}></div>\n" if name == "table" else f"</{name}>\n"
        if name == "table":
            return '<div class="scroll" tabindex="0"><table>\n'
        if name == "ol" and (start := token.attrGet("start")) is not None:
            return f'<ol start="{int(start)}">\n'
        if align := str(token.attrGet("style") or "").removeprefix("text-align:"):
            return f'<{name} class="{align}">'
        return f"<{name}>"
