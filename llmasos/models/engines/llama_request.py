"""Requests as the llama.cpp server takes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llmasos.models.engines.port import CompletionRequest, InvalidRequest

# The server's largest seed means that it is to choose one.
_SEEDS = 2**32 - 1


def completion_body(
    request: CompletionRequest, tokens: Sequence[int], *, context: int, constraint: str = ""
) -> dict[str, Any]:
    """Return what the server is sent for a request.

    Stop texts stay here: the server loses text that it holds back for one when the reply ends.

    Args:
        request: The request.
        tokens: The prompt, with what was generated before.
        context: Tokens of prompt and output together.
        constraint: The grammar that the output has to match.

    Raises:
        InvalidRequest: A bias is out of bounds.
    """
    greedy = request.temperature == 0
    body: dict[str, Any] = {
        "prompt": list(tokens),
        "n_predict": min(request.max_tokens - len(request.kept), context),
        "temperature": request.temperature,
        # The most likely token is the same whatever else may be chosen from.
        "top_k": 1 if greedy else min(request.top_k, 2**31 - 1),
        "top_p": request.top_p,
        "min_p": request.min_p,
        "repeat_penalty": request.repeat_penalty,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "return_tokens": True,
        # Progress is reported between batches, which is where a cancelled prompt can stop.
        "return_progress": True,
    }
    if request.presence_penalty or request.frequency_penalty:
        body["repeat_last_n"] = context
    if request.seed is not None:
        body["seed"] = request.seed % _SEEDS
    if request.logprobs is not None:
        body["n_probs"] = max(1, request.logprobs)
    if request.logit_bias:
        body["logit_bias"] = _biases(request)
    if constraint:
        body["grammar"] = constraint
    return body


def scales(model: str, adapters: Sequence[str], wanted: str) -> list[dict[str, float]]:
    """Return how far each adapter is applied, in the server's format.

    Args:
        model: The model's name, for the message.
        adapters: The names of its adapters.
        wanted: The one to apply, or empty.

    Raises:
        InvalidRequest: There is no such adapter.
    """
    if wanted and wanted not in adapters:
        known = ", ".join(adapters) or "none"
        raise InvalidRequest(
            f"The model {model} has no adapter {wanted!r}; it has {known}.",
            hint="Add it to the setting models.adapters.",
        )
    return [{"id": number, "scale": float(name == wanted)} for number, name in enumerate(adapters)]


def _biases(request: CompletionRequest) -> list[list[float]]:
    for token, bias in request.logit_bias:
        if not (0 <= token < 2**31 and math.isfinite(bias)):
            raise InvalidRequest(f"The bias {bias} of token {token} is out of bounds.", hint="Leave it out.")
    return [[token, bias] for token, bias in request.logit_bias]
