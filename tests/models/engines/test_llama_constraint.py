"""Constraints of replies for llama.cpp: what it could not bear is refused beforehand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmasos.models.engines.llama_constraint import Constraint
from llmasos.models.engines.port import CompletionRequest, InvalidRequest


def constraint(schema: Any) -> Constraint:
    """Return the constraint of a schema."""
    return Constraint(CompletionRequest(prompt="x", json_schema=json.dumps(schema)))


@pytest.mark.parametrize("name", ["minItems", "maxItems"])
def test_arrays_that_count_too_far_are_refused(name: str) -> None:
    array = {"type": "array", "items": {"type": "integer"}}
    constraint({**array, name: 30_000})
    for schema in ({**array, name: 10**9}, {"anyOf": [{"type": "null"}, {**array, name: 1e9}]}):
        with pytest.raises(InvalidRequest, match=f"{name} is above 32768"):
            constraint(schema)
    constraint({"type": "object", "properties": {name: {"type": "string"}}})


def test_a_reply_that_does_not_match_is_the_fault_of_the_request() -> None:
    following = constraint({"type": "integer"})
    following.follow("1")
    with pytest.raises(InvalidRequest, match="could not be followed"):
        following.follow("x")
