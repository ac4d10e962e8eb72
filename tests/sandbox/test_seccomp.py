"""The system call filter, run by an interpreter of its own language."""

from __future__ import annotations

import errno
import struct

import pytest

from llmasos.sandbox.worker.seccomp import build

ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SUPERVISOR = 4242


def decide(program: bytes, number: int, *arguments: int, architecture: int) -> int:
    """Return the filter's verdict on a system call."""
    values = [value & (1 << 64) - 1 for value in (*arguments, *[0] * 6)][:6]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *values)
    steps = list(struct.iter_unpack("=HBBI", program))
    loaded = place = 0
    while True:
        code, hit, miss, value = steps[place]
        place += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif code == 0x06:
            return int(value)
        else:
            holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            place += hit if holds else miss


def verdict(machine: str, number: int, *arguments: int, sockets: bool = True) -> int:
    program = build(machine, SUPERVISOR, sockets=sockets)
    return decide(program, number, *arguments, architecture=ARCHITECTURES[machine])


@pytest.mark.parametrize(
    ("machine", "number", "arguments", "expected"),
    [
        ("x86_64", 0, (), ALLOW),
        ("x86_64", 101, (), EPERM),
        ("x86_64", 425, (), EPERM),
        ("x86_64", 435, (), ENOSYS),
        ("x86_64", 56, (17,), ALLOW),
        ("x86_64", 56, (0x003D0F00,), ALLOW),
        ("x86_64", 56, (0x10000000 | 17,), EPERM),
        ("x86_64", 41, (1, 1, 0), ALLOW),
        ("x86_64", 41, (2, 1, 0), ALLOW),
        ("x86_64", 41, (40, 1, 0), EPERM),
        ("x86_64", 41, (16, 3, 0), EPERM),
        ("x86_64", 41, (38 | 1 << 32, 5, 0), EPERM),
        ("x86_64", 16, (0, 0x5401), ALLOW),
        ("x86_64", 16, (0, 0x5412), EPERM),
        ("x86_64", 16, (0, 0x5412 | 1 << 32), EPERM),
        ("x86_64", 72, (0, 3), ALLOW),
        ("x86_64", 72, (0, 8), EPERM),
        ("x86_64", 62, (77, 9), ALLOW),
        ("x86_64", 62, (-77, 9), ALLOW),
        ("x86_64", 62, (SUPERVISOR, 9), EPERM),
        ("x86_64", 62, (-SUPERVISOR, 9), EPERM),
        ("x86_64", 62, (-1, 9), EPERM),
        ("x86_64", 302, (SUPERVISOR,), EPERM),
        ("x86_64", 302, (0,), ALLOW),
        ("x86_64", 0x40000000 | 39, (), KILL),
        ("aarch64", 117, (), EPERM),
        ("aarch64", 220, (0x10000000 | 17,), EPERM),
        ("aarch64", 198, (40, 1, 0), EPERM),
        ("aarch64", 198, (2, 1, 0), ALLOW),
        ("aarch64", 101, (), ALLOW),
        ("aarch64", 129, (SUPERVISOR, 19), EPERM),
    ],
)
def test_calls_are_judged(machine: str, number: int, arguments: tuple[int, ...], expected: int) -> None:
    assert verdict(machine, number, *arguments) == expected


@pytest.mark.parametrize("family", [1, 2, 10, 16])
def test_where_nothing_else_keeps_sockets_in_there_are_none(family: int) -> None:
    assert verdict("x86_64", 41, family, 1, 0, sockets=False) == EPERM


def test_a_foreign_architecture_ends_the_process() -> None:
    program = build("x86_64", SUPERVISOR, sockets=True)
    for architecture in (0x40000003, ARCHITECTURES["aarch64"]):
        assert decide(program, 20, architecture=architecture) == KILL


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(OSError, match="riscv64"):
        build("riscv64", SUPERVISOR, sockets=True)
