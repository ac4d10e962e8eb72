"""Pydantic-ai's own rules for workspace backends, on the real sandboxes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from pydantic_ai.workspaces import WorkspaceBackend, WorkspaceOutputLimitError, WorkspaceRef
from pydantic_ai.workspaces.conformance import WorkspaceBackendSuite

from llmasos.config import SandboxLimits
from llmasos.sandbox.backend import Environments, SandboxBackend
from tests.integration.sandbox.tiers import Name, open_tier

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


class Suite(WorkspaceBackendSuite):
    """The suite with every optional rule switched on."""

    tier: Name

    @pytest.fixture
    async def environments(self, tmp_path: Path) -> AsyncIterator[Environments]:
        limits = SandboxLimits(memory_mb=512, processes=64, output_bytes=100_000)
        async with open_tier(self.tier, tmp_path, limits) as tier:
            environments = Environments(tier.open)
            yield environments
            await environments.close()

    @pytest.fixture
    def fresh_backend(self, environments: Environments) -> Callable[[], WorkspaceBackend]:
        return lambda: SandboxBackend(environments)

    @pytest.fixture
    def backend(self, fresh_backend: Callable[[], WorkspaceBackend]) -> WorkspaceBackend:
        return fresh_backend()

    @pytest.fixture
    def attach_backend(self, environments: Environments) -> Callable[[WorkspaceRef], WorkspaceBackend]:
        return lambda ref: SandboxBackend(environments, ref)

    @pytest.fixture
    def destroy_environment(
        self, environments: Environments
    ) -> Callable[[WorkspaceBackend], Awaitable[None]]:
        async def destroy(backend: WorkspaceBackend) -> None:
            assert backend.ref is not None
            await environments.destroy(backend.ref.id)

        return destroy

    async def test_too_much_output_is_an_error(self, backend: SandboxBackend) -> None:
        with pytest.raises(WorkspaceOutputLimitError) as caught:
            await backend.run("yes | head -c 300000", shell=True)
        assert caught.value.stdout.startswith("y\ny\n")

    async def test_files_outside_the_workspace_are_refused(self, backend: SandboxBackend) -> None:
        with pytest.raises(PermissionError):
            await backend.read_bytes("/etc/passwd")

    async def test_a_folder_is_listed_whole(self, backend: SandboxBackend) -> None:
        root = await backend.working_dir()
        await backend.make_dir(f"{root}/.git/objects")
        assert [entry.name for entry in await backend.list_dir(root)] == [".git", "a.txt"]


class TestDocker(Suite):
    tier = "docker"


class TestBubblewrap(Suite):
    tier = "bubblewrap"
