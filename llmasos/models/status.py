"""Where a model stands, and where its replies come from."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class ModelStatus(BaseModel, frozen=True):
    """Where one model stands."""

    name: str
    title: str
    state: Literal["remote", "resident", "cached", "absent"]
    default: bool = False
    licence: str = ""
    size: int = 0


class Origin(BaseModel, frozen=True):
    """Where a model's replies come from, as records hold it.

    Args:
        model: The model's name.
        weights_sha256: The SHA-256 of its weights; empty where they are not ours.
        endpoint: The host and port that is asked; empty where the weights are ours.
    """

    model: str
    weights_sha256: str = ""
    endpoint: str = ""

    def fields(self) -> dict[str, str]:
        """Return what is known."""
        return self.model_dump(exclude_defaults=True)
