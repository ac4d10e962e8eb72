"""The Docker backend: one hardened container per sandbox, its worker calling the host."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from llmasos.config import Settings
from llmasos.errors import SandboxError
from llmasos.sandbox.broker.cgroup import own_name
from llmasos.sandbox.broker.client import Broker
from llmasos.sandbox.container import Container
from llmasos.sandbox.daemon import DATA, KERNEL, connect, remove_all, sweep_daemon
from llmasos.sandbox.egress import Egress
from llmasos.sandbox.pool import Owner
from llmasos.sandbox.port import OnRefused, View, ViewKind
from llmasos.sandbox.provider import NOWHERE, OpenEgress, Reach, ViewProvider, ViewSandbox, owner_of

if TYPE_CHECKING:
    from docker import DockerClient

BACKEND = "docker"
_START_SECONDS = 30.0
_CALL_SECONDS = 30


class DockerProvider(ViewProvider):
    """Opens containers.

    Only root can mount a view into a container that runs, so only root has a pool; for anybody else the
    daemon mounts it at the container's start.

    Args:
        settings: The image and what each container may use.
        reason: Why Docker was chosen.
        view_kind: How it shows folders.
        open_egress: Opens the way out when hosts may be reached.
    """

    backend = BACKEND

    def __init__(
        self,
        settings: Settings,
        reason: str = "",
        *,
        view_kind: ViewKind = "overlay",
        open_egress: OpenEgress = Egress,
    ) -> None:
        super().__init__(settings, reason, view_kind=view_kind, open_egress=open_egress)
        self._labels = {KERNEL: own_name(), DATA: str(settings.data_dir)}
        self._client: DockerClient | None = None
        self._broker: Broker | None = None
        self._starting = anyio.Lock()
        self._numbers = itertools.count(1)

    async def open(
        self, view: View, *, session: str, hosts: Sequence[str] = (), on_refused: OnRefused | None = None
    ) -> ViewSandbox:
        """Open a container on a view."""
        if os.getuid() == 0:
            return await super().open(view, session=session, hosts=hosts, on_refused=on_refused)
        container = Container(await self._connected(), self._settings, self._labels, owner_of(view))
        container.view = view
        sandbox = await self._run(container, Reach(tuple(hosts), on_refused))
        sandbox.watch(view)
        return sandbox

    async def warm(self) -> None:
        """Fill the pool, and keep it filled until `close`."""
        if os.getuid() == 0:
            await super().warm()

    async def sweep(self, states: Path) -> None:
        """Remove what kernels that no longer live have left: containers, volumes, folders and mounts."""
        client = await self._connected()
        await anyio.to_thread.run_sync(
            sweep_daemon, client, str(self._settings.data_dir), self._settings.runtime_dir
        )
        await super().sweep(states)

    async def close(self) -> None:
        """Remove the containers of this kernel, and the mounts of their views."""
        await self._pool.close()
        if self._client is not None:
            await anyio.to_thread.run_sync(remove_all, self._client, self._labels)
            self._client.close()
            self._client = None
        if self._broker is not None:
            await self._broker.close()
            self._broker = None

    async def _start(self, owner: Owner, reach: Reach = NOWHERE) -> ViewSandbox:
        container = Container(await self._connected(), self._settings, self._labels, owner)
        container.broker = await self._running()
        container.name = f"container-{next(self._numbers)}"
        return await self._run(container, reach)

    async def _run(self, container: Container, reach: Reach) -> ViewSandbox:
        listener: socket.socket | None = None
        sandbox: ViewSandbox | None = None
        try:
            listener = await container.prepare(partial(self._listen, reach) if reach.hosts else None)
            await anyio.to_thread.run_sync(container.start)
            with anyio.fail_after(_START_SECONDS):
                sock = await container.accept(listener)
            sandbox = ViewSandbox(
                BACKEND, sock, container.end, container.mount, self._settings.sandbox_limits
            )
            await sandbox.start(_START_SECONDS)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await (sandbox.close() if sandbox is not None else container.end())
            if isinstance(error, Exception):
                said = error.message if isinstance(error, SandboxError) else str(error) or "it did not answer"
                raise SandboxError(
                    f"The Docker sandbox did not start: {said}",
                    hint="`llmasos doctor` shows what is missing.",
                ) from error
            raise
        finally:
            if listener is not None:
                listener.close()
        return sandbox

    async def _connected(self) -> DockerClient:
        async with self._starting:
            if self._client is None:
                self._client = await anyio.to_thread.run_sync(connect, _CALL_SECONDS)
            return self._client

    async def _running(self) -> Broker:
        async with self._starting:
            if self._broker is None or not self._broker.alive:
                if self._broker is not None:
                    await self._broker.close()
                stage = self._settings.runtime_dir / f"stage-{own_name()}"
                stage.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._broker = await Broker.start({}, stage=stage)
            return self._broker
