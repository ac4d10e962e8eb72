"""Differential privacy: updates are clipped, noise is added, and the budget is told before and after.

Protected is one client's whole contribution to a round. What is not: the loss and accuracy that clients
report, their numbers of samples, and who took part (a run's record names them). So the budget counts no
amplification by secret sampling: it is the composition of one Gaussian mechanism for every round in which a
client took part, which holds against a reader of that record. `Budget.hidden` is the bound against somebody
who sees all models and never learns who took part; it fits Flower, which draws a fixed number of clients
without replacement.

Flower's own wrappers are not used: they drop a round when one client fails, add noise after FedAdam and
FedYogi have kept moments of what is not yet private, fail on an update of zeros and on integer arrays, and
draw from NumPy's global generator, whose state forked workers share.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmasos.federated.plan import Plan, Privacy
from llmasos.federated.weights import Weights

Draw = Callable[[tuple[int, ...]], npt.NDArray[np.float64]]
"""Draws independent standard normal numbers of a shape."""


@dataclass(frozen=True)
class Budget:
    """What a client's part in a training may tell of it.

    Args:
        epsilon: At `delta`, against anybody who knows the models of all rounds and who took part in which.
        delta: The chance with which `epsilon` does not hold.
        releases: In how many rounds a client took part at most.
        hidden: The epsilon against who does not know who took part; None where it says no more.
    """

    epsilon: float
    delta: float
    releases: int
    hidden: float | None = None


def secret_normals(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Draw standard normal numbers from the system's secure generator (Box and Muller 1958)."""
    count = math.prod(shape)
    whole = np.frombuffer(os.urandom(16 * count), dtype=np.uint64).reshape(2, count) >> np.uint64(11)
    even = (whole + 0.5) * 2.0**-53
    drawn: npt.NDArray[np.float64] = np.sqrt(-2 * np.log(even[0])) * np.cos(2 * np.pi * even[1])
    return drawn.reshape(shape)


def clipped(
    arrays: Mapping[str, npt.NDArray[Any]], reference: Mapping[str, npt.NDArray[Any]], clip: float
) -> Weights:
    """Return an update, the difference to the reference, shortened to a norm of at most `clip`.

    Arrays of integers are left out: their update is 0.
    """
    update = {
        name: arrays[name].astype(np.float64) - like.astype(np.float64)
        if like.dtype.kind == "f"
        else np.zeros(like.shape)
        for name, like in reference.items()
    }
    norm = float(np.sqrt(sum(float(np.sum(np.square(part))) for part in update.values())))
    factor = min(1.0, clip / norm) if norm > 0 else 1.0
    return {name: part * factor for name, part in update.items()}


def noisy(
    update: Weights, reference: Mapping[str, npt.NDArray[Any]], deviation: float, draw: Draw
) -> Weights:
    """Return the reference plus an update plus Gaussian noise of a standard deviation, in float64."""
    return {
        name: like.astype(np.float64)
        + update[name]
        + (deviation * draw(like.shape) if like.dtype.kind == "f" else 0.0)
        for name, like in reference.items()
    }


def release(
    updates: Sequence[Mapping[str, npt.NDArray[Any]]],
    reference: Mapping[str, npt.NDArray[Any]],
    privacy: Privacy,
    sampled: int,
    draw: Draw = secret_normals,
) -> Weights:
    """Return a round's private mean: w_t + (sum of clipped updates + N(0, (noise * clip)^2)) / sampled.

    Every client weighs the same, and the divisor is how many were asked, not how many answered: a client that
    is left out changes the sum by at most `clip` and nothing else (McMahan 2018, "Learning Differentially
    Private Recurrent Language Models").
    """
    total: Weights = {name: np.zeros(like.shape) for name, like in reference.items()}
    for arrays in updates:
        for name, part in clipped(arrays, reference, privacy.clip).items():
            total[name] += part
    mean = {name: part / sampled for name, part in total.items()}
    return noisy(mean, reference, privacy.noise * privacy.clip / sampled, draw)


def disguised(
    arrays: Mapping[str, npt.NDArray[Any]],
    reference: Mapping[str, npt.NDArray[Any]],
    privacy: Privacy,
    draw: Draw = secret_normals,
) -> Weights:
    """Return a client's weights as it may send them under local privacy: clipped and noisy."""
    sent = noisy(clipped(arrays, reference, privacy.clip), reference, privacy.noise * privacy.clip, draw)
    return {name: sent[name].astype(like.dtype) for name, like in reference.items()}


def budget(plan: Plan, releases: int | None = None) -> Budget | None:
    """Return the budget of a plan, or None when it asks for no privacy.

    Args:
        releases: In how many rounds the busiest client took part; all of the plan's rounds when None, which
            is the most that can happen.
    """
    privacy = plan.privacy
    if privacy.kind == "none":
        return None
    rounds = plan.rounds if releases is None else releases
    # The server sees a locally private update itself, and another's may differ by twice the clipping norm.
    noise = privacy.noise / 2 if privacy.kind == "local" else privacy.noise
    epsilon, hidden = gaussian_epsilon(noise, privacy.delta, rounds), None
    if privacy.kind == "central" and releases is None and plan.sampled < plan.clients:
        amplified = sampled_epsilon(privacy, plan.clients, plan.sampled, plan.rounds)
        hidden = amplified if amplified < epsilon else None
    return Budget(epsilon, privacy.delta, rounds, hidden)


def gaussian_epsilon(noise: float, delta: float, releases: int) -> float:
    """Return the epsilon of some releases by the Gaussian mechanism (Renyi accountant, Mironov 2017).

    The neighbour of a set of clients is the same set where one's updates are zero.
    """
    from dp_accounting import dp_event, rdp
    from dp_accounting.privacy_accountant import NeighboringRelation

    if releases == 0:
        return 0.0
    accountant = rdp.RdpAccountant(neighboring_relation=NeighboringRelation.REPLACE_SPECIAL)
    accountant.compose(dp_event.GaussianDpEvent(noise), releases)
    return float(accountant.get_epsilon(delta))


def sampled_epsilon(privacy: Privacy, clients: int, sampled: int, rounds: int) -> float:
    """Return the epsilon of rounds whose clients are drawn in secret, a fixed number without replacement.

    By theorem 27 of Wang, Balle and Kasiviswanathan 2019. The neighbour is the set where one client is
    replaced by another, whose updates may differ by twice the clipping norm.
    """
    from dp_accounting import dp_event, rdp
    from dp_accounting.privacy_accountant import NeighboringRelation

    gaussian = dp_event.GaussianDpEvent(privacy.noise / 2)
    accountant = rdp.RdpAccountant(neighboring_relation=NeighboringRelation.REPLACE_ONE)
    accountant.compose(dp_event.SampledWithoutReplacementDpEvent(clients, sampled, gaussian), rounds)
    return float(accountant.get_epsilon(privacy.delta))
