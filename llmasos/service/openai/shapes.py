"""Parts of replies that several calls have: ids, usage, log-probabilities."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from llmasos.models.engines.port import TokenChoice, TokenUsage
from llmasos.service.openai.endpoint import Json

_LEAST_LOGPROB = -9999.0


def new_id(prefix: str) -> str:
    """Return a new id."""
    return f"{prefix}{uuid.uuid4().hex}"


def total(usages: Iterable[TokenUsage | None]) -> TokenUsage:
    """Return what several replies used together."""
    known = [usage for usage in usages if usage is not None]
    return TokenUsage(
        input=sum(usage.input for usage in known),
        cached=sum(usage.cached for usage in known),
        output=sum(usage.output for usage in known),
    )


def usage_object(usage: TokenUsage) -> Json:
    """Return the usage of completions."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def logprob_list(choices: Sequence[TokenChoice]) -> list[Json]:
    """Return tokens with their log-probabilities and alternatives."""
    return [
        {**_token(choice), "top_logprobs": [_token(other) for other in choice.others]} for choice in choices
    ]


def finite(logprob: float) -> float:
    """Return a log-probability as JSON can hold it."""
    return max(logprob, _LEAST_LOGPROB)


def _token(choice: TokenChoice) -> dict[str, Any]:
    return {"token": choice.text, "logprob": finite(choice.logprob), "bytes": list(choice.data)}
