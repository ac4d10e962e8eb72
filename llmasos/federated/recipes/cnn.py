"""A small convolutional network over images, in torch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from llmasos.federated.dataset import Examples
from llmasos.federated.port import FederatedError
from llmasos.federated.recipes.descent import Rows, descend, repeatable
from llmasos.federated.recipes.mlp import Units
from llmasos.federated.recipes.options import Options, parsed
from llmasos.federated.recipes.port import Score, Work
from llmasos.federated.recipes.rows import some
from llmasos.federated.schema import Kind, Schema
from llmasos.federated.weights import Weights

_CHUNK = 256


class CNNOptions(Options):
    """How a convolutional network is built.

    Args:
        channels: Of the two convolutions.
        hidden: Units of the layer between them and the classes.
        batch_norm: Whether each convolution's output is normalised; averages of it are averaged, too.
    """

    channels: tuple[Units, Units] = (16, 32)
    hidden: Units = 64
    batch_norm: bool = False


class CNN:
    """Two convolutions of 3 x 3, each with pooling by 2, and two dense layers."""

    name = "cnn"
    title = "Convolutional network"
    kinds: frozenset[Kind] = frozenset({"images"})
    proximal = True
    options = CNNOptions

    def initial(self, schema: Schema, options: Mapping[str, Any], seed: int) -> Weights:
        """Return weights as He 2015 (equation 10, uniform) draws them, and biases of zero."""
        own = parsed(self.options, options, self.name)
        with repeatable(seed):
            network = _network(schema, own)
            for layer in network:
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                    nn.init.zeros_(layer.get_parameter("bias"))
            return taken(network)

    def train(
        self, weights: Weights, examples: Examples, work: Work, schema: Schema, options: Mapping[str, Any]
    ) -> tuple[Weights, float]:
        """Return the weights after some work, and the mean loss a row over its last pass."""
        own = parsed(self.options, options, self.name)
        with repeatable(work.seed):
            network = _network(schema, own, weights).train()
            images, labels = _tensors(examples, network)

            def losses(rows: Rows) -> torch.Tensor:
                chosen = torch.from_numpy(rows)
                return cross_entropy(network(images[chosen]), labels[chosen], reduction="none")

            loss = descend(list(network.parameters()), losses, len(examples), work)
            return taken(network), loss

    def evaluate(
        self, weights: Weights, examples: Examples, schema: Schema, options: Mapping[str, Any]
    ) -> Score:
        """Return how well weights do on rows."""
        own = parsed(self.options, options, self.name)
        loss, right = 0.0, 0
        with repeatable(), torch.no_grad():
            network = _network(schema, own, weights).eval()
            images, labels = _tensors(examples, network)
            for some, real in zip(torch.split(images, _CHUNK), torch.split(labels, _CHUNK), strict=True):
                scores = network(some)
                loss += float(cross_entropy(scores, real, reduction="sum"))
                right += int((scores.argmax(1) == real).sum())
        return Score(loss / len(examples), right / len(examples))


def taken(network: nn.Module) -> Weights:
    """Return what a network holds, as arrays."""
    return {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}


def _network(schema: Schema, own: CNNOptions, weights: Weights | None = None) -> nn.Sequential:
    height, width, colours = schema.shape
    if min(height, width) < 4:
        raise FederatedError(
            f"The images have {height} x {width} pixels, and the recipe cnn needs 4 x 4 at least.",
            hint="Take larger images, or the recipe mlp.",
        )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = colours
    for number, after in enumerate(own.channels):
        layers[f"conv{number}"] = nn.Conv2d(before, after, 3, padding=1)
        if own.batch_norm:
            layers[f"norm{number}"] = nn.BatchNorm2d(after)
        layers[f"relu{number}"] = nn.ReLU()
        layers[f"pool{number}"] = nn.MaxPool2d(2)
        before = after
    layers["flat"] = nn.Flatten()
    layers["dense"] = nn.Linear(before * (height // 4) * (width // 4), own.hidden)
    layers["relu"] = nn.ReLU()
    layers["classes"] = nn.Linear(own.hidden, len(schema.classes))
    network = nn.Sequential(layers)
    if weights is None:
        return network
    tensors = {name: torch.tensor(np.array(array)) for name, array in weights.items()}
    try:
        network.to(tensors["classes.bias"].dtype).load_state_dict(tensors)
    except (KeyError, RuntimeError) as error:
        raise FederatedError(
            "The weights are not those of this convolutional network.",
            hint="Train with the options that they were made with.",
        ) from error
    return network


def _tensors(examples: Examples, network: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    like = next(network.parameters())
    images = torch.tensor(np.array(some(examples).inputs)).to(like.dtype)
    return images.permute(0, 3, 1, 2).contiguous(), torch.tensor(np.array(examples.labels))
