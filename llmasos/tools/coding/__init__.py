"""Writing code until its tests pass."""

from llmasos.tools.coding.write import write_code

__all__ = ["write_code"]
