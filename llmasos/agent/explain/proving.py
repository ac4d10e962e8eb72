"""Proofs of an explanation's records, made and checked as a stranger would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import anyio.to_thread

from llmasos.api import RecordInfo
from llmasos.errors import LLMasOSError
from llmasos.ledger import Ledger

_SECONDS = 10.0
_MOST = 500


async def proved(ledger: Ledger, actions: Mapping[str, Sequence[RecordInfo]]) -> dict[str, bool]:
    """Return whether the proof of each action holds; what cannot be proved now is left out.

    Args:
        ledger: The ledger.
        actions: The records of each action.
    """
    numbers = {
        action: [record.number for record in records]
        for action, records in actions.items()
        if records and all(record.state == "confirmed" for record in records)
    }
    found: dict[str, bool] = {}
    with anyio.move_on_after(_SECONDS):
        together = sorted({number for each in numbers.values() for number in each})
        if 0 < len(together) <= _MOST and await _holds(ledger, together):
            return dict.fromkeys(numbers, True)
        for action, each in numbers.items():
            if (holds := await _holds(ledger, each)) is not None:
                found[action] = holds
    return found


async def _holds(ledger: Ledger, numbers: Sequence[int]) -> bool | None:
    """Return whether the proof of records holds; None where there is none, as without a chain."""
    from llmasos.ledger import check

    try:
        proof = await ledger.prove(numbers)
    except LLMasOSError:
        return None
    if proof.get("format") != check.FORMAT:
        return None
    try:
        await anyio.to_thread.run_sync(lambda: check.check(check.canonical(proof).encode()))
    except check.Forged:
        return False
    return True
