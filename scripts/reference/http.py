"""The pages of the HTTP API and of the events, and the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from llmasos.config import Settings
from llmasos.events import EVENT, PASSING, EventBase
from llmasos.kernel import Kernel
from llmasos.secrets import Redactor
from llmasos.service.access import OPEN
from llmasos.service.app import make_app
from llmasos.service.openapi import document
from scripts.reference.text import anchor, code, docstring, page, prose, table

REF = "#/components/schemas/"
HTTP = """The kernel's HTTP API, over its Unix socket and, with a key, over TCP. See also

- [Serving other programs](../how-to/serving.md): how to open the port and make keys,
- [OpenAI's API](../how-to/openai.md): which of its parameters are taken, and what each status means,
- [The agent over HTTP](../how-to/http.md): how a turn is carried out, with `curl`,
- [openapi.json](openapi.json): the same for programs; a kernel has it at `/openapi.json`."""
EVENTS = """Everything that happens in a session is an event of its stream. The shell renders the stream,
`--json` and the clients fold it into a result, and HTTP sends it as server-sent events, each a JSON object
with a `type`. *Passing* events are not stored, and have the `seq` 0; what they add up to is in a stored
event that follows."""
GROUPS = {
    "sessions": "Sessions",
    "explanations": "Sessions",
    "chat": "OpenAI's API",
    "completions": "OpenAI's API",
    "responses": "OpenAI's API",
    "embeddings": "OpenAI's API",
    "models": "Models",
    "tools": "Tools and plugins",
    "plugins": "Tools and plugins",
    "knowledge": "Knowledge",
    "federated": "Federated training",
    "ledger": "The ledger",
    "keys": "Keys",
    "": "The kernel",
}
MANY = 5
_EVENTS = EVENT.json_schema(mode="serialization", ref_template=REF + "{model}")
HEAD = ("field", "type", "meaning")


def pages() -> dict[str, str]:
    """Return the OpenAPI document and what can be read of it, and the events."""
    said = _document()
    return {
        "openapi.json": json.dumps(said, indent=1, ensure_ascii=False) + "\n",
        "http.md": _http(said),
        "events.md": _events(),
    }


def _document() -> dict[str, Any]:
    # Routes are made of a kernel; nothing is asked of it while they are.
    bare = SimpleNamespace(
        settings=Settings.model_construct(),
        store=None,
        ledger=None,
        books=None,
        models=None,
        administration=None,
        started=datetime.now(UTC),
        redactor=Redactor(),
    )
    return document(make_app(cast(Kernel, bare), lambda: None).routes)


def _http(said: dict[str, Any]) -> str:
    groups: dict[str, list[tuple[str, ...]]] = {}
    for path, methods in said["paths"].items():
        words = path.strip("/").split("/")
        group = GROUPS.get(words[1] if len(words) > 1 else "", "The kernel")
        for method, each in methods.items():
            groups.setdefault(group, []).append(_operation(path, method, each))
    head = ("", "scope", "what it does", "takes", "gives")
    order = dict.fromkeys(GROUPS.values())
    parts = [part for name in order for part in (f"## {name}", table(head, groups[name]))]
    told = {ref["$ref"].removeprefix(REF) for ref in _EVENTS["oneOf"]}
    types = {name: each for name, each in said["components"]["schemas"].items() if name not in told}
    return page("HTTP API", HTTP, *parts, "## Types", *_types(types))


def _operation(path: str, method: str, each: dict[str, Any]) -> tuple[str, ...]:
    takes = [
        f"`{name['name']}` {'' if name['required'] else '(optional)'}".strip()
        for name in each["parameters"]
        if name["in"] == "query"
    ]
    if "requestBody" in each:
        takes.insert(0, _kind(each["requestBody"]["content"]["application/json"]["schema"]))
    status, answer = next(item for item in each["responses"].items() if item[0] != "default")
    contents: dict[str, Any] = answer.get("content", {})
    media = next(iter(contents), "")
    gives = _kind(contents[media].get("schema", {})) if media else "nothing"
    kind = "" if media in ("", "application/json") else f", as `{media}`"
    scope = each.get("x-scope") or ("no key" if path in OPEN else "any key")
    summary = prose(each["summary"])
    return f"`{method.upper()} {path}`", scope, summary, ", ".join(takes), f"{status}: {gives}{kind}"


def _events() -> str:
    types = _EVENTS["$defs"]
    passing = {kind.__name__ for kind in PASSING}
    names = [ref["$ref"].removeprefix(REF) for ref in _EVENTS["oneOf"]]
    shared = ("session", "turn", "seq", "at")
    base = {**types[names[0]], "description": EventBase.__doc__}
    parts = ["Every event has", _table(_fields(base, only=shared))]
    for name in names:
        kind = types[name]["properties"]["type"]["const"]
        said = docstring(types[name].get("description")).text
        mark = "" if name not in passing or "Passing" in said else " Passing."
        parts += [f"## {kind}", prose(said) + mark]
        parts.append(_table(_fields(types[name], but=(*shared, "type"))))
    rest = {name: type_ for name, type_ in types.items() if name not in names}
    return page("Events", EVENTS, *parts, "## Types", *_types(rest))


def _types(schemas: dict[str, Any]) -> Iterator[str]:
    for name in sorted(schemas):
        yield f"### {name}"
        yield prose(docstring(schemas[name].get("description")).text)
        if "enum" in schemas[name]:
            yield _kind(schemas[name])
        yield _table(_fields(schemas[name]))


def _table(fields: Iterable[tuple[str, str, str]]) -> str:
    """Return a table without the meanings where none is told, and nothing for no fields."""
    rows = list(fields)
    if not rows:
        return ""
    told = any(meaning for _, _, meaning in rows)
    return table(HEAD, rows) if told else table(HEAD[:2], [row[:2] for row in rows])


def _fields(
    schema: dict[str, Any], only: Iterable[str] = (), but: Iterable[str] = ()
) -> Iterator[tuple[str, str, str]]:
    said = docstring(schema.get("description")).args
    for name, each in schema.get("properties", {}).items():
        if name in but or (only and name not in only):
            continue
        meaning = each.get("description") or said.get(name, "")
        default = each.get("default")
        if default not in (None, "", [], {}) and not isinstance(default, dict):
            meaning = f"{meaning} Default: `{json.dumps(default, ensure_ascii=False)}`.".strip()
        yield code(name), _kind(each), prose(meaning)


def _kind(schema: dict[str, Any]) -> str:
    """Return the type of a value in words, with links to types that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REF)
        return f"[{name}](#{anchor(name)})"
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    if "enum" in schema:
        return ", ".join(code(json.dumps(value)) for value in schema["enum"])
    for among in ("anyOf", "oneOf"):
        if among in schema:
            if len(schema[among]) > MANY:
                return "one of the [events](events.md)"
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[among]))
    kind = schema.get("type", "")
    if kind == "array":
        items: dict[str, Any] = schema.get("items") or next(iter(schema.get("prefixItems", [])), {})
        return f"list of {_kind(items)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    return {"string": _text(schema), "": "anything"}.get(kind, str(kind))


def _text(schema: dict[str, Any]) -> str:
    return {"date-time": "time, as in ISO 8601", "binary": "bytes"}.get(schema.get("format", ""), "string")
