"""Whether a client trains with FedProx's proximal term: tried out on its own rows, and told to the server.

What a reply's `proximal-mu` proves: before the client trained, it ran its recipe twice over a few of its
rows, with the term and without, and the weights differed. A recipe that has no term, one that says it has
and does not add it, and a client program that knows nothing of the term cannot send it by accident. It does
not prove that the term has the right form (the recipes' gradient tests do), and a client that means to
deceive can send what it likes: nobody without its rows can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from llmasos.federated.dataset import Examples
from llmasos.federated.recipes.port import Recipe, Work
from llmasos.federated.schema import Schema
from llmasos.federated.weights import Weights

_ROWS = 8


def honoured(
    recipe: Recipe,
    weights: Weights,
    examples: Examples,
    work: Work,
    schema: Schema,
    options: Mapping[str, Any],
) -> float:
    """Return the weight of the proximal term that a recipe really uses: that of the work, or 0.

    It trains a few rows in two passes, so that the weights have moved when the term counts, once with the
    term and once without: a recipe that does not add the term ends with the same bits. The trial's term is so
    strong that a step takes back all that was moved; a weak one might be lost in the rounding.
    """
    if work.proximal == 0 or not recipe.proximal:
        return 0.0
    few = Examples(examples.inputs[:_ROWS], examples.labels[:_ROWS])
    trial = replace(work, epochs=2, batch=max(1, min(work.batch, len(few) // 2)))
    ends = []
    for mu in (max(work.proximal, 1 / work.learning_rate), 0.0):
        start = {name: array.copy() for name, array in weights.items()}
        ends.append(recipe.train(start, few, replace(trial, proximal=mu), schema, options)[0])
    same = all(np.array_equal(ends[0][name], ends[1][name]) for name in weights)
    return 0.0 if same else work.proximal
