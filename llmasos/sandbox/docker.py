"""The Docker backend: one hardened container per sandbox, its worker calling the host."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from llmasos.config import Settings
from llmasos.errors import SandboxError
from llmasos.sandbox._channel import WorkerSandbox
from llmasos.sandbox.jail import ENVIRONMENT
from llmasos.sandbox.port import OWNER_RANGE, OWNER_SHIFT, View
from llmasos.sandbox.worker import worker_command, worker_files

if TYPE_CHECKING:
    from docker import DockerClient

BACKEND = "docker"
LABEL = "llmasos.kernel"
_MOUNTS = Path(__file__).with_name("_mounts.py")
_START_SECONDS = 30.0
_CALL_SECONDS = 30
_INSIDE = "/run/llmasos"


class DockerProvider:
    """Opens containers.

    Args:
        settings: The image and what each container may use.
        reason: Why Docker was chosen.
    """

    backend = BACKEND

    def __init__(self, settings: Settings, reason: str = "") -> None:
        self.reason = reason
        self._settings = settings
        self._client: DockerClient | None = None

    async def open(self, view: View, *, session: str) -> WorkerSandbox:
        """Open a container on a view."""
        container = _Container(await anyio.to_thread.run_sync(self._connect), self._settings, view, session)
        listener = await anyio.to_thread.run_sync(container.listen)
        try:
            await anyio.to_thread.run_sync(container.start)
            with anyio.fail_after(_START_SECONDS):
                sock, _ = await asyncio.get_running_loop().sock_accept(listener)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(container.end)
            if isinstance(error, Exception):
                said = error.message if isinstance(error, SandboxError) else str(error) or "it did not answer"
                raise SandboxError(
                    f"The Docker sandbox did not start: {said}",
                    hint="`llmasos doctor` shows what is missing.",
                ) from error
            raise
        finally:
            listener.close()

        async def end() -> None:
            await anyio.to_thread.run_sync(container.end)

        sandbox = WorkerSandbox(BACKEND, sock, end)
        await sandbox.start(_START_SECONDS)
        return sandbox

    async def sweep(self, states: Path) -> None:
        """Remove the containers of kernels that no longer live, and then the mounts of their views."""

        def work() -> None:
            self._connect()
            for stage in states.glob("*/docker"):
                unmount(stage)

        await anyio.to_thread.run_sync(work)

    async def close(self) -> None:
        """Remove the containers that this kernel left behind."""
        await anyio.to_thread.run_sync(self._close)

    def _connect(self) -> DockerClient:
        if self._client is None:
            self._client = connect(_CALL_SECONDS)
            _reap(self._client)
        return self._client

    def _close(self) -> None:
        if self._client is not None:
            for container in self._client.containers.list(filters={"label": f"{LABEL}={os.getpid()}"}):
                _remove(container)
            self._client.close()
            self._client = None


class _Container:
    """One container, with its socket's folder and the mount of its view."""

    def __init__(self, client: DockerClient, settings: Settings, view: View, session: str) -> None:
        self._client = client
        self._settings = settings
        self._view = view
        self._labels = {LABEL: str(os.getpid()), "llmasos.session": session}
        settings.runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="sandbox-", dir=settings.runtime_dir))
        self._mount = view.upper.parent / "docker"
        self._container: Any = None
        self._volume: Any = None

    def listen(self) -> socket.socket:
        """Return a socket that only the container can reach: it is bound into it and nowhere else."""
        self._folder.chmod(0o755)
        handle = os.open(self._folder, os.O_PATH | os.O_CLOEXEC)
        listener = socket.socket(socket.AF_UNIX)
        try:
            # Through /proc, because a socket's path may have 107 bytes only.
            listener.bind(f"/proc/self/fd/{handle}/socket")
        finally:
            os.close(handle)
        (self._folder / "socket").chmod(0o666)
        listener.listen(1)
        listener.setblocking(False)
        return listener

    def start(self) -> None:
        """Mount the view and start the container."""
        from docker.errors import DockerException
        from docker.types import LogConfig, Mount

        limits = self._settings.sandbox_limits
        owner = self._view.lower.stat()
        shift = OWNER_SHIFT if self._view.mapped else 0
        uid, gid = (owner.st_uid + shift, owner.st_gid + shift) if shift else (os.getuid(), os.getgid())
        files = {
            "passwd": f"root:x:0:0::/:/usr/sbin/nologin\nsandbox:x:{uid}:{gid}::/tmp/home:/bin/bash\n",
            "group": f"root:x:0:\nsandbox:x:{gid}:\n",
            **worker_files(),
        }
        (self._folder / "worker").mkdir()
        for name, text in files.items():
            (self._folder / name).write_text(text)
            (self._folder / name).chmod(0o644)
        # Docker limits the processes of the container; a limit per user would count other programs too.
        options = {
            "workspace": "/workspace",
            "limits": limits.model_dump(),
            "attached": True,
            "seccomp": True,
            "user_limits": False,
            "landlock": None,
        }
        try:
            self._container = self._client.containers.run(
                self._settings.sandbox_image,
                worker_command("/usr/bin/python3", _INSIDE, f"{_INSIDE}/socket", options),
                detach=True,
                auto_remove=True,
                init=True,
                user=f"{uid}:{gid}",
                working_dir="/workspace",
                hostname="sandbox",
                environment=ENVIRONMENT,
                labels=self._labels,
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                network_mode="none",
                pids_limit=limits.processes,
                mem_limit=f"{limits.memory_mb}m",
                memswap_limit=f"{limits.memory_mb}m",
                log_config=LogConfig(type="none"),
                tmpfs={
                    "/tmp": "size=512m,mode=1777",  # noqa: S108 - a path inside the sandbox
                    "/tmp/home": f"size=512m,mode=0700,uid={uid},gid={gid}",  # noqa: S108 - a path inside the sandbox
                },
                mounts=[
                    self._workspace(),
                    Mount(_INSIDE, str(self._folder), type="bind", read_only=True),
                    *(
                        Mount(f"/etc/{name}", str(self._folder / name), type="bind", read_only=True)
                        for name in ("passwd", "group")
                    ),
                ],
            )
        except (DockerException, OSError) as error:
            raise SandboxError(f"Docker refused the container: {error}.") from error

    def end(self) -> None:
        """Remove the container, and then the mount of its view."""
        if self._container is not None:
            _remove(self._container)
        if self._volume is not None:
            with contextlib.suppress(Exception):
                self._volume.remove(force=True)
        unmount(self._mount)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _workspace(self) -> Any:
        from docker.types import Mount

        view = self._view
        if view.mapped:
            unmount(self._mount)
            for name in ("lower", "view"):
                (self._mount / name).mkdir(parents=True)
            spec = {"lower": str(view.lower), "upper": str(view.upper), "work": str(view.work)}
            spec["stage"] = str(self._mount)
            _mounts("publish", json.dumps({**spec, "shift": OWNER_SHIFT, "count": OWNER_RANGE}))
            return Mount("/workspace", str(self._mount / "view"), type="bind")
        for path in (view.lower, view.upper, view.work):
            if set(str(path)) & set(',:\\"'):
                raise SandboxError(
                    f'Docker cannot mount {path}: its name holds one of , : \\ or ".',
                    hint="Rename the folder, or set LLMASOS_SANDBOX=bubblewrap.",
                )
        folders = f"lowerdir={view.lower},upperdir={view.upper},workdir={view.work}"
        self._volume = self._client.volumes.create(
            driver="local",
            driver_opts={
                "type": "overlay",
                "device": "overlay",
                "o": f"{folders},userxattr,metacopy=off,index=off",
            },
            labels=self._labels,
        )
        return Mount("/workspace", self._volume.name, type="volume")


def unmount(stage: Path) -> None:
    """Take the mounts of a view away, with the folders made for them."""
    if stage.exists():
        _mounts("withdraw", json.dumps({"stage": str(stage)}))
        # Never a recursive removal: a mount that stayed must not be emptied.
        for folder in (stage / "view", stage / "lower", stage):
            with contextlib.suppress(OSError):
                folder.rmdir()


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


def has_image(client: DockerClient, name: str) -> bool:
    """Tell whether an image is present."""
    from docker.errors import ImageNotFound

    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _mounts(action: str, argument: str) -> None:
    # In a process of its own: shifting owners forks, which a program with threads must not.
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(_MOUNTS), action, argument],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SandboxError(f"The view cannot be mounted: {done.stderr.strip()}.")


def _reap(client: DockerClient) -> None:
    """Remove the containers of kernels that no longer live."""
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        if not Path(f"/proc/{container.labels[LABEL]}").exists():
            _remove(container)


def _remove(container: Any) -> None:
    from docker.errors import DockerException

    with contextlib.suppress(DockerException):
        container.kill()
    # With auto_remove the daemon may be faster; the mount is free only when the container is gone.
    with contextlib.suppress(DockerException, OSError):
        container.wait(condition="removed", timeout=_CALL_SECONDS)
