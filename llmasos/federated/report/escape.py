"""Words from elsewhere in pages: nothing in them is markup, and what is hidden is shown."""

from __future__ import annotations

import html
import re

from llmasos.display import display

_MARKDOWN = re.compile(r"[\\`*_{}\[\]()<>#+!|&~$@:=^]|(?<=www)\.", re.IGNORECASE)


def in_html(text: str) -> str:
    """Return text as HTML, apart from what is written around it in another direction."""
    return f"<bdi>{html.escape(display(text))}</bdi>"


def in_markdown(text: str) -> str:
    """Return text as a part of a line of Markdown; a table's cell and a link's text may hold it, too."""
    return _MARKDOWN.sub(r"\\\g<0>", display(text))
