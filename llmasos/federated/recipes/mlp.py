"""A multilayer perceptron over the columns of a table or the pixels of an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from llmasos.federated.dataset import Examples
from llmasos.federated.recipes import dense
from llmasos.federated.recipes.logistic import flat
from llmasos.federated.recipes.options import Options, parsed
from llmasos.federated.recipes.port import Score, Work
from llmasos.federated.schema import Kind, Schema
from llmasos.federated.weights import Weights

Units = Annotated[int, Field(ge=1, le=100_000)]


class MLPOptions(Options):
    """How a multilayer perceptron is built.

    Args:
        hidden: Units of each hidden layer; (200, 200) is McMahan 2017's 2NN.
        activation: Of the hidden layers.
    """

    hidden: tuple[Units, ...] = Field((200, 200), min_length=1, max_length=20)
    activation: dense.Activation = "relu"


class MLP:
    """A multilayer perceptron in NumPy."""

    name = "mlp"
    title = "Multilayer perceptron"
    kinds: frozenset[Kind] = frozenset({"table", "images"})
    proximal = True
    options = MLPOptions

    def initial(self, schema: Schema, options: Mapping[str, Any], seed: int) -> Weights:
        """Return weights drawn by Glorot and Bengio 2010."""
        own = parsed(self.options, options, self.name)
        return dense.initial((math.prod(schema.shape), *own.hidden, len(schema.classes)), seed)

    def train(
        self, weights: Weights, examples: Examples, work: Work, schema: Schema, options: Mapping[str, Any]
    ) -> tuple[Weights, float]:
        """Return the weights after some work, and the mean loss a row over its last pass."""
        own = parsed(self.options, options, self.name)
        return dense.train(weights, flat(examples), examples.labels, work, own.activation)

    def evaluate(
        self, weights: Weights, examples: Examples, schema: Schema, options: Mapping[str, Any]
    ) -> Score:
        """Return how well weights do on rows."""
        own = parsed(self.options, options, self.name)
        return dense.evaluate(weights, flat(examples), examples.labels, own.activation)
