"""What the backends share: opening from a pool, watching the disk, reaching hosts."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from llmasos.config import SandboxLimits, Settings
from llmasos.errors import SandboxError
from llmasos.sandbox._channel import WorkerSandbox
from llmasos.sandbox.broker.cgroup import alive, own_name
from llmasos.sandbox.egress import PORT, Egress, proxy_environment
from llmasos.sandbox.pool import Owner, WarmPool
from llmasos.sandbox.port import OWNER_SHIFT, Job, Limit, OnCall, OnOutput, OnRefused, Outcome, View, ViewKind
from llmasos.sandbox.watch import DiskWatch

Mount = Callable[[View], Awaitable[None]]
_FOLDER = "llmasos-sandbox"


class OpenEgress(Protocol):
    """Makes the way out of one sandbox."""

    def __call__(self, hosts: Sequence[str], *, on_refused: OnRefused | None) -> Egress:
        """Return a proxy that reaches these hosts and no others."""


@dataclass(frozen=True)
class Reach:
    """What a sandbox may reach.

    Args:
        hosts: Their names.
        on_refused: Told of what was refused.
    """

    hosts: tuple[str, ...] = ()
    on_refused: OnRefused | None = None


NOWHERE = Reach()


class ViewSandbox(WorkerSandbox):
    """A sandbox that is shown a view once it runs, and whose disk is watched while it works.

    Args:
        backend: The backend's name.
        sock: To its worker.
        on_close: Ends its processes; called once.
        mount: Mounts a view as its workspace.
        limits: What it may use of the disk.
    """

    def __init__(
        self,
        backend: str,
        sock: socket.socket,
        on_close: Callable[[], Awaitable[None]],
        mount: Mount,
        limits: SandboxLimits,
    ) -> None:
        super().__init__(backend, sock, on_close, limits)
        self._mount = mount
        self._limits = limits
        self._watch: DiskWatch | None = None
        self._working = 0
        self._lasting = False

    async def show(self, view: View) -> None:
        """Mount a view, and tell the worker."""
        await self._mount(view)
        await self.attach()
        self.watch(view)

    def watch(self, view: View) -> None:
        """Watch the disk of a view that is mounted."""
        self._watch = DiskWatch(view, self._limits, self._stop_all)

    async def run_command(
        self,
        command: str | Sequence[str],
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        env: Mapping[str, str] | None = None,
        keep_detached: bool = False,
    ) -> Outcome:
        # What was spared goes on writing when the command has ended.
        self._lasting = self._lasting or keep_detached
        async with self._watched():
            return await super().run_command(
                command, timeout=timeout, on_output=on_output, env=env, keep_detached=keep_detached
            )

    async def run_python(
        self,
        code: str,
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        on_call: OnCall | None = None,
        functions: Mapping[str, tuple[str, ...]] | None = None,
        fresh: bool = False,
    ) -> Outcome:
        async with self._watched():
            return await super().run_python(
                code,
                timeout=timeout,
                on_output=on_output,
                on_call=on_call,
                functions=functions,
                fresh=fresh,
            )

    async def start_job(self, command: str, *, env: Mapping[str, str] | None = None) -> Job:
        self._lasting = True
        async with self._watched():
            return await super().start_job(command, env=env)

    async def close(self) -> None:
        await self._unwatch()
        await super().close()

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        self._working += 1
        if self._watch is not None:
            self._watch.start()
        try:
            yield
        finally:
            self._working -= 1
            if not self._working and not self._lasting:
                await self._unwatch()

    async def _stop_all(self, limit: Limit) -> None:
        self.stop_with(limit)
        jobs = [job.id for job in await self.jobs() if job.running] if self._lasting else []
        for job in jobs:
            await self.stop_job(job)
        if not jobs and not self._working:
            # Only something that a command has left behind can be writing.
            await super().close()

    async def _unwatch(self) -> None:
        if self._watch is not None:
            await self._watch.end()


class ViewProvider(ABC):
    """Opens sandboxes on views, from a pool of warm ones where it can.

    Args:
        settings: What each sandbox may use, and how many are kept warm.
        reason: Why this backend was chosen.
        view_kind: How it shows folders.
        open_egress: Opens the way out when hosts may be reached.
    """

    backend: str

    def __init__(
        self,
        settings: Settings,
        reason: str = "",
        *,
        view_kind: ViewKind = "overlay",
        open_egress: OpenEgress = Egress,
    ) -> None:
        self.reason = reason
        self.view_kind: ViewKind = view_kind
        self._settings = settings
        self._open_egress = open_egress
        self._pool = WarmPool(settings.sandbox_pool, self._start, _own())

    async def open(
        self, view: View, *, session: str, hosts: Sequence[str] = (), on_refused: OnRefused | None = None
    ) -> ViewSandbox:
        """Open a sandbox on a view: a warm one, or one that starts now."""
        owner = owner_of(view)
        # Which hosts can be reached is settled when a sandbox starts.
        sandbox = None if hosts else await self._pool.take(owner)
        if sandbox is not None:
            try:
                return await self._shown(sandbox, view)
            except SandboxError:
                # It has died in the pool; the one that starts now says what is wrong, if anything is.
                sandbox = None
        return await self._shown(await self._start(owner, Reach(tuple(hosts), on_refused)), view)

    async def warm(self) -> None:
        """Fill the pool, and keep it filled until `close`."""
        await self._pool.warm()

    async def sweep(self, states: Path) -> None:
        """Remove the folders that kernels which no longer live have left."""
        await anyio.to_thread.run_sync(sweep_folders, self._settings.runtime_dir)

    @abstractmethod
    async def close(self) -> None:
        """End everything that this provider has started."""

    @abstractmethod
    async def _start(self, owner: Owner, reach: Reach = NOWHERE) -> ViewSandbox:
        """Start a sandbox that has no workspace yet; nothing of it is left when this fails."""

    def _listen(self, reach: Reach, folder: Path) -> AbstractAsyncContextManager[None]:
        """Serve the way out at `folder`/egress."""
        return self._open_egress(reach.hosts, on_refused=reach.on_refused).listen(folder / "egress")

    async def _shown(self, sandbox: ViewSandbox, view: View) -> ViewSandbox:
        try:
            await sandbox.show(view)
        except BaseException:
            await sandbox.close()
            raise
        return sandbox


def owner_of(view: View) -> Owner:
    """Return the user that a sandbox on a view runs as.

    Raises:
        SandboxError: That would be root.
    """
    if not view.mapped:
        if os.getuid() == 0:
            raise SandboxError("A sandbox of root needs a view with shifted owners.")
        return Owner(os.getuid(), os.getgid())
    info = view.lower.stat()
    return Owner(info.st_uid + OWNER_SHIFT, info.st_gid + OWNER_SHIFT)


def private_folder(place: Path) -> Path:
    """Make a folder for one sandbox, by whose name `sweep` knows the kernel."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}-{own_name()}-", dir=place))


def sweep_folders(place: Path) -> None:
    """Remove the private folders of kernels that no longer live."""
    for folder in place.glob(f"{_FOLDER}-*"):
        if not alive(folder.name.rpartition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


def user_files(owner: Owner) -> dict[str, str]:
    """Return the files that give the sandbox's user a name."""
    return {
        "passwd": "root:x:0:0::/:/usr/sbin/nologin\n"
        f"sandbox:x:{owner.uid}:{owner.gid}::/tmp/home:/bin/bash\n",
        "group": f"root:x:0:\nsandbox:x:{owner.gid}:\n",
    }


def scratch_bytes(limits: SandboxLimits) -> int:
    """Return the size of /tmp, and of /dev/shm, in bytes; both full, they leave half of the memory."""
    return min(limits.scratch_mb << 20, (limits.memory_mb << 20) // 4)


def worker_options(limits: SandboxLimits, **options: object) -> dict[str, object]:
    """Return what a worker is told at its start."""
    return {
        "workspace": "/workspace",
        "limits": limits.model_dump(),
        "attached": False,
        "seccomp": True,
        "user_limits": False,
        "landlock": None,
        "egress": None,
        **options,
    }


def way_out(socket_path: str) -> dict[str, object]:
    """Return what a worker is told of the way out, whose socket it finds at a path."""
    return {"socket": socket_path, "port": PORT, "environment": proxy_environment(PORT)}


def _own() -> Owner:
    shift = OWNER_SHIFT if os.getuid() == 0 else 0
    return Owner(os.getuid() + shift, os.getgid() + shift)
