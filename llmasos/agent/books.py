"""The books: the ledger as clients see it, with what is wrong in their questions said in words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from llmasos.agent.asker import asker
from llmasos.agent.audit import audit_events
from llmasos.agent.wording import as_anchor, as_filter, as_info, as_report
from llmasos.api import (
    AccountInfo,
    AnchorInfo,
    ErasureInfo,
    LedgerInfo,
    RecordFilter,
    RecordInfo,
    RecordQuery,
    VerifyProgress,
    VerifyReport,
)
from llmasos.config import LedgerSettings
from llmasos.errors import ConfigError, LedgerError, UnknownRecordError
from llmasos.ledger import SYSTEM, Filter, Ledger, Progress, Record
from llmasos.store import Store

_AT_ONCE = 1000
_LONGEST_NUMBER = 20
_MOST_OF_AN_ACTION = 1000
# Before the first record; 0 asks for the newest ones.
_BEGINNING = -1
# What says that bodies were erased, and by which key, is never erased itself.
_LASTING = ("erase", "rotate")


class Books:
    """The ledger of a kernel in the words of its API.

    Args:
        settings: How the ledger is set up.
        store: The database, whose sessions are compared with the ledger.
        ledger: The ledger.
    """

    def __init__(self, settings: LedgerSettings, store: Store, ledger: Ledger) -> None:
        self._settings = settings
        self._store = store
        self._ledger = ledger

    async def info(self) -> LedgerInfo:
        """Return where the ledger stands."""
        status = await self._ledger.status()
        anchored = {one.target: as_anchor(one) for one in status.anchored}
        missing = [AnchorInfo(target=name) for name in self._settings.anchors if name not in anchored]
        return LedgerInfo(
            backend=status.backend,
            chain_id=status.chain_id,
            contract=status.contract or "",
            account=status.account,
            mode=status.mode,
            head_block=status.head_block,
            records=status.records,
            confirmed=status.confirmed,
            pending=status.pending,
            failed=status.failed,
            resent=status.resent,
            replaced=status.replaced,
            spent=status.spent,
            backlog=self._settings.backlog,
            anchors=(*anchored.values(), *missing),
            anchor_error=status.anchor_error,
            error=status.last_error,
            hint=status.hint,
        )

    async def records(self, query: RecordQuery) -> list[RecordInfo]:
        """Return records, oldest first.

        Raises:
            ConfigError: There is no such kind.
            UnknownRecordError: There is no such session, action or tool.
        """
        which = as_filter(query)
        found = await self._ledger.records(which, query.limit, bodies=query.bodies)
        if not found:
            await self._refuse_unknown(which)
        return [as_info(record) for record in found]

    async def follow(self, query: RecordQuery) -> AsyncIterator[RecordInfo]:
        """Yield records, those that are there and then those to come, without an end."""
        which = as_filter(query)
        last = await self._newest()
        for record in await self._ledger.records(which, query.limit, bodies=query.bodies):
            last = max(last, record.number)
            yield as_info(record)
        while True:
            await self._ledger.wait(last)
            newest = await self._newest()
            page = replace(which, after=last or _BEGINNING)
            found = await self._ledger.records(page, _AT_ONCE, bodies=query.bodies)
            for record in found:
                yield as_info(record)
            # A page that is full may have left some out.
            reached = found[-1].number if found else 0
            last = reached if len(found) == _AT_ONCE else max(newest, reached)

    async def show(self, what: str) -> list[RecordInfo]:
        """Return everything that is recorded of an action, or the record of a number, with why it was erased.

        Raises:
            UnknownRecordError: There is none.
        """
        shown = []
        for record in await self._find(what, bodies=True):
            erasure = await self._erasure(record.number) if record.erased else None
            shown.append(as_info(record).model_copy(update={"erasure": erasure}))
        return shown

    async def verify(self, progress: Callable[[VerifyProgress], None] = lambda step: None) -> VerifyReport:
        """Recompute the ledger and compare it with the chain, the anchors and the sessions' events."""

        def tell(step: Progress) -> None:
            progress(VerifyProgress(step=step.step, done=step.done, total=step.total))

        verdict = await self._ledger.verify(tell)
        if verdict.finding == "bad":
            return as_report(verdict)
        audit = await audit_events(
            self._store, self._ledger, lambda done, total: tell(Progress("sessions", done, total))
        )
        if audit.problems:
            message = f"The sessions do not show what was recorded: {audit.problems[0]}."
            unlike = replace(
                verdict, finding="bad", problems=(*verdict.problems, *audit.problems), message=message
            )
            return as_report(unlike)
        if audit.erased:
            left_out = f"Of {audit.events} events of sessions, {audit.erased} could not be compared"
            message = f"{verdict.message} {left_out}, because what was recorded of them was erased."
            return as_report(replace(verdict, message=message))
        return as_report(verdict)

    async def prove(self, what: str, *, up_to_anchor: bool = False) -> dict[str, Any]:
        """Return the proof of an action's records, or of the record of a number.

        Args:
            what: The action, or the number.
            up_to_anchor: Lead it up to a block that a place outside vouches for.

        Raises:
            UnknownRecordError: There is nothing to prove.
            LedgerError: It is not on the chain, or not anchored yet.
        """
        numbers = [record.number for record in await self._find(what)]
        return await self._ledger.prove(
            numbers, up_to=await self._anchored(numbers) if up_to_anchor else None
        )

    async def export(self, which: RecordFilter, *, html: bool) -> AsyncIterator[str]:
        """Yield records with their proofs piece by piece: one page, or JSON lines.

        Raises:
            UnknownRecordError: There is no such session, action or tool.
        """
        chosen = as_filter(which)
        if not await self._ledger.records(chosen, 1):
            await self._refuse_unknown(chosen)
        async for piece in self._ledger.export(chosen, html=html):
            yield piece

    async def anchor(self, target: str = "") -> list[AnchorInfo]:
        """Tell one place outside, or all, of the records so far."""
        return [as_anchor(made) for made in await self._ledger.anchor(target)]

    async def erase(self, which: RecordFilter, reason: str, *, count_only: bool = False) -> int:
        """Erase the bodies of records, and return how many there were.

        Args:
            count_only: Erase nothing.

        Raises:
            ConfigError: Everything would be erased, or no reason is given.
        """
        if which.empty:
            raise ConfigError(
                "This would erase every body.",
                hint="Name an action, a session, or a time before which to erase.",
            )
        chosen = as_filter(which)
        if count_only:
            return await self._count_bodies(chosen)
        if not reason.strip():
            raise ConfigError("The reason is missing.", hint="Say why with --reason; it is recorded.")
        return await self._ledger.erase(chosen, reason.strip(), str(asker()))

    async def rotate(self, key: str = "") -> AccountInfo:
        """Hand the ledger to another key, a new one where none is given, and return its account."""
        return AccountInfo(account=await self._ledger.rotate(key))

    async def _newest(self) -> int:
        newest = await self._ledger.records(limit=1)
        return newest[-1].number if newest else 0

    async def _find(self, what: str, *, bodies: bool = False) -> Sequence[Record]:
        if what.isascii() and what.isdecimal():
            # Larger ones are no numbers of a database.
            number = int(what[:_LONGEST_NUMBER])
            if 0 < number < 2**63 and len(what) < _LONGEST_NUMBER:
                page = Filter(after=number - 1 or _BEGINNING)
                found = await self._ledger.records(page, 1, bodies=bodies)
                if found and found[0].number == number:
                    return found
            raise UnknownRecordError(
                f"There is no record {what[:40]}.", hint="`llmasos ledger log` lists them."
            )
        found = (
            await self._ledger.records(Filter(action=what), _MOST_OF_AN_ACTION, bodies=bodies) if what else []
        )
        if not found:
            raise UnknownRecordError(
                f"Nothing is recorded of an action {what!r}.",
                hint="`llmasos ledger log` names the actions; a record's number will do as well.",
            )
        return found

    async def _refuse_unknown(self, which: Filter) -> None:
        for name in ("session", "action", "tool"):
            value = getattr(which, name)
            if value and not await self._ledger.records(Filter(**{name: value}), 1):
                raise UnknownRecordError(
                    f"Nothing is recorded of the {name} {value!r}.",
                    hint="`llmasos ledger log` shows what is.",
                )

    async def _erasure(self, number: int) -> ErasureInfo | None:
        """Return why a record's body was erased, by the record that says so."""
        page = Filter(session=SYSTEM, kinds=("erase",), after=number)
        while found := await self._ledger.records(page, _AT_ONCE, bodies=True):
            for record in found:
                body = record.body or {}
                if any(first <= number <= last for first, last in body.get("ranges", [])):
                    return ErasureInfo(
                        at=datetime.fromisoformat(record.at), reason=str(body["reason"]), by=str(body["by"])
                    )
            page = replace(page, after=found[-1].number)
        return None

    async def _anchored(self, numbers: Sequence[int]) -> int:
        status = await self._ledger.status()
        blocks = [one.block for one in status.anchored if one.block and one.last >= max(numbers)]
        if not blocks:
            raise LedgerError(
                f"No place outside vouches for record {max(numbers)} yet.",
                hint="Tell one with `llmasos ledger anchor`, or leave --up-to-anchor away.",
            )
        return min(blocks)

    async def _count_bodies(self, which: Filter) -> int:
        count, page = 0, replace(which, after=which.after or _BEGINNING)
        while found := await self._ledger.records(page, _AT_ONCE):
            count += sum(not record.erased and record.kind not in _LASTING for record in found)
            page = replace(page, after=found[-1].number)
        if not count:
            await self._refuse_unknown(which)
        return count
