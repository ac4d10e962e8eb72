"""What tests run on workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from llmasos.cluster import Executor, Outcome


class Pickled(Exception):
    """An error whose constructor takes more than its text."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")
        self.second = second


class Note(NamedTuple):
    """Where a task writes that it was begun, and what it does."""

    file: Path
    number: int


class Unreadable:
    """What can be sent, and not be read."""

    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise ValueError("nobody can read this")


def double(number: int) -> int:
    return 2 * number


def add(one: int, other: int) -> int:
    return one + other


def odd_fails(number: int) -> int:
    if number % 2:
        raise Pickled(number, 7)
    return number


def prints(number: int) -> int:
    print(f"first of {number}")
    subprocess.run(["echo", f"second of {number}"], check=True)
    print(f"third of {number}", file=sys.stderr)
    return number


def prints_much(size: int) -> None:
    print("x" * size)


def lambda_of(_: int) -> Any:
    return lambda: None


def unreadable(_: int) -> Any:
    return Unreadable()


class Slow:
    """What takes long to read, and hangs when it is called."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, number: int) -> int:
        return number

    def __reduce__(self) -> Any:
        return _slowly, (self.seconds,)


def _slowly(seconds: float) -> Slow:
    time.sleep(seconds)
    return Slow(seconds)


class Hoarder:
    """What is placed, and answers with what cannot be read."""

    async def unreadable(self) -> Any:
        return Unreadable()

    async def fine(self) -> int:
        return 1


async def hoarder() -> Hoarder:
    return Hoarder()


def deafens(number: int) -> int:
    """Close what is printed to, as some libraries do at their end."""
    sys.stdout.close()
    return number


def secret_of(name: str) -> str:
    return os.environ.get(name, "none")


def stops_reading(_: int) -> None:
    """Stop the process, so that nothing is read any more."""
    os.kill(os.getpid(), signal.SIGSTOP)


def leaves(_: int) -> None:
    sys.exit("enough")


def dies(note: Note) -> int:
    """Write that it was begun; the first time, die of it when the number is 3."""
    with note.file.open("a") as file:
        file.write(f"{note.number}\n")
    if note.number == 3 and note.file.read_text().split().count("3") == 1:
        print("about to die", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return note.number


def held(note: Note) -> int:
    """Write down that it was begun and where, and wait until all may go on."""
    with note.file.open("a") as file:
        file.write(f"{note.number} {os.getpid()}\n")
    while not note.file.with_name("go on").exists():
        time.sleep(0.01)
    return note.number


def naps(number: int) -> int:
    time.sleep(0.1)
    return number


def always_dies(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def starts_others(file: Path) -> None:
    """Start a process in this session, and one outside of it; write their numbers, and hang."""
    code = "import time; time.sleep(600)"
    there = subprocess.Popen([sys.executable, "-c", code])
    away = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    file.with_suffix(".new").write_text(f"{os.getpid()} {there.pid} {away.pid}")
    file.with_suffix(".new").rename(file)
    time.sleep(600)


def hangs_at_three(number: int) -> int:
    if number == 3:
        print("hanging", flush=True)
        time.sleep(600)
    return number


def which_gpus(_: int) -> str:
    return os.environ["CUDA_VISIBLE_DEVICES"]


def process(_: int) -> int:
    return os.getpid()


def large(size: int) -> bytes:
    return b"x" * size


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be looked at does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def written(file: Path) -> str:
    """Return what a task writes, when it has."""
    with anyio.fail_after(60):
        while not file.exists():
            await anyio.sleep(0.01)
    return file.read_text()


async def all_of(executor: Executor, *arguments: Any, **options: Any) -> list[Outcome]:
    """Return how all tasks of a map ended."""
    return [outcome async for outcome in executor.map(*arguments, **options)]
