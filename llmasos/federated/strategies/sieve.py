"""The sieve of a round: which replies may count, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flwr.app import Message

from llmasos.federated.messages import PROXIMAL, said
from llmasos.federated.plan import Plan
from llmasos.federated.strategies.updates import Unfit, Update, read_metrics, read_update, typical
from llmasos.federated.strategies.verdict import Refusal
from llmasos.federated.weights import Weights


@dataclass(frozen=True)
class Sifted:
    """The replies of a round, each part in the order of the nodes.

    Args:
        updates: What may count.
        failed: Who gave no update.
        rejected: Whose update was refused.
        nodes: Who answered.
    """

    updates: list[Update]
    failed: tuple[Refusal, ...]
    rejected: tuple[Refusal, ...]
    nodes: tuple[int, ...]


class Sieve:
    """Reads replies as they come, and names those that do not count.

    Args:
        plan: What was agreed.
        names: What the clients at the nodes are called; a node's number when it is not here.
        samples: How many rows the nodes have; no client may count more.
    """

    def __init__(self, plan: Plan, names: Mapping[int, str], samples: Mapping[int, int]) -> None:
        self._plan = plan
        self._names = names
        self._samples = samples

    def called(self, node: int) -> str:
        """Return what the client at a node is called."""
        return self._names.get(node, str(node))

    def metrics(self, reply: Message) -> tuple[int, dict[str, float]]:
        """Return the samples and metrics of a reply.

        Raises:
            Unfit: They cannot count.
        """
        return read_metrics(reply, self._samples.get(reply.metadata.src_node_id))

    def checked(self, reply: Message) -> tuple[int, dict[str, float]]:
        """Return the samples and metrics of a train reply.

        Raises:
            Unfit: They cannot count, or FedProx's term was asked for and not used.
        """
        samples, metrics = self.metrics(reply)
        strategy = self._plan.strategy
        asked = strategy.mu if strategy.name == "fedprox" else 0.0
        if asked and metrics.get(PROXIMAL) != asked:
            raise Unfit(f"it trained without FedProx's proximal term (mu {asked:g} was asked for)")
        return samples, metrics

    def sift(self, replies: Iterable[Message], asked: Sequence[int], current: Weights) -> Sifted:
        """Return what became of train messages.

        Args:
            replies: Taken one by one, while others are on their way.
            asked: The nodes that were; all that answer when empty.
            current: The model that they were sent.
        """
        updates: dict[int, Update] = {}
        failed: dict[int, str] = {}
        rejected: list[tuple[int, str]] = []
        came: set[int] = set()
        for reply in replies:
            node = reply.metadata.src_node_id
            if node in came or (asked and node not in asked):
                rejected.append((node, "it answered twice" if node in came else "it was not asked"))
                continue
            came.add(node)
            if reply.has_error():
                failed[node] = said(reply.error.reason)
                continue
            try:
                self.checked(reply)
                updates[node] = read_update(reply, self.called(node), current, self._samples.get(node))
            except Unfit as error:
                rejected.append((node, str(error)))
        silent = f"it did not answer within {self._plan.guard.reply_seconds:g} s"
        late = [(node, silent) for node in sorted(set(asked) - came)]
        return Sifted(
            updates=[updates[node] for node in sorted(updates)],
            failed=self._refusals([*sorted(failed.items()), *late]),
            rejected=self._refusals(sorted(rejected, key=lambda one: one[0])),
            nodes=tuple(sorted(came)),
        )

    def within_norm(
        self, updates: Sequence[Update], before: Sequence[float]
    ) -> tuple[list[Update], tuple[Refusal, ...]]:
        """Return the updates that are no larger than the plan allows, and who sent the others.

        Args:
            updates: The round's.
            before: Norms of earlier rounds, for one with too few updates for a median.
        """
        middle = typical([update.norm for update in updates] if len(updates) >= 3 else before)
        if self._plan.privacy.kind == "central" or middle is None:
            return list(updates), ()
        most = self._plan.guard.norm
        wild = tuple(
            Refusal(one.client, f"its update's norm is {one.norm:.3g}, more than {most:g} times {middle:.3g}")
            for one in updates
            if one.norm > most * middle
        )
        return [one for one in updates if one.norm <= most * middle], wild

    def _refusals(self, found: Iterable[tuple[int, str]]) -> tuple[Refusal, ...]:
        return tuple(Refusal(self.called(node), reason) for node, reason in found)
