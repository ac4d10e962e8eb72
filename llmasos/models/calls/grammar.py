"""Grammars (GBNF, the form of llama.cpp) that allow exactly the calls of given tools, or an answer."""

from __future__ import annotations

import json
import re
from typing import Any

from llmasos.models.calls.syntax import ANSWER, CallForm, Parameter, alternatives

_SHARED = r"""
string ::= "\"" char* "\""
char ::= [^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F])
integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
number ::= integer ("." [0-9]{1,15})?
boolean ::= "True" | "False"
json ::= string | number | "true" | "false" | "null" | array | object
array ::= "[" (json (", " json)*)? "]"
object ::= "{" (string ": " json (", " string ": " json)*)? "}"
blank ::= ("\n" "\n"?)?
body3 ::= (blank line3)*
line3 ::= ([^`\n] [^\n]* | "`" ([^`\n] [^\n]*)? | "``" ([^`\n] [^\n]*)?) "\n"
body4 ::= (blank line4)*
line4 ::= ([^`\n] [^\n]* | "`" "`"? "`"? ([^`\n] [^\n]*)?) "\n"
answer-text ::= [^\n] ([^\n] | "\n" [^\n] | "\n\n" [^\n])*
""".strip()


def grammar(forms: tuple[CallForm, ...], *, answer: bool = True) -> str:
    """Return the grammar of one reply: a call of one of the tools, or an answer.

    Args:
        forms: The tools.
        answer: Whether free text is allowed.

    Source: the GBNF guide of llama.cpp. Optional arguments come in the order of the schema, any
    subset of them, after the required ones.
    """
    rules: list[str] = []
    roots = [f"{_text(ANSWER)} answer-text"] if answer else []
    for number, form in enumerate(forms):
        roots.append(f"tool{number}")
        rules += _tool(f"tool{number}", form)
    return "\n".join([f"root ::= {' | '.join(roots)}", *rules, _SHARED, ""])


def _tool(rule: str, form: CallForm) -> list[str]:
    rules: list[str] = []
    call = _text(form.name)
    if form.parameters or not form.block:
        call += f' "(" {rule}-first0 ")"'
    if form.block:
        opening = _text(f"```{form.language}\n")
        call += f' "\\n" ({opening} body3 "```" | "`" {opening} body4 "````")'
    rules.append(f"{rule} ::= {call}")
    last = len(form.parameters)
    for number, parameter in enumerate(form.parameters):
        given = f"{_text(parameter.name + '=')} {_parameter(parameter)} {rule}-rest{number + 1}"
        later = f" | {rule}-rest{number + 1}" if not parameter.required else ""
        first = f" | {rule}-first{number + 1}" if not parameter.required else ""
        rules.append(f'{rule}-rest{number} ::= ", " {given}{later}')
        rules.append(f"{rule}-first{number} ::= {given}{first}")
    if form.parameters or not form.block:
        rules += [f'{rule}-rest{last} ::= ""', f'{rule}-first{last} ::= ""']
    return rules


def _parameter(parameter: Parameter) -> str:
    return _value(parameter.json_schema)


def _value(schema: dict[str, Any]) -> str:
    options = alternatives(schema)
    if len(options) != 1:
        return f"({' | '.join(dict.fromkeys(map(_value, options)))})" if options else '"None"'
    schema = options[0]
    if "const" in schema:
        return _constant(schema["const"])
    if "enum" in schema:
        return f"({' | '.join(map(_constant, schema['enum']))})"
    kind = schema.get("type")
    if kind == "array":
        item = _value(schema.get("items", {}))
        return f'("[" ({item} (", " {item})*)? "]")'
    simple = {
        "string": "string",
        "integer": "integer",
        "number": "number",
        "boolean": "boolean",
        "object": "object",
    }
    return simple.get(str(kind), "json")


def _constant(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return _text(str(value))
    return _text(json.dumps(value, ensure_ascii=False))


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + re.sub(r"[\x00-\x1f]", lambda match: f"\\x{ord(match.group()):02x}", escaped) + '"'
