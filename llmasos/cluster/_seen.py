"""What the head of a Ray cluster says of its machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmasos.cluster.port import ClusterError, Machine

# Ray's own functions ask for ever, and so whoever listens there next: of another cluster's head they end the
# process.
_ANSWER_SECONDS = 10.0
_ALIVE = 0


class HeadSilent(ClusterError):
    """The head of the cluster has not answered in time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A machine of a cluster.

    Args:
        node: Ray's own name for it.
        name: What it was called.
        address: Where it is.
        host: What it calls itself.
        alive: Whether it is there.
        has: What it gives.
    """

    node: str
    name: str
    address: str
    host: str
    alive: bool
    has: Mapping[str, float]

    def is_called(self, name: str) -> bool:
        """Whether a name or address is its."""
        return name in (self.node, self.name, self.address, self.host)


def seen(ray: Any) -> list[Seen]:
    """Return the machines of the cluster that this process is in, also those that have ended.

    Raises:
        HeadSilent: The head does not answer.
    """
    return [
        Seen(
            node=node.hex(),
            name=found.node_name,
            address=found.node_manager_address,
            host=found.node_manager_hostname,
            alive=found.state == _ALIVE,
            has=dict(found.resources_total) if found.state == _ALIVE else {},
        )
        for node, found in _answer(ray, "get_all_node_info").items()
    ]


def machines(ray: Any) -> list[Machine]:
    """Return the machines of the cluster that this process is in, with what is free of each.

    Raises:
        HeadSilent: The head does not answer.
    """
    usage = _answer(ray, "get_all_resource_usage").resource_usage_data.batch
    free = {node.node_id.hex(): dict(node.resources_available) for node in usage}
    return [
        Machine(
            name=found.name,
            address=found.address,
            alive=found.alive,
            has=_resources(found.has),
            free=_resources(free.get(found.node, {})),
        )
        for found in seen(ray)
    ]


def _answer(ray: Any, question: str) -> Any:
    head = ray._private.worker.global_worker.gcs_client
    try:
        return getattr(head, question)(timeout=_ANSWER_SECONDS)
    except ray.exceptions.RpcError as error:
        raise HeadSilent(
            f"The head of the Ray cluster does not answer: {error}.", hint="Try again; see whether it runs."
        ) from error


def _resources(found: Mapping[str, float]) -> dict[str, float]:
    # Ray has some of its own, which say which machine it is.
    return {name: amount for name, amount in sorted(found.items()) if not name.startswith("node:")}
