"""Whether what was said about the ledger outside still holds."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from llmasos.ledger._tables import AnchorRow
from llmasos.ledger._types import AnchoredRange
from llmasos.ledger.anchors.port import Anchor, AnchorError, AnchorMismatch, Statement
from llmasos.ledger.chains.port import Chain, ChainError
from llmasos.store import Store


@dataclass(frozen=True)
class AnchorFindings:
    """What the anchors say about a ledger.

    Args:
        anchored: What each of them vouches for, the furthest first.
        problems: What does not agree, by the number of the first record that may be concerned.
        unreachable: Those that could not be asked, and why.
        notes: What is worth knowing and no problem, such as anchors that are not configured any more.
    """

    anchored: tuple[AnchoredRange, ...]
    problems: tuple[tuple[int, str], ...]
    unreachable: tuple[str, ...]
    notes: tuple[str, ...]


def said(row: AnchorRow) -> Statement:
    """Return the statement of a row.

    Raises:
        AnchorMismatch: Its columns do not give its digest.
    """
    about = Statement(
        chain_id=row.chain_id,
        contract=row.contract,
        block=row.block,
        block_hash=row.block_hash,
        records=row.records,
        history=row.history,
        at=row.at,
    )
    if about.digest.hex() != row.digest:
        raise AnchorMismatch(
            f"Anchor {row.id} in {row.target} was altered in the database: it does not give its digest.",
            hint="Restore the database from a backup.",
        )
    return about


async def anchored_numbers(store: Store) -> list[int]:
    """Return how far the anchors reach, in ascending order: where a verification notes the history."""
    query = select(AnchorRow.records).distinct().order_by(AnchorRow.records)
    return list(await store.run(lambda work: work.scalars(query).all()))


async def newest_anchor(store: Store) -> int:
    """Return the number of the anchor that was made last; 0 where there is none."""
    return await store.run(lambda work: work.scalar(select(func.max(AnchorRow.id)))) or 0


async def check_anchors(
    store: Store,
    chain: Chain | None,
    anchors: Sequence[Anchor],
    history_at: Mapping[int, bytes],
    newest: int,
) -> AnchorFindings:
    """Compare the anchors in the database with the places outside and with the records.

    Args:
        chain: The chain; None when it cannot be asked.
        history_at: The hash over the records from the first to each of `anchored_numbers`, recomputed from
            the records' content; numbers beyond the last record are missing.
        newest: The anchor that was made last when the history was begun; later ones, which are made while the
            ledger is checked, are left to the next check.
    """
    query = select(AnchorRow).order_by(AnchorRow.records, AnchorRow.id)
    rows = list(await store.run(lambda work: work.scalars(query).all()))
    places = {anchor.target: anchor for anchor in anchors}
    return await _Check(rows, chain, places, history_at, newest).run()


class _Check:
    """One comparison of all anchors; at most one problem for each place, the first."""

    def __init__(
        self,
        rows: list[AnchorRow],
        chain: Chain | None,
        anchors: dict[str, Anchor],
        history_at: Mapping[int, bytes],
        newest: int,
    ) -> None:
        self._rows, self._chain, self._anchors, self._history_at = rows, chain, anchors, history_at
        self._last = newest
        self._newest = {row.target: row.id for row in sorted(rows, key=lambda row: row.id)}
        self._agreed = 0
        self._anchored: list[AnchoredRange] = []
        self._problems: dict[str, tuple[int, str]] = {}
        self._unreachable: dict[str, str] = {}

    async def run(self) -> AnchorFindings:
        """Ask each place for its list, then for each statement that the database knows."""
        for target in self._anchors:
            await self._ask(target, self._list(self._anchors[target]))
        for row in self._rows:
            if row.id <= self._last and row.target not in self._problems:
                await self._ask(row.target, self._check(row))
        strange = sorted(set(self._newest) - set(self._anchors))
        return AnchorFindings(
            tuple(sorted(self._anchored, key=lambda found: -found.last)),
            tuple(sorted(self._problems.values())),
            tuple(f"{target}: {reason}" for target, reason in self._unreachable.items()),
            tuple(f"{target} is not in ledger.anchors, and was not asked." for target in strange),
        )

    async def _ask(self, target: str, question: Coroutine[None, None, None]) -> None:
        try:
            await question
        except AnchorError as error:
            self._unreachable[target] = error.message
        except AnchorMismatch as error:
            self._problems[target] = (self._agreed + 1, error.message)

    async def _list(self, anchor: Anchor) -> None:
        known = {row.digest for row in self._rows if row.target == anchor.target}
        strange = sum(digest.hex() not in known for digest in await anchor.digests() or [])
        if strange:
            count = "a statement" if strange == 1 else f"{strange} statements"
            raise AnchorMismatch(
                f"{anchor.target} holds {count} that the database does not know: the database was "
                "rewritten, cut off or restored from an older copy, or another ledger uses the same place."
            )

    async def _check(self, row: AnchorRow) -> None:
        about = said(row)
        history = self._history_at.get(row.records)
        if history is None:
            raise AnchorMismatch(
                f"{row.records} records were anchored in {row.target} at {row.at}, and the last are missing."
            )
        if history.hex() != row.history:
            raise AnchorMismatch(
                f"Records {self._agreed + 1} to {row.records} are not those that were anchored in "
                f"{row.target} at {row.at}."
            )
        self._agreed = row.records
        if not row.receipt and row.id != self._newest[row.target]:
            raise AnchorMismatch(f"The receipt of {row.target} over {row.records} records is missing.")
        anchor = self._anchors.get(row.target)
        # The newest row of a place has no receipt while it is still to be put there.
        if anchor is not None and row.receipt and row.target not in self._unreachable:
            at = await anchor.check(about, row.receipt)
            note = await self._rebuilt(about)
            self._anchored.append(AnchoredRange(row.target, row.records, at, note, row.block))

    async def _rebuilt(self, about: Statement) -> str:
        """Return what is remarkable about the block of a statement whose records hold."""
        if self._chain is None:
            return ""
        try:
            if about.chain_id == self._chain.chain_id:
                block = await self._chain.block(about.block)
                if block is not None and block.hash == about.block_hash:
                    return ""
        except ChainError:
            return ""
        return f"The chain was rebuilt since with the same records: block {about.block} is another one."
