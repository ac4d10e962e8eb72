"""LoRA adapters as GGUF files, which the embedded engine loads with a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from llmasos.federated.port import FederatedError
from llmasos.federated.weights import Weights

_PREFIX = "base_model.model."
# Architectures that GGUF calls as transformers does, and whose layers hold what they hold there.
_PLAIN = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
# Halves of these are woven into each other where GGUF says "llama".
_WOVEN = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}


def write_gguf(path: Path, adapter: Weights, alpha: float, config: Any) -> None:
    """Write an adapter, whole or not at all.

    Args:
        adapter: Matrices A and B by peft's names.
        alpha: As in the recipe's options.
        config: Of the model, by transformers.

    Raises:
        FederatedError: How GGUF names this kind of model's layers is not known.
    """
    architecture = _PLAIN.get(config.model_type)
    if architecture is None:
        raise FederatedError(
            f"An adapter of a {config.model_type} model cannot be made a GGUF file; "
            f"one of {', '.join(_PLAIN)} can.",
            hint="Use the folder in peft's format, or merge it into the model.",
        )
    kind = next(one for one, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    unfinished = path.with_name(f"{path.name}.part")
    writer = gguf.GGUFWriter(unfinished, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, array in adapter.items():
        layer, matrix, _ = name.removeprefix(_PREFIX).rsplit(".", 2)
        known = names.get_name(layer)
        if known is None:
            raise FederatedError(f"GGUF has no name for the layer {layer}.", hint="Leave it out of targets.")
        heads = _WOVEN.get(layer.rpartition(".")[2]) if architecture == "llama" else None
        if heads and matrix == "lora_B":
            count = getattr(config, heads)
            halves = array.reshape(count, 2, len(array) // count // 2, -1)
            array = halves.swapaxes(1, 2).reshape(array.shape)
        writer.add_tensor(f"{known}.weight.{matrix.lower()}", np.ascontiguousarray(array, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.replace(path)
