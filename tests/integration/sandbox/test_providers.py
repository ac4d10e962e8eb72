"""What the providers promise: views of three kinds, warm sandboxes, limits, and nothing left behind."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from llmasos.sandbox import DockerProvider, JailProvider, choose, choose_provider
from llmasos.sandbox.broker.client import Broker
from llmasos.sandbox.port import ViewKind
from llmasos.sandbox.provider import ViewProvider

from .places import Place

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
Open = Callable[..., Awaitable[ViewProvider]]
KINDS: list[ViewKind] = ["overlay", "snapshot", "in-place"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.make(tmp_path)


@pytest.fixture(params=["docker", "bubblewrap"])
async def provide(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Open]:
    """Makes providers with the limits given, and sees that they leave nothing behind."""
    made: list[DockerProvider | JailProvider] = []

    async def provide(**limits: float) -> ViewProvider:
        kind = {"docker": DockerProvider, "bubblewrap": JailProvider}[request.param]
        made.append(kind(place.settings(**limits)))
        return made[-1]

    yield provide
    brokers = [provider._broker._process.pid for provider in made if provider._broker is not None]
    for provider in made:
        await provider.close()
    assert place.leftovers(brokers) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_view_is_seen_and_written(provide: Open, place: Place, kind: ViewKind) -> None:
    sandbox = await (await provide()).open(place.view(kind), session="s")
    done = await sandbox.run_command("cat a.txt && echo x > new && chmod 600 new && cat new", timeout=10)
    mounts = await sandbox.run_command("grep ' /workspace ' /proc/self/mountinfo", timeout=10)
    await sandbox.close()
    assert (done.status, done.output) == ("ok", "one\nx\n")
    assert all({"nosuid", "nodev"} <= set(line.split()[5].split(",")) for line in mounts.output.splitlines())
    new = (place.folder if kind == "in-place" else place.upper) / "new"
    owner = place.folder.stat().st_uid + (200_000 if os.getuid() == 0 and kind != "in-place" else 0)
    assert (new.read_text(), new.stat().st_uid) == ("x\n", owner)
    assert (place.folder / "new").exists() == (kind == "in-place")


async def test_what_is_hidden_is_not_seen(provide: Open, place: Place) -> None:
    sandbox = await (await provide()).open(place.view(hidden=True), session="s")
    done = await sandbox.run_command("ls -A; cat .env; echo mine > .env; cat .env", timeout=10)
    await sandbox.close()
    assert "secret" not in done.output
    assert done.output.startswith("a.txt\n")
    assert (place.folder / ".env").read_text() == "KEY=secret\n"


async def test_a_warm_sandbox_serves_one_session(provide: Open, place: Place) -> None:
    provider = await provide()
    await provider.warm()
    first = await provider.open(place.view(), session="one")
    await first.run_python("secret = 1", timeout=10)
    await first.run_command("touch /tmp/residue", timeout=10)
    await first.close()
    await provider.warm()
    second = await provider.open(place.view(), session="two")
    done = await second.run_python("'secret' in globals()", timeout=10)
    left = await second.run_command("ls /tmp/residue", timeout=10)
    listing = await second.run_command("cat a.txt", timeout=10)
    await second.close()
    assert (done.result, left.status, listing.output) == ("False", "failed", "one\n")


async def test_a_warm_sandbox_that_died_is_replaced(provide: Open, place: Place) -> None:
    provider = await provide()
    await provider.warm()
    ((_, warm),) = provider._pool._ready
    await warm._on_close()
    sandbox = await provider.open(place.view(), session="s")
    assert (await sandbox.run_command("cat a.txt", timeout=10)).output == "one\n"
    await sandbox.close()
    await warm.close()


async def test_a_dead_broker_is_replaced(provide: Open, place: Place) -> None:
    provider = await provide()
    first = await provider.open(place.view(), session="s")
    broker = getattr(provider, "_broker")  # noqa: B009
    assert isinstance(broker, Broker)
    broker._process.send_signal(signal.SIGTERM)
    broker._process.wait()
    await first.close()
    second = await provider.open(place.view(), session="s")
    assert (await second.run_command("cat a.txt", timeout=10)).output == "one\n"
    await second.close()


async def test_an_open_that_is_cancelled_leaves_nothing(provide: Open, place: Place) -> None:
    provider = await provide()
    began = anyio.current_time()
    await (await provider.open(place.view(), session="s")).close()
    whole = anyio.current_time() - began
    chance = random.Random(7)
    for _ in range(12):
        with anyio.move_on_after(chance.random() * whole) as scope:
            sandbox = await provider.open(place.view(), session="s")
        if not scope.cancelled_caught:
            await sandbox.close()
    sandbox = await provider.open(place.view(), session="s")
    assert (await sandbox.run_command("cat a.txt", timeout=10)).output == "one\n"
    await sandbox.close()
    assert not any("container-" in text or "llmasos-sandbox" in text for text in place.leftovers())


async def test_a_filled_disk_is_named_and_can_be_tidied(provide: Open, place: Place) -> None:
    sandbox = await (await provide(disk_mb=64)).open(place.view(), session="s")
    # In pieces, because a single file may not even reach the limit.
    fill = "for i in 1 2 3 4 5 6 7 8; do head -c 30M /dev/zero > big$i; done; sleep 60"
    full = await sandbox.run_command(fill, timeout=30)
    size = sum(path.stat().st_size for path in place.upper.iterdir())
    tidy = await sandbox.run_command("rm big* && head -c 1M /dev/zero > small", timeout=10)
    await sandbox.close()
    assert full.status == "disk"
    assert size > 64 << 20
    assert tidy.status == "ok"


async def test_too_many_files_are_named(provide: Open, place: Place) -> None:
    sandbox = await (await provide(files=2000)).open(place.view(), session="s")
    code = "for number in range(10**9): open(str(number), 'w').close()"
    bomb = await sandbox.run_python(code, timeout=60)
    tidy = await sandbox.run_command("find -type f -delete", timeout=60)
    await sandbox.close()
    assert (bomb.status, tidy.status) == ("files", "ok")


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
async def test_scratch_space_is_limited(provide: Open, place: Place, folder: str) -> None:
    sandbox = await (await provide(scratch_mb=16, files=1000)).open(place.view(), session="s")
    code = f"for number in range(2000): open(f'{folder}/{{number}}', 'w').close()"
    bomb = await sandbox.run_python(code, timeout=20)
    await sandbox.run_command(f"rm -r {folder}/[0-9]*", timeout=20)
    full = await sandbox.run_command(f"head -c 64M /dev/zero > {folder}/x; wc -c < {folder}/x", timeout=20)
    await sandbox.close()
    assert "No space left" in bomb.output
    assert int(full.output.split()[-1]) <= 16 << 20


async def test_limits_hold_for_the_sandbox_as_a_whole(provide: Open, place: Place) -> None:
    sandbox = await (await provide(memory_mb=256)).open(place.view(), session="s")
    hog = "python3 -c 'x = bytearray(100 << 20); import time; time.sleep(60)'"
    done = await sandbox.run_command(f"for i in 1 2 3 4; do {hog} & done; wait -n; echo code $?", timeout=60)
    await sandbox.close()
    assert "code 137" in done.output


async def test_a_snapshot_is_promised_where_overlays_fail(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = place.settings().model_copy(update={"sandbox": "bubblewrap"})
    assert (await choose_provider(settings)).view_kind == "overlay"

    async def never(folder: Path) -> bool:
        return False

    monkeypatch.setattr(choose, "overlays_work", never)
    assert (await choose_provider(settings)).view_kind == "snapshot"
