"""How sure a model was of the tool that it named, from the probabilities of the name's tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart

from llmasos.events import ToolChoice
from llmasos.models.engines.port import TokenChoice

ALTERNATIVES = 5
"""How many other tokens an engine is asked for."""
_DETAIL = "choice"
_LEAST = -9999.0
_GOES_ON = re.compile(r"[\w.-]")


def details(choice: ToolChoice | None) -> dict[str, Any] | None:
    """Return a choice as a part of a reply holds it."""
    return None if choice is None else {_DETAIL: choice.model_dump(mode="json")}


def choice_of(messages: Sequence[ModelMessage], call: str | None) -> ToolChoice | None:
    """Return how sure the model was of a call's tool; None where its engine does not tell.

    Args:
        messages: A conversation; the reply that makes the call stands at its end, or near it.
        call: The call's id.
    """
    for message in reversed(messages):
        for part in message.parts if isinstance(message, ModelResponse) else ():
            if isinstance(part, ToolCallPart) and part.tool_call_id == call:
                try:
                    return ToolChoice.model_validate((part.provider_details or {}).get(_DETAIL))
                except ValidationError:
                    return None
    return None


def choose(
    tokens: Sequence[TokenChoice], at: int, name: str, others: Collection[str], answer: str = ""
) -> ToolChoice | None:
    """Return how sure the model was of a name that it wrote.

    Args:
        tokens: What it wrote, from the beginning.
        at: The byte at which the name begins.
        name: The name.
        others: All the names that it could have written.
        answer: What an answer begins with, where one was possible as well.
    """
    written = b"".join(token.data for token in tokens)
    end = at + len(name.encode("utf-8", "replace"))
    if written[at:end] != name.encode("utf-8", "replace"):
        return None
    known = {other: other for other in others if other != name} | ({answer: "an answer"} if answer else {})
    instead: dict[str, float] = {}
    place, odds = 0, 0.0
    for token in tokens:
        after = place + len(token.data)
        if after > at and place < end:
            before = token.data[: max(0, at - place)]
            for other in token.others:
                if other.data != token.data and other.data.startswith(before):
                    spelled = (written[at:place] + other.data[len(before) :]).decode("utf-8", "replace")
                    if shown := _named(spelled, name, known):
                        instead[shown] = _either(instead.get(shown, _LEAST), odds + other.logprob)
            odds += token.logprob
        place = after
    likeliest = sorted(instead.items(), key=lambda item: -item[1])[:ALTERNATIVES]
    return ToolChoice(
        logprob=_bounded(odds), alternatives={shown: _bounded(value) for shown, value in likeliest}
    )


def _named(spelled: str, name: str, known: Mapping[str, str]) -> str:
    """Return what a text begins to name, if it is not the name that was written after all."""
    if not spelled or name.startswith(spelled) or _begins(spelled, name):
        return ""
    found = [shown for other, shown in known.items() if other.startswith(spelled) or _begins(spelled, other)]
    return f"{spelled}…" if len(found) > 1 else found[0] if found else ""


def _begins(text: str, name: str) -> bool:
    """Return whether a text begins with a whole name."""
    return text.startswith(name) and not _GOES_ON.match(text, len(name))


def _either(one: float, other: float) -> float:
    """Return the logarithm of the sum of two probabilities."""
    high, low = max(one, other), min(one, other)
    return high + math.log1p(math.exp(low - high)) if math.isfinite(high) else _LEAST


def _bounded(logprob: float) -> float:
    return min(0.0, max(logprob, _LEAST)) if not math.isnan(logprob) else _LEAST
