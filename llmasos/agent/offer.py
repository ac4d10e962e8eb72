"""Which tools a model is offered: ours, and of others' those few there are, or those it has looked for."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

from llmasos.tools import Registry, Tool, find_tools

_AT_ONCE = 10  # a few more cost less than looking for them
_MOST_FOUND = 5
# Short words of English say nothing of what a tool does; those of other scripts may.
_WORD = re.compile(r"[A-Za-z0-9]{3,}|[^\W\d_a-zA-Z]+")
_MUCH_WORSE = 0.3


class Offer:
    """The tools that one session's model is offered.

    Args:
        registry: All tools.
        found: Names of those of others that were looked for in this session; it grows.
    """

    def __init__(self, registry: Registry, found: set[str]) -> None:
        self._registry = registry
        self._found = found

    def tools(self) -> list[Tool]:
        """Return them, in the registry's order."""
        others = self._others()
        if len(others) <= _AT_ONCE:
            return [tool for tool in self._registry if tool.name != find_tools.name]
        return [tool for tool in self._registry if not tool.origin or tool.name in self._found]

    def including(self, name: str) -> Offer:
        """Return an offer that has a certain tool, too."""
        return Offer(self._registry, {*self._found, name})

    def find(self, query: str) -> list[Tool]:
        """Return the tools of others that fit some words best, and offer them from now on."""
        others = {tool.name: tool for tool in self._others()}
        words = dict.fromkeys(_WORD.findall(query.replace("_", " ")))
        wanted = " OR ".join(f'"{word}"' for word in words)
        with closing(sqlite3.connect(":memory:")) as index:
            index.execute("CREATE VIRTUAL TABLE tools USING fts5(name, about, tokenize='porter unicode61')")
            rows = [
                (tool.name, f"{tool.name.replace('_', ' ')} {tool.description}") for tool in others.values()
            ]
            index.executemany("INSERT INTO tools VALUES (?, ?)", rows)
            found = index.execute(
                "SELECT name, -bm25(tools) FROM tools WHERE about MATCH ? ORDER BY bm25(tools) LIMIT ?",
                (wanted or '""', _MOST_FOUND),
            ).fetchall()
        names = [name for name, score in found if score >= _MUCH_WORSE * found[0][1]]
        self._found.update(names)
        return [others[name] for name in names]

    def _others(self) -> list[Tool]:
        return [tool for tool in self._registry if tool.origin]
