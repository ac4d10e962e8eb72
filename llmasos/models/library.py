"""The models whose files are here, or can be fetched, and how they are loaded on this machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from pathlib import Path

import anyio
import anyio.to_thread

from llmasos.config import Settings
from llmasos.errors import ModelError
from llmasos.models.catalog.fetch import Progress, digest, fetch
from llmasos.models.catalog.hub import Hub
from llmasos.models.catalog.spec import Catalog, ModelSpec
from llmasos.models.devices.choose import choose_device
from llmasos.models.devices.cpu import CpuDevice
from llmasos.models.devices.port import Device
from llmasos.models.plans import Planned, plan_model
from llmasos.models.scheduler.admission import size
from llmasos.models.scheduler.types import Refused

Fetcher = Callable[[ModelSpec, Settings, Progress | None], Awaitable[Path]]


class Library:
    """The catalog's models on this machine.

    Args:
        settings: The configuration.
        catalog: The models known by name.
        fetcher: Brings a model's files here.
        devices: Where models are loaded, the preferred device first; those of the settings when empty.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        *,
        fetcher: Fetcher | None = None,
        devices: Sequence[Device] = (),
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._fetch = fetcher or _fetch
        self._given = devices
        self._planned: dict[str, Planned] = {}
        self._locks: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._digests: dict[tuple[Path, int, int], str] = {}

    @cached_property
    def devices(self) -> dict[str, Device]:
        """Where models are loaded, by name, the preferred device first."""
        devices = {device.name: device for device in self._given or (choose_device(self._settings.models),)}
        # What no GPU can run is loaded beside it.
        return devices if "cpu" in devices else {**devices, "cpu": CpuDevice()}

    @cached_property
    def default(self) -> str:
        """The name of the default model: what the person chose, or the best one that fits."""
        chosen = self._settings.model
        if "model" in self._settings.model_fields_set and chosen not in ("", "auto"):
            return chosen
        return self._catalog.default(next(iter(self.devices.values())).budget).name

    def get(self, name: str | None = None) -> ModelSpec:
        """Return the model of this name, or the default one.

        Raises:
            ModelError: There is no such model.
        """
        name = name or self.default
        try:
            return self._catalog.get(name)
        except ModelError:
            # What is loaded stays known when its file is removed.
            if name in self._planned:
                return self._planned[name].spec
            raise

    def known(self, name: str | None = None) -> Planned | None:
        """Return how a model is loaded, if that was planned before."""
        return self._planned.get(name or self.default)

    def specs(self) -> tuple[ModelSpec, ...]:
        """Return the models of the catalog, and those that were planned."""
        specs = {planned.spec.name: planned.spec for planned in self._planned.values()}
        return tuple(({spec.name: spec for spec in self._catalog.list()} | specs).values())

    def file(self, spec: ModelSpec) -> Path:
        """Return where a model's file or folder is, or will be."""
        return spec.path or self._settings.cache_dir / "models" / spec.file

    async def plan(self, name: str | None = None, progress: Progress | None = None) -> Planned:
        """Have a model's files here, and plan how it is loaded.

        Args:
            name: The model; the default one when missing.
            progress: Called while it is fetched.

        Raises:
            ModelError: There is no such model, or it cannot be fetched.
            Refused: It can never be loaded here; what would fit is said.
        """
        name = name or self.default
        before = self._planned.get(name)
        async with self._locks[name]:
            planned = self._planned.get(name)
            if planned is None or planned is before:
                path = await self._fetch(self.get(name), self._settings, progress)
                # The catalog knows more of a model whose files are here.
                planned = await anyio.to_thread.run_sync(self._planned_to_fit, self.get(name), path)
                self._planned[name] = self._planned[planned.spec.name] = planned
            return planned

    def _planned_to_fit(self, spec: ModelSpec, path: Path) -> Planned:
        planned = plan_model(spec, path, self._settings, self.devices)
        for name, file in planned.plan.adapters:
            if not file.is_file():
                raise ModelError(
                    f"There is no adapter {name} of {spec.name} at {file}.",
                    hint="Correct LLMASOS_MODELS__ADAPTERS, or put it there.",
                )
        if self._fits(planned):
            return planned
        here = (
            plan_model(one, self.file(one), self._settings, self.devices)
            for one in self.specs()
            if self.known(one.name) is not None or self.file(one).exists()
        )
        names = ", ".join(one.spec.name for one in here if self._fits(one))
        card, more = planned.card, "give models more memory with LLMASOS_MODELS__MEMORY_MB."
        raise Refused(
            f"The model {spec.name} takes {size(card.bytes)}, and models may take "
            f"{size(self.devices[card.device].budget)} on {card.device}.",
            status=400,
            hint=f"Choose one that fits ({names}), or {more}" if names else more[0].upper() + more[1:],
        )

    def _fits(self, planned: Planned) -> bool:
        return planned.card.bytes <= self.devices[planned.card.device].budget

    async def digest(self, spec: ModelSpec) -> str:
        """Return the SHA-256 of a model's weights.

        Raises:
            ModelError: A file cannot be read any more.
        """
        # The catalog's digest was checked when the file was fetched.
        return spec.sha256 if spec.path is None else await digest(spec, spec.path, self._digests)


async def leave(spec: ModelSpec, settings: Settings, _progress: Progress | None) -> Path:
    """Return where a model's file would be, and fetch nothing."""
    return spec.path or settings.cache_dir / "models" / spec.file


async def _fetch(spec: ModelSpec, settings: Settings, progress: Progress | None) -> Path:
    allowed, hub = settings.allow_download, Hub.of(settings.models)
    return await fetch(spec, settings.cache_dir, allow_download=allowed, progress=progress, hub=hub)
