"""Errors are told without the secrets in them."""

import json

import pytest
from starlette.requests import Request

from llmasos.errors import ModelError
from llmasos.secrets import Redactor
from llmasos.service.app import _broken, _refused

pytestmark = pytest.mark.anyio
ASKED = Request({"type": "http", "method": "GET", "path": "/v1/sessions", "headers": [], "query_string": b""})


async def test_no_secret_is_in_a_refusal() -> None:
    redactor = Redactor(["hunter2-db"])
    error = ModelError("The endpoint refused hunter2-db.", hint="Look at hunter2-db.")
    for reply in (
        await _refused(redactor, ASKED, error),
        await _broken(redactor, ASKED, ValueError("hunter2-db")),
    ):
        text = bytes(reply.body).decode()
        assert "hunter2" not in text
        assert json.loads(text)["message"]
