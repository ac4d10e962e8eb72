"""The gateway: from a caller's name of a model to a chat whose calls are allowed, counted and recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Protocol

from llmasos.agent.recorded_chat import RecordedChat
from llmasos.ledger import Ledger
from llmasos.models import ModelStatus, Origin
from llmasos.models.chat.port import Chat
from llmasos.models.engines.port import ContextExceeded, TokenUsage
from llmasos.models.scheduler.types import Client
from llmasos.service.here import Here
from llmasos.service.openai.errors import ApiError
from llmasos.service.openai.identity import Access, Asked, Caller
from llmasos.service.refusals import NotAllowed

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
        self._here = Here(models, adapters)

    def names(self, access: Access | None) -> list[str]:
        """Return the models that a caller may ask."""
        return [name for name in self._here.models() if access is None or access.allows(name)]

    def find(self, name: str, access: Access | None) -> ModelStatus:
        """Return how a model stands that a caller may ask.

        Raises:
            ApiError: There is no such model, or it is not for this caller.
        """
        status = self._here.models().get(name)
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
                f"This key may not ask the model {name[:200]!r}.",
                param="model",
                code="model_not_allowed",
                refusal=NotAllowed.code,
                hint="GET /v1/models lists those that it may.",
            )
        return status

    def chat(self, name: str, caller: Caller, operation: str, asked: Asked) -> RecordedChat:
        """Return the chat with a model.

        Args:
            name: The model.
            caller: Who asks.
            operation: What is done with it, as records say it.
            asked: How much is asked for.

        Raises:
            ApiError: There is no such model, or it is not for this caller.
            ContextExceeded: The text can never fit.
            LimitReached: What is under way for this caller has reached a limit.
        """
        elsewhere = self.find(name, caller.access).state == "remote"
        # To count the tokens would take the model's time from all others.
        context = None if elsewhere else self._context
        if context is not None and asked.longest > context * _LONGEST_TOKEN:
            raise ContextExceeded(
                f"{asked.longest} characters are too long for {name}, which keeps {context} tokens in view.",
                hint="Send less.",
            )
        if caller.access is not None:
            caller.access.reserve(asked.tokens(context), asked.calls)

        def chat(used: Callable[[TokenUsage], None]) -> Chat:
            return self._models.chat(name, replace(caller.client, used=used))

        async def origin() -> Origin:
            return await self._models.chat_origin(name)

        async def spent(usage: TokenUsage) -> None:
            if caller.access is not None:
                await caller.access.spent(name, usage.input, usage.output)

        return RecordedChat(
            name,
            chat,
            origin,
            self._ledger,
            session=caller.session,
            facts={"operation": operation, "request": caller.request_id, "client_session": caller.named},
            spent=spent,
            context=context,
            elsewhere=elsewhere,
        )
