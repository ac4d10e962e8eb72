"""What is started for Ray inherits no secrets, and this process keeps its own."""

import os

import pytest

from llmasos.cluster._ray_environment import environment


def test_secrets_are_hidden_while_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2-db")
    monkeypatch.setenv("HF_TOKEN", "sesame-open-1")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef0123456789abcdef")
    monkeypatch.delenv("RAY_ADDED", raising=False)
    before = dict(os.environ)
    with environment({"RAY_ADDED": "1", "PATH": "/bin"}):
        assert not {"DB_PASSWORD", "HF_TOKEN"} & os.environ.keys()
        assert (os.environ["RAY_ADDED"], os.environ["PATH"]) == ("1", "/bin")
        assert os.environ["RAY_AUTH_TOKEN"] == before["RAY_AUTH_TOKEN"]
    assert dict(os.environ) == before
