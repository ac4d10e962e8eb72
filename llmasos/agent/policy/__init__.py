"""The policy: may this call run, must a person be asked, or not at all?"""

from __future__ import annotations

from llmasos.agent.policy.book import Policy
from llmasos.agent.policy.engine import decide, flipped
from llmasos.agent.policy.facts import Access, Asking, Call, Facts
from llmasos.agent.policy.files import add_rule, as_toml
from llmasos.agent.policy.layers import builtin, load_policy, takes_effect_later, user_file
from llmasos.agent.policy.rules import Rule, When
from llmasos.agent.policy.suggest import Logged, Past, Suggestion, collect, pattern, suggest
from llmasos.decisions import Decision, Verdict

__all__ = [
    "Access",
    "Asking",
    "Call",
    "Decision",
    "Facts",
    "Logged",
    "Past",
    "Policy",
    "Rule",
    "Suggestion",
    "Verdict",
    "When",
    "add_rule",
    "as_toml",
    "builtin",
    "collect",
    "decide",
    "flipped",
    "load_policy",
    "pattern",
    "suggest",
    "takes_effect_later",
    "user_file",
]
