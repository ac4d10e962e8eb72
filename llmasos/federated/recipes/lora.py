"""Fine-tuning a causal language model with LoRA (Hu 2021): only the small matrices A and B travel.

The average of products is not the product of averages: where clients differ, mean(B) mean(A) is not mean(BA).
With `freeze_a` (FFA-LoRA, Sun 2024) all clients share one A that is never trained, and then it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import save_file
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from llmasos.federated.dataset import Examples
from llmasos.federated.port import FederatedError
from llmasos.federated.recipes.descent import descend, repeatable
from llmasos.federated.recipes.gguf_adapter import write_gguf
from llmasos.federated.recipes.options import Options, parsed
from llmasos.federated.recipes.port import Score, Work
from llmasos.federated.recipes.rows import some
from llmasos.federated.schema import Kind, Schema
from llmasos.federated.weights import Weights

# Numbers that the scores of all next tokens of one step may have: 256 MB in float32.
_SCORES = 2**26
_NO_TOKEN = -100


class LoRAOptions(Options):
    """What is fine-tuned, and how.

    Args:
        model: A folder with a causal model as safetensors and its tokenizer, the same on each client.
        rank: Of the matrices.
        alpha: Their product counts alpha / rank times.
        targets: Names of the layers that get them; the usual ones of the model's architecture when empty.
        freeze_a: Whether A is drawn once for all and only B is trained, so that averages are exact.
        length: Tokens of a text that are read, at most.
    """

    model: str = Field(min_length=1)
    rank: int = Field(8, ge=1, le=1024)
    alpha: int = Field(16, ge=1, le=4096)
    targets: tuple[str, ...] = ()
    freeze_a: bool = False
    length: int = Field(256, ge=2, le=32_768)


class LoRA:
    """Low-rank adapters of a causal language model; it learns to continue the texts, whatever their labels.

    A row's loss is the mean over its tokens, and its accuracy the share of its tokens that the model says
    next.
    """

    name = "lora"
    title = "LoRA fine-tuning"
    kinds: frozenset[Kind] = frozenset({"texts"})
    proximal = True
    options = LoRAOptions

    def initial(self, schema: Schema, options: Mapping[str, Any], seed: int) -> Weights:
        """Return A as drawn by the seed and B of zeros, so that the model begins as it is."""
        own = parsed(self.options, options, self.name)
        with repeatable():
            return _opened(own).initial(seed)

    def train(
        self, weights: Weights, examples: Examples, work: Work, schema: Schema, options: Mapping[str, Any]
    ) -> tuple[Weights, float]:
        """Return the weights after some work, and the mean loss a row over its last pass."""
        own = parsed(self.options, options, self.name)
        with repeatable(work.seed):
            model = _opened(own)
            model.put(weights)
            texts = model.read(examples)
            loss = descend(
                model.trained(),
                lambda rows: model.losses([texts[row] for row in rows])[0],
                *(len(texts), work),
                at_once=model.at_once,
            )
            return model.taken(weights), loss

    def evaluate(
        self, weights: Weights, examples: Examples, schema: Schema, options: Mapping[str, Any]
    ) -> Score:
        """Return how well weights do on rows."""
        own = parsed(self.options, options, self.name)
        loss = right = 0.0
        with repeatable(), torch.no_grad():
            model = _opened(own)
            model.put(weights)
            texts = model.read(examples)
            for start in range(0, len(texts), model.at_once):
                losses, hits = model.losses(texts[start : start + model.at_once])
                loss += float(losses.sum())
                right += float(hits.sum())
        return Score(loss / len(texts), right / len(texts))

    def save(self, weights: Weights, options: Mapping[str, Any], folder: Path) -> None:
        """Write an adapter into a folder as peft reads it: `PeftModel.from_pretrained(model, folder)`."""
        own = parsed(self.options, options, self.name)
        with repeatable():
            model = _opened(own)
            model.put(weights)
            folder.mkdir(parents=True, exist_ok=True)
            save_file(model.adapter(), folder / "adapter_model.safetensors", {"format": "pt"})
            model.config.save_pretrained(str(folder))

    def save_gguf(self, weights: Weights, options: Mapping[str, Any], path: Path) -> None:
        """Write an adapter as a GGUF file, for a GGUF file of the model: the setting `models.adapters`.

        Raises:
            FederatedError: How GGUF names this kind of model's layers is not known.
        """
        own = parsed(self.options, options, self.name)
        with repeatable():
            model = _opened(own)
            model.put(weights)
            write_gguf(path, model.adapter(), own.alpha, model.base)


class _Adapted:
    """A model with adapters, whose weights are the last ones that were put."""

    def __init__(self, own: LoRAOptions) -> None:
        self._own = own
        base, self._tokenizer = _base(own)
        self.config = LoraConfig(
            r=own.rank,
            lora_alpha=own.alpha,
            target_modules=list(own.targets) or None,
            task_type="CAUSAL_LM",
            base_model_name_or_path=own.model,
            inference_mode=True,
        )
        self.base: Any = base.config.get_text_config()
        self.at_once = max(1, _SCORES // (own.length * self.base.vocab_size))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what peft and transformers say to each other
                # Without dropout, which the loss could not be checked with.
                self._model: Any = get_peft_model(base, self.config).eval()
        except ValueError as error:
            raise FederatedError(
                f"The model {own.model} has no such layers to adapt: {error}",
                hint="Name some of its layers in the option targets.",
            ) from error
        for name, parameter in self._model.named_parameters():
            parameter.requires_grad_("lora_" in name and self._travels(name))
        self._shared = {} if not own.freeze_a else self._drawn(0)

    def _travels(self, name: str) -> bool:
        return ".lora_B." in name or not self._own.freeze_a

    def _drawn(self, seed: int) -> Weights:
        # As peft draws A: uniform within 1 / sqrt(inputs).
        chance = np.random.default_rng(seed)
        return {
            name: chance.uniform(-1, 1, array.shape).astype(np.float32) / np.float32(np.sqrt(array.shape[1]))
            for name, array in self.adapter().items()
            if ".lora_A." in name
        }

    def initial(self, seed: int) -> Weights:
        """Return what travels, as it is at the beginning."""
        drawn = self._drawn(seed)
        return {
            name: drawn.get(name, np.zeros(array.shape, np.float32))
            for name, array in self.adapter().items()
            if self._travels(name)
        }

    def adapter(self) -> Weights:
        """Return all matrices by peft's names for them."""
        state = get_peft_model_state_dict(self._model, save_embedding_layers=False)
        return {name: tensor.detach().numpy().copy() for name, tensor in state.items()}

    def put(self, weights: Weights) -> None:
        """Set the matrices."""
        mine = {name: array.shape for name, array in self.adapter().items() if self._travels(name)}
        if mine != {name: array.shape for name, array in weights.items()}:
            raise FederatedError(
                f"The weights are not those of an adapter of {self._own.model} with these options.",
                hint="Train with the options and the model that they were made with.",
            )
        self._model.to(torch.tensor(next(iter(weights.values())).reshape(-1)[:1]).dtype)
        state = {**self._shared, **weights}
        set_peft_model_state_dict(self._model, {name: torch.tensor(np.array(a)) for name, a in state.items()})

    def taken(self, like: Weights) -> Weights:
        """Return what travels, in the order of other weights."""
        state = self.adapter()
        return {name: state[name] for name in like}

    def trained(self) -> list[torch.Tensor]:
        """Return the parameters that are trained."""
        return [parameter for parameter in self._model.parameters() if parameter.requires_grad]

    def read(self, examples: Examples) -> list[list[int]]:
        """Return each text's tokens, with the one that ends it."""
        texts = self._tokenizer([str(text) for text in some(examples).inputs]).input_ids
        return [[*tokens[: self._own.length - 1], self._tokenizer.eos_token_id] for tokens in texts]

    def losses(self, texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each text's loss, and the share of its tokens that are right."""
        longest = max(len(tokens) for tokens in texts)
        there = torch.tensor([[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in texts])
        ids = torch.tensor([tokens + [0] * (longest - len(tokens)) for tokens in texts])
        scores = self._model(input_ids=ids, attention_mask=there, use_cache=False).logits[:, :-1]
        real = ids[:, 1:].masked_fill(there[:, 1:] == 0, _NO_TOKEN)
        counts = there[:, 1:].sum(1).clamp(min=1)  # a text without words tells nothing, and costs nothing
        each = cross_entropy(scores.transpose(1, 2), real, reduction="none", ignore_index=_NO_TOKEN)
        return each.sum(1) / counts, (scores.argmax(2) == real).sum(1) / counts


@lru_cache(maxsize=1)  # a model is large, and is asked for again by each message
def _opened(own: LoRAOptions) -> _Adapted:
    return _Adapted(own)


def _base(own: LoRAOptions) -> tuple[Any, Any]:
    quiet: Any = logging.disable_progress_bar
    quiet()
    folder = Path(own.model)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise FederatedError(
            f"There is no model at {own.model}.",
            hint="Set the option model to a folder with config.json, safetensors and a tokenizer.",
        )
    place: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **place)
        base: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, attn_implementation="sdpa", **place
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FederatedError(
            f"The model at {own.model} cannot be loaded: {reason}",
            hint="Take a folder of a causal model that transformers can load.",
        ) from error
    if tokenizer.eos_token_id is None:
        raise FederatedError(
            f"The tokenizer of {own.model} has no token that ends a text.",
            hint="Name one in tokenizer_config.json, as eos_token.",
        )
    return base.requires_grad_(False), tokenizer
