"""The agent: sessions, turns, the gate and the policy."""

from llmasos.agent.approvals import Approval, Approvals
from llmasos.agent.asker import Asker, asked_through, asker
from llmasos.agent.audit import Audit, audit_events
from llmasos.agent.books import Books
from llmasos.agent.chronicle import Chronicle
from llmasos.agent.gate import ActionOutcome, Gate
from llmasos.agent.loaded import record_start
from llmasos.agent.memory import Memory
from llmasos.agent.metering import Meter, metered
from llmasos.agent.policy import Policy
from llmasos.agent.recording import record
from llmasos.agent.rulebook import policy_for
from llmasos.agent.search import search_sessions
from llmasos.agent.services import Services
from llmasos.agent.session import Session
from llmasos.agent.sessions import Sessions
from llmasos.agent.stream import EventStream
from llmasos.agent.toolset import definition
from llmasos.agent.workbench import Workbench

__all__ = [
    "ActionOutcome",
    "Approval",
    "Approvals",
    "Asker",
    "Audit",
    "Books",
    "Chronicle",
    "EventStream",
    "Gate",
    "Memory",
    "Meter",
    "Policy",
    "Services",
    "Session",
    "Sessions",
    "Workbench",
    "asked_through",
    "asker",
    "audit_events",
    "definition",
    "metered",
    "policy_for",
    "record",
    "record_start",
    "search_sessions",
]
