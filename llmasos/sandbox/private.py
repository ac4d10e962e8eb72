"""Sandboxes on folders of their own, for code that must not see the folder of a session."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from llmasos.config import Settings
from llmasos.paths import private_dir
from llmasos.sandbox.port import OnRefused, Sandbox, SandboxProvider
from llmasos.sandbox.provider import private_folder, sweep_folders
from llmasos.sandbox.workspace import Workspace
from llmasos.sandbox.workspace.removal import remove


def private_places(settings: Settings) -> Path:
    """Return the folder in which such folders lie."""
    return private_dir(settings.data_dir / "errands")


def sweep_private(settings: Settings) -> None:
    """Remove what processes of this machine that ended have left."""
    sweep_folders(private_places(settings))


def lay_out(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder that no code has had yet, or that was emptied since."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


@asynccontextmanager
async def private_sandbox(
    provider: SandboxProvider,
    settings: Settings,
    files: Mapping[str, bytes],
    *,
    hosts: Sequence[str] = (),
    on_refused: OnRefused | None = None,
) -> AsyncIterator[tuple[Sandbox, Path]]:
    """Open a sandbox on a folder of its own, and remove both at the end.

    Args:
        provider: Opens it.
        settings: They say where such folders lie.
        files: What the folder holds, by path.
        hosts: Names that may be reached.
        on_refused: Told of others.

    Raises:
        SandboxError: It cannot start.
    """

    def prepare() -> tuple[Path, Workspace]:
        place = private_folder(private_places(settings))
        (place / "folder").mkdir()
        lay_out(place / "folder", files)
        return place, Workspace.open(place / "folder", place / "state", in_place=True)

    place, workspace = await anyio.to_thread.run_sync(prepare)
    try:
        view = await workspace.view()
        sandbox = await provider.open(view, session=place.name, hosts=hosts, on_refused=on_refused)
        try:
            yield sandbox, place / "folder"
        finally:
            with anyio.CancelScope(shield=True):
                await sandbox.close()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(remove, str(place))
