"""What a plugin's tool is, as the person approves of it and the model is told."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from llmasos.tools.api import Declaration
from llmasos.tools.kernel import Capabilities


class Definition(BaseModel):
    """A tool of a plugin.

    Args:
        name: The name the model uses, which is the function's.
        module: Where the function is.
        description: One line.
        parameters: JSON schema of the arguments.
        returns: JSON schema of what it returns; empty when that can be anything.
        declaration: What it needs.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    module: str
    description: str
    parameters: dict[str, Any]
    returns: dict[str, Any] = {}
    declaration: Declaration

    def capabilities(self, *, confined: bool) -> Capabilities:
        """Return what the gate decides on.

        Args:
            confined: Whether it runs in a sandbox of its own.
        """
        needs = self.declaration
        return Capabilities(
            reads=bool(needs.reads),
            writes=bool(needs.writes),
            asks_model=needs.models,
            network=needs.network,
            inputs=needs.reads if isinstance(needs.reads, tuple) else (),
            targets=needs.writes if isinstance(needs.writes, tuple) else (),
            gpu=needs.gpu,
            secrets=needs.secrets,
            cost=needs.cost,
            idempotent=needs.idempotent,
            confined=confined,
            # Whoever wrote the plugin, or what it has read, wrote this.
            sources={"*": "web" if needs.network else "tool"},
        )

    def told(self) -> dict[str, Any]:
        """Return all of it as JSON has it, for digests."""
        return {**self.model_dump(mode="json", exclude={"declaration"}), **asdict(self.declaration)}
