"""Explaining: why something was done, from what was stored when it was done, and from nothing else."""

from llmasos.agent.explain.archive import PolicyArchive
from llmasos.agent.explain.explainer import LAST, Explainer
from llmasos.agent.explain.log import Log, Place
from llmasos.agent.explain.recheck import Policies, recheck
from llmasos.agent.explain.story import explain_turn

__all__ = ["LAST", "Explainer", "Log", "Place", "Policies", "PolicyArchive", "explain_turn", "recheck"]
