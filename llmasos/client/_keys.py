"""What both clients ask about keys."""

from __future__ import annotations

from llmasos.api import KeyCreated, KeyInfo, KeyRequest
from llmasos.client._connection import Connection
from llmasos.client._names import path_part


class KeyCalls:
    """The part of the asynchronous client that is about keys of other programs."""

    async def create_key(self: Connection, wanted: KeyRequest) -> KeyCreated:
        """Make a key; its secret is in the answer, and cannot be had again.

        Raises:
            RequestRefused: A budget is wanted, and there are no prices.
        """
        return await self.request("POST", "/v1/keys", KeyCreated, wanted)

    async def keys(self: Connection) -> list[KeyInfo]:
        """Return every key, with what it has used."""
        return await self.request("GET", "/v1/keys", list[KeyInfo])

    async def key(self: Connection, key: str) -> KeyInfo:
        """Return one key, with what it has used.

        Raises:
            RequestRefused: There is none.
        """
        return await self.request("GET", f"/v1/keys/{path_part(key)}", KeyInfo)

    async def revoke_key(self: Connection, key: str) -> KeyInfo:
        """End a key at once.

        Raises:
            RequestRefused: There is none.
        """
        return await self.request("POST", f"/v1/keys/{path_part(key)}/revoke", KeyInfo)
