"""Several endpoints of one model, some of which fail."""

from collections.abc import Callable
from contextlib import aclosing

import anyio
import pytest
from starlette.responses import JSONResponse, Response

from llmasos.errors import ModelError
from llmasos.models.chat.port import ChatMessage, ChatRequest
from llmasos.models.engines.port import CompletionRequest, InvalidRequest
from llmasos.models.remote import Endpoint, Patience, RemoteChat, Upstreams
from llmasos.models.scheduler.types import Refused
from tests.models.remote.server import HELLO, Host, Server, broken_off, piece, stalled, streamed

pytestmark = pytest.mark.anyio

ASKED = ChatRequest(messages=(ChatMessage(role="user", content="hi"),))
ONCE = Patience(attempts=1, first=5)


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


Behind = Callable[..., tuple[Upstreams, list[Server], Clock]]


@pytest.fixture
def behind(host: Host) -> Behind:
    def make(*servers: Server) -> tuple[Upstreams, list[Server], Clock]:
        clock = Clock()
        chats = [RemoteChat(Endpoint(host.add(server).url, patience=ONCE), "m") for server in servers]
        return Upstreams("m", chats, clock=clock), list(servers), clock

    return make


async def text(upstreams: Upstreams) -> str:
    return "".join([delta.text async for delta in upstreams.stream(ASKED)])


@pytest.mark.parametrize(
    "answer", [Response(status_code=500), Response(status_code=401), Response(status_code=429), broken_off()]
)
async def test_the_next_endpoint_takes_over_before_a_piece_has_come(behind: Behind, answer: Response) -> None:
    upstreams, (bad, good), clock = behind(Server(answer), Server(streamed(*HELLO)))
    assert await text(upstreams) == "hello"
    assert await text(upstreams) == "hello"
    # The one that failed is left alone for a while, and then asked again.
    assert (len(bad.asked), len(good.asked)) == (1, 2)
    assert [status.state for status in upstreams.status()] == ["ejected", "healthy"]
    bad.answers = [streamed(*HELLO)]
    clock.now = 2
    assert await text(upstreams) == "hello"
    assert (len(bad.asked), len(good.asked)) == (2, 2)
    assert upstreams.status()[0].failures == 0
    await upstreams.close()


async def test_an_endpoint_that_goes_on_failing_is_left_alone_longer(behind: Behind) -> None:
    upstreams, (bad, _), clock = behind(Server(Response(status_code=500)), Server(streamed(*HELLO)))
    asked = []
    for clock.now in range(10):
        await text(upstreams)
        asked.append(len(bad.asked))
    assert asked == [1, 2, 2, 3, 3, 3, 3, 4, 4, 4]
    await upstreams.close()


async def test_a_reply_that_began_is_not_asked_for_again(behind: Behind) -> None:
    upstreams, servers, _ = behind(Server(broken_off(piece({"content": "he"}))), Server(streamed(*HELLO)))
    found: list[str] = []
    with pytest.raises(ModelError, match="cut the reply"):
        async for delta in upstreams.stream(ASKED):
            found.append(delta.text)
    assert found == ["he"]
    assert not servers[1].asked
    await upstreams.close()


async def test_a_bad_request_is_nobodys_fault(behind: Behind) -> None:
    upstreams, servers, _ = behind(Server(Response(status_code=400)), Server(streamed(*HELLO)))
    with pytest.raises(InvalidRequest):
        await text(upstreams)
    assert not servers[1].asked
    assert upstreams.status()[0].state == "healthy"
    await upstreams.close()


async def test_all_reasons_are_told_when_nobody_works(behind: Behind) -> None:
    broken = JSONResponse({"error": {"message": "on fire"}}, status_code=500)
    upstreams, servers, _ = behind(Server(broken), Server(Response(status_code=401)))
    with pytest.raises(ModelError) as caught:
        await text(upstreams)
    assert "No endpoint of m works" in caught.value.message
    for server, reason in zip(servers, ("on fire", "refuses the key"), strict=True):
        assert server.url in caught.value.message
        assert reason in caught.value.message
    await upstreams.close()


async def test_all_busy_is_told_with_the_shortest_wait(behind: Behind) -> None:
    slow = Response(status_code=429, headers={"retry-after": "50"})
    fast = Response(status_code=503, headers={"retry-after": "40"})
    upstreams, _, _ = behind(Server(slow), Server(fast))
    with pytest.raises(Refused, match="are busy") as caught:
        await text(upstreams)
    assert (caught.value.status, caught.value.retry_after) == (429, 40)
    await upstreams.close()


async def test_the_least_loaded_endpoint_is_asked(behind: Behind) -> None:
    upstreams, servers, _ = behind(
        Server(stalled(piece({"content": "he"})), streamed(*HELLO)), Server(streamed(*HELLO))
    )
    async with aclosing(upstreams.stream(ASKED)) as first:
        await anext(first)
        assert upstreams.status()[0].outstanding == 1
        assert await text(upstreams) == "hello"
        assert len(servers[1].asked) == 1
    assert upstreams.status()[0].outstanding == 0
    await upstreams.close()


async def test_checks_find_out_who_works_again(behind: Behind) -> None:
    upstreams, (bad, good), _ = behind(Server(streamed(*HELLO)), Server(streamed(*HELLO)))
    bad.models = Response(status_code=500)
    await upstreams.check()
    assert [status.state for status in upstreams.status()] == ["ejected", "healthy"]
    assert "HTTP 500" in upstreams.status()[0].reason
    assert await text(upstreams) == "hello"
    assert (len(bad.asked), len(good.asked)) == (0, 1)
    bad.models = good.models
    await upstreams.check()
    assert [status.state for status in upstreams.status()] == ["healthy", "healthy"]
    assert upstreams.context == 4096
    await upstreams.close()


async def test_watching_checks_again_and_again(behind: Behind) -> None:
    upstreams, (server,), _ = behind(Server(streamed(*HELLO)))
    watching = Upstreams("m", [one.chat for one in upstreams._upstreams], interval=0.001)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watching.watch)
        with anyio.fail_after(10):
            while server.paths.count("models") < 3:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    await upstreams.close()


async def test_a_drained_endpoint_ends_what_it_has_and_gets_no_more(behind: Behind) -> None:
    upstreams, (first, second), _ = behind(
        Server(stalled(piece({"content": "he"})), streamed(*HELLO)), Server(streamed(*HELLO))
    )
    running = upstreams.stream(ASKED)
    await anext(running)
    drained = anyio.Event()

    async def drain() -> None:
        await upstreams.drain(first.url)
        drained.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(drain)
        await anyio.wait_all_tasks_blocked()
        assert not drained.is_set()
        assert upstreams.status()[0].state == "draining"
        await running.aclose()
        await drained.wait()
    assert await text(upstreams) == "hello"
    assert (len(first.asked), len(second.asked)) == (1, 1)
    await upstreams.drain(second.url)
    with pytest.raises(ModelError, match="No endpoint of m works"):
        await text(upstreams)
    upstreams.resume(first.url)
    assert await text(upstreams) == "hello"
    await upstreams.close()


async def test_completions_and_embeddings_go_on_to_the_next_one_too(behind: Behind) -> None:
    rows = JSONResponse({"data": [{"index": 0, "embedding": [1, 0]}]})
    done = streamed({"choices": [{"text": "a", "finish_reason": "stop"}]})
    upstreams, _, clock = behind(Server(Response(status_code=500)), Server(rows, done))
    assert (await upstreams.embed(["a"])).vectors == ((1.0, 0.0),)
    clock.now = 2
    chunks = [chunk async for chunk in upstreams.complete(CompletionRequest(prompt="x"))]
    assert chunks[0].text == "a"
    await upstreams.close()
