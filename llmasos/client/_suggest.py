"""What both clients ask for a person's shell."""

from __future__ import annotations

from llmasos.api.suggesting import Suggestion, SuggestRequest
from llmasos.client._connection import Connection


class SuggestCalls:
    """The part of the asynchronous client that asks for command lines."""

    async def suggest(self: Connection, wanted: SuggestRequest) -> Suggestion:
        """Return a command line for a sentence; nothing is run, and there is no session.

        Raises:
            RequestRefused: There is no such model, or it wrote no command line.
        """
        return await self.request("POST", "/v1/suggestions", Suggestion, wanted)
