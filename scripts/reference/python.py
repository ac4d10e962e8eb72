"""The pages of the Python API: the clients, and what authors of tools use."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import llmasos
import llmasos.client as client
import llmasos.testing as testing
import llmasos.tools as tools
from llmasos.tools.api import Models, Workspace
from scripts.reference.text import Doc, code, docstring, page, prose, table

PYTHON = """What `from llmasos import …` and `from llmasos.client import …` bring. [The Python
client](../how-to/python.md) shows it at work. `Client` and `Session` have the calls of `AsyncClient` and
`AsyncSession` without `await`; what these say of arguments and errors holds for both."""
PLUGINS = """What authors of tools import. [Tools of your own](../how-to/plugins.md) leads from nothing to a
published plugin."""
WITHIN = "These are for tools that are part of LLMasOS and run in the kernel. A plugin needs none of them."
AUTHORS = {
    "tool": tools.tool,
    "Declaration": tools.Declaration,
    "ToolContext": tools.ToolContext,
    "Workspace": Workspace,
    "Models": Models,
    "ToolError": tools.ToolError,
}


def pages() -> dict[str, str]:
    """Return the page of the clients and the page for authors of tools."""
    clients = {name: getattr(client, name) for name in client.__all__}
    first = ("Client", "Session", "AsyncClient", "AsyncSession")
    ordered = {name: clients[name] for name in (*first, *sorted(set(clients) - set(first)))}
    top = {name: getattr(llmasos, name) for name in ("Kernel", "LLMasOSError")}
    rest = {name: getattr(tools, name) for name in tools.__all__ if name not in AUTHORS}
    within = {name: thing for name, thing in rest.items() if callable(thing)}
    return {
        "python.md": page("Python API", PYTHON, *_things({**ordered, **top})),
        "plugin-api.md": page(
            "Plugin API",
            PLUGINS,
            "## llmasos.tools",
            *_things(AUTHORS, "###"),
            "## llmasos.testing",
            *_things({name: getattr(testing, name) for name in testing.__all__}, "###"),
            "## Tools of the kernel",
            WITHIN,
            *_things(within, "###"),
        ),
    }


def _things(things: dict[str, Any], level: str = "##") -> Iterator[str]:
    for name, thing in things.items():
        doc = docstring(inspect.getdoc(thing) if inspect.isclass(thing) else thing.__doc__)
        yield f"{level} {name}"
        yield f"```text\n{_called(name, thing)}\n```"
        yield prose(doc.text)
        yield _entries(doc)
        if inspect.isclass(thing) and not issubclass(thing, BaseException):
            rows = [
                (code(_called(called, member)), _said(docstring(inspect.getdoc(member))))
                for called, member in _members(thing)
            ]
            if rows:
                yield table(("", ""), rows)


def _members(thing: type) -> Iterator[tuple[str, Any]]:
    seen = set()
    for kind in thing.__mro__:
        if not kind.__module__.startswith("llmasos"):
            continue
        for name, member in vars(kind).items():
            shown = callable(member) or isinstance(member, property)
            if shown and not name.startswith("_") and name not in seen and inspect.getdoc(member):
                seen.add(name)
                yield name, member


def _entries(doc: Doc) -> str:
    lines = [f"- `{name}`: {prose(said)}" for name, said in doc.args.items()]
    lines += [f"- Raises `{name}`: {prose(said)}" for name, said in doc.raises.items()]
    return "\n".join(lines)


def _said(doc: Doc) -> str:
    parts = [prose(doc.text)]
    parts += [f"`{name}`: {prose(said)}" for name, said in doc.args.items()]
    parts += [f"Raises `{name}`: {prose(said)}" for name, said in doc.raises.items()]
    return " ".join(parts)


def _called(name: str, thing: Any) -> str:
    """Return how something is called, with the types as they are written in the code."""
    if isinstance(thing, property):
        return f"{name}: {_type(thing.fget.__annotations__.get('return', ''))}" if thing.fget else name
    function = inspect.unwrap(thing)
    signature = inspect.signature(function)
    awaited = "await " if inspect.iscoroutinefunction(function) else ""
    if function is not thing and inspect.isgeneratorfunction(function):
        awaited = "with "
    elif function is not thing and inspect.isasyncgenfunction(function):
        awaited = "async with "
    returned = "" if inspect.isclass(thing) else _type(signature.return_annotation)
    given = _parameters(signature.parameters.values())
    return f"{awaited}{name}({given}){f' -> {returned}' if returned else ''}"


def _parameters(parameters: Iterable[inspect.Parameter]) -> str:
    shown, before = [], None
    for each in parameters:
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and before not in (each.KEYWORD_ONLY, each.VAR_POSITIONAL):
            shown.append("*")
        if before is each.POSITIONAL_ONLY and each.kind is not before:
            shown.append("/")
        before = each.kind
        mark = "*" if each.kind is each.VAR_POSITIONAL else "**" if each.kind is each.VAR_KEYWORD else ""
        kind = _type(each.annotation)
        default = "" if each.default is each.empty else f" = {_default(each.default)}"
        shown.append(f"{mark}{each.name}{f': {kind}' if kind else ''}{default}")
    return ", ".join(shown)


def _default(value: object) -> str:
    return "…" if callable(value) or "<" in repr(value) else repr(value)


def _type(annotation: object) -> str:
    if annotation is inspect.Signature.empty:
        return ""
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
