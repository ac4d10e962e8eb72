"""The models that run elsewhere: behind the endpoint of the settings, or behind several upstreams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from llmasos.amounts import nearest, some
from llmasos.config import Settings
from llmasos.errors import ModelError
from llmasos.models.chat.port import Chat
from llmasos.models.remote import (
    Endpoint,
    Patience,
    RemoteChat,
    Spend,
    Upstreams,
    listed_models,
    remote_model,
)
from llmasos.models.remote.errors import shown
from llmasos.models.remote.upstreams import UpstreamStatus
from llmasos.models.scheduler.top import EndpointTop, RemoteTop
from llmasos.models.status import ModelStatus, Origin

if TYPE_CHECKING:
    from llmasos.models.chat.model import ChatModel


_ANY = "default"


class Remotes:
    """Every model that runs elsewhere. Where the settings have an endpoint, that is every model there is.

    Args:
        settings: The endpoint, and the upstreams by name.
        known: Returns the names of models of this machine, which mean nothing to the endpoint.
    """

    def __init__(self, settings: Settings, known: Callable[[], tuple[str, ...]]) -> None:
        self._settings = settings
        self._known = known
        self.spend = Spend(settings.models.prices)
        self._upstreams = {
            name: Upstreams(name, [self._at(url, name) for url in urls])
            for name, urls in settings.models.upstreams.items()
        }
        self._models: dict[str, ChatModel] = {}
        self._lock = anyio.Lock()

    def __contains__(self, name: str) -> bool:
        return bool(self._settings.model_url) or name in self._upstreams

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """Check in the background which upstreams work, and let go of all connections at the end."""
        group = await anyio.create_task_group().__aenter__()
        for upstreams in self._upstreams.values():
            group.start_soon(upstreams.watch)
        try:
            yield
        finally:
            group.cancel_scope.cancel()
            # What the body raised is nothing that the checks have to do with.
            await group.__aexit__(None, None, None)
            await self._close()

    async def check(self) -> dict[str, tuple[UpstreamStatus, ...]]:
        """Check each upstream once, and return how each does, by the models' names."""
        try:
            async with anyio.create_task_group() as tasks:
                for upstreams in self._upstreams.values():
                    tasks.start_soon(upstreams.check)
        finally:
            await self._close()
        return {name: upstreams.status() for name, upstreams in self._upstreams.items()}

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            for chat in {id(chat): chat for chat in self._chats()}.values():
                await chat.close()

    def _chats(self) -> list[Any]:
        return [*self._upstreams.values(), *(model.chat for model in self._models.values())]

    async def model(self, name: str) -> ChatModel:
        """Return a model as agents ask it.

        Raises:
            ModelError: The endpoint cannot be reached, refuses the key, or lists no model.
        """
        from llmasos.models.chat.model import ChatModel

        async with self._lock:
            if name not in self._models:
                if self._settings.model_url:
                    key = self._settings.model_key.get_secret_value()
                    own = self._own_name(name)
                    self._models[name] = await remote_model(
                        self._settings.model_url, key=key, name=own, spend=self.spend
                    )
                else:
                    self._models[name] = ChatModel(self._upstreams[name])
            return self._models[name]

    async def check_name(self, name: str) -> bool:
        """Return whether the place where a model runs has it; False where that does not say.

        Raises:
            ModelError: It lists other models.
        """
        url = self._settings.model_url
        if not url or not self._own_name(name):
            return True
        listed = await listed_models(url, key=self._settings.model_key.get_secret_value())
        if listed and name not in listed:
            near = nearest(name, listed)
            raise ModelError(
                f"The endpoint {shown(url)} lists no model {name!r}.",
                hint=f"Did you mean {some(near)}?" if near else f"It lists {some(listed)}.",
            )
        return bool(listed)

    def context(self, name: str) -> int | None:
        """Return how many tokens a model keeps in view; None where its endpoint has not said it."""
        model = self._models.get(name)
        return model.chat.context if model is not None else None

    async def chat(self, name: str) -> Chat:
        """Return a model as programs ask it.

        Raises:
            ModelError: The endpoint cannot be reached, refuses the key, or lists no model.
        """
        return (await self.model(name)).chat

    async def origin(self, name: str) -> Origin:
        """Return where a model's replies come from.

        Raises:
            ModelError: The endpoint has no such model.
        """
        urls = self._settings.models.upstreams.get(name, ())
        if self._settings.model_url:
            urls = (self._settings.model_url,)
        places = ", ".join(sorted(map(_place, urls)))
        return Origin(model=(await self.model(name)).model_name, endpoint=places)

    def status(self) -> tuple[ModelStatus, ...]:
        """Return the models that are known to run elsewhere; the endpoint's are known by one name."""
        if url := self._settings.model_url:
            name = self._own_name(self._settings.model) or _ANY
            return (ModelStatus(name=name, title=shown(url), state="remote", default=True),)
        return tuple(
            ModelStatus(
                name=name,
                title=", ".join(map(shown, urls)),
                state="remote",
                default=name == self._settings.model,
            )
            for name, urls in self._settings.models.upstreams.items()
        )

    def top(self) -> tuple[RemoteTop, ...]:
        """Return how the places do where models run elsewhere."""
        if url := self._settings.model_url:
            name = self.status()[0].name
            asked = self._models[name].model_name if name in self._models else name
            place = EndpointTop(url=shown(url), state="unchecked", **self._used(asked, shown(url)))
            return (RemoteTop(name=name, endpoints=(place,)),)
        return tuple(
            RemoteTop(
                name=name,
                endpoints=tuple(
                    EndpointTop(**one.model_dump(exclude={"failures"}), **self._used(name, one.url))
                    for one in upstreams.status()
                ),
            )
            for name, upstreams in self._upstreams.items()
        )

    def _used(self, name: str, url: str) -> dict[str, Any]:
        expense = self.spend.at(name, url)
        tokens = expense.input + expense.output
        return {"requests": expense.requests, "tokens": tokens, "cost": expense.cost}

    def _own_name(self, name: str) -> str:
        """Return the endpoint's own name of a model; empty where it is to choose."""
        ours = name in self._known() or (name == _ANY != self._settings.model)
        return "" if ours else name

    def _at(self, url: str, name: str) -> RemoteChat:
        key: Any = self._settings.models.upstream_keys.get(url)
        # Where there is another one to ask, that comes before asking the same one again.
        several = len(self._settings.models.upstreams[name]) > 1
        patience = Patience(attempts=1) if several else Patience()
        endpoint = Endpoint(url, key.get_secret_value() if key else "", patience)
        return RemoteChat(endpoint, name, spend=self.spend)


def _place(url: str) -> str:
    place = urlsplit(url)
    return f"{place.hostname}:{place.port}" if place.port else place.hostname or ""
