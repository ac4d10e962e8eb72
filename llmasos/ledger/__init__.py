"""The ledger: what was done, recorded before and after, provable by anyone who can read the chain."""

from llmasos.ledger._chain import Chain, ChainError
from llmasos.ledger._embedded import EmbeddedChain
from llmasos.ledger._fake import MemoryChain, MemoryLedger
from llmasos.ledger._ledger import ChainLedger, Ledger
from llmasos.ledger._types import Entry, Kind, LedgerStatus, Record, Verdict

__all__ = [
    "Chain",
    "ChainError",
    "ChainLedger",
    "EmbeddedChain",
    "Entry",
    "Kind",
    "Ledger",
    "LedgerStatus",
    "MemoryChain",
    "MemoryLedger",
    "Record",
    "Verdict",
]
