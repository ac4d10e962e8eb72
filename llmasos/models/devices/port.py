"""The device port: whose memory models share."""

from __future__ import annotations

from typing import Protocol


class Device(Protocol):
    """Memory that models are loaded into, and one processor behind it."""

    @property
    def name(self) -> str:
        """`cpu`, `cuda:N`, or another name in tests."""

    @property
    def title(self) -> str:
        """What a person is shown."""

    @property
    def budget(self) -> int:
        """Bytes that models may take, all together."""

    def free(self) -> int | None:
        """Return the bytes that are free now, by measurement; None where it cannot be measured."""
