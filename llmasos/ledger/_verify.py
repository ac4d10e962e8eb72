"""Verification: database, outbox, chain and anchors, each recomputed and held against the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import anyio.to_thread

from llmasos.errors import LLMasOSError
from llmasos.ledger._check_anchors import check_anchor_rows
from llmasos.ledger._check_chain import ChainCheck
from llmasos.ledger._check_outbox import OutboxCheck
from llmasos.ledger._check_records import RecordCheck
from llmasos.ledger._envelope import named_signer, signer
from llmasos.ledger._lineage import Lineage
from llmasos.ledger._pages import Pages
from llmasos.ledger._problems import Problems
from llmasos.ledger._types import Finding, Progress, Verdict
from llmasos.ledger.anchors.check import AnchorFindings, anchored_numbers, check_anchors, newest_anchor
from llmasos.ledger.anchors.port import Anchor
from llmasos.ledger.chains.port import Block, Chain, ChainError, ChainRefused
from llmasos.store import Store

ROUNDS = 3

T = TypeVar("T")


async def verify(
    store: Store,
    chain: Chain,
    *,
    contract: str | None,
    last: int,
    settled: bool,
    anchors: Sequence[Anchor] = (),
    trouble: str = "",
    refused: bool = False,
    progress: Callable[[Progress], None] = lambda progress: None,
    settle: Callable[[], Awaitable[bool]] | None = None,
) -> Verdict:
    """Check everything, in memory that does not grow with the ledger.

    Args:
        contract: The audit log's address; None before it is deployed.
        last: The last record that counts; newer ones may be under way and are left to the next check.
        settled: Whether the outbox has noted what became of everything up to there.
        trouble: Why the chain cannot be asked; empty when it can.
        refused: Whether that is because it is damaged, lies or is another one, which is a finding.
        progress: Told at least every 1,000 rows.
        settle: Lets the outbox look at the chain once more, and returns `settled`; a difference between the
            two counts when it is still there afterwards.
    """
    work = _Verification(store, chain, contract, last, progress)
    if trouble:
        work.give_up(trouble, refused)
    return await work.run(settled, anchors, settle)


class _Verification:
    """One verification."""

    def __init__(
        self,
        store: Store,
        chain: Chain,
        contract: str | None,
        last: int,
        progress: Callable[[Progress], None],
    ) -> None:
        self._store, self._chain, self._contract, self._last = store, chain, contract, last
        self._progress = progress
        self._pages, self._problems = Pages(store), Problems()
        self._records = RecordCheck(self._pages, self._problems)
        self._trouble = ""
        self._sessions = self._confirmed = self._pending = 0
        self._anchored = AnchorFindings((), (), (), ())
        self._newest_anchor = 0

    def give_up(self, trouble: str, refused: bool) -> None:
        """Note that the chain cannot be asked, and whether that is a finding by itself."""
        self._trouble = trouble
        if refused:
            self._problems.other(0, trouble)

    async def run(
        self,
        settled: bool,
        anchors: Sequence[Anchor],
        settle: Callable[[], Awaitable[bool]] | None,
    ) -> Verdict:
        """Check one part after the other."""
        try:
            self._newest_anchor = await newest_anchor(self._store)
            numbers = [number for number in await anchored_numbers(self._store) if isinstance(number, int)]
            self._records = RecordCheck(self._pages, self._problems, numbers)
            await self._check_records(self._last)
            await self._run(self._records.end, self._last)
            checked, erased = self._records.checked, self._records.erased
            await self._check_outbox(settled, settle)
            await self._inspect()
            reachable = None if self._trouble else self._chain
            # An anchor may cover records that were made since.
            await self._check_records(max([0, *numbers]))
            await self._check_anchors(anchors, reachable)
            return self._verdict(checked, erased)
        except LLMasOSError as error:
            self._problems.other(0, error.message)
            return self._verdict(self._records.checked, self._records.erased)

    async def _check_records(self, last: int) -> None:
        while self._records.number < last:
            more = await self._run(self._record_pages, last)
            self._progress(Progress("records", self._records.checked, max(last, self._records.checked)))
            if not more:
                break

    def _record_pages(self, last: int) -> bool:
        return all(self._records.page(last) for _ in range(4))

    async def _check_anchors(self, anchors: Sequence[Anchor], chain: Chain | None) -> None:
        check = partial(check_anchor_rows, gapless=self._store.sqlite)
        await self._run(check, self._pages, self._problems, self._last)
        try:
            self._anchored = await check_anchors(
                self._store, chain, anchors, self._records.histories, self._newest_anchor
            )
        except (ValueError, TypeError, AttributeError):
            self._problems.other(
                self._last + 0.5, "An anchor in the database was altered: it cannot be read."
            )
        # An anchor tells only that some record of many is another; one that is known comes first.
        for _, text in self._anchored.problems:
            self._problems.other(self._last + 0.5, text)
        self._progress(Progress("anchors", len(anchors), len(anchors)))

    async def _check_outbox(self, settled: bool, settle: Callable[[], Awaitable[bool]] | None) -> None:
        """Check the outbox, and hold it against the chain until both agree or differ for good."""
        found = Problems()
        for _ in range(ROUNDS):
            found, pin = Problems(), None
            try:
                pin = await self._pin()
                await self._compare(found, pin, settled)
                if not found.count:
                    break
                # What differs may have been under way: the outbox looks again, and so do we.
                settled = await settle() if settle is not None else settled
                again = Problems()
                pin = await self._pin()
                await self._compare(again, pin, settled)
                found = again
                now = await self._chain.block(pin.number) if pin is not None else None
                if not found.count or pin is None or (now is not None and now.hash == pin.hash):
                    break
            except ChainError as error:
                self.give_up(error.message, isinstance(error, ChainRefused))
        self._problems.extend(found)

    async def _pin(self) -> Block | None:
        """Return the chain's newest block; None when it cannot be asked, or there is nothing to ask for."""
        if self._trouble or self._contract is None:
            return None
        pin = await self._chain.block()
        if pin is None:
            raise ChainError("The chain has no blocks.")
        return pin

    async def _compare(self, problems: Problems, pin: Block | None, settled: bool) -> None:
        account = self._chain.account if self._contract is not None or not self._trouble else ""
        lineage = await self._run(Lineage, self._pages, account)
        outbox = OutboxCheck(
            self._pages,
            problems,
            chain_id=self._chain.chain_id,
            contract=self._contract,
            lineage=lineage,
            signer=named_signer if self._chain.name == "memory" else signer,
        )
        check = None
        if pin is not None and self._contract is not None:
            check = ChainCheck(
                self._pages,
                problems,
                self._chain,
                outbox,
                accounts=lineage.accounts,
                contract=self._contract,
                pin=pin,
                last=self._last,
                settled=settled,
                reach=self._check_records,
            )
            await check.begin()
            sessions = await self._run(self._pages.one, "SELECT count(DISTINCT session) FROM ledger_records")
            await check.check_sessions(lambda done: self._progress(Progress("chain", done, sessions)))
        total = await self._run(self._pages.one, "SELECT count(*) FROM ledger_outbox")
        for account, chain_id in await self._run(outbox.accounts):
            pages = outbox.rows(account, chain_id)
            while (rows := await self._run(next, pages, None)) is not None:
                if check is not None:
                    await check.check_transactions(rows)
                self._progress(Progress("transactions", outbox.checked, max(outbox.checked, total)))
        if outbox.checked < total:
            text = f"{total - outbox.checked} rows of the outbox were altered: they name no account or nonce."
            problems.other(0, text)
        if check is not None:
            await check.end()
            self._confirmed, self._pending, self._sessions = check.confirmed, check.pending, check.sessions

    async def _inspect(self) -> None:
        # A node that fails over what is damaged may still look through its own file.
        try:
            async for found in self._chain.inspect():
                if isinstance(found, str):
                    self._problems.other(0, found)
                else:
                    self._progress(Progress("chain", found, 100))
        except ChainError as error:
            if not self._trouble:
                self.give_up(error.message, isinstance(error, ChainRefused))

    def _verdict(self, checked: int, erased: int) -> Verdict:
        problems = list(self._problems.texts)
        anchored = self._anchored
        if self._trouble or self._contract is None:
            self._confirmed, self._pending = 0, checked
        finding: Finding = "ok"
        if self._problems.count:
            finding = "bad"
        elif self._trouble or anchored.unreachable:
            finding = "unreachable"
        elif self._pending:
            finding = "pending"
        if self._trouble and self._trouble not in problems:
            problems.append(f"The chain could not be asked: {self._trouble}")
        problems += [f"An anchor could not be asked: {text}" for text in anchored.unreachable]
        covered = max((found.last for found in anchored.anchored), default=0)
        return Verdict(
            finding=finding,
            checked=checked,
            confirmed=self._confirmed,
            pending=self._pending,
            erased=erased,
            sessions=self._sessions,
            anchored=anchored.anchored,
            unanchored=covered + 1 if covered < checked else None,
            problems=tuple(problems),
            message=self._message(finding, checked, problems),
        )

    def _message(self, finding: Finding, checked: int, problems: Sequence[str]) -> str:
        if finding == "bad":
            count = self._problems.count
            return f"{count} problem{'s' * (count > 1)} found. {problems[0]}"
        if finding == "unreachable":
            return f"The {_records(checked)} in the database agree with each other. {problems[0]}"
        if finding == "pending":
            return f"{_records(self._pending)} of {checked:,} have not reached the chain yet."
        where = "1 session" if self._sessions == 1 else f"{self._sessions} sessions"
        return f"All {_records(checked)} in {where} are as recorded, and on the chain."

    async def _run(self, work: Callable[..., T], *values: object) -> T:
        return await anyio.to_thread.run_sync(partial(work, *values))


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"
