"""Who is let in to the console, by what, and who is not."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from llmasos.api import KeyRequest
from llmasos.api.console import ConsoleLink, ConsoleRequest
from llmasos.service.access import guarded
from llmasos.service.access.logins import IDLE_SECONDS, LINK_SECONDS
from llmasos.service.app import make_app
from llmasos.service.console.forms import posted
from tests.service.access.conftest import caller
from tests.service.console.conftest import ORIGIN, Browser, Console, texts

pytestmark = pytest.mark.anyio
ADMIN = KeyRequest(name="a program", scopes=("admin",))


def pages(console: Console) -> list[tuple[str, str]]:
    """Return every method and path of the console's own routes."""
    mounted = next(route for route in console.inner.routes if isinstance(route, Mount))
    assert isinstance(mounted.app, Starlette)
    found = []
    for route in mounted.app.routes:
        if isinstance(route, Route) and "rest" not in route.param_convertors:
            path = f"/console{re.sub(r'{[^}]*}', 'x', route.path)}"
            found += [(method, path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


async def test_nobody_sees_anything_before_they_log_in(console: Console) -> None:
    browser = console.stranger()
    found = pages(console)
    assert len(found) > 20
    for method, path in [*found, ("GET", "/console/nothing"), ("DELETE", "/console/sessions")]:
        if path.startswith("/console/login"):
            continue
        answer = await browser.http.request(method, path, headers={"origin": ORIGIN})
        assert answer.status_code == 401, path
        assert "llmasos console" in texts(answer.text) and "csrf" not in answer.text
        assert answer.headers["content-type"].startswith("text/html")
    # What is drawn with needs no login.
    for name in ("console.css", "console.js", "icon.svg"):
        assert (await browser.get(f"/console/static/{name}")).status_code == 200
    assert (await browser.get("/console/static/../door.py")).status_code in (401, 404)
    assert (await browser.get("/console/static/%2e%2e/door.py")).status_code in (401, 404)


async def test_every_reply_lets_nothing_else_in(console: Console) -> None:
    own = await console.own()
    for path in ("/console/login", "/console/sessions", "/console/nothing", "/console/static/console.js"):
        headers = (await own.get(path)).headers
        policy = headers["content-security-policy"]
        assert (
            "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        )
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"
    assert (await own.get("/console/sessions")).headers["cache-control"] == "no-store"
    for path in ("/console/login", "/console/sessions", "/console/ledger"):
        page = await own.page(path)
        assert not re.search(r"<script(?! src=)|<style| style=| on\w+=|javascript:", page)
        assert set(re.findall(r'(?:src|href|action)="(?!/console|#)([^"]*)', page)) == set()


async def test_a_link_lets_one_browser_in_once_and_not_for_ever(console: Console) -> None:
    token = console.logins.link(None)
    browser = console.stranger()
    # Whoever looks ahead does not use it up.
    assert token in await browser.page(f"/console/login?token={token}")
    entered = await browser.send("/console/login", token=token)
    cookie = entered.headers["set-cookie"].lower()
    assert entered.status_code == 303 and entered.headers["location"] == "/console/"
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/console" in cookie
    assert token.lower() not in cookie and "secure" not in cookie
    assert (await browser.get("/console/sessions")).status_code == 200
    again = await console.stranger().send("/console/login", token=token)
    assert again.status_code == 401 and "used before" in texts(again.text)
    late = console.logins.link(None)
    console.time += LINK_SECONDS
    assert (await console.stranger().send("/console/login", token=late)).status_code == 401
    assert (await console.stranger().send("/console/login", token="x" * 43)).status_code == 401


async def test_behind_tls_the_cookie_goes_over_tls_only(console: Console) -> None:
    browser, token = console.stranger(), console.logins.link(None)
    entered = await browser.http.post(
        "/console/login",
        data={"token": token},
        headers={"origin": "https://localhost:8443", "host": "localhost:8443"},
    )
    assert "; secure" in entered.headers["set-cookie"].lower()


async def test_a_wrong_key_is_refused_and_guessing_is_slowed_down(console: Console) -> None:
    browser = console.stranger()
    answers = [await browser.send("/console/login", key="sk-llmasos-nothing") for _ in range(21)]
    assert {answer.status_code for answer in answers[:20]} == {401}
    assert "not valid" in texts(answers[0].text)
    assert answers[20].status_code == 429 and int(answers[20].headers["retry-after"]) > 0
    assert (await console.stranger("192.0.2.8").send("/console/login", key="x")).status_code == 401


async def test_a_login_ends_when_it_is_left_idle_or_its_key_ends(console: Console) -> None:
    own = await console.own()
    console.time += IDLE_SECONDS
    assert (await own.get("/console/sessions")).status_code == 200
    console.time += IDLE_SECONDS + 1
    assert (await own.get("/console/sessions")).status_code == 401
    own = await console.own()
    secret = own.http.cookies[console.logins.cookie]
    assert (await own.send("/console/logout")).headers["location"] == "/console/login"
    # The server has forgotten it, too.
    own.http.cookies.set(console.logins.cookie, secret, domain="127.0.0.1", path="/console")
    assert (await own.get("/console/sessions")).status_code == 401
    keyed = await console.key("agent")
    assert (await keyed.get("/console/sessions")).status_code == 200
    await console.keys.revoke(console.last)
    assert (await keyed.get("/console/sessions")).status_code == 401


async def test_a_cookie_counts_for_the_console_only(console: Console) -> None:
    own = await console.own()
    secret = own.http.cookies[console.logins.cookie]
    for path in ("/v1/kernel", "/v1/sessions", "/consoles", "/console.json"):
        answer = await own.http.get(path, headers={"cookie": f"{console.logins.cookie}={secret}"})
        assert answer.status_code == 401 and answer.json()["code"] == "key"
    # And a key in a header lets nobody into the console.
    made = await console.keys.create(ADMIN)
    async with caller(console.app, made.secret) as program:
        assert (await program.get("/console/sessions")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1.evil.example:7717"},
        {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
        {"origin": ORIGIN, "sec-fetch-site": "same-site"},
    ],
)
async def test_forms_of_other_sites_do_nothing(console: Console, headers: dict[str, str]) -> None:
    own = await console.own()
    sent = await own.http.post("/console/logout", data={"csrf": own.csrf}, headers=headers)
    assert sent.status_code == 403 and "another site" in texts(sent.text)
    token = console.logins.link(None)
    assert (await own.http.post("/console/login", data={"token": token}, headers=headers)).status_code == 403
    assert (await own.get("/console/sessions")).status_code == 200


async def test_forms_without_this_logins_token_do_nothing(console: Console) -> None:
    own, other = await console.own(), await console.own()
    posts = [path for method, path in pages(console) if method == "POST" and path != "/console/login"]
    assert len(posts) > 5
    for path in posts:
        for token in ("", other.csrf, own.csrf[:-1], "é"):
            own_csrf, own.csrf = own.csrf, ""
            refused = await own.send(path, csrf=token)
            own.csrf = own_csrf
            assert refused.status_code == 403, path
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        headers = {"origin": ORIGIN, "content-type": kind}
        assert (await own.http.post("/console/logout", content=b"{}", headers=headers)).status_code == 400
    form = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded"}
    for content in (b"csrf=%ff", b"csrf=\xff", b"&a=" * 30_000):
        assert (await own.http.post("/console/logout", content=content, headers=form)).status_code == 400
    assert (await own.get("/console/sessions")).status_code == 200


async def test_every_form_is_read_in_one_way(console: Console) -> None:
    mounted = next(route for route in console.inner.routes if isinstance(route, Mount))
    assert isinstance(mounted.app, Starlette)
    for route in mounted.app.routes:
        if (
            isinstance(route, Route)
            and "POST" in (route.methods or ())
            and "rest" not in route.param_convertors
        ):
            checked = route.endpoint.__qualname__ == f"{posted.__qualname__}.<locals>.endpoint"
            assert checked or route.path == "/login", route.path


async def test_other_host_names_are_not_answered(console: Console) -> None:
    own = await console.own()
    answer = await own.get("/console/sessions", host="evil.example:7717")
    assert answer.status_code == 421 and answer.headers["content-type"].startswith("text/plain")
    assert "evil.example" in answer.text and "llmasos" not in answer.headers.get("set-cookie", "")


async def test_a_console_that_is_off_is_not_there(console: Console) -> None:
    app = make_app(console.kernel, lambda: None, keys=console.keys)
    stranger = Browser(guarded(app, console.keys, names=()))
    for path in ("/console", "/console/", "/console/login", "/console/static/console.js"):
        answer = await stranger.get(path)
        assert answer.status_code == 401 and "A key is needed" in answer.text
    async with caller(guarded(app, console.keys), (await console.keys.create(ADMIN)).secret) as program:
        assert (await program.get("/console/sessions")).status_code == 404
        refused = await program.post("/v1/console/links", json={})
        assert refused.status_code == 400 and "serve --console" in refused.json()["hint"]


async def test_on_the_kernels_own_socket_nobody_is_logged_in(console: Console) -> None:
    local = Browser(console.inner)
    own = await console.own()
    local.http.cookies = own.http.cookies
    assert (await local.get("/console/sessions")).status_code == 401


async def test_links_are_made_for_who_asks_or_for_a_key(console: Console) -> None:
    async with caller(console.inner) as local:
        made = ConsoleLink.model_validate_json((await local.post("/v1/console/links", json={})).content)
        assert made.url.startswith(f"{ORIGIN}/console/login?token=") and made.seconds == LINK_SECONDS
        keyed = await console.key("agent")
        wanted = ConsoleRequest(key=console.last).model_dump()
        answer = await local.post("/v1/console/links", json=wanted)
        token = answer.json()["url"].partition("token=")[2]
        browser = console.stranger()
        await browser.send("/console/login", token=token)
        assert (await browser.get("/console/ledger")).status_code == 403
        await console.keys.revoke(console.last)
        ended = await local.post("/v1/console/links", json=wanted)
        assert ended.status_code == 404 and "was revoked" in ended.json()["message"]
        unknown = await local.post("/v1/console/links", json={"key": "k-nothing"})
        assert unknown.status_code == 404 and "keys list" in unknown.json()["hint"]
    assert (await keyed.get("/console/sessions")).status_code == 401
    made_key = await console.keys.create(ADMIN)
    async with caller(console.app, made_key.secret) as program:
        token = (await program.post("/v1/console/links", json={})).json()["url"].partition("token=")[2]
    login = console.logins.find(console.logins.enter(token) or "")
    assert login is not None and login.account is not None and login.account.key.id == made_key.key.id
