"""Weights on their device and in the host's memory, and what happens when there is no room."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from llmasos.models.engines.port import OutOfMemory

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the error says that an allocation failed, on a GPU or on the processor."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


def out_of_memory(what: str, error: BaseException) -> OutOfMemory:
    """Return the error for a person."""
    lines = str(error).strip().splitlines()
    return OutOfMemory(
        f"There is no memory to {what}: {lines[0] if lines else 'an allocation failed'}",
        hint="Unload other models, or load this one with fewer slots or a smaller context.",
    )


@contextmanager
def allocating(what: str) -> Iterator[None]:
    """Turn failed allocations into `OutOfMemory`.

    Args:
        what: What the memory is for, after "to".
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OutOfMemory) or not is_out_of_memory(error):
            raise
        raise out_of_memory(what, error) from error


class ParkedWeights:
    """The weights of a model in the host's memory, while its modules keep only shapes.

    Buffers that no file has, such as those of rotary embeddings, are among them: `.to("meta")`
    would lose them. Weights that several modules share stay shared.

    Args:
        model: The model; its parameters and buffers are taken away.
    """

    def __init__(self, model: Any) -> None:
        self._device = model.device
        self._places: list[tuple[dict[str, Any], str, int]] = []
        self._host: dict[int, torch.Tensor] = {}
        found: dict[int, torch.Tensor] = {}
        for module in model.modules():
            for table in (module._parameters, module._buffers):
                for name, tensor in table.items():
                    if tensor is not None:
                        self._places.append((table, name, id(tensor)))
                        found[id(tensor)] = tensor
        with allocating("move the model to the host"):
            for key, tensor in found.items():
                self._host[key] = _to_host(tensor.data)
            self.withdraw()

    @property
    def bytes(self) -> int:
        """The bytes that they take."""
        return sum(tensor.nbytes for tensor in self._host.values())

    def restore(self) -> None:
        """Put them back on the device they came from.

        Raises:
            OutOfMemory: There is no room; they stay where they are.
        """
        with allocating("move the model back to its device"):
            moved = {key: tensor.to(self._device, non_blocking=True) for key, tensor in self._host.items()}
        self._put(moved)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def withdraw(self) -> None:
        """Take them off the device again."""
        self._put({key: tensor.to("meta") for key, tensor in self._host.items()})

    def _put(self, tensors: dict[int, torch.Tensor]) -> None:
        shared: dict[int, torch.Tensor] = {}
        for table, name, key in self._places:
            if key not in shared:
                shared[key] = _like(table[name], tensors[key])
            table[name] = shared[key]


def weight_bytes(model: Any) -> int:
    """Return the bytes of a model's parameters and buffers, shared ones once."""
    tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return sum(int(tensor.nbytes) for tensor in tensors.values() if tensor.device.type != "meta")


def release() -> None:
    """Give memory that nothing uses any more back to the device."""
    if torch.cuda.is_available():
        # Products of matrices leave their workspace allocated: 32 MiB for each thread on some cards.
        torch._C._cuda_clearCublasWorkspaces()
        torch.cuda.empty_cache()


def allocated_bytes(device: torch.device) -> int:
    """Return the bytes that tensors take on a GPU; 0 on the processor, where nobody counts them."""
    return int(torch.cuda.memory_allocated(device)) if device.type == "cuda" else 0


def _to_host(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.device.type == "cpu":
        return tensor
    # Only pinned memory is copied at the full speed of the bus.
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor)


def _like(old: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    return torch.nn.Parameter(data, requires_grad=False) if isinstance(old, torch.nn.Parameter) else data
