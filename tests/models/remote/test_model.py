"""The model behind a URL, as agents ask it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelRequest

from llmasos.config import Settings
from llmasos.errors import ModelError
from llmasos.models import Models, remote_model
from llmasos.models.remote import Patience

pytestmark = pytest.mark.anyio

ONCE = Patience(attempts=1)


@contextmanager
def endpoint(*, status: int = 200, finish: str | None = "stop") -> Iterator[str]:
    def chunk(text: str, reason: str | None) -> bytes:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
        data = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        return f"data: {json.dumps(data)}\n\n".encode()

    class Handler(BaseHTTPRequestHandler):
        def reply(self, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.reply("application/json", json.dumps({"data": [{"id": "first"}, {"id": "second"}]}).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.reply("text/event-stream", chunk("he", None) + chunk("llo", finish))

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_name_is_looked_up_where_the_endpoint_lists_its_models(tmp_path: Path) -> None:
    def models(url: str) -> Models:
        return Models(Settings(data_dir=tmp_path, cache_dir=tmp_path, runtime_dir=tmp_path, model_url=url))

    with endpoint() as url:
        assert await models(url).check_name("second")
        # What is no name of the endpoint's leaves the choice to it.
        assert await models(url).check_name("default") and await models(url).check_name("qwen2.5-coder-1.5b")
        with pytest.raises(ModelError, match="lists no model 'secnd'") as wrong:
            await models(url).check_name("secnd")
        assert wrong.value.hint == "Did you mean second?"
        with pytest.raises(ModelError) as wrong:
            await models(url).check_name("nope")
        assert wrong.value.hint == "It lists first, second."
    with endpoint(status=404) as url:
        assert not await models(url).check_name("nope")
    with pytest.raises(ModelError):
        await models("").check_name("nope")


async def reply(url: str, name: str = "m") -> str:
    model = await remote_model(url, name=name, patience=ONCE)
    async with model_request_stream(model, [ModelRequest.user_text_prompt("hi")]) as stream:
        async for _ in stream:
            pass
    return str(stream.get().text)


async def test_a_whole_reply_is_returned() -> None:
    with endpoint() as url:
        assert await reply(url) == "hello"


async def test_the_first_listed_model_is_taken_when_none_is_named() -> None:
    with endpoint() as url:
        assert (await remote_model(url)).model_name == "first"


async def test_a_stream_without_an_end_is_an_error() -> None:
    with endpoint(finish=None) as url, pytest.raises(ModelError, match="cut the reply"):
        await reply(url)


@pytest.mark.parametrize(
    ("status", "message"), [(401, "refuses the key"), (404, "has no model 'm'"), (400, "HTTP 400")]
)
async def test_refusals_are_explained(status: int, message: str) -> None:
    with endpoint(status=status) as url, pytest.raises(ModelError, match=message):
        await reply(url)


async def test_an_endpoint_that_does_not_answer_is_named() -> None:
    with endpoint() as url:
        pass
    with pytest.raises(ModelError, match="cannot be reached"):
        await remote_model(url)
    with pytest.raises(ModelError, match="cannot be reached"):
        await reply(url)
