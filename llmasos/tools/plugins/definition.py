"""What a plugin's tool is, as the person approves of it and the model is told."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from llmasos.tools.api import Declaration
from llmasos.tools.kernel import Capabilities, Example, KernelContext, Tool
from llmasos.tools.schema import Arguments

NAME = r"^[a-z_][a-z0-9_]{0,63}$"
"""What every model's maker takes for the name of a tool."""


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

    name: str = Field(pattern=NAME)
    module: str = Field(max_length=200)
    description: str = Field(min_length=1, max_length=1000)
    parameters: dict[str, Any]
    returns: dict[str, Any] = {}
    declaration: Declaration

    @field_validator("declaration")
    @classmethod
    def _has_a_price(cls, declaration: Declaration) -> Declaration:
        # Whoever describes a tool from inside a jail may say anything.
        if not 0 <= declaration.cost < math.inf:
            raise ValueError("cost is no price")
        return declaration

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


def seen_sha256(code: str, tools: Iterable[Definition]) -> str:
    """Return the SHA-256 of what a person sees of a plugin: its code, and what its tools are and need.

    Args:
        code: The SHA-256 of the code.
        tools: The tools.
    """
    told = json.dumps([code, [tool.told() for tool in tools]], sort_keys=True)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def tool_of(
    definition: Definition,
    origin: str,
    run: Callable[..., Awaitable[object]],
    *,
    confined: bool,
    sha256: str = "",
) -> Tool:
    """Return a tool as the gate has it.

    Args:
        definition: What it is.
        origin: Where it comes from, such as `plugin:NAME`.
        run: Runs a call; it is given the context, and the arguments by that name.
        confined: Whether it runs in a sandbox of its own.
        sha256: Of its code.
    """

    async def function(context: KernelContext, **arguments: Any) -> object:
        if definition.declaration.cost:
            context.charge(definition.name, definition.declaration.cost)
        return await run(context, arguments=arguments)

    return Tool(
        name=definition.name,
        description=definition.description,
        parameters=definition.parameters,
        capabilities=definition.capabilities(confined=confined),
        function=function,
        validator=Arguments(definition.name, definition.parameters),
        examples=tuple(Example(*example) for example in definition.declaration.examples),
        origin=origin,
        opened=definition.declaration.network,
        sha256=sha256,
    )
