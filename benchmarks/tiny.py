"""Models with random weights, which write bytes: as small as tests want them, or as large as a card holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    make: Any = PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|end|>", "<|im_start|>", "<|im_end|>", *alphabet]
    backend = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = make(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        additional_special_tokens=["<|end|>", "<|im_start|>"],
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)


def make_tiny(folder: Path, kind: str = "Llama", **changes: Any) -> Path:
    """Put a model of 259 byte tokens into the folder; its weights are random, but always the same.

    Args:
        folder: Where to.
        kind: The architecture, as in the names of transformers' classes.
        changes: Changes to its configuration.
    """
    import torch
    import transformers

    _tokenizer(folder)
    # Threads that wait for each other on busy cores make tiny computations slow.
    torch.set_num_threads(1)
    torch.manual_seed(5)
    shape: dict[str, Any] = {
        "vocab_size": 259,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "initializer_range": 0.3,
        "bos_token_id": None,
        "eos_token_id": 2,
    }
    config = getattr(transformers, "Gemma3TextConfig" if kind == "Gemma3" else f"{kind}Config")
    model = getattr(transformers, f"{kind}ForCausalLM")
    model(config(**shape | changes)).save_pretrained(folder)
    return folder
