"""The chat that a small model is shown."""

import re
from typing import Any

import pytest
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.tools import ToolDefinition

from benchmarks.model_tools import tools
from llmasos.models.calls.conversation import EARLIER, Item, asked_and_found, fit, items_of
from llmasos.models.calls.prefix import LOOK_BELOW, prefix_of
from llmasos.models.calls.syntax import forms_of
from llmasos.models.engines.port import ContextExceeded, InvalidRequest
from llmasos.models.tokens import most_tokens


def test_the_prefix_is_the_same_for_the_same_tools() -> None:
    assert prefix_of(tools(), forms_of(tools())) == prefix_of(tools(), forms_of(tools()))


def test_the_prefix_alternates_and_shows_only_tools_that_are_there() -> None:
    few = [tool for tool in tools() if tool.name in ("translate", "list_files")]
    prefix = prefix_of(few, forms_of(few))
    roles = [turn.role for turn in prefix]
    assert roles == ["system", *["user", "assistant"] * (len(prefix) // 2)]
    assert not any("run_python" in turn.content for turn in prefix)


def test_a_model_of_one_language_is_shown_examples_in_it() -> None:
    whole, english = prefix_of(tools(), forms_of(tools())), prefix_of(tools(), forms_of(tools()), ("en",))
    assert len(english) < len(whole) and english[0] == whole[0]
    assert not any(re.search("[一-龥]", turn.content) for turn in english[1:])
    roles = [turn.role for turn in english]
    assert roles == ["system", *["user", "assistant"] * (len(english) // 2)]


def test_messages_become_requests_calls_and_results() -> None:
    call = ToolCallPart("read_file", {"path": "a"})
    messages: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart("看 a")], instructions="today is Monday"),
        ModelResponse(parts=[call]),
        ModelRequest(parts=[ToolReturnPart("read_file", "text of a", call.tool_call_id)]),
        ModelResponse(parts=[TextPart("done")]),
    ]
    turns = fit(items_of(messages, forms_of(tools())), 4000)
    assert [turn.role for turn in turns] == ["user", "assistant", "user", "assistant"]
    assert turns[0].content == "[notes]\ntoday is Monday\n\n看 a"
    assert turns[1].content == 'read_file(path="a")'
    assert turns[2].content.startswith("[result of read_file]\ntext of a\n[请用中文")
    assert turns[3].content == "Answer: done"


def test_pictures_are_refused_and_not_left_out() -> None:
    picture = BinaryContent(b"x", media_type="image/png")
    with pytest.raises(InvalidRequest, match="text only"):
        items_of([ModelRequest(parts=[UserPromptPart(["what is this?", picture])])], {})
    (item,) = items_of([ModelRequest(parts=[UserPromptPart(["one", "two"])])], {})
    assert item.text == "one\ntwo"


def test_notes_are_shown_where_they_first_held() -> None:
    items = [
        Item("request", "one", notes="it rains"),
        Item("reply", "Answer: 1"),
        Item("request", "two", notes="it rains"),
        Item("reply", "Answer: 2"),
        Item("request", "three", notes="it snows"),
    ]
    turns = [turn.content for turn in fit(items, 4000)]
    assert turns[0] == "[notes]\nit rains\n\none"
    assert turns[2] == "two"
    assert turns[4] == "[notes]\nit snows\n\nthree"


def test_a_long_result_loses_its_middle() -> None:
    items = [Item("request", "read"), Item("reply", "r()"), Item("result", "A" * 9000 + "Z" * 9000, "r")]
    turns = fit(items, 1000)
    assert sum(most_tokens(turn.content) for turn in turns) <= 1000
    assert "AAA" in turns[-1].content and "ZZZ" in turns[-1].content and "left out" in turns[-1].content


def test_the_oldest_turns_go_first_and_the_newest_request_stays() -> None:
    items = [
        item
        for number in range(30)
        for item in (Item("request", f"request {number} " + "x" * 300), Item("reply", f"Answer: {number}"))
    ] + [Item("request", "the newest")]
    turns = fit(items, 600)
    text = "\n".join(turn.content for turn in turns)
    assert turns[0].role == "user"
    assert "the newest" in text and "request 29" in text and "request 0 " not in text


def test_many_results_of_one_request_are_cut_to_the_newest() -> None:
    items = [Item("request", "do it all")]
    for number in range(60):
        items += [Item("reply", f"step{number}()"), Item("result", f"result {number} " + "y" * 200, "step")]
    turns = fit(items, 800)
    assert turns[0].content == "do it all"
    assert "result 59" in turns[-1].content


def test_a_request_that_cannot_fit_is_refused() -> None:
    with pytest.raises(ContextExceeded):
        fit([Item("request", "z" * 90_000)], 1000)


def test_what_others_made_is_named_and_shown_last() -> None:
    made = ToolDefinition(
        name="weigh",
        parameters_json_schema={"properties": {"path": {"type": "string"}}, "required": ["path"]},
        metadata={
            "added": True,
            "examples": [{"request": "how heavy is a.txt?", "call": 'weigh(path="a.txt")'}],
        },
    )
    with_it = [made, *tools()]
    prefix = prefix_of(with_it, forms_of(with_it))
    last = f"[notes]\nFiles: a.txt\n{LOOK_BELOW}\n\nhow heavy is a.txt?"
    assert [turn.content for turn in prefix[-2:]] == [last, 'weigh(path="a.txt")']
    assert "Where one of weigh does what is asked" in prefix[0].content
    assert "Where one of" not in prefix_of(tools(), forms_of(tools()))[0].content


def test_a_small_context_gets_fewer_examples_and_one_of_each_tool() -> None:
    offered_tools = tools()
    whole = prefix_of(offered_tools, forms_of(offered_tools))
    size = sum(most_tokens(turn.content) for turn in whole)
    assert prefix_of(offered_tools, forms_of(offered_tools), most=size) == whole
    most = size * 3 // 4
    less = prefix_of(offered_tools, forms_of(offered_tools), most=most)
    assert size > most >= sum(most_tokens(turn.content) for turn in less)
    assert less[0] == whole[0], "every tool is still named"
    calls = [turn.content for turn in less[2::2]]
    for tool in offered_tools:
        if examples := (tool.metadata or {}).get("examples", ()):
            assert examples[0]["call"] in calls, tool.name


def test_what_was_asked_is_told_from_what_was_found() -> None:
    items = [
        Item("request", "hello"),
        Item("reply", "Answer: hi"),
        Item("request", "what does 退货.txt say?", notes="Files: 退货.txt"),
        Item("result", "30 days", "read_file"),
    ]
    asked, found = asked_and_found(items)
    assert asked == "what does 退货.txt say?"
    assert found.split("\n") == ["", "hello", "", "Answer: hi", "Files: 退货.txt", "", "", "30 days"]
    assert asked_and_found(items[:3]) == (asked, "")
    assert asked_and_found([]) == ("", "")


def test_a_result_reminds_of_steps_that_are_left() -> None:
    items = [
        Item("request", "read a.md, then write its title to b.md"),
        Item("reply", 'read_file(path="a.md")'),
        Item("result", "# Tea", "read_file"),
        Item("reply", 'write_file(path="b.md")'),
        Item("result", "Wrote b.md.", "write_file"),
    ]
    turns = fit(items, 1000)
    assert "If “read a.md, then write its title to b.md” asks for more, go on with it." in turns[2].content
    assert "asks for more" not in turns[4].content


def test_what_failed_is_told_so_and_no_step() -> None:
    items = [
        Item("request", "read a.md, then write its title to b.md"),
        Item("reply", 'read_file(path="A.md")'),
        Item("result", "There is no file A.md.", "read_file", failed=True),
        Item("reply", 'read_file(path="a.md")'),
        Item("result", "# Tea", "read_file"),
    ]
    turns = fit(items, 1000)
    assert "That failed." in turns[2].content and "asks for more" not in turns[2].content
    assert "That failed." not in turns[4].content and "asks for more" in turns[4].content


@pytest.mark.parametrize(
    ("outcome", "failed"), [("success", False), ("failed", True), ("retried", True), ("denied", False)]
)
def test_a_tool_that_failed_is_known(outcome: Any, failed: bool) -> None:
    part = ToolReturnPart("read_file", "text", "c1", outcome=outcome)
    assert [item.failed for item in items_of([ModelRequest(parts=[part])], {})] == [failed]


def test_what_is_added_to_a_request_stays_with_it() -> None:
    call = ToolCallPart("read_file", {"path": "a"})
    returned = ToolReturnPart("read_file", "text of a", call.tool_call_id)
    messages: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart("answer the old question")]),
        ModelResponse(parts=[TextPart("done")]),
        ModelRequest(parts=[UserPromptPart("read a and then write b")]),
        ModelResponse(parts=[call]),
        ModelRequest(parts=[returned, UserPromptPart("in 中文")]),
        ModelResponse(parts=[ToolCallPart("read_file", {"path": "c"}, tool_call_id="2")]),
        ModelRequest(parts=[ToolReturnPart("read_file", "text of c", tool_call_id="2")]),
    ]
    items = items_of(messages, forms_of(tools()))
    assert [item.text for item in items if item.added] == ["in 中文"]
    asked, others = asked_and_found(items)
    assert asked == "read a and then write b\nin 中文"
    assert "old question" in others and "text of c" in others and "in 中文" not in others
    turns = fit(items, 4000)
    assert turns[4].content.startswith("[result of read_file]\ntext of a\n[")
    assert turns[4].content.endswith("\n\nin 中文")
    assert "read a and then write b in 中文" in turns[-1].content and "请用中文回答" in turns[-1].content


def test_a_request_and_what_was_added_outlast_its_results() -> None:
    items = [Item("request", "before"), Item("reply", "Answer: x"), Item("request", "do it all")]
    for number in range(60):
        items += [Item("reply", f"step{number}()"), Item("result", f"result {number} " + "y" * 200, "step")]
        if number == 2:
            items.append(Item("request", "but not b", added=True))
    turns = fit(items, 800)
    assert turns[0].content.startswith("do it all") and "but not b" in turns[0].content
    assert "result 59" in turns[-1].content and "result 3 " not in turns[0].content


def test_what_stands_for_earlier_turns_is_given_up_last() -> None:
    head = [Item("request", f"{EARLIER}\n1. Person: always in French"), Item("reply", "Answer: I see.")]
    turns = [
        item
        for number in range(30)
        for item in (Item("request", f"request {number} " + "x" * 300), Item("reply", f"Answer: {number}"))
    ]
    text = "\n".join(turn.content for turn in fit([*head, *turns, Item("request", "the newest")], 600))
    assert "always in French" in text and "the newest" in text and "request 0 " not in text
    # Without room for both, the request alone stays.
    text = "\n".join(turn.content for turn in fit([*head, Item("request", "y" * 600)], 220))
    assert "always in French" not in text and "yyy" in text
