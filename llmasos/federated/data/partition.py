"""Partitions: one data set is dealt to several clients, each row to one of them."""

from __future__ import annotations

from heapq import heapify, heapreplace

import numpy as np
import numpy.typing as npt

from llmasos.federated.plan import Partition
from llmasos.federated.port import DataError

LEAST = 2
"""How many rows each client gets at least: one to train on, one to evaluate on."""

Rows = npt.NDArray[np.intp]


def partition(labels: npt.NDArray[np.str_], clients: int, how: Partition, seed: int) -> list[Rows]:
    """Return the rows of each client, in ascending order; the same for the same seed.

    Args:
        labels: The class of each row.

    Raises:
        DataError: There are too few rows for so many clients.
    """
    shards = how.shards if how.kind == "shards" else 1
    if len(labels) < clients * max(LEAST, shards):
        raise DataError(
            f"{len(labels):,} rows cannot be dealt to {clients:,} clients: each needs "
            f"{max(LEAST, shards)} of them.",
            hint=f"Ask for at most {len(labels) // max(LEAST, shards):,} clients, or give more rows.",
        )
    draw = np.random.default_rng(seed)
    match how.kind:
        case "iid":
            parts = np.array_split(draw.permutation(len(labels)), clients)
        case "dirichlet":
            parts = _filled(_dirichlet(labels, clients, how.alpha, draw), draw)
        case "shards":
            parts = _shards(labels, clients, how.shards, draw)
    return [np.sort(part).astype(np.intp) for part in parts]


def _dirichlet(
    labels: npt.NDArray[np.str_], clients: int, alpha: float, draw: np.random.Generator
) -> list[Rows]:
    """Deal each class by shares of a Dirichlet distribution (Hsu et al. 2019)."""
    owners = np.empty(len(labels), np.intp)
    codes = np.unique(labels, return_inverse=True)[1]
    for code in range(codes.max() + 1):
        rows = draw.permutation(np.flatnonzero(codes == code))
        shares = draw.dirichlet(np.full(clients, alpha))
        if not np.isfinite(shares).all() or not shares.sum() > 0:
            # So small an alpha gives all to one.
            shares = np.eye(1, clients, int(draw.integers(clients)))[0]
        ends = np.floor(np.cumsum(shares) / shares.sum() * len(rows) + 0.5).astype(np.intp)
        owners[rows] = np.searchsorted(ends, np.arange(len(rows)), side="right")
    order = np.argsort(owners, kind="stable")
    return np.split(order, np.searchsorted(owners[order], np.arange(1, clients)))


def _filled(parts: list[Rows], draw: np.random.Generator) -> list[Rows]:
    """Give clients that have too few rows some of those that have most."""
    kept = [draw.permutation(part).tolist() for part in parts]
    richest = [(-len(part), client) for client, part in enumerate(kept)]
    heapify(richest)
    for poor in kept:
        while len(poor) < LEAST:
            size, rich = richest[0]
            poor.append(kept[rich].pop())
            heapreplace(richest, (size + 1, rich))
    return [np.array(part, np.intp) for part in kept]


def _shards(labels: npt.NDArray[np.str_], clients: int, shards: int, draw: np.random.Generator) -> list[Rows]:
    """Sort rows by class, cut them evenly, and deal so many shards to each client (McMahan et al. 2017)."""
    mixed = draw.permutation(len(labels))
    order = mixed[np.argsort(np.unique(labels, return_inverse=True)[1][mixed], kind="stable")]
    cut = np.array_split(order, clients * shards)
    dealt = draw.permutation(clients * shards).reshape(clients, shards)
    return [np.concatenate([cut[shard] for shard in mine]) for mine in dealt]
