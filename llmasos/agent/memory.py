"""Memory: what a person asked to remember, and is told to the model with each turn."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import MemoryRow
from llmasos.api import Fact
from llmasos.errors import InvalidValueError, UnknownFactError
from llmasos.secrets import Redactor
from llmasos.store import Store

LONGEST = 1000
_MOST = 1000
_TOLD = 2000
_TOLD_SMALL = 300


class Memory:
    """The facts of everybody who may have some: of the machine's own user, and of each key.

    Args:
        store: The database.
        redactor: Takes secrets out.
    """

    def __init__(self, store: Store, redactor: Redactor) -> None:
        self._store = store
        self._redactor = redactor

    async def add(self, text: str, folder: str = "", owner: str = "") -> Fact:
        """Remember something; what is remembered there, or everywhere, already is returned as it is.

        Args:
            text: What.
            folder: The folder where it holds; empty for everywhere.
            owner: Whose it is: a key's id, or empty for the machine's own user.

        Raises:
            InvalidValueError: It is empty or too long, or too much is remembered already.
        """
        row = MemoryRow(
            id=f"m-{secrets.token_hex(4)}",
            owner=owner,
            folder=folder,
            text=self._checked(text),
            at=datetime.now(UTC),
        )

        def insert(transaction: Transaction) -> Fact:
            same = select(MemoryRow).where(MemoryRow.owner == owner, MemoryRow.folder.in_({folder, ""}))
            for known in transaction.scalars(same):
                if known.text.casefold() == row.text.casefold():
                    return _fact(known).model_copy(update={"already": True})
            count = select(func.count()).select_from(MemoryRow).where(MemoryRow.owner == owner)
            if (transaction.scalar(count) or 0) >= _MOST:
                raise InvalidValueError(
                    f"{_MOST:,} facts are remembered already.", hint="Remove some: llmasos memory list --all"
                )
            transaction.add(row)
            return _fact(row)

        return await self._store.run(insert)

    async def list(self, folder: str | None = None, owner: str = "") -> list[Fact]:
        """Return what is remembered, the newest first: for a folder and everywhere, or all."""
        query = select(MemoryRow).where(MemoryRow.owner == owner)
        if folder is not None:
            query = query.where(or_(MemoryRow.folder == folder, MemoryRow.folder == ""))
        query = query.order_by(MemoryRow.at.desc(), MemoryRow.id)
        return await self._store.read(lambda transaction: list(map(_fact, transaction.scalars(query))))

    async def edit(self, fact: str, text: str, owner: str = "") -> Fact:
        """Put another text in the place of a fact's.

        Raises:
            UnknownFactError: There is none.
            InvalidValueError: The text is empty or too long.
        """
        text = self._checked(text)

        def change(transaction: Transaction) -> Fact:
            row = _own(transaction, fact, owner)
            row.text, row.at = text, datetime.now(UTC)
            return _fact(row)

        return await self._store.run(change)

    async def remove(self, fact: str, owner: str = "") -> None:
        """Forget a fact.

        Raises:
            UnknownFactError: There is none.
        """
        await self._store.run(lambda transaction: transaction.delete(_own(transaction, fact, owner)))

    def _checked(self, text: str) -> str:
        text = " ".join(self._redactor.text(text).split())
        if not text:
            raise InvalidValueError("There is nothing to remember.", hint="Say what is to be remembered.")
        if len(text) > LONGEST:
            raise InvalidValueError(
                f"A fact has {LONGEST:,} characters at most, and this has {len(text):,}.",
                hint="Put it into a file of the folder, and remember where it stands.",
            )
        return text


def told(facts: Sequence[Fact], *, small: bool) -> str:
    """Return what a model is told of facts, the newest first; nothing without any.

    Args:
        facts: The facts, the newest first.
        small: Whether the model is a small one, which is told less.
    """
    lines = list(_fitting(facts, _TOLD_SMALL if small else _TOLD))
    return "\n".join(("The person asked to keep in mind:", *lines)) if lines else ""


def _fitting(facts: Sequence[Fact], budget: int) -> Iterator[str]:
    for fact in facts:
        line = f"- {fact.text}"
        budget -= len(line)
        if budget >= 0:
            yield line


def _own(transaction: Transaction, fact: str, owner: str) -> MemoryRow:
    row = transaction.get(MemoryRow, fact)
    if row is None or row.owner != owner:
        raise UnknownFactError(
            f"There is no fact {fact[:100]!r}.", hint="`llmasos memory list --all` lists them."
        )
    return row


def _fact(row: MemoryRow) -> Fact:
    return Fact(id=row.id, text=row.text, folder=row.folder, at=row.at.replace(tzinfo=UTC))
