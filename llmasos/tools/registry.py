"""The tools a kernel offers, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llmasos.errors import ToolError
from llmasos.extras import installed
from llmasos.tools.kernel import Tool


class Registry:
    """An ordered set of tools with unique names: those it begins with, and others that come and go.

    Args:
        tools: Those it begins with.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._own = tuple(tools)
        self._others: dict[str, tuple[Tool, ...]] = {}
        self._tools = _named(self._own)

    def replace(self, origin: str, tools: Iterable[Tool]) -> list[str]:
        """Put tools in the place of those that came from the same origin before.

        Returned are the names that another tool has, which are left out: whoever came first keeps a name.

        Args:
            origin: Whoever brings them, such as `plugins`.
            tools: All that it has now.
        """
        rest = [tool for key, each in self._others.items() if key != origin for tool in each]
        named = _named((*self._own, *rest))
        taken, new = list[str](), list[Tool]()
        for tool in tools:
            if tool.name in named:
                taken.append(tool.name)
            else:
                named[tool.name] = tool
                new.append(tool)
        self._others, self._tools = {**self._others, origin: tuple(new)}, named
        return taken

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def get(self, name: str) -> Tool:
        """Return the tool of that name.

        Raises:
            ToolError: There is none; the message lists those there are.
        """
        try:
            return self._tools[name]
        except KeyError:
            raise ToolError(
                f"There is no tool named {name!r}.", hint=f"The tools are: {', '.join(self._tools)}."
            ) from None


def _named(tools: Iterable[Tool]) -> dict[str, Tool]:
    named: dict[str, Tool] = {}
    for tool in tools:
        if tool.name in named:
            raise ToolError(
                f"Two tools are named {tool.name!r}.", hint="Rename one, or disable the plugin that adds it."
            )
        named[tool.name] = tool
    return named


def builtin_tools() -> Registry:
    """Return the tools that come with the system."""
    from llmasos.tools import (
        analysis,
        asking,
        code,
        coding,
        files,
        finding,
        knowledge,
        mapping,
        translation,
        writing,
    )

    return Registry(
        [
            code.run_python,
            code.run_shell,
            code.start_job,
            code.background_jobs,
            mapping.map_files,
            asking.ask_files,
            files.read_file,
            files.write_file,
            files.edit_file,
            files.list_files,
            files.search_files,
            translation.translate,
            analysis.analyze_data,
            knowledge.ask_documents,
            coding.write_code,
            writing.compose,
            finding.find_tools,
        ]
    )


def extra_tools() -> list[Tool]:
    """Return the tools of the extras that are installed."""
    from llmasos.tools import federated
    from llmasos.tools.knowledge import federation

    return [federated.federated_train, federation.ask_federation] if installed("flwr") else []
