"""How an error travels between processes. Imports little: every worker pays for it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Failure:
    """An error as it travels, whatever its constructor takes.

    Args:
        kind: Its class.
        arguments: Its arguments, as `BaseException` keeps them.
        state: Its attributes.
    """

    kind: type[Exception]
    arguments: tuple[Any, ...]
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return how an error travels; one that cannot, or is none, is told by its text."""
        if isinstance(error, Exception):
            failure = cls(type(error), error.args, dict(error.__dict__))
            try:
                pickle.loads(pickle.dumps(failure)).error()
                return failure
            except Exception:  # noqa: S110
                pass
        from llmasos.cluster.port import ClusterError

        text = f"{type(error).__name__}: {error}".removesuffix(": ")
        notes = {"__notes__": list(found)} if (found := getattr(error, "__notes__", ())) else {}
        return cls(ClusterError, (text,), {"message": text, "hint": "", **notes})

    def error(self) -> Exception:
        """Return the error."""
        error = self.kind.__new__(self.kind, *self.arguments)
        error.args = self.arguments
        error.__dict__.update(self.state)
        return error
