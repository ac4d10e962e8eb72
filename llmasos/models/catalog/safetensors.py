"""Headers of safetensors files: names, types and places of the tensors, checked against the file."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

from llmasos.errors import ModelError
from llmasos.models.catalog.gguf import Tensor, open_model_file
from llmasos.models.untrusted import read_json

# Half of what the reference implementation allows, and a hundred times what large models have.
_MAX_HEADER = 16 * 2**20
_MAX_DIMENSIONS = 32
_BITS = {
    **{"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64},
    **{"F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64},
    **{"F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8},
    **{"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4},
}


def read_safetensors(path: Path) -> tuple[Tensor, ...]:
    """Read the header of a safetensors file, and check that its tensors fill the file without gaps.

    Source: the format's description in the `safetensors` repository.

    Raises:
        ModelError: The file cannot be read, is damaged, or was cut.
    """
    try:
        size = path.stat().st_size
        with open_model_file(path) as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
            if length > size - 8:
                raise _cut(path, size)
            if length > _MAX_HEADER:
                raise _damaged(path, f"its header is {length} bytes long")
            content = file.read(length)
    except FileNotFoundError as error:
        raise ModelError(f"The model file {path} does not exist.", hint="Check the path.") from error
    except OSError as error:
        raise ModelError(
            f"The model file {path} cannot be read: {error.strerror}.", hint="Check its permissions."
        ) from error
    try:
        header = read_json(content)
    except ValueError as error:
        raise _damaged(path, "its header is no JSON") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no object")
    header.pop("__metadata__", None)
    found = sorted((_tensor(path, name, entry) for name, entry in header.items()), key=lambda pair: pair[1])
    place = 0
    for tensor, begin in found:
        if begin != place:
            raise _damaged(path, f"the tensor {tensor.name[:80]!r} does not begin where the one before ends")
        place += tensor.bytes
    if 8 + length + place > size:
        raise _cut(path, size)
    if 8 + length + place < size:
        raise _damaged(path, "it has bytes that belong to no tensor")
    return tuple(tensor for tensor, _ in found)


def _tensor(path: Path, name: str, entry: Any) -> tuple[Tensor, int]:
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
        fits = whole and len(shape) <= _MAX_DIMENSIONS and (end - begin) * 8 == math.prod(shape) * _BITS[kind]
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise _damaged(path, f"the tensor {name[:80]!r} has a size that does not fit its shape")
    return Tensor(name, tuple(shape), end - begin, kind), begin


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError(f"{path} is damaged: {what}.", hint="Fetch the file again.")


def _cut(path: Path, size: int) -> ModelError:
    return ModelError(
        f"{path} is cut: it has {size} bytes, and its header promises more.", hint="Fetch the file again."
    )
