"""What everything on the wire has in common, and how every request is refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """A frozen type that takes no fields which it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorBody(Wire):
    """What every refused request gets."""

    code: str
    message: str
    hint: str = ""
