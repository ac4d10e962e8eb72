"""A device that is only a number of bytes."""

from __future__ import annotations

from llmasos.models.engines.port import OutOfMemory


class SimDevice:
    """Memory that is counted and runs out on demand.

    Args:
        budget: Bytes.
        name: The device's name.
    """

    def __init__(self, budget: int, *, name: str = "sim") -> None:
        self.name = name
        self.title = f"simulated, {budget} bytes"
        self.budget = budget
        self.failures = 0
        self._taken: dict[str, int] = {}

    @property
    def taken(self) -> int:
        """The bytes that are taken."""
        return sum(self._taken.values())

    def free(self) -> int | None:
        """Return the bytes that nobody has taken."""
        return self.budget - self.taken

    def take(self, owner: str, size: int) -> None:
        """Take bytes, which replace those that the owner has.

        Raises:
            OutOfMemory: There are not so many, or a failure was asked for.
        """
        if self.failures > 0:
            self.failures -= 1
            raise OutOfMemory(f"The device {self.name} was told to fail.", hint="Try again.")
        if self.taken - self._taken.get(owner, 0) + size > self.budget:
            raise OutOfMemory(
                f"The device {self.name} has no {size} bytes for {owner}.", hint="Unload another model."
            )
        self._taken[owner] = size

    def give(self, owner: str) -> None:
        """Give back what the owner has."""
        self._taken.pop(owner, None)

    def fail(self, times: int = 1) -> None:
        """Run out of memory the next times that something is taken."""
        self.failures += times
