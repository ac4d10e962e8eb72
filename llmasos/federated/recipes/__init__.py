"""Recipes: kinds of models that clients train together."""

from llmasos.federated.recipes.port import Recipe, Score, Work

__all__ = ["Recipe", "Score", "Work"]
