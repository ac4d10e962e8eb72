"""Which plugins a person has enabled, with the code and the definitions that they have seen."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from llmasos.errors import ConfigError
from llmasos.tools.plugins.definition import Definition


class Approval(BaseModel):
    """A plugin that a person has enabled.

    Args:
        sha256: Of its code.
        tools: Its tools as they were shown.
        in_kernel: Whether it may run in the kernel, and not in a sandbox.
        enabled: Whether its tools are offered; one that was disabled need not be looked at again.
        at: When.
    """

    model_config = ConfigDict(frozen=True)

    sha256: str
    tools: tuple[Definition, ...]
    in_kernel: bool = False
    enabled: bool = True
    at: datetime


_ALL = TypeAdapter(dict[str, Approval])


class Approvals:
    """The approvals of one user, in a file.

    Args:
        file: The file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> dict[str, Approval]:
        """Return the approvals by the plugins' names.

        Raises:
            ConfigError: The file was damaged.
        """
        try:
            return _ALL.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            raise ConfigError(
                f"{self._file} cannot be read, so no plugin is enabled.",
                hint="Remove it, and enable your plugins again with `llmasos tools enable NAME`.",
            ) from error

    def write(self, approvals: dict[str, Approval]) -> None:
        """Keep the approvals; a crash leaves the old ones or the new."""
        text = json.dumps(_ALL.dump_python(approvals, mode="json"), indent=1, ensure_ascii=False)
        handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=f".{self._file.name}-")
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self._file)
