"""Analysis of data."""

from llmasos.tools.analysis.analyze import analyze_data

__all__ = ["analyze_data"]
