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
    recipe: Recipe, examples: Examples, work: Work, schema: Schema, options: Mapping[str, Any], seed: int
) -> bool | None:
    """Return whether a recipe really uses the proximal term; None when the rows do not tell.

    It trains a few rows in two passes, so that the weights have moved when the term counts, once with the
    term and once without: a recipe that does not add the term ends with the same bits. The trial's term is so
    strong that a step takes back all that was moved; a weak one might be lost in the rounding. It begins with
    new weights, for those of a model that is sure of its rows no longer move.

    Args:
        recipe: What is tried.
        examples: The client's rows.
        work: How it is about to train.
        schema: Of its rows.
        options: The recipe's own.
        seed: Of the new weights.
    """
    if not recipe.proximal:
        return False
    places = np.linspace(0, len(examples) - 1, min(_ROWS, len(examples))).astype(int)
    few = Examples(examples.inputs[places], examples.labels[places])
    trial = replace(work, epochs=2, batch=max(1, min(work.batch, len(few) // 2)))

    def end(mu: float) -> Weights:
        new = recipe.initial(schema, options, seed)
        return recipe.train(new, few, replace(trial, proximal=mu), schema, options)[0]

    plain = end(0.0)
    if _same(plain, recipe.initial(schema, options, seed)):
        return None
    return not _same(plain, end(max(work.proximal, 1 / work.learning_rate)))


def _same(one: Weights, other: Weights) -> bool:
    # Whole numbers, such as a count of steps, say nothing of the term.
    return all(np.array_equal(one[name], other[name]) for name in one if one[name].dtype.kind not in "biu")
