"""Control groups: limits that hold for a jail as a whole, in version 1 and version 2."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

PREFIX = "llmasos-"
_PERIOD = 100_000  # microseconds; the share of CPU time is measured over it


class Limits(NamedTuple):
    """What a group may use: bytes, processes, and cores (0 means all)."""

    memory: int
    processes: int
    cpus: float


class Groups:
    """The groups of one broker, one below each controller's folder.

    Args:
        name: Of the group above the jails' own.
        table: The mounts, as `/proc/self/mountinfo` has them.
        membership: The groups of this process, as `/proc/self/cgroup` has them.

    Raises:
        OSError: Groups cannot be made here.
    """

    def __init__(self, name: str, table: str, membership: str) -> None:
        self._folders: dict[str, str] = {}
        self._unified = False
        made: list[str] = []
        try:
            for controllers, parent in _parents(table, membership):
                _remove_stale(parent)
                folder = os.path.join(parent, name)
                os.mkdir(folder)
                made.append(folder)
                if not controllers:
                    self._unified = True
                    _write(folder, "cgroup.subtree_control", "+memory +pids")
                    with contextlib.suppress(OSError):
                        _write(folder, "cgroup.subtree_control", "+cpu")
                    self._folders = dict.fromkeys(("memory", "pids", "cpu"), folder)
                for controller in controllers:
                    self._folders[controller] = folder
            if not {"memory", "pids"} <= self._folders.keys():
                raise OSError("there are no control groups for memory and processes")
        except OSError:
            for folder in made:
                os.rmdir(folder)
            raise

    def make(self, name: str, limits: Limits) -> list[int]:
        """Make a group, and return descriptors that take a process in when "0" is written by it."""
        joins = []
        for parent in dict.fromkeys(self._folders.values()):
            folder = os.path.join(parent, name)
            os.mkdir(folder)
            for file, value in self._values(limits):
                with contextlib.suppress(FileNotFoundError):
                    _write(folder, file, value)
            joins.append(os.open(os.path.join(folder, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC))
        return joins

    def counters(self, name: str) -> list[tuple[str, str]]:
        """Return the files that count what was killed or refused, each with the path a jail reads it at."""
        found = []
        for controller, file in (
            ("memory", "memory.events" if self._unified else "memory.oom_control"),
            ("pids", "pids.events"),
        ):
            inside = "/sys/fs/cgroup" if self._unified else f"/sys/fs/cgroup/{controller}"
            found.append((os.path.join(self._folders[controller], name, file), f"{inside}/{file}"))
        return found

    def remove(self, name: str) -> None:
        """Remove a group whose processes have ended."""
        for parent in dict.fromkeys(self._folders.values()):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(parent, name))

    def close(self) -> None:
        """Remove the group above."""
        for folder in dict.fromkeys(self._folders.values()):
            _remove_tree(folder)

    def _values(self, limits: Limits) -> list[tuple[str, str]]:
        memory = str(limits.memory)
        quota = str(int(limits.cpus * _PERIOD)) if limits.cpus else ""
        if self._unified:
            values = [("memory.max", memory), ("memory.swap.max", "0"), ("pids.max", str(limits.processes))]
            return values + ([("cpu.max", f"{quota} {_PERIOD}")] if quota else [])
        values = [("memory.limit_in_bytes", memory), ("memory.memsw.limit_in_bytes", memory)]
        values.append(("pids.max", str(limits.processes)))
        return values + ([("cpu.cfs_quota_us", quota)] if quota else [])


def own_groups(purpose: str = "") -> Groups:
    """Make groups that belong to this process.

    Raises:
        OSError: They cannot be made here.
    """
    with open("/proc/self/mountinfo") as table, open("/proc/self/cgroup") as membership:
        return Groups(PREFIX + purpose + own_name(), table.read(), membership.read())


def groups_work() -> bool:
    """Tell whether groups can be made here."""
    try:
        own_groups("probe-").close()
    except OSError:
        return False
    return True


def process_start(number: int) -> str:
    """Return when a process started, in ticks since boot: with its number it names it for good."""
    with open(f"/proc/{number}/stat", "rb") as file:
        # The program's name, in parentheses, may itself hold blanks and parentheses.
        return file.read().rpartition(b")")[2].split()[19].decode()


def alive(name: str) -> bool:
    """Tell whether the process that `name` ends with, as number-start, still lives."""
    number, _, start = name.rpartition("-")
    try:
        return process_start(int(number.rpartition("-")[2])) == start
    except (OSError, ValueError):
        return False


def own_name() -> str:
    """Return the name that `alive` knows this process by."""
    return f"{os.getpid()}-{process_start(os.getpid())}"


def _parents(table: str, membership: str) -> list[tuple[list[str], str]]:
    """Return the folders to make groups in, each with its controllers; none means version 2."""
    mine = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        mine[controllers] = path
    found: list[tuple[list[str], str]] = []
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        root, point = left.split()[3:5]
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup":
            for controllers, path in mine.items():
                wanted = [name for name in controllers.split(",") if name in ("memory", "pids", "cpu")]
                if wanted and set(wanted) <= set(options.split(",")):
                    found.append((wanted, _below(point, root, path)))
        elif kind == "cgroup2" and "" in mine:
            folder = _with_controllers(point, _below(point, root, mine[""]))
            if folder:
                found.append(([], folder))
    return found


def _below(point: str, root: str, path: str) -> str:
    inside = path[len(root) :] if root != "/" and path.startswith(root) else path
    return os.path.join(point, inside.lstrip("/"))


def _with_controllers(point: str, folder: str) -> str:
    """Return the nearest version 2 group from `folder` up that hands its controllers down."""
    while folder.startswith(point):
        with contextlib.suppress(OSError), open(os.path.join(folder, "cgroup.subtree_control")) as file:
            if {"memory", "pids"} <= set(file.read().split()):
                return folder
        folder = os.path.dirname(folder)
    return ""


def _remove_stale(parent: str) -> None:
    for name in os.listdir(parent):
        if name.startswith(PREFIX) and not alive(name):
            _remove_tree(os.path.join(parent, name))


def _remove_tree(folder: str) -> None:
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.is_dir():
                os.rmdir(entry.path)
        os.rmdir(folder)


def _write(folder: str, file: str, value: str) -> None:
    number = os.open(os.path.join(folder, file), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(number, value.encode())
    finally:
        os.close(number)
