"""Words that several commands show, and how they are counted and cut."""

from __future__ import annotations

MODEL_STATES = {
    "remote": "an endpoint",
    "resident": "loaded",
    "cached": "on disk",
    "absent": "not fetched yet",
}


def fit(text: str, columns: int) -> str:
    """Return one line of text, cut with an ellipsis where it is wider than `columns` cells."""
    from rich.cells import cell_len

    if cell_len(text) <= columns:
        return text
    while text and cell_len(text) > columns - 1:
        text = text[:-1]
    return text + "…"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 file` and `2 files`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
