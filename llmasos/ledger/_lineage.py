"""The accounts that a ledger has had, each of which was handed over to the next."""

from __future__ import annotations

import json

from llmasos.ledger._envelope import opened
from llmasos.ledger._pages import Pages
from llmasos.ledger._types import SYSTEM

_ROTATIONS = "SELECT body FROM ledger_records WHERE session = ? AND kind = 'rotate' ORDER BY seq"


class Lineage:
    """The accounts that the ledger has had, oldest first.

    One follows another when the other has signed that, or a `rotate` record tells it, which is made last.
    """

    def __init__(self, pages: Pages, account: str) -> None:
        pairs = [_rotation(body) for (body,) in pages.fetch(_ROTATIONS, SYSTEM)]
        signed = pages.fetch("SELECT DISTINCT account, raw FROM ledger_outbox WHERE call = 'rotate'")
        pairs += [(old, _handed_to(raw)) for old, raw in signed if isinstance(old, str)]
        self.pairs = frozenset(pairs)
        self.accounts = [account]
        before = {new: old for old, new in pairs}
        while (old := before.get(self.accounts[0])) is not None and old not in self.accounts:
            self.accounts.insert(0, old)

    def __contains__(self, account: str) -> bool:
        return account in self.accounts


def _handed_to(raw: object) -> str:
    try:
        return "0x" + opened(raw).data[48:68].hex() if isinstance(raw, bytes) else ""
    except ValueError:
        return ""


def _rotation(body: object) -> tuple[str, str]:
    try:
        said = json.loads(str(body))
        return str(said["from"]), str(said["to"])
    except (ValueError, TypeError, KeyError):
        return "", ""
