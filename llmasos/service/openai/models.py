"""The list of models: `GET /v1/models`."""

from __future__ import annotations

from datetime import datetime

from llmasos.service.openai.endpoint import Call, Empty, Json
from llmasos.service.openai.gateway import Gateway


class ModelList:
    """Answers which models there are.

    Args:
        gateway: Where models are asked.
        created: What is told as the time that they were made, which nobody knows of files.
    """

    def __init__(self, gateway: Gateway, created: datetime) -> None:
        self._gateway = gateway
        self._created = int(created.timestamp())

    async def list(self, call: Call[Empty]) -> None:
        """Return the models that the caller may ask."""
        names = self._gateway.names(call.caller.access)
        await call.reply.whole({"object": "list", "data": [self._object(name) for name in names]})

    async def show(self, call: Call[Empty]) -> None:
        """Return one model."""
        name = call.path["model"]
        self._gateway.find(name, call.caller.access)
        await call.reply.whole(self._object(name))

    def _object(self, name: str) -> Json:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "llmasos"}
