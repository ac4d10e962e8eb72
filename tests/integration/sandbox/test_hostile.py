"""Hostile programs on every tier: a typed verdict, an untouched host, and work goes on afterwards."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest

from llmasos.config import SandboxLimits
from llmasos.errors import SandboxError
from llmasos.sandbox import Outcome, Sandbox, landlock
from tests.integration.sandbox.tiers import Name, Tier, open_tier

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

PROGRAMS = Path(__file__).with_name("hostile")
LIMITS: dict[str, Any] = {
    "memory_mb": 256,
    "processes": 64,
    "open_files": 256,
    "files": 2000,
    "disk_mb": 64,
    "scratch_mb": 32,
    "output_bytes": 20_000,
    "flood_mb": 32,
}
# More room in /tmp than there is memory, and nothing else that stops a program before that.
LARGE_SCRATCH: dict[str, Any] = {"memory_mb": 128, "scratch_mb": 512, "disk_mb": 1024}
SECONDS = 2.0
# A limit that is not the clock must be found before this one.
PATIENCE = 15.0
# What one program may cost this process, whatever it does.
MOST_MEMORY = 64 << 20
Check = Callable[[Tier, Sandbox, Outcome], Awaitable[None]]


@dataclass(frozen=True)
class Program:
    """A program and what must become of it.

    Args:
        number: Its number.
        file: A `.py` runs as a cell, a `.sh` as a command.
        verdicts: What its outcome may be; a sandbox that had to be given up counts as `lost`.
        weak: The same for the tier without namespaces and cgroups; None where that tier promises nothing.
        limits: Beside `LIMITS`.
        hosts: Hosts that are allowed.
        cancelled: Whether it is given up as soon as it has printed something.
        check: Looks at the outcome.
    """

    number: int
    file: str
    verdicts: str
    weak: str | None = ""
    limits: dict[str, Any] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    cancelled: bool = False
    check: Check | None = None


async def no_breach(tier: Tier, sandbox: Sandbox, outcome: Outcome) -> None:
    assert "breaches: []" in outcome.output


async def capped(tier: Tier, sandbox: Sandbox, outcome: Outcome) -> None:
    assert outcome.truncated
    assert len(outcome.output) < 2 * LIMITS["output_bytes"]


async def nothing_survives(tier: Tier, sandbox: Sandbox, outcome: Outcome) -> None:
    left = await sandbox.run_python((PROGRAMS / "left_over.py").read_text(), timeout=10)
    assert "breaches: []" in left.output


async def harmless_artifacts(tier: Tier, sandbox: Sandbox, outcome: Outcome) -> None:
    assert 0 < len(outcome.artifacts) <= 16
    for artifact in outcome.artifacts:
        assert len(artifact.data) <= 8_000_000
        assert b"root:" not in artifact.data
        assert not artifact.name.startswith(".") and not set(artifact.name) & set("/\\\n\0")
        assert len(artifact.name) < 256
    assert outcome.seconds < 30


async def refused(tier: Tier, sandbox: Sandbox, outcome: Outcome) -> None:
    await no_breach(tier, sandbox, outcome)
    # Each by its own reason: an address that may not be opened, and names that are not on the list.
    assert {"localhost", "one.one.one.one", "notlocalhost", "127.0.0.1"} <= set(tier.refused)


async def no_residue(tier: Tier, sandbox: Sandbox, outcome: Outcome) -> None:
    other = await tier.open()
    left = await other.run_python((PROGRAMS / "residue_left.py").read_text(), timeout=10)
    assert "breaches: []" in left.output


TABLE = (
    Program(1, "fork_bomb.sh", "timeout processes"),
    Program(1, "fork_bomb.py", "timeout processes lost"),
    Program(2, "thread_bomb.py", "processes"),
    Program(3, "memory_bomb.py", "memory"),
    # Without a cgroup nobody tells the parent's parent why a grandchild died.
    Program(4, "memory_bomb_in_child.sh", "memory", weak="memory ok"),
    Program(5, "fill_tmp.sh", "disk"),
    # The weak tier has no /dev/shm to write to.
    Program(5, "fill_shm.sh", "disk memory", weak="failed"),
    Program(5, "fill_workspace.sh", "disk"),
    # The weak tier has no tmpfs: what it writes to /tmp lies on the disk, where nobody counts the files.
    Program(6, "fill_tmp.sh", "memory disk", weak=None, limits=LARGE_SCRATCH),
    Program(7, "inode_bomb.py", "files"),
    Program(7, "inode_bomb_in_tmp.sh", "files", weak=None),
    Program(8, "fd_bomb.py", "files"),
    Program(9, "long_lines.sh", "output", check=capped),
    Program(10, "flood.sh", "output", check=capped),
    Program(11, "flood.sh", "", cancelled=True),
    Program(12, "loop.py", "timeout"),
    Program(13, "deaf.sh", "timeout"),
    Program(13, "deaf.py", "timeout"),
    Program(13, "deaf_to_signals.py", "timeout"),
    Program(14, "hang_in_c.py", "timeout"),
    Program(14, "stopped.sh", "timeout"),
    Program(15, "survivor.sh", "ok", check=nothing_survives),
    Program(15, "zombies.sh", "ok", check=nothing_survives),
    Program(16, "exit.py", "lost"),
    Program(16, "segfault.py", "lost"),
    Program(16, "recursion.py", "lost memory failed"),
    Program(17, "attack_supervisor.py", "ok", check=no_breach),
    Program(17, "freeze_supervisor.py", "failed timeout lost"),
    # The weak tier shares its user with others of its kind where the kernel cannot keep signals in.
    Program(17, "kill_everything.sh", "lost failed", weak=None),
    Program(18, "forged_frames.py", "ok failed lost timeout"),
    Program(18, "escapes.py", "ok"),
    Program(19, "swap_socket.py", "ok", check=no_breach),
    Program(19, "pass_descriptors.py", "ok failed lost timeout"),
    Program(20, "artifacts.py", "ok", check=harmless_artifacts),
    Program(21, "kernel_files.py", "ok", check=no_breach),
    Program(22, "network.py", "ok", check=no_breach),
    Program(23, "system_calls.py", "ok", check=no_breach),
    # The weak tier opens no hosts at all.
    Program(
        24,
        "around_the_allowlist.py",
        "ok",
        weak=None,
        hosts=("localhost", "example.org"),
        check=refused,
    ),
    Program(25, "residue.py", "ok", check=no_residue),
)
TIERS: tuple[Name, ...] = ("docker", "bubblewrap", "landlock")
CASES = [
    pytest.param(
        name, program, id=f"{name}-{program.number}-{program.file}{'-cancelled' * program.cancelled}"
    )
    for name in TIERS
    for program in TABLE
    if name != "landlock" or program.weak is not None
]


class Host:
    """What must not change outside, and baits that must stay untouched.

    Args:
        place: The folder that holds everything of the test.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._file = place / "canary"
        self._file.write_text("alive")
        self._process = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
        self._sockets = {
            "tcp": _bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": _bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "abstract": _bound(socket.AF_UNIX, socket.SOCK_STREAM, f"\0llmasos-canary-{os.getpid()}"),
        }
        self._descriptors = self._memory = 0

    def measure(self) -> None:
        """Remember what this process uses now."""
        self._descriptors = len(os.listdir("/proc/self/fd"))
        self._memory = _memory("VmRSS")
        # Other tests may have left some.
        self._zombies = _zombies()
        # The kernel forgets the highest use so far.
        Path("/proc/self/clear_refs").write_text("5")

    def facts(self) -> dict[str, object]:
        """Return what a program may know about the baits."""
        ports = {name: self._sockets[name].getsockname()[1] for name in ("tcp", "udp")}
        name = self._sockets["abstract"].getsockname()[1:].decode()
        return {**ports, "abstract": name, "socket": "/run/docker.sock", "canary": self._process.pid}

    def check(self) -> None:
        """Check that all is as it was."""
        assert self._file.read_text() == "alive"
        assert self._process.poll() is None
        for name, sock in self._sockets.items():
            with suppress(BlockingIOError):
                came = sock.recv(1) if name == "udp" else sock.accept()
                raise AssertionError(f"{came!r} came to the {name} socket of the host")
        assert len(os.listdir("/proc/self/fd")) <= self._descriptors
        assert _memory("VmHWM") - self._memory < MOST_MEMORY
        assert str(self._place) not in Path("/proc/self/mountinfo").read_text()
        assert _inhabitants(self._place) == []
        assert _zombies() <= self._zombies
        for folder in self._place.glob("folder-*"):
            assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("a.txt", "one\n")]

    def close(self) -> None:
        """Take the baits away."""
        self._process.kill()
        self._process.wait()
        for sock in self._sockets.values():
            sock.close()


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter: the weak tier works on its copy where that lies."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def host(place: Path) -> Iterator[Host]:
    host = Host(place)
    yield host
    host.close()


@pytest.mark.parametrize(("name", "program"), CASES)
async def test_a_hostile_program_is_contained(host: Host, place: Path, name: Name, program: Program) -> None:
    limits = SandboxLimits(**{**LIMITS, **program.limits})
    host.measure()
    async with open_tier(name, place, limits) as tier:
        with anyio.fail_after(40):
            await contain(host, tier, name, program)
    # What was killed may take a moment to end.
    with suppress(TimeoutError), anyio.fail_after(20):
        while _inhabitants(place):
            await anyio.sleep(0.05)
    host.check()


async def test_what_others_of_the_user_began_meanwhile_does_not_keep_the_weak_tier_from_starting(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, asked = landlock._room, []

    def too_little_at_first(limits: SandboxLimits, uid: int) -> SandboxLimits:
        asked.append(uid)
        return room(limits, uid) if len(asked) > 1 else limits.model_copy(update={"processes": 1})

    monkeypatch.setattr(landlock, "_room", too_little_at_first)
    async with open_tier("landlock", place, SandboxLimits()) as tier:
        sandbox = await tier.open()
        assert (await sandbox.run_command("cat a.txt", timeout=10)).output == "one\n"
    assert len(asked) == 2


async def contain(host: Host, tier: Tier, name: Name, program: Program) -> None:
    """Run a program in a sandbox of its own, and see that the next cell and the next command work."""
    sandbox = await tier.open(hosts=program.hosts)
    await sandbox.write("host.json", json.dumps(host.facts()).encode())
    outcome = await attempt(sandbox, program)
    verdicts = (name == "landlock" and program.weak) or program.verdicts
    if not program.cancelled:
        assert outcome.status in verdicts.split(), outcome.output[-2000:]
    if program.check is not None:
        await program.check(tier, sandbox, outcome)
    if sandbox.lost:
        sandbox = await tier.reopen(sandbox)
    cell = await sandbox.run_python("1 + 1", timeout=10)
    assert (cell.status, cell.result) == ("ok", "2"), cell.output
    command = await sandbox.run_command("cat a.txt", timeout=10)
    assert (command.status, command.output) == ("ok", "one\n")


async def attempt(sandbox: Sandbox, program: Program) -> Outcome:
    """Run a program; a sandbox that ends under it is `lost`."""
    text = (PROGRAMS / program.file).read_text()
    outcome = Outcome(status="lost", backend=sandbox.backend)
    with anyio.CancelScope() as scope:

        def on_output(stream: str, piece: str) -> None:
            if program.cancelled:
                scope.cancel()

        seconds = SECONDS if "timeout" in program.verdicts else PATIENCE
        try:
            if program.file.endswith(".py"):
                outcome = await sandbox.run_python(text, timeout=seconds, on_output=on_output)
            else:
                outcome = await sandbox.run_command(text, timeout=seconds, on_output=on_output)
        except SandboxError:
            assert sandbox.lost
    assert scope.cancel_called == program.cancelled
    return outcome


def _bound(family: int, kind: int, address: object) -> socket.socket:
    sock = socket.socket(family, kind)
    sock.bind(address)  # type: ignore[arg-type]
    if kind == socket.SOCK_STREAM:
        sock.listen()
    sock.setblocking(False)
    return sock


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith(name))


def _inhabitants(place: Path) -> list[str]:
    """Return the processes whose workspace is one of the test's: those that are left in a sandbox."""
    folders = {str(path.resolve()) for path in (place / "data").glob("state-*")}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            seen = (process / "mountinfo").read_text() + str((process / "cwd").resolve())
            # One that is ending has no command any more, and does nothing any more.
            command = (process / "cmdline").read_text()
            if command and any(folder in seen for folder in folders):
                found.append(command)
    return found


def _zombies() -> set[str]:
    """Return the children of this process that nobody has waited for."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name, _, rest = (process / "stat").read_text().rpartition(")")
            state, parent = rest.split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                found.add(name)
    return found
