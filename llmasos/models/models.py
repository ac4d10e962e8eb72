"""The models of one kernel: found by name, fetched and loaded on first use, shared by all who ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

import anyio

from llmasos.config import Settings
from llmasos.errors import ModelError
from llmasos.models.calls.model import CallSyntaxModel
from llmasos.models.catalog.fetch import Progress
from llmasos.models.catalog.profile import Drive
from llmasos.models.catalog.spec import Catalog, ModelSpec
from llmasos.models.devices.port import Device
from llmasos.models.engines.port import Engine, Loader, LoadPlan
from llmasos.models.library import Fetcher, Library, leave
from llmasos.models.plans import Planned, rules_of
from llmasos.models.scheduler.loop import Scheduler
from llmasos.models.scheduler.scheduled import ScheduledEngine
from llmasos.models.scheduler.top import Top
from llmasos.models.scheduler.types import Ask, Client
from llmasos.models.status import ModelStatus, Origin

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from pydantic_ai.tools import ToolDefinition

_NORMAL = Client()


class Models:
    """Every model this kernel may ask; those that are loaded need `async with`.

    Args:
        settings: Which model is the default, and where models come from and go to.
        loader: Loads a model; what a test replaces, in which case nothing is fetched.
        catalog: The models known by name.
        fetcher: Brings a model's files here.
        devices: Where models are loaded, the preferred device first.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        loader: Loader | None = None,
        catalog: Catalog | None = None,
        fetcher: Fetcher | None = None,
        devices: Sequence[Device] = (),
    ) -> None:
        self._settings = settings
        self._library = Library(
            settings,
            catalog or Catalog.builtin(settings.cache_dir),
            # What a test loads needs no files.
            fetcher=fetcher or (None if loader is None else leave),
            devices=devices,
        )
        self._loader = loader or load_engine
        self._remote: dict[str, Model[Any]] = {}
        self._lock = anyio.Lock()
        self._scheduler: Scheduler | None = None
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start sharing.

        Raises:
            ConfigError: There is no such device.
        """
        devices = self._library.devices
        rules = rules_of(self._settings.models, devices)
        scheduler = Scheduler(rules, tuple(devices.values()), self._loader)
        self._scheduler = await self._exit.enter_async_context(scheduler)
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
        if self._settings.model_url:
            return await self._resolve_remote(name or self._settings.model)
        planned = await self._prepare(name, progress)
        await self._load(planned, progress)
        model = CallSyntaxModel(self._engine(planned, client))
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
        return self._engine(await self._prepare(name), client)

    async def load(self, name: str, progress: Progress | None = None) -> None:
        """Make a model resident.

        Raises:
            ModelError: There is no such model, or it cannot be fetched or loaded.
            Refused: It cannot be loaded now.
        """
        await self._load(await self._prepare(name, progress), progress)

    async def unload(self, name: str) -> None:
        """Let a model run out, and free it; a pinned one is let go of.

        Raises:
            ModelError: There is no such model.
        """
        await self._ask(name, "unload")

    async def pin(self, name: str, progress: Progress | None = None) -> None:
        """Make a model resident, and never evict it to make room.

        Raises:
            As `load`.
        """
        await self._running.ask((await self._prepare(name, progress)).spec.name, "pin")

    async def unpin(self, name: str) -> None:
        """Let a model be evicted again.

        Raises:
            ModelError: There is no such model.
        """
        await self._ask(name, "unpin")

    @property
    def devices(self) -> Mapping[str, Device]:
        """Where models are loaded, by name, the preferred device first."""
        return self._library.devices

    def top(self) -> Top:
        """Return how devices, models and sessions stand."""
        return Top() if self._scheduler is None else self._scheduler.top()

    async def drain(self, seconds: float) -> bool:
        """Take no more requests, wait so long for those there are, and return whether all ended."""
        return self._scheduler is None or await self._scheduler.drain(seconds)

    async def origin(self, model: Model[Any], name: str | None = None) -> Origin:
        """Return where the replies of a model that was resolved come from.

        Args:
            model: What `resolve` returned.
            name: The name that it was resolved by.

        Raises:
            ModelError: The file with its weights cannot be read any more.
        """
        if self._settings.model_url:
            place = urlsplit(self._settings.model_url)
            host = place.hostname or ""
            return Origin(model=model.model_name, endpoint=f"{host}:{place.port}" if place.port else host)
        spec = self._library.get(name)
        return Origin(model=spec.name, weights_sha256=await self._library.digest(spec))

    def profile(self, name: str | None = None) -> Drive:
        """Return how the model is driven."""
        if self._settings.model_url:
            return "native"
        return self._library.get(name).profile

    def names(self) -> tuple[str, ...]:
        """Return the names a person can choose from."""
        return tuple(status.name for status in self.status())

    def status(self) -> tuple[ModelStatus, ...]:
        """Return where every known model stands, the default one first."""
        if self._settings.model_url:
            shown = self._remote_name(self._settings.model) or "default"
            return (ModelStatus(name=shown, title=self._settings.model_url, state="remote", default=True),)
        default = self._library.get()
        specs = {default.name: default, **{spec.name: spec for spec in self._library.specs()}}
        return tuple(self._status(spec, default=spec.name == default.name) for spec in specs.values())

    @property
    def _running(self) -> Scheduler:
        if self._scheduler is None:
            raise ModelError("The models are not started.", hint="Use them with `async with`.")
        return self._scheduler

    async def _prepare(self, name: str | None, progress: Progress | None = None) -> Planned:
        """Have a model's files here, and tell the scheduler of it."""
        if self._settings.model_url:
            raise ModelError(
                f"The models of {self._settings.model_url} are loaded and unloaded there.",
                hint="Unset LLMASOS_MODEL_URL to use models of this machine.",
            )
        known = self._library.known(name)
        if known is None or self._running.effects.resident(known.spec.name).place == "absent":
            known = await self._library.plan(name, progress)
            self._running.register(known.card, known.plan)
        return known

    async def _load(self, planned: Planned, progress: Progress | None) -> None:
        name = planned.spec.name
        if self._running.effects.resident(name).engine is None:
            if progress is not None:
                progress(f"Loading {planned.spec.title}", 0.0, 0.0, "")
            await self._running.ask(name, "load")

    async def _ask(self, name: str, ask: Ask) -> None:
        if (known := self._library.known(self._library.get(name).name)) is not None:
            await self._running.ask(known.spec.name, ask)

    def _engine(self, planned: Planned, client: Client) -> ScheduledEngine:
        return ScheduledEngine(self._running, planned.spec.name, client)

    async def _resolve_remote(self, name: str) -> Model[Any]:
        from llmasos.models.remote import remote_model

        async with self._lock:
            if name not in self._remote:
                key = self._settings.model_key.get_secret_value()
                self._remote[name] = await remote_model(
                    self._settings.model_url, key=key, name=self._remote_name(name)
                )
            return self._remote[name]

    def _remote_name(self, name: str) -> str:
        """Return the endpoint's own name of a model; the catalog's names mean nothing to it."""
        return "" if name in {spec.name for spec in self._library.specs()} else name

    def _status(self, spec: ModelSpec, *, default: bool) -> ModelStatus:
        here = self._library.file(spec).exists()
        state: Literal["resident", "cached", "absent"] = "cached" if here else "absent"
        if self._scheduler is not None and self._library.known(spec.name) is not None:
            resident = self._scheduler.effects.resident(spec.name)
            state = "resident" if resident.engine is not None else state
        return ModelStatus(
            name=spec.name,
            title=spec.title,
            state=state,
            default=default,
            licence=spec.licence,
            size=spec.size,
        )


async def load_engine(plan: LoadPlan) -> Engine:
    """Load a model."""
    from llmasos.models.engines.llama import LlamaEngine

    return await LlamaEngine.load(plan)
