"""The gateway: from a caller's name of a model to a chat whose calls are allowed, counted and recorded."""

from __future__ import annotations

from typing import Protocol

from llmasos.agent.recorded_chat import RecordedChat
from llmasos.ledger import Ledger
from llmasos.models import Origin
from llmasos.models.chat.port import Chat
from llmasos.models.engines.port import TokenUsage
from llmasos.models.scheduler.types import Client
from llmasos.service.openai.errors import ApiError
from llmasos.service.openai.identity import Access, Caller


class ChatModels(Protocol):
    """The kernel's models, as far as the gateway knows them."""

    def names(self) -> tuple[str, ...]:
        """Return the names that can be chosen from."""

    def chat(self, name: str, client: Client) -> Chat:
        """Return the chat with a model, on behalf of a client."""

    async def chat_origin(self, name: str) -> Origin:
        """Return where a model's replies come from."""


class Gateway:
    """Leads callers to the kernel's models.

    Args:
        models: The models.
        ledger: Where calls are recorded.
    """

    def __init__(self, models: ChatModels, ledger: Ledger) -> None:
        self._models = models
        self._ledger = ledger

    def names(self, access: Access | None) -> list[str]:
        """Return the models that a caller may ask."""
        return [name for name in self._models.names() if access is None or access.allows(name)]

    def check(self, name: str, access: Access | None) -> None:
        """Let a caller pass who may ask this model.

        Raises:
            ApiError: There is no such model, or it is not for this caller.
        """
        # Other names would have the kernel open files or reach the network for whoever calls.
        if name not in self._models.names():
            raise ApiError(
                404,
                f"The model {name[:200]!r} does not exist.",
                param="model",
                code="model_not_found",
                hint="GET /v1/models lists those that do.",
            )
        if access is not None and not access.allows(name):
            raise ApiError(
                403,
                f"This key may not ask the model {name!r}.",
                param="model",
                code="model_not_allowed",
                hint="GET /v1/models lists those that it may.",
            )

    def chat(self, name: str, caller: Caller, operation: str) -> RecordedChat:
        """Return the chat with a model.

        Args:
            name: The model.
            caller: Who asks.
            operation: What is done with it, as records say it.

        Raises:
            ApiError: There is no such model, or it is not for this caller.
        """
        self.check(name, caller.access)
        chat = self._models.chat(name, caller.client)

        async def origin() -> Origin:
            return await self._models.chat_origin(name)

        async def spent(usage: TokenUsage) -> None:
            if caller.access is not None:
                await caller.access.spent(name, usage.input, usage.output)

        return RecordedChat(
            chat,
            origin,
            self._ledger,
            session=caller.session,
            facts={"operation": operation, "request": caller.request_id, "client_session": caller.named},
            spent=spent,
        )
