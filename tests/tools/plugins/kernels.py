"""What a kernel gives to tools, for tests of what stands between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from llmasos.config import Settings, ToolSettings
from llmasos.sandbox import Artifact, Sandbox, SandboxProvider, private_sandbox
from llmasos.tools import Declaration
from llmasos.tools.plugins.definition import Definition


def defined(name: str = "probe", module: str = "probe", **declared: Any) -> Definition:
    """Return a tool that takes anything."""
    returns = declared.pop("returns", {})
    return Definition(
        name=name,
        module=module,
        description="Probes.",
        parameters={"type": "object"},
        returns=returns,
        declaration=Declaration(**declared),
    )


@dataclass
class Context:
    """A kernel's context that keeps what happens."""

    sandbox: Sandbox
    seconds: float = 20.0
    settings: Settings = field(
        default_factory=lambda: Settings(tools=ToolSettings(secrets={"KEY": SecretStr("s3cret")}))
    )
    answers: list[str] = field(default_factory=list)
    shown: list[tuple[str, str]] = field(default_factory=list)
    steps: list[tuple[str, float, float, str]] = field(default_factory=list)
    kept: list[Artifact] = field(default_factory=list)
    charged: float = 0.0
    provider: SandboxProvider | None = None
    refused: list[tuple[str, int, str]] = field(default_factory=list)

    @asynccontextmanager
    async def private(self, files: Mapping[str, bytes], hosts: Sequence[str]) -> AsyncIterator[Sandbox]:
        assert self.provider is not None, "no sandbox is opened"
        opened = private_sandbox(
            self.provider,
            self.settings,
            files,
            hosts=hosts,
            on_refused=lambda *what: self.refused.append(what),
        )
        async with opened as (sandbox, _):
            yield sandbox

    def charge(self, what: str, cost: float) -> None:
        self.charged += cost

    async def ask(self, instructions: str, text: str, *, max_tokens: int) -> str:
        return f"{instructions}|{text}|{max_tokens}"

    async def keep(self, artifacts: Sequence[Artifact]) -> Sequence[str]:
        self.kept += artifacts
        return [artifact.name for artifact in artifacts]

    def output(self, stream: str, text: str) -> None:
        self.shown.append((stream, text))

    def progress(self, what: str, done: float, total: float, unit: str = "") -> None:
        self.steps.append((what, done, total, unit))


@dataclass
class Drawer:
    """An exchange in memory."""

    files: dict[str, bytes] = field(default_factory=dict)

    async def put(self, name: str, data: bytes) -> None:
        self.files[name] = data

    async def get(self, name: str, limit: int) -> bytes:
        return self.files[name][: limit + 1]
