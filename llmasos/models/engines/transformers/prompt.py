"""Prompts as text and as tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmasos.models.engines.port import CompletionRequest, InvalidRequest, Turn
from llmasos.models.engines.spelled import Spelled
from llmasos.models.untrusted import read_json


class Prompts:
    """Makes prompts with the model's own template and tokenizer.

    Args:
        name: The model's name.
        tokenizer: A fast tokenizer of transformers.
    """

    def __init__(self, name: str, tokenizer: Any) -> None:
        self._name = name
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        self._spelled = Spelled((token.content, token.special) for token in added)

    def tokens(self, request: CompletionRequest) -> list[int]:
        """Return the tokens of the request's prompt.

        Raises:
            InvalidRequest: It is empty, or no text, or the template refuses it.
        """
        text = request.prompt
        if request.turns:
            if text:
                raise InvalidRequest(
                    "A request has turns or a prompt, and this one has both.", hint="Send one."
                )
            text = self.render([turn.model_dump() for turn in request.turns])
        tokens = self.encode(text)
        if not tokens:
            raise InvalidRequest("The prompt is empty.", hint="Send some text.")
        return tokens

    def prefix(self, turns: Sequence[Turn]) -> list[int]:
        """Return the tokens of turns that others will follow."""
        return self.encode(self.render([turn.model_dump() for turn in turns], reply=False))

    def encode(self, text: str) -> list[int]:
        """Return the text's tokens; special tokens are those that it spells.

        Raises:
            InvalidRequest: It has characters that are none.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                f"The text is not valid Unicode at character {error.start}.", hint="Send valid text."
            ) from error
        # Not the tokenizer's own call: that sets truncation on an object which threads share.
        return list(self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        reply: bool = True,
    ) -> str:
        """Return what the model's template makes of the messages; special tokens in them are broken.

        Args:
            messages: As in OpenAI's API.
            tools: As in OpenAI's API.
            reply: Whether the reply is to begin at the end.

        Raises:
            InvalidRequest: The model has no template, or it refuses these messages.
        """
        try:
            text = self._tokenizer.apply_chat_template(
                self._spelled.broken([_plain(message) for message in messages]),
                tools=self._spelled.broken([dict(tool) for tool in tools]) or None,
                add_generation_prompt=reply,
                tokenize=False,
            )
        except Exception as error:
            # Templates are programs of the model's authors, and may raise anything.
            lines = str(error).strip().splitlines()
            raise InvalidRequest(
                f"The chat template of {self._name} refuses the messages: "
                f"{lines[0] if lines else type(error).__name__}",
                hint="Change the messages, or send a prompt as text.",
            ) from error
        return str(text)


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message as templates expect it: with text, and with arguments that are no JSON text."""
    plain = dict(message)
    if plain.get("content") is None:
        plain["content"] = ""
    if calls := plain.get("tool_calls"):
        plain["tool_calls"] = [_call(call) for call in calls]
    return plain


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = dict(call.get("function", {}))
    if isinstance(function.get("arguments"), str):
        try:
            function["arguments"] = read_json(function["arguments"] or "{}")
        except ValueError:
            # Small models write arguments that are no JSON; the template shows them as they are.
            return {**call, "function": function}
    return {**call, "function": function}
