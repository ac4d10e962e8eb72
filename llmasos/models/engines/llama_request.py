"""Requests as the llama.cpp server takes them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from llmasos.errors import ModelError
from llmasos.models.engines.port import CompletionRequest, InvalidRequest

# The server's largest seed means that it is to choose one.
_SEEDS = 2**32 - 1
_LARGEST_GRAMMAR = 2**20
_DEEPEST_GRAMMAR = 256
_MOST_REPEATED = 10_000
_GBNF = re.compile(
    r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#[^\n]*'
    r"|\{(?P<least>\d+),?(?P<most>\d*)\}|(?P<open>\()|(?P<close>\))"
)
_LLGUIDANCE = "%llguidance"


def completion_body(request: CompletionRequest, tokens: Sequence[int], *, context: int) -> dict[str, Any]:
    """Return what the server is sent for a request.

    Stop texts stay here: the server loses text that it holds back for one when the reply ends.

    Args:
        request: The request.
        tokens: The prompt, with what was generated before.
        context: Tokens of prompt and output together.

    Raises:
        InvalidRequest: The grammar or the schema cannot be used.
    """
    greedy = request.temperature == 0
    body: dict[str, Any] = {
        "prompt": list(tokens),
        "n_predict": min(request.max_tokens - len(request.kept), context),
        "temperature": request.temperature,
        # The most likely token is the same whatever else may be chosen from.
        "top_k": 1 if greedy else min(request.top_k, 2**31 - 1),
        "top_p": request.top_p,
        "min_p": request.min_p,
        "repeat_penalty": request.repeat_penalty,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "return_tokens": True,
        # Progress is reported between batches, which is where a cancelled prompt can stop.
        "return_progress": True,
    }
    if request.presence_penalty or request.frequency_penalty:
        body["repeat_last_n"] = context
    if request.seed is not None:
        body["seed"] = request.seed % _SEEDS
    if request.logprobs is not None:
        body["n_probs"] = max(1, request.logprobs)
    if request.logit_bias:
        body["logit_bias"] = _biases(request)
    if constraint := _constraint(request):
        body["grammar"] = constraint
    return body


def _biases(request: CompletionRequest) -> list[list[float]]:
    for token, bias in request.logit_bias:
        if not (0 <= token < 2**31 and math.isfinite(bias)):
            raise InvalidRequest(f"The bias {bias} of token {token} is out of bounds.", hint="Leave it out.")
    return [[token, bias] for token, bias in request.logit_bias]


def _constraint(request: CompletionRequest) -> str:
    if request.grammar and request.json_schema:
        raise InvalidRequest("A request has a grammar and a schema.", hint="Leave one of them out.")
    if request.json_schema:
        return _schema(request.json_schema)
    if request.grammar:
        _check_grammar(request.grammar)
    return request.grammar


def _schema(text: str) -> str:
    """Return the grammar of a schema, in the language of llguidance."""
    try:
        schema = json.loads(text)
        if isinstance(schema, dict) and "x-guidance" not in schema:
            # With free whitespace a small model writes spaces until its tokens are used up.
            separators = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
            schema = {**schema, "x-guidance": separators}
        grammar = f"{_LLGUIDANCE} {{}}\nstart: %json {json.dumps(schema)}"
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The schema is not JSON: {error}.", hint="Correct the schema.") from error
    try:
        from llguidance import LLMatcher
    except ImportError as error:
        raise ModelError(
            "Schemas cannot be checked: llguidance is not installed.",
            hint="Install it with: pip install 'llmasos[embedded]'.",
        ) from error
    # The server goes on without a constraint that it cannot compile, and says so nowhere.
    failed, messages = LLMatcher.validate_grammar_with_warnings(grammar)
    if failed:
        raise InvalidRequest(
            f"The schema cannot be used: {messages[0].rstrip('.')}.", hint="Correct the schema."
        )
    return grammar


def _check_grammar(grammar: str) -> None:
    """Refuse what would go to another compiler, or keep the server busy for ever.

    The server follows every way through a grammar at once, so that repetitions of repetitions multiply.
    """
    if grammar.lstrip().startswith(_LLGUIDANCE):
        raise InvalidRequest("The grammar is not GBNF.", hint="Write it as GBNF, or send a JSON schema.")
    groups, times = [1], 1
    most = deepest = 1
    for part in _GBNF.finditer(grammar):
        if part["open"]:
            groups.append(1)
        elif part["close"] and len(groups) > 1:
            times = groups.pop()
        elif part["least"]:
            times *= max(1, int(part["most"] or part["least"]))
        else:
            times = 1
        groups[-1] = max(groups[-1], times)
        most, deepest = max(most, times), max(deepest, len(groups))
    if len(grammar) > _LARGEST_GRAMMAR or deepest > _DEEPEST_GRAMMAR or most > _MOST_REPEATED:
        raise InvalidRequest("The grammar is too large or too deep.", hint="Send a smaller one.")
