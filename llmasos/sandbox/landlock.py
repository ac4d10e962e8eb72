"""The weak tier: Landlock and seccomp alone, for machines that have neither Docker nor bubblewrap.

It hides no processes, no host name and no network stack; it only forbids to open files elsewhere and to make
sockets. It is never chosen by itself.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from llmasos.config import SandboxLimits, Settings
from llmasos.errors import SandboxError
from llmasos.sandbox.jail import ENVIRONMENT, python_inside
from llmasos.sandbox.pool import Owner
from llmasos.sandbox.port import OnRefused, View, ViewKind
from llmasos.sandbox.provider import ViewSandbox, owner_of, private_folder, sweep_folders, worker_options
from llmasos.sandbox.worker import worker_command, worker_files

BACKEND = "landlock-weak"
_SYS_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_CREATE_RULESET_VERSION = 1
_ACL_VERSION, _ACL_NOBODY = 2, 0xFFFFFFFF
_ACL_USER_OBJ, _ACL_USER, _ACL_GROUP_OBJ, _ACL_MASK, _ACL_OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_START_SECONDS = 20.0
_END_SECONDS = 5.0
_READ = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/proc"),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types"),
    *("/etc/passwd", "/etc/group", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
)
_WRITE = ("/dev/null", "/dev/zero", "/dev/full")


class _LandlockSandbox(ViewSandbox):
    """A worker as a process among this machine's others."""

    def __init__(self, sock: socket.socket, folder: Path, limits: SandboxLimits) -> None:
        async def end() -> None:
            await anyio.to_thread.run_sync(shutil.rmtree, folder, True)

        async def mount(view: View) -> None:
            return

        super().__init__(BACKEND, sock, end, mount, limits)
        self.process: subprocess.Popen[bytes] | None = None

    async def close(self) -> None:
        # First of all, because the worker ends with its channel, and then nothing holds its orphans together.
        if self.process is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_end, self.process)
        await super().close()


class LandlockProvider:
    """Opens sandboxes that Landlock and seccomp alone hold.

    Args:
        settings: What each sandbox may use.
        reason: Why this tier was chosen; that it is weak is added.
    """

    backend = BACKEND

    def __init__(self, settings: Settings, reason: str = "") -> None:
        self.reason = (
            f"{reason} This sandbox is weak: code sees this machine's processes, and only rules keep it in."
        ).strip()
        self.view_kind: ViewKind = "snapshot"
        self._settings = settings

    async def open(
        self, view: View, *, session: str, hosts: Sequence[str] = (), on_refused: OnRefused | None = None
    ) -> ViewSandbox:
        """Open a sandbox on a snapshot."""
        if view.kind != "snapshot":
            raise SandboxError(
                f"The {BACKEND} sandbox shows a copy of the folder only.",
                hint="Set LLMASOS_SANDBOX=auto to work in place.",
            )
        if hosts:
            raise SandboxError(
                f"The {BACKEND} sandbox can reach no hosts.",
                hint="Leave LLMASOS_SANDBOX_HOSTS empty, or set LLMASOS_SANDBOX=auto.",
            )
        try:
            sandbox = await self._start(view)
        except SandboxError:
            # The kernel counts by user: others of it may have begun something since they were counted.
            sandbox = await self._start(view)
        sandbox.watch(view)
        return sandbox

    async def _start(self, view: View) -> _LandlockSandbox:
        owner = owner_of(view)
        # Not in the runtime folder, which only the kernel's user can enter.
        folder = private_folder(Path(tempfile.gettempdir()))
        ours, theirs = socket.socketpair()
        sandbox = _LandlockSandbox(ours, folder, self._settings.sandbox_limits)
        try:
            try:
                _let_in(view.upper, owner, self._settings.data_dir)
                sandbox.process = self._launch(view, owner, folder, theirs)
            finally:
                theirs.close()
            await sandbox.start(_START_SECONDS)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await sandbox.close()
            if isinstance(error, OSError):
                raise SandboxError(
                    f"The {BACKEND} sandbox cannot start: {error}.", hint="`llmasos doctor` shows why."
                ) from error
            raise
        return sandbox

    async def warm(self) -> None:
        """Nothing is kept warm: without namespaces a workspace cannot appear later."""

    async def sweep(self, states: Path) -> None:
        """Remove the folders of kernels that no longer live."""
        await anyio.to_thread.run_sync(sweep_folders, Path(tempfile.gettempdir()))

    async def close(self) -> None:
        """Nothing is left behind: a sandbox ends when it is closed, and with its kernel."""

    def _launch(
        self, view: View, owner: Owner, folder: Path, channel: socket.socket
    ) -> subprocess.Popen[bytes]:
        folder.chmod(0o755)
        for name, text in worker_files().items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        scratch = folder / "tmp"
        scratch.mkdir(mode=0o700)
        root = os.getuid() == 0
        if root:
            os.chown(scratch, owner.uid, owner.gid)
        python = python_inside()
        options = worker_options(
            _room(self._settings.sandbox_limits, owner.uid),
            workspace=str(view.upper),
            attached=True,
            user_limits=True,
            landlock={
                "read": [*_READ, str(Path(python).parent.parent), str(folder)],
                "write": [*_WRITE, str(view.upper), str(scratch)],
            },
        )
        # As nobody's terminal and with nothing of the kernel's environment or groups.
        return subprocess.Popen(
            worker_command(python, str(folder), str(channel.fileno()), options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[channel.fileno()],
            start_new_session=True,
            user=owner.uid if root else None,
            group=owner.gid if root else None,
            extra_groups=[] if root else None,
            env={**ENVIRONMENT, "HOME": str(scratch / "home"), "TMPDIR": str(scratch)},
            cwd=view.upper,
        )


def landlock_problem() -> str:
    """Return what keeps Landlock from working on this machine, or nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_SYS_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    return "" if version > 0 else "this system's kernel has no Landlock (Linux 5.13)"


def _let_in(place: Path, owner: Owner, data: Path) -> None:
    """Let the sandbox's user pass through our folders: a snapshot is used where it lies."""
    if owner.uid == os.getuid():
        return
    for folder in place.parents:
        if folder.stat().st_mode & 0o001:
            continue
        if not folder.is_relative_to(data):
            raise SandboxError(
                f"The {BACKEND} sandbox's user cannot enter {folder}.",
                hint="Set LLMASOS_DATA_DIR to a folder below one that everybody may enter.",
            )
        _grant_passage(folder, owner.uid)


def _grant_passage(folder: Path, uid: int) -> None:
    """Let one user enter a folder, but not list it, with a POSIX access control list."""
    mode = folder.stat().st_mode
    entries = [
        (_ACL_USER_OBJ, mode >> 6 & 7, _ACL_NOBODY),
        (_ACL_USER, 1, uid),
        (_ACL_GROUP_OBJ, mode >> 3 & 7, _ACL_NOBODY),
        (_ACL_MASK, mode >> 3 & 7 | 1, _ACL_NOBODY),
        (_ACL_OTHER, mode & 7, _ACL_NOBODY),
    ]
    packed = struct.pack("<I", _ACL_VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(folder, "system.posix_acl_access", packed)


def _room(limits: SandboxLimits, uid: int) -> SandboxLimits:
    """Return the limits with room for what the user runs already, because the kernel counts by user."""
    running = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == uid:
                running += len(list((process / "task").iterdir()))
        except OSError:
            continue
    return limits.model_copy(update={"processes": limits.processes + running})


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop and then kill a worker with all its descendants; they cannot leave it, as it adopts orphans."""
    stopped: set[int] = set()
    deadline = time.monotonic() + _END_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        found = _descendants(process.pid) - stopped
        if not found:
            break
        for number in found:
            _signal(number, signal.SIGSTOP)
        stopped |= found
    for number in stopped:
        _signal(number, signal.SIGKILL)
    process.kill()
    process.wait()


def _signal(number: int, what: signal.Signals) -> None:
    try:
        os.kill(number, what)
    except (ProcessLookupError, PermissionError):
        return


def _descendants(top: int) -> set[int]:
    below: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The program's name, in parentheses, may itself hold blanks and parentheses.
            parent = int(place.read_bytes().rpartition(b")")[2].split()[1])
        except OSError:
            continue
        below.setdefault(parent, []).append(int(place.parent.name))
    found: set[int] = set()
    queue = [top]
    while queue:
        children = below.get(queue.pop(), [])
        found.update(children)
        queue += children
    return found
