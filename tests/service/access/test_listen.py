"""Listening: TLS, loopback addresses and ports, and what is said when they cannot be used."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmasos.config import CONSOLE_PORT, ServiceSettings
from llmasos.errors import ConfigError, KernelError
from llmasos.listen import address_of, tcp_addresses, tcp_listeners, tls_context, unix_listener


@pytest.fixture(scope="module")
def certificates() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("one", "two"):
            made = (
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
                f"-keyout {each}.key -out {each}.pem -subj /CN=localhost"
            )
            subprocess.run(made.split(), cwd=folder, check=True, capture_output=True)
        locked = ["openssl", "ec", "-in", "one.key", "-aes256", "-passout", "pass:x", "-out", "locked.key"]
        subprocess.run(locked, cwd=folder, check=True, capture_output=True)
        (folder / "both.pem").write_text((folder / "one.pem").read_text() + (folder / "one.key").read_text())
        (folder / "text.pem").write_text("no certificate\n")
        yield folder


def settings(folder: Path, certificate: str = "", key: str = "", **more: object) -> ServiceSettings:
    return ServiceSettings.model_validate(
        {
            "tls_certificate": folder / certificate if certificate else None,
            "tls_key": folder / key if key else None,
            **more,
        }
    )


def test_a_certificate_and_its_key_are_used(certificates: Path) -> None:
    assert tls_context(settings(certificates)) is None
    assert tls_context(settings(certificates, "one.pem", "one.key")) is not None
    assert tls_context(settings(certificates, "both.pem")) is not None


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("one.pem", "two.key", "the key is of another certificate"),
        ("one.pem", "nothere.key", "nothere.key cannot be read: No such file"),
        ("nothere.pem", "one.key", "nothere.pem cannot be read: No such file"),
        ("", "one.key", "no certificate"),
        ("text.pem", "one.key", "cannot be used"),
        ("one.pem", "text.pem", "cannot be used"),
        ("one.pem", "locked.key", "the key has a password"),
        ("one.pem", "", "cannot be used"),
    ],
)
def test_a_wrong_certificate_is_refused_with_the_reason(
    certificates: Path, certificate: str, key: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        tls_context(settings(certificates, certificate, key))
    assert caught.value.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert tcp_addresses(ServiceSettings(host=host, port=1))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_other_addresses_need_tls(certificates: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="Without TLS") as caught:
        tcp_addresses(ServiceSettings(host=host, port=1))
    assert "TLS_CERTIFICATE" in caught.value.hint
    assert tcp_addresses(settings(certificates, "one.pem", "one.key", host=host, port=1))


@pytest.mark.parametrize("host", ["no such host", "a" * 300, "::1::2", "\0", ""])
def test_a_host_without_an_address_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="has no address"):
        tcp_addresses(ServiceSettings(host=host, port=1))


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(KernelError, match=r"cannot listen on 127\.0\.0\.1") as caught:
            tcp_listeners(ServiceSettings(port=taken.getsockname()[1]))
        assert "LLMASOS_SERVICE__PORT" in caught.value.hint
        free = taken.getsockname()[1]
    [listener] = tcp_listeners(ServiceSettings(port=free))
    assert address_of(listener, tls=True) == f"https://127.0.0.1:{free}"
    listener.close()


def test_the_unix_socket_is_the_users_own(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "run" / "kernel.sock"
        for _ in range(2):
            with unix_listener(path):
                assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with pytest.raises(KernelError, match="too long"):
        unix_listener(tmp_path / ("x" * 100) / "kernel.sock")


@pytest.mark.parametrize(
    ("given", "port", "url"),
    [
        ({}, 0, ""),
        ({"console": True}, CONSOLE_PORT, f"http://127.0.0.1:{CONSOLE_PORT}"),
        ({"console": True, "port": 8765}, 8765, "http://127.0.0.1:8765"),
        ({"console": False, "port": 8765}, 8765, "http://127.0.0.1:8765"),
    ],
)
def test_the_console_has_a_port_where_none_is_given(given: dict[str, object], port: int, url: str) -> None:
    settings = ServiceSettings.model_validate(given)
    assert (settings.tcp_port, settings.url) == (port, url)
