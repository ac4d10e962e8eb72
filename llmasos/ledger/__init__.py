"""The ledger: what was done, recorded before and after, provable by anyone who can read the chain."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmasos.ledger._fake import MemoryLedger
    from llmasos.ledger._ledger import ChainLedger
    from llmasos.ledger._port import Ledger
    from llmasos.ledger._types import (
        KINDS,
        SYSTEM,
        AnchoredRange,
        Entry,
        Filter,
        Kind,
        LedgerStatus,
        Progress,
        Record,
        Verdict,
    )
    from llmasos.ledger.chains.embedded import EmbeddedChain
    from llmasos.ledger.chains.memory import MemoryChain
    from llmasos.ledger.chains.port import Chain, ChainError, ChainRefused

__all__ = [
    "KINDS",
    "SYSTEM",
    "AnchoredRange",
    "Chain",
    "ChainError",
    "ChainLedger",
    "ChainRefused",
    "EmbeddedChain",
    "Entry",
    "Filter",
    "Kind",
    "Ledger",
    "LedgerStatus",
    "MemoryChain",
    "MemoryLedger",
    "Progress",
    "Record",
    "Verdict",
]

_HOMES = {
    "chains.port": ("Chain", "ChainError", "ChainRefused"),
    "chains.embedded": ("EmbeddedChain",),
    "_fake": ("MemoryLedger",),
    "chains.memory": ("MemoryChain",),
    "_ledger": ("ChainLedger",),
    "_port": ("Ledger",),
    "_types": (
        "KINDS",
        "SYSTEM",
        "AnchoredRange",
        "Entry",
        "Filter",
        "Kind",
        "LedgerStatus",
        "Progress",
        "Record",
        "Verdict",
    ),
}


# The node's process passes through here and needs none of these; loading SQLAlchemy would double its start.
def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
