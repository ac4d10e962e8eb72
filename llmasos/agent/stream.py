"""A session's event stream: stored in order, and handed to whoever follows."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectSendStream
from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import EventRow
from llmasos.agent.lineage import Lineage, Stretch, events_of, lineage
from llmasos.agent.search import note
from llmasos.events import (
    EVENT,
    PASSING,
    ActionFinished,
    ActionOutput,
    AssistantText,
    Event,
    TextDelta,
    TurnFinished,
)
from llmasos.secrets import Redaction, Redactor
from llmasos.store import Store

E = TypeVar("E", bound=Event)
_AT_ONCE = 200


class EventStream:
    """The one history of a session.

    Stored events get consecutive numbers from 1; passing events have number 0 and only reach those
    who are following at the time. Secrets are taken out of all of them.
    """

    def __init__(
        self,
        store: Store,
        session: str,
        last: int,
        redactor: Redactor | None = None,
        parts: Lineage = (),
    ) -> None:
        self._store = store
        self._session = session
        self._last = last
        self._parts = parts or (Stretch(session),)
        self._redactor = redactor or Redactor()
        self._passing: dict[tuple[str, str], tuple[Redaction, Event]] = {}
        self._followers: set[MemoryObjectSendStream[Event]] = set()
        self._lock = anyio.Lock()

    @classmethod
    async def open(cls, store: Store, session: str, redactor: Redactor | None = None) -> EventStream:
        """Return the stream of a session, at its stored end."""
        parts = await store.run(lambda transaction: lineage(transaction, session))
        last = await store.run(lambda transaction: _last(transaction, parts))
        return cls(store, session, last, redactor, parts)

    @property
    def redactor(self) -> Redactor:
        """What takes the secrets out."""
        return self._redactor

    @property
    def last(self) -> int:
        """The number of the newest stored event."""
        return self._last

    async def append(self, event: E) -> E:
        """Number and store an event, then hand it to the followers; return it as stored."""
        self._let_go(event)
        event = self._redactor.value(event)

        def insert(transaction: Transaction) -> E:
            stored = event.model_copy(
                update={"session": self._session, "seq": _last(transaction, self._parts) + 1}
            )
            transaction.add(
                EventRow(
                    session=self._session,
                    seq=stored.seq,
                    turn=stored.turn,
                    type=stored.type,
                    body=stored.model_dump_json(),
                )
            )
            if self._store.sqlite:
                note(transaction, self._session, stored)
            return cast(E, stored)

        async with self._lock:
            stored = await self._store.run(insert)
            # Who was cancelled as it stored an event could not hand it out any more.
            missed = await self.read(self._last) if stored.seq > self._last + 1 else [stored]
            self._last = stored.seq
            for each in missed:
                self._hand_out(each)
        return stored

    def publish(self, event: Event) -> None:
        """Hand a passing event to the followers without storing it."""
        assert isinstance(event, PASSING)
        match event:
            case ActionOutput():
                self._pass((event.action, event.stream), event)
            case TextDelta():
                self._pass((event.turn, ""), event)
            case _:
                self._hand_out(self._named(self._redactor.value(event)))

    def announce(self, event: Event) -> None:
        """Hand an event to the followers that cannot be stored, because the database fails."""
        self._hand_out(self._named(self._redactor.value(event)))

    async def tail(self, turns: int) -> int:
        """Return the number of the event before the newest turns; 0 when there are no more than these."""
        begun = (
            select(EventRow.seq)
            .where(events_of(self._parts), EventRow.type == "turn_started")
            .order_by(EventRow.seq.desc())
            .offset(turns - 1)
            .limit(1)
        )
        found = await self._store.read(lambda transaction: transaction.scalar(begun))
        return found - 1 if found is not None else 0

    async def before(self, turn: str) -> int:
        """Return the number of the event before a turn; 0 when there is no such turn."""
        first = select(func.min(EventRow.seq)).where(events_of(self._parts), EventRow.turn == turn)
        found = await self._store.read(lambda transaction: transaction.scalar(first))
        return found - 1 if found else 0

    async def read(self, after: int = 0, turn: str = "", types: Sequence[str] = ()) -> list[Event]:
        """Return the stored events after a number, of one turn or of all, of some types or of every one."""

        def rows(transaction: Transaction) -> list[str]:
            query = select(EventRow.body).where(events_of(self._parts), EventRow.seq > after)
            if turn:
                query = query.where(EventRow.turn == turn)
            if types:
                query = query.where(EventRow.type.in_(types))
            return list(transaction.scalars(query.order_by(EventRow.seq)))

        bodies = await self._store.run(rows)
        if len(bodies) <= _AT_ONCE:
            return list(map(EVENT.validate_json, bodies))
        # Others go on meanwhile.
        return await anyio.to_thread.run_sync(lambda: list(map(EVENT.validate_json, bodies)))

    @asynccontextmanager
    async def follow(self, after: int | None = 0) -> AsyncIterator[AsyncIterator[Event]]:
        """Follow the stream: first what is stored after a number, then what comes, without a gap.

        Args:
            after: The number; None follows only what comes.
        """
        send, receive = anyio.create_memory_object_stream[Event](math.inf)
        async with self._lock:
            self._followers.add(send)
            stored = await self.read(after) if after is not None else []

        async def events() -> AsyncIterator[Event]:
            for event in stored:
                yield event
            async for event in receive:
                yield event

        try:
            yield events()
        finally:
            self._followers.discard(send)
            send.close()
            receive.close()

    def close(self) -> None:
        """End every follower's iteration."""
        for follower in self._followers:
            follower.close()
        self._followers.clear()

    def _pass(self, key: tuple[str, str], event: ActionOutput | TextDelta) -> None:
        """Hand out as much of what is streamed as can hold no part of a secret."""
        redaction, _ = self._passing.setdefault(key, (self._redactor.stream(), event))
        if text := redaction.feed(event.text):
            self._hand_out(self._named(event.model_copy(update={"text": text})))

    def _let_go(self, event: Event) -> None:
        """Hand out what was held back of the streams that end with an event."""
        match event:
            case ActionFinished():
                ended = [(event.action, "stdout"), (event.action, "stderr")]
            case AssistantText() | TurnFinished():
                ended = [(event.turn, "")]
            case _:
                return
        for key in ended:
            if key in self._passing:
                redaction, passing = self._passing.pop(key)
                if text := redaction.close():
                    self._hand_out(self._named(passing.model_copy(update={"text": text})))

    def _named(self, event: E) -> E:
        return cast(E, event.model_copy(update={"session": self._session}))

    def _hand_out(self, event: Event) -> None:
        for follower in list(self._followers):
            follower.send_nowait(event)


def _last(transaction: Transaction, parts: Lineage) -> int:
    """Return the number of the newest stored event."""
    own = parts[-1].session
    newest = transaction.scalar(select(func.max(EventRow.seq)).where(EventRow.session == own))
    return newest or (parts[-2].seq if len(parts) > 1 else 0) or 0
