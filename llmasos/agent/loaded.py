"""What a kernel starts with, its tools and its policy, recorded where it is not what was recorded last."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import llmasos
from llmasos.agent.approvals import sha256_json
from llmasos.agent.recording import record
from llmasos.agent.rulebook import policy_for
from llmasos.config import Settings
from llmasos.ledger import SYSTEM, Filter, Kind, Ledger
from llmasos.tools import Capabilities, Registry, Tool, builtin_tools, extra_tools

_LOOKED_BACK = 1000


async def record_start(ledger: Ledger, registry: Registry, settings: Settings) -> None:
    """Record the plugins' tools, and the built-in tools and the policy where they have changed.

    Raises:
        LedgerError: They cannot be recorded, so the kernel must not start.
    """
    ours = {tool.function for tool in (*builtin_tools(), *extra_tools())}
    builtin = [tool for tool in registry if tool.function in ours]
    for tool in registry:
        if tool.function not in ours:
            await record(
                ledger, SYSTEM, "plugin", tool=tool.name, sha256=sha256_tools([tool]), module=_module(tool)
            )
    await _record_change(
        ledger,
        "plugin",
        set="builtin",
        version=llmasos.__version__,
        sha256=sha256_tools(builtin),
        tools=[tool.name for tool in builtin],
    )
    await _record_change(
        ledger,
        "policy",
        set="settings",
        policy=policy_for(settings).version,
        access=settings.policy.access,
        asking=settings.policy.asking,
        sandbox=settings.sandbox,
        in_place=settings.in_place,
        hosts=list(settings.sandbox_hosts),
        granted=list(settings.granted),
        hidden_sha256=sha256_json(list(settings.hidden)),
    )


def sha256_tools(tools: Iterable[Tool]) -> str:
    """Return the SHA-256 over what tools are: what models are told, what the gate decides on, their code."""
    return sha256_json(
        [
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "capabilities": _declared(tool.capabilities),
                "origin": tool.origin,
                "source": _source(tool),
            }
            for tool in tools
        ]
    )


def _declared(capabilities: Capabilities) -> dict[str, Any]:
    """Return all that a tool declares, in an order of its own."""
    return {
        "needs": capabilities.names(),
        "inputs": capabilities.inputs,
        "targets": capabilities.targets,
        "runs": dict(capabilities.runs),
        "reaches": capabilities.reaches,
        "sources": dict(capabilities.sources),
    }


async def _record_change(ledger: Ledger, kind: Kind, **body: Any) -> None:
    """Record a fact about the kernel unless the newest record of its set says the same."""
    before = await ledger.records(Filter(session=SYSTEM, kinds=(kind,)), _LOOKED_BACK, bodies=True)
    said = [one.body for one in before if one.body is not None and one.body.get("set") == body["set"]]
    if not said or {name: value for name, value in said[-1].items() if name != "asked_by"} != body:
        await record(ledger, SYSTEM, kind, **body)


def _module(tool: Tool) -> str:
    return f"{tool.function.__module__}.{tool.function.__qualname__}"


def _source(tool: Tool) -> str:
    if tool.sha256:
        return tool.sha256
    try:
        return inspect.getsource(tool.function)
    except (OSError, TypeError):
        return _module(tool)
