"""What both clients ask about the reasons of what was done."""

from __future__ import annotations

from llmasos.api.explaining import Explanation
from llmasos.client._connection import Connection
from llmasos.client._names import path_part


class ExplainCalls:
    """The part of the asynchronous client that asks for explanations."""

    async def explain(self: Connection, id: str = "last") -> Explanation:
        """Return why an action or a turn was done, from the log alone.

        Args:
            id: An action, a turn, or a session for its last turn; `last` is the last turn of all.

        Raises:
            RequestRefused: There is no such thing.
        """
        return await self.request("GET", f"/v1/explanations/{path_part(id)}", Explanation)
