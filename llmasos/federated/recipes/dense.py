"""Dense networks in NumPy: softmax cross-entropy, minibatch gradient descent, FedProx's term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from llmasos.federated.port import FederatedError
from llmasos.federated.recipes.port import Score, Work
from llmasos.federated.recipes.rows import shuffled
from llmasos.federated.recipes.threads import one_thread
from llmasos.federated.weights import Weights

Activation = Literal["relu", "tanh"]
_Array = npt.NDArray[Any]

# So many numbers of the inputs are evaluated at once, which bounds what a large data set takes.
_NUMBERS = 2**22


def initial(sizes: Sequence[int], seed: int) -> Weights:
    """Return weights of layers with these numbers of units, the inputs first.

    A single layer begins at zero; several begin as Glorot and Bengio 2010 (equation 16) draw them.
    """
    chance = np.random.default_rng(seed)
    weights: Weights = {}
    for number, (before, after) in enumerate(pairwise(sizes)):
        bound = np.sqrt(6 / (before + after)) if len(sizes) > 2 else 0.0
        drawn = chance.uniform(-bound, bound, (before, after))
        weights[f"layer{number}.weight"] = drawn.astype(np.float32)
        weights[f"layer{number}.bias"] = np.zeros(after, np.float32)
    return weights


def train(
    weights: Weights, inputs: Any, labels: npt.NDArray[np.int64], work: Work, activation: Activation = "relu"
) -> tuple[Weights, float]:
    """Return the weights after some work, and the mean loss a row over its last pass.

    Args:
        inputs: Of shape (rows, columns): an array, or a sparse matrix of SciPy.
        labels: Of shape (rows,).
    """
    inputs = _checked(weights, inputs)
    network = _Network(weights, min(work.batch, len(labels)), activation)
    real = network.one_hot(labels)
    keep = 1 - work.learning_rate * work.proximal
    pull = network.flat * (1 - keep)
    loss = 0.0
    # What diverges ends as NaN, which the guard names.
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for order in shuffled(len(labels), work):
            rows, right, loss = inputs[order], real[order], 0.0
            for start in range(0, len(labels), work.batch):
                chosen = slice(start, start + work.batch)
                loss += network.gradient(_dense(rows[chosen]), right[chosen], work.learning_rate)
                if work.proximal:
                    network.flat *= keep
                    network.flat += pull
                network.flat -= network.step
    return network.weights(), loss / len(labels)


def evaluate(
    weights: Weights, inputs: Any, labels: npt.NDArray[np.int64], activation: Activation = "relu"
) -> Score:
    """Return how well weights do on rows, which have the shapes of `train`."""
    inputs = _checked(weights, inputs)
    size = min(len(labels), max(1, _NUMBERS // inputs.shape[1]))
    network = _Network(weights, size, activation)
    loss, right = 0.0, 0
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(labels), size):
            chosen = slice(start, start + size)
            scores = network.scores(_dense(inputs[chosen]))
            right += int((scores.argmax(1) == labels[chosen]).sum())
            loss += network.loss(scores, network.one_hot(labels[chosen]))
    return Score(loss / len(labels), right / len(labels))


def _checked(weights: Weights, inputs: Any) -> Any:
    first = next(iter(weights.values()))
    if inputs.shape[1] != first.shape[0]:
        raise FederatedError(
            f"The model takes {first.shape[0]} columns, and the rows have {inputs.shape[1]}.",
            hint="Train on the data that the model was made for.",
        )
    return inputs.astype(first.dtype, copy=False)


def _dense(rows: Any) -> _Array:
    dense: _Array = rows if isinstance(rows, np.ndarray) else rows.toarray()
    return dense


@dataclass(frozen=True)
class _Layer:
    """A layer's parameters and their steps, as views of one array each, and room for what it gives out."""

    weight: _Array
    bias: _Array
    weight_step: _Array
    bias_step: _Array
    output: _Array
    error: _Array


class _Network:
    """Layers whose parameters lie in one array, so that a step is one subtraction."""

    def __init__(self, weights: Weights, rows: int, activation: Activation) -> None:
        self._names = {name: array.shape for name, array in weights.items()}
        self._activation = activation
        self.flat = np.concatenate([array.ravel() for array in weights.values()])
        self.step = np.zeros_like(self.flat)
        parameters, steps = list(self._views(self.flat).values()), list(self._views(self.step).values())
        self._layers = [
            _Layer(
                *(parameters[place], parameters[place + 1], steps[place], steps[place + 1]),
                output=np.empty((rows, parameters[place + 1].size), self.flat.dtype),
                error=np.empty((rows, parameters[place + 1].size), self.flat.dtype),
            )
            for place in range(0, len(parameters), 2)
        ]

    def _views(self, flat: _Array) -> Weights:
        views, start = {}, 0
        for name, shape in self._names.items():
            size = int(np.prod(shape))
            views[name] = flat[start : start + size].reshape(shape)
            start += size
        return views

    def weights(self) -> Weights:
        """Return the parameters by name, as they are now."""
        return {name: view.copy() for name, view in self._views(self.flat).items()}

    def one_hot(self, labels: npt.NDArray[np.int64]) -> _Array:
        """Return a row for each label, with a 1 in its place."""
        rows = np.zeros((len(labels), self._layers[-1].bias.size), self.flat.dtype)
        rows[np.arange(len(labels)), labels] = 1
        return rows

    def scores(self, rows: _Array) -> _Array:
        """Return each class's score before the softmax; the array is used again by the next call."""
        last, count = self._layers[-1], len(rows)
        for layer in self._layers:
            output = layer.output[:count]
            np.dot(rows, layer.weight, out=output)
            output += layer.bias
            if layer is not last:
                if self._activation == "relu":
                    np.maximum(output, 0, out=output)
                else:
                    np.tanh(output, out=output)
            rows = output
        return rows

    def loss(self, scores: _Array, real: _Array) -> float:
        """Return the summed cross-entropy, and make probabilities of the scores, in place."""
        scores -= scores.max(1, keepdims=True)
        right = np.vdot(scores, real)
        np.exp(scores, out=scores)
        sums = scores.sum(1, keepdims=True)
        scores /= sums
        return float(np.log(sums).sum() - right)

    def gradient(self, rows: _Array, real: _Array, rate: float) -> float:
        """Set `step` to the gradient of the mean loss times the learning rate; return the summed loss."""
        count = len(real)
        error = self.scores(rows)
        loss = self.loss(error, real)
        error -= real
        error *= rate / count
        for place in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[place]
            below = self._layers[place - 1].output[:count] if place else rows
            np.dot(below.T, error, out=layer.weight_step)
            np.add.reduce(error, 0, out=layer.bias_step)
            if place:
                passed = self._layers[place - 1].error[:count]
                np.dot(error, layer.weight.T, out=passed)
                passed *= below > 0 if self._activation == "relu" else 1 - below * below
                error = passed
        return loss
