"""Data sets as recipes see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmasos.federated.schema import Kind


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
