"""The models of one kernel: found by name, fetched and loaded on first use, shared by all who ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from llmasos.config import Settings
from llmasos.errors import ModelError
from llmasos.models.calls.model import CallSyntaxModel
from llmasos.models.catalog.fetch import Progress
from llmasos.models.catalog.profile import Drive
from llmasos.models.catalog.spec import Catalog, ModelSpec
from llmasos.models.chat.local import LocalChat
from llmasos.models.chat.model import ChatModel
from llmasos.models.chat.port import Chat
from llmasos.models.chats import OpeningChat
from llmasos.models.devices.port import Device
from llmasos.models.engines.placed import Place
from llmasos.models.engines.port import Engine, Loader, LoadPlan
from llmasos.models.engines.replicas import replicating
from llmasos.models.library import Fetcher, Library, leave
from llmasos.models.plans import Planned, adapted
from llmasos.models.remotes import Remotes
from llmasos.models.residents import Residents, load_engine
from llmasos.models.scheduler.top import Top
from llmasos.models.scheduler.types import Client
from llmasos.models.status import ModelStatus, Origin

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from pydantic_ai.tools import ToolDefinition

_NORMAL = Client()
_ELSEWHERE = 32_768  # tokens, where an endpoint does not say


class Models:
    """Every model this kernel may ask; those that are loaded need `async with`.

    Args:
        settings: Which model is the default, and where models come from and go to.
        loader: Loads a model; what a test replaces, in which case nothing is fetched.
        catalog: The models known by name.
        fetcher: Brings a model's files here.
        devices: Where models are loaded, the preferred device first.
        place: Returns where a replica of a planned model is placed, for models that have replicas.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        loader: Loader | None = None,
        catalog: Catalog | None = None,
        fetcher: Fetcher | None = None,
        devices: Sequence[Device] = (),
        place: Callable[[LoadPlan], Place] | None = None,
    ) -> None:
        self._settings = settings
        self._library = Library(
            settings,
            catalog or Catalog.builtin(settings.cache_dir),
            # What a test loads needs no files.
            fetcher=fetcher or (None if loader is None else leave),
            devices=devices,
        )
        loader = loader or load_engine
        if place is not None:
            loader = replicating(loader, place, settings.models.replicas)
        self._residents = Residents(settings, self._library, loader)
        self._remotes = Remotes(settings, lambda: tuple(spec.name for spec in self._library.specs()))
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start sharing.

        Raises:
            ConfigError: There is no such device.
        """
        await self._exit.enter_async_context(self._remotes.watched())
        await self._exit.enter_async_context(self._residents.shared())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.__aexit__(kind, error, trace)

    async def resolve(
        self,
        name: str | None = None,
        progress: Progress | None = None,
        tools: Sequence[ToolDefinition] = (),
        client: Client = _NORMAL,
    ) -> Model[Any]:
        """Return the model of this name, or the default one, loading it on first use.

        Args:
            name: A name of the catalog, a path to a model, or a name of the endpoint.
            progress: Called while it is fetched or loaded.
            tools: What it will be offered; a small model reads them once, here.
            client: Who asks, and how urgently.

        Raises:
            ModelError: There is no such model, or it cannot be fetched, loaded or reached.
            Refused: It cannot be loaded now.
        """
        if self._name(name) in self._remotes:
            return await self._remotes.model(self._name(name))
        planned = await self._residents.prepare(name, progress)
        await self._residents.load(planned, progress)
        engine = self._residents.engine(planned, client)
        if planned.spec.profile == "native":
            return ChatModel(LocalChat(engine, planned.profile))
        model = CallSyntaxModel(engine, planned.profile.languages, public=True)
        if tools:
            if progress is not None:
                progress("Reading the tools", 0.0, 0.0, "")
            await model.warm(tools)
        return model

    async def engine(self, name: str | None = None, client: Client = _NORMAL) -> Engine:
        """Return an engine of this name, which is loaded when it is used.

        Raises:
            ModelError: There is no such model, or its files cannot be fetched.
        """
        return self._residents.engine(await self._prepare(name), client)

    def chat(self, name: str, client: Client = _NORMAL) -> Chat:
        """Return a chat with a model, which is fetched and loaded when it is asked.

        Raises:
            ModelError: There is no such model.
        """
        if name in self._remotes:
            return OpeningChat(name, partial(self._remotes.chat, name))
        model, adapter = adapted(self._settings.models, name)
        self._library.get(model)
        return OpeningChat(name, partial(self._residents.chat, model, adapter, client))

    async def chat_origin(self, name: str) -> Origin:
        """Return where the replies of a chat come from.

        Raises:
            ModelError: There is no such model, or its weights cannot be read any more.
        """
        if name in self._remotes:
            return await self._remotes.origin(name)
        model, adapter = adapted(self._settings.models, name)
        spec = self._library.get(model)
        named = f"{spec.name}:{adapter}" if adapter else spec.name
        return Origin(model=named, weights_sha256=await self._library.digest(spec))

    async def load(self, name: str, progress: Progress | None = None) -> None:
        """Make a model resident.

        Raises:
            ModelError: There is no such model, or it cannot be fetched or loaded.
            Refused: It cannot be loaded now.
        """
        await self._residents.load(await self._prepare(name, progress), progress)

    async def unload(self, name: str) -> None:
        """Let a model run out, and free it; a pinned one is let go of.

        Raises:
            ModelError: There is no such model.
        """
        self._refuse_remote(name)
        await self._residents.ask(name, "unload")

    async def pin(self, name: str, progress: Progress | None = None) -> None:
        """Make a model resident, and never evict it to make room.

        Raises:
            As `load`.
        """
        await self._residents.ask((await self._prepare(name, progress)).spec.name, "pin")

    async def unpin(self, name: str) -> None:
        """Let a model be evicted again.

        Raises:
            ModelError: There is no such model.
        """
        self._refuse_remote(name)
        await self._residents.ask(name, "unpin")

    @property
    def devices(self) -> Mapping[str, Device]:
        """Where models are loaded, by name, the preferred device first."""
        return self._library.devices

    def top(self) -> Top:
        """Return how devices, models and sessions stand."""
        return self._residents.top().model_copy(update={"remotes": self._remotes.top()})

    def spent(self) -> float | None:
        """Return what models elsewhere have cost by the settings' prices; None where none has a price."""
        return self._remotes.spend.total()

    async def drain(self, seconds: float) -> bool:
        """Take no more requests, wait so long for those there are, and return whether all ended."""
        return await self._residents.drain(seconds)

    def end(self) -> None:
        """End every request there is with an error."""
        self._residents.end()

    async def origin(self, model: Model[Any], name: str | None = None) -> Origin:
        """Return where the replies of a model that was resolved come from.

        Args:
            model: What `resolve` returned.
            name: The name that it was resolved by.

        Raises:
            ModelError: The file with its weights cannot be read any more.
        """
        return await self.chat_origin(self._name(name))

    def profile(self, name: str | None = None) -> Drive:
        """Return how the model is driven."""
        return "native" if self._name(name) in self._remotes else self._library.get(name).profile

    async def check_name(self, name: str) -> bool:
        """Return whether there is a model of this name; False where its endpoint does not say which it has.

        Raises:
            ModelError: There is none.
        """
        if name in self._remotes:
            return await self._remotes.check_name(name)
        self._library.get(name)
        return True

    def context(self, name: str | None = None) -> int:
        """Return how many tokens a model keeps in view, as far as that is known before it is loaded."""
        own = self._name(name)
        if own in self._remotes:
            return self._remotes.context(own) or _ELSEWHERE
        return min(self._settings.model_context, self._library.get(name).context)

    def names(self) -> tuple[str, ...]:
        """Return the names a person can choose from."""
        return tuple(status.name for status in self.status())

    def status(self) -> tuple[ModelStatus, ...]:
        """Return where every known model stands, the default one first."""
        elsewhere = self._remotes.status()
        if self._settings.model_url:
            return elsewhere
        default = self._name(None)
        specs = list(self._library.specs())
        if default not in self._remotes and self._library.get().name not in {spec.name for spec in specs}:
            specs.append(self._library.get())
        # An upstream's name stands for the upstream, also where a model of this machine has it.
        here = (
            self._status(spec, default=default in (spec.name, str(spec.path)))
            for spec in specs
            if spec.name not in self._remotes
        )
        return tuple(sorted((*elsewhere, *here), key=lambda status: not status.default))

    def _name(self, name: str | None) -> str:
        return name or (self._settings.model if self._settings.model_url else self._library.default)

    async def _prepare(self, name: str | None, progress: Progress | None = None) -> Planned:
        self._refuse_remote(name)
        return await self._residents.prepare(name, progress)

    def _refuse_remote(self, name: str | None) -> None:
        if self._name(name) in self._remotes:
            raise ModelError(
                f"The model {self._name(name)} runs elsewhere, and is loaded and unloaded there.",
                hint="Choose a model of this machine.",
            )

    def _status(self, spec: ModelSpec, *, default: bool) -> ModelStatus:
        here = self._library.file(spec).exists()
        state: Literal["resident", "cached", "absent"] = "cached" if here else "absent"
        if self._residents.loaded(spec.name):
            state = "resident"
        return ModelStatus(
            name=spec.name,
            title=spec.title,
            state=state,
            default=default,
            licence=spec.licence,
            size=spec.size,
        )
