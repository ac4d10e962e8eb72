"""The guard before TCP, what routes need, and how they are refused."""

from __future__ import annotations

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmasos.errors import LLMasOSError
from llmasos.service.access import guard, guarded, needs
from llmasos.service.drain import Drain
from llmasos.service.refusals import refused
from tests.service.access.conftest import Desk, caller

pytestmark = pytest.mark.anyio
CHAT = "/v1/chat/completions"


def served(desk: Desk, drain: Drain | None = None, **options: object) -> ASGIApp:
    """Return an application with a route for each scope, behind the guard."""

    async def who(request: Request) -> Response:
        access = request.state.access
        return JSONResponse({"key": access.key_id, "band": access.band})

    async def chat(request: Request) -> Response:
        await request.state.access.spent("small", 10, 10)
        return JSONResponse({"tenant": request.state.access.tenant})

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, LLMasOSError)
        return refused(request.url.path, error)

    app = Starlette(
        routes=[
            *needs(None, [Route("/health", health), Route("/v1/ping", who)]),
            *needs("models", [Route(CHAT, chat, methods=["POST"])], drain or Drain(1)),
            *needs("agent", [Route("/v1/sessions", who)]),
            *needs("admin", [Route("/v1/keys", who)]),
        ],
        exception_handlers={LLMasOSError: refuse},
    )
    given = {"names": ("kernel.example.org",), "clock": desk.clock, **options}
    return guarded(app, desk.keys, **given)  # type: ignore[arg-type]


async def test_nothing_but_health_is_answered_without_a_valid_key(desk: Desk) -> None:
    app = served(desk)
    made = await desk.make(expires_days=1)
    async with caller(app) as client:
        assert (await client.get("/health")).status_code == 200
        for path in ("/v1/ping", "/v1/keys", "/nothing", "/health/", "//health", "/health/../v1/ping"):
            refusal = await client.get(path)
            assert refusal.status_code == 401 and refusal.headers["www-authenticate"] == "Bearer"
        assert refusal.json()["code"] == "key"
        error = (await client.post(CHAT)).json()["error"]
        assert (error["code"], error["type"], error["param"]) == (
            "invalid_api_key",
            "authentication_error",
            None,
        )
    desk.pass_time(days=1)
    async with caller(app, made.secret) as client:
        assert "has expired" in (await client.post(CHAT)).json()["error"]["message"]


@pytest.mark.parametrize("form", ["Bearer {}", "bearer  {}", "x-api-key"])
async def test_a_key_comes_in_either_header(desk: Desk, form: str) -> None:
    made = await desk.make()
    headers = (
        {"x-api-key": made.secret} if form == "x-api-key" else {"authorization": form.format(made.secret)}
    )
    async with caller(served(desk)) as client:
        said = await client.get("/v1/ping", headers=headers)
        assert said.json() == {"key": made.key.id, "band": "normal"}
        assert (
            await client.get("/v1/ping", headers={"authorization": f"Basic {made.secret}"})
        ).status_code == 401
        assert (await client.get(f"/v1/ping?key={made.secret}")).status_code == 401


async def test_scopes_open_what_they_name_and_admin_everything(desk: Desk) -> None:
    app = served(desk)
    opened = {}
    for scope in ("models", "agent", "approve", "admin"):
        async with caller(app, (await desk.make(scopes=(scope,))).secret) as client:
            calls = [client.post(CHAT), client.get("/v1/sessions"), client.get("/v1/keys")]
            opened[scope] = [(await call).status_code for call in calls]
            assert (await client.get("/v1/ping")).status_code == 200
    assert opened == {
        "models": [200, 403, 403],
        "agent": [403, 200, 403],
        "approve": [403, 403, 403],
        "admin": [200, 200, 200],
    }
    async with caller(app, (await desk.make()).secret) as client:
        said = (await client.get("/v1/keys")).json()
    assert said["code"] == "access" and "--scope admin" in said["hint"]


async def test_requests_of_a_minute_are_limited_with_headers_as_openais(desk: Desk) -> None:
    app = served(desk)
    secret = (await desk.make(requests_per_minute=2, tokens_per_minute=600)).secret
    async with caller(app, secret) as client:
        first = await client.post(CHAT)
        assert first.status_code == 200
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert first.headers["x-ratelimit-remaining-tokens"] == "580"
        await client.post(CHAT)
        third = await client.post(CHAT)
        assert third.status_code == 429 and third.headers["retry-after"] == "30"
        assert third.json()["error"]["code"] == "rate_limit_exceeded"
        assert third.headers["x-ratelimit-remaining-requests"] == "0"
        desk.pass_time(seconds=30)
        assert (await client.post(CHAT)).status_code == 200
    async with caller(app, (await desk.make()).secret) as client:
        assert not [name for name in (await client.post(CHAT)).headers if "ratelimit" in name]


async def test_a_quota_that_is_used_up_stops_calls_of_models_only(desk: Desk) -> None:
    app = served(desk)
    secret = (await desk.make(tokens_per_day=20, scopes=("models", "agent"))).secret
    async with caller(app, secret) as client:
        assert (await client.post(CHAT)).status_code == 200
        refusal = await client.post(CHAT)
        assert refusal.status_code == 429 and refusal.json()["error"]["type"] == "insufficient_quota"
        assert refusal.headers["x-should-retry"] == "false"
        assert (await client.get("/v1/sessions")).status_code == 200


async def test_an_address_that_keeps_failing_waits_and_valid_keys_from_it_do_not(desk: Desk) -> None:
    app = served(desk)
    made = await desk.make()
    async with caller(app, "sk-wrong", address="2001:db8::1") as client:
        codes = [(await client.get("/v1/ping")).status_code for _ in range(21)]
        assert codes == [401] * 20 + [429]
        assert (
            await client.get("/v1/ping", headers={"x-api-key": made.secret, "authorization": ""})
        ).status_code == 200
    async with caller(app, "sk-wrong", address="2001:db8::ffff") as client:
        late = await client.get("/v1/ping")
        assert late.status_code == 429 and int(late.headers["retry-after"]) <= 3
    async with caller(app, "sk-wrong", address="2001:db8:1::1") as client:
        assert (await client.get("/v1/ping")).status_code == 401
    desk.pass_time(seconds=3)
    async with caller(app, "sk-wrong", address="2001:db8::1") as client:
        assert (await client.get("/v1/ping")).status_code == 401


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("127.0.0.1:8080", True),
        ("localhost", True),
        ("[::1]:8080", True),
        ("Kernel.Example.ORG.", True),
        ("evil.example.net", False),
        ("127.0.0.1.example.net", False),
        ("192.0.2.1", False),
        ("", False),
        ("[", False),
    ],
)
async def test_other_host_names_are_not_answered(desk: Desk, host: str, answered: bool) -> None:
    made = await desk.make()
    async with caller(served(desk), made.secret) as client:
        said = await client.get("/v1/ping", headers={"host": host})
        assert said.status_code == (200 if answered else 421)
        assert (await client.get("/health", headers={"host": host})).status_code == said.status_code
    async with caller(served(desk, names=None), made.secret) as client:
        assert (await client.get("/v1/ping", headers={"host": host})).status_code == 200


async def test_pages_of_other_origins_are_shut_out_unless_they_are_named(desk: Desk) -> None:
    made = await desk.make()
    page = {"origin": "https://page.example.org"}
    asks = {
        **page,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    async with caller(served(desk)) as client:
        assert (await client.options(CHAT, headers=asks)).status_code == 401
        for said in (await client.options(CHAT, headers=asks), await client.get("/v1/ping", headers=page)):
            assert not [name for name in said.headers if name.startswith("access-control")]
    opened = served(desk, origins=("https://page.example.org",))
    async with caller(opened, made.secret) as client:
        preflight = await client.options(CHAT, headers=asks)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://page.example.org"
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
        for method in ("GET", "PATCH", "DELETE"):
            wanted = {**asks, "access-control-request-method": method}
            assert (await client.options(CHAT, headers=wanted)).status_code == 200
        said = await client.post(CHAT, headers=page)
        assert said.headers["access-control-allow-origin"] == "https://page.example.org"
        assert "retry-after" in said.headers["access-control-expose-headers"].lower()
        assert "access-control-allow-credentials" not in said.headers
        other = await client.options(CHAT, headers={**asks, "origin": "https://other.example.org"})
        assert other.status_code == 400 and "access-control-allow-origin" not in other.headers


async def test_a_kernel_that_is_about_to_stop_begins_nothing_new(desk: Desk) -> None:
    drain = Drain(7)
    async with caller(served(desk, drain), (await desk.make()).secret) as client:
        drain.begin()
        refusal = await client.post(CHAT)
        assert refusal.status_code == 503 and refusal.headers["retry-after"] == "7"
        assert refusal.json()["error"]["type"] == "server_error"
        assert (await client.get("/v1/ping")).status_code == 200


async def test_refused_calls_of_valid_keys_are_recorded_and_nothing_else(desk: Desk) -> None:
    app = served(desk)
    agent = await desk.make(scopes=("agent",))
    spent = await desk.make(tokens_per_day=20)
    hasty = await desk.make(requests_per_minute=1)
    async with caller(app, agent.secret) as client:
        assert (await client.post(CHAT)).status_code == 403
        assert (await client.get("/v1/keys")).status_code == 403
    async with caller(app, spent.secret) as client:
        assert [(await client.post(CHAT)).status_code for _ in range(3)] == [200, 429, 429]
    async with caller(app, hasty.secret) as client:
        assert [(await client.post(CHAT)).status_code for _ in range(3)] == [200, 429, 429]
        assert (await client.get("/v1/ping")).status_code == 429
    async with caller(app, "sk-wrong") as client:
        assert (await client.post(CHAT)).status_code == 401
    await desk.keys.settle()
    found = [entry for entry in desk.ledger.entries if entry.kind == "model"]
    assert [(entry.session, entry.body["error"], entry.body["calls"]) for entry in found] == [
        (f"api:{agent.key.id}", "access", 1),
        (f"api:{spent.key.id}", "quota", 1),
        (f"api:{hasty.key.id}", "limit", 1),
        (f"api:{spent.key.id}", "quota", 1),
        (f"api:{hasty.key.id}", "limit", 1),
    ]


async def test_one_key_cannot_take_all_places(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_AT_ONCE", 3)
    app, busy, other = served(desk), await desk.make(), await desk.make()
    account = await desk.keys.find(busy.secret)
    assert account is not None
    waiting = [anyio.CancelScope() for _ in range(3)]
    account.running.update(waiting)
    async with caller(app, busy.secret) as client:
        refusal = await client.get("/v1/ping")
        assert refusal.status_code == 429 and refusal.headers["retry-after"] == "1"
        async with caller(app, other.secret) as stranger:
            assert (await stranger.get("/v1/ping")).status_code == 200
        account.running.remove(waiting[0])
        assert (await client.get("/v1/ping")).status_code == 200
    assert len(account.running) == 2


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://127.0.0.1:8080/v1/ping", 200),
        ("HTTPS://kernel.example.org/v1/ping", 200),
        ("http://localhost/health", 200),
        ("http://evil.example.net/v1/ping", 421),
        ("http:///v1/ping", 421),
        ("http://localhost", 404),
        ("http://localhost//health", 404),
        ("ftp://localhost/v1/ping", 404),
    ],
)
async def test_a_whole_address_means_its_path_and_its_host(desk: Desk, target: str, status: int) -> None:
    made, sent = await desk.make(), list[Message]()
    headers = [(b"host", b"localhost"), (b"x-api-key", made.secret.encode())]
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": target,
        "raw_path": target.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.1", 1),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await served(desk)(scope, receive, send)
    assert sent[0]["status"] == status


async def test_a_request_ends_when_its_key_is_revoked(desk: Desk) -> None:
    made = await desk.make()
    running = anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        running.set()
        await anyio.sleep_forever()

    front = guarded(app, desk.keys, clock=desk.clock)
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/ping",
        "headers": [(b"host", b"localhost"), (b"x-api-key", made.secret.encode())],
        "client": ("192.0.2.1", 1),
    }

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        pytest.fail(str(message))

    async def call() -> None:
        await front(scope, receive, send)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await running.wait()
        await desk.keys.revoke(made.key.id)
