"""Logistic regression over the columns of a table or the pixels of an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from llmasos.federated.dataset import Examples
from llmasos.federated.recipes import dense
from llmasos.federated.recipes.options import Options, parsed
from llmasos.federated.recipes.port import Score, Work
from llmasos.federated.recipes.rows import some
from llmasos.federated.schema import Kind, Schema
from llmasos.federated.weights import Weights


class LogisticOptions(Options):
    """Logistic regression has none."""


class Logistic:
    """Multinomial logistic regression, by gradient descent from zero."""

    name = "logistic"
    title = "Logistic regression"
    kinds: frozenset[Kind] = frozenset({"table", "images"})
    proximal = True
    options = LogisticOptions

    def initial(self, schema: Schema, options: Mapping[str, Any], seed: int) -> Weights:
        """Return zeros of the schema's shape."""
        parsed(self.options, options, self.name)
        return dense.initial((math.prod(schema.shape), len(schema.classes)), seed)

    def train(
        self, weights: Weights, examples: Examples, work: Work, schema: Schema, options: Mapping[str, Any]
    ) -> tuple[Weights, float]:
        """Return the weights after some work, and the mean loss a row over its last pass."""
        return dense.train(weights, flat(examples), examples.labels, work)

    def evaluate(
        self, weights: Weights, examples: Examples, schema: Schema, options: Mapping[str, Any]
    ) -> Score:
        """Return how well weights do on rows."""
        return dense.evaluate(weights, flat(examples), examples.labels)


def flat(examples: Examples) -> npt.NDArray[np.floating[Any]]:
    """Return each row as one line of numbers."""
    return some(examples).inputs.reshape(len(examples), -1)
