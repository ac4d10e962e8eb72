"""A little work for each recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from llmasos.federated.dataset import Examples
from llmasos.federated.recipes import Recipe, recipe
from llmasos.federated.schema import Schema
from llmasos.federated.weights import Weights

WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "sun",
    "rain",
    "is",
    "was",
    "good",
    "bad",
    "warm",
    "cold",
    "very",
    "not",
    "and",
]


@dataclass(frozen=True)
class Sample:
    """A recipe, and what it is tried on."""

    name: str
    schema: Schema
    examples: Examples
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        return _recipe(self.name)

    def initial(self, seed: int = 0) -> Weights:
        """Return weights that are nowhere zero, so that every gradient shows."""
        drawn = self.recipe.initial(self.schema, self.options, seed)
        chance = np.random.default_rng(seed)
        return {
            name: (array + 0.1 * chance.normal(size=array.shape)).astype(array.dtype)
            if array.dtype.kind == "f"
            else array
            for name, array in drawn.items()
        }


@cache
def _recipe(name: str) -> Recipe:
    return recipe(name)


def table(rows: int = 10) -> tuple[Schema, Examples]:
    chance = np.random.default_rng(1)
    schema = Schema(kind="table", shape=(4,), columns=tuple("abcd"), classes=("no", "or", "yes"))
    inputs = chance.normal(size=(rows, 4)).astype(np.float32)
    return schema, Examples(inputs, (inputs[:, 0] > 0).astype(np.int64) + (inputs[:, 1] > 0))


def images(rows: int = 10) -> tuple[Schema, Examples]:
    chance = np.random.default_rng(2)
    schema = Schema(kind="images", shape=(8, 6, 2), classes=("0", "1", "2"))
    labels = chance.integers(0, 3, rows)
    inputs = chance.random((rows, 8, 6, 2), dtype=np.float32) / 4
    inputs[np.arange(rows), labels * 2] += 1
    return schema, Examples(inputs, labels)


def texts(rows: int = 10) -> tuple[Schema, Examples]:
    chance = np.random.default_rng(3)
    labels = chance.integers(0, 2, rows)
    lines = [
        f"{' '.join(chance.choice(WORDS[:8], 3))} {('bad cold', 'good warm')[label]}" for label in labels
    ]
    return Schema(kind="texts", classes=("0", "1")), Examples(np.array(lines), labels)


@cache
def gpt2() -> Path:
    """Make a tiny GPT-2 of random weights, which knows a few words."""
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, set_seed

    folder = Path(mkdtemp(prefix="tiny"))
    set_seed(0)
    config = GPT2Config(
        vocab_size=len(WORDS) + 2, n_positions=32, n_embd=8, n_layer=2, n_head=2, initializer_range=0.5
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    fast: Any = PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer(), eos_token="<end>", unk_token="<unknown>").save_pretrained(folder)
    return folder


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(
        models.WordLevel(
            {word: place for place, word in enumerate(["<end>", "<unknown>", *WORDS])}, "<unknown>"
        )
    )
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def sample(name: str) -> Sample:
    """Return the sample of a name; what follows a colon is a variant."""
    plain, _, variant = name.partition(":")
    kinds: dict[str, Any] = {"logistic": table, "mlp": table, "cnn": images, "text": texts, "lora": texts}
    options: dict[str, dict[str, Any]] = {
        "mlp": {"hidden": [6, 5]},
        "mlp:tanh": {"hidden": [6], "activation": "tanh"},
        "cnn": {"channels": [3, 4], "hidden": 5},
        "cnn:norm": {"channels": [3, 4], "hidden": 5, "batch_norm": True},
        "text": {"buckets": 32},
        "text:hidden": {"buckets": 32, "hidden": [4], "ngrams": 2},
    }
    if plain == "lora":
        options[name] = {"model": str(gpt2()), "rank": 2, "length": 16, "freeze_a": variant == "frozen"}
    schema, examples = (images if name == "mlp:images" else kinds[plain])()
    return Sample(plain, schema, examples, options.get(name, options.get(plain, {})))


NAMES = [
    *("logistic", "mlp", "mlp:tanh", "mlp:images", "text", "text:hidden", "cnn", "cnn:norm"),
    *("lora", "lora:frozen"),
]
