"""Folders and views for the tests of providers, and what a sandbox may not leave behind."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmasos.config import SandboxLimits, Settings
from llmasos.sandbox import View
from llmasos.sandbox.port import OWNER_SHIFT, ViewKind


@dataclass(frozen=True)
class Place:
    """A person's folder with a view of it, below one folder that holds nothing else."""

    base: Path

    @property
    def folder(self) -> Path:
        return self.base / "folder"

    @property
    def upper(self) -> Path:
        return self.base / "data" / "upper"

    def settings(self, **limits: float) -> Settings:
        return Settings(
            data_dir=self.base / "data",
            cache_dir=self.base / "cache",
            runtime_dir=self.base / "run",
            sandbox_limits=SandboxLimits.model_validate({"memory_mb": 512, "processes": 64, **limits}),
        )

    def view(self, kind: ViewKind = "overlay", *, hidden: bool = False) -> View:
        """Return a fresh view; a snapshot holds a copy of `a.txt`, and what is hidden is `.env`."""
        mapped = os.getuid() == 0
        work, layer = self.base / "data" / "work", self.base / "data" / "hidden"
        for folder in (self.upper, work, layer):
            folder.mkdir(parents=True, exist_ok=True)
        if not (layer / ".env").exists():
            os.mknod(layer / ".env", stat.S_IFCHR | 0o600, 0)
        if kind == "snapshot":
            (self.upper / "a.txt").write_text("one\n")
        if mapped:
            for path in (self.upper, *self.upper.iterdir()):
                os.chown(path, OWNER_SHIFT, OWNER_SHIFT)
        return View(
            kind=kind,
            lower=self.folder,
            upper=self.folder if kind == "in-place" else self.upper,
            work=work,
            hidden=layer if hidden else None,
            mapped=mapped,
        )

    @classmethod
    def make(cls, base: Path) -> Place:
        place = cls(base)
        place.folder.mkdir(parents=True)
        (place.folder / "a.txt").write_text("one\n")
        (place.folder / ".env").write_text("KEY=secret\n")
        return place

    def leftovers(self, brokers: Sequence[int] = ()) -> list[str]:
        """Return what sandboxes have left: mounts, processes, containers, volumes, folders and groups.

        Args:
            brokers: The processes that made the groups.
        """
        found = [
            line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.base) in line
        ]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == os.getpid() and ("broker" in command or "worker" in command):
                found.append(command)
        run = self.base / "run"
        found += [str(path) for path in run.iterdir()] if run.exists() else []
        # Other tests make and remove groups meanwhile, which a glob would stumble over.
        groups = [f"{place}/{name}" for place, names, _ in os.walk("/sys/fs/cgroup") for name in names]
        found += [group for pid in brokers for group in groups if f"/llmasos-{pid}-" in group]
        for kind in ("ps --all", "volume ls"):
            command = f"docker {kind} --quiet --filter label=llmasos.data={self.base / 'data'}"
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            found += done.stdout.split()
        return found
