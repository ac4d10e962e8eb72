"""HTML: the text of its blocks is passages; tags, scripts and code are kept."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser

from llmasos.tools.translation.document import Document, Passage
from llmasos.tools.translation.marks import Kept, kept

_INLINE = frozenset(
    (
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "ins",
        "kbd",
        "label",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
    )
)
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
# What stands in these is kept as it is.
_CODE = frozenset(
    (
        "code",
        "kbd",
        "math",
        "noscript",
        "pre",
        "samp",
        "script",
        "style",
        "svg",
        "template",
        "textarea",
        "tt",
        "var",
        "xmp",
    )
)
_TEXTS = ("alt", "title", "placeholder", "aria-label")
_META = frozenset(("description", "og:title", "og:description", "twitter:title", "twitter:description"))
_ATTRIBUTE = r"""(?is)[\s"'/]{name}\s*=\s*(?P<quote>["'])(?P<value>.*?)(?P=quote)"""
_TAG = r"(?s:<!--.{0,10000}?-->)|</?[A-Za-z!?][^<>]*>"
_NO = r"""<(?P<no>\w+)\s[^<>]{0,1000}?\btranslate\s*=\s*["']?no\b[^<>]{0,1000}>(?s:.{0,2000}?)</(?P=no)\s*>"""
_LITERAL = r"<(?P<literal>code|kbd|samp|tt|var)\b[^<>]{0,1000}>(?s:.{0,2000}?)</(?P=literal)\s*>"
_LANGUAGE = re.compile(r"""(?i)(?P<before><html\b[^<>]{0,500}?\slang\s*=\s*["']?)[\w-]+(?P<after>["'\s>])""")
_ENTITY = r"&(?:\#\w{1,8}|\w{1,30});"
_UNREAD = re.compile(f"({_TAG})|{_ENTITY}")
_WRITTEN = re.compile(f"({_TAG}|{_ENTITY})|[<>&]")
_ESCAPED = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_NAME = re.compile(r"<(/?)(\w+)[^<>]*>")


def _counted(text: str) -> Counter[str]:
    """Return whether each tag that closes is of the one that was opened last."""
    opened: list[str] = []
    for closing, name in _NAME.findall(text):
        if not closing and name.lower() not in _VOID:
            opened.append(name)
        elif closing and (not opened or opened.pop() != name):
            return Counter(["torn"])
    return Counter()


_KEPT = Kept(kept(_NO, _LITERAL, _TAG, _ENTITY), counted=_counted)
_KEPT_VALUE = Kept(kept(_ENTITY))


def markup(source: str) -> Document:
    """Return the passages of an HTML document."""
    return Document(source, html_passages(source, 0, len(source)))


def html_passages(source: str, start: int, end: int) -> list[Passage]:
    """Return the passages of a part of an HTML document."""
    return _Walker(source[start:end], start).passages()


def relabelled(source: str, code: str) -> str:
    """Return a document that says of itself to be in another language, if it says so of any."""
    return _LANGUAGE.sub(rf"\g<before>{code}\g<after>", source, count=1) if code else source


class _Walker(HTMLParser):
    """Collects runs of text and inline tags between the tags of blocks."""

    def __init__(self, source: str, offset: int) -> None:
        super().__init__(convert_charrefs=False)
        self._source = source
        self._offset = offset
        self._lines = [0, *(found.end() for found in re.finditer("\n", source))]
        # Each part: where it begins, where it ends, the tag that it opens or closes, whether it is text.
        self._run: list[tuple[int, int, str, bool]] = []
        self._kept: list[str] = []
        self._found: list[Passage] = []

    def passages(self) -> list[Passage]:
        """Return what is found, in order."""
        self.feed(self._source)
        self.close()
        self._end_run()
        return sorted(self._found, key=lambda passage: passage.start)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        written = self.get_starttag_text() or ""
        start, values = self._at(), dict(attrs)
        void = tag in _VOID or written.endswith("/>")
        inline = tag in _INLINE and not (tag == "img" and values.get("alt"))
        if self._kept:
            if self._kept[0] in _INLINE and not inline:
                self._kept.clear()
            elif tag == self._kept[0] and not void:
                self._kept.append(tag)
        if not inline:
            self._end_run()
            if not self._kept:
                self._attributes(tag, written, start, values)
        self._run.append((start, start + len(written), "" if void else tag, False))
        if not self._kept and not void and (tag in _CODE or values.get("translate") == "no"):
            self._kept.append(tag)

    def handle_endtag(self, tag: str) -> None:
        start = self._at()
        end = self._source.find(">", start) + 1 or len(self._source)
        if self._kept and (tag == self._kept[0] or (self._kept[0] in _INLINE and tag not in _INLINE)):
            self._kept = self._kept[1:] if tag == self._kept[0] else []
        if tag not in _INLINE:
            self._end_run()
        self._run.append((start, end, f"/{tag}", False))

    def handle_data(self, data: str) -> None:
        self._text(len(data))

    def handle_entityref(self, name: str) -> None:
        self._reference(len(name) + 1)

    def handle_charref(self, name: str) -> None:
        self._reference(len(name) + 2)

    def handle_comment(self, data: str) -> None:
        self._end_run()

    def handle_decl(self, decl: str) -> None:
        self._end_run()

    def unknown_decl(self, data: str) -> None:
        self._end_run()

    def handle_pi(self, data: str) -> None:
        self._end_run()

    def _at(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def _reference(self, length: int) -> None:
        self._text(length + self._source.startswith(";", self._at() + length))

    def _text(self, length: int) -> None:
        start = self._at()
        self._run.append((start, start + length, "", not self._kept))

    def _end_run(self) -> None:
        run, self._run = self._run, []
        told = [n for n, (start, end, _, text) in enumerate(run) if text and self._source[start:end].strip()]
        if not told:
            return
        first, last = _balanced([tag for _, _, tag, _ in run], told[0], told[-1])
        start, end = run[first][0], run[last][1]
        source = self._source[start:end]
        start, end = start + len(source) - len(source.lstrip()), end - len(source) + len(source.rstrip())
        text = " ".join(_UNREAD.sub(_read, source).split())
        self._found.append(self._passage(start, end, text, _KEPT, _written))

    def _attributes(self, tag: str, written: str, start: int, values: dict[str, str | None]) -> None:
        """Take the texts in a tag."""
        names = [name for name in _TEXTS if values.get(name)]
        if tag == "meta" and (values.get("name") or values.get("property")) in _META:
            names.append("content")
        for name in names:
            found = re.search(_ATTRIBUTE.replace("{name}", name), written)
            if found is None or not found["value"].strip():
                continue
            write = partial(_value, quote=found["quote"])
            place = start + found.start("value"), start + found.end("value")
            text = _UNREAD.sub(_read, found["value"])
            self._found.append(self._passage(*place, text, _KEPT_VALUE, write))

    def _passage(self, start: int, end: int, text: str, kept: Kept, write: Callable[[str], str]) -> Passage:
        return Passage(start + self._offset, end + self._offset, text, kept, write, one_line=True)


def _read(found: re.Match[str]) -> str:
    """Return a tag as it is, and a reference as the letter that it means where that means nothing more."""
    if found[1]:
        return found[0]
    letter = html.unescape(found[0])
    return found[0] if letter in ("<", ">", "&", "\xa0", found[0]) else letter


def _written(text: str) -> str:
    return _WRITTEN.sub(lambda found: found[1] or _ESCAPED[found[0]], text)


def _value(text: str, *, quote: str) -> str:
    return _written(text).replace(quote, "&quot;" if quote == '"' else "&#39;")


def _balanced(tags: list[str], first: int, last: int) -> tuple[int, int]:
    """Return the parts from a first to a last with the tags around them that close or open others in them."""
    opened: list[str] = []
    missing = 0
    for tag in tags[first : last + 1]:
        if tag.startswith("/") and opened:
            opened.pop()
        elif tag.startswith("/"):
            missing += 1
        elif tag:
            opened.append(tag)
    while missing and first > 0 and not tags[first - 1].startswith("/"):
        first -= 1
        missing -= bool(tags[first])
    left = len(opened)
    while left and last < len(tags) - 1 and not (tags[last + 1] and not tags[last + 1].startswith("/")):
        last += 1
        left -= bool(tags[last])
    return first, last
