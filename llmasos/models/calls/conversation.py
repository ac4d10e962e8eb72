"""The conversation as a small model is shown it, within the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart

from llmasos.models.calls.reminders import result_text, steps_of
from llmasos.models.calls.syntax import ANSWER, CallForm
from llmasos.models.engines.port import ContextExceeded, InvalidRequest, Turn
from llmasos.models.tokens import most_tokens

NOTED = "[notes]\n{notes}\n\n{request}"
"""A request with what the agent tells beside it."""

EARLIER = "[The earlier turns of this conversation, in short. What the person said in them still holds.]"
"""How a request begins that stands for the turns before all others; it is given up last."""

_MARKER = "\n[... {count} characters left out ...]\n"
# Results are cut to a share of the context before whole turns are given up.
_RESULT_SHARES = (4, 8, 16, 32)


@dataclass(frozen=True)
class Item:
    """One piece of the conversation, before it is fitted into the context.

    `notes` are what the agent tells the model beside a request; `failed` is a result that is none; `added` is
    a request that came before the one before it was answered, and adds to that.
    """

    kind: Literal["request", "reply", "result"]
    text: str
    tool: str = ""
    notes: str = ""
    failed: bool = False
    added: bool = False


def items_of(messages: Sequence[ModelMessage], forms: dict[str, CallForm]) -> list[Item]:
    """Return the conversation as requests of the person, replies of the model, and results.

    Raises:
        InvalidRequest: It holds what is no text.
    """
    items: list[Item] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            items += [item for part in message.parts if (item := _reply(part, forms)) is not None]
            continue
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                notes = message.instructions or ""
                added = bool(items) and items[-1].kind != "reply"
                items.append(Item("request", plain_text(part.content), notes=notes, added=added))
            elif part.part_kind == "tool-return":
                failed = part.outcome in ("failed", "retried")
                items.append(Item("result", part.model_response_str(), part.tool_name, failed=failed))
            elif part.part_kind == "retry-prompt":
                text = f"error: {part.model_response()}"
                items.append(Item("result", text, part.tool_name or "the reply", failed=True))
    return items


def newest_request(items: Sequence[Item]) -> int:
    """Return where the newest request is, not counting what was added to it; -1 where there is none."""
    return max((at for at, item in enumerate(items) if item.kind == "request" and not item.added), default=-1)


def asked_and_found(items: Sequence[Item]) -> tuple[str, str]:
    """Return the newest request, and all that was said and told beside it once something was found for it."""
    newest = newest_request(items)
    if newest < 0:
        return "", ""
    current = items[newest:]
    others = [text for item in items[:newest] for text in (item.notes, item.text)]
    others += [text for item in current for text in (item.notes, item.text if item.kind != "request" else "")]
    found = any(item.kind == "result" for item in current)
    return _asked(current), "\n".join(others) if found else ""


def _asked(items: Sequence[Item]) -> str:
    return "\n".join(item.text for item in items if item.kind == "request")


def _reply(part: Any, forms: dict[str, CallForm]) -> Item | None:
    if isinstance(part, TextPart) and part.content:
        return Item("reply", f"{ANSWER}{part.content}")
    if isinstance(part, ToolCallPart):
        form = forms.get(part.tool_name) or CallForm(name=part.tool_name, description="", parameters=())
        return Item("reply", form.write(part.args_as_dict()))
    return None


def plain_text(content: Any) -> str:
    """Return what a person's message says.

    Raises:
        InvalidRequest: It holds what is no text.
    """
    if isinstance(content, str):
        return content
    texts = [piece if isinstance(piece, str) else getattr(piece, "content", None) for piece in content]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("The model reads text only.", hint="Leave pictures, sound and files out.")
    return "\n".join(map(str, texts))


def fit(items: Sequence[Item], budget: int) -> tuple[Turn, ...]:
    """Return the conversation's turns within `budget` tokens.

    Long results lose their middle, then the oldest turns go; the newest request always stays, and so does
    what stands for turns that are told in short, while there is room.

    Raises:
        ContextExceeded: The newest request alone is too long.
    """
    earlier = 2 if items and items[0].text.startswith(EARLIER) else 0
    turns = _fit(items[:earlier], items[earlier:], budget) if earlier else None
    turns = turns or _fit((), items[earlier:], budget)
    if turns is None:
        raise ContextExceeded(
            "The request is too long for the model.",
            hint="Put the text into a file and name the file instead.",
        )
    return turns


def _fit(earlier: Sequence[Item], items: Sequence[Item], budget: int) -> tuple[Turn, ...] | None:
    """Return as much of the items as fits behind the earlier ones; None where the newest request does not."""
    newest = max(newest_request(items), 0)
    for share in _RESULT_SHARES:
        cut = [_shorten(item, budget // share) for item in items]
        start = 0
        while start <= newest:
            turns = _turns((*earlier, *cut[start:]))
            if sum(most_tokens(turn.content) for turn in turns) <= budget:
                return turns
            start = _next_request(items, start, newest)
    current = [_shorten(item, budget // _RESULT_SHARES[-1]) for item in items[newest:]]
    while gone := [at for at, item in enumerate(current) if item.kind != "request"][:2]:
        current = [item for at, item in enumerate(current) if at not in gone]
        turns = _turns((*earlier, *current))
        if sum(most_tokens(turn.content) for turn in turns) <= budget:
            return turns
    return None


def _next_request(items: Sequence[Item], start: int, newest: int) -> int:
    further = range(start + 1, newest + 1)
    return next((at for at in further if items[at].kind == "request" and not items[at].added), newest + 1)


def _shorten(item: Item, limit: int) -> Item:
    if item.kind != "result" or most_tokens(item.text) <= limit:
        return item
    keep = max(40, len(item.text) * limit // most_tokens(item.text) // 2)
    left_out = len(item.text) - 2 * keep
    if left_out <= 0:
        return item
    return replace(item, text=item.text[:keep] + _MARKER.format(count=left_out) + item.text[-keep:])


def _turns(items: Sequence[Item]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    request = ""
    noted = ""
    left = 0
    for item in items:
        text = item.text
        if item.kind == "request":
            request = f"{request}\n{text}" if item.added else text
            left = steps_of(text) + (left if item.added else 0)
        elif item.kind == "result":
            left -= not item.failed
            text = result_text(item.tool, text, request, more=left > 0, failed=item.failed)
        # Where they first held, and not again: what the engine has read so far stays as it is.
        if item.notes and item.notes != noted:
            noted = item.notes
            text = NOTED.format(notes=noted, request=text)
        role: Literal["user", "assistant"] = "assistant" if item.kind == "reply" else "user"
        if turns and turns[-1].role == role:
            turns[-1] = Turn(role=role, content=f"{turns[-1].content}\n\n{text}")
        else:
            turns.append(Turn(role=role, content=text))
    return tuple(turns)
