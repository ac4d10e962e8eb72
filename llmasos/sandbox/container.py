"""One hardened container, with the socket that its worker calls and the mount of its view."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from llmasos.config import Settings
from llmasos.errors import SandboxError
from llmasos.sandbox.broker.client import Broker
from llmasos.sandbox.daemon import remove
from llmasos.sandbox.jail import ENVIRONMENT
from llmasos.sandbox.pool import Owner
from llmasos.sandbox.port import View
from llmasos.sandbox.provider import private_folder, scratch_bytes, user_files, way_out, worker_options
from llmasos.sandbox.worker import worker_command, worker_files

if TYPE_CHECKING:
    from docker import DockerClient

Listen = Callable[[Path], AbstractAsyncContextManager[None]]
_LOOK_SECONDS = 1.0
_INSIDE = "/run/llmasos"


class Container:
    """A container.

    Args:
        client: Talks to the daemon.
        settings: Its image and what it may use.
        labels: Whose it is.
        owner: Whom it runs as.
    """

    def __init__(
        self, client: DockerClient, settings: Settings, labels: dict[str, str], owner: Owner
    ) -> None:
        self._client = client
        self._settings = settings
        self._labels = labels
        self._owner = owner
        self.name = ""
        self.broker: Broker | None = None
        self.view: View | None = None
        self._folder: Path | None = None
        self._way = contextlib.AsyncExitStack()
        self._reachable = False
        self._workspace: Any = None
        self._container: Any = None
        self._volume: Any = None

    async def prepare(self, listen: Listen | None) -> socket.socket:
        """Return a socket that only the container can reach: it is bound into it and nowhere else.

        Args:
            listen: Serves the way out in a folder, when there is one.
        """
        from docker.types import Mount

        self._folder = private_folder(self._settings.runtime_dir)
        for name, text in {**user_files(self._owner), **worker_files()}.items():
            (self._folder / name).parent.mkdir(exist_ok=True)
            (self._folder / name).write_text(text)
            (self._folder / name).chmod(0o644)
        if listen is not None:
            await self._way.enter_async_context(listen(self._folder))
            self._reachable = True
        if self.broker is not None:
            place = await self.broker.make(self.name)
            self._workspace = Mount("/workspace", str(place), type="bind", propagation="rslave")
        elif self.view is not None and self.view.kind != "overlay":
            self._workspace = Mount("/workspace", str(self.view.upper), type="bind")
        return _listen(self._folder)

    def start(self) -> None:
        """Start the container."""
        from docker.errors import DockerException
        from docker.types import LogConfig, Mount, Ulimit

        limits = self._settings.sandbox_limits
        scratch = f"size={scratch_bytes(limits)},nr_inodes={limits.files},nosuid,nodev,mode=1777"
        options = worker_options(
            limits,
            attached=self.view is not None,
            egress=way_out(f"{_INSIDE}/egress") if self._reachable else None,
        )
        try:
            self._container = self._client.containers.run(
                self._settings.sandbox_image,
                worker_command("python3", _INSIDE, f"{_INSIDE}/socket", options),
                detach=True,
                auto_remove=True,
                # The worker comes first: another first process would have nothing that protects it inside.
                init=False,
                user=f"{self._owner.uid}:{self._owner.gid}",
                working_dir="/workspace",
                hostname="sandbox",
                environment=ENVIRONMENT,
                labels=self._labels,
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                network_mode="none",
                pids_limit=limits.processes,
                nano_cpus=int(limits.cpus * 1e9) or None,
                mem_limit=f"{limits.memory_mb}m",
                memswap_limit=f"{limits.memory_mb}m",
                ulimits=[
                    Ulimit(name="core", soft=0, hard=0),
                    Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files),
                ],
                log_config=LogConfig(type="none"),
                tmpfs={
                    "/tmp": f"{scratch},exec",  # noqa: S108 - a path inside the sandbox
                    "/dev/shm": scratch,  # noqa: S108 - a path inside the sandbox
                },
                mounts=[
                    self._workspace or self._overlay(),
                    Mount(_INSIDE, str(self._folder), type="bind", read_only=True),
                    *(
                        Mount(f"/etc/{name}", f"{self._folder}/{name}", type="bind", read_only=True)
                        for name in ("passwd", "group")
                    ),
                ],
            )
        except (DockerException, OSError) as error:
            raise SandboxError(f"Docker refused the container: {error}.") from error

    async def accept(self, listener: socket.socket) -> socket.socket:
        """Return the connection of the worker.

        Raises:
            SandboxError: The container ended first.
        """
        while True:
            with anyio.move_on_after(_LOOK_SECONDS):
                return (await asyncio.get_running_loop().sock_accept(listener))[0]
            if not await anyio.to_thread.run_sync(self._runs):
                raise SandboxError("the container ended at once.")

    def _runs(self) -> bool:
        from docker.errors import NotFound

        try:
            self._container.reload()
        except NotFound:
            return False
        return bool(self._container.status == "running")

    async def mount(self, view: View) -> None:
        """Mount a view where the container sees it."""
        assert self.broker is not None
        await self.broker.attach(self.name, view)

    async def end(self) -> None:
        """Remove the container, and then the mount of its view."""
        await anyio.to_thread.run_sync(self._remove)
        if self.broker is not None:
            await self.broker.end(self.name)
        await self._way.aclose()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _remove(self) -> None:
        if self._container is not None:
            remove(self._container)
        if self._volume is not None:
            with contextlib.suppress(Exception):
                self._volume.remove(force=True)

    def _overlay(self) -> Any:
        """Return an overlay that the daemon mounts."""
        from docker.types import Mount

        view = self.view
        assert view is not None
        lowers = [path for path in (view.hidden, view.lower) if path is not None]
        for path in (*lowers, view.upper, view.work):
            if set(str(path)) & set(',:\\"'):
                raise SandboxError(
                    f'Docker cannot mount {path}: its name holds one of , : \\ or ".',
                    hint="Rename the folder, or set LLMASOS_SANDBOX=bubblewrap.",
                )
        folders = f"lowerdir={':'.join(map(str, lowers))},upperdir={view.upper},workdir={view.work}"
        self._volume = self._client.volumes.create(
            driver="local",
            driver_opts={
                "type": "overlay",
                "device": "overlay",
                "o": f"{folders},userxattr,metacopy=off,index=off,nosuid,nodev",
            },
            labels=self._labels,
        )
        return Mount("/workspace", self._volume.name, type="volume")


def _listen(folder: Path) -> socket.socket:
    folder.chmod(0o755)
    handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX)
    try:
        # Through /proc, because a socket's path may have 107 bytes only.
        listener.bind(f"/proc/self/fd/{handle}/socket")
    finally:
        os.close(handle)
    (folder / "socket").chmod(0o666)
    listener.listen(1)
    listener.setblocking(False)
    return listener
