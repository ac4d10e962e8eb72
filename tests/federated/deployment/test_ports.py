"""Ports: taken at once, and whose they are."""

from __future__ import annotations

import os

import pytest

from llmasos.federated.deployment.ports import holder, listen
from llmasos.federated.port import FederatedError


def test_a_port_is_taken_on_one_address_and_its_holder_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        host, port = taken.getsockname()
        assert host == "127.0.0.1"
        assert f"(process {os.getpid()})" in holder(port)
        with pytest.raises(FederatedError, match=rf"Port {port} is taken by .*{os.getpid()}") as error:
            listen("127.0.0.1", port)
        assert "--port" in error.value.hint
    assert holder(port) == ""


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(FederatedError, match=r"Nothing can listen on 192\.0\.2\.1") as error:
        listen("192.0.2.1", 0)
    assert "--host" in error.value.hint
