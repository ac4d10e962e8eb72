"""Which tools a request has to begin with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic_ai.tools import ToolDefinition

from llmasos.models.calls.conversation import Item, asked_and_found

_ASKS_FOR_FACTS = re.compile(
    r"\b(how (many|much|large|long|big|old)|(larg|small|bigg|long|short|old|new|high|low|few|earli|lat)est"
    r"|most|least|total|average|mean|median|sum|count|number of|each|every|all|top|table|list|names?)\b"
    r"|多少|几|最|总|平均|统计|每|所有|全部|哪个|哪些|列出|列表|表格",
    re.IGNORECASE,
)
_SPEAKS_OF_FILES = re.compile(
    r"\b(files?|folders?|director(y|ies)|repo(sitory)?|here)\b|(?<![\w-])[\w-]{1,255}\.[A-Za-z]\w{0,4}\b|文件|目录|这里",
    re.IGNORECASE,
)


def first_calls(items: Sequence[Item], tools: Sequence[ToolDefinition]) -> frozenset[str] | None:
    """Return the tools of which one has to be called now, or None when the model is free.

    A small model otherwise answers from its imagination, or writes it into a file. So a request that
    speaks of files begins with a call, and one that asks for facts about them with a call that looks:
    those tools say so in their metadata (`{"looks": True}`).
    """
    asked, found = asked_and_found(items)
    if not items or items[-1].kind != "request" or found or not _SPEAKS_OF_FILES.search(asked):
        return None
    looking = frozenset(tool.name for tool in tools if (tool.metadata or {}).get("looks"))
    if looking and _ASKS_FOR_FACTS.search(asked):
        return looking
    return frozenset(tool.name for tool in tools)
