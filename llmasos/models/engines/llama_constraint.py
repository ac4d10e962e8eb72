"""What a reply may be, compiled for llama.cpp's llguidance and followed here as well."""

from __future__ import annotations

import json
from typing import Any

from llmasos.errors import ModelError
from llmasos.models.engines import gbnf
from llmasos.models.engines.port import CompletionRequest, InvalidRequest
from llmasos.models.untrusted import read_json

# Models that may write any white space can write it for ever.
_JSON_OPTIONS = {"whitespace_pattern": r"[ \t\n]{0,20}", "coerce_one_of": True}
_MAX_LENGTH = 1_000_000
# llama.cpp's llguidance lays out every item that an array may have, a kilobyte each.
_MOST_ITEMS = 32_768


class Constraint:
    """The grammar or the schema of one request.

    llama.cpp goes on without a constraint that it cannot compile, or that asks for too much work, and
    says so nowhere; its own compiler of grammars ends the process when no token is left. So grammars go
    to llguidance too, and every reply is followed here.

    Args:
        request: A request that has one.

    Raises:
        InvalidRequest: It cannot be used.
        ModelError: llguidance is not installed.
    """

    def __init__(self, request: CompletionRequest) -> None:
        if request.grammar and request.json_schema:
            raise InvalidRequest(
                "A request has a grammar or a JSON schema, and this one has both.", hint="Send one of them."
            )
        if request.kept:
            raise InvalidRequest("A constrained reply cannot go on later.", hint="Begin it again.")
        self._what = "grammar" if request.grammar else "JSON schema"
        if len(request.grammar) + len(request.json_schema) > _MAX_LENGTH:
            raise self._invalid(f"it has more than {_MAX_LENGTH} characters")
        try:
            import llguidance
        except ImportError as error:
            raise ModelError(
                "Replies cannot be constrained: llguidance is not installed.",
                hint="Install it with: pip install 'llmasos[embedded]'.",
            ) from error
        try:
            self.grammar = gbnf.lark(request.grammar) if request.grammar else _schema(request.json_schema)
        except ValueError as error:
            raise self._invalid(str(error)) from error
        self._matcher: Any = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), self.grammar, log_level=0)
        if self._matcher.is_error():
            raise self._invalid(self._matcher.get_error())
        begins = any(self._matcher.compute_bitmask())
        if self._matcher.is_error() or not begins:
            raise self._invalid(self._matcher.get_error() or "nothing matches it")

    def follow(self, text: str) -> None:
        """Go past text of the reply.

        Raises:
            InvalidRequest: It does not match, or following it is too much work.
        """
        if not self._matcher.consume_tokens(list(text.encode())):
            raise self._lost()

    def end(self) -> None:
        """Learn that the model ended the reply here.

        Raises:
            InvalidRequest: More would have had to come.
        """
        if not self._matcher.is_accepting():
            raise self._lost()

    def _lost(self) -> InvalidRequest:
        return InvalidRequest(
            f"The {self._what} of the request could not be followed.", hint=f"Simplify the {self._what}."
        )

    def _invalid(self, reason: str) -> InvalidRequest:
        lines = reason.strip().splitlines() or ["unknown reason"]
        return InvalidRequest(
            f"The {self._what} of the request cannot be used: {lines[0][:300].rstrip('.')}.",
            hint=f"Correct the {self._what}.",
        )


def _schema(text: str) -> str:
    """Return a schema in the language of llguidance.

    Raises:
        ValueError: It is not JSON, or an array counts too far.
    """
    schema = read_json(text)
    _count(schema)
    if isinstance(schema, dict):
        schema = {**(schema or {"type": "object"}), "x-guidance": _JSON_OPTIONS}
    return f"%llguidance {{}}\nstart: %json {json.dumps(schema)}"


def _count(schema: Any) -> None:
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
            for name in ("minItems", "maxItems"):
                number = part.get(name, 0)
                if isinstance(number, int | float) and number > _MOST_ITEMS:
                    raise ValueError(f"its {name} is above {_MOST_ITEMS}")
