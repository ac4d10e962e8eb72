"""Everything of Flower that is not public, in one place; an exact version of it is pinned.

A contract test says what is relied on, so that another version is found out by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flwr.app import Error, Message
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

OPEN_PATHS = frozenset(
    [
        "/health",
        *(
            f"/v1/fleet/{name}"
            for name in (
                "activate-node",
                "deactivate-node",
                "send-node-heartbeat",
                "pull-messages",
                "push-messages",
                "push-object",
                "pull-object",
                "confirm-message-received",
            )
        ),
        *(
            f"/v1/runtime/{name}"
            for name in (
                "get-nodes",
                "pull-messages",
                "push-messages",
                "push-object",
                "pull-object",
                "confirm-message-received",
            )
        ),
    ]
)
"""What of a SuperLink is served: nodes sign what they ask with a registered key, and the run has a token.

All else stays shut: whoever reaches a stock SuperLink may register nodes and start programs.
"""

_LONGEST_TRY = 10.0


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


@dataclass(frozen=True)
class LinkApp:
    """A SuperLink to be served, with one run that has begun.

    Args:
        app: The ASGI application.
        run: The run.
        token: What the run's server shows.
    """

    app: Any
    run: int
    token: str


def link_app(keys: Mapping[int, bytes], least_heartbeat: float) -> LinkApp:
    """Return a SuperLink that keeps all in memory, knows its nodes from the start, and runs no program.

    Args:
        keys: The nodes' public keys (PEM), by the numbers that the nodes will have.
        least_heartbeat: The shortest interval in seconds at which nodes may tell that they are there.
    """
    from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID
    from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
    from flwr.superlink.main import create_app
    from flwr.superlink.servicer.fleet import fleet_handlers

    # Flower takes 10 seconds at least, so that a dead node is found out after 20.
    vars(fleet_handlers)["HEARTBEAT_MIN_INTERVAL"] = least_heartbeat
    app = create_app()
    app.state.enable_supernode_auth = True
    state = app.state.linkstate_factory.state()
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
    return LinkApp(app, run, token)


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
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


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
        raise LineError(str(error) or type(error).__name__) from error


def _retry() -> Any:
    """Return how often a request to a link that cannot be reached is tried again: not without an end."""
    import httpx
    from flwr.supercore.retry import RetryInvoker, exponential

    return RetryInvoker(lambda: exponential(max_delay=1), httpx.TransportError, None, _LONGEST_TRY)
