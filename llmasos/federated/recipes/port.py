"""The port of recipes: a kind of model, and how one client trains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from llmasos.federated.dataset import Examples
from llmasos.federated.schema import Kind, Schema
from llmasos.federated.weights import Weights


@dataclass(frozen=True)
class Work:
    """What a client is to do with its rows.

    Args:
        epochs: Passes over the rows.
        batch: Rows a step.
        learning_rate: Of the optimizer.
        proximal: FedProx's mu: (mu / 2) * |w - w_t|^2 is added to the loss; w_t is what the client was sent.
        seed: Decides the order of the rows and everything else that is drawn.
    """

    epochs: int = 1
    batch: int = 32
    learning_rate: float = 0.1
    proximal: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Score:
    """How well a model does: the mean loss a row, and the share of rows that are right."""

    loss: float
    accuracy: float


class Recipe(Protocol):
    """A kind of model.

    Attributes:
        name: What plans call it.
        title: What people are shown.
        kinds: The kinds of data that it learns from.
        proximal: Whether `train` adds FedProx's term.
    """

    name: str
    title: str
    kinds: frozenset[Kind]
    proximal: bool

    def initial(self, schema: Schema, options: Mapping[str, Any], seed: int) -> Weights:
        """Return the weights that a training begins with; the same for the same seed.

        Raises:
            FederatedError: An option is not possible.
        """

    def train(
        self, weights: Weights, examples: Examples, work: Work, schema: Schema, options: Mapping[str, Any]
    ) -> tuple[Weights, float]:
        """Return the weights after some work, and the mean loss a row over its last pass."""

    def evaluate(
        self, weights: Weights, examples: Examples, schema: Schema, options: Mapping[str, Any]
    ) -> Score:
        """Return how well weights do on rows."""
