"""Call syntax, written and read back."""

from typing import Any

import pytest
from pydantic_ai.tools import ToolDefinition

from benchmarks.model_tools import tools
from llmasos.models.calls.syntax import CallForm, CallSyntaxError, forms_of, parse_call


def forms() -> dict[str, CallForm]:
    return forms_of(tools())


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("run_python", {"code": "print(\"a\", 'b')\n\n# 中文\n"}),
        ("run_python", {"code": 'text = """\n```python\n1\n```\n"""\n'}),
        ("write_file", {"path": "a b/中.md", "content": "# 标题\n\n`x`\n``y``\n"}),
        ("write_file", {"path": "empty.txt", "content": "\n"}),
        ("edit_file", {"path": "a", "old": 'say "hi"\n\tback\\slash', "new": "é\u2028🙂"}),
        ("list_files", {}),
        ("list_files", {"pattern": "*, (x)=1"}),
        ("read_file", {"path": "x", "offset": -3, "limit": 10}),
        ("run_shell", {"command": "echo ')' \"$(date)\"", "timeout": 2.5}),
        ("translate", {"target_language": "English", "text": None}),
    ],
)
def test_a_call_survives_writing_and_reading(tool: str, arguments: dict[str, Any]) -> None:
    text = forms()[tool].write(arguments)
    call = parse_call(text, forms())
    assert (call.tool, call.arguments) == (tool, arguments)


def test_nested_and_literal_arguments_are_read() -> None:
    schema = {
        "properties": {"items": {"type": "array"}, "deep": {"type": "object"}, "on": {"type": "boolean"}}
    }
    form = CallForm.of(ToolDefinition(name="t", parameters_json_schema=schema))
    call = parse_call('t(items=["a", 1], deep={"k": [true, null]}, on=True)', {"t": form})
    assert call.arguments == {"items": ["a", 1], "deep": {"k": [True, None]}, "on": True}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "remove_everything()",
        'read_file(path="a',
        'read_file(path="a"',
        'read_file("a")',
        'read_file(path="a") and more',
        "run_python\n```python\nprint(1)\n",
        'write_file(path="a")',
        "read_file(path=a)",
        "read_file(path=NaN)",
        "read_file(path=-1e999)",
        r'read_file(path="\ud800")',
        f"read_file(path={'[' * 100_000})",
    ],
)
def test_what_is_not_one_complete_call_is_refused(text: str) -> None:
    with pytest.raises(CallSyntaxError):
        parse_call(text, forms())


def test_a_signature_shows_required_arguments_first_and_defaults() -> None:
    schema = {
        "properties": {"a": {"type": "integer", "default": 3}, "b": {"enum": ["x", "y"]}},
        "required": ["b"],
    }
    form = CallForm.of(ToolDefinition(name="t", description="does\nit", parameters_json_schema=schema))
    assert form.signature() == 't(b: "x" | "y", a: int = 3)  does it'


def test_references_in_schemas_are_resolved_and_recursion_ends() -> None:
    schema = {
        "properties": {"node": {"$ref": "#/$defs/Node"}},
        "required": ["node"],
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    }
    form = CallForm.of(ToolDefinition(name="t", parameters_json_schema=schema))
    assert form.parameters[0].json_schema["type"] == "object"
