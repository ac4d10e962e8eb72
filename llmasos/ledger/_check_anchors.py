"""Checking the rows of the anchors for what the places outside cannot tell: their kinds and their order."""

from __future__ import annotations

from llmasos.ledger._pages import Pages
from llmasos.ledger._problems import Problems

PAGE = 1_000

_ROWS = (
    "SELECT id, target, at, records, history, chain_id, contract, block, block_hash, digest, receipt"
    " FROM ledger_anchors ORDER BY id LIMIT ? OFFSET ?"
)
_TYPES = (int, str, str, int, str, int, str, int, str, str, bytes)
_BACK = (
    "SELECT 1 FROM ledger_anchors a JOIN ledger_anchors b"
    " ON a.target = b.target AND a.id < b.id AND a.records >= b.records LIMIT 1"
)


def check_anchor_rows(pages: Pages, problems: Problems, last: int, *, gapless: bool) -> None:
    """Check that anchors are there once each, in the order in which they were made.

    Args:
        last: The last record; what concerns all anchors comes after it.
        gapless: Whether the database numbers rows without gaps; none is ever removed.
    """
    count = 0
    while rows := pages.fetch(_ROWS, PAGE, count):
        for number, row in enumerate(rows, count + 1):
            if any(type(value) is not kind for value, kind in zip(row, _TYPES, strict=True)):
                problems.other(
                    last + 0.5, f"Anchor {row[0]!r} in the database was altered: it cannot be read."
                )
            elif gapless and row[0] != number:
                text = f"Anchor {number} is missing from the database, is there twice or was renumbered."
                problems.other(last + 0.5, text)
        count += len(rows)
    if pages.one(_BACK) is not None:
        text = (
            "Anchors in the database were doubled or exchanged: a later one covers no more than an earlier."
        )
        problems.other(last + 0.5, text)
