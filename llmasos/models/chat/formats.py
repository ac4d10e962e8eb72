"""Tool formats: how families of models write calls, and their text read back as it comes."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass
from typing import Any

from llmasos.errors import ModelError
from llmasos.models.catalog.profile import ToolFormat
from llmasos.models.chat.port import CallDelta, ChatDelta, new_call_id
from llmasos.models.chat.text import held
from llmasos.models.untrusted import read_json

_ARGUMENTS = ("arguments", "parameters")


@dataclass(frozen=True)
class CallFormat:
    """How calls are written: objects with a name and arguments, after an opening.

    Args:
        opening: The text before calls; a model whose opening is a special token may not show it.
        closing: The text after one call, or empty.
        arguments: The key of the arguments.
        bare: Matches the beginning of a reply that is a call without an opening; None where there is none.
        listed: Whether one opening stands before a JSON list of all calls.
        separator: What stands between two calls.
    """

    opening: str
    arguments: str
    closing: str = ""
    bare: re.Pattern[str] | None = None
    listed: bool = False
    separator: str = ""

    @property
    def forced(self) -> str:
        """What a prompt ends with after which the model has to write a call."""
        return "" if self.bare is not None and not self.listed else self.opening

    def call_id(self) -> str:
        """Return the id of a new call."""
        # Templates of Mistral's models refuse ids of another form.
        if self.listed:
            return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))
        return new_call_id()


FORMATS: dict[ToolFormat, CallFormat] = {
    "hermes": CallFormat("<tool_call>", "arguments", closing="</tool_call>", separator="\n"),
    "llama3": CallFormat("<|python_tag|>", "parameters", bare=re.compile(r"\s*\{"), separator="; "),
    "mistral": CallFormat(
        "[TOOL_CALLS]", "arguments", bare=re.compile(r"\s*\[\s*\{"), listed=True, separator=", "
    ),
}


class CallReader:
    """Reads text and calls out of a reply, piece by piece; half an opening is never given as text.

    Args:
        form: How the model writes calls.
        opened: Whether the prompt ends with the opening.
    """

    def __init__(self, form: CallFormat, *, opened: bool = False) -> None:
        self.calls = 0
        self._form = form
        self._text = ""
        self._given = False
        self._between = opened
        self._object: _CallObject | None = None

    def feed(self, text: str) -> list[ChatDelta]:
        """Return what the text so far amounts to.

        Raises:
            ModelError: The text after an opening is no call.
        """
        self._text += text
        found: list[ChatDelta] = []
        while self._text and self._step(found):
            pass
        return found

    def end(self, *, cut: bool) -> list[ChatDelta]:
        """Return what was held back; nothing more comes.

        Args:
            cut: Whether the model had no more tokens to write with.

        Raises:
            ModelError: The last call is not whole, and was not cut.
        """
        if (self._object is not None or (self._between and not self.calls)) and not cut:
            raise _unreadable(self._text)
        if self._object is not None or self._between or not self._text:
            return []
        text, self._text = self._text, ""
        if cut and self._opening_of(text):
            return []
        return [ChatDelta(text=text.rstrip() if self.calls else text)]

    def _step(self, found: list[ChatDelta]) -> bool:
        """Read on, and return whether there may be more to read in the text that is here."""
        if self._object is not None:
            return self._read_object(found)
        if self._between:
            return self._read_between()
        return self._read_text(found)

    def _read_text(self, found: list[ChatDelta]) -> bool:
        form = self._form
        before, opening, rest = self._text.partition(form.opening)
        if opening:
            self._give(before.rstrip(), found)
            self._text, self._between = rest, True
            return True
        if not self._given and form.bare is not None:
            if form.bare.match(self._text):
                self._between = True
                return True
            if form.listed and re.fullmatch(r"\s*\[?\s*", self._text):
                return False
        # Blanks before an opening are part of it.
        keep = held(self._text, form.opening)
        text = self._text[: len(self._text) - keep].rstrip()
        self._text = self._text[len(text) :]
        self._give(text, found)
        return False

    def _read_between(self) -> bool:
        form = self._form
        skipped = re.match(r"[\s,;\[\]]*", self._text)
        rest = self._text[skipped.end() :] if skipped else self._text
        if form.closing and rest.startswith(form.closing):
            self._text, self._between = rest[len(form.closing) :], False
            return True
        if rest.startswith("{"):
            self._text = rest
            self._object = _CallObject(form.call_id(), self.calls)
            self.calls += 1
            return True
        if rest.startswith(form.opening):
            self._text = rest[len(form.opening) :]
            return True
        if rest and not any(mark.startswith(rest) for mark in (form.opening, form.closing) if mark):
            raise _unreadable(rest)
        return False

    def _read_object(self, found: list[ChatDelta]) -> bool:
        call = self._object
        assert call is not None
        taken, deltas = call.feed(self._text)
        self._text = self._text[taken:]
        found += [ChatDelta(calls=(delta,)) for delta in deltas]
        if call.whole:
            self._object, self._between = None, True
        return call.whole

    def _give(self, text: str, found: list[ChatDelta]) -> None:
        if text.strip() or (text and self._given):
            self._given = True
            found.append(ChatDelta(text=text))

    def _opening_of(self, text: str) -> bool:
        return self._form.opening.startswith(text.strip())


class _CallObject:
    """One call as a JSON object, read character by character; its arguments are passed on as they come."""

    def __init__(self, call_id: str, index: int) -> None:
        self.whole = False
        self._id = call_id
        self._index = index
        self._name = ""
        self._named = False
        self._key: str | None = None
        self._token = ""
        self._depth = 0
        self._quoted = self._escaped = False
        self._arguments = ""
        self._given = False

    def feed(self, text: str) -> tuple[int, list[CallDelta]]:
        """Return how many characters belong to the object, and what they tell."""
        taken = 0
        for char in text:
            self._take(char)
            taken += 1
            if self.whole:
                break
        return taken, self._told()

    def _take(self, char: str) -> None:
        structural = not self._quoted
        if self._quoted:
            self._quoted = self._escaped or char != '"'
            self._escaped = char == "\\" and not self._escaped
        elif char == '"':
            self._quoted = True
        elif char in "{[":
            self._depth += 1
            if self._depth == 1:
                return
        elif char in "}]":
            self._depth -= 1
        if structural and self._depth == 1 and char == ":":
            self._key, self._token = str(self._value()), ""
        elif structural and (self._depth == 0 or (self._depth == 1 and char == ",")):
            self._close_value()
            self.whole = self._depth == 0
        elif self._token or not (structural and char.isspace()):
            self._token += char
            if self._key in _ARGUMENTS and self._token.startswith("{") and self._depth + (char == "}") > 1:
                self._arguments += char

    def _close_value(self) -> None:
        if self._key == "name":
            self._name = str(self._value())
        elif self._key in _ARGUMENTS and not self._token.startswith("{"):
            # They may be written as text.
            value = self._value()
            self._arguments = value if isinstance(value, str) else ""
        self._key, self._token = None, ""

    def _value(self) -> Any:
        try:
            return read_json(self._token)
        except ValueError:
            raise _unreadable(self._token) from None

    def _told(self) -> list[CallDelta]:
        deltas: list[CallDelta] = []
        if self.whole and not self._name:
            raise _unreadable("a call without a name")
        if self._name and not self._named:
            self._named = True
            deltas.append(CallDelta(index=self._index, id=self._id, name=self._name))
        if self.whole and not self._given and not self._arguments:
            self._arguments = "{}"
        if self._named and self._arguments:
            self._given = True
            deltas.append(CallDelta(index=self._index, arguments=self._arguments))
            self._arguments = ""
        return deltas


def _unreadable(text: str) -> ModelError:
    return ModelError(
        f"The model wrote a call that cannot be read: {text[:80]!r}.",
        hint="Ask again, or choose a larger model.",
    )
