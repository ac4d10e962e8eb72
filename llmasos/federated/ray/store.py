"""What is sent to a cluster once, and fetched there by whoever needs it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol


class Kept(Protocol):
    """A value that lies in a store; it is there for as long as somebody holds this."""

    async def load(self) -> Any:
        """Fetch it, on any machine."""


class Store(Protocol):
    """Keeps values."""

    def put(self, value: Any) -> Kept:
        """Keep a value.

        Args:
            value: What can be pickled; what is fetched of it must not be changed.
        """


@dataclass(frozen=True)
class KeptInRay:
    """A value in Ray's object store: once on each machine, where its arrays are read in place."""

    reference: Awaitable[Any]

    async def load(self) -> Any:
        """Fetch it."""
        return await self.reference


class RayStore:
    """The object store of the Ray cluster that this process is in."""

    def put(self, value: Any) -> KeptInRay:
        """Keep a value."""
        import ray

        return KeptInRay(ray.put(value))
