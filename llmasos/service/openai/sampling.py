"""What requests say about how tokens are chosen, in the fields that several of them share."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from llmasos.service.openai.wire import Ignored, Texts, Wire

MOST_CHOICES = 16
MOST_STOPS = 16
_LARGEST_SEED = 2**63 - 1
_LEAST_SHARE = 1e-6
_ALIKE = {"top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty"}


class StreamOptions(Wire):
    """What a stream has beside the reply."""

    include_usage: bool = False
    include_obfuscation: Ignored = None


class SamplingFields(Wire):
    """Fields of chat and text completions; `top_k`, `min_p` and `repetition_penalty` are extensions."""

    model: str = Field(min_length=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float = Field(1.0, ge=0, le=1)
    top_k: int = Field(0, ge=0, le=1_000_000)
    min_p: float = Field(0.0, ge=0, le=1)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    repetition_penalty: float = Field(1.0, gt=0, le=5)
    seed: int | None = Field(None, ge=-_LARGEST_SEED, le=_LARGEST_SEED)
    n: int = Field(1, ge=1, le=MOST_CHOICES)
    stop: Texts = Field([], max_length=MOST_STOPS)
    logit_bias: dict[str, float] = Field({}, max_length=1024)
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: Ignored = None

    @field_validator("stop")
    @classmethod
    def _no_empty_stop(cls, stop: list[str]) -> list[str]:
        if any(not text or len(text) > 1000 for text in stop):
            raise ValueError("a stop text must have 1 to 1000 characters")
        return stop

    @field_validator("logit_bias")
    @classmethod
    def _token_numbers(cls, biases: dict[str, float]) -> dict[str, float]:
        for token, bias in biases.items():
            if not (token.isascii() and token.isdecimal() and len(token) < 10):
                raise ValueError("its names must be token numbers")
            if not -100 <= bias <= 100:
                raise ValueError("its values must be from -100 to 100")
        return biases

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream ends with the usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def seeds(self) -> list[int | None]:
        """The seed of each of the `n` replies."""
        return [None if self.seed is None else _wrapped(self.seed + choice) for choice in range(self.n)]

    def sampling(self) -> dict[str, Any]:
        """Return the engine's fields that all replies share, where the request says something of them."""
        said: dict[str, Any] = {name: getattr(self, name) for name in _ALIKE & self.model_fields_set}
        if "top_p" in said:
            said["top_p"] = likely(self.top_p)
        if "repetition_penalty" in self.model_fields_set:
            said["repeat_penalty"] = self.repetition_penalty
        if self.stop:
            said["stop"] = tuple(self.stop)
        if self.logit_bias:
            said["logit_bias"] = tuple((int(token), bias) for token, bias in self.logit_bias.items())
        return said


def _wrapped(seed: int) -> int:
    return seed if seed <= _LARGEST_SEED else seed - 2 * _LARGEST_SEED - 1


def likely(top_p: float) -> float:
    """Return a share of the probability that at least the likeliest token has; 0 means no more than that."""
    return max(top_p, _LEAST_SHARE)
