"""The plugins of a kernel: found, looked at, enabled by a person, and offered as tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from llmasos.api import PluginInfo, PluginState, PluginTool
from llmasos.errors import ConfigError, ToolError
from llmasos.tools.approvals import Approval, Approvals
from llmasos.tools.kernel import Tool
from llmasos.tools.plugins.bundle import Bundle, signature
from llmasos.tools.plugins.confined import run_confined
from llmasos.tools.plugins.definition import Definition, seen_sha256, tool_of
from llmasos.tools.plugins.describing import describe
from llmasos.tools.plugins.discovery import Plugin, installed_plugins
from llmasos.tools.plugins.in_kernel import InKernel

_NOTICES = {
    "changed": "The plugin {name} has changed since you enabled it, and its tools are not offered. "
    "Look at it, and enable it again: llmasos tools enable {name}",
    "missing": "The plugin {name} is enabled, and is not installed any more.",
    "broken": "The plugin {name} is enabled, and cannot be used: {problem}",
}
Describe = Callable[[Plugin, Bundle], Awaitable[tuple[Definition, ...]]]


@dataclass(frozen=True)
class Found:
    """A plugin as it is installed now."""

    plugin: Plugin | None
    bundle: Bundle | None = None
    problem: str = ""


class Plugins:
    """The plugins of a kernel.

    Args:
        file: Where approvals are kept.
        reserved: Names that tools of plugins cannot have.
        offer: Takes the tools that are offered from now on, and returns the names that others have.
        record: Told what a person has decided, before it takes effect.
        found: Returns what is installed, in tests.
        describe: Asks a plugin for its tools, in tests.
    """

    def __init__(
        self,
        file: Path,
        reserved: Collection[str],
        offer: Callable[[Sequence[Tool]], Sequence[str]],
        record: Callable[..., Awaitable[None]],
        *,
        found: Callable[[], dict[str, Plugin | str]] = installed_plugins,
        describe: Describe = describe,
    ) -> None:
        self._approvals = Approvals(file, Definition, record)
        self._reserved = frozenset(reserved)
        self._offer = offer
        self._installed = found
        self._describe = describe
        self._in_kernel = InKernel(file.parent / "plugins")
        self._bundles: dict[str, tuple[object, Bundle]] = {}
        self._changing = anyio.Lock()

    async def refresh(self) -> list[str]:
        """Offer the tools of the plugins that are enabled and are still what they were.

        Nothing of a plugin is run for that. Returned is what a person should know: which of those that they
        enabled are not offered, and why.
        """
        async with self._changing:
            return await self._refresh()

    async def _refresh(self) -> list[str]:
        try:
            approvals = await self._approvals.all()
        except ConfigError as error:
            self._offer(())
            return [str(error)]
        enabled = {name for name, approval in approvals.items() if approval.enabled}
        found = await anyio.to_thread.run_sync(self._look, enabled)
        taken = self._offer(self._tools(approvals, found))
        notices = [
            f"The tool {name} of a plugin is not offered: there is another one of that name."
            for name in taken
        ]
        for name in sorted(enabled):
            there = found.get(name, Found(None))
            state = _state(there, approvals[name])
            if state != "enabled":
                notices.append(_NOTICES[state].format(name=name, problem=there.problem))
        return notices

    async def all(self) -> list[PluginInfo]:
        """Return all plugins, those included that were removed after they had been enabled.

        Raises:
            ConfigError: The approvals cannot be read.
        """
        approvals = await self._approvals.all()
        found = await anyio.to_thread.run_sync(self._look, None)
        names = sorted({*approvals, *found})
        return [
            _info(name, found.get(name, Found(None)), approvals.get(name), _known(approvals.get(name)))
            for name in names
        ]

    async def show(self, name: str) -> PluginInfo:
        """Return a plugin with its tools; to find these out, its code is run in a jail.

        Raises:
            ToolError: There is no such plugin.
        """
        approval = (await self._approvals.all()).get(name)
        found = await self._one(name)
        if found.bundle is None:
            return _info(name, found, approval, _known(approval))
        try:
            tools = await self._told(found, approval)
        except ToolError as error:
            return _info(name, Found(found.plugin, None, str(error)), approval, None)
        return _info(name, found, approval, tools, seen_sha256(found.bundle.sha256, tools))

    async def enable(self, name: str, sha256: str, *, in_kernel: bool = False) -> PluginInfo:
        """Offer the tools of a plugin from now on.

        Args:
            name: The plugin.
            sha256: Of its code and its tools as the person has seen them.
            in_kernel: Run it in the kernel, and not in a sandbox.

        Raises:
            ToolError: There is no such plugin, its code is different by now, or its tools cannot be offered.
        """
        # Looking may take long, and turns wait for changes.
        approval = (await self._approvals.all()).get(name)
        found = await self._one(name)
        if found.bundle is None:
            raise ToolError(f"The plugin {name} cannot be used: {found.problem}")
        tools = await self._told(found, approval)
        if seen_sha256(found.bundle.sha256, tools) != sha256:
            raise ToolError(
                f"The plugin {name} has changed since you looked at it.",
                hint=f"Look again: llmasos tools show {name}",
            )
        async with self._changing:
            approvals = await self._approvals.all()
            self._refuse_names(name, tools, approvals)
            code = found.bundle.sha256
            approval = Approval(sha256=code, tools=tools, in_kernel=in_kernel, at=datetime.now(UTC))
            await self._approvals.enable(
                name,
                approval,
                where="kernel" if in_kernel else "sandbox",
                package=found.plugin.package if found.plugin else "",
                version=found.plugin.version if found.plugin else "",
                tools=[tool.told() for tool in tools],
            )
            await self._refresh()
        return _info(name, found, approval, tools)

    async def disable(self, name: str) -> PluginInfo:
        """Offer the tools of a plugin no longer.

        Raises:
            ToolError: It is not enabled.
        """
        async with self._changing:
            approval = await self._approvals.disable(name)
            await self._refresh()
        found = (await anyio.to_thread.run_sync(self._look, {name})).get(name, Found(None))
        return _info(name, found, approval, approval.tools)

    def _look(self, names: Collection[str] | None) -> dict[str, Found]:
        """Return what is installed of some plugins, or of all."""
        return {
            name: self._found(plugin)
            for name, plugin in self._installed().items()
            if names is None or name in names
        }

    def _found(self, plugin: Plugin | str) -> Found:
        if isinstance(plugin, str):
            return Found(None, None, plugin)
        try:
            now = (plugin.module, plugin.version, signature(plugin))
            known, bundle = self._bundles.get(plugin.name, (None, None))
            if bundle is None or known != now:
                bundle = Bundle.of(plugin)
                self._bundles[plugin.name] = (now, bundle)
            return Found(plugin, bundle)
        except Exception as error:
            # Its files and its metadata are somebody's: none of them keeps others from being used.
            return Found(plugin, None, str(error) or type(error).__name__)

    async def _one(self, name: str) -> Found:
        found = (await anyio.to_thread.run_sync(self._look, {name})).get(name)
        if found is None:
            others = await anyio.to_thread.run_sync(self._installed)
            listed = f"There is: {', '.join(others)}." if others else "Install its package with pip first."
            raise ToolError(f"There is no plugin named {name!r}.", hint=listed)
        return found

    async def _told(self, found: Found, approval: Approval[Definition] | None) -> tuple[Definition, ...]:
        """Return the tools of a plugin: those that were approved, of the same code, or what it says now."""
        if approval is not None and _same(found, approval):
            return approval.tools
        assert found.plugin is not None
        assert found.bundle is not None
        return await self._describe(found.plugin, found.bundle)

    def _refuse_names(
        self, name: str, tools: Sequence[Definition], approvals: Mapping[str, Approval[Definition]]
    ) -> None:
        for tool in tools:
            if tool.name in self._reserved:
                raise ToolError(
                    f"The plugin {name} has a tool named {tool.name}, and LLMasOS has one of that name."
                )
            for other, approval in approvals.items():
                if other != name and approval.enabled and tool.name in {one.name for one in approval.tools}:
                    raise ToolError(
                        f"The plugins {name} and {other} both have a tool named {tool.name}.",
                        hint=f"Disable the other one first: llmasos tools disable {other}",
                    )

    def _tools(self, approvals: dict[str, Approval[Definition]], found: dict[str, Found]) -> list[Tool]:
        tools = []
        for name, approval in approvals.items():
            there = found.get(name, Found(None))
            if approval.enabled and _same(there, approval):
                assert there.plugin is not None
                assert there.bundle is not None
                tools += [self._tool(there.plugin, there.bundle, approval, one) for one in approval.tools]
        return tools

    def _tool(self, plugin: Plugin, bundle: Bundle, approval: Approval[Definition], tool: Definition) -> Tool:
        if approval.in_kernel:
            run = partial(self._in_kernel.run, plugin=plugin.name, bundle=bundle, tool=tool)
        else:
            run = partial(run_confined, bundle=bundle, tool=tool)
        confined = not approval.in_kernel
        return tool_of(tool, f"plugin:{plugin.name}", run, confined=confined, sha256=bundle.sha256)


def _same(found: Found, approval: Approval[Definition] | None) -> bool:
    return approval is not None and found.bundle is not None and found.bundle.sha256 == approval.sha256


def _known(approval: Approval[Definition] | None) -> tuple[Definition, ...] | None:
    return None if approval is None else approval.tools


def _state(found: Found, approval: Approval[Definition] | None) -> PluginState:
    if found.problem:
        return "broken"
    if found.bundle is None:
        return "missing"
    if approval is None:
        return "new"
    if not _same(found, approval):
        return "changed"
    return "enabled" if approval.enabled else "disabled"


def _info(
    name: str,
    found: Found,
    approval: Approval[Definition] | None,
    tools: Sequence[Definition] | None,
    sha256: str = "",
) -> PluginInfo:
    in_kernel = approval is not None and approval.in_kernel
    return PluginInfo(
        name=name,
        package=found.plugin.package if found.plugin else "",
        version=found.plugin.version if found.plugin else "",
        state=_state(found, approval),
        where="kernel" if in_kernel else "sandbox",
        problem=found.problem,
        sha256=sha256,
        compiled=found.bundle.compiled if found.bundle else (),
        tools=None if tools is None else tuple(_shown(tool, confined=not in_kernel) for tool in tools),
    )


def _shown(tool: Definition, *, confined: bool) -> PluginTool:
    return PluginTool(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        needs=_needs(tool, confined=confined),
    )


def _needs(tool: Definition, *, confined: bool) -> tuple[str, ...]:
    """Return what a tool needs, with the arguments that its files come from."""
    capabilities = tool.capabilities(confined=confined)
    files = {"reads": capabilities.inputs, "writes": capabilities.targets}
    return tuple(
        f"{name}:{','.join(files[name])}" if files.get(name) else name for name in capabilities.names()
    )
