"""The data sets that are there without a file."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmasos.federated.data import mnist
from llmasos.federated.data.builtin import DEVICES, NAMES
from llmasos.federated.data.sources import divided, load
from llmasos.federated.data.survey import agree, survey
from llmasos.federated.port import DataError


@pytest.mark.parametrize(
    ("name", "kind", "shape", "classes"),
    [
        ("digits", "images", (1797, 8, 8, 1), 10),
        ("iris", "table", (150, 4), 3),
        ("wine", "table", (178, 13), 3),
        ("breast-cancer", "table", (569, 30), 2),
        ("synthetic-texts", "texts", (2700,), 3),
        ("synthetic(0,0)", "table", (4690, 60), 10),
        ("synthetic-iid", "table", (4690, 60), 10),
    ],
)
def test_data_sets_are_there_without_a_file(
    name: str, kind: str, shape: tuple[int, ...], classes: int
) -> None:
    told = load(name)
    assert (told.kind, told.inputs.shape, len(told)) == (kind, shape, shape[0])
    schema = agree([survey("a", told)])
    assert len(schema.classes) == classes
    if kind != "texts":
        assert told.inputs.dtype == np.float32
    if kind == "images":
        assert (told.inputs.min(), told.inputs.max()) == (0, 1)


def test_each_synthetic_device_is_a_client() -> None:
    for source in ("synthetic(1,1)", "synthetic(0.5,0.5,7)", "synthetic-iid", "synthetic-iid(3)"):
        devices = divided(source)
        assert len(devices) == DEVICES
        parts, whole = [load(one) for one in devices], load(source)
        assert min(map(len, parts)) >= 50
        assert np.array_equal(np.concatenate([one.inputs for one in parts]), whole.inputs)
        assert np.array_equal(np.concatenate([one.labels for one in parts]), whole.labels)
    assert divided("digits") == divided("synthetic(1,1)#3") == ()


def test_synthetic_data_is_what_the_paper_says() -> None:
    inputs = np.concatenate(
        [load(f"synthetic(0,0,{seed})#{k}").inputs for seed in range(9) for k in range(30)]
    )
    within = np.concatenate(
        [
            one.inputs - one.inputs.mean(axis=0)
            for one in map(load, divided("synthetic(0,0)"))
            if len(one) > 200
        ]
    )
    # x ~ N(v, Sigma) with Sigma_jj = j^-1.2, and v ~ N(B, 1).
    assert np.allclose(within.var(axis=0), np.arange(1, 61) ** -1.2, rtol=0.15)
    assert inputs.shape[1] == 60
    alike, other = load("synthetic-iid(1)"), load("synthetic(1,1,1)")
    assert len(set(alike.labels.tolist())) == len(set(other.labels.tolist())) == 10
    # Each device has a favourite class only where devices differ.
    assert favourite("synthetic(1,1,1)") > favourite("synthetic-iid(1)") + 0.2


def favourite(source: str) -> float:
    """Return the mean share of each device's most frequent class."""
    labels = [load(device).labels for device in divided(source)]
    return float(np.mean([np.unique(one, return_counts=True)[1].max() / len(one) for one in labels]))


def test_a_data_set_is_the_same_each_time() -> None:
    for name in ("synthetic(1,1)", "synthetic-texts"):
        assert np.array_equal(load(name).inputs, load(name).inputs)
    assert not np.array_equal(load("synthetic(1,1,1)#0").inputs[:5], load("synthetic(1,1,2)#0").inputs[:5])


def test_a_device_or_data_set_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="device that is not there"):
        load("synthetic(1,1)#30")
    for name in ("mnsit", "synthetic(1)", "a\0b", "x" * 5000, "gone.csv", "gone@8x8"):
        with pytest.raises(DataError, match="There is no data set") as caught:
            load(name, folder=tmp_path)
        assert all(one in caught.value.hint for one in NAMES)


def made(folder: Path, told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep something as if it were MNIST."""
    data = gzip.compress(pickle.dumps(told, protocol=3).replace(b"numpy._core", b"numpy.core"))
    monkeypatch.setattr(mnist, "_SHA256", hashlib.sha256(data).hexdigest())
    (folder / "mnist.pkl.gz").write_bytes(data)


def test_mnist_says_how_it_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLMASOS_CACHE_DIR", str(tmp_path))
    with pytest.raises(DataError, match="MNIST is not on this machine") as caught:
        load("mnist")
    assert "-m llmasos.federated.data`" in caught.value.hint


def test_mnist_is_read_from_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLMASOS_CACHE_DIR", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    parts = [(np.full((rows, 784), rows, np.float32), np.arange(rows)) for rows in (5, 2, 3)]
    made(tmp_path / "datasets", tuple(parts), monkeypatch)
    told = load("mnist")
    assert told.inputs.shape == (10, 28, 28, 1)
    assert told.labels.tolist() == ["0", "1", "2", "3", "4", "0", "1", "0", "1", "2"]
    assert mnist.fetch_mnist(tmp_path / "datasets").parent == tmp_path / "datasets"


def test_another_mnist_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "mnist.pkl.gz").write_bytes(gzip.compress(pickle.dumps([])))
    with pytest.raises(DataError, match="does not hold the MNIST that is known"):
        mnist.read_mnist(tmp_path)


class Hostile:
    def __reduce__(self) -> Any:
        return os.mkdir, ("hostile",)


def test_nothing_in_a_pickle_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path, Hostile(), monkeypatch)
    with pytest.raises(pickle.UnpicklingError, match="no part of an array"):
        mnist.read_mnist(tmp_path)
    assert not (tmp_path / "hostile").exists()


def test_a_failed_fetch_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(DataError, match="MNIST cannot be fetched"):
        mnist.fetch_mnist(tmp_path)
    assert not list(tmp_path.iterdir())
