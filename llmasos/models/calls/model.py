"""A pydantic-ai model that drives a small model in call syntax."""

from __future__ import annotations

import ast
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from pydantic_ai.messages import ModelMessage, ModelRequest, SystemPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from llmasos.errors import ModelError
from llmasos.events import ToolChoice
from llmasos.imports import completed
from llmasos.models.calls.conversation import asked_and_found, fit, items_of
from llmasos.models.calls.first import first_calls
from llmasos.models.calls.grammar import grammar
from llmasos.models.calls.prefix import offered, prefix_of
from llmasos.models.calls.reminders import scripts_of
from llmasos.models.calls.response import CallSyntaxResponse, Reply
from llmasos.models.calls.runaway import WINDOW, runs_away
from llmasos.models.calls.syntax import ANSWER, CallForm, CallSyntaxError, ParsedCall, forms_of, parse_call
from llmasos.models.choice import ALTERNATIVES, choose
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    ContextExceeded,
    Engine,
    FinishReason,
    TokenChoice,
    TokenUsage,
    Turn,
)
from llmasos.models.streamed import StreamedModel, StreamedReply, sampling_in
from llmasos.models.tokens import most_tokens

_MAX_TOKENS = 1024
_ATTEMPTS = 2
_FIT_ATTEMPTS = 3
_RETRY_PENALTY = 1.1
_NAMING = 64  # tokens within which a call has named its tool
_PREFIX_SHARE = 0.6  # of the context; the rest is for what is asked, read and answered


class CallSyntaxModel(StreamedModel[Reply]):
    """Shows the tools as signatures and reads calls back, under a grammar made from the tools' schemas.

    Args:
        engine: What completes the chats.
        languages: Languages of the examples that the model is shown, as ISO 639-1 codes.
        cut: Whether a call may end where the bound of tokens cuts it off, so that there is none; otherwise
            it is asked for anew, and that it has no end is an error.
        public: Whether the tools are the same for everybody, so that all tenants share what is computed for
            them.
        choices: Whether calls say how sure the model was of their tool.
    """

    def __init__(
        self,
        engine: Engine,
        languages: Sequence[str] = ("en", "zh"),
        *,
        cut: bool = False,
        public: bool = False,
        choices: bool = True,
    ) -> None:
        super().__init__(profile=ModelProfile(supports_tools=True))
        self.engine = engine
        self._cut = cut
        self._public = public
        self._choices = choices
        self._languages = languages

    @property
    def model_name(self) -> str:
        """The engine's model."""
        return self.engine.name

    async def warm(self, tools: Sequence[ToolDefinition]) -> None:
        """Have the engine read, or restore, what is the same for every request with these tools."""
        shown = offered(tools)
        await self.engine.prepare(self._prefix(shown, forms_of(shown)))

    def _prefix(self, tools: Sequence[ToolDefinition], forms: dict[str, CallForm]) -> tuple[Turn, ...]:
        return prefix_of(tools, forms, self._languages, most=self.engine.context * _PREFIX_SHARE)

    def streamed(
        self, pieces: AsyncGenerator[Reply], parameters: ModelRequestParameters
    ) -> StreamedReply[Reply]:
        """Return the pieces of a reply as pydantic-ai's events."""
        return CallSyntaxResponse(model_request_parameters=parameters, name=self.model_name, pieces=pieces)

    async def replies(
        self, messages: list[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> AsyncGenerator[Reply]:
        """Stream one reply in pieces of our own.

        With the tool choice `auto` the model is free; without any, a request that speaks of files has to
        begin with a call.

        Raises:
            ModelError: The engine failed, or the model wrote no usable reply.
        """
        tools = [*offered(parameters.declared_function_tools), *parameters.output_tools]
        if not tools:
            async for reply in self._plain(messages, settings):
                yield reply
            return
        forms = forms_of(tools)
        prefix = self._prefix(tools, forms)
        choice = settings.get("tool_choice")
        items = items_of(messages, forms)
        first = first_calls(items, tools) if choice is None else None
        if isinstance(choice, list):
            first = frozenset(choice)
        allowed = tuple(
            form for form in forms.values() if choice != "none" and (first is None or form.name in first)
        )
        wanted = settings.get("max_tokens") or _MAX_TOKENS
        max_tokens = min(wanted, self.engine.context // 4)
        budget = self.engine.context - max_tokens - sum(most_tokens(turn.content) for turn in prefix)
        answer = parameters.allow_text_output and choice != "required" and not (allowed and first)
        rules = grammar(allowed, answer=answer, scripts=scripts_of(*asked_and_found(items)))
        if budget <= 0:
            raise ContextExceeded(
                f"The model {self.model_name} keeps {self.engine.context:,} tokens in view, and the tools "
                "alone take as many.",
                hint="Give models more memory (LLMASOS_MODELS__MEMORY_MB) or more context "
                "(LLMASOS_MODEL_CONTEXT), or choose a smaller model.",
            )
        extra: tuple[Turn, ...] = ()
        penalty = 1.0
        usage = TokenUsage()
        for attempt in range(_ATTEMPTS):
            for fitting in range(_FIT_ATTEMPTS):
                turns = (*prefix, *fit(items, budget >> fitting), *extra)
                request = CompletionRequest(
                    turns=turns,
                    prefix=len(prefix),
                    public=self._public,
                    grammar=rules,
                    max_tokens=max_tokens,
                    repeat_penalty=penalty,
                    logprobs=ALTERNATIVES if self._choices and allowed else None,
                    **sampling_in(settings),
                )
                written = _Written()
                try:
                    async with aclosing(self.engine.stream(request)) as chunks:
                        async for delta in written.read(chunks):
                            yield Reply(text=delta)
                    break
                except ContextExceeded:
                    # The estimate of tokens was too low for this text.
                    if written.text or fitting == _FIT_ATTEMPTS - 1:
                        raise
            usage = _sum(usage, written.usage)
            if written.is_answer or (self._cut and written.finish_reason == "length" and not written.runs):
                yield Reply(finish_reason=written.finish_reason, usage=usage)
                return
            call, problem = _understand(written, forms)
            if call is not None and (not problem or attempt == _ATTEMPTS - 1):
                sure = written.choice(call.tool, [form.name for form in allowed], answer=answer)
                yield Reply(call=call, choice=sure, finish_reason="stop", usage=usage)
                return
            penalty = 1.0 if call is not None else _RETRY_PENALTY
            extra = (
                Turn(role="assistant", content=written.text[:WINDOW]),
                Turn(role="user", content=f"[error] {problem} Write it again, corrected."),
            )
        raise ModelError(
            f"The model {self.model_name} wrote no usable reply: {problem}",
            hint="Ask in other words, or choose a larger model.",
        )

    async def _plain(self, messages: list[ModelMessage], settings: ModelSettings) -> AsyncGenerator[Reply]:
        """Complete a chat without tools, as any chat model would."""
        max_tokens = min(settings.get("max_tokens") or _MAX_TOKENS, self.engine.context // 2)
        notes = _notes(messages)
        system = (Turn(role="system", content=notes),) if notes else ()
        turns = fit(items_of(messages, {}), self.engine.context - max_tokens - most_tokens(notes))
        request = CompletionRequest(turns=(*system, *turns), max_tokens=max_tokens, **sampling_in(settings))
        written = _Written(opening="")
        async with aclosing(self.engine.stream(request)) as chunks:
            async for delta in written.read(chunks):
                yield Reply(text=delta)
        yield Reply(finish_reason=written.finish_reason, usage=written.usage)


@dataclass
class _Written:
    """What the model has written so far, and whether it repeats itself without end."""

    opening: str = ANSWER
    text: str = ""
    finish_reason: FinishReason | None = None
    usage: TokenUsage = field(default_factory=TokenUsage)
    runs: bool = False
    tokens: list[TokenChoice] = field(default_factory=list)

    def choice(self, tool: str, tools: Sequence[str], *, answer: bool) -> ToolChoice | None:
        """Return how sure the model was of the tool whose call it wrote."""
        return choose(self.tokens, 0, tool, tools, self.opening if answer else "")

    @property
    def is_answer(self) -> bool:
        return self.text.startswith(self.opening) and bool(self.text[len(self.opening) :].strip())

    async def read(self, chunks: AsyncIterator[Chunk]) -> AsyncIterator[str]:
        """Collect the chunks, yielding the text of an answer; stop when the model repeats itself."""
        sent = len(self.opening)
        async for chunk in chunks:
            self.text += chunk.text
            if len(self.tokens) < _NAMING:
                self.tokens += chunk.logprobs
            self.usage = chunk.usage or self.usage
            self.finish_reason = chunk.finish_reason or self.finish_reason
            if self.text.startswith(self.opening) and len(self.text) > sent:
                yield self.text[sent:]
                sent = len(self.text)
            if chunk.text and runs_away(self.text[-WINDOW:]):
                self.finish_reason, self.runs = "length", True
                return
        if self.finish_reason is None:
            raise ModelError("The model's reply was cut short.", hint="Try again.")


def _understand(written: _Written, forms: dict[str, CallForm]) -> tuple[ParsedCall | None, str]:
    """Return the call and what is wrong with it; no call when it cannot be read."""
    if written.finish_reason == "length":
        return None, "It had no end."
    try:
        call = parse_call(written.text, forms)
    except CallSyntaxError as error:
        return None, error.message
    form = forms[call.tool]
    if form.language != "python":
        return call, ""
    code = call.arguments[form.block]
    if problem := _python_problem(code):
        return call, problem
    # Whoever decides on the script sees what it imports.
    return call.model_copy(update={"arguments": call.arguments | {form.block: completed(code)}}), ""


def _python_problem(code: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        return f"The code does not compile{where}: {getattr(error, 'msg', error)}."
    return ""


def _notes(messages: Sequence[ModelMessage]) -> str:
    """Return the system prompts of a chat without tools."""
    return "\n".join(
        part.content
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, SystemPromptPart)
    )


def _sum(one: TokenUsage, other: TokenUsage) -> TokenUsage:
    return TokenUsage(
        input=one.input + other.input, cached=one.cached + other.cached, output=one.output + other.output
    )
