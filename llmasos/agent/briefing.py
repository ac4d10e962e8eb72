"""The briefing: what a model is told beside a request, and how later turns are told what it was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic_ai.messages import ModelMessage, ModelRequest

from llmasos.agent.memory import told
from llmasos.agent.provenance import EXPLANATION
from llmasos.agent.turn import INSTRUCTIONS
from llmasos.api import Fact
from llmasos.models import LOOK_BELOW
from llmasos.sandbox import outline

_LONGEST_OUTLINE = 1500


@dataclass(frozen=True)
class Briefing:
    """What a model is told beside one request.

    Args:
        names: The paths in the folder.
        facts: What its person asked to remember, the newest first.
        small: Whether the model is a small one, which is told its duties together with the tools, where they
            are read only once.
    """

    names: Sequence[str]
    facts: Sequence[Fact]
    small: bool

    @property
    def instructions(self) -> str:
        """What lies in the folder, what is to be kept in mind, and what the model has to do."""
        here = f"{outline(self.names)[:_LONGEST_OUTLINE]}{self._kept}"
        return f"{here}\n{LOOK_BELOW}" if self.small else f"{INSTRUCTIONS} {EXPLANATION}\n{here}"

    def without_facts(self, messages: Sequence[ModelMessage]) -> list[ModelMessage]:
        """Return the turn's messages as later ones are told them: with the facts as they are by then."""
        kept = self._kept
        return [
            replace(message, instructions=message.instructions.replace(kept, ""))
            if kept and isinstance(message, ModelRequest) and message.instructions
            else message
            for message in messages
        ]

    @property
    def _kept(self) -> str:
        kept = told(self.facts, small=self.small)
        return f"\n{kept}" if kept else ""
