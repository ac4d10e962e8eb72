"""What clients say of their data, and what all of them must agree on before they train together."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["table", "images", "texts"]


class Survey(BaseModel):
    """What a client says of its rows before a training: sums, counts and words, never rows.

    Args:
        shape: Of one row; empty for texts.
        classes: How many rows there are of each class.
        sums: Of each column of a table, over its rows.
        squares: Of each column's squared distances to the client's own mean, which can be put together
            without losing digits where a mean is large.
    """

    model_config = ConfigDict(frozen=True)

    client: str
    kind: Kind
    rows: int = Field(ge=0)
    shape: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    classes: dict[str, int] = Field(default_factory=dict)
    sums: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()


class Schema(BaseModel):
    """What all clients agree on.

    Args:
        shape: Of one row; empty for texts.
        classes: All classes there are, sorted.
        mean: Of each column of a table over all clients' rows; empty for others.
        scale: Each column's standard deviation; 1 for one that never changes.
        rows: How many rows each client has, in the clients' order.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    shape: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    rows: tuple[int, ...] = ()
