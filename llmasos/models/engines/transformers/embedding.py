"""Embeddings from a model that was made to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def embed(model: Any, tokens: Sequence[int]) -> tuple[float, ...]:
    """Return the mean of the last hidden states, of length 1.

    Args:
        model: A causal language model.
        tokens: At least one.
    """
    ids = torch.tensor([list(tokens)], device=model.device)
    states = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0].float()
    vector = torch.nn.functional.normalize(states.mean(dim=0), dim=0)
    return tuple(vector.tolist())
