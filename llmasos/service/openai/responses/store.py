"""Responses that are remembered, each for its owner only."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence

from sqlalchemy import Index, Text, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from llmasos.service.openai.endpoint import Json
from llmasos.store import Base, Store

DAYS = 30
"""Days for which responses are kept."""

MOST_BEFORE = 1000
"""Responses that one may follow on, one after the other."""

MOST_CHARACTERS = 32_000_000
"""Characters of a conversation that is gone on with, as it is stored."""

_MOST_AT_ONCE = 500
_ID = re.compile(r"resp_[0-9a-f]{32}")


class ResponseRow(Base):
    """A response, and the items that it replied to."""

    __tablename__ = "responses"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    created: Mapped[float]
    previous: Mapped[str]
    input: Mapped[str] = mapped_column(Text)
    response: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        Index("ix_responses_created", "created"),
        Index("ix_responses_owner", "owner", "created"),
    )


class ResponseStore:
    """Keeps responses in the database.

    Args:
        store: The database.
        most: Responses that are kept for each owner; the oldest go.
    """

    def __init__(self, store: Store, most: int = 1000) -> None:
        self._store = store
        self._most = most

    async def keep(self, owner: str, response: Json, items: Sequence[Json]) -> None:
        """Keep a response, and forget those whose days are over, and the oldest where there are too many.

        Args:
            owner: Who may read it.
            response: The response.
            items: What it replied to.
        """

        def write(session: Session) -> None:
            session.execute(delete(ResponseRow).where(ResponseRow.created < time.time() - DAYS * 86_400))
            before = select(ResponseRow.id).where(ResponseRow.owner == owner)
            newest_first = before.order_by(ResponseRow.created.desc(), ResponseRow.id)
            # Not every database takes an offset without a limit, or within a deletion.
            surplus = session.scalars(newest_first.offset(self._most - 1).limit(_MOST_AT_ONCE)).all()
            session.execute(delete(ResponseRow).where(ResponseRow.id.in_(surplus)))
            session.add(
                ResponseRow(
                    id=response["id"],
                    owner=owner,
                    created=time.time(),
                    previous=response["previous_response_id"] or "",
                    input=json.dumps(items),
                    response=json.dumps(response),
                )
            )

        await self._store.run(write)

    async def find(self, owner: str, id: str) -> tuple[Json, list[Json]] | None:
        """Return a response and what it replied to; None when this owner has none of this id."""

        def read(session: Session) -> tuple[Json, list[Json]] | None:
            row = _row(session, owner, id)
            return (json.loads(row.response), json.loads(row.input)) if row is not None else None

        return await self._store.read(read)

    async def forget(self, owner: str, id: str) -> bool:
        """Forget a response; return whether there was one."""

        def write(session: Session) -> bool:
            row = _row(session, owner, id)
            if row is not None:
                session.delete(row)
            return row is not None

        return await self._store.run(write, durable=True)

    async def conversation(self, owner: str, id: str) -> list[Json] | None:
        """Return all that was said up to a response, its own output included.

        None when the response, or one before it, is not there any more, or when it is too much.
        """

        def read(session: Session) -> list[Json] | None:
            parts: list[list[Json]] = []
            place, left = id, MOST_CHARACTERS
            while place:
                row = _row(session, owner, place)
                if row is None or len(parts) == MOST_BEFORE:
                    return None
                left -= len(row.input) + len(row.response)
                if left < 0:
                    return None
                parts.append([*json.loads(row.input), *json.loads(row.response)["output"]])
                place = row.previous
            return [item for part in reversed(parts) for item in part]

        return await self._store.read(read)


def _row(session: Session, owner: str, id: str) -> ResponseRow | None:
    # Some databases fail on text that no id has.
    if not _ID.fullmatch(id):
        return None
    query = select(ResponseRow).where(ResponseRow.id == id, ResponseRow.owner == owner)
    return session.scalars(query).one_or_none()
