"""Grammars (GBNF, the form of llama.cpp) that allow exactly the calls of given tools, or an answer."""

from __future__ import annotations

import json
from typing import Any

from llmasos.models.calls.reminders import Scripts
from llmasos.models.calls.schema import SchemaRules, literal
from llmasos.models.calls.syntax import ANSWER, CallForm, Parameter, alternatives

_SIMPLE = ("string", "integer", "number")
_PLAIN_ARRAY = {"type", "items", "title", "description", "default"}
_OBJECT = {"properties", "additionalProperties", "required"}
_SHARED = r"""
boolean ::= "True" | "False"
blank ::= ("\n" "\n"?)?
body3 ::= (blank line3)*
line3 ::= ([^`\n] [^\n]* | "`" ([^`\n] [^\n]*)? | "``" ([^`\n] [^\n]*)?) "\n"
body4 ::= (blank line4)*
line4 ::= ([^`\n] [^\n]* | "`" "`"? "`"? ([^`\n] [^\n]*)?) "\n"
""".strip()
_SIGNS = r" -@\[-`{-~“”‘’«»–—…"
_CJK = r"\u3000-\u30ff\u3400-\u9fff\uff00-\uffef"
# Its first letter decides the language that a small model goes on in.
_FIRST: dict[Scripts, str] = {
    "any": r"[^\n] answer-rest",
    "begins latin": rf"[{_SIGNS}]* [^\n{_SIGNS}{_CJK}] answer-rest | [{_SIGNS}]+",
    "latin": rf"[^\n{_CJK}] answer-rest",
}


def grammar(forms: tuple[CallForm, ...], *, answer: bool = True, scripts: Scripts = "any") -> str:
    """Return the grammar of one reply: a call of one of the tools, or an answer.

    Args:
        forms: The tools.
        answer: Whether free text is allowed.
        scripts: What such a text may be written in.

    Source: the GBNF guide of llama.cpp. Optional arguments come in the order of the schema, any
    subset of them, after the required ones.
    """
    rules: list[str] = []
    roots = [f"{literal(ANSWER)} answer-text"] if answer else []
    for number, form in enumerate(forms):
        roots.append(f"tool{number}")
        rules += _tool(f"tool{number}", form)
    # Tools share the rules of their nested values.
    return "\n".join([f"root ::= {' | '.join(roots)}", *dict.fromkeys(rules), _SHARED, *_text(scripts), ""])


def _text(scripts: Scripts) -> tuple[str, str]:
    """Return the rules of an answer: no more than one line is left empty."""
    sign = rf"[^\n{_CJK}]" if scripts == "latin" else r"[^\n]"
    rest = rf'answer-rest ::= ({sign} | "\n" {sign} | "\n\n" {sign})*'
    return f"answer-text ::= {_FIRST[scripts]}", rest


def _tool(rule: str, form: CallForm) -> list[str]:
    rules: list[str] = []
    nested = SchemaRules({}, prefix=f"{rule}-value")
    call = literal(form.name)
    if form.parameters or not form.block:
        call += f' "(" {rule}-first0 ")"'
    if form.block:
        opening = literal(f"```{form.language}\n")
        call += f' "\\n" ({opening} body3 "```" | "`" {opening} body4 "````")'
    rules.append(f"{rule} ::= {call}")
    last = len(form.parameters)
    for number, parameter in enumerate(form.parameters):
        given = f"{literal(parameter.name + '=')} {_parameter(parameter, nested)} {rule}-rest{number + 1}"
        later = f" | {rule}-rest{number + 1}" if not parameter.required else ""
        first = f" | {rule}-first{number + 1}" if not parameter.required else ""
        rules.append(f'{rule}-rest{number} ::= ", " {given}{later}')
        rules.append(f"{rule}-first{number} ::= {given}{first}")
    if form.parameters or not form.block:
        rules += [f'{rule}-rest{last} ::= ""', f'{rule}-first{last} ::= ""']
    return rules + [f"{name} ::= {body}" for name, body in nested.rules.items()]


def _parameter(parameter: Parameter, nested: SchemaRules) -> str:
    value = _value(parameter.json_schema, nested)
    # An argument that can be left out is, rather than given as nothing.
    return f'({value} | "None")' if parameter.required and _nullable(parameter.json_schema) else value


def _nullable(schema: dict[str, Any]) -> bool:
    options = schema.get("anyOf") or schema.get("oneOf") or [schema]
    kinds = [option.get("type") for option in options]
    return (len(options) > 1 and "null" in kinds) or any(isinstance(k, list) and "null" in k for k in kinds)


def _value(schema: dict[str, Any], nested: SchemaRules) -> str:
    options = alternatives(schema)
    if len(options) != 1:
        values = dict.fromkeys(_value(option, nested) for option in options)
        return f"({' | '.join(values)})" if options else '"None"'
    schema = options[0]
    if "const" in schema:
        return _constant(schema["const"])
    if "enum" in schema:
        return f"({' | '.join(map(_constant, schema['enum']))})"
    kind = schema.get("type")
    if kind == "array" and schema.keys() <= _PLAIN_ARRAY and schema.get("items", {}).get("type") in _SIMPLE:
        item = _value(schema["items"], nested)
        return f'("[" ({item} (", " {item})*)? "]")'
    if kind == "array" or (kind == "object" and schema.keys() & _OBJECT):
        return nested.add(schema)
    return "boolean" if kind == "boolean" else nested.basic(str(kind))


def _constant(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return literal(str(value))
    return literal(json.dumps(value, ensure_ascii=False))
