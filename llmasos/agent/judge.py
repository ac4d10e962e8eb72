"""The judge: gathers what is known of a call, has the policy decide, and remembers what results say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio.to_thread

from llmasos.agent.deed import Deed
from llmasos.agent.gathering import Surroundings, gather, trace
from llmasos.agent.losses import Before, Look, at_risk
from llmasos.agent.policy import Call, Facts, decide
from llmasos.agent.provenance import Tracker, label, label_text, mark
from llmasos.agent.rulebook import Rulebook
from llmasos.agent.values import changed_words, texts
from llmasos.decisions import Decision
from llmasos.secrets import Redactor
from llmasos.tools import Tool

_FLOWING = ("reads", "writes", "effects", "dynamic")
_MOST_LOOKED_AT = 16
_LONG = 20_000  # characters that are looked up without others having to wait


@dataclass(frozen=True)
class Judgement:
    """A call, what was known of it, and what was decided."""

    call: Call
    facts: Facts
    decision: Decision


async def unseen(path: str) -> None:
    """Say of no file what it holds."""


async def nothing_more() -> None:
    """Wait for nothing."""


class Judge:
    """Decides on the calls of one turn.

    Args:
        rulebook: The rules.
        tracker: What was said and read in the session.
        surroundings: What holds for every call of the turn.
        redactor: Knows secrets.
        look: Looks at files that a call would change.
        heard: Returns when the tracker knows what was before this turn.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        tracker: Tracker,
        surroundings: Surroundings,
        redactor: Redactor,
        look: Look = unseen,
        heard: Callable[[], Awaitable[None]] = nothing_more,
    ) -> None:
        self._rulebook = rulebook
        self._tracker = tracker
        self._surroundings = surroundings
        self._redactor = redactor
        self._look = look
        self._heard = heard

    async def decide(
        self, tool: Tool, arguments: Mapping[str, Any], inside: Facts | None = None
    ) -> Judgement:
        """Decide on a call with validated arguments.

        Args:
            tool: The tool.
            arguments: Its arguments.
            inside: The facts of the action whose code makes the call, if any.
        """
        await self._heard()
        deed = Deed.of(tool, arguments, self._surroundings.functions)
        paths = at_risk(deed, reading=self._tracker.reading)[:_MOST_LOOKED_AT]
        before = {path: _text(await self._look(path)) for path in paths}
        judge = partial(self._judge, deed, before, inside)
        long = sum(map(len, (*texts(arguments), *filter(None, before.values())))) > _LONG
        return await anyio.to_thread.run_sync(judge) if long else judge()

    async def decide_edited(self, made: Judgement, tool: Tool, arguments: Mapping[str, Any]) -> Judgement:
        """Decide on a call whose arguments a person has edited.

        Only what they changed is their word: what they left as it was may be anybody's still.

        Args:
            made: The call as they were asked about it.
            tool: The tool.
            arguments: The arguments as they have them.
        """
        for text in changed_words(made.call.arguments, arguments):
            self._tracker.person(text)
        return await self.decide(tool, arguments)

    async def decide_again(self, made: Judgement) -> Judgement:
        """Decide on a call anew, by the rules as they are now."""
        await self._rulebook.refresh()
        return Judgement(made.call, made.facts, decide(made.call, made.facts, self._rulebook.policy))

    def hear(self, why: str) -> None:
        """Remember why a person refused a call."""
        self._tracker.person(why, refusing=True)

    def _judge(self, deed: Deed, before: Before, inside: Facts | None) -> Judgement:
        tool, arguments, tracker = deed.tool, deed.arguments, self._tracker
        typed = self._surroundings.typed and inside is None
        origins = trace(tool, arguments, tracker, inside=inside is not None, typed=typed)
        call = Call(tool=tool.name, arguments=dict(arguments))
        facts = gather(
            deed, origins, tracker, self._redactor, self._surroundings, before=before, inside=inside
        )
        return Judgement(call, facts, decide(call, facts, self._rulebook.policy))

    def remember(
        self, action: str, tool: Tool, arguments: Mapping[str, Any], value: object, text: str, facts: Facts
    ) -> str:
        """Remember what a call has done, and return its result as the model is told it.

        Args:
            action: The action.
            tool: The tool.
            arguments: Its arguments.
            value: What it returned; None when it failed.
            text: The same as text.
            facts: What was known of the call.
        """
        self._tracker.ran({name: getattr(facts, name) for name in _FLOWING}, facts.origins)
        for piece, source in label(tool, arguments, value, text, action):
            self._tracker.content(piece, source)
        return mark(text, label_text(tool, arguments))


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "replace")
