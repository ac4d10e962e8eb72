"""The server's side of secure aggregation."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.common.secure_aggregation.crypto.shamir import combine_shares
from flwr.serverapp import Grid

from llmasos.federated.messages import said, weights_of
from llmasos.federated.secure.masks import (
    LEAST,
    MASKED,
    RECORD,
    Vector,
    decoded,
    public_of,
    shared_stream,
    signed,
    stream,
    unflat,
)
from llmasos.federated.strategies.updates import Unfit
from llmasos.federated.strategies.verdict import Total

_NEIGHBOURS = 100
"""How many clients one shares masks with: all others, up to this many."""

Check = Callable[[Message], tuple[int, dict[str, float]]]
"""Returns the samples and metrics of a train reply, or raises Unfit."""


def secure_train(grid: Grid, messages: Sequence[Message], check: Check, seconds: float) -> Total:
    """Let clients train, and learn the mean of their updates only.

    A client that drops out before it has sent its masked update is left out; one that drops out afterwards is
    in the mean. The round fails when a client's mask cannot be taken away because half of its neighbours or
    more are gone, and when fewer than three are left.

    Args:
        messages: The train messages that a strategy has made, one a client.
        check: Says whether a reply may count, by what is told in the open.
        seconds: How long is waited for each of the four answers.
    """
    return _Exchange(grid, messages, check, seconds).run()


class _Exchange:
    def __init__(self, grid: Grid, messages: Sequence[Message], check: Check, seconds: float) -> None:
        self.grid, self.check, self.seconds = grid, check, seconds
        self.contents = {message.metadata.dst_node_id: message.content for message in messages}
        self.session = secrets.token_hex(16)
        self.near = _ring(list(self.contents))
        self.threshold = max(LEAST, min(_NEIGHBOURS + 1, len(self.contents)) // 2 + 1)
        self.failed: dict[int, str] = {}
        self.rejected: dict[int, str] = {}
        self.masks: dict[int, bytes] = {}

    def run(self) -> Total:
        ready = self._setup()
        shared = self._share(ready)
        vectors, samples = self._collect(shared)
        alive = {node: near & vectors.keys() for node, near in self.near.items() if node in vectors}
        gone = shared.keys() - vectors.keys()
        secret = self._unmask(alive, gone) if vectors else None
        if secret is None:
            return self._total(None, {})
        reference = weights_of(next(iter(next(iter(self.contents.values())).array_records.values())))
        total: Vector = np.zeros(len(next(iter(vectors.values()))), dtype=np.uint64)
        for node, vector in vectors.items():
            total += vector - stream(secret[node], len(total))
        for node in gone:
            for near in self.near[node] & vectors.keys():
                total -= signed(near, node, shared_stream(secret[node], self.masks[near], len(total)))
        mean = decoded(total) / sum(samples.values())
        return self._total(unflat(mean[:-1], reference), samples, float(mean[-1]))

    def _setup(self) -> dict[int, tuple[bytes, bytes]]:
        asked = {"session": self.session, "threshold": self.threshold, "clients": len(self.contents)}
        keys: dict[int, tuple[bytes, bytes]] = {}
        for node, told in self._configs("setup", {node: {RECORD: dict(asked)} for node in self.contents}):
            if isinstance(told.get("mask"), bytes) and isinstance(told.get("seal"), bytes):
                keys[node] = (told["mask"], told["seal"])
            else:
                self.rejected[node] = "it sent no public keys"
        self.masks = {node: mask for node, (mask, _) in keys.items()}
        return keys

    def _share(self, keys: Mapping[int, tuple[bytes, bytes]]) -> dict[int, dict[str, bytes]]:
        records: dict[int, dict[str, dict[str, Any]]] = {}
        for node in keys:
            near = sorted((self.near[node] & keys.keys()) | {node})
            if len(near) < self.threshold:
                self.failed[node] = "too few of its neighbours are there"
                continue
            masks, seals = ({str(other): keys[other][kind] for other in near} for kind in (0, 1))
            records[node] = {RECORD: {"session": self.session}, "mask": masks, "seal": seals}
        shared: dict[int, dict[str, bytes]] = {}
        for node, told in self._configs("share", records):
            if set(told) == set(records[node]["mask"]) - {str(node)}:
                shared[node] = told
            else:
                self.rejected[node] = "it sent no shares for its neighbours"
        return shared

    def _collect(self, shared: Mapping[int, dict[str, bytes]]) -> tuple[dict[int, Vector], dict[int, int]]:
        contents = {}
        for node in shared:
            sealed = {str(near): shared[near][str(node)] for near in self.near[node] & shared.keys()}
            contents[node] = RecordDict(
                {
                    **self.contents[node],
                    RECORD: ConfigRecord({"session": self.session}),
                    "sealed": ConfigRecord(dict(sorted(sealed.items()))),
                }
            )
        vectors: dict[int, Vector] = {}
        samples: dict[int, int] = {}
        for node, reply in self._ask("collect", contents):
            try:
                samples[node], _ = self.check(reply)
                vectors[node] = self._vector(reply)
            except Unfit as error:
                samples.pop(node, None)
                self.rejected[node] = str(error)
        return vectors, samples

    def _vector(self, reply: Message) -> Vector:
        record = next(iter(self.contents.values())).array_records
        count = 1 + sum(array.size for array in weights_of(next(iter(record.values()))).values())
        try:
            vector = reply.content.array_records[MASKED][MASKED].numpy()
        except (KeyError, ValueError, TypeError, EOFError, OSError, MemoryError) as error:
            raise Unfit("its masked update cannot be read") from error
        if not isinstance(vector, np.ndarray) or vector.dtype != np.uint64 or vector.shape != (count,):
            raise Unfit("its masked update is of another size than the model")
        return vector

    def _unmask(self, alive: Mapping[int, set[int]], gone: Iterable[int]) -> dict[int, bytes] | None:
        """Return living clients' seeds and lost clients' keys, or None when one cannot be recovered."""
        lost = set(gone)
        records = {}
        for node, near in alive.items():
            lists = {"alive": _text(near | {node}), "gone": _text(self.near[node] & lost)}
            records[node] = {RECORD: {"session": self.session, **lists}}
        shares: dict[int, list[bytes]] = {node: [] for node in (*alive, *lost)}
        for node, told in self._configs("unmask", records):
            for owner in {node, *alive[node], *(self.near[node] & lost)}:
                share = told.get(str(owner))
                if isinstance(share, bytes):
                    shares[owner].append(share)
        recovered: dict[int, bytes] = {}
        for owner, parts in shares.items():
            # Who is gone and has no living neighbour has left no mask in the sum.
            if owner in lost and not self.near[owner] & alive.keys():
                continue
            try:
                if len(parts) < self.threshold:
                    raise ValueError("too few shares")
                recovered[owner] = combine_shares(parts[: self.threshold])
                if owner in lost and public_of(recovered[owner]) != self.masks[owner]:
                    raise ValueError("another key")
            except ValueError:
                self.failed.setdefault(owner, "too few clients were left to take its mask away")
                return None
        return recovered

    def _configs(
        self, stage: str, records: Mapping[int, Mapping[str, Mapping[str, Any]]]
    ) -> list[tuple[int, dict[str, Any]]]:
        contents = {
            node: RecordDict({name: ConfigRecord(dict(record)) for name, record in given.items()})
            for node, given in records.items()
        }
        told = []
        for node, reply in self._ask(stage, contents):
            record = reply.content.config_records.get(RECORD)
            told.append((node, dict(record) if record is not None else {}))
        return told

    def _ask(self, stage: str, contents: Mapping[int, RecordDict]) -> list[tuple[int, Message]]:
        messages = [
            Message(content, dst_node_id=node, message_type=f"train.{stage}")
            for node, content in contents.items()
        ]
        replies: dict[int, Message] = {}
        came = set()
        for reply in self.grid.send_and_receive(messages, timeout=self.seconds) if messages else ():
            node = reply.metadata.src_node_id
            if node not in contents or node in came:
                continue
            came.add(node)
            if reply.has_error():
                self.failed[node] = said(reply.error.reason)
            else:
                replies[node] = reply
        for node in contents.keys() - came:
            self.failed[node] = f"it did not answer within {self.seconds:g} s"
        return sorted(replies.items())

    def _total(self, mean: Any, samples: dict[int, int], loss: float | None = None) -> Total:
        # Who is in the mean has not failed, though it may have left before the end.
        failed = {node: reason for node, reason in self.failed.items() if node not in samples}
        return Total(mean, samples, loss, tuple(sorted(failed.items())), tuple(sorted(self.rejected.items())))


def _ring(nodes: list[int]) -> dict[int, set[int]]:
    """Return each node's neighbours on a ring in an order that is drawn anew each time."""
    drawn = random.SystemRandom().sample(nodes, len(nodes))
    reach = min(_NEIGHBOURS // 2, len(nodes) // 2)
    return {
        node: {drawn[(place + step) % len(drawn)] for step in range(-reach, reach + 1)} - {node}
        for place, node in enumerate(drawn)
    }


def _text(nodes: Iterable[int]) -> list[str]:
    return [str(node) for node in sorted(nodes)]
