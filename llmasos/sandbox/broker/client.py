"""The kernel's end of the broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from llmasos.errors import SandboxError
from llmasos.sandbox.broker.server import LARGEST_PACKET
from llmasos.sandbox.port import OWNER_RANGE, OWNER_SHIFT, View

_START_SECONDS = 20.0
_DEAD = {"error": "its helper process has died"}
_CALL = "import sys; sys.path.append(sys.argv.pop(1)); from broker.server import main; main()"


class Broker:
    """A helper process that mounts views and starts jails for this kernel; made by `start`."""

    def __init__(self, channel: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self._channel = channel
        self._process = process
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next = 0
        self.alive = True
        self.stage = Path()
        self.grouped = False

    @classmethod
    async def start(
        cls, files: Mapping[str, str], *, tree: Path | None = None, stage: Path | None = None
    ) -> Broker:
        """Start a broker.

        Args:
            files: What all jails see of the worker, by name; it lies below `files` in the stage.
            tree: A root file system for jails.
            stage: Where views are mounted in the namespace of this machine; in one of the broker's own
                when there is none.

        Raises:
            SandboxError: It cannot mount here.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        reading, writing = os.pipe()
        # On this thread: the broker ends with the thread that started it, and worker threads come and go.
        with theirs, os.fdopen(reading, "rb"):
            process = _run(["serve", str(reading)], theirs.fileno(), reading)
        spec = {
            "files": dict(files),
            "tree": str(tree or ""),
            "stage": str(stage or ""),
            "shift": OWNER_SHIFT,
            "count": OWNER_RANGE,
        }

        def tell() -> None:
            # When it has ended already, its answer says so.
            with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
                pipe.write(json.dumps(spec).encode())

        broker = cls(ours, process)
        try:
            await anyio.to_thread.run_sync(tell)
            with anyio.fail_after(_START_SECONDS):
                answer = json.loads(
                    await asyncio.get_running_loop().sock_recv(ours, LARGEST_PACKET)
                    or b'{"error": "it ended"}'
                )
        except BaseException:
            with anyio.CancelScope(shield=True):
                await broker.close()
            raise
        if "error" in answer:
            await broker.close()
            raise SandboxError(f"The sandbox cannot mount views: {answer['error']}.")
        broker.stage = Path(answer["ready"]["stage"])
        broker.grouped = answer["ready"]["grouped"]
        asyncio.get_running_loop().add_reader(ours.fileno(), broker._receive)
        return broker

    async def make(self, name: str) -> Path:
        """Make a place that views can be attached to, and return its folder."""
        await self._ask("make", name=name)
        return self.stage / name / "workspace"

    async def start_jail(self, name: str, fds: Sequence[int], **specification: object) -> None:
        """Start a jail under a name; `fds` are the worker's channel and where errors go."""
        await self._ask("start", fds, name=name, **specification)

    async def attach(self, name: str, view: View) -> None:
        """Mount a view where the jail or container under this name sees it."""
        fields = {
            key: str(value) if isinstance(value, Path) else value for key, value in asdict(view).items()
        }
        await self._ask("attach", name=name, view=fields)

    async def end(self, name: str) -> None:
        """End what is under a name, wait for its last process, and take its mounts away; never fails."""
        try:
            await self._ask("end", name=name)
        except SandboxError:
            return

    async def close(self) -> None:
        """End the broker with everything it has started."""
        self._lose()
        await anyio.to_thread.run_sync(self._process.wait)

    async def _ask(self, op: str, fds: Sequence[int] = (), **fields: object) -> None:
        self._next += 1
        number = self._next
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(json.dumps({"id": number, "op": op, **fields}).encode(), fds)
            done: dict[str, Any] = await answer if self.alive else _DEAD
        finally:
            del self._waiting[number]
        if "error" in done:
            raise SandboxError(
                f"The sandbox cannot be set up: {done['error']}.",
                hint="`llmasos doctor` shows what is missing.",
            )

    async def _send(self, data: bytes, fds: Sequence[int]) -> None:
        while self.alive:
            try:
                socket.send_fds(self._channel, [data], list(fds))
                return
            except BlockingIOError:
                await anyio.sleep(0.001)
            except OSError:
                self._lose()

    def _receive(self) -> None:
        try:
            data = self._channel.recv(LARGEST_PACKET)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        packet = json.loads(data)
        answer = self._waiting.get(packet["id"])
        if answer is not None and not answer.done():
            answer.set_result(packet)

    def _lose(self) -> None:
        if self.alive:
            self.alive = False
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_result(_DEAD)


async def overlays_work(place: Path) -> bool:
    """Tell whether overlays can be mounted whose changes lie on the file system of a folder."""

    def probe() -> bool:
        return _run(["probe", str(place)], subprocess.DEVNULL).wait() == 0

    return await anyio.to_thread.run_sync(probe)


def _run(arguments: list[str], stdin: int, *fds: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _CALL, str(Path(__file__).parent.parent), *arguments],
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        pass_fds=fds,
        start_new_session=True,
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
    )
