"""The broker's process: serves the kernel over a socket, one packet per request and per answer.

It is single-threaded, because making namespaces forks. It ends, with every jail and mount, when the kernel
closes the socket or dies.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
from typing import Any

from . import cgroup, mounts

LARGEST_PACKET = 1 << 17
# What a jail finds as its first descriptor beyond the standard ones: the worker's channel.
CHANNEL = 3
_END_SECONDS = 5.0
_STAGES = ("/mnt", "/media", "/srv")

Packet = dict[str, Any]


class Jail:
    """A place below the stage: where a view appears, and the process of the jail that sees it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.workspace = os.path.join(folder, "workspace")
        self.pid = 0
        # A descriptor of the process, because its number may be another's once it has ended.
        self.process = -1
        self.grouped = False
        self.ending: set[int] = set()
        self.requests: list[int] = []


class Broker:
    """Makes places, jails and mounts.

    Args:
        channel: To the kernel.
        spec: `files` (names and contents, seen by all jails), `tree` (a root for jails, or nothing),
            `stage` (a folder in this machine's namespace; empty for a namespace of the broker's own),
            `shift` and `count` of owners.
    """

    def __init__(self, channel: socket.socket, spec: Packet) -> None:
        self._channel = channel
        self._jails: dict[str, Jail] = {}
        self._private = not spec["stage"]
        self._namespace: int | None = None
        self._groups: cgroup.Groups | None = None
        self._poll = select.poll()
        self._stage = spec["stage"] or next((folder for folder in _STAGES if os.path.isdir(folder)), "")
        if not self._stage:
            raise OSError(f"none of the folders {', '.join(_STAGES)} is there to mount on")
        mounts.prctl(mounts.PR_SET_CHILD_SUBREAPER, 1)
        if os.getuid() == 0:
            self._namespace = mounts.mapped_namespace(spec["shift"], spec["count"])
        if self._private:
            with contextlib.suppress(OSError):
                self._groups = cgroup.own_groups()
            mounts.enter_namespace()
        # Opened in the namespace that it is shown in, and before the stage, which may cover it.
        tree = os.open(spec["tree"], os.O_PATH | os.O_CLOEXEC) if spec["tree"] else -1
        mounts.mount(
            "llmasos", self._stage, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, "mode=0755,size=16m"
        )
        # Views that appear later must reach the jails that are there already.
        mounts.mount("none", self._stage, "", mounts.MS_SHARED)
        self._spare = os.path.join(self._stage, "spare")
        os.mkdir(self._spare)
        for name, text in spec["files"].items():
            _write(os.path.join(self._stage, "files", name), text)
        if tree >= 0:
            os.mkdir(os.path.join(self._stage, "tree"))
            mounts.bind(f"/proc/self/fd/{tree}", os.path.join(self._stage, "tree"))
            os.close(tree)
        self._ready = {"stage": self._stage, "grouped": self._groups is not None}

    def serve(self) -> None:
        """Answer requests until the kernel is gone."""
        self._poll.register(self._channel, select.POLLIN)
        self._send({"ready": self._ready})
        while True:
            for number, _ in self._poll.poll():
                if number != self._channel.fileno():
                    self._ended(number)
                    continue
                data, received, _, _ = socket.recv_fds(
                    self._channel, LARGEST_PACKET, 8, socket.MSG_CMSG_CLOEXEC
                )
                if not data:
                    return
                try:
                    self._handle(json.loads(data), received)
                finally:
                    for descriptor in received:
                        os.close(descriptor)

    def close(self) -> None:
        """End all jails, and take every mount and group away."""
        for jail in self._jails.values():
            self._kill(jail)
        for name, jail in self._jails.items():
            for descriptor in jail.ending:
                select.select([descriptor], [], [], _END_SECONDS)
            if jail.grouped and self._groups is not None:
                self._groups.remove(name)
        if self._groups is not None:
            self._groups.close()
        mounts.unmount_all(self._stage)
        if not self._private:
            with contextlib.suppress(OSError):
                os.rmdir(self._stage)

    def _handle(self, packet: Packet, received: list[int]) -> None:
        number = packet["id"]
        try:
            if packet["op"] == "make":
                self._make(packet)
            elif packet["op"] == "start":
                self._start(packet, received)
            elif packet["op"] == "attach":
                jail = self._jails[packet["name"]]
                mounts.show(packet["view"], jail.workspace, self._spare, self._namespace)
            elif packet["op"] == "end":
                self._end(packet)
                return
        except (OSError, KeyError) as error:
            self._send({"id": number, "error": _reason(error)})
        else:
            self._send({"id": number})

    def _make(self, packet: Packet) -> Jail:
        jail = Jail(os.path.join(self._stage, packet["name"]))
        os.makedirs(jail.workspace)
        self._jails[packet["name"]] = jail
        return jail

    def _start(self, packet: Packet, received: list[int]) -> None:
        """Start a jail; what it writes before its worker runs goes to the second descriptor received."""
        name, scratch = packet["name"], packet["scratch"]
        jail = self._make(packet)
        for file, text in packet["files"].items():
            _write(os.path.join(jail.folder, file), text)
        for file, source in packet["sockets"].items():
            _write(os.path.join(jail.folder, file), "")
            mounts.bind(source, os.path.join(jail.folder, file))
        place = os.path.join(jail.folder, "scratch")
        os.mkdir(place)
        options = f"mode=0755,size={scratch['bytes']},nr_inodes={scratch['files']}"
        mounts.mount("llmasos", place, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, options)
        for folder in ("tmp", "shm"):
            os.mkdir(os.path.join(place, folder))
            os.chmod(os.path.join(place, folder), 0o1777)
        program, joins = packet["program"], []
        if self._groups is not None:
            joins = self._groups.make(name, cgroup.Limits(**packet["limits"]))
            jail.grouped = True
            counters = [("--ro-bind-try", *paths) for paths in self._groups.counters(name)]
            program = [program[0], *(part for option in counters for part in option), *program[1:]]
        try:
            jail.pid = _spawn(program, packet["uid"], packet["gid"], received, joins)
            jail.process = os.pidfd_open(jail.pid)
        finally:
            for descriptor in joins:
                os.close(descriptor)

    def _end(self, packet: Packet) -> None:
        name = packet["name"]
        jail = self._jails.get(name)
        if jail is None:
            self._send({"id": packet["id"]})
            return
        jail.requests.append(packet["id"])
        self._kill(jail)
        for descriptor in jail.ending:
            self._poll.register(descriptor, select.POLLIN)
        if not jail.ending:
            self._remove(name, jail)

    def _kill(self, jail: Jail) -> None:
        """Kill a jail: first its init, with which everything in it ends."""
        if jail.process < 0 or jail.ending:
            return
        jail.ending.add(jail.process)
        if not select.select([jail.process], [], [], 0)[0]:
            with contextlib.suppress(OSError), open(f"/proc/{jail.pid}/task/{jail.pid}/children") as file:
                jail.ending.update(os.pidfd_open(int(number)) for number in file.read().split())
        for descriptor in sorted(jail.ending, key=jail.process.__eq__):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def _ended(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        for name, jail in list(self._jails.items()):
            if descriptor in jail.ending:
                jail.ending.remove(descriptor)
                if not jail.ending:
                    self._remove(name, jail)

    def _remove(self, name: str, jail: Jail) -> None:
        del self._jails[name]
        if jail.grouped and self._groups is not None:
            self._groups.remove(name)
        for entry in os.listdir(jail.folder):
            mounts.unmount_all(os.path.join(jail.folder, entry))
        # Nothing but the stage itself is left here, and a mount that stayed must not be emptied.
        with contextlib.suppress(OSError):
            _clear(jail.folder, os.stat(self._stage).st_dev)
        for request in jail.requests:
            self._send({"id": request})

    def _send(self, packet: Packet) -> None:
        with contextlib.suppress(OSError):
            self._channel.send(json.dumps(packet).encode())


def _spawn(program: list[str], uid: int, gid: int, received: list[int], joins: list[int]) -> int:
    """Start a program as a user without privileges, in a session of its own; return its number."""
    pid = os.fork()
    if pid:
        return pid
    try:
        channel, errors = received
        os.setsid()
        for descriptor in joins:
            os.write(descriptor, b"0")
        nothing = os.open(os.devnull, os.O_RDWR)
        for target, source in ((0, nothing), (1, nothing), (2, errors)):
            os.dup2(source, target)
        if channel != CHANNEL:
            os.dup2(channel, CHANNEL)
        os.set_inheritable(CHANNEL, True)
        if os.getuid() == 0:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        mounts.prctl(mounts.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.chdir("/")
        os.execve(program[0], program, {"PATH": "/usr/bin:/bin"})
    except BaseException as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(127)


def overlays_work(place: str) -> bool:
    """Tell whether an overlay whose changes lie on the file system of `place` can be mounted and written."""
    folder = tempfile.mkdtemp(prefix="probe-", dir=place)
    try:
        for name in ("lower", "upper", "work", "view"):
            os.mkdir(os.path.join(folder, name))
        _write(os.path.join(folder, "lower", "x"), "")
        mounts.enter_namespace()
        lower, upper, work, view = (os.path.join(folder, name) for name in ("lower", "upper", "work", "view"))
        mounts.overlay([lower], upper, work, view)
        os.unlink(os.path.join(view, "x"))
        mounts.unmount(view)
        return True
    except OSError:
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(folder: str, device: int) -> None:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            if entry.stat(follow_symlinks=False).st_dev == device:
                _clear(entry.path, device)
        else:
            os.unlink(entry.path)
    os.rmdir(folder)


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o644)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ESTALE:
        return "the view's folder was replaced while it was mounted"
    if isinstance(error, KeyError):
        return f"there is no jail {error}"
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def main() -> None:
    """Serve on the socket that is standard input; its first packet is the specification."""
    if sys.argv[1] == "probe":
        sys.exit(not overlays_work(sys.argv[2]))
    os.umask(0o022)
    # A signal instead of a kill, so that groups and mounts are taken away also when the kernel is killed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    mounts.prctl(mounts.PR_SET_PDEATHSIG, signal.SIGTERM)
    channel = socket.socket(fileno=os.dup(0))
    with os.fdopen(int(sys.argv[2])) as file:
        spec = json.load(file)
    try:
        broker = Broker(channel, spec)
    except OSError as error:
        channel.send(json.dumps({"error": _reason(error)}).encode())
        return
    try:
        broker.serve()
    finally:
        broker.close()
