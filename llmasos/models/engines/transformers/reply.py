"""One reply that is being written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmasos.models.engines.port import Chunk, FinishReason, TokenChoice, TokenUsage
from llmasos.models.engines.transformers.constraint import Constraint
from llmasos.models.engines.transformers.sampling import Sampler
from llmasos.models.engines.transformers.text import ReplyText

Item = Chunk | Exception


class Reply:
    """What the batch knows of a request, and where its chunks go.

    Args:
        prompt: The prompt's tokens.
        kept: Tokens of the reply that were written before.
        limit: Tokens of the reply at most, `kept` included.
        ends: Tokens that end a reply.
        sampler: Chooses its tokens.
        text: Makes its text.
        constraint: What it may be.
        alternatives: How many alternatives to report with each token; None reports no probabilities.
        session: Whose it is; sessions share the batch.
        tenant: Whose computed prompts it may use.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        *,
        limit: int,
        ends: frozenset[int],
        sampler: Sampler,
        text: ReplyText,
        kept: Sequence[int] = (),
        constraint: Constraint | None = None,
        alternatives: int | None = None,
        session: str = "",
        tenant: str = "",
    ) -> None:
        self.prompt = tuple(prompt)
        self.tokens = list(kept)
        self.limit = limit
        self.sampler = sampler
        self.constraint = constraint
        self.alternatives = alternatives
        self.session = session
        self.tenant = tenant
        self.cached = 0
        self.finished = False
        self.send: Callable[[Item], None] = lambda item: None
        self.stalled: Callable[[], bool] = lambda: False
        self._ends = ends
        self._text = text
        if len(self.tokens) >= limit or (constraint is not None and constraint.finished):
            self.finished = True

    @property
    def usage(self) -> TokenUsage:
        """The tokens so far."""
        return TokenUsage(input=len(self.prompt), cached=self.cached, output=len(self.tokens))

    def push(self, token: int, choice: TokenChoice | None = None) -> None:
        """Take the next token and send what can be sent.

        Raises:
            ModelError: The constraint cannot be followed any further.
        """
        if token in self._ends:
            self._finish("stop")
            return
        if self.constraint is not None:
            self.constraint.consume(token)
        self.tokens.append(token)
        if chunk := self._text.push(token, choice):
            self.send(chunk)
        if self._text.stopped or (self.constraint is not None and self.constraint.finished):
            self._finish("stop")
        elif len(self.tokens) >= self.limit:
            self._finish("length")

    def fail(self, error: Exception) -> None:
        """End the reply with an error."""
        self.finished = True
        self.send(error)

    def last(self) -> Chunk:
        """Return the last chunk of a reply that was finished before it began."""
        reason: FinishReason = "length" if len(self.tokens) >= self.limit else "stop"
        return Chunk(finish_reason=reason, usage=self.usage)

    def _finish(self, reason: FinishReason) -> None:
        self.finished = True
        rest = None if self._text.stopped else self._text.flush()
        chunk = rest or Chunk()
        self.send(chunk.model_copy(update={"finish_reason": reason, "usage": self.usage}))
