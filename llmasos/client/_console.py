"""What both clients ask about the console."""

from __future__ import annotations

from llmasos.api.console import ConsoleLink, ConsoleRequest
from llmasos.client._connection import Connection


class ConsoleCalls:
    """The part of the asynchronous client that is about the console."""

    async def console_link(self: Connection, key: str = "") -> ConsoleLink:
        """Return a link that opens the console in one browser, once.

        Args:
            key: The id of the key as which it will be used; by default this machine's own user.

        Raises:
            RequestRefused: The console is off, or there is no such key.
        """
        return await self.request("POST", "/v1/console/links", ConsoleLink, ConsoleRequest(key=key))
