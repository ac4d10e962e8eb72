"""What can follow a command of the shell, as it was known last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmasos.language import translated
from llmasos.shell.modes import ACCESS, ASKING

if TYPE_CHECKING:
    from llmasos.client import AsyncClient

_FIXED: Mapping[str, Mapping[str, str]] = {
    "/mode": dict.fromkeys(ACCESS, "what is possible") | dict.fromkeys(ASKING, "when a person is asked"),
    "/ledger": {"status": "where it stands", "log": "its newest records", "show": "one action"},
    "/state": {"save": "keep Python's variables", "restore": "go back to them"},
    "/jobs": {"stop": "stop one"},
    "/commit": {"--merge": "merge what was changed in the folder"},
}


class Known:
    """The arguments of the shell's commands."""

    def __init__(self) -> None:
        self._learned: dict[str, Mapping[str, str]] = {}
        self.defaults: Mapping[str, Mapping[str, Any]] = {}
        """What the arguments of each tool are where a call does not say otherwise."""

    def arguments(self, command: str) -> Mapping[str, str]:
        """Return what can follow a command, with what it is."""
        fixed = {name: translated(what) for name, what in _FIXED.get(command, {}).items()}
        return self._learned.get(command) or fixed

    async def learn(self, client: AsyncClient) -> None:
        """Ask the kernel for tools, models and sessions."""
        self.defaults = {tool.name: _defaults(tool.parameters) for tool in await client.tools()}
        self._learned["/model"] = {model.name: model.title for model in await client.models()}
        self._learned["/sessions"] = {
            info.id: f"{info.updated.astimezone():%Y-%m-%d %H:%M} {info.title}"
            for info in await client.sessions()
        }


def _defaults(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = parameters.get("properties", {})
    return {name: schema["default"] for name, schema in properties.items() if "default" in schema}
