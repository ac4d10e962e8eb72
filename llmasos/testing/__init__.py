"""What authors of tools test with: a fake context, a scripted model, and what the policy decides."""

from llmasos.testing.context import FakeContext, run_tool
from llmasos.testing.decisions import assert_decision
from llmasos.testing.sessions import ScriptedModel, play

__all__ = ["FakeContext", "ScriptedModel", "assert_decision", "play", "run_tool"]
