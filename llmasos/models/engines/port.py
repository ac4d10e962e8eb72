"""The engine port: what runs a model and streams its text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, Field

from llmasos.errors import ModelError

FinishReason = Literal["stop", "length"]


class Turn(BaseModel, frozen=True):
    """One chat turn."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(BaseModel, frozen=True):
    """How tokens are chosen.

    Args:
        temperature: 0 takes the most likely token.
        top_p: Only the most likely tokens that together have this probability; 1 is all.
        top_k: Only that many of the most likely tokens; 0 is all.
        min_p: Only tokens at least this likely, as a share of the most likely one's probability.
        seed: Makes the choice repeatable.
        repeat_penalty: Above 1 makes tokens that occurred before less likely, as in llama.cpp.
        presence_penalty: Subtracted from the logit of a token that was generated before, as in OpenAI's API.
        frequency_penalty: Subtracted once for each time that it was.
        stop: Texts before which the output ends; they are not part of it.
        logprobs: How many alternatives to report with each token's log-probability; None reports nothing.
        logit_bias: Token numbers with what is added to their logits.
    """

    temperature: float = Field(0.0, ge=0, le=5)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    min_p: float = Field(0.0, ge=0, le=1)
    seed: int | None = None
    repeat_penalty: float = Field(1.0, gt=0, le=5)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    stop: tuple[str, ...] = ()
    logprobs: int | None = Field(None, ge=0, le=20)
    logit_bias: tuple[tuple[int, float], ...] = ()


class CompletionRequest(Sampling, frozen=True):
    """What to complete and within which bounds.

    Args:
        turns: The chat, oldest first.
        prompt: Instead of turns, the text to continue, with special tokens written out.
        prefix: How many leading turns stay the same from request to request; an engine may keep
            what it computed for them.
        public: Whether those turns hold nothing of whoever asks, so that all tenants may share them.
        grammar: GBNF grammar the output has to match, or empty.
        json_schema: JSON text of a schema the output has to match, or empty.
        max_tokens: Upper bound of generated tokens, those in `kept` included.
        adapter: The LoRA adapter to apply, by its name, or empty.
        tenant: What was computed for a prompt is shared only with requests of the same tenant.
        session: Requests of one session share its part of the engine.
        kept: Tokens of this reply that were generated before; the stream goes on after them, as if it
            had not been interrupted.
    """

    turns: tuple[Turn, ...] = ()
    prompt: str = ""
    prefix: int = 0
    public: bool = False
    grammar: str = ""
    json_schema: str = ""
    max_tokens: int = Field(1024, ge=1)
    adapter: str = ""
    tenant: str = ""
    session: str = ""
    kept: tuple[int, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of the prompt."""
        return (self.prompt, *(turn.content for turn in self.turns))


class TokenUsage(BaseModel, frozen=True):
    """Tokens of one completion; `cached` is the part of `input` that was not computed again."""

    input: int = 0
    cached: int = 0
    output: int = 0


class TokenChoice(BaseModel, frozen=True):
    """A token that was chosen, or might have been.

    Args:
        text: The token as text; bytes that are no text alone show as U+FFFD.
        data: Its bytes.
        logprob: The natural logarithm of its probability.
        others: The most likely tokens at this place, the likeliest first.
    """

    text: str
    data: bytes
    logprob: float
    others: tuple[TokenChoice, ...] = ()


class Chunk(BaseModel, frozen=True):
    """A piece of generated text; the last one carries the finish reason and the usage.

    `tokens` are exactly those whose text `text` is: a token whose text is held back, because it may
    begin a stop text or is half a character, comes with the chunk that releases it. The chunk that
    ends at a stop text may have tokens whose text was cut.
    """

    text: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[TokenChoice, ...] = ()
    finish_reason: FinishReason | None = None
    usage: TokenUsage | None = None


class Embeddings(BaseModel, frozen=True):
    """Vectors of texts, each of length 1, and the tokens that were read for them."""

    vectors: tuple[tuple[float, ...], ...]
    tokens: int = 0


class Footprint(BaseModel, frozen=True):
    """Bytes that a loaded model takes on its device.

    Args:
        weights: The weights.
        cache: What is kept of prompts and replies, at its largest.
        workspace: What computing needs beside that.
    """

    weights: int = 0
    cache: int = 0
    workspace: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.workspace


class LoadPlan(BaseModel, frozen=True):
    """How a model is to be loaded.

    Args:
        name: The model's name.
        path: A GGUF file, or a folder with safetensors, configuration and tokenizer.
        format: Which of the two.
        fingerprint: Identifies the weights; what was kept for other weights is not used.
        cache_dir: Where computed prefixes are kept between processes.
        context: Tokens of prompt and output of one request.
        slots: Requests that run at once.
        threads: Threads to compute with; 0 chooses.
        device: `cpu`, or `cuda:N`.
        dtype: The type of weights of safetensors; `auto` is bfloat16, on GPUs and CPUs alike.
        adapters: LoRA adapters by name.
    """

    name: str
    path: Path
    format: Literal["gguf", "safetensors"] = "gguf"
    fingerprint: str = ""
    cache_dir: Path
    context: int = Field(8192, ge=64)
    slots: int = Field(1, ge=1, le=1024)
    threads: int = Field(0, ge=0)
    device: str = "cpu"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    adapters: tuple[tuple[str, Path], ...] = ()


class ContextExceeded(ModelError):
    """The request has more tokens than the engine keeps in view."""

    code = "context"


class InvalidRequest(ModelError):
    """A request that no engine of this kind can carry out: a bad schema or grammar, an unknown adapter."""

    code = "request"


class OutOfMemory(ModelError):
    """The device has no room for what was to be loaded or computed."""

    code = "memory"


class EngineDied(ModelError):
    """The process that ran the model ended."""

    code = "engine"


class ReplicaDied(EngineDied):
    """One of several processes that ran a model ended; the others go on."""


class Engine(Protocol):
    """Runs one model.

    Closing the generator that `stream` returns, or cancelling the task that awaits it, stops the
    decoding within one step, and what it used is free again when `aclose` returns.
    """

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def context(self) -> int:
        """Tokens of prompt and output together that the engine keeps in view for one request."""

    @property
    def slots(self) -> int:
        """Requests that run at once; more wait inside for one to end."""

    def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Generate text for the request.

        Raises:
            ContextExceeded: The request does not fit.
            InvalidRequest: The request asks for what the engine cannot do.
            EngineDied: The engine's process ended.
            ModelError: The engine failed, or was closed.
        """

    def resumable(self, request: CompletionRequest) -> bool:
        """Return whether this request may be stopped and go on later with the tokens that it has."""

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Compute, or restore, what the engine keeps for this prefix."""

    async def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Return the prompt that the model's own chat template makes, up to where the reply begins.

        Args:
            messages: As in OpenAI's API: role, content, tool_calls, tool_call_id.
            tools: As in OpenAI's API.

        Raises:
            InvalidRequest: The model has no template, or it refuses these messages.
        """

    async def count(self, request: CompletionRequest) -> int:
        """Return the tokens of the request's prompt."""

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings.

        Raises:
            InvalidRequest: The engine has none, or a text is too long.
        """

    async def footprint(self) -> Footprint:
        """Return the bytes that the model takes now, measured where that is possible."""

    async def park(self) -> int:
        """Move the weights to the host's memory and return the bytes they take there; nothing runs then."""

    async def unpark(self) -> None:
        """Move the weights back.

        Raises:
            OutOfMemory: There is no room for them.
        """

    async def close(self) -> None:
        """Stop what runs and free the model."""


class Loader(Protocol):
    """Loads engines."""

    async def __call__(self, plan: LoadPlan) -> Engine:
        """Load a model.

        Raises:
            OutOfMemory: There is no room for it.
            ModelError: Its files cannot be loaded, or its engine is not installed.
        """
