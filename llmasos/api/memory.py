"""Memory on the wire: facts that people asked to remember."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from llmasos.api.wire import Wire


class Fact(Wire):
    """Something to be remembered in a folder; everywhere when that is empty."""

    id: str
    text: str
    folder: str = ""
    at: datetime
    already: bool = Field(False, description="Whether it was remembered before it was asked for.")


class FactRequest(Wire):
    """What is to be remembered, and in which folder; everywhere when that is empty."""

    text: str
    folder: str = ""


class FactChange(Wire):
    """What a fact says from now on."""

    text: str
