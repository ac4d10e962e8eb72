"""`llmasos serve` and `llmasos status`, beside a kernel that runs."""

from pathlib import Path

import pytest

from llmasos.config import ServiceSettings
from tests.shell.conftest import Run


def test_a_second_kernel_is_refused_with_the_way_to_open_a_port(run: Run) -> None:
    done = run("serve", "--port", "8765")
    assert done.code == 1 and done.out == ""
    for said in ("runs already", "llmasos stop", "LLMASOS_SERVICE__PORT"):
        assert said in done.err


def test_the_status_says_how_the_model_is_and_who_reaches_the_kernel(run: Run) -> None:
    lines = run("status").out.splitlines()
    assert "model    qwen2.5-coder-1.5b, loaded" in lines and "service  the own socket only" in lines


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, ""),
        ({"port": 8765}, "http://127.0.0.1:8765"),
        ({"port": 8765, "host": "::1"}, "http://[::1]:8765"),
        ({"port": 443, "host": "a.example", "tls_certificate": Path("c.pem")}, "https://a.example:443"),
    ],
)
def test_the_address_is_that_of_the_settings(given: dict[str, object], url: str) -> None:
    assert ServiceSettings.model_validate(given).url == url
