"""Reading and writing the rows of keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from llmasos.api import KeyInfo
from llmasos.service.access._tables import KeyRow, KeySessionRow, KeyUsageRow
from llmasos.service.access.usage import Tally
from llmasos.store import Store

_TIMES = ("created", "expires", "revoked", "last_used")
_SUMS = {"today", "month", "total"}
LONGEST_MODEL = 200
"""Characters of a model's name that are stored."""

Place = tuple[str, str, str]
"""A key, a day and a model, whose name is not too long."""


async def insert(store: Store, key: KeyInfo, digest: str) -> None:
    """Store a new key."""
    fields = {**_fields(key), "digest": digest}

    def work(transaction: Transaction) -> None:
        transaction.add(KeyRow(**fields))

    await store.run(work, durable=True)


async def set_time(store: Store, key: str, name: Literal["revoked", "last_used"], at: datetime) -> None:
    """Store when a key was revoked, or last used."""

    def work(transaction: Transaction) -> None:
        setattr(transaction.get_one(KeyRow, key), name, at.isoformat())

    await store.run(work, durable=name == "revoked")


async def load(store: Store) -> list[tuple[KeyInfo, str]]:
    """Return every key with the digest of its secret."""

    def work(transaction: Transaction) -> list[tuple[KeyInfo, str]]:
        return [(_info(row), row.digest) for row in transaction.scalars(select(KeyRow))]

    return await store.read(work)


async def add_usage(store: Store, tallies: Mapping[Place, Tally]) -> None:
    """Add calls to what keys have used."""

    def work(transaction: Transaction) -> None:
        for (key, day, model), tally in tallies.items():
            row = transaction.get(KeyUsageRow, (key, day, model))
            if row is None:
                row = KeyUsageRow(
                    key=key, day=day, model=model, calls=0, input_tokens=0, output_tokens=0, cost=0.0
                )
                transaction.add(row)
            row.calls += tally.calls
            row.input_tokens += tally.input_tokens
            row.output_tokens += tally.output_tokens
            row.cost += tally.cost

    await store.run(work)


async def load_usage(store: Store) -> list[tuple[str, str, Tally]]:
    """Return what each key used on each day."""
    row, total = KeyUsageRow, func.sum
    query = select(
        row.key,
        row.day,
        total(row.calls),
        total(row.input_tokens),
        total(row.output_tokens),
        total(row.cost),
    ).group_by(row.key, row.day)

    def work(transaction: Transaction) -> list[tuple[str, str, Tally]]:
        return [
            (key, day, Tally(int(calls), int(read), int(written), float(cost)))
            for key, day, calls, read, written, cost in transaction.execute(query)
        ]

    return await store.read(work)


async def insert_session(store: Store, session: str, key: str) -> None:
    """Store whose a session is."""

    def work(transaction: Transaction) -> None:
        transaction.add(KeySessionRow(session=session, key=key))

    await store.run(work)


async def session_owner(store: Store, session: str) -> str:
    """Return the key that began a session; empty when none did."""

    def work(transaction: Transaction) -> str:
        row = transaction.get(KeySessionRow, session)
        return row.key if row else ""

    return await store.read(work)


async def sessions_of(store: Store, key: str) -> set[str]:
    """Return the sessions that a key began."""

    def work(transaction: Transaction) -> set[str]:
        return set(transaction.scalars(select(KeySessionRow.session).where(KeySessionRow.key == key)))

    return await store.read(work)


def _fields(key: KeyInfo) -> dict[str, object]:
    fields = key.model_dump(exclude=_SUMS)
    times = {name: fields[name].isoformat() if fields[name] else None for name in _TIMES}
    return {**fields, **times, "scopes": list(key.scopes), "models": list(key.models)}


def _info(row: KeyRow) -> KeyInfo:
    fields = {name: getattr(row, name) for name in KeyInfo.model_fields if name not in _SUMS}
    times = {name: datetime.fromisoformat(fields[name]) if fields[name] else None for name in _TIMES}
    return KeyInfo.model_validate({**fields, **times})
