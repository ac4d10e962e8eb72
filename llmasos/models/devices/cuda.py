"""A GPU's memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from llmasos.errors import ConfigError
from llmasos.models.devices import nvml
from llmasos.models.devices.nvml import GpuMemory

_GIB = 1024**3
_PART = 0.9


class CudaDevice:
    """Memory of one GPU, up to a budget.

    Args:
        index: Its number N in torch's `cuda:N`.
        budget: Bytes that models may take; 0 takes 90% of the memory.
        read: Returns what a GPU has, by its number or UUID.

    Raises:
        ConfigError: There is no such GPU.
    """

    def __init__(
        self, index: int = 0, budget: int = 0, *, read: Callable[[str], GpuMemory] = nvml.read
    ) -> None:
        self.name = f"cuda:{index}"
        self._read = read
        self._gpu = _visible(index)
        memory = read(self._gpu)
        self.budget = budget or int(memory.total * _PART)
        self.title = f"{memory.name}, {self.budget / _GIB:.1f} GiB for models"

    def free(self) -> int | None:
        """Return the bytes that are free now; None where the driver does not say."""
        try:
            return self._read(self._gpu).free
        except ConfigError:
            return None


def present(dev: Path = Path("/dev")) -> bool:
    """Return whether this machine has an NVIDIA GPU and its driver."""
    return any(dev.glob("nvidia[0-9]*")) or (dev / "dxg").exists()


def _visible(index: int) -> str:
    """Return which GPU torch means by this number."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return str(index)
    names = [name.strip() for name in chosen.split(",") if name.strip()]
    if index >= len(names):
        raise ConfigError(
            f"There is no cuda:{index}: CUDA_VISIBLE_DEVICES shows {len(names)} GPUs.",
            hint="Choose another with LLMASOS_MODELS__DEVICE.",
        )
    return names[index]
