"""What people write for a strategy, a backend and a share, and what it means."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_PERCENT = 2
_ALIASES = {
    "average": "fedavg",
    "federatedaveraging": "fedavg",
    "adam": "fedadam",
    "yogi": "fedyogi",
    "prox": "fedprox",
    "median": "fedmedian",
    "trimmedmean": "trimmed-mean",
    "fedtrimmedavg": "trimmed-mean",
}

_BACKENDS = {"cluster": "ray", "ray cluster": "ray", "machine": "local", "here": "local"}
_SMALL_WORDS = frozenset({"on", "in", "with", "the", "a", "our", "this"})


def strategy_said(value: object) -> object:
    """Read a strategy by its usual names: "prox", "trimmed mean", "Federated Averaging"."""
    if not isinstance(value, str):
        return value
    plain = re.sub(r"[\s_-]", "", value).lower()
    return _ALIASES.get(plain, plain)


def backend_said(value: object) -> object:
    """Read a backend as people say it: "on the cluster", "with Ray", "on this machine"."""
    if not isinstance(value, str):
        return value
    words = [word for word in value.lower().split() if word not in _SMALL_WORDS]
    plain = " ".join(words)
    return _BACKENDS.get(plain, plain)


def _share(value: object) -> object:
    """Read a share as people write it: 0.95, 95 or 95%."""
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([\d.]+)\s*(%?)\s*", value)
        if found is None:
            return value
        number = float(found[1])
        # What lies just above 1 is more likely a slip than a percentage.
        return number / 100 if found[2] or number >= _PERCENT else number
    if isinstance(value, int | float) and not isinstance(value, bool) and _PERCENT <= value <= 100:
        return value / 100
    return value


Share = Annotated[float, BeforeValidator(_share)]
