"""LLMasOS: an operating-system layer for language models."""
