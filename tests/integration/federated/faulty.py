"""A recipe of a plugin's, whose clients fail in the way that its options say."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from llmasos.federated.dataset import Examples
from llmasos.federated.recipes.logistic import Logistic
from llmasos.federated.recipes.port import Score, Work
from llmasos.federated.schema import Schema
from llmasos.federated.weights import Weights


class Faulty:
    """Logistic regression, but for clients with a certain number of rows to train on.

    Options: `fault` is what they do, `rows` how many rows they have.
    """

    name = "faulty"
    title = "Logistic regression that fails"
    kinds = Logistic.kinds
    proximal = True

    def initial(self, schema: Schema, options: Mapping[str, Any], seed: int) -> Weights:
        """Return the weights that a training begins with."""
        return Logistic().initial(schema, {}, seed)

    def train(
        self, weights: Weights, examples: Examples, work: Work, schema: Schema, options: Mapping[str, Any]
    ) -> tuple[Weights, float]:
        """Train, or fail."""
        made, loss = Logistic().train(dict(weights), examples, work, schema, {})
        fault = options["fault"]
        if fault == "forget":
            return Logistic().train(dict(weights), examples, replace(work, proximal=0.0), schema, {})
        if len(examples) not in options["rows"]:
            return made, loss
        if fault == "raise":
            raise RuntimeError("the disk is gone")
        if fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "hang":
            if Path("hangs").is_fifo():
                Path("hangs").write_text("it hangs")
            threading.Event().wait()
        if fault == "nan":
            return {name: np.full_like(array, np.nan) for name, array in made.items()}, loss
        if fault == "shape":
            return {name: array.ravel()[:-1] for name, array in made.items()}, loss
        if fault == "flip":
            return {name: weights[name] - 50 * (array - weights[name]) for name, array in made.items()}, loss
        return made, loss

    def evaluate(
        self, weights: Weights, examples: Examples, schema: Schema, options: Mapping[str, Any]
    ) -> Score:
        """Return how well weights do on rows."""
        return Logistic().evaluate(weights, examples, schema, {})
