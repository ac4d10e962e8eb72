"""The contract with Flower: what of its insides is relied on, so that another version is found out here."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.proto import fleet_pb2, heartbeat_pb2, node_pb2, runtime_pb2
from flwr.supercore.date import now
from flwr.supercore.primitives.asymmetric import bytes_to_private_key, sign_message

from llmasos.federated._flower import (
    Link,
    failed,
    make_link,
    number,
    packed,
    take_part,
    unpacked,
)
from llmasos.federated.deployment.certificates import make_node_key
from llmasos.federated.messages import record_of, weights_of
from llmasos.federated.weights import Weights

KEYS = {node: make_node_key() for node in (2, 3)}
STRANGER = make_node_key()


@pytest.fixture
def link() -> Link:
    return make_link({node: public for node, (_, public) in KEYS.items()}, 1.0)


def signed(pair: tuple[bytes, bytes]) -> dict[str, str]:
    """Return the headers that a node's requests have."""
    private, public = pair
    at = now().isoformat()
    signature = sign_message(bytes_to_private_key(private), at.encode())
    return {
        "flwr-public-key": b64encode(public).decode(),
        "flwr-timestamp": at,
        "flwr-signature": b64encode(signature).decode(),
    }


def ask(link: Link, path: str, headers: Mapping[str, str], request: Any, kind: Any) -> Any:
    data, _ = link.calls[path](headers, request.SerializeToString())()
    return kind.FromString(data)


def join(link: Link, node: int) -> int:
    request = fleet_pb2.ActivateNodeRequest(public_key=KEYS[node][1], heartbeat_interval=4.0)
    reply = ask(link, "/v1/fleet/activate-node", signed(KEYS[node]), request, fleet_pb2.ActivateNodeResponse)
    return int(reply.node_id)


def test_it_is_the_version_that_this_was_written_for() -> None:
    assert version("flwr") == "1.42.0"


def test_nodes_have_the_numbers_that_they_were_given_and_short_heartbeats(link: Link) -> None:
    assert [join(link, node) for node in (3, 2)] == [3, 2]
    request = heartbeat_pb2.SendNodeHeartbeatRequest(node=node_pb2.Node(node_id=2), heartbeat_interval=4.0)
    path, kind = "/v1/fleet/send-node-heartbeat", heartbeat_pb2.SendNodeHeartbeatResponse
    assert ask(link, path, signed(KEYS[2]), request, kind).success
    headers = {"flwr-task-token": link.token}
    nodes = ask(
        link, "/v1/runtime/get-nodes", headers, runtime_pb2.GetNodesRequest(), runtime_pb2.GetNodesResponse
    )
    assert sorted(node.node_id for node in nodes.nodes) == [2, 3]


def test_strangers_and_nodes_in_anothers_name_get_nothing(link: Link) -> None:
    join(link, 2)
    pull = fleet_pb2.PullMessagesRequest(node=node_pb2.Node(node_id=2)).SerializeToString()
    for headers in ({}, signed(KEYS[3]), signed(STRANGER), {**signed(KEYS[2]), "flwr-signature": "AAAA"}):
        with pytest.raises(PermissionError):
            link.calls["/v1/fleet/pull-messages"](headers, pull)
    request = fleet_pb2.ActivateNodeRequest(public_key=STRANGER[1], heartbeat_interval=4.0)
    answer = link.calls["/v1/fleet/activate-node"](signed(STRANGER), request.SerializeToString())
    with pytest.raises(Exception, match="No SuperNode found"):
        answer()
    for headers in ({}, {"flwr-task-token": "0" * 256}):
        with pytest.raises(PermissionError):
            link.calls["/v1/runtime/get-nodes"](headers, b"")
    with pytest.raises(ValueError, match="damaged"):
        link.calls["/v1/fleet/pull-messages"](signed(KEYS[2]), b"\xff")


def test_nothing_is_served_by_which_programs_are_started_or_nodes_registered(link: Link) -> None:
    assert {path.split("/")[2] for path in link.calls} == {"fleet", "runtime"}
    assert not any("register" in path or "fab" in path or "task" in path for path in link.calls)


def test_content_is_the_same_after_it_was_packed() -> None:
    weights: Weights = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([3], dtype=np.int64)}
    content = RecordDict(
        {
            "arrays": record_of(weights),
            "config": ConfigRecord({"task": "x", "raw": b"\0\xff"}),
            "metrics": MetricRecord({"loss": 0.1, "n": 3}),
        }
    )
    small = packed(content, 10_000)
    assert set(small) == {"packed"} and packed(content, 10) is content
    back = unpacked(small)
    assert set(back) == set(content) and unpacked(content) is content
    assert back.config_records["config"] == content.config_records["config"]
    assert back.metric_records["metrics"] == content.metric_records["metrics"]
    for name, array in weights_of(back.array_records["arrays"]).items():
        assert array.dtype == weights[name].dtype and (array == weights[name]).all()


def test_a_failure_is_a_reply_to_its_message() -> None:
    take_part(1)
    message = Message(RecordDict(), 2, "train")
    number(message, "name")
    reply = failed(message, 3, "why")
    assert reply.metadata.reply_to_message_id == "name" and reply.error.reason == "why"
    assert (reply.metadata.src_node_id, reply.metadata.dst_node_id) == (2, 1)


@pytest.mark.parametrize(
    "content",
    [
        RecordDict({"packed": ConfigRecord({"packed": "text"})}),
        RecordDict({"packed": ConfigRecord({"other": b""})}),
        RecordDict({"packed": ConfigRecord({"packed": b"\xff\x00garbage"})}),
        RecordDict({"packed": MetricRecord({"packed": 1.0})}),
    ],
)
def test_what_only_says_that_it_is_packed_is_told(content: RecordDict) -> None:
    with pytest.raises(ValueError, match="packed"):
        unpacked(content)
