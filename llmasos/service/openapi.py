"""The OpenAPI document, made from the routes and the types of their requests and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

import llmasos
from llmasos.api import ErrorBody
from llmasos.service.refusals import OpenAIError, error_of

F = TypeVar("F", bound=Callable[..., Any])

_VERSION = "3.1.0"
_REF = "#/components/schemas/{model}"
_NOTHING = 204
_DESCRIPTION = (
    "Models as OpenAI's API serves them, and the agent: sessions, turns, approvals, changes and the ledger. "
    "Every request over TCP needs a key; `x-scope` names the scope that it must have."
)


@dataclass(frozen=True)
class Operation:
    """What one endpoint takes and gives.

    Args:
        summary: What it does, in a sentence.
        body: The type of its body.
        query: The type of its query.
        answer: The type of its answer, or of each item or line of it.
        many: Whether the answer is a list.
        status: The status of its success.
        media: The media type of its answer.
    """

    summary: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: Any = None
    many: bool = False
    status: int = 200
    media: str = "application/json"


def operation(summary: str, **facts: Any) -> Callable[[F], F]:
    """Say of an endpoint what it takes and gives; the facts are those of `Operation`."""

    def mark(endpoint: F) -> F:
        endpoint.__dict__["operation"] = Operation(summary, **facts)
        return endpoint

    return mark


def openapi_route(routes: Sequence[BaseRoute]) -> Route:
    """Return the route of the document.

    Args:
        routes: What it describes; routes that are added later are in it, too.
    """
    made: list[dict[str, Any]] = []

    @operation("Describe this API.", answer=dict)
    async def openapi(_request: Request) -> Response:
        if not made:
            made.append(document(routes))
        return JSONResponse(made[0])

    return Route("/openapi.json", openapi)


def document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Return the OpenAPI document of routes."""
    described = list(_operations(routes))
    schemas = _Schemas([found for _, _, found in described])
    paths: dict[str, dict[str, Any]] = {}
    for route, method, found in described:
        paths.setdefault(_path(route), {})[method] = _described(route, method, found, schemas)
    return {
        "openapi": _VERSION,
        "info": {"title": "LLMasOS", "version": llmasos.__version__, "description": _DESCRIPTION},
        "security": [{"bearer": []}, {"header": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
            "schemas": schemas.definitions,
        },
    }


def _operations(routes: Sequence[BaseRoute]) -> Iterator[tuple[Route, str, Operation]]:
    for route in routes:
        if not isinstance(route, Route):
            continue
        found = getattr(route.endpoint, "operation", None) or _undescribed(route)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield route, method.lower(), found


def _undescribed(route: Route) -> Operation:
    """Return what is known of an endpoint that says nothing itself, but may hold the type of its body."""
    body = getattr(route.endpoint, "body", None)
    takes = isinstance(body, type) and issubclass(body, BaseModel) and body.model_fields
    return Operation(f"{_path(route)}, as in OpenAI's API.", body=body if takes else None)


class _Schemas:
    """The JSON schemas of every type that is named, with references between them."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {
            (ErrorBody, "serialization"): None,
            (OpenAIError, "serialization"): None,
        }
        for each in operations:
            if each.body is not None:
                wanted[each.body, "validation"] = None
            if isinstance(each.answer, type) and issubclass(each.answer, BaseModel):
                wanted[each.answer, "serialization"] = None
        self._refs, made = models_json_schema(list(wanted), ref_template=_REF)
        self.definitions: dict[str, Any] = made.get("$defs", {})

    def of(self, kind: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        """Return the schema of a type."""
        if (kind, mode) in self._refs:
            return dict(self._refs[kind, mode])
        return self.whole(kind, mode)

    def whole(self, kind: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        """Return the schema of a type itself, and no reference to it."""
        schema = TypeAdapter(kind).json_schema(mode=mode, ref_template=_REF)
        self.definitions.update(schema.pop("$defs", {}))
        return schema


def _described(route: Route, method: str, found: Operation, schemas: _Schemas) -> dict[str, Any]:
    scope = getattr(route.app, "scope", None)
    said: dict[str, Any] = {
        "operationId": f"{method}_{_path(route)}".replace("/", "_").replace("{", "").replace("}", ""),
        "summary": found.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(found, schemas)],
        "responses": {
            str(found.status): _answer(found, schemas),
            "default": {
                "description": "It is refused.",
                "content": {
                    "application/json": {"schema": schemas.of(error_of(route.path), "serialization")}
                },
            },
        },
    }
    if scope is not None:
        said["x-scope"] = scope
    if found.body is not None:
        schema = schemas.of(found.body, "validation")
        said["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return said


def _answer(found: Operation, schemas: _Schemas) -> dict[str, Any]:
    if found.status == _NOTHING:
        return {"description": "Done."}
    schema: dict[str, Any] = {} if found.answer is None else schemas.of(found.answer, "serialization")
    if found.many:
        schema = {"type": "array", "items": schema}
    return {"description": "Done.", "content": {found.media: {"schema": schema}}}


def _path(route: Route) -> str:
    return route.path.replace(":path}", "}")


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in route.param_convertors
    ]


def _query_parameters(found: Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    if found.query is None:
        return []
    schema = schemas.whole(found.query, "validation")
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": each}
        for name, each in schema["properties"].items()
    ]
