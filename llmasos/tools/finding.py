"""Looking for tools of others, where there are too many to tell a model of each."""

from __future__ import annotations

from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool


@kernel_tool(
    capabilities=Capabilities(reads=True, sources={"*": "tool"}),
    examples=[
        ("book a table for two tonight", 'find_tools(query="book restaurant table reservation")'),
        ("给团队频道发条消息", 'find_tools(query="send message chat channel")'),
    ],
)
async def find_tools(ctx: KernelContext, query: str) -> str:
    """Finds further tools, such as those of other services; those found can be called then.

    Args:
        query: What the tool should do, in a few English words.
    """
    found = ctx.find(query)
    if not found:
        return "No further tool fits these words. Other words may find one."
    lines = (
        f"{tool.name}({', '.join(tool.parameters.get('properties', {}))}): {tool.description}"
        for tool in found
    )
    return "\n".join(("These can be called now:", *lines))
