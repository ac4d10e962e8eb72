"""How a chat's tokens are chosen and how many there may be, for the engine."""

from __future__ import annotations

from typing import Any

from llmasos.models.catalog.profile import Profile
from llmasos.models.chat.port import ChatRequest
from llmasos.models.engines.port import CompletionRequest, Engine, Sampling


def sampling_of(request: ChatRequest, profile: Profile) -> dict[str, Any]:
    """Return the request's sampling, the model's own where the request says nothing.

    Stop texts are left out: in a reply with calls they concern only the text.
    """
    chosen = {
        name: getattr(request, name)
        for name in Sampling.model_fields
        if name in request.model_fields_set and name not in ("stop", "temperature")
    }
    if request.temperature is None:
        advised = {"temperature": profile.temperature, "top_p": profile.top_p, "top_k": profile.top_k}
        return advised | chosen
    return {**chosen, "temperature": request.temperature}


async def bounded(
    engine: Engine, request: CompletionRequest, max_tokens: int | None
) -> tuple[CompletionRequest, int]:
    """Return the request, its tokens bounded by what the context holds, and the tokens of its prompt.

    Raises:
        InvalidRequest: The engine cannot read the prompt.
    """
    read = await engine.count(request)
    left = max(1, engine.context - read)
    return request.model_copy(update={"max_tokens": min(max_tokens or left, left)}), read
