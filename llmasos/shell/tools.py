"""`llmasos tools`: the tools that models are offered, and the plugins that bring more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmasos.errors import LLMasOSError
from llmasos.shell import completing
from llmasos.shell.ask import ask, confirmed
from llmasos.shell.modules import run_module
from llmasos.shell.output import say, say_found
from llmasos.shell.proofs import AsJson

if TYPE_CHECKING:
    from llmasos.api import PluginInfo, PluginTool, ToolInfo

tools_app = typer.Typer(
    help="List the tools; look at, enable and write plugins.",
    rich_markup_mode=None,
    invoke_without_command=True,
)

Plugin = Annotated[str, typer.Argument(metavar="PLUGIN", help="Its name, as `llmasos tools list` shows it.")]
_STATES = {
    "enabled": "enabled",
    "disabled": "disabled",
    "new": "new: look at it with `llmasos tools show {name}`",
    "changed": "changed since you enabled it: look again with `llmasos tools show {name}`",
    "broken": "cannot be used",
    "missing": "not installed any more",
}


@tools_app.callback()
def tools(context: typer.Context) -> None:
    """List the tools; look at, enable and write plugins."""
    if context.invoked_subcommand is None:
        list_tools()


@tools_app.command("list")
def list_tools(as_json: AsJson = False) -> None:
    """List the tools, and the plugins that are installed."""
    offered = ask(lambda client: client.tools())
    say_found(offered, as_json, lambda found: map(_tool_line, found))
    plugins = ask(lambda client: client.plugins())
    if not as_json and plugins:
        say()
    say_found(plugins, as_json, lambda found: map(_plugin_line, found))


@tools_app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A plugin, or a tool.", autocompletion=completing.tools)
    ],
    as_json: AsJson = False,
) -> None:
    """Show a tool, or what a plugin brings and needs."""
    found = [tool for tool in ask(lambda client: client.tools()) if tool.name == name]
    if found:
        say_found(found[0], as_json, _tool_lines)
        return
    say_found(ask(lambda client: client.plugin(name)), as_json, _plugin_lines)


@tools_app.command()
def enable(
    plugin: Plugin,
    in_kernel: Annotated[
        bool,
        typer.Option("--in-kernel", help="Run it in the kernel, with all that you may do, not in a sandbox."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Offer a plugin's tools, once you have seen what it needs."""
    info = ask(lambda client: client.plugin(plugin))
    if info.problem:
        named = info.problem.startswith(f"The plugin {plugin} ")
        raise LLMasOSError(info.problem if named else f"The plugin {plugin} cannot be used: {info.problem}")
    for line in _plugin_lines(info):
        say(line)
    if in_kernel:
        say("It will run in the kernel: nothing keeps its code from whatever you may do.", err=True)
    confirmed("Enable it?", yes)
    ask(lambda client: client.enable_plugin(plugin, info.sha256, in_kernel=in_kernel))
    say(f"{plugin} is enabled.")


@tools_app.command()
def disable(plugin: Plugin) -> None:
    """Offer the tools of a plugin no longer."""
    ask(lambda client: client.disable_plugin(plugin))
    say(f"{plugin} is disabled.")


@tools_app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The plugin's name.")],
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where it is written; ./NAME if missing.")
    ] = None,
) -> None:
    """Write a plugin to begin with, with tests that pass."""
    _run("new", name, str(folder or Path(name)))


@tools_app.command()
def test(
    plugin: Annotated[str, typer.Argument(metavar="[PLUGIN]", help="A plugin, or a folder with one.")] = ".",
    files: Annotated[
        Path | None, typer.Option("--files", help="A folder that its calls see; the plugin's examples/ else.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what reaches hosts or gets your secrets: you trust it.")
    ] = False,
) -> None:
    """Try a plugin in a jail, and its examples in sandboxes."""
    _run("check", plugin, *([str(files)] if files else []), *(["--all"] if everything else []))


def _tool_line(tool: ToolInfo) -> str:
    whose = f" ({tool.origin})" if tool.origin else ""
    return f"{tool.name:<16} {tool.description} [{', '.join(tool.capabilities)}]{whose}"


def _tool_lines(tool: ToolInfo) -> Iterator[str]:
    yield f"tool      {tool.name}"
    yield f"from      {tool.origin or 'LLMasOS'}"
    yield f"does      {tool.description}"
    yield f"needs     {', '.join(tool.capabilities) or 'nothing'}"
    yield from _parameter_lines(tool)


def _plugin_line(plugin: PluginInfo) -> str:
    tools = f" [{', '.join(tool.name for tool in plugin.tools)}]" if plugin.tools else ""
    state = " ".join(plugin.problem.split()) or _STATES[plugin.state].format(name=plugin.name)
    where = ", in the kernel" if plugin.state == "enabled" and plugin.where == "kernel" else ""
    return f"plugin {plugin.name} {plugin.version}: {state}{where}{tools}"


def _plugin_lines(plugin: PluginInfo) -> Iterator[str]:
    yield f"plugin    {plugin.name}, of {plugin.package or 'no package'} {plugin.version}".rstrip()
    yield f"state     {_STATES[plugin.state].format(name=plugin.name)}"
    if plugin.problem:
        first, *more = plugin.problem.splitlines()
        yield f"problem   {first}"
        yield from (f"          {line}" for line in more)
    if plugin.sha256:
        yield f"code      SHA-256 {plugin.sha256}"
    if plugin.compiled:
        yield f"wants     {', '.join(plugin.compiled)} inside the sandbox, which no plugin can bring along"
    for tool in plugin.tools or ():
        yield ""
        yield f"{tool.name}: {tool.description}"
        yield f"  needs   {', '.join(tool.needs) or 'nothing'}"
        yield from _parameter_lines(tool)


def _parameter_lines(tool: ToolInfo | PluginTool) -> Iterator[str]:
    required = tool.parameters.get("required", ())
    for name, schema in tool.parameters.get("properties", {}).items():
        kind = (
            schema.get("type")
            or "/".join(str(one.get("type", "…")) for one in schema.get("anyOf", ()))
            or "…"
        )
        default = "" if name in required else f", {schema.get('default')!r} if it is left out"
        about = f": {schema['description']}" if schema.get("description") else ""
        yield f"  {name} ({kind}{default}){about}"


def _run(module: str, *arguments: str) -> None:
    raise typer.Exit(run_module(f"llmasos.tools.plugins.{module}", *arguments))
