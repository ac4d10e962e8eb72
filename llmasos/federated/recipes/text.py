"""Classifying texts by their words, hashed into buckets, so that clients need no common list of words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from llmasos.federated.dataset import Examples
from llmasos.federated.recipes import dense
from llmasos.federated.recipes.mlp import Units
from llmasos.federated.recipes.options import Options, parsed
from llmasos.federated.recipes.port import Score, Work
from llmasos.federated.recipes.rows import some
from llmasos.federated.schema import Kind, Schema
from llmasos.federated.weights import Weights

# A row's length: about that of a standardised table's, so that the same learning rates do.
_LENGTH = 8.0


class TextOptions(Options):
    """How texts become numbers, and what learns from them.

    Args:
        buckets: Numbers that the words of a text are counted in.
        analyzer: Whether words are counted, or characters, as suits languages that write no spaces.
        ngrams: So many of them in a row, at most, are counted as one, too.
        hidden: Units of each hidden layer; none is logistic regression.
        activation: Of the hidden layers.
    """

    buckets: int = Field(4096, ge=2, le=2**18)
    analyzer: Literal["word", "char"] = "word"
    ngrams: int = Field(1, ge=1, le=5)
    hidden: tuple[Units, ...] = Field((), max_length=20)
    activation: dense.Activation = "relu"


class Text:
    """A hashed bag of words, and a linear or dense classifier over it."""

    name = "text"
    title = "Text classifier"
    kinds: frozenset[Kind] = frozenset({"texts"})
    proximal = True
    options = TextOptions

    def initial(self, schema: Schema, options: Mapping[str, Any], seed: int) -> Weights:
        """Return zeros without hidden layers, and otherwise weights drawn by Glorot and Bengio 2010."""
        own = parsed(self.options, options, self.name)
        return dense.initial((own.buckets, *own.hidden, len(schema.classes)), seed)

    def train(
        self, weights: Weights, examples: Examples, work: Work, schema: Schema, options: Mapping[str, Any]
    ) -> tuple[Weights, float]:
        """Return the weights after some work, and the mean loss a row over its last pass."""
        own = parsed(self.options, options, self.name)
        return dense.train(weights, counted(examples, own), examples.labels, work, own.activation)

    def evaluate(
        self, weights: Weights, examples: Examples, schema: Schema, options: Mapping[str, Any]
    ) -> Score:
        """Return how well weights do on rows."""
        own = parsed(self.options, options, self.name)
        return dense.evaluate(weights, counted(examples, own), examples.labels, own.activation)


def counted(examples: Examples, own: TextOptions) -> Any:
    """Return how often each bucket's words are in each text, as a sparse matrix with rows of one length."""
    import numpy as np
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        n_features=own.buckets, analyzer=own.analyzer, ngram_range=(1, own.ngrams), dtype=np.float32
    )
    return hashing.transform(some(examples).inputs) * np.float32(_LENGTH)
