"""Administration: what is known of every model, and having models pulled, loaded and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import anyio.to_thread
from pydantic import BaseModel

from llmasos.api import ModelInfo
from llmasos.api.models import BenchReport, MemoryInfo, ModelDetails, ModelsTop, WeightFile
from llmasos.config import Settings
from llmasos.errors import ModelError
from llmasos.models.catalog.estimate import footprint_of
from llmasos.models.catalog.fetch import Progress, fetch, newest, resolved
from llmasos.models.catalog.header import Header, read_header
from llmasos.models.catalog.hub import Hub
from llmasos.models.catalog.spec import Catalog, ModelSpec
from llmasos.models.devices.port import Device
from llmasos.models.plans import plan_model
from llmasos.models.remote.errors import shown
from llmasos.models.scheduler.types import Client

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from pydantic_ai.tools import ToolDefinition

    from llmasos.models.status import ModelStatus


# Whoever waits for a reply goes first.
_BENCH = Client(session="bench", band="batch")


class Shared(Protocol):
    """What is needed of the models that share this machine."""

    def status(self) -> Sequence[ModelStatus]: ...

    async def resolve(
        self, name: str | None = None, progress: Progress | None = None, *, client: Client
    ) -> Model[Any]: ...

    @property
    def devices(self) -> Mapping[str, Device]: ...

    def top(self) -> BaseModel: ...

    async def load(self, name: str, progress: Progress | None = None) -> None: ...

    async def unload(self, name: str) -> None: ...

    async def pin(self, name: str, progress: Progress | None = None) -> None: ...

    async def unpin(self, name: str) -> None: ...


class Administration:
    """Every model by name: what it is, and where it stands.

    Args:
        settings: Where files are kept, and whether anything may be fetched.
        models: The models that share this machine.
        tools: The built-in tools, which models are measured with.
        catalog: The models known by name.
        hub: The hub that is asked; by default the one of the settings.
    """

    def __init__(
        self,
        settings: Settings,
        models: Shared,
        tools: Sequence[ToolDefinition] = (),
        *,
        catalog: Catalog | None = None,
        hub: Hub | None = None,
    ) -> None:
        self._settings = settings
        self._models = models
        self._tools = tools
        self._catalog = catalog or Catalog.builtin(settings.cache_dir)
        self._hub = hub

    def list(self) -> list[ModelInfo]:
        """Return every model that can be chosen, the default one first."""
        return [ModelInfo(**_common(status)) for status in self._models.status()]

    async def pull(self, name: str, progress: Progress) -> ModelDetails:
        """Fetch a model, from a hub the newest that it has, and return what it is.

        Raises:
            ModelError: There is no such model, or it cannot be fetched.
        """
        self._here(name)
        await fetch(
            newest(self._catalog.get(name or self._default)),
            self._settings.cache_dir,
            allow_download=self._settings.allow_download,
            progress=progress,
            hub=self._asked_hub,
        )
        return await self.show(name)

    async def load(self, name: str, progress: Progress) -> ModelDetails:
        """Have a model resident, fetched first where it is not here.

        Raises:
            ModelError: There is no such model, it cannot be fetched or loaded, or it does not fit.
        """
        self._here(name)
        await self._models.load(name or self._default, progress)
        return await self.show(name)

    async def unload(self, name: str) -> None:
        """Have a model leave the memory.

        Raises:
            ModelError: There is no such model, or it is not loaded.
        """
        await self._models.unload(self._loaded(name))

    async def pin(self, name: str) -> None:
        """Keep a model resident, whatever else is asked for.

        Raises:
            ModelError: There is no such model, or it cannot be loaded.
        """
        await self._models.pin(self._known(name))

    async def unpin(self, name: str) -> None:
        """Let a model go when others need its memory.

        Raises:
            ModelError: There is no such model, or it is not loaded.
        """
        await self._models.unpin(self._loaded(name))

    async def show(self, name: str) -> ModelDetails:
        """Return everything that is known of a model; a hub is asked about one that is not here.

        Raises:
            ModelError: There is no such model, or its files are damaged.
        """
        for status in self._models.status():
            if status.state == "remote" and (name == status.name or (not name and status.default)):
                return ModelDetails(**_common(status), source=status.title)
        spec = self._catalog.get(name or self._default)
        return await anyio.to_thread.run_sync(self._details, spec)

    def top(self) -> ModelsTop:
        """Return how models share the machine now."""
        return ModelsTop.model_validate(self._models.top().model_dump())

    async def bench(self, name: str, limit: int, progress: Progress) -> BenchReport:
        """Measure what a model can be trusted with.

        Raises:
            ModelError: There is no such model, or it cannot be asked.
        """
        from llmasos.models.bench.run import bench

        model = await self._models.resolve(name or None, progress, client=_BENCH)
        return await bench(model, self._tools, limit=limit, tell=progress)

    @property
    def _asked_hub(self) -> Hub:
        return self._hub or Hub.of(self._settings.models)

    @property
    def _default(self) -> str:
        return next((one.name for one in self._models.status() if one.default), self._settings.model)

    def _known(self, name: str) -> str:
        self._here(name)
        return self._catalog.get(name or self._default).name

    def _loaded(self, name: str) -> str:
        """Return the name of a model that lies somewhere, is pinned, or is waited for."""
        known = self._known(name)
        for one in self.top().models:
            if one.name == known and (one.state != "absent" or one.pinned or one.waiting):
                return known
        raise ModelError(f"The model {known} is not loaded.", hint="`llmasos models top` shows what is.")

    def _here(self, name: str) -> None:
        """Refuse what is said of a model that runs elsewhere."""
        if self._settings.model_url:
            raise ModelError(
                f"The models are at {shown(self._settings.model_url)}, and not on this machine.",
                hint="Unset LLMASOS_MODEL_URL to use models of this machine.",
            )
        wanted = name or self._default
        if any(one.name == wanted and one.state == "remote" for one in self._models.status()):
            raise ModelError(
                f"The model {wanted} runs elsewhere: it is fetched, loaded and unloaded there.",
                hint="Choose a model of this machine; `llmasos models` lists them.",
            )

    def _details(self, spec: ModelSpec) -> ModelDetails:
        status = next((one for one in self._models.status() if one.name == spec.name), None)
        path = spec.path or self._settings.cache_dir / "models" / spec.file
        here = bool(spec.file) and path.exists() and (spec.reference is None or bool(spec.files))
        shown: dict[str, Any] = {
            "name": spec.name,
            "title": spec.title,
            "state": "cached" if here else "absent",
        }
        if status is not None:
            shown = _common(status)
        if spec.reference is not None and not spec.files:
            spec = self._asked(spec)
        shown |= {"licence": spec.licence, "size": spec.size, "format": spec.format, "sha256": spec.sha256}
        shown |= {
            "pulled": spec.pulled,
            "source": _source(spec),
            "context": spec.context,
            "drive": spec.profile,
        }
        shown["files"] = [
            WeightFile(name=file.name, size=file.size, sha256=file.sha256) for file in spec.files
        ]
        if here:
            shown |= self._measured(spec, path, read_header(path))
        return ModelDetails(**shown)

    def _asked(self, spec: ModelSpec) -> ModelSpec:
        """Return what a hub says of a model that is not here."""
        if not self._settings.allow_download:
            return spec
        return resolved(spec, self._asked_hub)

    def _measured(self, spec: ModelSpec, path: Path, header: Header) -> dict[str, Any]:
        devices = self._models.devices
        planned = plan_model(spec, path, self._settings, devices)
        taken = footprint_of(header, planned.plan)
        return {
            "path": str(path),
            "size": spec.size or header.weights,
            "parameters": header.traits.parameters,
            "family": planned.profile.family,
            "drive": planned.profile.drive,
            "tool_format": planned.profile.tool_format,
            "context": header.context or spec.context,
            "view": planned.plan.context,
            "memory": MemoryInfo(**taken.model_dump()),
            "fits": taken.total <= devices[planned.plan.device].budget,
        }


def _common(status: ModelStatus) -> dict[str, Any]:
    return status.model_dump(include={"name", "title", "size", "state", "licence", "default"})


def _source(spec: ModelSpec) -> str:
    if spec.path is not None:
        return "a person's own"
    if spec.reference is not None:
        return f"{spec.reference.repository} at {spec.reference.revision}"
    return ", or ".join(map(str, spec.sources))
