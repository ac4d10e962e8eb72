"""Arrays travel as Flower writes them, and what is no array is refused as Flower refuses it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flwr.app import Array

from llmasos.federated.messages import packed, unpacked

ARRAYS: list[npt.NDArray[Any]] = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.array(2.5),
    np.zeros((0, 3), np.float16),
    np.array([[1, -1]], ">i8"),
    np.array([True, False]),
    np.arange(6, dtype=np.float32).reshape(2, 3).T,
    np.array([1 + 2j]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_an_array_travels_as_flower_writes_it(array: npt.NDArray[Any]) -> None:
    ours, flowers = packed(array), Array(array)
    assert (ours.dtype, ours.shape, ours.stype, ours.data) == (
        flowers.dtype,
        flowers.shape,
        flowers.stype,
        flowers.data,
    )
    back = unpacked(ours)
    assert back.dtype == array.dtype and back.shape == array.shape and np.array_equal(back, array)
    assert back.flags.writeable and not np.shares_memory(back, unpacked(ours))


def test_objects_do_not_travel() -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        packed(np.array([{}], object))
    file = BytesIO()
    np.save(file, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="Object arrays"):
        unpacked(Array("object", (1,), "numpy.ndarray", file.getvalue()))


def written(shape: str, data: bytes = b"\0" * 16) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY\x01\x00",
        b"nothing that is known",
        written("(4,)")[:-1],
        written("(-4,)"),
        written("(1000000000000000000,)"),
        written("(4"),
        written("\n  4"),
        written("-" * 9000 + "4"),
        written("('4',)"),
        b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 70_000,
    ],
)
def test_what_is_no_array_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no array"):
        unpacked(Array("float32", (4,), "numpy.ndarray", data))
    with pytest.raises(ValueError, match="Unsupported serialization"):
        unpacked(Array("float32", (4,), "something else", data))
