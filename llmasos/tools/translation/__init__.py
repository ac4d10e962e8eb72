"""Translating text and files whose structure stays as it is."""

from llmasos.tools.translation.translate import translate

__all__ = ["translate"]
