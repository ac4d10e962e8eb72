"""The output of a response: pieces of a chat's reply become items, and the events that tell of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmasos.models.chat.port import CallDelta, ChatDelta
from llmasos.models.engines.port import TokenChoice
from llmasos.service.openai.endpoint import Json
from llmasos.service.openai.shapes import logprob_list, new_id


@dataclass
class _Text:
    place: int
    id: str = field(default_factory=lambda: new_id("msg_"))
    texts: list[str] = field(default_factory=list)
    logprobs: list[TokenChoice] = field(default_factory=list)

    @property
    def part(self) -> Json:
        text = "".join(self.texts)
        return {
            "type": "output_text",
            "text": text,
            "annotations": [],
            "logprobs": logprob_list(self.logprobs),
        }

    def item(self, status: str) -> Json:
        content = [] if status == "in_progress" else [self.part]
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }


@dataclass
class _Call:
    place: int
    call_id: str
    name: str
    id: str = field(default_factory=lambda: new_id("fc_"))
    pieces: list[str] = field(default_factory=list)

    def item(self, status: str) -> Json:
        return {
            "id": self.id,
            "type": "function_call",
            "status": status,
            "call_id": self.call_id,
            "name": self.name,
            "arguments": "".join(self.pieces),
        }


class Output:
    """Output items as they come; each change is told as events."""

    def __init__(self) -> None:
        self._open: list[_Text | _Call] = []
        self._text: _Text | None = None
        self._calls: dict[int, _Call] = {}

    def add(self, delta: ChatDelta) -> list[Json]:
        """Take the next piece and return its events."""
        events = []
        if delta.text or delta.logprobs:
            events += self._add_text(delta)
        for call in delta.calls:
            events += self._add_call(call)
        return events

    def items(self, status: str) -> list[Json]:
        """Return the items; those that were cut off have the status `incomplete`."""
        return [item.item(status) for item in self._open]

    def end(self, status: str) -> list[Json]:
        """Return the events of the end."""
        events = []
        for item in self._open:
            events += _text_done(item) if isinstance(item, _Text) else _call_done(item)
            done = {"output_index": item.place, "item": item.item(status)}
            events.append({"type": "response.output_item.done", **done})
        return events

    def _add_text(self, delta: ChatDelta) -> list[Json]:
        events = []
        if self._text is None:
            self._text = _Text(len(self._open))
            self._open.append(self._text)
            events += [_added(self._text), _part_event("added", self._text)]
        self._text.texts.append(delta.text)
        self._text.logprobs += delta.logprobs
        logprobs = _brief(logprob_list(delta.logprobs))
        body = {"delta": delta.text, "logprobs": logprobs}
        return [*events, {"type": "response.output_text.delta", **_in_text(self._text), **body}]

    def _add_call(self, delta: CallDelta) -> list[Json]:
        events = []
        call = self._calls.get(delta.index)
        if call is None:
            call = self._calls[delta.index] = _Call(len(self._open), delta.id, delta.name)
            self._open.append(call)
            events.append(_added(call))
            # Text that comes after a call is another message.
            self._text = None
        if delta.arguments:
            call.pieces.append(delta.arguments)
            where = {"item_id": call.id, "output_index": call.place}
            kind = "response.function_call_arguments.delta"
            events.append({"type": kind, **where, "delta": delta.arguments})
        return events


def _added(item: _Text | _Call) -> Json:
    shown = item.item("in_progress")
    return {"type": "response.output_item.added", "output_index": item.place, "item": shown}


def _in_text(text: _Text) -> Json:
    return {"item_id": text.id, "output_index": text.place, "content_index": 0}


def _part_event(what: str, text: _Text) -> Json:
    return {"type": f"response.content_part.{what}", **_in_text(text), "part": text.part}


def _text_done(text: _Text) -> list[Json]:
    part = text.part
    body = {"text": part["text"], "logprobs": _brief(part["logprobs"])}
    return [
        {"type": "response.output_text.done", **_in_text(text), **body},
        _part_event("done", text),
    ]


def _brief(logprobs: list[Json]) -> list[Json]:
    """Return tokens as events have them, which is without their bytes."""
    return [
        {
            "token": token["token"],
            "logprob": token["logprob"],
            "top_logprobs": [
                {"token": other["token"], "logprob": other["logprob"]} for other in token["top_logprobs"]
            ],
        }
        for token in logprobs
    ]


def _call_done(call: _Call) -> list[Json]:
    # Older clients of OpenAI's declare the name here.
    where = {"item_id": call.id, "output_index": call.place, "name": call.name}
    arguments = "".join(call.pieces)
    return [{"type": "response.function_call_arguments.done", **where, "arguments": arguments}]
