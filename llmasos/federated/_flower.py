"""Everything of Flower that is not public, in one place; an exact version of it is pinned.

A contract test says what is relied on, so that another version is found out by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

RAISED = ErrorCode.CLIENT_APP_RAISED_EXCEPTION
CRASHED = ErrorCode.CLIENT_APP_CRASHED
LATE = ErrorCode.REPLY_MESSAGE_UNAVAILABLE
GONE = ErrorCode.NODE_UNAVAILABLE

SERVER_NODE = 1
"""The node that messages come from, as in Flower's own links."""

PATIENCE = 2
"""How many times its own interval a node may be silent before its link takes it for gone."""

_LONGEST_TRY = 10.0
_PACKED = "packed"
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_FIRST_LOOK, _LONGEST_PULL = 0.02, 600.0


def take_part(run: int, node: int = SERVER_NODE) -> None:
    """Say which run, and which node of it, this process makes messages for; Flower keeps that by process."""
    TaskIdentity.run_id = run
    TaskIdentity.node_id = node
    TaskIdentity.task_id = 0


def empty_run(run: int) -> Run:
    """Return what a `Grid` says of its run."""
    return Run.create_empty(run)


def number(message: Message, name: str) -> None:
    """Give a message the name that its reply will refer to, as a link does when it takes one."""
    message.metadata.__dict__["_message_id"] = name


def failed(message: Message, code: int, reason: str) -> Message:
    """Return the reply that says that a message came to nothing."""
    return Message(Error(code, reason), reply_to=message)


def packed(content: RecordDict, most: int) -> RecordDict:
    """Return content as one record, so that it travels at once; Flower takes a request for each array.

    Args:
        content: What a message carries.
        most: Bytes; what is larger stays as it is.
    """
    from flwr.common.serde import recorddict_to_proto

    arrays = content.array_records.values()
    if sum(len(array.data) for record in arrays for array in record.values()) > most:
        return content
    return RecordDict({_PACKED: ConfigRecord({_PACKED: recorddict_to_proto(content).SerializeToString()})})


def unpacked(content: RecordDict) -> RecordDict:
    """Return content as it was before it was packed, if it was.

    Raises:
        ValueError: It only says that it is packed.
    """
    from flwr.common.serde import recorddict_from_proto
    from flwr.proto.recorddict_pb2 import RecordDict as Proto

    if set(content) != {_PACKED}:
        return content
    record = content.config_records.get(_PACKED)
    data = None if record is None else record.get(_PACKED)
    if not isinstance(data, bytes):
        raise ValueError("it holds nothing that is packed")
    try:
        return recorddict_from_proto(Proto.FromString(data))
    except Exception as error:
        # Whoever sends it may send anything, which Flower's reader answers in many ways.
        raise ValueError(f"it cannot be unpacked: {type(error).__name__}") from error


Answer = Callable[[], tuple[bytes, bool]]
"""Returns the body of a reply, and whether it says anything."""

Call = Callable[[Mapping[str, str], bytes], Answer]
"""Looks who sent a request, by its headers and body, and returns what answers it.

It raises PermissionError when nobody known has sent it, and ValueError when it is none.
"""


@dataclass(frozen=True)
class Link:
    """A SuperLink with one run that has begun.

    Args:
        calls: What it answers, by paths: Flower's Fleet and Runtime protocols, as far as they are needed.
        run: The run.
        token: What the run's server shows.
    """

    calls: Mapping[str, Call]
    run: int
    token: str


def make_link(keys: Mapping[int, bytes], least_heartbeat: float) -> Link:
    """Return a SuperLink that keeps all in memory, knows its nodes from the start, and runs no program.

    It is Flower's state and Flower's handlers. Of a stock one's protocols it has no Control, by which whoever
    reaches the port may register nodes and start programs.

    Args:
        keys: The nodes' public keys (PEM), by the numbers that the nodes will have.
        least_heartbeat: The shortest interval in seconds at which nodes may tell that they are there.
    """
    from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID
    from flwr.server.superlink.linkstate import LinkStateFactory
    from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID, TaskType
    from flwr.supercore.object_store import ObjectStoreFactory
    from flwr.superlink.federation import NoOpFederationManager
    from flwr.superlink.servicer.fleet import fleet_handlers

    # Flower takes 10 seconds at least, so that a dead node is found out after 20.
    vars(fleet_handlers)["HEARTBEAT_MIN_INTERVAL"] = least_heartbeat
    objects = ObjectStoreFactory(FLWR_IN_MEMORY_DB_NAME)
    factory = LinkStateFactory(FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), objects)
    state: Any = factory.state()
    for node, key in keys.items():
        # Links draw numbers; with fixed ones a run is the same each time.
        drawn = state.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, key, 0)
        information = state.nodes.pop(drawn)
        information.node_id = node
        state.nodes[node] = information
        state.node_public_key_to_node_id[key] = node
        state.owner_to_node_ids[NOOP_FLWR_AID] ^= {drawn, node}
    run = state.create_run(None, None, None, {}, NOOP_FEDERATION_ID, None, NOOP_FLWR_AID, TaskType.SERVER_APP)
    task = state.get_run_info(run_ids=[run])[0].primary_task_id
    token = state.claim_task(task)
    state.activate_task(task)
    # The run's server is this process's parent, without which it ends: it need not tell that it is there.
    state.task_token_store[task].active_until = datetime.max.replace(tzinfo=UTC)
    return Link({**_fleet_calls(factory), **_runtime_calls(state)}, run, token)


def _fleet_calls(factory: Any) -> dict[str, Call]:
    """Return what nodes ask; each request is signed with a key that the state knows."""
    from fastapi import HTTPException
    from flwr.proto import fleet_pb2, heartbeat_pb2, message_pb2
    from flwr.superlink.routers.fleet.node_auth import authenticate_node
    from flwr.superlink.servicer.fleet import fleet_handlers as handlers
    from starlette.datastructures import Headers

    state = factory.state()
    app = SimpleNamespace(state=SimpleNamespace(linkstate_factory=factory))

    def call(kind: Any, handle: Callable[[Any], Any]) -> Call:
        def begin(headers: Mapping[str, str], body: bytes) -> Answer:
            request = _parsed(kind, body)
            asked = SimpleNamespace(
                headers=Headers(headers), app=app, state=SimpleNamespace(protobuf_request=request)
            )
            try:
                authenticate_node(asked)  # type: ignore[arg-type]
            except HTTPException as error:
                raise PermissionError(error.detail) from None
            return lambda: _answered(handle(request))

        return begin

    store = state.object_store
    return {
        "/v1/fleet/activate-node": call(
            fleet_pb2.ActivateNodeRequest, lambda request: handlers.activate_node(request, state)
        ),
        "/v1/fleet/deactivate-node": call(
            fleet_pb2.DeactivateNodeRequest, lambda request: handlers.deactivate_node(request, state)
        ),
        "/v1/fleet/send-node-heartbeat": call(
            heartbeat_pb2.SendNodeHeartbeatRequest,
            lambda request: handlers.send_node_heartbeat(request, state),
        ),
        "/v1/fleet/pull-messages": call(
            fleet_pb2.PullMessagesRequest, lambda request: handlers.pull_messages(request, state, store)
        ),
        "/v1/fleet/push-messages": call(
            fleet_pb2.PushMessagesRequest, lambda request: handlers.push_messages(request, state)
        ),
        "/v1/fleet/push-object": call(
            message_pb2.PushObjectRequest, lambda request: handlers.push_object(request, state)
        ),
        "/v1/fleet/pull-object": call(
            message_pb2.PullObjectRequest, lambda request: handlers.pull_object(request, state)
        ),
        "/v1/fleet/confirm-message-received": call(
            message_pb2.ConfirmMessageReceivedRequest,
            lambda request: handlers.confirm_message_received(request, state, store),
        ),
    }


def _runtime_calls(state: Any) -> dict[str, Call]:
    """Return what the run's server asks; each request shows the run's token."""
    from flwr.proto import message_pb2, runtime_pb2
    from flwr.supercore.constant import TASK_TOKEN_HEADER
    from flwr.superlink.servicer.runtime import runtime_handlers as handlers

    def call(kind: Any, handle: Callable[[Any, Any, Any], Any]) -> Call:
        def begin(headers: Mapping[str, str], body: bytes) -> Answer:
            request = _parsed(kind, body)
            task = state.get_task_by_token(headers.get(TASK_TOKEN_HEADER, ""))
            if task is None:
                raise PermissionError("the token is not the run's")
            return lambda: _answered(handle(request, state, task))

        return begin

    def pull(request: Any, state: Any, task: Any) -> Any:
        whole = [name for name in request.message_ids if _whole(state, name)]
        if not whole:
            return runtime_pb2.PullAppMessagesResponse()
        return handlers.pull_messages(runtime_pb2.PullAppMessagesRequest(message_ids=whole), state, task)

    return {
        "/v1/runtime/get-nodes": call(runtime_pb2.GetNodesRequest, handlers.get_nodes),
        "/v1/runtime/pull-messages": call(runtime_pb2.PullAppMessagesRequest, pull),
        "/v1/runtime/push-messages": call(runtime_pb2.PushAppMessagesRequest, handlers.push_messages),
        "/v1/runtime/push-object": call(message_pb2.PushObjectRequest, handlers.push_object),
        "/v1/runtime/pull-object": call(message_pb2.PullObjectRequest, handlers.pull_object),
        "/v1/runtime/confirm-message-received": call(
            message_pb2.ConfirmMessageReceivedRequest, handlers.confirm_message_received
        ),
    }


def _whole(state: Any, name: str) -> bool:
    """Return whether what became of a message can be told: not while a node is sending its reply.

    Flower tells of a reply at once, and whoever waits for the rest of it waits without an end.
    """
    from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
    from flwr.supercore.object_store import NoObjectInStoreError

    reply, message = state.message_ins_id_to_message_res_id.get(name), state.message_ins_store.get(name)
    if reply is None or message is None:
        return True
    if state.nodes[message.metadata.dst_node_id].online_until < time.time():
        return True
    try:
        tree = state.object_store.get_object_tree(reply)
        return all(state.object_store.get(part.object_id) for part in iterate_object_tree(tree))
    except NoObjectInStoreError:
        return True


def _parsed(kind: Any, body: bytes) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return kind.FromString(body)
    except DecodeError:
        raise ValueError("the request is damaged") from None


def _answered(reply: Any) -> tuple[bytes, bool]:
    return reply.SerializeToString(), bool(getattr(reply, "messages_list", True))


def link_grid(address: str, authority: bytes, token: str, run: int) -> Grid:
    """Return a `Grid` over a SuperLink for one run of it.

    Args:
        address: The link's host and port.
        authority: The certificate (PEM) that the link's own must be signed with.
        token: What the link gave the run's server.
        run: The run.
    """
    from flwr.superlink.grid import HttpGrid

    grid = HttpGrid(address, insecure=False, root_certificates=authority, token=token)
    grid._retry_invoker = _retry()
    grid.set_run(empty_run(run))
    take_part(run)
    return grid


class NodeLine:
    """A node's connection to its SuperLink: TLS, and each request signed with the node's key.

    Args:
        address: The link's host and port.
        authority: The certificate (PEM) that the link's own must be signed with.
        key: The node's private key (PEM).
        heartbeat: Seconds at most between two signs of life.
    """

    def __init__(self, address: str, authority: bytes, key: bytes, heartbeat: float) -> None:
        from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
        from flwr.supercore.primitives.asymmetric import bytes_to_private_key, public_key_to_bytes
        from flwr.supernode.fleet_http_client import FleetHttpClient
        from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

        private = bytes_to_private_key(key)
        self._public = public_key_to_bytes(private.public_key())
        self._heartbeat = heartbeat
        self._client = FleetHttpClient.from_server_address(
            address,
            False,
            authority,
            interceptors=[
                RuntimeVersionHttpInterceptor(component_name="SuperNode"),
                NodeAuthHttpInterceptor(private, private.public_key()),
            ],
        )
        self._node: Any = None

    def join(self) -> int:
        """Tell the link that the node is there, and return the node's number.

        Raises:
            LineError: The link cannot be reached, or does not take the node.
        """
        from flwr.proto.fleet_pb2 import ActivateNodeRequest
        from flwr.proto.node_pb2 import Node

        if self._node is not None:
            # A link takes a sign of life for the same, and then says no to who tells it twice.
            try:
                self.live()
                return int(self._node.node_id)
            except LineError as error:
                if not error.refused:
                    raise
        with line_errors():
            reply = self._client.ActivateNode(
                ActivateNodeRequest(public_key=self._public, heartbeat_interval=self._heartbeat)
            )
        self._node = Node(node_id=reply.node_id)
        return int(reply.node_id)

    def leave(self) -> None:
        """Tell the link that the node goes.

        Raises:
            LineError: The link cannot be reached.
        """
        from flwr.proto.fleet_pb2 import DeactivateNodeRequest

        with line_errors():
            self._client.DeactivateNode(DeactivateNodeRequest(node_id=self._node.node_id))

    def live(self) -> None:
        """Tell the link that the node is still there.

        Raises:
            LineError: The link cannot be reached, or does not know the node.
        """
        from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest

        with line_errors():
            known = self._client.SendNodeHeartbeat(
                SendNodeHeartbeatRequest(node=self._node, heartbeat_interval=self._heartbeat)
            ).success
        if not known:
            raise LineError("the link does not know the node", refused=True)

    def pull(self) -> Message | None:
        """Return a message to the node, if there is one.

        Raises:
            LineError: The link cannot be reached, or refuses.
        """
        from flwr.proto.fleet_pb2 import PullMessagesRequest
        from flwr.supercore.inflatable.inflatable_protobuf_utils import (
            make_confirm_message_received_fn_protobuf,
            make_pull_object_fn_protobuf,
        )
        from flwr.supercore.inflatable.inflatable_utils import pull_and_inflate_object_from_tree

        client, node = self._client, self._node
        with line_errors():
            reply = client.PullMessages(PullMessagesRequest(node=node))
            if not reply.messages_list:
                return None
            run, tree = reply.messages_list[0].metadata.run_id, reply.message_object_trees[0]
            message = pull_and_inflate_object_from_tree(
                tree,
                make_pull_object_fn_protobuf(client.PullObject, node, run),
                make_confirm_message_received_fn_protobuf(client.ConfirmMessageReceived, node, run),
                return_type=Message,
                max_concurrent_pulls=4,
                initial_backoff=_FIRST_LOOK,
                max_time=_LONGEST_PULL,
            )
        number(message, tree.object_id)
        return message

    def push(self, message: Message, seconds: float) -> None:
        """Send a reply.

        Args:
            message: The reply.
            seconds: How long it took to make.

        Raises:
            LineError: The link cannot be reached, or takes no reply any more.
        """
        from flwr.app.message import remove_content_from_message
        from flwr.common.serde import message_to_proto
        from flwr.proto.fleet_pb2 import PushMessagesRequest
        from flwr.supercore.inflatable.inflatable_object import (
            get_all_nested_objects,
            get_object_tree,
            no_object_id_recompute,
        )
        from flwr.supercore.inflatable.inflatable_protobuf_utils import make_push_object_fn_protobuf
        from flwr.supercore.inflatable.inflatable_utils import push_objects

        client, node = self._client, self._node
        number(message, message.object_id)
        bare = remove_content_from_message(message) if message.has_content() else message
        with line_errors(), no_object_id_recompute():
            reply = client.PushMessages(
                PushMessagesRequest(
                    node=node,
                    messages_list=[message_to_proto(bare)],
                    message_object_trees=[get_object_tree(message)],
                    clientapp_runtime_list=[seconds],
                )
            )
            push_objects(
                get_all_nested_objects(message),
                make_push_object_fn_protobuf(
                    client.PushObject, node, message.metadata.run_id, reply.session_id
                ),
                object_ids_to_push=set(reply.objects_to_push),
                max_concurrent_pushes=4,
            )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class LineError(Exception):
    """A request between a node, or a run's server, and the link that came to nothing.

    Args:
        message: Why.
        refused: Whether the link answered, and said no.
        untrusted: Whether it showed a certificate that is not to be trusted.
    """

    def __init__(self, message: str, *, refused: bool = False, untrusted: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
        self.untrusted = untrusted


@contextmanager
def line_errors() -> Iterator[None]:
    """Turn what Flower and its HTTP client raise into `LineError`."""
    import httpx
    from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, ObjectPushError
    from flwr.supercore.run import RunNotRunningException

    try:
        yield
    except httpx.HTTPStatusError as error:
        raise LineError(f"the link refused ({error.response.status_code})", refused=True) from error
    except (ObjectPullError, ObjectPushError, RunNotRunningException) as error:
        raise LineError("the link has dropped the message", refused=True) from error
    except httpx.HTTPError as error:
        said = str(error) or type(error).__name__
        raise LineError(said, untrusted=_UNTRUSTED in said) from error


def _retry() -> Any:
    """Return how often a request to a link that cannot be reached is tried again: not without an end."""
    import httpx
    from flwr.supercore.retry import RetryInvoker, exponential

    return RetryInvoker(lambda: exponential(max_delay=1), httpx.TransportError, None, _LONGEST_TRY)
