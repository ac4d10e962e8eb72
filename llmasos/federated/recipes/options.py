"""Options of recipes: what a plan says under `options`, checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from llmasos.federated.port import FederatedError


class Options(BaseModel):
    """A recipe's options: a subclass names them, with their defaults and bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


_Own = TypeVar("_Own", bound=Options)


def parsed(model: type[_Own], options: Mapping[str, Any], recipe: str) -> _Own:
    """Return what a plan says, as a recipe's own options.

    Raises:
        FederatedError: There is no such option, or a value is impossible.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        known = ", ".join(model.model_fields)
        if first["type"] == "extra_forbidden":
            raise FederatedError(
                f"The recipe {recipe} has no option {name!r}.",
                hint=f"It has: {known}." if known else "It has none.",
            ) from None
        if first["type"] == "missing":
            raise FederatedError(
                f"The recipe {recipe} needs the option {name!r}.", hint=f"Its options: {known}."
            ) from None
        given = "" if first["type"] == "value_error" else f" and is {first['input']!r}"
        said = first["msg"].removeprefix("Value error, ")
        raise FederatedError(
            f"The option {name!r} of the recipe {recipe} cannot be so: {said[:1].lower()}{said[1:]}{given}.",
            hint="Change it, or leave it out for its default.",
        ) from None
