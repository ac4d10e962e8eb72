"""Which recipes there are: built-in ones and those of plugins, imported when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import get_args

from llmasos.federated.port import FederatedError
from llmasos.federated.recipes.port import Recipe
from llmasos.federated.schema import Kind

GROUP = "llmasos.recipes"
"""The group of entry points that plugins announce their recipes in."""

_BUILT_IN = {
    "logistic": "logistic:Logistic",
    "mlp": "mlp:MLP",
    "cnn": "cnn:CNN",
    "text": "text:Text",
    "lora": "lora:LoRA",
}
_PARTS = ("name", "title", "kinds", "proximal", "initial", "train", "evaluate")


@dataclass(frozen=True)
class Shelf:
    """All recipes that can be used, and why others cannot.

    Args:
        recipes: By name, the built-in ones first.
        broken: What is wrong, by name.
    """

    recipes: dict[str, Recipe]
    broken: dict[str, str]


def names() -> tuple[str, ...]:
    """Return the names of all recipes, the built-in ones first; none is imported."""
    return (*_BUILT_IN, *sorted(_plugins().keys() - _BUILT_IN.keys()))


def recipe(name: str, kind: Kind | None = None) -> Recipe:
    """Return a recipe by its name.

    Args:
        kind: What it is to learn from.

    Raises:
        FederatedError: There is none of the name, its plugin is broken, a package that it needs is missing,
            or it does not learn from data of the kind.
    """
    if name in _BUILT_IN:
        found = _built_in(name)
    elif points := _plugins().get(name):
        found = _plugged(points)
    else:
        raise FederatedError(
            f"There is no recipe {name!r}.", hint=f"Choose one of these: {', '.join(names())}."
        )
    if kind is not None and kind not in found.kinds:
        raise FederatedError(
            f"The recipe {name} learns from {' and '.join(sorted(found.kinds))}, and this data is {kind}.",
            hint=f"Take the recipe {suited(kind)}, or another one for such data.",
        )
    return found


def shelf() -> Shelf:
    """Import all recipes, and leave out those that cannot be used."""
    recipes: dict[str, Recipe] = {}
    broken: dict[str, str] = {}
    for name in names():
        try:
            recipes[name] = recipe(name)
        except FederatedError as error:
            broken[name] = error.message
    for name, points in _plugins().items():
        if name in _BUILT_IN:
            broken[f"{name} of {_origin(points[0])}"] = f"The name {name} is that of a built-in recipe."
    return Shelf(recipes, broken)


def suited(kind: Kind) -> str:
    """Return the recipe for a kind of data that a plan without one gets."""
    if kind == "images":
        return "cnn" if find_spec("torch") else "mlp"
    return {"table": "logistic", "texts": "text"}[kind]


def _plugins() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def _origin(point: EntryPoint) -> str:
    return f"the package {point.dist.name}" if point.dist else point.value


def _built_in(name: str) -> Recipe:
    module, _, cls = _BUILT_IN[name].partition(":")
    try:
        made: Recipe = getattr(import_module(f"llmasos.federated.recipes.{module}"), cls)()
    except ImportError as error:
        raise FederatedError(
            f"The recipe {name} cannot be used: {error}.",
            hint="Install it with: pip install 'llmasos[federated,transformers]'.",
        ) from error
    return made


def _plugged(points: list[EntryPoint]) -> Recipe:
    point, origin = points[0], " and ".join(_origin(each) for each in points)
    if len(points) > 1:
        raise FederatedError(f"The recipe {point.name} is in {origin}.", hint="Remove one of them.")
    hint = f"Repair or remove {origin}."
    try:
        made: Recipe = point.load()()
        lacking = [part for part in _PARTS if not hasattr(made, part)]
        kinds = None if lacking else set(made.kinds) - set(get_args(Kind))
    except (Exception, SystemExit) as error:  # a plugin may do anything
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise FederatedError(f"The recipe {point.name} of {origin} is broken: {reason}", hint=hint) from error
    if lacking:
        wrong = f"it has no {', '.join(lacking)}"
    elif kinds:
        wrong = f"there are no data of the kind {', '.join(sorted(map(str, kinds)))}"
    elif made.name != point.name:
        wrong = f"it calls itself {made.name}"
    else:
        return made
    raise FederatedError(f"The recipe {point.name} of {origin} is broken: {wrong}.", hint=hint)
