"""Writing texts by an outline, and revising them by a checklist."""

from llmasos.tools.writing.compose import compose

__all__ = ["compose"]
