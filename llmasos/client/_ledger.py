"""What both clients ask the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal

from llmasos.api import (
    AccountInfo,
    AnchorInfo,
    AnchorRequest,
    Erased,
    EraseRequest,
    LedgerInfo,
    ProofRequest,
    RecordFilter,
    RecordInfo,
    RecordQuery,
    RotateRequest,
    VerifyLine,
    VerifyProgress,
    VerifyReport,
)
from llmasos.client._connection import Connection
from llmasos.client._errors import RequestRefused, gone
from llmasos.client._names import path_part


class LedgerCalls:
    """The part of the asynchronous client that asks the ledger."""

    async def ledger(self: Connection) -> LedgerInfo:
        """Return where the ledger stands."""
        return await self.request("GET", "/v1/ledger", LedgerInfo)

    async def verify(
        self: Connection, progress: Callable[[VerifyProgress], None] = lambda step: None
    ) -> VerifyReport:
        """Have the whole ledger verified.

        Args:
            progress: Told how far it is.
        """
        async with self.stream("POST", "/v1/ledger/verify") as response:
            async for text in response.aiter_lines():
                line = VerifyLine.model_validate_json(text)
                if line.progress is not None:
                    progress(line.progress)
                if line.error is not None:
                    raise RequestRefused(line.error)
                if line.report is not None:
                    return line.report
        raise gone()

    async def records(
        self: Connection,
        session: str | None = None,
        limit: int = 100,
        *,
        action: str = "",
        kinds: Sequence[str] = (),
        tool: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        after: int = 0,
        bodies: bool = False,
    ) -> list[RecordInfo]:
        """Return the newest records of the ledger, or the first ones after a number; oldest first.

        Args:
            session: Only those of this session.
            limit: How many at most.
            action: Only those of this action.
            kinds: Only those of these kinds.
            tool: Only those of this tool.
            since: Only those made at this moment or later.
            until: Only those made before this moment.
            after: Only those with a higher number.
            bodies: Give what was recorded, too.

        Raises:
            RequestRefused: There is no such session, action, tool or kind.
        """
        wanted = RecordQuery(
            session=session or "",
            limit=limit,
            action=action,
            kinds=tuple(kinds),
            tool=tool,
            since=since,
            until=until,
            after=after,
            bodies=bodies,
        )
        return await self.request("GET", "/v1/ledger/records", list[RecordInfo], query=query_of(wanted))

    @asynccontextmanager
    async def follow_records(
        self: Connection, wanted: RecordQuery
    ) -> AsyncIterator[AsyncIterator[RecordInfo]]:
        """Follow the ledger: the records that are there, then those to come."""
        query = query_of(wanted.model_copy(update={"follow": True}))
        async with self.stream("GET", "/v1/ledger/records", query=query) as response:
            lines = response.aiter_lines()
            # The first line says that nothing is missed from here on.
            await anext(lines, None)
            yield _records(lines)

    async def show_record(self: Connection, what: str) -> list[RecordInfo]:
        """Return everything that is recorded of an action, or the record of a number.

        Raises:
            RequestRefused: There is none.
        """

        return await self.request("GET", f"/v1/ledger/records/{path_part(what)}", list[RecordInfo])

    async def prove(self: Connection, what: str, *, up_to_anchor: bool = False) -> dict[str, Any]:
        """Return the proof of an action, or of the record of a number.

        Args:
            what: The action, or the number.
            up_to_anchor: Lead it up to a block that a place outside vouches for.

        Raises:
            RequestRefused: There is none, or it is not on the chain or not anchored yet.
        """
        wanted = ProofRequest(what=what, up_to_anchor=up_to_anchor)
        return await self.request("POST", "/v1/ledger/prove", dict[str, Any], wanted)

    @asynccontextmanager
    async def export(
        self: Connection, which: RecordFilter, format: Literal["html", "json"] = "html"
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read records with their proofs: one page, or JSON lines."""
        query = {**query_of(which), "format": format}
        async with self.stream("GET", "/v1/ledger/export", query=query) as response:
            yield response.aiter_bytes()

    async def anchor(self: Connection, target: str = "") -> list[AnchorInfo]:
        """Tell one place outside, or all, of the records so far.

        Raises:
            RequestRefused: There is no such place, or it cannot be reached.
        """
        return await self.request("POST", "/v1/ledger/anchor", list[AnchorInfo], AnchorRequest(target=target))

    async def erase(
        self: Connection, which: RecordFilter, reason: str = "", *, count_only: bool = False
    ) -> int:
        """Erase the bodies of records, which stay provable, and return how many there were.

        Args:
            which: The records; not all of them.
            reason: Why; it is recorded.
            count_only: Erase nothing.
        """
        wanted = EraseRequest(which=which, reason=reason, count_only=count_only)
        return (await self.request("POST", "/v1/ledger/erase", Erased, wanted)).count

    async def rotate_key(self: Connection, key: str = "") -> str:
        """Hand the ledger to another key, and return the address of its account.

        Args:
            key: In hexadecimal; a new one is made when it is empty and the chain is ours.
        """
        wanted = RotateRequest.model_validate({"key": key})
        return (await self.request("POST", "/v1/ledger/rotate", AccountInfo, wanted)).account


def query_of(wanted: RecordFilter) -> dict[str, str | list[str]]:
    """Return a question as a query, without what is left at its default."""
    plain = wanted.model_dump(mode="json", exclude_defaults=True)
    texts = {True: "true", False: "false"}
    return {
        name: value if isinstance(value, list) else texts.get(value, str(value))
        for name, value in plain.items()
    }


async def _records(lines: AsyncIterator[str]) -> AsyncIterator[RecordInfo]:
    async for line in lines:
        yield RecordInfo.model_validate_json(line)
