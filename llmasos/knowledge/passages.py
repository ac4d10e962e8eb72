"""Passages: pieces of a document that can be found and cited by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# A model reads a few passages for each answer, and embeds no more than 512 tokens of one.
_SIZE = 500.0
_OVERLAP = 160.0
_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_DENSITY = 2.5  # letters of an alphabet that one of these signs stands for
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])|\n")


@dataclass(frozen=True)
class Block:
    """A paragraph, an item or a row of a document.

    Args:
        text: What it says.
        heading: The headings that it stands under, the highest first, between ` > `.
        place: Where it stands, such as `page 3` or `line 12`.
    """

    text: str
    heading: str = ""
    place: str = ""


@dataclass(frozen=True)
class Passage:
    """Blocks that stand together under one heading, or a part of a long one."""

    text: str
    heading: str = ""
    place: str = ""


def passages(blocks: Iterable[Block]) -> Iterator[Passage]:
    """Yield the passages of a document: none over a heading or a page."""
    held: list[Block] = []
    size = 0.0
    for block in (part for whole in blocks for part in _parts(whole)):
        apart = bool(held) and (block.heading != held[0].heading or _page(block) != _page(held[0]))
        if held and (apart or size + _weight(block.text) > _SIZE):
            yield _joined(held)
            again = held[-1:] if not apart and len(held) > 1 and _weight(held[-1].text) <= _OVERLAP else []
            held, size = again, sum(_weight(each.text) for each in again)
        held.append(block)
        size += _weight(block.text)
    if held:
        yield _joined(held)


def _page(block: Block) -> str:
    """Return the page of a block, which a citation has to name; empty where there are no pages."""
    return block.place if block.place.startswith("page ") else ""


def _joined(blocks: list[Block]) -> Passage:
    return Passage("\n".join(block.text for block in blocks), blocks[0].heading, blocks[0].place)


def _parts(block: Block) -> Iterator[Block]:
    """Yield a block, or the sentences of one that is too long by itself."""
    if _weight(block.text) <= _SIZE:
        if block.text.strip():
            yield Block(block.text.strip(), block.heading, block.place)
        return
    for sentence in _SENTENCE.split(block.text):
        for start in range(0, len(sentence), int(_SIZE)):
            if piece := sentence[start : start + int(_SIZE)].strip():
                yield Block(piece, block.heading, block.place)


def _weight(text: str) -> float:
    """Return about how many letters of an alphabet a text is worth."""
    return len(text) + (_DENSITY - 1) * len(_DENSE.findall(text))
