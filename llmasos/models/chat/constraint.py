"""Grammars of replies in a model's own tool format: text, and calls that obey the tools' schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from llmasos.models.calls.schema import SchemaRules, grammar_of, literal
from llmasos.models.chat.formats import CallFormat
from llmasos.models.chat.port import ChatTool


def reply_grammar(
    form: CallFormat,
    tools: Sequence[ChatTool],
    *,
    opened: bool,
    parallel: bool,
    schema: dict[str, Any] | None = None,
    thoughts: tuple[str, str] | None = None,
    thinking: bool = False,
) -> str:
    """Return the grammar (GBNF) of one reply.

    Args:
        form: How the model writes calls.
        tools: What may be called.
        opened: Whether the prompt ends with the opening, so that the reply has to be a call.
        parallel: Whether there may be several calls.
        schema: What the text has to match; None is any text.
        thoughts: The texts before and after a thought; None where the model does not think.
        thinking: Whether the prompt began a thought.

    Raises:
        InvalidRequest: A schema cannot be read.
    """
    rules: dict[str, str] = {}
    calls = [_call(form, tool, f"tool{number}-value", rules) for number, tool in enumerate(tools)]
    rules["call"] = " | ".join(calls)
    rules["calls"] = _calls(form, opened=opened, parallel=parallel)
    if opened:
        return grammar_of("calls", rules)
    if schema is not None:
        values = SchemaRules(schema, prefix="text-value")
        rules["text"] = values.add(schema)
        rules |= values.rules
        root = "text | calls"
    else:
        rules |= _text(form)
        root = "calls | text" if form.bare else "text calls?"
        root = f"{root} | text calls" if form.bare and form.listed else root
    if thoughts is not None:
        opening, closing = thoughts
        begins = "" if thinking else f"[\\n]? {literal(opening)} "
        rules |= without(closing, "thought")
        rules["thinking"] = f'{begins}thought {literal(closing)} "\\n"? "\\n"?'
        root = f"thinking ({root})" if thinking else f"thinking? ({root})"
    return grammar_of(root, rules)


def without(marker: str, name: str) -> dict[str, str]:
    """Return the rules of a text of any length in which the marker does not occur.

    The marker's first character may not occur in it again, so that where it fails it can only begin anew.
    """
    first = _class(marker[0])
    begun = [marker[:length] for length in range(1, len(marker))]
    failed = [f"{literal(part)} [^{first}{_class(marker[len(part)])}]" for part in begun]
    return {
        f"{name}-plain": f"[^{first}]+",
        f"{name}-begun": " | ".join(map(literal, begun)),
        f"{name}-failed": " | ".join(failed),
        # A rule that names itself is not made into one token by matchers that read the longest token first.
        name: f'({name}-plain | {name}-begun* {name}-failed)* {name}-begun* | "\\x00" {name}',
    }


def _call(form: CallFormat, tool: ChatTool, prefix: str, rules: dict[str, str]) -> str:
    schema = tool.parameters or {"type": "object", "properties": {}, "additionalProperties": False}
    values = SchemaRules(schema, prefix=prefix)
    # Arguments are an object, whatever the schema forgets to say.
    arguments = values.add({"type": "object", **schema} if "$ref" not in schema else schema)
    rules |= values.rules
    begin = f'{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "{form.arguments}": '
    return f'{literal(begin)} {arguments} "}}"'


def _calls(form: CallFormat, *, opened: bool, parallel: bool) -> str:
    opening, closing = literal(form.opening), literal(form.closing) if form.closing else ""
    one = f'"\\n"? call "\\n"? {closing}' if closing else "call"
    if form.listed:
        more = f" ({literal(form.separator)} call)*" if parallel else ""
        listed = f'"[" call{more} "]"'
        return listed if opened else f"{opening}? {listed}"
    between = f"{literal(form.separator)}? {opening}" if closing else literal(form.separator)
    more = f" ({between} {one})*" if parallel else ""
    return f"{one}{more}" if opened or form.bare else f"{opening} {one}{more}"


def _text(form: CallFormat) -> dict[str, str]:
    if form.bare is None:
        return without(form.opening, "text")
    if form.listed:
        return {**without(form.opening, "rest"), "text": r"([^\[ \t\r\n] rest)?"}
    return {"text": r"([^{ \t\r\n] [^\x00]*)?"}


def _class(char: str) -> str:
    return re.sub(r"[\\\]\[^-]", lambda match: f"\\x{ord(match.group()):02x}", char)
