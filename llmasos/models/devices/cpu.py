"""The machine's own memory."""

from __future__ import annotations

from collections.abc import Callable

from llmasos.models.devices import memory

_MIB = 1024 * 1024
_PART = 0.6


class CpuDevice:
    """Memory of the machine, up to a budget.

    Args:
        budget: Bytes that models may take; 0 takes 60% of the memory that this process may use.
        total: Returns that memory in bytes.
        available: Returns how much of it is free.
    """

    name = "cpu"

    def __init__(
        self,
        budget: int = 0,
        *,
        total: Callable[[], int] = memory.total,
        available: Callable[[], int] = memory.available,
    ) -> None:
        self._available = available
        self.budget = budget or int(total() * _PART)
        self.title = f"processor, {self.budget // _MIB:,} MiB for models"

    def free(self) -> int | None:
        """Return the bytes that are free now; None where the machine does not say."""
        try:
            return self._available()
        except OSError:
            return None
