"""Documents as blocks of text: each with the headings that it stands under, and its place."""

from __future__ import annotations

import codecs
import re
from typing import Any, Iterator

Block = tuple[str, str, str]

_LONGEST = 20_000
_SKIPPED = ("script", "style", "nav", "noscript", "template", "svg", "head", "iframe")
_BLOCKS = (
    "p",
    "li",
    "dt",
    "dd",
    "pre",
    "blockquote",
    "td",
    "th",
    "caption",
    "figcaption",
    "div",
    "section",
    "tr",
)
_FENCE = re.compile(r"\s*(```|~~~)")
_UNSEEN = re.compile(
    r"(?i)(^|[;\s])(display\s*:\s*none|visibility\s*:\s*(hidden|collapse)|(font-size|opacity)\s*:\s*0(?![.\d]))"
)
_TITLE = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")


class DocumentError(Exception):
    """A document that cannot be read, in words for whoever gave it."""


class Headings:
    """The headings that one stands under while a document goes by."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    def enter(self, level: int, text: str) -> None:
        """Go on below a heading."""
        self._open = [one for one in self._open if one[0] < level] + [(level, text[:200])]

    def __str__(self) -> str:
        return " > ".join(text for _, text in self._open)


def read(path: str, name: str, notes: list[str]) -> Iterator[Block]:
    """Yield the blocks of a document: text, heading, place.

    Args:
        path: The file.
        name: Its end says what it is.
        notes: Takes what a person should know.

    Raises:
        DocumentError: It cannot be read, or has no text.
    """
    with open(path, "rb") as file:
        head = file.read(1024)
    suffix = name.lower().rpartition(".")[2]
    if head.startswith(b"%PDF-") or suffix == "pdf":
        reader = _pdf
    elif suffix == "docx":
        reader = _docx
    elif suffix in ("doc", "ppt", "xls", "pptx", "xlsx", "odt", "epub", "rtf"):
        raise DocumentError(
            "%s: .%s files cannot be read; save it as PDF, DOCX, HTML or text." % (name, suffix)
        )
    elif suffix in ("html", "htm", "xhtml"):
        reader = _html
    elif suffix in ("md", "markdown", "mdown", "mkd"):
        reader = _markdown
    else:
        reader = _text
    for text, heading, place in reader(path, name, notes):
        text = _tidy(text)
        for start in range(0, len(text), _LONGEST):
            yield text[start : start + _LONGEST], _tidy(heading).replace("\n", " "), place


def _pdf(path: str, name: str, notes: list[str]) -> Iterator[Block]:
    import logging

    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise DocumentError("%s is protected by a password; save a copy without one." % name)
        count = len(reader.pages)
    except (PyPdfError, ValueError, KeyError, OSError) as error:
        raise DocumentError("%s is no PDF that can be read: %s." % (name, error)) from None
    pages = []
    broken = []
    for number in range(count):
        try:
            pages.append(reader.pages[number].extract_text() or "")
        except RecursionError:
            pages.append("")
            broken.append(number + 1)
        except Exception:
            # A page may be broken in any way, and the others still be read.
            pages.append("")
            broken.append(number + 1)
    empty = [number for number, text in enumerate(pages, 1) if not text.strip() and number not in broken]
    if pages and len(empty) + len(broken) == count:
        raise DocumentError(
            "%s has no text: its %d page%s %s. Make the text readable first, with OCR (for example ocrmypdf)."
            % (name, count, "s"[: count != 1], "are pictures" if count != 1 else "is a picture")
        )
    if empty:
        notes.append("%d of %d pages have no text; they may be pictures" % (len(empty), count))
    if broken:
        notes.append("pages that cannot be read: %s" % ", ".join(map(str, broken[:20])))
    repeated = _repeated(pages)
    for number, text in enumerate(pages, 1):
        lines = [line for line in text.splitlines() if line.strip() not in repeated]
        for paragraph in _paragraphs(lines):
            yield paragraph, "", "page %d" % number


def _repeated(pages: list[str]) -> set[str]:
    """Return the lines at the top and the bottom of most pages."""
    if len(pages) < 4:
        return set()
    count: dict[str, int] = {}
    for page in pages:
        lines = [line.strip() for line in page.splitlines() if line.strip()]
        for line in {*lines[:2], *lines[-2:]}:
            count[line] = count.get(line, 0) + 1
    return {line for line, times in count.items() if times > len(pages) / 2}


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Yield lines joined to paragraphs, words that were divided at a line's end put together."""
    held = ""
    for line in [*lines, ""]:
        line = line.strip()
        if not line:
            if held:
                yield held
            held = ""
        elif held.endswith("-") and line[:1].islower():
            held = held[:-1] + line
        elif held:
            dense = "\u2e80" <= held[-1] <= "\uffef" and "\u2e80" <= line[0] <= "\uffef"
            held += line if dense else " " + line
        else:
            held = line


def _docx(path: str, name: str, notes: list[str]) -> Iterator[Block]:
    import docx
    from docx.table import Table
    from docx.text.paragraph import Paragraph

    try:
        document = docx.Document(path)
    except Exception as error:
        raise DocumentError("%s is no DOCX that can be read: %s." % (name, error)) from None
    headings = Headings()
    for number, part in enumerate(document.iter_inner_content(), 1):
        place = "paragraph %d" % number
        if isinstance(part, Paragraph):
            style = (part.style.name or "") if part.style is not None else ""
            level = re.match(r"(?:Heading|标题|Überschrift|Titre)\s*(\d)", style)
            if part.text.strip() and (level or style == "Title"):
                headings.enter(int(level[1]) if level else 0, part.text.strip())
            elif part.text.strip():
                yield part.text, str(headings), place
        elif isinstance(part, Table):
            rows = [[cell.text.strip() for cell in row.cells] for row in part.rows]
            for row in _told_rows(rows):
                yield row, str(headings), place


def _told_rows(rows: list[list[str]]) -> Iterator[str]:
    """Yield the rows of a table so that each says what its cells are."""
    head = rows[0] if len(rows) > 1 else []
    for row in rows[1:] if head else rows:
        cells = [
            "%s: %s" % (title, cell) if title and head else cell
            for title, cell in zip(head or row, row)
            if cell
        ]
        if cells:
            yield "; ".join(cells)


def _html(path: str, name: str, notes: list[str]) -> Iterator[Block]:
    from bs4 import BeautifulSoup, NavigableString

    with open(path, "rb") as file:
        data = file.read()
    source: Any = data.decode("utf-8") if _is_utf8(data) else data
    soup = BeautifulSoup(source, "html.parser")
    hidden = soup.find_all(_is_hidden)
    for skipped in [*soup(_SKIPPED), *hidden]:
        skipped.decompose()
    if hidden:
        notes.append("what the page does not show is left out")
    headings = Headings()
    held: list[str] = []

    def end() -> Iterator[Block]:
        text = "".join(held)
        held.clear()
        if text.strip():
            yield " ".join(text.split()), str(headings), ""

    for node in soup.descendants:
        if isinstance(node, NavigableString):
            if type(node) is NavigableString and not _in_heading(node):
                held.append(str(node))
        elif re.fullmatch(r"h[1-6]", node.name):
            yield from end()
            headings.enter(int(node.name[1]), " ".join(node.get_text(" ").split()))
        elif node.name in _BLOCKS or node.name in ("br", "hr", "ul", "ol", "table"):
            yield from end()
    yield from end()


def _is_hidden(tag: Any) -> bool:
    """Return whether a page says of a part of it that nobody sees it: a reader could not check what it says."""
    return tag.has_attr("hidden") or bool(_UNSEEN.search(tag.get("style") or ""))


def _in_heading(node: Any) -> bool:
    return any(re.fullmatch(r"h[1-6]", parent.name) for parent in list(node.parents)[:4])


def _markdown(path: str, name: str, notes: list[str]) -> Iterator[Block]:
    headings = Headings()
    fence = ""
    held: list[str] = []
    begun = 1
    for number, line in enumerate([*_decoded(path, name).splitlines(), ""], 1):
        found = _FENCE.match(line)
        if found and (not fence or found[1] == fence):
            fence = "" if fence else found[1]
        title = None if fence else _TITLE.match(line)
        ends = not fence and (title or not line.strip() or re.match(r"\s*(?:[-*+]|\d+[.)])\s", line))
        if ends and held:
            yield "\n".join(held), str(headings), "line %d" % begun
            held = []
        if title:
            headings.enter(len(title[1]), title[2])
        elif line.strip() or fence:
            begun = begun if held else number
            held.append(line)
    if held:
        yield "\n".join(held), str(headings), "line %d" % begun


def _text(path: str, name: str, notes: list[str]) -> Iterator[Block]:
    held: list[str] = []
    begun = 1
    for number, line in enumerate([*_decoded(path, name).splitlines(), ""], 1):
        if line.strip():
            begun = begun if held else number
            held.append(line.strip())
        elif held:
            yield "\n".join(held), "", "line %d" % begun
            held = []


def _decoded(path: str, name: str) -> str:
    with open(path, "rb") as file:
        data = file.read()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:100_000]:
        raise DocumentError(
            "%s is no text, and no document that can be read (PDF, DOCX, HTML, Markdown)." % name
        )
    if _is_utf8(data):
        return data.decode("utf-8-sig")
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    return text if _is_chinese(text) else data.decode("cp1252", "replace")


def _is_chinese(text: str) -> bool:
    """Return whether most signs are common ones: an umlaut and the letter after it make a rare one."""
    signs = [sign for sign in text if not sign.isascii()]
    return len("".join(signs).encode("gb2312", "ignore")) > len(signs)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _tidy(text: str) -> str:
    text = text.replace("\x00", "").replace("\u00ad", "").encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[ \t\xa0\u3000]+", " ", text).strip()
