"""Starting, joining and leaving a cluster, up to where Ray begins."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from llmasos.cluster import ClusterError, Machine, __main__, nodes, records
from llmasos.cluster._ray_environment import token_file, token_variables
from llmasos.cluster._tree import began, end_tree
from llmasos.cluster.records import Node


@pytest.fixture
def refused() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def recorded(tmp_path: Path, process: "subprocess.Popen[bytes]", role: str = "worker") -> Node:
    """Write down a process as a node."""
    folder = tmp_path / f"ray-{process.pid}"
    folder.mkdir()
    node = Node.model_validate(
        {
            "name": f"n{process.pid}",
            "role": role,
            "address": "127.0.0.1:6379",
            "host": "127.0.0.1",
            "pid": process.pid,
            "began": began(process.pid),
            "folder": folder,
        }
    )
    file = token_file().parent / "nodes" / f"{node.name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(node.model_dump_json())
    return node


Start = Callable[[], tuple["subprocess.Popen[bytes]", int]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that do not end when they are asked to, each with a child, whose number it returns."""
    code = "import subprocess, signal, time; signal.signal(15, signal.SIG_IGN); "
    code += "print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    with ExitStack() as stack:

        def started() -> tuple["subprocess.Popen[bytes]", int]:
            process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
            stack.enter_context(process)
            stack.callback(end_tree, [process.pid])
            assert process.stdout is not None
            return process, int(process.stdout.readline())

        yield started


def test_joining_says_what_is_missing(refused: str, start: Start, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=f"{refused} cannot be reached: Connection refused"):
        nodes.join(refused, token="x")
    with pytest.raises(ClusterError, match=r"10.0.0.1 has no port"):
        nodes.join("10.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ClusterError, match="no token"):
            nodes.join(address)
        recorded(tmp_path, start()[0])
        with pytest.raises(ClusterError, match=r"in the cluster at 127.0.0.1:6379, which has another token"):
            nodes.join(address, token="x")
    assert not token_file().exists()


def test_a_port_that_is_taken_and_an_address_of_others_are_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ClusterError, match=f"127.0.0.1 port {port}: Address already in use"):
            nodes.up(port=port)
    with pytest.raises(ClusterError, match=r"cannot listen on 192.0.2.77"):
        nodes.up("192.0.2.77", 0)
    assert not token_file().exists()


@pytest.mark.parametrize("name", ["a/b", "../a", "", "a b", "-a"])
def test_names_that_would_lead_elsewhere_or_are_taken_are_refused(
    name: str, start: Start, tmp_path: Path, refused: str
) -> None:
    node = recorded(tmp_path, start()[0])
    name = name or node.name
    with pytest.raises(ClusterError, match=r"is no name|A node n\d+ runs here"):
        nodes.join(refused, token="x", name=name)
    assert records.nodes() == [node]
    assert not token_file().exists()


def test_what_fails_leaves_the_token_that_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Node:
        raise KeyboardInterrupt

    monkeypatch.setattr(nodes, "_start", fail)
    token_file().parent.mkdir(parents=True)
    token_file().write_text("before")
    with pytest.raises(KeyboardInterrupt):
        nodes.up(port=0)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(KeyboardInterrupt):
        nodes.join(f"127.0.0.1:{server.getsockname()[1]}", token="x")
    assert token_file().read_text() == "before"
    token_file().unlink()
    with pytest.raises(KeyboardInterrupt):
        nodes.up(port=0)
    assert not token_file().exists()


def test_leaving_ends_what_was_started_and_nothing_else(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "_GRACE_SECONDS", 0.1)
    (ours, child), (other, others_child) = start(), start()
    node = recorded(tmp_path, ours)
    with pytest.raises(ClusterError, match="No node nothing runs here"):
        nodes.down(["nothing"])
    assert records.nodes() == [node]
    assert nodes.down() == [node]
    assert not began(ours.pid)
    assert not began(child)
    assert other.poll() is None
    assert began(others_child)
    assert not node.folder.exists()
    assert records.nodes() == nodes.down() == []


def test_a_process_that_took_a_nodes_number_is_left_alone(start: Start, tmp_path: Path) -> None:
    process, _ = start()
    node = recorded(tmp_path, process)
    file = token_file().parent / "nodes" / f"{node.name}.json"
    file.write_text(node.model_copy(update={"began": node.began - 1}).model_dump_json())
    assert nodes.down() == []
    assert process.poll() is None
    assert not file.exists()


def test_the_token_of_this_users_cluster_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    assert token_variables() == {}
    token_file().parent.mkdir(parents=True)
    token_file().write_text("secret")
    assert token_variables() == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file())}
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    assert token_variables() == {"RAY_AUTH_MODE": "token"}


def test_errors_are_told_in_words(refused: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert __main__.main(["join", "--token-file", str(tmp_path / "none"), "--", refused]) == 1
    assert "cannot be read: No such file" in capsys.readouterr().err
    assert __main__.main(["up", "--has", "docker=many"]) == 1
    assert "docker=many is no amount" in capsys.readouterr().err
    assert __main__.main(["status"]) == 1
    assert "in no cluster" in capsys.readouterr().err
    assert __main__.main(["status", "--address", refused]) == 1
    assert "cannot be reached" in capsys.readouterr().err
    assert __main__.main(["down"]) == 0
    assert "No node runs here" in capsys.readouterr().out


def test_what_machines_have_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    has = {"CPU": 2.0, "docker": 1.0, "memory": float(4 << 30)}
    free = {"CPU": 1.0, "memory": float(2 << 30)}
    machine = Machine(name="a", address="10.0.0.1", alive=True, has=has, free=free)
    __main__.tell([machine])
    assert capsys.readouterr().out == (
        "a  10.0.0.1  alive  1 of 2 CPU free, 0 of 1 docker free, 2.0 of 4.0 GiB memory free\n"
    )
    assert json.loads(machine.model_dump_json())["has"] == has
