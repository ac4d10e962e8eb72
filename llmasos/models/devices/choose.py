"""Which device models are loaded on."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable

from llmasos.config import ModelSettings
from llmasos.errors import ConfigError
from llmasos.models.devices import cuda
from llmasos.models.devices.cpu import CpuDevice
from llmasos.models.devices.cuda import CudaDevice
from llmasos.models.devices.port import Device

_MIB = 1024 * 1024


def choose_device(
    settings: ModelSettings,
    *,
    has_gpu: Callable[[], bool] = cuda.present,
    gpu: Callable[[int, int], Device] = CudaDevice,
) -> Device:
    """Return the device of the settings; `auto` is the first GPU, where there is one and torch can use it.

    Args:
        settings: Which device, and how much of its memory.
        has_gpu: Returns whether the machine has a GPU.
        gpu: Makes the device of a GPU from its number and its budget in bytes.

    Raises:
        ConfigError: There is no such device.
    """
    budget = settings.memory_mb * _MIB
    if settings.device == "cpu":
        return CpuDevice(budget)
    if settings.device == "auto":
        if has_gpu() and importlib.util.find_spec("torch") is not None:
            return gpu(0, budget)
        return CpuDevice(budget)
    found = re.fullmatch(r"cuda(?::(\d{1,3}))?", settings.device)
    if found is None:
        raise ConfigError(
            f"There is no device {settings.device!r}.",
            hint="Set LLMASOS_MODELS__DEVICE to cpu, cuda:0 or auto.",
        )
    if not has_gpu():
        raise ConfigError(
            f"There is no device {settings.device}: this machine has no NVIDIA GPU.",
            hint="Set LLMASOS_MODELS__DEVICE to cpu or auto.",
        )
    return gpu(int(found[1] or 0), budget)
