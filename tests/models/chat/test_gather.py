"""Pieces of replies, put together."""

from hypothesis import given
from hypothesis import strategies as st

from llmasos.models.chat.gather import Gathering
from llmasos.models.chat.port import CallDelta, ChatCall, ChatDelta, ChatMessage
from llmasos.models.engines.port import TokenUsage


@given(
    st.lists(st.tuples(st.integers(0, 3), st.text(max_size=4)), max_size=20), st.lists(st.text(max_size=4))
)
def test_pieces_of_calls_and_text_come_together_in_any_order(
    pieces: list[tuple[int, str]], texts: list[str]
) -> None:
    reply, begun = Gathering(), set[int]()
    for index, arguments in pieces:
        new = index not in begun
        begun.add(index)
        head = {"id": f"id{index}", "name": f"name{index}"} if new else {}
        reply.add(ChatDelta(calls=(CallDelta(index=index, arguments=arguments, **head),)))
    for text in texts:
        reply.add(ChatDelta(text=text))
    reply.add(ChatDelta(finish_reason="stop", usage=TokenUsage(input=1, output=2)))
    calls = tuple(
        ChatCall(
            id=f"id{index}",
            name=f"name{index}",
            arguments="".join(text for place, text in pieces if place == index),
        )
        for index in sorted(begun)
    )
    assert reply.message == ChatMessage(role="assistant", content="".join(texts), calls=calls)
    assert reply.finish_reason == "stop" and reply.usage == TokenUsage(input=1, output=2)
