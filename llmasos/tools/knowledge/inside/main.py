"""What is done inside: reading a document."""

from __future__ import annotations

from typing import Any, Callable, Iterator

from .documents import DocumentError, read

_AT_ONCE = 200


def document(path: str, name: str, tell: Callable[[dict[str, Any]], object]) -> None:
    """Tell the blocks of a document: text, heading and place of each.

    Args:
        path: The file.
        name: What people call it; its end says what it is.
        tell: Takes some blocks at a time, notes, or what is wrong.
    """
    notes: list[str] = []
    count = 0
    try:
        for some in _some(read(path, name, notes)):
            count += len(some)
            tell({"blocks": some})
        if not count:
            raise DocumentError("%s has no text." % name)
        tell({"blocks": [], "notes": notes})
    except DocumentError as error:
        tell({"error": str(error)})


def _some(blocks: Iterator[tuple[str, str, str]]) -> Iterator[list[tuple[str, str, str]]]:
    held: list[tuple[str, str, str]] = []
    for block in blocks:
        held.append(block)
        if len(held) == _AT_ONCE:
            yield held
            held = []
    if held:
        yield held
