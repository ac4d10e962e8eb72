"""Strategies: how updates become one model, and which updates may count."""

from llmasos.federated.strategies.choose import choose, needed
from llmasos.federated.strategies.guard import Guarded
from llmasos.federated.strategies.state import State, restore, state_of
from llmasos.federated.strategies.updates import Unfit
from llmasos.federated.strategies.verdict import Refusal, Total, Verdict

__all__ = [
    "Guarded",
    "Refusal",
    "State",
    "Total",
    "Unfit",
    "Verdict",
    "choose",
    "needed",
    "restore",
    "state_of",
]
