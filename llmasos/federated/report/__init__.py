"""The report of a run: what was trained, on what, how it went, and how anyone can check it."""

from llmasos.federated.report.comparison import Comparison
from llmasos.federated.report.curves import draw_curves
from llmasos.federated.report.writing import write_report

__all__ = ["Comparison", "draw_curves", "write_report"]
