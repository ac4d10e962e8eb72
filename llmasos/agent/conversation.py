"""A conversation as the model is told it: the newest turns whole, those before them as a digest."""

from __future__ import annotations

import json
from collections.abc import Sequence

import anyio.to_thread
from pydantic import TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import CompactionRow, TurnRow
from llmasos.agent.digest import TOLD, Entry, digest, entries_of, messages_of
from llmasos.agent.lineage import lineage, turns_of
from llmasos.agent.stream import EventStream
from llmasos.api import Compacted
from llmasos.events import Notice
from llmasos.store import Store

REMEMBERED = 12
"""Turns that are told whole at most."""

_SHARE = 0.4  # of the model's context, for all of the conversation
_HIGHEST = 0.6  # of it, for two turns that are long
_TOLD_EACH = 6  # turns, after which it is said again that turns are told in short
_DIGEST = 0.07  # of it, for the digest: small models read their tools in most of it
_LEAST_DIGEST = 1200  # characters
_BYTES_PER_TOKEN = 3
_ENTRIES = TypeAdapter(list[Entry])


class Conversation:
    """The turns of one session.

    Args:
        store: The database.
        session: The session.
        stream: Its events.
    """

    def __init__(self, store: Store, session: str, stream: EventStream) -> None:
        self._store = store
        self._session = session
        self._stream = stream

    async def history(self, context: int, turn: str = "") -> list[ModelMessage]:
        """Return the messages before a turn, with older turns compacted when there are too many.

        Args:
            context: Tokens that the model keeps in view.
            turn: The turn that begins, for what is told of that.
        """
        entries, turns = await self._load()
        if _too_long(turns, context):
            # By halves, so that it is not done with each turn.
            most = int(context * _SHARE * _BYTES_PER_TOKEN) // 2
            kept = turns[-REMEMBERED // 2 :]
            while len(kept) > 1 and _size(kept) > most:
                kept = kept[1:]
            folded = turns[: len(turns) - len(kept)]
            done = await self._fold(entries, folded, context)
            if not entries or folded[-1].number // _TOLD_EACH > entries[-1].number // _TOLD_EACH:
                await self._tell(done, turn)
            entries, turns = await self._load()
        said = messages_of(digest(entries, _room(context))) if entries else []
        whole = [one for row in turns for one in ModelMessagesTypeAdapter.validate_json(row.messages)]
        return [*said, *whole]

    async def compact(self, keep: int, context: int) -> Compacted:
        """Have all but the newest turns told as a digest from now on, and say so in the session.

        Args:
            keep: How many turns are told whole.
            context: Tokens that the model keeps in view.
        """
        entries, turns = await self._load()
        folded = turns[: max(0, len(turns) - keep)]
        if not folded:
            return Compacted()
        done = await self._fold(entries, folded, context)
        await self._tell(done)
        return done

    async def _fold(self, entries: Sequence[Entry], folded: Sequence[TurnRow], context: int) -> Compacted:
        """Have turns told in short from now on, which come after those of the entries."""
        events = await self._stream.read(await self._stream.before(folded[0].id), types=TOLD)
        numbers = {row.id: row.number for row in folded}
        fresh = await anyio.to_thread.run_sync(entries_of, events, numbers)
        row = CompactionRow(
            session=self._session, turn=folded[-1].number, entries=_ENTRIES.dump_json(fresh).decode()
        )
        await self._store.run(lambda transaction: transaction.merge(row) and None)
        return Compacted(
            turns=len(folded),
            characters=len(digest([*entries, *fresh], _room(context))),
            results=sum(entry.calls for entry in fresh),
        )

    async def _tell(self, done: Compacted, turn: str = "") -> None:
        turns = f"{done.turns:,} turn" if done.turns == 1 else f"{done.turns:,} turns"
        results = "the result of 1 call" if done.results == 1 else f"results of {done.results:,} calls"
        dropped = f"{results}, and long answers" if done.results else "long answers"
        text = (
            f"Compacted: {turns}, told in {done.characters:,} characters with those before. "
            f"What was said stays; dropped: {dropped}."
        )
        await self._stream.append(Notice(turn=turn, text=text))

    async def _load(self) -> tuple[list[Entry], Sequence[TurnRow]]:
        """Return the entries of the turns that are told in short, and the rows of those after them."""

        def load(transaction: Transaction) -> tuple[list[str], int, Sequence[TurnRow]]:
            parts = lineage(transaction, self._session)
            stored: list[str] = []
            after = 0
            for part in parts:
                query = select(CompactionRow).where(CompactionRow.session == part.session)
                if part.turn is not None:
                    query = query.where(CompactionRow.turn <= part.turn)
                if own := list(transaction.scalars(query.order_by(CompactionRow.turn))):
                    # A parent may have gone on since, and is told in short to another turn than its fork.
                    stored, after = [*stored, *(row.entries for row in own)], own[-1].turn
            rows = select(TurnRow).where(turns_of(parts), TurnRow.messages != "", TurnRow.number > after)
            return stored, after, list(transaction.scalars(rows.order_by(TurnRow.number)))

        stored, after, turns = await self._store.read(load)
        entries = {entry.number: entry for row in stored for entry in _ENTRIES.validate_json(row)}
        return [entries[number] for number in sorted(entries) if number <= after], turns


def _too_long(turns: Sequence[TurnRow], context: int) -> bool:
    """Return whether turns are more than are told whole.

    Of two that are long the older would have to go with each new one, so that these have more room.
    """
    if len(turns) > REMEMBERED:
        return True
    share = _HIGHEST if len(turns) == 2 else _SHARE
    return len(turns) > 1 and _size(turns) > int(context * share * _BYTES_PER_TOKEN)


def _size(turns: Sequence[TurnRow]) -> int:
    """Return the bytes of what is said, called and found in turns."""
    parts = (part for row in turns for one in json.loads(row.messages) for part in one["parts"])
    texts = (text for part in parts for text in (part.get("content"), part.get("args")) if text)
    return sum(len((text if isinstance(text, str) else json.dumps(text)).encode()) for text in texts)


def _room(context: int) -> int:
    """Return how many characters a digest may have."""
    return max(_LEAST_DIGEST, int(context * _DIGEST * _BYTES_PER_TOKEN))
