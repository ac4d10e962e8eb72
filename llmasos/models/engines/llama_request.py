"""Requests as the llama.cpp server takes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llmasos.errors import ModelError
from llmasos.models.engines.port import CompletionRequest, InvalidRequest

# The server's largest seed means that it is to choose one.
_SEEDS = 2**32 - 1
_MOST_GRAMMAR = 2**20
_DEEPEST_GRAMMAR = 256
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
        body["logit_bias"] = [list(pair) for pair in request.logit_bias]
    if constraint := _constraint(request):
        body["grammar"] = constraint
    return body


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
    """Refuse what would go to another compiler, or end the process by its size."""
    if grammar.lstrip().startswith(_LLGUIDANCE):
        raise InvalidRequest("The grammar is not GBNF.", hint="Write it as GBNF, or send a JSON schema.")
    deepest = depth = 0
    for character in grammar:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    if len(grammar) > _MOST_GRAMMAR or deepest > _DEEPEST_GRAMMAR:
        raise InvalidRequest("The grammar is too large or too deep.", hint="Send a smaller one.")
