"""Call syntax: tool calls as a small model writes them, and back.

translate(path="notes.txt", target_language="English")

run_python
```python
print(1 + 1)
```

Answer: There are two.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_ai.tools import ToolDefinition

from llmasos.errors import ModelError
from llmasos.models.untrusted import check_depth

ANSWER = "Answer: "

_LITERALS: dict[str, Any] = {"True": True, "False": False, "None": None}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_BLOCK = re.compile(r"\s*\n(?P<fence>`{3,4})[a-z]*\n(?P<body>|.*?\n)(?P=fence)\s*\Z", re.DOTALL)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no number of JSON")
    return number


_DECODER = json.JSONDecoder(strict=False, parse_float=_finite, parse_constant=_finite)


class CallSyntaxError(ModelError):
    """The model's text is neither an answer nor a complete call of a known tool."""

    code = "call"


class Parameter(BaseModel, frozen=True):
    """One argument of a tool.

    Args:
        json_schema: Its JSON schema, references resolved.
        required: Whether it has to be given.
        default: What the tool takes otherwise, for display.
    """

    name: str
    json_schema: dict[str, Any]
    required: bool
    default: Any = None


class CallForm(BaseModel, frozen=True):
    """How one tool is written.

    Args:
        parameters: The arguments between the parentheses, the required ones first.
        block: The argument that is written as a fenced block after the call, or empty.
        language: The language of the block, or empty.
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    block: str = ""
    language: str = ""

    @classmethod
    def of(cls, tool: ToolDefinition) -> CallForm:
        """Return the form of a tool, from its JSON schema and metadata.

        A tool whose only required argument is a string named `code` is written as the name and a
        Python block; metadata `{"block": "content"}` names an argument that is written as a block.
        """
        schema = tool.parameters_json_schema
        required = set(schema.get("required", ()))
        parameters = [
            Parameter(
                name=name,
                json_schema=_resolve(value, schema.get("$defs", {})),
                required=name in required,
                default=value.get("default") if isinstance(value, dict) else None,
            )
            for name, value in schema.get("properties", {}).items()
        ]
        block = str((tool.metadata or {}).get("block", ""))
        language = ""
        if required == {"code"} and schema["properties"]["code"].get("type") == "string":
            block, language = "code", "python"
        if block not in required:
            block = ""
        return cls(
            name=tool.name,
            description=" ".join((tool.description or "").split()),
            parameters=tuple(
                sorted(
                    (p for p in parameters if p.name != block), key=lambda parameter: not parameter.required
                )
            ),
            block=block,
            language=language,
        )

    def signature(self) -> str:
        """Return the line that shows the tool to the model."""
        inside = ", ".join(_shown(parameter) for parameter in self.parameters)
        head = self.name if self.block and not self.parameters else f"{self.name}({inside})"
        if self.block:
            head += f" + ```{self.language} block" if self.language else f" + ``` block of {self.block}"
        return f"{head}  {self.description}".rstrip()

    def write(self, arguments: dict[str, Any]) -> str:
        """Return the call as the model is to write it."""
        inside = ", ".join(
            f"{name}={_literal(value)}" for name, value in arguments.items() if name != self.block
        )
        if not self.block:
            return f"{self.name}({inside})"
        body = str(arguments.get(self.block, ""))
        if not body.endswith("\n"):
            body += "\n"
        fence = "````" if re.search(r"^```", body, re.MULTILINE) else "```"
        head = f"{self.name}({inside})" if self.parameters else self.name
        return f"{head}\n{fence}{self.language}\n{body}{fence}"


def forms_of(tools: Sequence[ToolDefinition]) -> dict[str, CallForm]:
    """Return the call form of every tool by its name, in the order given."""
    return {tool.name: CallForm.of(tool) for tool in tools}


class ParsedCall(BaseModel, frozen=True):
    """A call of a tool with its arguments."""

    tool: str
    arguments: dict[str, Any]


def parse_call(text: str, forms: dict[str, CallForm]) -> ParsedCall:
    """Read one call.

    Raises:
        CallSyntaxError: The text is not one complete call of one of the tools.
    """
    match = _NAME.match(text)
    form = forms.get(match.group()) if match else None
    if match is None or form is None:
        raise CallSyntaxError(f"The model's output is not a call of a known tool: {text[:80]!r}.")
    arguments: dict[str, Any] = {}
    end = match.end()
    if text[end : end + 1] == "(":
        arguments, end = _arguments(text, end + 1)
    if form.block:
        block = _BLOCK.match(text, end)
        if block is None:
            raise CallSyntaxError(f"The block of {form.name} is not complete.")
        arguments[form.block] = block["body"]
    elif text[end:].strip():
        raise CallSyntaxError(f"There is text after the call of {form.name}: {text[end : end + 80]!r}.")
    return ParsedCall(tool=form.name, arguments=arguments)


def _arguments(text: str, start: int) -> tuple[dict[str, Any], int]:
    arguments: dict[str, Any] = {}
    at = _blank(text, start)
    while text[at : at + 1] != ")":
        match = _NAME.match(text, at)
        at = _blank(text, match.end()) if match else len(text)
        if match is None or text[at : at + 1] != "=":
            raise CallSyntaxError(
                f"The arguments of the call are not complete: {text[start : start + 80]!r}."
            )
        arguments[match.group()], at = _value(text, _blank(text, at + 1))
        at = _blank(text, at)
        if text[at : at + 1] == ",":
            at = _blank(text, at + 1)
        elif text[at : at + 1] != ")":
            raise CallSyntaxError(
                f"The arguments of the call are not complete: {text[start : start + 80]!r}."
            )
    return arguments, at + 1


def _value(text: str, at: int) -> tuple[Any, int]:
    for literal, value in _LITERALS.items():
        if text.startswith(literal, at):
            return value, at + len(literal)
    try:
        check_depth(text, at)
        value, end = _DECODER.raw_decode(text, at)
        # Half a character, which JSON can spell, is none that anything after this could take.
        _literal(value).encode()
        return value, end
    except (ValueError, RecursionError) as error:
        raise CallSyntaxError(f"An argument of the call cannot be read: {text[at : at + 80]!r}.") from error


def _blank(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \n\t":
        at += 1
    return at


def _literal(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _shown(parameter: Parameter) -> str:
    kind = type_name(parameter.json_schema)
    if parameter.required:
        return f"{parameter.name}: {kind}"
    return f"{parameter.name}: {kind} = {_literal(parameter.default)}"


def alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas of which a value has to match one, `null` left out."""
    options = schema.get("anyOf") or schema.get("oneOf") or [schema]
    if isinstance(schema.get("type"), list):
        options = [{**schema, "type": kind} for kind in schema["type"]]
    return [option for option in options if option.get("type") != "null"]


def type_name(schema: dict[str, Any]) -> str:
    """Return a JSON schema's type as Python would write it."""
    options = alternatives(schema)
    if len(options) != 1:
        return " | ".join(dict.fromkeys(type_name(option) for option in options)) or "None"
    schema = options[0]
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return f"list[{type_name(schema.get('items', {}))}]"
    names = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "object": "dict"}
    return names.get(str(kind), "any")


def _resolve(schema: Any, definitions: dict[str, Any], depth: int = 0) -> Any:
    # A schema that refers to itself is cut; its innermost values are then any JSON.
    if isinstance(schema, list):
        return [_resolve(item, definitions, depth) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return {} if depth > 4 else _resolve(definitions.get(name, {}), definitions, depth + 1)
    return {key: _resolve(value, definitions, depth) for key, value in schema.items() if key != "$defs"}
