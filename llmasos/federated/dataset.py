"""Data sets as recipes see them, and what all clients must agree on before they train together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["table", "images", "texts"]


@dataclass(frozen=True)
class Dataset:
    """Rows of one client.

    Args:
        kind: What a row is.
        inputs: Float32 of shape (rows, columns) for tables and (rows, height, width, channels) for images;
            strings of shape (rows,) for texts.
        labels: Strings of shape (rows,), as the source has them; empty strings for texts without labels.
        columns: Names of a table's columns.
    """

    kind: Kind
    inputs: npt.NDArray[Any]
    labels: npt.NDArray[np.str_]
    columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.intp]) -> Dataset:
        """Return some of the rows."""
        return Dataset(self.kind, self.inputs[rows], self.labels[rows], self.columns)


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


@dataclass(frozen=True)
class Examples:
    """A data set under a schema, ready to train on.

    Args:
        inputs: As in `Dataset`, with a table's columns standardised.
        labels: Places among the schema's classes, int64 of shape (rows,).
    """

    inputs: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)
