"""The status: how the ledger is doing, and what keeps it from going on."""

from __future__ import annotations

from llmasos.errors import LedgerError
from llmasos.ledger._anchoring import AnchorState, Schedule
from llmasos.ledger._outbox import Outbox, Trouble
from llmasos.ledger._reading import count
from llmasos.ledger._types import AnchoredRange, LedgerStatus, Mode
from llmasos.ledger.chains.port import Chain
from llmasos.store import Store


async def status(
    store: Store, chain: Chain, outbox: Outbox, schedule: Schedule, mode: Mode, trouble: Trouble | None
) -> LedgerStatus:
    """Return how a ledger is doing.

    Args:
        trouble: What went wrong last, if that was not mended since.
    """
    found = await store.read(lambda work: count(work, chain.chain_id, outbox.noted))
    trouble = trouble or pause(outbox, found.failed)
    head, account = None, ""
    anchors = sorted(await schedule.states(), key=lambda state: -state.records)
    try:
        account = chain.account
        block = await chain.block()
        head = block.number if block else None
    except LedgerError as error:
        # A chain that is only starting is no trouble yet.
        if outbox.contract:
            trouble = trouble or Trouble(error.message, error.hint)
    return LedgerStatus(
        backend=chain.name,
        chain_id=chain.chain_id,
        contract=outbox.noted or None,
        records=found.records,
        confirmed=found.confirmed,
        pending=found.records - found.confirmed,
        head_block=head,
        resent=outbox.resent,
        last_error=trouble.message if trouble else "",
        hint=trouble.hint if trouble else "",
        mode=mode,
        account=account,
        replaced=outbox.replaced,
        failed=found.failed,
        spent=found.spent,
        anchored=tuple(anchored_range(state) for state in anchors if state.records),
        anchor_error=" ".join(f"{state.target}: {state.error}" for state in anchors if state.error),
    )


def pause(outbox: Outbox, failed: int) -> Trouble | None:
    """Return why submitting does not go on as it should, though the chain answers.

    Args:
        failed: How many records the contract refused.
    """
    held = list(outbox.held.values())
    if outbox.paused or outbox.fees_trouble:
        return outbox.paused or outbox.fees_trouble
    if held:
        more = f" And {len(held) - 3} more sessions are held." if len(held) > 3 else ""
        return Trouble(" ".join(one.message for one in held[:3]) + more, held[0].hint)
    if failed:
        return Trouble(f"The contract refused {failed} records.", "`llmasos ledger verify` says which ones.")
    return None


def anchored_range(state: AnchorState) -> AnchoredRange:
    """Return what an anchor vouches for."""
    return AnchoredRange(state.target, state.records, state.at, block=state.block)
