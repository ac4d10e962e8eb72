"""What both clients ask about memory."""

from __future__ import annotations

from pathlib import Path

from llmasos.api import Fact, FactChange, FactRequest
from llmasos.client._connection import Connection
from llmasos.client._names import path_part


class MemoryCalls:
    """The part of the asynchronous client that is about memory."""

    async def facts(self: Connection, folder: str | Path | None = None) -> list[Fact]:
        """Return what is remembered, the newest first: for a folder and everywhere, or all."""
        query = {"folder": _absolute(folder)} if folder is not None else {}
        return await self.request("GET", "/v1/memory", list[Fact], query=query)

    async def remember(self: Connection, text: str, folder: str | Path | None = None) -> Fact:
        """Have something remembered, in a folder or everywhere.

        Raises:
            RequestRefused: It is empty or too long.
        """
        body = FactRequest(text=text, folder=_absolute(folder) if folder is not None else "")
        return await self.request("POST", "/v1/memory", Fact, body)

    async def change_fact(self: Connection, fact: str, text: str) -> Fact:
        """Put another text in the place of what is remembered."""
        return await self.request("PATCH", _path(fact), Fact, FactChange(text=text))

    async def forget(self: Connection, fact: str) -> None:
        """Have something forgotten."""
        await self.delete(_path(fact))


def _absolute(folder: str | Path) -> str:
    return str(Path(folder).expanduser().absolute())


def _path(fact: str) -> str:
    return f"/v1/memory/{path_part(fact)}"
