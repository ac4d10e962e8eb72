"""The gateway: from a caller's name of a model to a chat whose calls are allowed, counted and recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from llmasos.agent.recorded_chat import RecordedChat
from llmasos.ledger import Ledger
from llmasos.models import ModelStatus, Origin
from llmasos.models.chat.port import Chat
from llmasos.models.engines.port import ContextExceeded, TokenUsage
from llmasos.models.scheduler.types import Client
from llmasos.service.openai.errors import ApiError
from llmasos.service.openai.identity import Access, Caller

_LONGEST_TOKEN = 128
"""Characters that the longest tokens of vocabularies have, which are runs of spaces."""


class ChatModels(Protocol):
    """The kernel's models, as far as the gateway knows them."""

    def status(self) -> tuple[ModelStatus, ...]:
        """Return where every known model stands."""

    def chat(self, name: str, client: Client) -> Chat:
        """Return the chat with a model, on behalf of a client."""

    async def chat_origin(self, name: str) -> Origin:
        """Return where a model's replies come from."""


class Gateway:
    """Leads callers to the kernel's models.

    Args:
        models: The models.
        ledger: Where calls are recorded.
        context: Tokens that models of this machine keep in view at most.
        adapters: LoRA adapters by the models that have them; each is asked as `model:adapter`.
    """

    def __init__(
        self,
        models: ChatModels,
        ledger: Ledger,
        context: int,
        adapters: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._models = models
        self._ledger = ledger
        self._context = context
        self._adapters = adapters or {}

    def names(self, access: Access | None) -> list[str]:
        """Return the models that a caller may ask."""
        return [name for name in self._here() if access is None or access.allows(name)]

    def find(self, name: str, access: Access | None) -> ModelStatus:
        """Return how a model stands that a caller may ask.

        Raises:
            ApiError: There is no such model, or it is not for this caller.
        """
        status = self._here().get(name)
        if status is None:
            raise ApiError(
                404,
                f"The model {name[:200]!r} does not exist.",
                param="model",
                code="model_not_found",
                hint="GET /v1/models lists those that do; `llmasos models pull` gets others.",
            )
        if access is not None and not access.allows(name):
            raise ApiError(
                403,
                f"This key may not ask the model {name!r}.",
                param="model",
                code="model_not_allowed",
                hint="GET /v1/models lists those that it may.",
            )
        return status

    def chat(self, name: str, caller: Caller, operation: str, length: int) -> RecordedChat:
        """Return the chat with a model.

        Args:
            name: The model.
            caller: Who asks.
            operation: What is done with it, as records say it.
            length: Characters of the longest text that it is asked.

        Raises:
            ApiError: There is no such model, or it is not for this caller.
            ContextExceeded: The text can never fit.
            ModelError: The model cannot be used.
        """
        status = self.find(name, caller.access)
        chat = self._models.chat(name, caller.client)
        # To count the tokens would take the model's time from all others.
        context = chat.context or (None if status.state == "remote" else self._context)
        if context is not None and length > context * _LONGEST_TOKEN:
            raise ContextExceeded(
                f"{length} characters are too long for {name}, which keeps {context} tokens in view.",
                hint="Send less.",
            )

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

    def _here(self) -> dict[str, ModelStatus]:
        """Return the models that need not be fetched, and the default one.

        Other names would have the kernel open files, or fill the disk, for whoever calls.
        """
        known = self._models.status()
        here = {model.name: model for model in known if model.state != "absent" or model.default}
        with_adapters = {
            f"{model.name}:{adapter}": model
            for model in here.values()
            if model.state != "remote"
            for adapter in self._adapters.get(model.name, ())
        }
        return with_adapters | here
