"""Recipes: kinds of models that clients train together."""

from llmasos.federated.recipes.options import Options, parsed
from llmasos.federated.recipes.port import Recipe, Score, Work
from llmasos.federated.recipes.registry import Shelf, names, recipe, shelf, suited
from llmasos.federated.recipes.rows import shuffled

__all__ = [
    "Options",
    "Recipe",
    "Score",
    "Shelf",
    "Work",
    "names",
    "parsed",
    "recipe",
    "shelf",
    "shuffled",
    "suited",
]
