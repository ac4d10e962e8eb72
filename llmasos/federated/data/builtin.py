"""Data sets that are there without a file: from scikit-learn, and made by a rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from llmasos.federated.dataset import Dataset
from llmasos.federated.port import DataError

NAMES = (
    "breast-cancer",
    "digits",
    "iris",
    "mnist",
    "synthetic-texts",
    "synthetic(1,1)",
    "synthetic-iid",
    "wine",
)
"""What is there; `synthetic` takes other numbers, too."""

DEVICES = 30
"""How many clients the data of Li et al. come from."""

_INSTALL = "Install it with: pip install 'llmasos[federated]'."
_FEATURES = 60
_CLASSES = 10
_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*"
_SYNTHETIC = re.compile(
    rf"synthetic(?:-iid(?:\(\s*(\d+)\s*\))?|\({_NUMBER},{_NUMBER}(?:,\s*(\d+)\s*)?\))(?:#(\d+))?"
)


def digits() -> Dataset:
    """Return 1,797 handwritten digits as images of 8 by 8 (Alpaydin and Kaynak 1998)."""
    # From scikit-learn's file: to import the package takes longer than to train on this.
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise DataError("scikit-learn, which has the digits, is not there.", hint=_INSTALL)
    told = np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    inputs = (told[:, :-1] / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    return Dataset("images", inputs, told[:, -1].astype(np.int64).astype(np.str_))


def table(name: str) -> Dataset:
    """Return one of scikit-learn's tables: iris, wine or breast-cancer."""
    from sklearn import datasets

    told = getattr(datasets, f"load_{name.replace('-', '_')}")()
    labels = np.array([str(one) for one in told.target_names])[told.target]
    return Dataset("table", told.data.astype(np.float32), labels, tuple(map(str, told.feature_names)))


@dataclass(frozen=True)
class Synthetic:
    """The synthetic data of Li et al. 2020, "Federated Optimization in Heterogeneous Networks", appendix C.1.

    Args:
        alpha: How much the devices' true models differ: the standard deviation of their means.
        beta: How much their inputs differ.
        seed: Of everything that is drawn.
        iid: Whether all devices share one true model and one distribution of inputs.
        device: Which device's rows are meant; None for those of all.
    """

    alpha: float
    beta: float
    seed: int = 0
    iid: bool = False
    device: int | None = None

    @classmethod
    def named(cls, source: str) -> Self | None:
        """Return what `synthetic(1,1)`, `synthetic-iid` or, with seed and device, `synthetic(1,1,7)#3` is.

        Raises:
            DataError: There is no such device.
        """
        found = _SYNTHETIC.fullmatch(source)
        if not found:
            return None
        iid_seed, alpha, beta, seed, device = found.groups()
        if device and int(device) >= DEVICES:
            raise DataError(
                f"{source[:60]!r} names a device that is not there.", hint=f"Name one of 0 to {DEVICES - 1}."
            )
        return cls(
            float(alpha or 0),
            float(beta or 0),
            int(seed or iid_seed or 0),
            alpha is None,
            int(device) if device else None,
        )

    def load(self) -> Dataset:
        """Return the rows."""
        devices = range(DEVICES) if self.device is None else (self.device,)
        parts = [self._rows(device) for device in devices]
        inputs = np.concatenate([part[0] for part in parts])
        labels = np.concatenate([part[1] for part in parts])
        return Dataset("table", inputs, labels, tuple(f"x{place}" for place in range(1, _FEATURES + 1)))

    def _rows(self, device: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.str_]]:
        """Draw a device's rows: x ~ N(v, Sigma), Sigma_jj = j^-1.2; y = argmax softmax(x W + b)."""
        draw = np.random.default_rng([self.seed, device])
        rows = int(draw.lognormal(4, 2)) + 50
        if self.iid:
            shared = np.random.default_rng([self.seed, DEVICES])
            centre, middle = 0.0, np.zeros(_FEATURES)
        else:
            shared = draw
            centre = draw.normal(0, self.alpha)
            middle = draw.normal(draw.normal(0, self.beta), 1, _FEATURES)
        weights = shared.normal(centre, 1, (_FEATURES, _CLASSES))
        biases = shared.normal(centre, 1, _CLASSES)
        spread = np.arange(1, _FEATURES + 1) ** -0.6
        inputs = draw.normal(size=(rows, _FEATURES)) * spread + middle
        return inputs.astype(np.float32), (inputs @ weights + biases).argmax(axis=1).astype("<U1")


_SAID = {
    "food": ("the soup", "the bread", "our dinner", "this cheese", "the cake", "a plate of rice"),
    "travel": ("the train", "our hotel", "the flight", "this road", "the harbour", "a walk to the station"),
    "weather": ("the rain", "this wind", "the morning sun", "the fog", "a storm", "the first snow"),
}
_WHEN = ("yesterday", "on Monday", "last week", "this evening", "after the meeting", "again")
_WHAT = ("was better than we thought", "was late", "made us smile", "was a little cold", "lasted for hours")
_WHO = ("My sister says", "I think", "They wrote that", "We all agreed", "Nobody doubted")


def synthetic_texts() -> Dataset:
    """Return 2,700 made-up sentences about food, travel or the weather; each of them is there once."""
    rows = [
        (f"{who} {thing} {when} {what}.", topic)
        for topic, things in _SAID.items()
        for who, thing, when, what in product(_WHO, things, _WHEN, _WHAT)
    ]
    order = np.random.default_rng(0).permutation(len(rows))
    return Dataset(
        "texts",
        np.array([rows[place][0] for place in order], np.dtypes.StringDType()),
        np.array([rows[place][1] for place in order], np.str_),
    )
