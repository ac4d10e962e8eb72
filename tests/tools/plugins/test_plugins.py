"""The plugins of a kernel: from being found to being offered, and back."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from llmasos.api import PluginInfo
from llmasos.errors import ConfigError, ToolError
from llmasos.sandbox import FakeSandbox
from llmasos.tools import KernelContext, Tool
from llmasos.tools.plugins import Plugins
from llmasos.tools.plugins.bundle import Bundle
from llmasos.tools.plugins.definition import Definition
from llmasos.tools.plugins.describe import definitions
from llmasos.tools.plugins.discovery import Plugin
from tests.tools.plugins.kernels import Context, defined
from tests.tools.plugins.packages import GREETER, Install

pytestmark = pytest.mark.anyio


class Desk:
    """The plugins of a kernel that describes them without a jail."""

    def __init__(self, file: Path) -> None:
        self.offered: list[Tool] = []
        self.recorded: list[dict[str, Any]] = []
        self.described: list[str] = []
        self.taken: set[str] = set()
        self.tools: dict[str, Sequence[Definition]] = {}
        self.plugins = Plugins(file, ["read_file"], self._offer, self._record, describe=self._describe)

    def _offer(self, tools: Sequence[Tool]) -> Sequence[str]:
        self.offered = [tool for tool in tools if tool.name not in self.taken]
        return [tool.name for tool in tools if tool.name in self.taken]

    async def _record(self, **body: Any) -> None:
        self.recorded.append(body)

    async def _describe(self, plugin: Plugin, bundle: Bundle) -> tuple[Definition, ...]:
        self.described.append(plugin.name)
        if plugin.name in self.tools:
            return tuple(self.tools[plugin.name])
        return tuple(definitions(plugin.module, plugin.attribute))

    @property
    def names(self) -> list[str]:
        return [tool.name for tool in self.offered]

    async def enable(self, name: str, **options: Any) -> PluginInfo:
        return await self.plugins.enable(name, (await self.plugins.show(name)).sha256, **options)

    async def states(self) -> Mapping[str, str]:
        return {info.name: info.state for info in await self.plugins.all()}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "plugins.json")


def greeter(install: Install, name: str = "greeter_one") -> Path:
    return install(name, {f"{name}.py": GREETER}, plugins={name: name})


async def test_a_plugin_is_listed_without_being_looked_at(install: Install, desk: Desk) -> None:
    install("never", {"never_imported.py": "raise SystemExit"}, plugins={"never": "never_imported"})
    (info,) = [one for one in await desk.plugins.all() if one.name == "never"]
    assert (info.state, info.package, info.version, info.tools) == ("new", "never", "1.0", None)
    assert not desk.described and await desk.plugins.refresh() == [] and not desk.offered
    assert "never_imported" not in sys.modules


async def test_it_is_offered_once_it_was_enabled_and_that_is_recorded(install: Install, desk: Desk) -> None:
    greeter(install)
    shown = await desk.plugins.show("greeter_one")
    assert shown.state == "new" and shown.tools is not None
    assert [(tool.name, tool.needs) for tool in shown.tools] == [("greet", ("confined",))]
    enabled = await desk.plugins.enable("greeter_one", shown.sha256)
    assert enabled.state == "enabled" and desk.names == ["greet"]
    (tool,) = desk.offered
    assert tool.origin == "plugin:greeter_one"
    assert tool.validate({"name": "Ada"}) == {"name": "Ada", "loud": False}
    with pytest.raises(ToolError, match="not of type 'string'"):
        tool.validate({"name": 1})
    (body,) = desk.recorded
    assert (body["plugin"], body["change"], body["where"]) == ("greeter_one", "enabled", "sandbox")
    assert body["sha256"] == tool.sha256 and body["tools"][0]["name"] == "greet"


async def test_another_kernel_offers_it_without_looking_again(
    install: Install, desk: Desk, tmp_path: Path
) -> None:
    greeter(install)
    await desk.enable("greeter_one")
    other = Desk(tmp_path / "plugins.json")
    assert await other.plugins.refresh() == [] and other.names == ["greet"] and not other.described
    await other.plugins.disable("greeter_one")
    assert not other.offered and (await other.states())["greeter_one"] == "disabled"
    assert other.recorded[-1]["change"] == "disabled"
    with pytest.raises(ToolError, match="is not enabled"):
        await other.plugins.disable("greeter_one")


async def test_changed_code_is_asked_about_again(install: Install, desk: Desk) -> None:
    site = greeter(install)
    seen = (await desk.enable("greeter_one")).sha256
    (site / "greeter_one.py").write_text(GREETER.replace("Hello", "Bye"))
    (notice,) = await desk.plugins.refresh()
    assert "greeter_one has changed since you enabled it" in notice and not desk.offered
    assert (await desk.states())["greeter_one"] == "changed"
    with pytest.raises(ToolError, match="has changed since you looked at it"):
        await desk.plugins.enable("greeter_one", seen)
    assert (await desk.enable("greeter_one")).state == "enabled" and desk.names == ["greet"]


async def test_a_plugin_that_goes_is_told_of(install: Install, desk: Desk) -> None:
    site = greeter(install)
    await desk.enable("greeter_one")
    (site / "greeter_one.py").unlink()
    (notice,) = await desk.plugins.refresh()
    assert "cannot be used" in notice and not desk.offered
    for file in (site / "greeter_one-1.0.dist-info").iterdir():
        file.unlink()
    (site / "greeter_one-1.0.dist-info").rmdir()
    (notice,) = await desk.plugins.refresh()
    assert "is not installed any more" in notice
    assert (await desk.states())["greeter_one"] == "missing"


async def test_names_of_others_are_refused(install: Install, desk: Desk) -> None:
    greeter(install, "greeter_one")
    greeter(install, "greeter_two")
    await desk.enable("greeter_one")
    with pytest.raises(ToolError, match="greeter_two and greeter_one both have a tool named greet") as raised:
        await desk.enable("greeter_two")
    assert "llmasos tools disable greeter_one" in raised.value.hint
    await desk.plugins.disable("greeter_one")
    await desk.enable("greeter_two")
    greeter(install, "greeter_three")
    desk.tools["greeter_three"] = [defined("read_file")]
    with pytest.raises(ToolError, match="LLMasOS has one of that name"):
        await desk.enable("greeter_three")
    assert desk.names == ["greet"]


async def test_what_cannot_be_looked_at_is_named(install: Install, desk: Desk) -> None:
    install("broken", {"broken_one.py": ""}, plugins={"broken": "broken_one"})
    info = await desk.plugins.show("broken")
    assert info.state == "broken" and info.problem == "broken_one has no tool." and info.tools is None
    with pytest.raises(ToolError, match="has no tool"):
        await desk.plugins.enable("broken", "0" * 64)
    with pytest.raises(ToolError, match="There is no plugin named 'nothing'"):
        await desk.plugins.show("nothing")


async def test_damaged_approvals_enable_nothing_and_say_so(
    install: Install, desk: Desk, tmp_path: Path
) -> None:
    greeter(install)
    await desk.enable("greeter_one")
    (tmp_path / "plugins.json").write_text('{"greeter_one": ')
    (notice,) = await desk.plugins.refresh()
    assert "cannot be read" in notice and not desk.offered
    with pytest.raises(ConfigError, match="enable what you use again"):
        await desk.plugins.all()


async def test_a_plugin_that_may_runs_in_the_kernel(install: Install, desk: Desk, tmp_path: Path) -> None:
    site = greeter(install, "greeter_inside")
    await desk.enable("greeter_inside", in_kernel=True)
    del sys.modules["greeter_inside"]
    (tool,) = desk.offered
    assert not tool.capabilities.confined
    context = cast(KernelContext, Context(FakeSandbox(tmp_path)))
    assert await tool.run(context, {"name": "Ada", "loud": True}) == "Hello Ada!"
    (site / "greeter_inside.py").write_text(GREETER.replace("Hello", "Bye"))
    loaded = sys.modules.pop("greeter_inside")
    await desk.enable("greeter_inside", in_kernel=True)
    sys.modules["greeter_inside"] = loaded
    with pytest.raises(ToolError, match="has loaded other code") as raised:
        await desk.offered[0].run(context, {"name": "Ada"})
    assert "llmasos stop" in raised.value.hint


async def test_the_kernel_runs_the_code_that_was_approved(
    install: Install, desk: Desk, tmp_path: Path
) -> None:
    site = greeter(install, "greeter_late")
    await desk.enable("greeter_late", in_kernel=True)
    context = cast(KernelContext, Context(FakeSandbox(tmp_path)))
    with pytest.raises(ToolError, match="has loaded another module greeter_late"):
        await desk.offered[0].run(context, {"name": "Ada"})
    del sys.modules["greeter_late"]
    (site / "greeter_late.py").write_text("raise SystemExit")
    assert await desk.offered[0].run(context, {"name": "Ada"}) == "Hello Ada."
    place = Path(str(sys.modules["greeter_late"].__file__))
    assert place.is_relative_to(tmp_path / "plugins") and site not in place.parents


async def test_what_a_call_costs_is_counted(install: Install, desk: Desk, tmp_path: Path) -> None:
    code = GREETER.replace("@tool\n", "@tool(cost=0.25)\n")
    install("paid", {"paid_one.py": code}, plugins={"paid": "paid_one"})
    await desk.enable("paid", in_kernel=True)
    del sys.modules["paid_one"]
    context = Context(FakeSandbox(tmp_path))
    await desk.offered[0].run(cast(KernelContext, context), {"name": "Ada"})
    assert context.charged == 0.25 and "cost:0.25" in desk.offered[0].capabilities.names()


async def test_what_is_seen_is_what_is_enabled(install: Install, desk: Desk) -> None:
    greeter(install, "greeter_two_faced")
    seen = (await desk.plugins.show("greeter_two_faced")).sha256
    desk.tools["greeter_two_faced"] = [defined("greet", network=("evil.example",), secrets=("KEY",))]
    with pytest.raises(ToolError, match="has changed since you looked at it"):
        await desk.plugins.enable("greeter_two_faced", seen)
    assert not desk.offered and not desk.recorded


async def test_a_name_that_another_tool_has_is_left_out_and_told(install: Install, desk: Desk) -> None:
    greeter(install)
    desk.taken = {"greet"}
    await desk.enable("greeter_one")
    (notice,) = await desk.plugins.refresh()
    assert "The tool greet of a plugin is not offered" in notice and not desk.offered


async def test_metadata_that_cannot_be_read_stops_nobody_else(install: Install, desk: Desk) -> None:
    greeter(install)
    await desk.enable("greeter_one")
    site = install("odd", {"odd_one.py": GREETER}, plugins={"odd": "odd_one"})
    (site / "odd-1.0.dist-info" / "RECORD").write_bytes(b"odd_\xff.py,,\n")
    assert (await desk.states())["greeter_one"] == "enabled"
    assert await desk.plugins.refresh() == []


async def test_a_plugin_that_leaves_does_not_end_the_kernel(
    install: Install, desk: Desk, tmp_path: Path
) -> None:
    code = GREETER.replace("    return f", "    import sys\n    sys.exit(3)\n    return f")
    install("leaving", {"leaving_one.py": code}, plugins={"leaving": "leaving_one"})
    await desk.enable("leaving", in_kernel=True)
    del sys.modules["leaving_one"]
    with pytest.raises(ToolError, match="SystemExit: 3"):
        await desk.offered[0].run(cast(KernelContext, Context(FakeSandbox(tmp_path))), {"name": "Ada"})
