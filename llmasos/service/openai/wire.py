"""Request bodies: untrusted JSON becomes typed fields, or an error that names what is wrong."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from llmasos.service.openai.errors import invalid, malformed

B = TypeVar("B", bound=BaseModel)

MOST_MESSAGES = 4096
MOST_TOOLS = 256
MOST_PARTS = 50_000
_LARGEST_NUMBER = 1e308


class Wire(BaseModel):
    """A JSON object; what it does not know is refused, as it might matter."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def parse(content: bytes, model: type[B]) -> B:
    """Return a body.

    The parser refuses what is not UTF-8, lone surrogates, NaN and deep nesting, before Python sees any of it.

    Args:
        content: What came.
        model: What it must be; a parameter that is null counts as absent.

    Raises:
        ApiError: It is not that.
    """
    try:
        fields = from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise invalid(f"The body is not JSON: {error}.", code="invalid_json") from None
    if not isinstance(fields, dict):
        raise invalid("The body must be a JSON object.", code="invalid_json")
    _bounded(fields)
    try:
        return model.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        raise malformed(error) from None


def _bounded(value: Any) -> None:
    """Refuse more parts than a conversation has, and numbers that JSON readers disagree about."""
    waiting, parts = [value], 0
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list):
            parts += 1
            if parts > MOST_PARTS:
                raise invalid(f"The body has more than {MOST_PARTS} objects and lists.", code="invalid_json")
            waiting += item.values() if isinstance(item, dict) else item
        elif isinstance(item, int | float) and not abs(item) < _LARGEST_NUMBER:
            raise invalid("The body has a number that is too large.", code="invalid_json")


def _text(content: Any) -> Any:
    """Return the text of a message's content, which may come in parts."""
    if not isinstance(content, list):
        return content
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("text", "input_text", "output_text", "refusal"):
            raise ValueError(f"a part must be text, and not {kind if isinstance(kind, str) else 'this'!r}")
        text = part.get("refusal" if kind == "refusal" else "text")
        if not isinstance(text, str):
            raise ValueError("a part has no text")
        texts.append(text)
    return "\n".join(texts)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Content = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | list[dict[str, Any]])]
"""Text, as one string or in parts."""

JsonObject = dict[str, Any]
"""Any object, such as a JSON schema."""

Texts = Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
"""Several texts, or a single one."""

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
"""The name of a tool or a schema."""

Ignored = Any
"""A parameter that changes nothing about the reply, so that it does no harm to leave it aside."""
