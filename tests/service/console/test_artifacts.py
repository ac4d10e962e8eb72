"""What actions handed out: pictures on the page, everything else to download, and nothing for strangers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmasos.agent import Session
from llmasos.api import KeyRequest
from llmasos.events import ArtifactKept
from llmasos.sandbox import name_artifacts
from llmasos.service import artifacts
from tests.service.console.conftest import Browser, Console, harmless, texts
from tests.service.console.test_scopes import given

pytestmark = pytest.mark.anyio
PNG = b"\x89PNG\r\n\x1a\n and what a picture has"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
HTML = b"<!doctype html><script>alert(1)</script>"


async def kept(console: Console, *found: tuple[str, bytes]) -> tuple[Session, str]:
    """Return a session whose action handed something out, and where its artifacts are."""
    session = await console.session("Answer: yes.", text="draw it")
    (turn,) = await session.stream.read(types=("turn_started",))
    await session.workbench.sandbox.keep(turn.turn, "a-1", name_artifacts(found, 1))
    return session, f"/console/sessions/{session.id}"


def places(page: str) -> list[str]:
    return re.findall(r'href="([^"]*/artifacts/\d+)" download', page)


async def test_a_picture_is_shown(console: Console) -> None:
    own = await console.own()
    _, place = await kept(console, ("Sales chart.png", PNG))
    page = await own.page(place)
    (picture,) = places(page)
    assert f'<img src="{picture}" alt="Picture sales-chart-1.png, handed out by ' in page
    assert "Kept: sales-chart-1.png (image/png, " in texts(page) and harmless(page)
    answer = await own.get(picture)
    assert answer.status_code == 200 and answer.content == PNG
    headers = answer.headers
    assert headers["content-type"] == "image/png" and headers["x-content-type-options"] == "nosniff"
    assert headers["content-disposition"] == 'inline; filename="sales-chart-1.png"'
    assert headers["cache-control"] == "no-store" and "img-src 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("page.png", HTML), ("drawing.png", SVG), ("table.csv", b"a,b\n1,2\n"), ("what", b"\0\1")],
)
async def test_what_is_no_picture_is_only_downloaded(console: Console, name: str, data: bytes) -> None:
    own = await console.own()
    _, place = await kept(console, (name, data))
    page = await own.page(place)
    (file,) = places(page)
    assert "<img" not in page and "Download " in texts(page)
    answer = await own.get(file)
    assert answer.content == data and answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="')
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_large_picture_is_only_downloaded(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_LARGEST_PICTURE", len(PNG))
    own = await console.own()
    _, place = await kept(console, ("small.png", PNG), ("large.png", PNG + b"!"))
    page = await own.page(place)
    small, large = places(page)
    assert page.count("<img") == 1 and f'<img src="{small}"' in page
    assert (await own.get(small)).headers["content-type"] == "image/png"
    answer = await own.get(large)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")


async def test_others_do_not_get_it(console: Console) -> None:
    own = await console.own()
    session, place = await kept(console, ("chart.png", PNG))
    (picture,) = places(await own.page(place))
    assert (await console.stranger().get(picture)).status_code == 401
    assert (await (await console.key("models")).get(picture)).status_code == 403
    browser: Browser = await console.key("agent")
    assert (await browser.get(picture)).status_code == 404
    await given(console, session)
    assert (await browser.get(picture)).content == PNG
    # It is found in its own session only.
    other = await console.session()
    await given(console, other)
    assert (await browser.get(picture.replace(session.id, other.id))).status_code == 404


@pytest.mark.parametrize("number", ["0", "1", "99", "-1", "x", "1.5", "9" * 30, "%D9%A1", "..%2f1"])
async def test_only_artifacts_are_sent(console: Console, number: str) -> None:
    own = await console.own()
    _, place = await kept(console, ("chart.png", PNG))
    answer = await own.get(f"{place}/artifacts/{number}")
    assert answer.status_code == 404 and PNG not in answer.content


async def test_only_what_lies_with_the_artifacts_is_sent(console: Console, tmp_path: Path) -> None:
    own = await console.own()
    session, place = await kept(console, ("chart.png", PNG))
    first = next(event for event in await session.stream.read() if isinstance(event, ArtifactKept))
    file, secret = Path(first.path), tmp_path / "secret.png"
    secret.write_bytes(PNG)
    link = file.with_name("link.png")
    link.symlink_to(secret)
    elsewhere = (
        *(secret, link, file.parent, file.with_name("gone.png")),
        *(file.parent / "../../../llmasos.db", console.kernel.settings.data_dir / "llmasos.db"),
    )
    for path in elsewhere:
        told = await session.stream.append(first.model_copy(update={"path": str(path)}))
        answer = await own.get(f"{place}/artifacts/{told.seq}")
        assert answer.status_code == 404 and "There is no such file." in texts(answer.text), path
    file.unlink()
    assert (await own.get(f"{place}/artifacts/{first.seq}")).status_code == 404


async def test_clients_of_the_api_get_it_with_a_key(console: Console) -> None:
    session, _ = await kept(console, ("table.csv", b"a,b\n1,2\n"), ("chart.png", PNG))
    told = [event for event in await session.stream.read() if isinstance(event, ArtifactKept)]
    made = await console.keys.create(KeyRequest(name="a program", scopes=("agent",)))
    console.last = made.key.id
    client, bearer = console.stranger().http, {"authorization": f"Bearer {made.secret}"}
    places = [f"/v1/sessions/{session.id}/artifacts/{event.seq}" for event in told]
    for headers, status in (({}, 401), (bearer, 409)):
        for place in places:
            refused = await client.get(place, headers=headers)
            assert refused.status_code == status and PNG not in refused.content
    await given(console, session)
    assert [(await client.get(place, headers=bearer)).content for place in places] == [b"a,b\n1,2\n", PNG]
    missing = await client.get(f"{places[0]}99", headers=bearer)
    assert missing.status_code == 404 and missing.json()["message"] == "There is no such file."
