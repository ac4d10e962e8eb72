"""JSON schemas as grammar rules (GBNF) for the JSON text of their values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from llmasos.models.engines.port import InvalidRequest

_BASICS = {
    "ws": '" "?',
    "json-char": r'[^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" json-hex json-hex json-hex json-hex)',
    "json-hex": "[0-9a-fA-F]",
    "json-string": r'"\"" json-char* "\""',
    "json-natural": '"0" | [1-9] [0-9]{0,15}',
    "json-integer": '"-"? json-natural',
    "json-number": '"-"? json-natural ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?',
    "json-boolean": '"true" | "false"',
    "json-null": '"null"',
    "json-array": '"[" ws (json-value (ws "," ws json-value)*)? ws "]"',
    "json-pair": 'json-string ws ":" ws json-value',
    "json-object": '"{" ws (json-pair (ws "," ws json-pair)*)? ws "}"',
    "json-value": "json-string | json-number | json-boolean | json-null | json-array | json-object",
}
_KINDS = ("string", "integer", "number", "boolean", "null", "array", "object")
# llama.cpp refuses grammars that repeat more often.
_REPEATS = 1000
_DEEPEST = 100


def literal(text: str) -> str:
    """Return the text as a literal of a grammar."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + re.sub(r"[\x00-\x1f]", lambda match: f"\\x{ord(match.group()):02x}", escaped) + '"'


class SchemaRules:
    """Rules of one grammar, collected while values are added to it.

    A value that matches the rules matches the schema, but for what no grammar says: patterns and formats of
    strings, ranges of numbers, `not` and conditions, uniqueness. Properties come in the order of the schema.

    Args:
        document: The schema in which references are looked up.
        prefix: What the names of these rules begin with, to tell several documents of one grammar apart.
    """

    def __init__(self, document: Any, *, prefix: str = "value") -> None:
        self.rules: dict[str, str] = {}
        self._document = document
        self._prefix = prefix
        self._names: dict[str, str] = {}
        self._references: dict[str, str] = {}
        self._depth = 0

    def add(self, schema: Any) -> str:
        """Add the rules of a schema and return the name of the rule that its values match.

        Raises:
            InvalidRequest: It is no JSON schema, allows nothing, or refers to something that is not there.
        """
        try:
            return self._add(schema)
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            raise InvalidRequest(f"The schema cannot be read: {error}.", hint="Correct it.") from error

    def basic(self, kind: str) -> str:
        """Add the rules of every value of a kind, or of any value, and return the name of its rule."""
        return self._basic(f"json-{kind}" if kind in _KINDS else "json-value")

    def _add(self, schema: Any) -> str:
        # Python's own limit may have been raised, as some Ethereum libraries do.
        if self._depth == _DEEPEST:
            raise ValueError("it is nested too deeply")
        self._depth += 1
        try:
            return self._made(schema)
        finally:
            self._depth -= 1

    def _made(self, schema: Any) -> str:
        if schema is True or schema == {}:
            return self._basic("json-value")
        if not isinstance(schema, Mapping):
            raise InvalidRequest(f"The schema {json.dumps(schema)} allows no value.", hint="Correct it.")
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]))
        if "allOf" in schema:
            return self._add(self._merged(schema))
        if "const" in schema:
            return self._named(literal(_text(schema["const"])))
        if "enum" in schema:
            return self._choice(literal(_text(value)) for value in schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                rest = {name: value for name, value in schema.items() if name != key}
                return self._choice(self._add(_both(rest, option)) for option in schema[key])
        kind = schema.get("type") or _implied(schema)
        if isinstance(kind, list):
            return self._choice(self._add({**schema, "type": name}) for name in kind)
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._array(schema)
        if kind == "string":
            return self._string(schema)
        if kind == "integer" and _natural(schema):
            return self._basic("json-natural")
        return self.basic(str(kind))

    def _object(self, schema: Mapping[str, Any]) -> str:
        properties = dict(schema.get("properties", {}))
        # Who lists properties, even none, means these.
        others = schema.get("additionalProperties", "properties" not in schema)
        required = list(schema.get("required", ()))
        for name in required:
            properties.setdefault(name, others or {})
        if not properties:
            if others is False:
                return self._named('"{" ws "}"')
            pair = self._named(f'{self._basic("json-string")} ws ":" ws {self._add(others)}')
            return self._named(f'"{{" ws ({pair} (ws "," ws {pair})*)? ws "}}"')
        # From the last property to the first: what may follow it, with and without a comma before.
        first = later = self._named('""')
        for name, value in reversed(properties.items()):
            pair = f'{literal(_text(name))} ws ":" ws {self._add(value)}'
            skip = "" if name in required else " | {}"
            first = self._named(f"{pair} {later}{skip.format(first)}")
            later = self._named(f'ws "," ws {pair} {later}{skip.format(later)}')
        return self._named(f'"{{" ws {first} ws "}}"')

    def _array(self, schema: Mapping[str, Any]) -> str:
        least = min(int(schema.get("minItems", 0)), _REPEATS)
        most = schema.get("maxItems")
        begins = [self._add(item) for item in schema.get("prefixItems", ())]
        if begins:
            inside = ' ws "," ws '.join(begins)
        elif most == 0:
            inside = ""
        else:
            item = self._add(schema.get("items", {}))
            upper = "" if most is None or most > _REPEATS else str(int(most) - 1)
            inside = f'{item} (ws "," ws {item}){{{max(0, least - 1)},{upper}}}'
            inside = inside if least else f"({inside})?"
        return self._named(f'"[" ws {inside} ws "]"')

    def _string(self, schema: Mapping[str, Any]) -> str:
        least = min(int(schema.get("minLength", 0)), _REPEATS)
        most = schema.get("maxLength")
        if not least and (most is None or most > _REPEATS):
            return self._basic("json-string")
        upper = "" if most is None or most > _REPEATS else str(int(most))
        return self._named(f'"\\"" {self._basic("json-char")}{{{least},{upper}}} "\\""')

    def _reference(self, reference: str) -> str:
        if reference not in self._references:
            target = self._lookup(reference)
            # Named before its rules are made, because they may refer to it.
            name = self._references[reference] = f"{self._prefix}-ref{len(self._references)}"
            self.rules[name] = ""
            self.rules[name] = rule = self._add(target)
            # Rules that only name the next one, in a circle.
            while (rule := self.rules.get(rule, "")) in self.rules:
                if rule == name:
                    raise InvalidRequest(
                        f"The schema's {reference} refers to itself alone.", hint="Say what it is."
                    )
        return self._references[reference]

    def _lookup(self, reference: str) -> Any:
        found = self._document
        try:
            for step in reference.removeprefix("#").strip("/").split("/"):
                step = step.replace("~1", "/").replace("~0", "~")
                found = found[int(step)] if isinstance(found, list) else found[step] if step else found
        except (LookupError, TypeError, ValueError):
            raise InvalidRequest(
                f"The schema refers to {reference}, which is not there.", hint="Correct it."
            ) from None
        return found

    def _merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        merged = {name: value for name, value in schema.items() if name != "allOf"}
        for part in schema["allOf"]:
            if isinstance(part, Mapping) and "$ref" in part:
                part = self._lookup(str(part["$ref"]))
            merged = _both(merged, part)
        return merged

    def _choice(self, options: Iterable[str]) -> str:
        choice = " | ".join(dict.fromkeys(options))
        if not choice:
            raise InvalidRequest("The schema has a choice of no values.", hint="Correct it.")
        return self._named(choice)

    def _named(self, body: str) -> str:
        if body not in self._names:
            self._basic("ws")
            name = self._names[body] = f"{self._prefix}{len(self.rules)}"
            self.rules[name] = body
        return self._names[body]

    def _basic(self, name: str) -> str:
        if name not in self.rules:
            self.rules[name] = _BASICS[name]
            for other in re.findall(r"json-[a-z]+|\bws\b", _BASICS[name]):
                self._basic(other)
        return name


def grammar_of(root: str, rules: Mapping[str, str]) -> str:
    """Return the grammar whose texts match `root`."""
    return "\n".join([f"root ::= {root}", *(f"{name} ::= {body}" for name, body in rules.items()), ""])


def _both(one: Mapping[str, Any], other: Any) -> Any:
    """Return a schema for values that match both, as far as their keys can be put together."""
    if not isinstance(other, Mapping) or not one:
        return other if other is not True else dict(one)
    both = {**one, **other}
    if "properties" in one and "properties" in other:
        both["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        both["required"] = [*one["required"], *other["required"]]
    return both


def _implied(schema: Mapping[str, Any]) -> str:
    if "properties" in schema or "additionalProperties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else ""


def _natural(schema: Mapping[str, Any]) -> bool:
    bounds = (schema.get("minimum"), schema.get("exclusiveMinimum"))
    return any(isinstance(bound, int | float) and bound >= 0 for bound in bounds)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
