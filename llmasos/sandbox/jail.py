"""The jail: bubblewrap, always started by a user without privileges."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import sys
from pathlib import Path

import anyio

from llmasos.config import Settings
from llmasos.errors import SandboxError
from llmasos.sandbox.broker.cgroup import groups_work
from llmasos.sandbox.broker.client import Broker
from llmasos.sandbox.broker.server import CHANNEL
from llmasos.sandbox.egress import Egress
from llmasos.sandbox.pool import Owner
from llmasos.sandbox.port import View, ViewKind
from llmasos.sandbox.provider import (
    NOWHERE,
    OpenEgress,
    Reach,
    ViewProvider,
    ViewSandbox,
    private_folder,
    scratch_bytes,
    user_files,
    way_out,
    worker_options,
)
from llmasos.sandbox.worker import worker_command, worker_files

BACKEND = "bubblewrap"
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME": "/tmp/home",  # noqa: S108 - a path inside the sandbox
    "TMPDIR": "/tmp",  # noqa: S108 - a path inside the sandbox
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "PYTHONDONTWRITEBYTECODE": "1",
    # Looking at a repository writes nothing to it.
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}
_ROOT = "/run/llmasos"
_EGRESS = f"{_ROOT}/egress"
_START_SECONDS = 20.0
# Beside these, nothing of a prepared tree's /etc is left out.
_OWN_ETC = ("passwd", "group")
_HOST_ETC = ("alternatives", "ld.so.cache", "localtime", "mime.types")


class JailProvider(ViewProvider):
    """Opens bubblewrap jails.

    Args:
        settings: What each jail may use.
        reason: Why the jail was chosen.
        view_kind: How it shows folders.
        open_egress: Opens the way out when hosts may be reached.
        tree: The root file system of jails; this machine's when there is none.
    """

    backend = BACKEND

    def __init__(
        self,
        settings: Settings,
        reason: str = "",
        *,
        view_kind: ViewKind = "overlay",
        open_egress: OpenEgress = Egress,
        tree: Path | None = None,
    ) -> None:
        super().__init__(settings, reason, view_kind=view_kind, open_egress=open_egress)
        self._tree = tree
        self._broker: Broker | None = None
        self._starting = anyio.Lock()
        self._numbers = itertools.count(1)

    async def close(self) -> None:
        """End the broker, and with it every jail."""
        await self._pool.close()
        if self._broker is not None:
            await self._broker.close()
            self._broker = None

    async def _start(self, owner: Owner, reach: Reach = NOWHERE) -> ViewSandbox:
        broker = await self._running()
        way = contextlib.AsyncExitStack()
        name = f"jail-{next(self._numbers)}"
        folder: Path | None = None
        ours, theirs = socket.socketpair()
        errors, their_errors = os.pipe()

        async def end() -> None:
            await broker.end(name)
            await way.aclose()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

        async def mount(view: View) -> None:
            await broker.attach(name, view)

        sandbox = ViewSandbox(BACKEND, ours, end, mount, self._settings.sandbox_limits)
        try:
            sockets = {}
            if reach.hosts:
                folder = private_folder(self._settings.runtime_dir)
                await way.enter_async_context(self._listen(reach, folder))
                sockets["egress"] = str(folder / "egress")
            try:
                await broker.start_jail(
                    name,
                    (theirs.fileno(), their_errors),
                    uid=owner.uid,
                    gid=owner.gid,
                    files=user_files(owner),
                    sockets=sockets,
                    **self._sizes(),
                    program=self._program(broker, name, bool(reach.hosts)),
                )
            finally:
                theirs.close()
                os.close(their_errors)
            await sandbox.start(_START_SECONDS)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await sandbox.close()
            if isinstance(error, SandboxError):
                # Every writer has ended, so that this comes to an end.
                with os.fdopen(os.dup(errors), "rb") as pipe:
                    said = pipe.read(4000).decode(errors="replace").strip()
                raise SandboxError(
                    f"The bubblewrap sandbox did not start: {said or error.message}", hint=error.hint
                ) from error
            raise
        finally:
            os.close(errors)
        return sandbox

    async def _running(self) -> Broker:
        async with self._starting:
            if self._broker is None or not self._broker.alive:
                if self._broker is not None:
                    await self._broker.close()
                self._broker = await Broker.start(worker_files(), tree=self._tree)
            return self._broker

    def _sizes(self) -> dict[str, object]:
        limits = self._settings.sandbox_limits
        return {
            "limits": {
                "memory": limits.memory_mb << 20,
                "processes": limits.processes,
                "cpus": limits.cpus,
            },
            "scratch": {"bytes": scratch_bytes(limits), "files": limits.files},
        }

    def _program(self, broker: Broker, name: str, reachable: bool) -> list[str]:
        place = broker.stage / name
        python = "/usr/bin/python3" if self._tree is not None else python_inside()
        options = worker_options(
            self._settings.sandbox_limits,
            user_limits=not broker.grouped,
            egress=way_out(_EGRESS) if reachable else None,
        )
        program = [
            *(_bubblewrap(), "--unshare-all", "--die-with-parent", "--new-session"),
            # The worker comes first: another first process would have nothing that protects it inside.
            "--as-pid-1",
            *("--hostname", "sandbox"),
            *(self._system() if self._tree is None else _prepared(self._tree, broker.stage / "tree")),
            *("--ro-bind", f"{place}/passwd", "/etc/passwd"),
            *("--ro-bind", f"{place}/group", "/etc/group"),
            *("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"),
            *("--dev", "/dev", "--bind", f"{place}/scratch/shm", "/dev/shm"),  # noqa: S108 - inside the sandbox
            *("--bind", f"{place}/scratch/tmp", "/tmp"),  # noqa: S108 - a path inside the sandbox
            *("--ro-bind", f"{broker.stage}/files/worker", f"{_ROOT}/worker"),
            *(("--bind", f"{place}/egress", _EGRESS) if reachable else ()),
            *("--bind", f"{place}/workspace", "/workspace", "--chdir", "/workspace"),
            # Both are file systems without a limit of their own.
            *("--remount-ro", "/dev", "--remount-ro", "/"),
            "--clearenv",
        ]
        for key, value in ENVIRONMENT.items():
            program += ["--setenv", key, value]
        return [*program, *worker_command(python, _ROOT, str(CHANNEL), options)]

    def _system(self) -> list[str]:
        """Return the mounts that show this machine's programs, with the Python that runs inside."""
        prefix = Path(python_inside()).parent.parent
        own = [] if prefix.is_relative_to("/usr") else ["--ro-bind", str(prefix), str(prefix)]
        return [*machine_mounts(), *own]


def machine_mounts() -> list[str]:
    """Return bubblewrap's arguments that show this machine's programs, and nothing of its users."""
    arguments = []
    for path in ("/usr", "/opt"):
        if Path(path).is_dir():
            arguments += ["--ro-bind", path, path]
    arguments += _merged(Path("/"), Path("/"))
    for name in _HOST_ETC:
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return arguments


def jail_problems() -> list[str]:
    """Return what keeps the jail from working on this machine."""
    found = []
    if shutil.which("bwrap") is None:
        found.append("bubblewrap is not installed")
    if os.getuid() != 0:
        try:
            with open("/proc/sys/user/max_user_namespaces") as file:
                if int(file.read()) == 0:
                    found.append("user namespaces are switched off")
        except OSError:
            found.append("this system has no user namespaces")
    return found


def jail_weakness() -> str:
    """Return what jails on this machine promise less than elsewhere, or nothing."""
    if groups_work():
        return ""
    return (
        "No control groups can be made here, so memory is limited for each process, "
        "and for all together only by a look every quarter of a second."
    )


def python_inside() -> str:
    """Return the interpreter that the jail runs: the system's, else the kernel's own."""
    return next(
        (path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if Path(path).exists()), ""
    ) or str(Path(sys.executable).resolve())


def _prepared(tree: Path, shown: Path) -> list[str]:
    """Return the mounts that show the programs of a prepared tree, which jails see at `shown`."""
    arguments = ["--ro-bind", f"{shown}/usr", "/usr", *_merged(tree, shown)]
    for entry in sorted((tree / "etc").iterdir()):
        if entry.name not in _OWN_ETC and not entry.is_symlink():
            arguments += ["--ro-bind", f"{shown}/etc/{entry.name}", f"/etc/{entry.name}"]
    return arguments


def _merged(tree: Path, shown: Path) -> list[str]:
    """Return what gives a jail the folders beside /usr, which mostly are links into it."""
    arguments: list[str] = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if (tree / name).is_symlink():
            arguments += ["--symlink", str((tree / name).readlink()), f"/{name}"]
        elif (tree / name).is_dir():
            arguments += ["--ro-bind", str(shown / name), f"/{name}"]
    return arguments


def _bubblewrap() -> str:
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError("bubblewrap is not installed.", hint="Install it: apt-get install bubblewrap")
    return found
