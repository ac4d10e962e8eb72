"""The OpenAPI document: every route is in it, and every reference leads somewhere."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import cast

from starlette.routing import Route

from llmasos.config import Settings
from llmasos.kernel import Kernel
from llmasos.secrets import Redactor
from llmasos.service.access import Need
from llmasos.service.app import make_app
from llmasos.service.openapi import document
from llmasos.store import Store

OPEN_TO_ALL_KEYS = {"/health", "/ready", "/v1/ping", "/openapi.json"}


class Bare:
    """A kernel of which nothing is asked."""

    def __init__(self, store: Store) -> None:
        self.settings = Settings()
        self.store = store
        self.ledger = self.books = self.models = self.administration = None
        self.started = datetime.now(UTC)
        self.redactor = Redactor()


def routes(store: Store) -> list[Route]:
    app = make_app(cast(Kernel, Bare(store)), lambda: None)
    return [route for route in app.routes if isinstance(route, Route)]


def test_every_route_is_in_it_with_what_it_needs(store: Store) -> None:
    found = routes(store)
    made = document(found)
    described = {(path, method) for path, methods in made["paths"].items() for method in methods}
    there = {
        (route.path.replace(":path}", "}"), method.lower())
        for route in found
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert described == there and len(there) > 40
    assert made["openapi"] == "3.1.0"
    ids = [each["operationId"] for methods in made["paths"].values() for each in methods.values()]
    assert len(set(ids)) == len(ids)


def test_every_reference_leads_to_a_schema(store: Store) -> None:
    made = json.loads(json.dumps(document(routes(store))))
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(made)))
    assert names and names <= set(made["components"]["schemas"])
    turn = made["paths"]["/v1/sessions/{id}/turns"]["post"]
    body = turn["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert "text" in made["components"]["schemas"][body]["required"]
    assert turn["x-scope"] == "agent" and "202" in turn["responses"]
    assert turn["parameters"][0]["name"] == "id"


def test_errors_have_the_shape_that_each_paths_clients_expect(store: Store) -> None:
    made = document(routes(store))
    shapes = {
        (
            path,
            each["responses"]["default"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2],
        )
        for path, methods in made["paths"].items()
        for each in methods.values()
    }
    openai = {path for path, shape in shapes if shape == "OpenAIError"}
    assert openai >= {"/v1/chat/completions", "/v1/responses/{response}", "/v1/models", "/v1/embeddings"}
    assert {path for path, shape in shapes if shape == "ErrorBody"} >= {"/v1/sessions", "/v1/keys"}
    assert set(made["components"]["schemas"]["OpenAIErrorBody"]["required"]) == {
        "message",
        "type",
        "param",
        "code",
    }


def test_no_route_can_be_used_without_saying_what_it_needs(store: Store) -> None:
    for route in routes(store):
        assert isinstance(route.app, Need), route
        assert (route.app.scope is None) == (route.path in OPEN_TO_ALL_KEYS), route
