"""How much memory this machine has for this process: the machine's, or that of its control group."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def total(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int:
    """Return the bytes that this process may use at most."""
    return min(_meminfo(proc, "MemTotal"), *(limit for limit, _ in _groups(proc, cgroups)))


def available(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int:
    """Return the bytes that this process may still take without anything being swapped out."""
    left = (max(0, limit - used) for limit, used in _groups(proc, cgroups))
    return min(_meminfo(proc, "MemAvailable"), *left)


def _meminfo(proc: Path, field: str) -> int:
    for line in (proc / "meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) * 1024
    raise OSError(f"{proc / 'meminfo'} does not say {field}")


def _groups(proc: Path, cgroups: Path) -> list[tuple[int, int]]:
    """Return limit and use of this process's control groups that have a limit, or what sets no limit."""
    found = [(1 << 62, 0)]
    for folder, limit, used in _folders(proc, cgroups):
        try:
            bound = (folder / limit).read_text().strip()
            taken = int((folder / used).read_text()) - _reclaimable(folder)
        except (OSError, ValueError):
            continue
        if bound.isdecimal():
            found.append((int(bound), max(0, taken)))
    return found


def _folders(proc: Path, cgroups: Path) -> list[tuple[Path, str, str]]:
    """Return the folders of this process's group and of those around it, with the names of their files."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = cgroups / "memory" if controllers else cgroups
        files = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes")
            if controllers
            else ("memory.max", "memory.current")
        )
        # Inside a container its own group is mounted at the top.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        folders += [(root.joinpath(*parts[:count]), *files) for count in range(len(parts) + 1)]
    return folders


def _reclaimable(folder: Path) -> int:
    """Return the bytes of a group that hold files which can be read again."""
    lines = (folder / "memory.stat").read_text().splitlines()
    fields = dict(line.split() for line in lines if line.count(" ") == 1)
    return int(fields.get("total_inactive_file", fields.get("inactive_file", 0)))
