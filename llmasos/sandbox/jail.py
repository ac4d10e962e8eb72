"""The jail: bubblewrap, always started by a user without privileges."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread

from llmasos.config import SandboxLimits
from llmasos.errors import SandboxError
from llmasos.sandbox._channel import WorkerSandbox
from llmasos.sandbox.port import OWNER_RANGE, OWNER_SHIFT, View
from llmasos.sandbox.worker import worker_command, worker_files

BACKEND = "bubblewrap"
_MOUNTS = Path(__file__).with_name("_mounts.py")
_STAGES = ("/mnt", "/media", "/srv")
_START_SECONDS = 20.0
_TMP_BYTES = 512 << 20
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME": "/tmp/home",  # noqa: S108 - a path inside the sandbox
    "TMPDIR": "/tmp",  # noqa: S108 - a path inside the sandbox
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}


class JailProvider:
    """Opens bubblewrap jails.

    Args:
        limits: What each jail may use.
        reason: Why the jail was chosen.
    """

    backend = BACKEND

    def __init__(self, limits: SandboxLimits, reason: str = "") -> None:
        self.reason = reason
        self._limits = limits

    async def open(self, view: View, *, session: str) -> WorkerSandbox:
        """Open a jail on a view."""
        ours, theirs = socket.socketpair()
        try:
            # On this thread: a jail dies with the thread that started it, and worker threads come and go.
            process = self._launch(view, theirs)
        except OSError as error:
            ours.close()
            raise SandboxError(
                f"The jail cannot start: {error}.", hint="`llmasos doctor` shows why."
            ) from error
        finally:
            theirs.close()

        async def end() -> None:
            await anyio.to_thread.run_sync(_end, process)

        sandbox = WorkerSandbox(BACKEND, ours, end)
        try:
            await sandbox.start(_START_SECONDS)
        except SandboxError as error:
            said = (process.stderr.read() if process.stderr else b"").decode(errors="replace").strip()
            raise SandboxError(
                f"The bubblewrap sandbox did not start: {said or error.message}", hint=error.hint
            ) from error
        return sandbox

    async def sweep(self, states: Path) -> None:
        """Nothing is left behind: a jail and its mounts end with its kernel."""

    async def close(self) -> None:
        """Nothing is left behind: a jail ends with its kernel."""

    def _launch(self, view: View, channel: socket.socket) -> subprocess.Popen[bytes]:
        owner = view.lower.stat()
        shifted = view.mapped
        stage = next((folder for folder in _STAGES if Path(folder).is_dir()), None)
        if stage is None:
            raise OSError(f"none of the folders {', '.join(_STAGES)} is there to mount on")
        uid = owner.st_uid + OWNER_SHIFT if shifted else os.getuid()
        gid = owner.st_gid + OWNER_SHIFT if shifted else os.getgid()
        spec = {
            "lower": str(view.lower),
            "upper": str(view.upper),
            "work": str(view.work),
            "stage": stage,
            "files": {
                "passwd": f"root:x:0:0::/:/usr/sbin/nologin\nsandbox:x:{uid}:{gid}::/tmp/home:/bin/bash\n",
                "group": f"root:x:0:\nsandbox:x:{gid}:\n",
                **worker_files(),
            },
            "shift": OWNER_SHIFT if shifted else 0,
            "count": OWNER_RANGE,
            "uid": uid,
            "gid": gid,
            "program": self._program(stage, channel.fileno()),
        }
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_MOUNTS), json.dumps(spec)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[channel.fileno()],
            start_new_session=True,
            env={"PATH": "/usr/bin:/bin"},
            cwd="/",
        )

    def _program(self, stage: str, channel: int) -> list[str]:
        python = python_inside()
        options = {
            "workspace": "/workspace",
            "limits": self._limits.model_dump(),
            "attached": True,
            "seccomp": True,
            "user_limits": True,
            "landlock": None,
        }
        program = [
            _bubblewrap(),
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--hostname",
            "sandbox",
        ]
        for path in ("/usr", "/opt"):
            if Path(path).is_dir():
                program += ["--ro-bind", path, path]
        for path in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
            if Path(path).is_symlink():
                program += ["--symlink", str(Path(path).readlink()), path]
            elif Path(path).is_dir():
                program += ["--ro-bind", path, path]
        for path in ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types"):
            program += ["--ro-bind-try", path, path]
        prefix = Path(python).parent.parent
        if not prefix.is_relative_to("/usr"):
            program += ["--ro-bind", str(prefix), str(prefix)]
        program += [
            *("--ro-bind", f"{stage}/passwd", "/etc/passwd"),
            *("--ro-bind", f"{stage}/group", "/etc/group"),
            *("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"),
            *("--dev", "/dev"),
            *("--size", str(_TMP_BYTES), "--tmpfs", "/tmp", "--dir", "/tmp/home", "--dir", "/run"),  # noqa: S108
            *("--ro-bind", f"{stage}/worker", "/run/llmasos/worker"),
            *("--bind", f"{stage}/view", "/workspace", "--chdir", "/workspace"),
            "--clearenv",
        ]
        for name, value in ENVIRONMENT.items():
            program += ["--setenv", name, value]
        return [*program, *worker_command(python, "/run/llmasos", str(channel), options)]


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


def python_inside() -> str:
    """Return the interpreter that the jail runs: the system's, else the kernel's own."""
    return next(
        (path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if Path(path).exists()), ""
    ) or str(Path(sys.executable).resolve())


def _bubblewrap() -> str:
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError("bubblewrap is not installed.", hint="Install it: apt-get install bubblewrap")
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the jail; with its first process everything in it ends."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stderr is not None:
        process.stderr.close()
