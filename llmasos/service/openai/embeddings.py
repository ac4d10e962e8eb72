"""Embeddings: `POST /v1/embeddings`."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from llmasos.service.openai.completions import texts_only
from llmasos.service.openai.endpoint import Call
from llmasos.service.openai.errors import invalid
from llmasos.service.openai.gateway import Gateway
from llmasos.service.openai.identity import Asked
from llmasos.service.openai.wire import Ignored, Texts, Wire

_MOST_INPUTS = 2048


class EmbeddingBody(Wire):
    """The body of `POST /v1/embeddings`."""

    model: str = Field(min_length=1)
    input: Annotated[Texts, BeforeValidator(texts_only)] = Field(min_length=1, max_length=_MOST_INPUTS)
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1)
    user: Ignored = None

    @field_validator("input")
    @classmethod
    def _no_empty_input(cls, texts: list[str]) -> list[str]:
        if not all(texts):
            raise ValueError("a text is empty")
        return texts


class EmbeddingsEndpoint:
    """Answers requests for embeddings.

    Args:
        gateway: Where models are asked.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def create(self, call: Call[EmbeddingBody]) -> None:
        """Return the embeddings of texts."""
        body = call.body
        lengths = [len(text) for text in body.input]
        asked = Asked(max(lengths), reads=sum(lengths), writes=0)
        chat = self._gateway.chat(body.model, call.caller, "embeddings", asked)
        made = await chat.embed(body.input)
        length = len(made.vectors[0])
        if body.dimensions not in (None, length):
            raise invalid(
                f"Its embeddings have {length} dimensions.",
                "dimensions",
                code="unsupported_parameter",
            )
        encode = _base64 if body.encoding_format == "base64" else list
        await call.reply.whole(
            {
                "object": "list",
                "model": body.model,
                "data": [
                    {"object": "embedding", "index": index, "embedding": encode(vector)}
                    for index, vector in enumerate(made.vectors)
                ],
                "usage": {"prompt_tokens": made.tokens, "total_tokens": made.tokens},
            }
        )


def _base64(vector: Sequence[float]) -> str:
    """Return 32-bit floats, the lowest byte first, as OpenAI's clients read them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
