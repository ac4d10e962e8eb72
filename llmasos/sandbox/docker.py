"""The Docker backend: one hardened container per sandbox, its worker calling the host."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from llmasos.config import Settings
from llmasos.errors import SandboxError
from llmasos.sandbox.broker.cgroup import alive, own_name
from llmasos.sandbox.broker.client import Broker
from llmasos.sandbox.broker.mounts import unmount_all
from llmasos.sandbox.egress import Egress
from llmasos.sandbox.jail import ENVIRONMENT
from llmasos.sandbox.pool import Owner
from llmasos.sandbox.port import OnRefused, View, ViewKind
from llmasos.sandbox.provider import (
    NOWHERE,
    OpenEgress,
    Reach,
    ViewProvider,
    ViewSandbox,
    owner_of,
    private_folder,
    user_files,
    way_out,
    worker_options,
)
from llmasos.sandbox.worker import worker_command, worker_files

if TYPE_CHECKING:
    from docker import DockerClient

Listen = Callable[[Path], AbstractAsyncContextManager[None]]
BACKEND = "docker"
# Whose a container is: a kernel by its process's number and start, and the data folder it works on, because
# other machines' kernels may share the daemon.
KERNEL, DATA = "llmasos.process", "llmasos.data"
_START_SECONDS = 30.0
_CALL_SECONDS = 30
_LOOK_SECONDS = 1.0
_INSIDE = "/run/llmasos"


class DockerProvider(ViewProvider):
    """Opens containers.

    Only root can mount a view into a container that runs, so only root has a pool; for anybody else the
    daemon mounts it at the container's start.

    Args:
        settings: The image and what each container may use.
        reason: Why Docker was chosen.
        view_kind: How it shows folders.
        open_egress: Opens the way out when hosts may be reached.
    """

    backend = BACKEND

    def __init__(
        self,
        settings: Settings,
        reason: str = "",
        *,
        view_kind: ViewKind = "overlay",
        open_egress: OpenEgress = Egress,
    ) -> None:
        super().__init__(settings, reason, view_kind=view_kind, open_egress=open_egress)
        self._labels = {KERNEL: own_name(), DATA: str(settings.data_dir)}
        self._client: DockerClient | None = None
        self._broker: Broker | None = None
        self._starting = anyio.Lock()
        self._numbers = itertools.count(1)

    async def open(
        self, view: View, *, session: str, hosts: Sequence[str] = (), on_refused: OnRefused | None = None
    ) -> ViewSandbox:
        """Open a container on a view."""
        if os.getuid() == 0:
            return await super().open(view, session=session, hosts=hosts, on_refused=on_refused)
        container = _Container(await self._connected(), self._settings, self._labels, owner_of(view))
        container.view = view
        sandbox = await self._run(container, Reach(tuple(hosts), on_refused))
        sandbox.watch(view)
        return sandbox

    async def warm(self) -> None:
        """Fill the pool, and keep it filled until `close`."""
        if os.getuid() == 0:
            await super().warm()

    async def sweep(self, states: Path) -> None:
        """Remove what kernels that no longer live have left: containers, volumes, folders and mounts."""
        client = await self._connected()
        await anyio.to_thread.run_sync(
            _sweep, client, str(self._settings.data_dir), self._settings.runtime_dir
        )
        await super().sweep(states)

    async def close(self) -> None:
        """Remove the containers of this kernel, and the mounts of their views."""
        await self._pool.close()
        if self._client is not None:
            await anyio.to_thread.run_sync(_remove_all, self._client, self._labels)
            self._client.close()
            self._client = None
        if self._broker is not None:
            await self._broker.close()
            self._broker = None

    async def _start(self, owner: Owner, reach: Reach = NOWHERE) -> ViewSandbox:
        container = _Container(await self._connected(), self._settings, self._labels, owner)
        container.broker = await self._running()
        container.name = f"container-{next(self._numbers)}"
        return await self._run(container, reach)

    async def _run(self, container: _Container, reach: Reach) -> ViewSandbox:
        listener: socket.socket | None = None
        sandbox: ViewSandbox | None = None
        try:
            listener = await container.prepare(partial(self._listen, reach) if reach.hosts else None)
            await anyio.to_thread.run_sync(container.start)
            sock = await _accepted(listener, container)
            sandbox = ViewSandbox(
                BACKEND, sock, container.end, container.mount, self._settings.sandbox_limits
            )
            await sandbox.start(_START_SECONDS)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await (sandbox.close() if sandbox is not None else container.end())
            if isinstance(error, Exception):
                said = error.message if isinstance(error, SandboxError) else str(error) or "it did not answer"
                raise SandboxError(
                    f"The Docker sandbox did not start: {said}",
                    hint="`llmasos doctor` shows what is missing.",
                ) from error
            raise
        finally:
            if listener is not None:
                listener.close()
        return sandbox

    async def _connected(self) -> DockerClient:
        async with self._starting:
            if self._client is None:
                self._client = await anyio.to_thread.run_sync(connect, _CALL_SECONDS)
            return self._client

    async def _running(self) -> Broker:
        async with self._starting:
            if self._broker is None or not self._broker.alive:
                if self._broker is not None:
                    await self._broker.close()
                stage = self._settings.runtime_dir / f"stage-{own_name()}"
                stage.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._broker = await Broker.start({}, stage=stage)
            return self._broker


class _Container:
    """One container, with its socket's folder and the place or the volume of its view."""

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
        owner = f"uid={self._owner.uid},gid={self._owner.gid}"
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
                    path: f"size={limits.scratch_mb}m,nr_inodes={limits.files},nosuid,nodev,{more}"
                    for path, more in (
                        ("/tmp", "mode=1777,exec"),  # noqa: S108 - a path inside the sandbox
                        ("/tmp/home", f"mode=0700,exec,{owner}"),  # noqa: S108 - a path inside the sandbox
                        ("/dev/shm", "mode=1777"),  # noqa: S108 - a path inside the sandbox
                    )
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

    def runs(self) -> bool:
        """Tell whether the container is there and runs."""
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
            _remove(self._container)
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


def connect(seconds: float) -> DockerClient:
    """Return a client of the daemon, which has answered.

    Raises:
        SandboxError: It did not answer within `seconds`.
    """
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=int(seconds))
        client.ping()
    except (DockerException, OSError) as error:
        raise SandboxError(
            "Docker does not answer.", hint="Start it, or set LLMASOS_SANDBOX=bubblewrap."
        ) from error
    return client


async def _accepted(listener: socket.socket, container: _Container) -> socket.socket:
    """Return the connection of a container's worker.

    Raises:
        SandboxError: The container ended first.
        TimeoutError: It takes too long.
    """
    with anyio.fail_after(_START_SECONDS):
        while True:
            with anyio.move_on_after(_LOOK_SECONDS):
                return (await asyncio.get_running_loop().sock_accept(listener))[0]
            if not await anyio.to_thread.run_sync(container.runs):
                raise SandboxError("the container ended at once.")


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


def _sweep(client: DockerClient, data: str, runtime: Path) -> None:
    """Remove what dead kernels of a data folder, and of a runtime folder, have left."""
    wanted = {"label": f"{DATA}={data}"}
    for container in client.containers.list(all=True, filters=wanted):
        if not alive(container.labels[KERNEL]):
            _remove(container)
    for volume in client.volumes.list(filters=wanted):
        if not alive(volume.attrs["Labels"][KERNEL]):
            with contextlib.suppress(Exception):
                volume.remove(force=True)
    for stage in runtime.glob("stage-*"):
        if not alive(stage.name):
            unmount_all(str(stage))
            # Never a recursive removal: a mount that stayed must not be emptied.
            with contextlib.suppress(OSError):
                stage.rmdir()


def _remove_all(client: DockerClient, labels: dict[str, str]) -> None:
    wanted = {"label": [f"{key}={value}" for key, value in labels.items()]}
    for container in client.containers.list(all=True, filters=wanted):
        _remove(container)
    for volume in client.volumes.list(filters=wanted):
        with contextlib.suppress(Exception):
            volume.remove(force=True)


def _remove(container: Any) -> None:
    from docker.errors import DockerException

    with contextlib.suppress(DockerException):
        container.kill()
    with contextlib.suppress(DockerException):
        container.remove(force=True)
    # With auto_remove the daemon may be faster; the mount is free only when the container is gone.
    with contextlib.suppress(DockerException, OSError):
        container.wait(condition="removed", timeout=_CALL_SECONDS)
