"""Provenance: where the values of a call come from, and who may have written what the model reads."""

from llmasos.agent.provenance.labels import describe, label, label_text
from llmasos.agent.provenance.marking import EXPLANATION, mark
from llmasos.agent.provenance.places import kept
from llmasos.agent.provenance.tracker import RESTORING, Tracker

__all__ = ["EXPLANATION", "RESTORING", "Tracker", "describe", "kept", "label", "label_text", "mark"]
