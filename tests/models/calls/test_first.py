"""What a request has to begin with."""

import pytest
from pydantic_ai.tools import ToolDefinition

from llmasos.models.calls.conversation import Item
from llmasos.models.calls.first import first_calls

TOOLS = [
    ToolDefinition(name="script", metadata={"looks": True}),
    ToolDefinition(name="write", metadata={"looks": False}),
]


@pytest.mark.parametrize("text", ["你好", "What is a checksum?", "how many people live in Oslo?"])
def test_a_request_without_files_leaves_the_model_free(text: str) -> None:
    assert first_calls([Item("request", text)], TOOLS) is None


@pytest.mark.parametrize("text", ["create hello.sh", "把 a.txt 翻译成英文", "what is in this folder"])
def test_a_request_about_files_begins_with_a_call(text: str) -> None:
    assert first_calls([Item("request", text)], TOOLS) == frozenset({"script", "write"})


@pytest.mark.parametrize(
    "text", ["which file is the largest?", "write a.md with a table of the files", "有多少个文件"]
)
def test_a_request_for_facts_begins_with_a_look(text: str) -> None:
    assert first_calls([Item("request", text)], TOOLS) == frozenset({"script"})


def test_after_a_look_the_model_is_free() -> None:
    items = [Item("request", "which file is the largest?"), Item("reply", "script()"), Item("result", "a")]
    assert first_calls(items, TOOLS) is None


def test_a_long_text_is_looked_through_once() -> None:
    # Read again from each of its words, this would take hours.
    text = "a-" * 500_000
    assert first_calls([Item("request", text)], TOOLS) is None
    assert first_calls([Item("request", f"{text} b.md")], TOOLS) == frozenset({"script", "write"})


def test_what_is_added_after_a_look_leaves_the_model_free() -> None:
    added = Item("request", "only .txt files, please", added=True)
    request = Item("request", "which file is the largest?")
    assert first_calls([request, added], TOOLS) == frozenset({"script"})
    assert first_calls([request, Item("reply", "script()"), Item("result", "a"), added], TOOLS) is None
