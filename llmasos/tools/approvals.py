"""Whose tools a person has enabled, with what they have seen of them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from llmasos import paths
from llmasos.errors import ConfigError

Tools = TypeVar("Tools", bound=BaseModel)


class Approval(BaseModel, Generic[Tools]):
    """A plugin, or a server, that a person has enabled.

    Args:
        sha256: Of its code, or of what it says of its tools.
        tools: Its tools as they were shown.
        in_kernel: Whether it may run in the kernel, and not in a sandbox.
        enabled: Whether its tools are offered; one that was disabled need not be looked at again.
        at: When.
    """

    model_config = ConfigDict(frozen=True)

    sha256: str
    tools: tuple[Tools, ...]
    in_kernel: bool = False
    enabled: bool = True
    at: datetime


class Approvals(Generic[Tools]):
    """The approvals of one user, in a file.

    Args:
        file: The file.
        kind: What is kept of a tool.
    """

    def __init__(self, file: Path, kind: type[Tools]) -> None:
        self._file = file
        self._all = TypeAdapter(dict[str, Approval[kind]])  # type: ignore[valid-type]

    def read(self) -> dict[str, Approval[Tools]]:
        """Return the approvals by the plugins' or servers' names.

        Raises:
            ConfigError: The file was damaged.
        """
        try:
            return self._all.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            raise ConfigError(
                f"{self._file} cannot be read, so none of its tools is offered.",
                hint="Remove it, and enable what you use again with `llmasos tools enable NAME`.",
            ) from error

    def write(self, approvals: dict[str, Approval[Tools]]) -> None:
        """Keep the approvals; a crash leaves the old ones or the new."""
        text = json.dumps(self._all.dump_python(approvals, mode="json"), indent=1, ensure_ascii=False)
        paths.write_whole(self._file, text)
