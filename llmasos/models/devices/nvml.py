"""NVIDIA's management library, which tells a GPU's memory without taking any of it.

Source: the NVML API reference guide.
"""

from __future__ import annotations

import ctypes
from typing import Any

from pydantic import BaseModel

from llmasos.errors import ConfigError

_LIBRARY = "libnvidia-ml.so.1"
_NAME_BYTES = 96


class GpuMemory(BaseModel, frozen=True):
    """A GPU's name, and its memory in bytes."""

    name: str
    total: int
    free: int


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def read(gpu: str) -> GpuMemory:
    """Return what a GPU has.

    Args:
        gpu: Its number in the order of the PCI bus, or its UUID.

    Raises:
        ConfigError: There is no such GPU, or no driver.
    """
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise ConfigError(
            f"The driver's library {_LIBRARY} cannot be loaded.",
            hint="Install NVIDIA's driver, or set LLMASOS_MODELS__DEVICE=cpu.",
        ) from error
    _call(library.nvmlInit_v2)
    try:
        handle = ctypes.c_void_p()
        if gpu.isdecimal():
            _call(library.nvmlDeviceGetHandleByIndex_v2, ctypes.c_uint(int(gpu)), ctypes.byref(handle))
        else:
            _call(library.nvmlDeviceGetHandleByUUID, gpu.encode(), ctypes.byref(handle))
        name = ctypes.create_string_buffer(_NAME_BYTES)
        _call(library.nvmlDeviceGetName, handle, name, ctypes.c_uint(_NAME_BYTES))
        memory = _Memory()
        _call(library.nvmlDeviceGetMemoryInfo, handle, ctypes.byref(memory))
        return GpuMemory(name=name.value.decode("utf-8", "replace"), total=memory.total, free=memory.free)
    finally:
        library.nvmlShutdown()


def _call(function: Any, *arguments: Any) -> None:
    if (code := function(*arguments)) != 0:
        raise ConfigError(
            f"The GPU cannot be read: {function.__name__} returned {code}.",
            hint="See what `nvidia-smi` says, or set LLMASOS_MODELS__DEVICE=cpu.",
        )
