"""Audits of the whole system: does it treat people alike?

Counterfactual pairs, the same request about two people who differ in one attribute, are asked in sessions
of their own; what the two sides do and write is compared.
"""

from llmasos.audits.card import card, write_card
from llmasos.audits.comparison import Comparison, compare
from llmasos.audits.pairs import Pair, make_pairs
from llmasos.audits.people import ATTRIBUTES
from llmasos.audits.report import Report, make_report, text_lines
from llmasos.audits.results import PairResult, Results
from llmasos.audits.run import run_pairs

__all__ = [
    "ATTRIBUTES",
    "Comparison",
    "Pair",
    "PairResult",
    "Report",
    "Results",
    "card",
    "compare",
    "make_pairs",
    "make_report",
    "run_pairs",
    "text_lines",
    "write_card",
]
