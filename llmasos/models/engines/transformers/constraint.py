"""What a reply may be: a grammar or a JSON schema, as a mask over the next token."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import torch

from llmasos.models.engines import gbnf
from llmasos.models.engines.port import CompletionRequest, InvalidRequest
from llmasos.models.untrusted import read_json

# Models that may write any white space can write it for ever.
_JSON_OPTIONS: Any = {"whitespace_pattern": r"[ \t\n]{0,20}", "coerce_one_of": True}
_MAX_LENGTH = 1_000_000
_WORD = 32


class Constraints:
    """Compiles the constraints of requests for one tokenizer.

    Args:
        tokenizer: A fast tokenizer of transformers.
        size: Numbers of tokens that the model knows.
        ends: The tokens that end a reply.
    """

    def __init__(self, tokenizer: Any, size: int, ends: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._size = size
        self._ends = list(ends)
        self._table: Any = None
        self._lock = threading.Lock()

    def compile(self, request: CompletionRequest) -> Constraint | None:
        """Return the request's constraint, past the tokens that it kept; None when it has none.

        Raises:
            InvalidRequest: The grammar or the schema cannot be used, or the kept tokens break it.
        """
        if request.grammar and request.json_schema:
            raise InvalidRequest(
                "A request has a grammar or a JSON schema, and this one has both.", hint="Send one of them."
            )
        if not request.grammar and not request.json_schema:
            return None
        what = "grammar" if request.grammar else "JSON schema"
        if len(request.grammar) + len(request.json_schema) > _MAX_LENGTH:
            raise _invalid(what, f"it has more than {_MAX_LENGTH} characters")
        from llguidance import LLMatcher

        try:
            source = (
                LLMatcher.grammar_from_lark(gbnf.lark(request.grammar))
                if request.grammar
                else LLMatcher.grammar_from_json_schema(
                    json.dumps(_schema(request.json_schema)), defaults=_JSON_OPTIONS
                )
            )
        except ValueError as error:
            raise _invalid(what, str(error)) from error
        matcher = LLMatcher(self._tokens(), source, log_level=0)
        if matcher.is_error():
            raise _invalid(what, matcher.get_error())
        if request.kept and not matcher.consume_tokens(list(request.kept)):
            raise _invalid(what, "the tokens that were kept do not match it")
        begins = bool(request.kept) or any(matcher.compute_bitmask())
        if matcher.is_error() or not begins:
            raise _invalid(what, matcher.get_error() or "nothing matches it")
        return Constraint(matcher, self._size)

    def _tokens(self) -> Any:
        from llguidance import hf

        # The table takes a second to make for a large vocabulary, and most models are never constrained.
        with self._lock:
            if self._table is None:
                self._table = hf.from_tokenizer(
                    self._tokenizer, n_vocab=self._size, eos_token=self._ends or None
                )
            return self._table


class Constraint:
    """Follows one reply.

    Args:
        matcher: An `llguidance.LLMatcher`.
        size: Numbers of tokens that the model knows.
    """

    def __init__(self, matcher: Any, size: int) -> None:
        self._matcher = matcher
        self._words = torch.zeros((size + _WORD - 1) // _WORD, dtype=torch.int32)
        self._size = size

    @property
    def finished(self) -> bool:
        """Whether nothing can follow."""
        return bool(self._matcher.is_stopped())

    def forbidden(self) -> torch.Tensor:
        """Return which tokens may not come next, shape `[size]`, boolean, on the processor.

        Raises:
            InvalidRequest: The grammar asks for more work than its limits allow.
        """
        self._matcher.unsafe_compute_mask_ptr(self._words.data_ptr(), self._words.numel() * 4)
        self._check()
        bits = (self._words[:, None] >> torch.arange(_WORD, dtype=torch.int32)) & 1
        return bits.view(-1)[: self._size] == 0

    def consume(self, token: int) -> None:
        """Go past the token that was chosen.

        Raises:
            InvalidRequest: As `forbidden`.
        """
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise InvalidRequest(
                f"The reply's grammar could not be followed: {_first_line(self._matcher.get_error())}.",
                hint="Simplify the grammar or the schema.",
            )


def _schema(text: str) -> Any:
    schema = read_json(text)
    return {"type": "object"} if schema == {} else schema


def _invalid(what: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"The {what} of the request cannot be used: {_first_line(reason)}.", hint=f"Correct the {what}."
    )


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:300].rstrip(".") if lines else "unknown reason"
