"""A client's side of secure aggregation."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.secure_aggregation.crypto.shamir import create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import decrypt, encrypt
from flwr.common.secure_aggregation.secaggplus_utils import (
    share_keys_plaintext_concat,
    share_keys_plaintext_separate,
)

from llmasos.federated.messages import LOSS, PROXIMAL, SAMPLES, weights_of
from llmasos.federated.secure.masks import (
    LEAST,
    MASKED,
    RECORD,
    agreed,
    encoded,
    flat,
    new_keys,
    shared_stream,
    signed,
    stream,
)

Train = Callable[[Message, Context], Message]

_STATE = "secure-aggregation"


class ProtocolError(Exception):
    """A message that an honest server would not send."""


def register(app: ClientApp, train: Train) -> None:
    """Let a client program answer secure aggregation's messages.

    Args:
        train: What answers a train message: one record of arrays, and metrics with the number of samples and
            the loss. Of what it returns only the samples and the proximal term's weight leave in the open.
    """

    def collect(message: Message, context: Context) -> Message:
        return _collect(message, context, train)

    app.train("setup")(_setup)
    app.train("share")(_share)
    app.train("collect")(collect)
    app.train("unmask")(_unmask)


def _setup(message: Message, context: Context) -> Message:
    asked = message.content.config_records[RECORD]
    mask_secret, mask_public = new_keys()
    seal_secret, seal_public = new_keys()
    _keep(
        context,
        stage="share",
        session=asked["session"],
        threshold=asked["threshold"],
        clients=asked["clients"],
        mask_secret=mask_secret.hex(),
        seal_secret=seal_secret.hex(),
        publics=[mask_public.hex(), seal_public.hex()],
    )
    return _reply(message, {"mask": mask_public, "seal": seal_public})


def _share(message: Message, context: Context) -> Message:
    state, mine = _kept(message, context, "share"), message.metadata.dst_node_id
    masks, seals = _by_node(message, "mask"), _by_node(message, "seal")
    threshold = state["threshold"]
    if masks.keys() != seals.keys() or [masks.get(mine), seals.get(mine)] != [
        bytes.fromhex(key) for key in state["publics"]
    ]:
        raise ProtocolError("the public keys are not those that were sent")
    if len({*masks.values(), *seals.values()}) != 2 * len(masks):
        raise ProtocolError("two clients have the same public key")
    if not LEAST <= threshold <= len(masks) < 2 * threshold:
        raise ProtocolError(f"{threshold} shares of {len(masks)} are too few, or too many")
    seed, secret = secrets.token_bytes(32), bytes.fromhex(state["mask_secret"])
    nodes = sorted(masks)
    dealt = dict(
        zip(
            nodes,
            zip(
                create_shares(seed, threshold, len(nodes)),
                create_shares(secret, threshold, len(nodes)),
                strict=True,
            ),
            strict=True,
        )
    )
    seal_secret = bytes.fromhex(state["seal_secret"])
    sealed = {
        str(node): encrypt(
            agreed(seal_secret, seals[node]), share_keys_plaintext_concat(mine, node, *dealt[node])
        )
        for node in nodes
        if node != mine
    }
    state |= {
        "stage": "collect",
        "seed": seed.hex(),
        "masks": {str(node): key.hex() for node, key in masks.items()},
        "seals": {str(node): key.hex() for node, key in seals.items()},
        "shares": {str(mine): [share.hex() for share in dealt[mine]]},
    }
    _keep(context, **state)
    return _reply(message, sealed)


def _collect(message: Message, context: Context, train: Train) -> Message:
    state, mine = _kept(message, context, "collect"), message.metadata.dst_node_id
    seal_secret = bytes.fromhex(state["seal_secret"])
    peers = []
    for node, sealed in _by_node(message, "sealed").items():
        key = agreed(seal_secret, bytes.fromhex(state["seals"][str(node)]))
        source, target, *shares = share_keys_plaintext_separate(decrypt(key, sealed))
        if source != node or target != mine:
            raise ProtocolError("shares came from or to another client")
        state["shares"][str(node)] = [share.hex() for share in shares]
        peers.append(node)
    if len(peers) + 1 < state["threshold"]:
        raise ProtocolError("too few neighbours are left")

    sent = weights_of(next(iter(message.content.array_records.values())))
    message.content = RecordDict(
        {name: record for name, record in message.content.items() if name not in (RECORD, "sealed")}
    )
    answer = train(message, context)
    if answer.has_error():
        return answer
    trained = weights_of(next(iter(answer.content.array_records.values())))
    metrics = next(iter(answer.content.metric_records.values()))
    samples, loss = metrics[SAMPLES], metrics.get(LOSS, 0.0)
    if not isinstance(samples, int) or isinstance(loss, list):
        raise ProtocolError("the client's program counts its samples wrongly")
    if trained.keys() != sent.keys() or any(trained[name].shape != sent[name].shape for name in sent):
        raise ProtocolError("the update has other arrays than the model")

    vector = encoded(samples * np.append(flat(trained, sent), loss), state["clients"])
    vector = vector + stream(bytes.fromhex(state["seed"]), len(vector))
    for peer in peers:
        public = bytes.fromhex(state["masks"][str(peer)])
        mask = shared_stream(bytes.fromhex(state["mask_secret"]), public, len(vector))
        vector += signed(mine, peer, mask)
    # Once it is out, what could take the masks away is shares alone.
    for name in ("seed", "mask_secret", "seal_secret"):
        del state[name]
    _keep(context, **state | {"stage": "unmask"})
    told = MetricRecord({name: metrics[name] for name in (SAMPLES, PROXIMAL) if name in metrics})
    content = RecordDict({MASKED: ArrayRecord({MASKED: Array(vector)}), "metrics": told})
    return Message(content, reply_to=message)


def _unmask(message: Message, context: Context) -> Message:
    state, mine = _kept(message, context, "unmask"), message.metadata.dst_node_id
    # Never twice: by two lists of who is gone, a server could take all masks of one client away.
    context.state.config_records.pop(_STATE, None)
    asked = message.content.config_records[RECORD]
    alive, gone = [{str(node) for node in _names(asked[key])} for key in ("alive", "gone")]
    if alive & gone or str(mine) not in alive or not alive | gone <= state["shares"].keys():
        raise ProtocolError("the lists of who is there and who is gone do not fit")
    if len(alive) < state["threshold"]:
        raise ProtocolError("too few neighbours are left")
    shares = {node: bytes.fromhex(state["shares"][node][0 if node in alive else 1]) for node in alive | gone}
    return _reply(message, dict(sorted(shares.items())))


def _names(value: Any) -> list[str]:
    return list(value) if isinstance(value, list) else []


def _by_node(message: Message, name: str) -> dict[int, bytes]:
    record = message.content.config_records[name]
    told = {int(node): value for node, value in record.items() if isinstance(value, bytes)}
    if len(told) != len(record):
        raise ProtocolError(f"{name} holds something else than bytes")
    return told


def _reply(message: Message, told: dict[str, bytes]) -> Message:
    return Message(RecordDict({RECORD: ConfigRecord(dict(told))}), reply_to=message)


def _keep(context: Context, **state: Any) -> None:
    context.state.config_records[_STATE] = ConfigRecord({"kept": json.dumps(state)})


def _kept(message: Message, context: Context, stage: str) -> dict[str, Any]:
    record = context.state.config_records.get(_STATE)
    state: dict[str, Any] = json.loads(str(record["kept"])) if record else {}
    asked = message.content.config_records[RECORD]
    if state.get("session") != asked["session"] or state.get("stage") != stage:
        raise ProtocolError(f"{stage} is not what comes next")
    return state
