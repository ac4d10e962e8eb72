"""Opening a document: its name says which format it is in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import anyio
import anyio.to_process
import anyio.to_thread

from llmasos.errors import ToolError
from llmasos.tools.translation.columns import table
from llmasos.tools.translation.document import Document
from llmasos.tools.translation.markdown import markdown
from llmasos.tools.translation.markup import markup
from llmasos.tools.translation.plain import plain
from llmasos.tools.translation.subtitles import subtitles

_LARGE = 50_000  # characters that no parser takes long for
_READ_SECONDS = 60.0
_MARKDOWN = frozenset((".md", ".markdown", ".mdown", ".mkd"))
HTML = (".html", ".htm", ".xhtml")
_SUBTITLES = frozenset((".srt", ".vtt"))
_TABLES = {".csv": "", ".tsv": "\t"}


async def open_document(
    source: str, path: str, names: Sequence[str], seconds: float = _READ_SECONDS
) -> Document:
    """Return a document with its passages.

    Args:
        source: All of it.
        path: Its name, which says what it is; empty for a text.
        names: The columns of a table.
        seconds: When a document that is made to keep its parser busy is given up.

    Raises:
        ToolError: It has no such columns, or is given up.
    """
    if len(source) < _LARGE:
        return await anyio.to_thread.run_sync(_opened, source, path, names)
    try:
        with anyio.fail_after(seconds):
            return await anyio.to_process.run_sync(_opened, source, path, names, cancellable=True)
    except anyio.BrokenWorkerProcess:
        # A program that uses the kernel as a library may not be one that can be started twice.
        return await anyio.to_thread.run_sync(_opened, source, path, names)
    except TimeoutError:
        raise ToolError(
            f"{path or 'The text'} could not be taken apart within {seconds:g} s.",
            hint="Its markup may be broken: look whether its tags are closed, or translate it in parts.",
        ) from None


def _opened(source: str, path: str, names: Sequence[str]) -> Document:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _TABLES:
        return table(source, names, _TABLES[suffix])
    if names:
        raise ToolError(f"{path or 'The text'} has no columns.", hint="Columns are of .csv and .tsv files.")
    if suffix in _MARKDOWN:
        return markdown(source)
    if suffix in HTML:
        return markup(source)
    return subtitles(source) if suffix in _SUBTITLES else plain(source)
