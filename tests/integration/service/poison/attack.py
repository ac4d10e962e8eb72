"""Sends poison to a kernel over TCP, and looks at what is left behind.

`python -m tests.integration.service.poison.attack COUNT SEED SECONDS` does so alone, and prints the answers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from benchmarks.tiny import make_tiny
from benchmarks.weights import smollm_gguf
from tests.integration.service.poison.draft import CHAT, EMBED, NONE, TEXT, Poison
from tests.integration.service.poison.requests import poison
from tests.integration.service.served import Served, named, served

CALLERS = 6
_PATIENCE = 15.0
_FAULTS = range(500, 504)
_GONE = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


@dataclass
class Tally:
    """What requests were answered with, by what was wrong with them."""

    answers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    wrong: list[str] = field(default_factory=list)

    def take(self, sent: Poison, answer: bytes, seconds: float) -> None:
        """Note an answer, and how long it took."""
        status = status_of(answer)
        self.seconds[sent.kind] += seconds
        self.answers[sent.kind][f"left after {sent.leave}" if sent.leave else str(status)] += 1
        said = f"{sent.kind}: {sent.head[:300]!r} {sent.body[:500]!r} got {answer[:1500]!r}"
        if (status in _FAULTS and status not in sent.statuses) or b'"code":"internal"' in answer:
            self.wrong.append(f"a fault: {said}")
        if sent.leave:
            return
        if status not in sent.statuses:
            self.wrong.append(f"not one of {sorted(sent.statuses)}: {said}")
        elif status == 200 and not whole(answer):
            self.wrong.append(f"not whole: {said}")


def status_of(answer: bytes) -> int:
    """Return the status of an answer, `NONE` where there is none."""
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else NONE


def whole(answer: bytes) -> bool:
    """Return whether an answer was sent to its end: the last chunk, or as many bytes as it announced."""
    head, _, body = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(body) == int(length.partition(b":")[2])


async def send(port: int, sent: Poison) -> bytes:
    """Send one request and return what came back until the other end, or this one, hung up."""
    answer = b""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        with suppress(*_GONE):
            answer = await _exchange(stream, sent)
        if sent.leave and sent.reset:
            with suppress(OSError):
                raw: socket.socket = stream.extra(anyio.abc.SocketAttribute.raw_socket)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return answer


async def _exchange(stream: anyio.abc.SocketStream, sent: Poison) -> bytes:
    head, body = sent.head, sent.body
    cut = {"half a head": len(head) // 2, "the head": len(head), "half a body": len(head) + len(body) // 2}
    # Who is refused early is answered while it still sends.
    with suppress(*_GONE):
        await stream.send((head + body)[: cut.get(sent.leave)])
    if sent.leave in cut or sent.leave == "the body":
        return b""
    if NONE in sent.statuses:
        await stream.send_eof()
    answer = b""
    with suppress(*_GONE):
        while True:
            answer += await stream.receive()
            if sent.leave == "an answer's head" or (sent.leave == "a chunk" and b"\ndata: " in answer):
                break
    return answer


@dataclass(frozen=True)
class Standing:
    """What a kernel and its engines hold.

    Args:
        files: Open files of the kernel, by kind; what the database's pool, or an engine for conversations
            that wait, keeps open has its own bound.
        engines: Processes of the engines, with their open files.
        tasks: Tasks of the event loop.
    """

    files: Counter[str]
    engines: dict[str, tuple[int, int]]
    tasks: int


def standing(it: Served) -> Standing:
    """Return what a kernel and its engines hold now."""
    engines = {name: (each.pid, _open(each.pid).total()) for name, each in it.processes.engines.items()}
    return Standing(_open(os.getpid()), engines, len(asyncio.all_tasks()))


def _open(pid: int) -> Counter[str]:
    found = Counter[str]()
    for number in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            target = os.readlink(number)
            if ".db" not in target and not target.startswith("/memfd:"):
                found[target.partition(":[")[0]] += 1
    return found


async def settled(it: Served) -> None:
    """Wait until nobody is connected any more."""
    with anyio.fail_after(60):
        while it.server.server_state.connections or it.server.server_state.tasks:
            await anyio.sleep(0.01)


async def usual(it: Served) -> list[Any]:
    """Return what ordinary calls of every model are answered with, but for names and times."""
    said: list[Any] = []
    async with it.http() as http:
        for model in it.processes.engines or it.models:
            asked: dict[str, Any] = {"model": model, "temperature": 0, "max_tokens": 12}
            talk = {**asked, "messages": [{"role": "user", "content": "Count to ten."}], "logprobs": True}
            for path, body in (
                (CHAT, talk),
                (TEXT, {**asked, "prompt": "One, two,"}),
                (EMBED, {"model": model, "input": ["a", "b"]}),
            ):
                reply = (await http.post(path, json=body)).json()
                if path == EMBED:
                    said.append(reply.get("data") or reply["error"]["code"])
                    continue
                (choice,) = reply["choices"]
                said.append((choice["finish_reason"], choice.get("message") or choice["text"]))
    await settled(it)
    return said


async def attack(it: Served, sent: Iterable[Poison], seconds: float = float("inf")) -> Tally:
    """Send requests, several at once, and return what they were answered with.

    Args:
        it: The kernel.
        sent: The requests.
        seconds: After which no more are sent.
    """
    tally, rest, began = Tally(), iter(sent), time.monotonic()

    async def caller() -> None:
        for one in rest:
            with anyio.move_on_after(_PATIENCE) as patience:
                since = time.monotonic()
                answer = await send(it.port, one)
                tally.take(one, answer, time.monotonic() - since)
            if patience.cancelled_caught:
                tally.wrong.append(f"no end: {one.kind}: {one.head!r} {one.body[:500]!r}")
            if time.monotonic() > began + seconds:
                return

    async with anyio.create_task_group() as callers:
        for _ in range(CALLERS):
            callers.start_soon(caller)
    await settled(it)
    return tally


def left(it: Served) -> list[str]:
    """Return what is still held for requests, of which there are none."""
    state = it.scheduler.state
    held = {
        "jobs": state.jobs,
        "slots": [name for name, model in state.models.items() if model.running],
        "tickets": it.scheduler.effects.tickets,
        "users": [name for name, each in it.scheduler.effects.residents.items() if each._users],
        "frames": [name for name, each in it.processes.engines.items() if each._requests],
        "calls": it.drain._running,
        "accounts": [
            account.key.id
            for account in (it.keys._accounts or {}).values()
            if account.running or account.reserved
        ],
    }
    return [f"{name}: {value}" for name, value in held.items() if value]


async def _main(folder: Path, weights: Path, tiny: Path, count: int, seed: int, most: int) -> bool:
    async with served(folder, named("smol", weights), named("tiny", tiny)) as it:
        before, then = await usual(it), standing(it)
        began = time.monotonic()
        tally = await attack(it, poison(seed, count, it.models, it.key), most)
        seconds = time.monotonic() - began
        after, now = await usual(it), standing(it)
        for name, answers in sorted(tally.answers.items()):
            print(f"{name:20} {tally.seconds[name]:6.1f} s {dict(answers.most_common())}")
        sent = sum(answers.total() for answers in tally.answers.values())
        print(f"{sent} requests in {seconds:.1f} s, {len(await it.records())} records")
        print("held:", left(it), "before:", then, "after:", now, "same answers:", before == after)
        print("\n".join(tally.wrong[:20]), f"\n{len(tally.wrong)} wrong")
        return not tally.wrong and not left(it) and now == then and before == after


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "tiny").mkdir()
        count, seed, seconds = map(int, sys.argv[1:])
        files = smollm_gguf(), make_tiny(place / "tiny")
        sys.exit(not anyio.run(_main, place, *files, count, seed, seconds))
