"""Our tools as a pydantic-ai toolset whose every call goes through the gate."""

from __future__ import annotations

from typing import Any

from pydantic_ai import ModelRetry, RunContext, ToolDefinition
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from llmasos.agent.gate import Gate
from llmasos.agent.offer import Offer
from llmasos.models import choice_of
from llmasos.tools import Tool

_RETRIES = 2


class GateToolset(AbstractToolset[None]):
    """Offers tools to the model; the gate validates, decides, records and runs."""

    def __init__(self, gate: Gate, offer: Offer) -> None:
        self._gate = gate
        self._offer = offer
        self._made: dict[str, tuple[Tool, ToolsetTool[None]]] = {}

    @property
    def id(self) -> str:
        return "llmasos"

    async def get_tools(self, ctx: RunContext[None]) -> dict[str, ToolsetTool[None]]:
        return {tool.name: self._of(tool) for tool in self._offer.tools()}

    def _of(self, tool: Tool) -> ToolsetTool[None]:
        known, made = self._made.get(tool.name, (None, None))
        if made is None or known is not tool:
            made = ToolsetTool(
                toolset=self,
                tool_def=definition(tool),
                max_retries=_RETRIES,
                # The gate validates: what it refuses is told to the model and shown to the person.
                args_validator=SchemaValidator(core_schema.dict_schema()),
            )
            self._made[tool.name] = (tool, made)
        return made

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[None], tool: ToolsetTool[None]
    ) -> str:
        outcome = await self._gate.call(name, tool_args, choice=choice_of(ctx.messages, ctx.tool_call_id))
        if outcome.status == "invalid":
            raise ModelRetry(outcome.told)
        if outcome.status == "failed":
            raise ToolFailed(outcome.told)
        # What was denied or cancelled is no failure to be mended: its text says what it is.
        return outcome.told


def definition(tool: Tool) -> ToolDefinition:
    """Return a tool's definition for models, one call at a time."""
    return ToolDefinition(
        name=tool.name,
        description=tool.description,
        parameters_json_schema=tool.parameters,
        sequential=True,
        metadata={
            "block": tool.block,
            "advanced": tool.advanced,
            "added": bool(tool.origin),
            "looks": _looks(tool),
            "examples": [{"request": example.request, "call": example.call} for example in tool.examples],
        },
    )


def _looks(tool: Tool) -> bool:
    """Return whether a call can be made that only looks: by code, or with nothing named to be written."""
    needs = tool.capabilities
    required = tool.parameters.get("required", ())
    return (
        needs.executes
        or not needs.writes
        or (bool(needs.targets) and not any(name in required for name in needs.targets))
    )
