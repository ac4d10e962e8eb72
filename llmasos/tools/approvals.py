"""Whose tools a person has enabled, with what they have seen of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from llmasos import paths
from llmasos.errors import ConfigError, ToolError

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
        record: Told what a person has decided, before it takes effect.
        prefix: What names begin with in records.
    """

    def __init__(
        self, file: Path, kind: type[Tools], record: Callable[..., Awaitable[None]], prefix: str = ""
    ) -> None:
        self._file = file
        self._record = record
        self._prefix = prefix
        self._all = TypeAdapter(dict[str, Approval[kind]])  # type: ignore[valid-type]

    async def all(self) -> dict[str, Approval[Tools]]:
        """Return the approvals by the plugins' or servers' names.

        Raises:
            ConfigError: The file was damaged.
        """
        return await anyio.to_thread.run_sync(self._read)

    async def enable(self, name: str, approval: Approval[Tools], **told: Any) -> None:
        """Record that a person has enabled one, and keep that.

        Args:
            name: Its name.
            approval: What was enabled.
            told: What the record says of it besides.

        Raises:
            ConfigError: The file was damaged.
        """
        await self._decide(name, approval, "enabled", told)

    async def disable(self, name: str) -> Approval[Tools]:
        """Record that a person has disabled one, keep that, and return what there is of it.

        Raises:
            ToolError: It is not enabled.
            ConfigError: The file was damaged.
        """
        approval = (await self.all()).get(name)
        if approval is None or not approval.enabled:
            raise ToolError(f"{self._prefix}{name} is not enabled.", hint="See `llmasos tools list`.")
        disabled = approval.model_copy(update={"enabled": False})
        await self._decide(name, disabled, "disabled", {})
        return disabled

    async def _decide(self, name: str, approval: Approval[Tools], change: str, told: dict[str, Any]) -> None:
        approvals = {**await self.all(), name: approval}
        await self._record(plugin=f"{self._prefix}{name}", change=change, sha256=approval.sha256, **told)
        await anyio.to_thread.run_sync(self._write, approvals)

    def _read(self) -> dict[str, Approval[Tools]]:
        try:
            return self._all.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            raise ConfigError(
                f"{self._file} cannot be read, so none of its tools is offered.",
                hint="Remove it, and enable what you use again with `llmasos tools enable NAME`.",
            ) from error

    def _write(self, approvals: dict[str, Approval[Tools]]) -> None:
        # A crash leaves the old ones or the new.
        text = json.dumps(self._all.dump_python(approvals, mode="json"), indent=1, ensure_ascii=False)
        paths.write_whole(self._file, text)
