"""A cluster of Ray's: one that runs, or a private one on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import anyio.to_thread
from anyio.from_thread import start_blocking_portal

from llmasos.cluster._admission import Admission
from llmasos.cluster._capacity import Held
from llmasos.cluster._head import Head
from llmasos.cluster._host import Host
from llmasos.cluster._ray_environment import NODE_VARIABLES, environment, token, token_variables
from llmasos.cluster._ray_worker import RayWorker, died
from llmasos.cluster._seen import machines, seen
from llmasos.cluster.addresses import unreachable
from llmasos.cluster.port import ClusterError, Machine, Share

_STREAMS = 1000
_STORE_BYTES = 128 << 20
_PLACE_SECONDS = 60.0
_LOOK_SECONDS = 2.0
_FOR_EVER = str(10**9)


class RayCluster:
    """Places workers on a Ray cluster.

    One process can be in one cluster at a time. A private one listens with a token that nobody else knows,
    and nothing of it is left when it is closed.

    Args:
        address: The cluster's address, `auto` for the one of this machine, or empty for a private one.
        cpus: Cores that a private one gives; 0 is all.
    """

    def __init__(self, address: str = "", *, cpus: int = 0) -> None:
        self._address = address
        self._cpus = cpus
        self._ray: Any = None
        self._folder = ""
        self._workers: list[RayWorker] = []
        self._lock = anyio.Lock()
        self._thread = contextlib.ExitStack()
        self._admission = Admission()
        self._head = Head()

    async def place(
        self, make: Callable[..., Awaitable[Any]], *arguments: Any, share: Share | None = None
    ) -> RayWorker:
        """Make an object on a worker, joining or starting the cluster first.

        Raises:
            ClusterError: Ray is not installed, the cluster cannot be reached, or has no place.
            WorkerDied: The worker ended before the object was made.
        """
        ray = await self._joined()
        share = share or Share()
        chosen = await self._head.ask(options, ray, share)
        actor_class = ray.remote(Host).options(**chosen, max_concurrency=_STREAMS, max_restarts=0)
        held = await self._admitted(make, share)
        try:
            actor = actor_class.remote()
        except BaseException:
            self._admission.give(held)
            raise

        def ended(died: bool) -> None:
            self._workers.remove(worker)
            self._admission.give(held, make if died else None)

        worker = RayWorker(actor, ray, self._head, ended)
        self._workers.append(worker)
        try:
            await self._placed(worker, share)
            await worker.make(make, arguments)
        except BaseException:
            await worker.stop()
            raise
        return worker

    async def machines(self) -> list[Machine]:
        """Return the machines of the cluster.

        Raises:
            ClusterError: Ray is not installed, or the cluster cannot be reached.
        """
        ray = await self._joined()
        return await self._head.ask(machines, ray)

    async def close(self) -> None:
        """Stop every worker, and a private cluster with them."""
        async with self._lock:
            if self._ray is None:
                return
            with anyio.CancelScope(shield=True):
                await self._left()

    async def _left(self) -> None:
        for worker in list(self._workers):
            await worker.stop()
        self._head.leave()
        await self._in_thread(self._leave)
        self._thread.close()

    async def _joined(self) -> Any:
        """Return Ray, in the cluster, or in the one that is there now if that has ended."""
        async with self._lock:
            if self._ray is not None and self._head.lost:
                await self._left()
            if self._ray is None:
                # Linux ends what a private cluster consists of with the thread that started it.
                self._portal = self._thread.enter_context(start_blocking_portal(name="ray"))
                try:
                    await self._in_thread(self._join)
                except BaseException:
                    self._thread.close()
                    raise
                joined: Any = self._ray
                self._head = Head()
                self._head.watch(joined.get_runtime_context().gcs_address)
            return self._ray

    async def _in_thread(self, work: Callable[[], None]) -> None:
        with anyio.CancelScope(shield=True):
            await asyncio.wrap_future(self._portal.start_task_soon(work))

    async def _admitted(self, make: Callable[..., Awaitable[Any]], share: Share) -> Held:
        with anyio.move_on_after(_PLACE_SECONDS):
            while True:
                await self._head.ask(self._admission.look, self._ray)
                if (held := self._admission.take(share, make)) is not None:
                    return held
                with anyio.move_on_after(_LOOK_SECONDS):
                    await self._admission.freed()
        raise _no_place(share)

    async def _placed(self, worker: RayWorker, share: Share) -> None:
        try:
            with anyio.fail_after(_PLACE_SECONDS):
                await self._head.wait(worker._actor.__ray_ready__.remote())
        except (TimeoutError, self._ray.exceptions.ActorUnschedulableError):
            raise _no_place(share) from None
        except self._ray.exceptions.RayError as error:
            raise died(error) from None

    def _join(self) -> None:
        if reason := unreachable(self._address):
            raise ClusterError(
                f"The Ray cluster at {self._address} cannot be reached: {reason}.",
                hint="Check the address in models.cluster, and that Ray runs there.",
            )
        private: dict[str, Any] = {}
        # Read when Ray is imported: it is to send nothing home, and not to end this process with its head.
        variables = {
            "RAY_USAGE_STATS_ENABLED": os.environ.get("RAY_USAGE_STATS_ENABLED", "0"),
            "RAY_gcs_rpc_server_reconnect_timeout_s": _FOR_EVER,
        }
        if self._address:
            variables |= token_variables()
        else:
            # Ray listens on every interface.
            variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token(), **NODE_VARIABLES}
            self._folder = tempfile.mkdtemp(prefix="llmasos-ray-")
            private = {
                "num_cpus": self._cpus or None,
                "object_store_memory": _STORE_BYTES,
                "include_dashboard": False,
                "_temp_dir": self._folder,
                "_node_ip_address": "127.0.0.1",
            }
        with environment(variables):
            self._ray = self._started(private)

    def _started(self, private: dict[str, Any]) -> Any:
        ray: Any = None
        try:
            import ray

            # How workers end is told by who called them, and not on the terminal.
            logging.getLogger("ray").setLevel(logging.CRITICAL)
            ray._private.worker.print_to_stdstream = _say_nothing
            # It would ask a head that has ended without a pause.
            ray._private.worker.listen_error_messages = _say_nothing
            # It would keep the token of the cluster before.
            ray._raylet.AuthenticationTokenLoader.instance().reset_cache()
            ray._raylet.Config.initialize("")
            with _loopback(ray, self._address):
                ray.init(
                    address=self._address or None,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    configure_logging=False,
                    **private,
                )
        except ImportError as error:
            self._clean()
            raise ClusterError(
                "Ray is not installed.", hint="Install it with: pip install 'llmasos[cluster]'."
            ) from error
        except Exception as error:
            # What was started before it failed is ended; a cluster of somebody else's in this process stays.
            if ray is not None and not ray.is_initialized():
                _shut_down(ray)
            self._clean()
            where = f"at {self._address}" if self._address else "on this machine"
            raise ClusterError(
                f"The Ray cluster {where} cannot be used: {str(error).partition(chr(10))[0]}.",
                hint="Check the address in models.cluster, and that Ray runs there in the same version.",
            ) from error
        return ray

    def _leave(self) -> None:
        ray, self._ray = self._ray, None
        _shut_down(ray)
        self._clean()

    def _clean(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""


def _shut_down(ray: Any) -> None:
    """Leave the cluster, whatever other threads forget of it meanwhile.

    Whoever forgets a result asks `core_worker` to forget it, too, and one that was shut down ends the process
    for that. So it is put out of reach first, which whoever forgets takes for a cluster that was left.
    """
    worker = ray._private.worker.global_worker
    ray._private.worker.disconnect()
    core = worker.__dict__.pop("core_worker", None)
    if core is not None and worker.mode == ray.SCRIPT_MODE:
        core.shutdown_driver()
    ray.shutdown()


def options(ray: Any, share: Share) -> dict[str, Any]:
    """Return a share as Ray's options.

    Args:
        ray: Ray.
        share: What is taken, and where.

    Raises:
        ClusterError: There is no such machine.
    """
    strategy: Any = "SPREAD" if share.spread else "DEFAULT"
    if share.node:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        alive = [node for node in seen(ray) if node.alive]
        found = [node for node in alive if node.is_called(share.node)]
        if not found:
            names = ", ".join(sorted(node.name for node in alive))
            raise ClusterError(
                f"The cluster has no machine {share.node}.", hint=f"It has {names}; or name none."
            )
        strategy = NodeAffinitySchedulingStrategy(found[0].node, soft=False)
    return {
        "num_cpus": share.cpus,
        "num_gpus": share.gpus,
        "memory": share.memory or None,
        "resources": dict(share.custom) or None,
        "scheduling_strategy": strategy,
    }


def _no_place(share: Share) -> ClusterError:
    return ClusterError(
        f"The cluster has no place for a worker with {share}.", hint="Ask for less, or add machines."
    )


def _say_nothing(*_: Any, **__: Any) -> None:
    pass


@contextlib.contextmanager
def _loopback(ray: Any, address: str) -> Iterator[None]:
    """Have Ray take a loopback address at its word, where a cluster listens there and nowhere else."""
    services = ray._private.services
    host, _, port = address.rpartition(":")
    outward = services.resolve_ip_for_localhost(host) if host and "://" not in host else host
    if outward == host or not unreachable(f"{outward}:{port}"):
        yield
        return
    resolve, services.resolve_ip_for_localhost = services.resolve_ip_for_localhost, lambda name: name
    try:
        yield
    finally:
        services.resolve_ip_for_localhost = resolve
