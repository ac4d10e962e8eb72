"""Real sandboxes of every tier, on a small folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from llmasos.config import SandboxLimits, Settings
from llmasos.sandbox import Sandbox, SandboxProvider, Workspace, choose_provider

Name = Literal["docker", "bubblewrap", "landlock"]


@dataclass
class Tier:
    """A provider, and the sandboxes that it has opened on folders of their own."""

    provider: SandboxProvider
    place: Path
    workspaces: list[Workspace] = field(default_factory=list)
    sandboxes: list[Sandbox] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def open(self, hosts: Sequence[str] = ()) -> Sandbox:
        """Open a sandbox on a fresh folder with one file."""
        folder = self.place / f"folder-{len(self.workspaces)}"
        folder.mkdir()
        (folder / "a.txt").write_text("one\n")
        self.workspaces.append(Workspace.open(folder, self.place / "data" / f"state-{len(self.workspaces)}"))
        return await self._open(self.workspaces[-1], hosts)

    async def reopen(self, lost: Sandbox) -> Sandbox:
        """Open a fresh sandbox on the view of one that was lost."""
        await lost.close()
        return await self._open(self.workspaces[self.sandboxes.index(lost)], ())

    async def _open(self, workspace: Workspace, hosts: Sequence[str]) -> Sandbox:
        view = await workspace.view(self.provider.view_kind)
        sandbox = await self.provider.open(
            view,
            session=f"test-{len(self.sandboxes)}",
            hosts=hosts,
            on_refused=lambda host, port, reason: self.refused.append(host),
        )
        self.sandboxes.append(sandbox)
        return sandbox


@asynccontextmanager
async def open_tier(name: Name, place: Path, limits: SandboxLimits) -> AsyncIterator[Tier]:
    """Give out a tier, and end what it has opened."""
    settings = Settings(
        sandbox=name,
        sandbox_pool=0,
        data_dir=place / "data",
        cache_dir=place / "cache",
        runtime_dir=place / "run",
        sandbox_limits=limits,
    )
    tier = Tier(await choose_provider(settings), place)
    try:
        yield tier
    finally:
        for sandbox in tier.sandboxes:
            await sandbox.close()
        await tier.provider.close()
