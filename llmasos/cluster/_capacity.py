"""What machines have, and how much of it is taken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from llmasos.cluster.port import Share

_ROUNDING = 1e-9
_FEW, _EACH_CORE = 32, 4


@dataclass(frozen=True)
class Held:
    """What was taken.

    Args:
        share: How much.
        gpus: Which GPUs.
    """

    share: Share
    gpus: tuple[int, ...] = ()


class Capacity:
    """Admits what fits.

    Args:
        cpus: Cores.
        gpus: GPUs.
        memory: Bytes.
        custom: What else there is.
    """

    def __init__(self, cpus: float, gpus: int = 0, memory: float = math.inf, **custom: float) -> None:
        self._taken: dict[str, float] = {}
        self._gpus: list[float] = []
        self._has: dict[str, float] = {}
        self.have(cpus, gpus, memory, custom)

    def have(self, cpus: float, gpus: int, memory: float, custom: Mapping[str, float]) -> None:
        """Take in what there is now."""
        self._has = {"cpus": cpus, "memory": memory, **{f"custom {name}": custom[name] for name in custom}}
        self._gpus = (self._gpus + [1.0] * (gpus - len(self._gpus)))[: max(gpus, len(self._gpus))]
        self.gpus = gpus

    def crowd(self) -> float:
        """Return how many may run side by side that take next to nothing."""
        return max(_FEW, _EACH_CORE * self._has["cpus"])

    def possible(self, share: Share) -> bool:
        """Whether it fits when nothing else is there."""
        wanted = self._wanted(share)
        return share.gpus <= self.gpus and all(
            amount <= self._has.get(name, 0) + _ROUNDING for name, amount in wanted.items()
        )

    def take(self, share: Share) -> Held | None:
        """Take it, or return None when it does not fit now."""
        wanted = self._wanted(share)
        for name, amount in wanted.items():
            if self._taken.get(name, 0) + amount > self._has.get(name, 0) + _ROUNDING:
                return None
        part, number = (share.gpus, 1) if share.gpus < 1 else (1.0, math.ceil(share.gpus))
        fitting = [at for at, free in enumerate(self._gpus[: self.gpus]) if free + _ROUNDING >= part]
        # The fullest ones first, so that whole ones stay free.
        chosen = tuple(sorted(fitting, key=lambda at: self._gpus[at])[:number]) if share.gpus else ()
        if share.gpus and len(chosen) < number:
            return None
        for at in chosen:
            self._gpus[at] -= part
        for name, amount in wanted.items():
            self._taken[name] = self._taken.get(name, 0) + amount
        return Held(share, chosen)

    def give(self, held: Held) -> None:
        """Give back what was taken."""
        for name, amount in self._wanted(held.share).items():
            self._taken[name] -= amount
        for at in held.gpus:
            self._gpus[at] += min(1.0, held.share.gpus)

    @staticmethod
    def _wanted(share: Share) -> dict[str, float]:
        custom = {f"custom {name}": amount for name, amount in share.custom.items()}
        return {"cpus": share.cpus, "memory": share.memory, **custom}
