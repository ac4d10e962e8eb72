"""The models of one kernel: resolved by name, loaded on first use, kept until the end."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from pydantic import BaseModel

from llmasos.config import Settings
from llmasos.errors import ModelError
from llmasos.models.calls.model import CallSyntaxModel
from llmasos.models.catalog.fetch import Progress, fetch
from llmasos.models.catalog.spec import Catalog, ModelSpec, Profile
from llmasos.models.engines.port import Engine, LoadPlan

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from pydantic_ai.tools import ToolDefinition

Loader = Callable[[ModelSpec, Settings, Progress | None], Awaitable[Engine]]


class ModelStatus(BaseModel, frozen=True):
    """Where one model stands."""

    name: str
    title: str
    state: Literal["remote", "resident", "cached", "absent"]
    default: bool = False
    licence: str = ""
    size: int = 0


class Origin(BaseModel, frozen=True):
    """Where a model's replies come from, as records hold it.

    Args:
        model: The model's name.
        weights_sha256: The SHA-256 of the file with its weights; empty where it is not ours.
        endpoint: The host and port that is asked; empty where the weights are ours.
    """

    model: str
    weights_sha256: str = ""
    endpoint: str = ""

    def fields(self) -> dict[str, str]:
        """Return what is known."""
        return self.model_dump(exclude_defaults=True)


class Models:
    """Every model this kernel may ask.

    Args:
        settings: Which model is the default, and where it comes from.
        loader: Fetches and loads a model; what a test replaces.
        catalog: The models known by name.
    """

    def __init__(
        self, settings: Settings, *, loader: Loader | None = None, catalog: Catalog | None = None
    ) -> None:
        self._settings = settings
        self._catalog = catalog or Catalog.builtin()
        self._loader = loader or load_embedded
        self._resident: dict[str, tuple[Engine | None, Model[Any]]] = {}
        self._digests: dict[str, str] = {}
        self._lock = anyio.Lock()

    async def resolve(
        self, name: str | None = None, progress: Progress | None = None, tools: Sequence[ToolDefinition] = ()
    ) -> Model[Any]:
        """Return the model of this name, or the default one, loading it on first use.

        Args:
            name: A name of the catalog, a path to a GGUF file, or a name of the endpoint.
            progress: Called while it is fetched or loaded.
            tools: What it will be offered; a small model reads them once, here.

        Raises:
            ModelError: There is no such model, or it cannot be fetched, loaded or reached.
        """
        key = name or self._settings.model
        async with self._lock:
            if key not in self._resident:
                self._resident[key] = await self._load(key, progress)
            model = self._resident[key][1]
            if tools and isinstance(model, CallSyntaxModel):
                if progress is not None:
                    progress("Reading the tools", 0.0, 0.0, "")
                await model.warm(tools)
            return model

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
        spec = self._catalog.get(name or self._settings.model)
        # The catalog's digest was checked when the file was fetched.
        digest = spec.sha256 or self._digests.get(spec.name, "")
        if not digest and spec.path is not None:
            digest = await anyio.to_thread.run_sync(_sha256, spec.path)
            self._digests[spec.name] = digest
        return Origin(model=spec.name, weights_sha256=digest)

    def profile(self, name: str | None = None) -> Profile:
        """Return how the model is driven."""
        if self._settings.model_url:
            return "native"
        return self._catalog.get(name or self._settings.model).profile

    def names(self) -> tuple[str, ...]:
        """Return the names a person can choose from."""
        return tuple(status.name for status in self.status())

    def status(self) -> tuple[ModelStatus, ...]:
        """Return where every known model stands, the default one first."""
        default = self._settings.model
        if self._settings.model_url:
            shown = self._remote_name(default) or "default"
            return (ModelStatus(name=shown, title=self._settings.model_url, state="remote", default=True),)
        specs = {spec.name: spec for spec in self._catalog.list()}
        for name in (*self._resident, default):
            specs.setdefault(name, self._catalog.get(name))
        found = [self._status(spec, default=spec.name == default) for spec in specs.values()]
        return tuple(sorted(found, key=lambda status: not status.default))

    async def close(self) -> None:
        """Unload every model."""
        async with self._lock:
            resident, self._resident = self._resident, {}
            for engine, _ in resident.values():
                if engine is not None:
                    await engine.close()

    async def _load(self, name: str, progress: Progress | None) -> tuple[Engine | None, Model[Any]]:
        if self._settings.model_url:
            from llmasos.models.remote import remote_model

            key = self._settings.model_key.get_secret_value()
            return None, await remote_model(self._settings.model_url, key=key, name=self._remote_name(name))
        engine = await self._loader(self._catalog.get(name), self._settings, progress)
        return engine, CallSyntaxModel(engine)

    def _remote_name(self, name: str) -> str:
        """Return the endpoint's own name of a model; the catalog's names mean nothing to it."""
        return "" if name in {spec.name for spec in self._catalog.list()} else name

    def _status(self, spec: ModelSpec, *, default: bool) -> ModelStatus:
        file = spec.path or self._settings.cache_dir / "models" / spec.file
        state: Literal["resident", "cached", "absent"] = "cached" if file.exists() else "absent"
        if spec.name in self._resident:
            state = "resident"
        return ModelStatus(
            name=spec.name,
            title=spec.title,
            state=state,
            default=default,
            licence=spec.licence,
            size=spec.size,
        )


async def load_embedded(spec: ModelSpec, settings: Settings, progress: Progress | None) -> Engine:
    """Fetch the model's file when it is not there, and load it into this process."""
    from llmasos.models.engines.llama import LlamaEngine

    path = await fetch(spec, settings.cache_dir, allow_download=settings.allow_download, progress=progress)
    if progress is not None:
        progress(f"Loading {spec.title}", 0.0, 0.0, "")
    return await LlamaEngine.load(
        LoadPlan(
            name=spec.name,
            path=path,
            fingerprint=spec.sha256 or _fingerprint(path),
            cache_dir=settings.cache_dir,
            context=min(settings.model_context, spec.context),
            threads=settings.model_threads,
        )
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"The model file {path} cannot be read: {error.strerror}.", hint="Check that it is still there."
        ) from error


def _fingerprint(path: Path) -> str:
    info = path.stat()
    return f"{path}:{info.st_size}:{info.st_mtime_ns}"
