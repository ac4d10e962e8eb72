"""Models of a hub, pulled from a server that behaves as well as a test wants."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from llmasos.config import ModelSettings
from llmasos.errors import ModelError
from llmasos.models import Catalog, ModelSpec, fetch
from llmasos.models.catalog._download import HubDownload
from llmasos.models.catalog.fetch import digest, newest
from llmasos.models.catalog.hub import Hub, choose_files
from llmasos.models.catalog.source import HUB, ModelFile, Reference, parse_reference
from tests.models.catalog.files import CONFIG, gguf, safetensors
from tests.models.catalog.hub_server import COMMIT, REPOSITORY, HubServer

pytestmark = pytest.mark.anyio

FILES = {
    "config.json": json.dumps(CONFIG).encode(),
    "tokenizer.json": b"{}",
    "model.safetensors": safetensors(),
    "modeling_tiny.py": b"raise SystemExit",
    "pytorch_model.bin": b"pickle",
    "README.md": b"# Tiny",
}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer(dict(FILES)).running() as server:
        yield server


async def pull(
    hub: HubServer, cache: Path, name: str = REPOSITORY, token: str = "", hosts: tuple[str, ...] = ()
) -> Path:
    asked = Hub(endpoint=hub.url, token=SecretStr(token), hosts=hosts)
    sources = {"hub": HubDownload(asked, pause=0.0)}
    spec = newest(Catalog.builtin(cache).get(name))
    return await fetch(spec, cache, allow_download=True, hub=asked, downloaders=sources)


async def refused(hub: HubServer, cache: Path, name: str = REPOSITORY, token: str = "") -> ModelError:
    with pytest.raises(ModelError) as caught:
        await pull(hub, cache, name, token)
    assert (
        caught.value.hint
        and "Bearer" not in str(caught.value)
        and (not token or token not in str(caught.value))
    )
    return caught.value


async def test_a_model_is_pulled_without_code_or_pickles_and_is_known_afterwards(
    hub: HubServer, tmp_path: Path
) -> None:
    path = await pull(hub, tmp_path)
    here = {file.name for file in path.iterdir() if not file.name.endswith((".lock", ".verified.json"))}
    assert here == {"config.json", "tokenizer.json", "model.safetensors", "manifest.json"}
    spec = Catalog.builtin(tmp_path).list()[-1]
    assert spec == Catalog.builtin(tmp_path).get(REPOSITORY)
    assert (spec.name, spec.format, spec.licence, spec.context) == (
        REPOSITORY,
        "safetensors",
        "apache-2.0",
        512,
    )
    assert spec.reference == Reference(repository=REPOSITORY, revision=COMMIT) and spec.pulled is not None
    lines = sorted(
        f"{hashlib.sha256(FILES[name]).hexdigest()}  {name}\n"
        for name in ("config.json", "tokenizer.json", "model.safetensors")
    )
    assert spec.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    copy = Catalog.builtin().get(str(shutil.copytree(path, tmp_path / "copy")))
    assert copy.sha256 == "" and await digest(copy, tmp_path / "copy") == spec.sha256
    asked = len(hub.seen)
    assert await fetch(spec, tmp_path, allow_download=False) == path
    assert len(hub.seen) == asked, "what is here is not asked for again"


async def test_one_gguf_file_is_pulled_by_name_or_by_kind(hub: HubServer, tmp_path: Path) -> None:
    hub.files |= {"tiny-q4_k_m.gguf": gguf(), "sub/tiny-q8_0.gguf": gguf(metadata={"general.name": "Tiny 8"})}
    for name in ("sub/tiny-q8_0.gguf", "Q8_0", "tiny-q8_0.gguf"):
        path = await pull(hub, tmp_path, f"{REPOSITORY}@v1:{name}")
        assert (path.name, path.read_bytes()) == ("tiny-q8_0.gguf", hub.files["sub/tiny-q8_0.gguf"])
    assert (
        Catalog.builtin(tmp_path).get(f"{REPOSITORY}@v1:Q8_0").sha256
        == hashlib.sha256(path.read_bytes()).hexdigest()
    )
    said = await refused(hub, tmp_path, f"{REPOSITORY}:tiny")
    assert "tiny-q4_k_m.gguf, sub/tiny-q8_0.gguf" in said.message


async def test_a_cut_connection_is_continued_and_later_a_cut_pull(hub: HubServer, tmp_path: Path) -> None:
    whole = len(FILES["model.safetensors"])
    hub.cut_after = [10, 10]
    await pull(hub, tmp_path)
    starts = [asked for name, asked in hub.downloads() if name == "model.safetensors"]
    assert starts == ["", "bytes=10-", "bytes=20-"]
    shutil.rmtree(tmp_path / "models")
    hub.seen.clear()
    hub.cut_after = [whole - 1, *[0] * 6]
    assert "cannot be reached" in (await refused(hub, tmp_path)).message
    hub.seen.clear()
    await pull(hub, tmp_path)
    assert hub.downloads()[0] == ("model.safetensors", f"bytes={whole - 1}-")


async def test_a_server_without_ranges_sends_the_file_again(hub: HubServer, tmp_path: Path) -> None:
    hub.ranges = False
    hub.cut_after = [10]
    path = await pull(hub, tmp_path)
    assert (path / "model.safetensors").read_bytes() == FILES["model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
async def test_what_does_not_match_the_hubs_digest_is_refused(
    hub: HubServer, tmp_path: Path, name: str
) -> None:
    hub.claimed[name] = FILES[name][::-1]
    said = await refused(hub, tmp_path)
    assert name in said.message and "deleted" in said.message
    assert not list(tmp_path.glob(f"models/*/{name}")) and not list(tmp_path.glob("models/*/*.part"))
    assert len(Catalog.builtin(tmp_path).list()) == 2


async def test_a_file_that_never_ends_is_stopped(hub: HubServer, tmp_path: Path) -> None:
    hub.claimed["model.safetensors"] = b"short"
    said = await refused(hub, tmp_path)
    assert "larger than the 5 bytes" in str(said)
    assert not list(tmp_path.glob("models/*/model.safetensors*part*"))


async def test_a_gated_model_gives_the_next_step_and_opens_to_a_token(hub: HubServer, tmp_path: Path) -> None:
    hub.gated, hub.token = True, "hf_secret"
    for token in ("", "hf_wrong"):
        said = await refused(hub, tmp_path, token=token)
        assert (
            "gated" in said.message
            and f"{hub.url}/{REPOSITORY}" in said.hint
            and "HF_TOKEN" in said.hint
            and "llmasos stop" in said.hint
        )
    await pull(hub, tmp_path, token="hf_secret")


async def test_the_token_is_not_sent_to_where_the_hub_leads(hub: HubServer, tmp_path: Path) -> None:
    with HubServer(dict(FILES)).running() as storage:
        hub.redirect_to = storage.url.replace("127.0.0.1", "localhost")
        await pull(hub, tmp_path, token="hf_secret", hosts=(hub.redirect_to,))
        assert storage.seen and {sent for _, _, sent in storage.seen} == {""}
    assert {sent for _, _, sent in hub.seen} == {"Bearer hf_secret"}


async def test_a_hub_leads_to_no_private_host_that_was_not_named(hub: HubServer, tmp_path: Path) -> None:
    with HubServer(dict(FILES)).running() as storage:
        hub.redirect_to = storage.url
        error = await refused(hub, tmp_path)
    assert "127.0.0.1 may not be fetched from" in error.message and "HUB_HOSTS" in error.hint
    assert not storage.seen


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("example/nothing", "no model example/nothing"),
        (f"{REPOSITORY}@dev", "no revision 'dev'"),
        (f"{REPOSITORY}:big.gguf", "no GGUF file 'big.gguf'"),
    ],
)
async def test_what_is_missing_is_named(hub: HubServer, tmp_path: Path, name: str, said: str) -> None:
    assert said in (await refused(hub, tmp_path, name)).message


@pytest.mark.parametrize(("status", "said"), [(429, "fewer requests"), (500, "status 500"), (401, "private")])
async def test_refusals_are_explained(hub: HubServer, tmp_path: Path, status: int, said: str) -> None:
    hub.status = status
    assert said in (await refused(hub, tmp_path)).message


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b"{}", b'{"sha": "main", "siblings": []}', b"[" * 100_000, b'{"sha": 1}']
)
async def test_a_server_that_is_no_hub_is_named(hub: HubServer, tmp_path: Path, answer: bytes) -> None:
    hub.answer = answer
    assert "no model hub" in (await refused(hub, tmp_path)).message


async def test_without_a_network_the_next_step_is_given(tmp_path: Path) -> None:
    with HubServer({}).running() as server:
        pass
    assert "cannot be reached" in (await refused(server, tmp_path)).message


async def test_a_full_disk_is_found_before_and_leaves_no_model(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    assert "no room" in (await refused(hub, tmp_path)).message
    assert hub.downloads() == []


async def test_only_pickles_are_refused_with_the_reason(hub: HubServer, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    assert "pickles, which can run code" in (await refused(hub, tmp_path)).message


async def test_files_named_to_leave_the_folder_are_not_taken(hub: HubServer, tmp_path: Path) -> None:
    hub.files |= {"../../model-evil.safetensors": safetensors(), "/model-evil.safetensors": safetensors()}
    hub.files |= {"model\n.safetensors": b"", ".model.safetensors": b""}
    path = await pull(hub, tmp_path)
    assert [file.name for file in path.glob("*.safetensors")] == ["model.safetensors"]
    assert not list(tmp_path.rglob("*evil*"))


async def test_damaged_weights_are_found_although_the_digest_is_right(hub: HubServer, tmp_path: Path) -> None:
    hub.files["model.safetensors"] = safetensors()[:-1]
    said = await refused(hub, tmp_path)
    assert "model.safetensors is cut" in said.message
    assert len(Catalog.builtin(tmp_path).list()) == 2


async def test_pulling_again_takes_the_new_commit_in_place_of_the_old(hub: HubServer, tmp_path: Path) -> None:
    before = await pull(hub, tmp_path)
    assert await pull(hub, tmp_path) == before
    hub.commit = "f" * 40
    hub.files["model.safetensors"] = safetensors(data=bytes(range(32)))
    after = await pull(hub, tmp_path)
    assert after != before and not before.exists()
    assert [spec.name for spec in Catalog.builtin(tmp_path).list()][2:] == [REPOSITORY]


async def test_a_pulled_file_that_changed_is_refused(hub: HubServer, tmp_path: Path) -> None:
    path = await pull(hub, tmp_path)
    (path / "model.safetensors").write_bytes(b"evil")
    with pytest.raises(ModelError, match="deleted"):
        await fetch(Catalog.builtin(tmp_path).get(REPOSITORY), tmp_path, allow_download=False)


async def test_fetching_can_be_turned_off(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="turned off"):
        await fetch(Catalog.builtin(tmp_path).get(REPOSITORY), tmp_path, allow_download=False)


def test_a_damaged_manifest_is_left_out(tmp_path: Path) -> None:
    for number, text in enumerate(("{", "[]", "{}", '{"name": "x", "title": "x", "path": "/etc"}')):
        folder = tmp_path / "models" / str(number)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text)
    assert len(Catalog.builtin(tmp_path).list()) == 2


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("org/name", ("org/name", "main", "")),
        ("org/name@v1.0", ("org/name", "v1.0", "")),
        ("org/name@refs/pr/1:a/b.gguf", ("org/name", "refs/pr/1", "a/b.gguf")),
        ("org/name:Q4_K_M", ("org/name", "main", "Q4_K_M")),
        ("name", None),
        ("org/../name", None),
        ("org/name/x", None),
        ("../name", None),
        ("org/name:../x.gguf", None),
        ("org/name?x", None),
        ("org/name@", None),
    ],
)
def test_names_of_hub_models(name: str, found: tuple[str, str, str] | None) -> None:
    parsed = parse_reference(name)
    assert (parsed and (parsed.repository, parsed.revision, parsed.file)) == found


def file(path: str, **values: Any) -> ModelFile:
    return ModelFile(path=path, size=1, sha256="0" * 64, **values)


def chosen(*paths: str, wanted: str = "") -> list[str]:
    reference = Reference(repository="a/b", file=wanted)
    return [one.path for one in choose_files(reference, [file(path) for path in paths])]


def test_the_files_of_a_model_are_chosen() -> None:
    parts = ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    assert chosen(*parts) == list(parts)
    assert chosen(*reversed(parts), wanted="m-00001-of-00002.gguf") == list(parts)
    assert chosen("a-Q8_0.gguf", "a-Q4_K_M.gguf", "mmproj-a.gguf") == ["a-Q4_K_M.gguf"]
    assert chosen(
        "config.json", "model.safetensors", "consolidated.safetensors", "original/model.safetensors"
    ) == [
        "model.safetensors",
        "config.json",
    ]
    for paths in (("adapter_model.safetensors", "config.json"), ("README.md",), parts[:1]):
        with pytest.raises(ModelError):
            chosen(*paths)


def test_a_pulled_models_folder_is_its_own(tmp_path: Path) -> None:
    names = ("a/b", "a/b@v1", "a--b/c", "a/b--c")
    specs = [
        ModelSpec(name=name, title="", reference=Reference(repository="a/b", revision="c" * 40))
        for name in names
    ]
    assert len({spec.folder for spec in specs[:2]}) == 2
    assert all("/" not in spec.folder and not spec.folder.startswith(".") for spec in specs)


def test_the_hub_and_its_token_come_from_settings_variables_or_a_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(**settings: Any) -> tuple[str, str]:
        hub = Hub.of(ModelSettings(**settings))
        assert "hf_" not in repr(hub)
        return hub.endpoint, hub.token.get_secret_value()

    for name in ("HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    assert found() == (HUB, "")
    (tmp_path / "token").write_text("hf_login\n")
    assert found() == (HUB, "hf_login")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example.org/")
    monkeypatch.setenv("HF_TOKEN", "hf_variable")
    assert found() == ("https://mirror.example.org", "hf_variable")
    assert found(hub="https://hub.example.net", hub_token="hf_set") == ("https://hub.example.net", "hf_set")


def test_a_mirror_serves_what_ships_with_the_system() -> None:
    hub = Hub(endpoint="https://mirror.example.org", token=SecretStr("hf_x"))
    assert hub.own(f"{HUB}/a/b/resolve/main/c.gguf") == "https://mirror.example.org/a/b/resolve/main/c.gguf"
    assert hub.own("https://example.net/x") == "https://example.net/x"
    assert hub.headers("https://mirror.example.org.example.net/x") == {}
    assert hub.headers("https://mirror.example.org/x") == {"Authorization": "Bearer hf_x"}


async def test_two_who_pull_at_once_share_the_work(hub: HubServer, tmp_path: Path) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(pull, hub, tmp_path)
    asked = [name for name, _ in hub.downloads()]
    assert sorted(asked) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert len(Catalog.builtin(tmp_path).list()) == 3


async def test_a_part_that_another_process_finishes_meanwhile_does_no_harm(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Path.glob

    def glob(folder: Path, pattern: str) -> list[Path]:
        moved = [folder / "model.safetensors.part"] if pattern == "*.part" else []
        return [*found(folder, pattern), *moved]

    monkeypatch.setattr(Path, "glob", glob)
    assert (await pull(hub, tmp_path) / "model.safetensors").exists()


async def test_a_model_is_remembered_by_one_at_a_time(hub: HubServer, tmp_path: Path) -> None:
    manifest = (await pull(hub, tmp_path)) / "manifest.json"
    manifest.unlink()
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(pull, hub, tmp_path)
    assert manifest.exists() and not manifest.with_name("manifest.json.part").exists()


async def test_of_two_revisions_that_are_pulled_at_once_one_stays(hub: HubServer, tmp_path: Path) -> None:
    with HubServer(dict(FILES)).running() as other:
        other.commit = "b" * 40
        async with anyio.create_task_group() as group:
            group.start_soon(pull, hub, tmp_path)
            group.start_soon(pull, other, tmp_path)
    (left,) = (tmp_path / "models").glob("*/manifest.json")
    assert (left.parent / "model.safetensors").exists()


async def test_a_file_that_cannot_be_written_is_named(hub: HubServer, tmp_path: Path) -> None:
    path = await pull(hub, tmp_path)
    for name in ("model.safetensors", "model.safetensors.lock"):
        (path / name).unlink()
    (path / "model.safetensors.lock").mkdir()
    said = await refused(hub, tmp_path)
    assert str(path / "model.safetensors.lock") in said.message


async def test_a_model_that_is_here_needs_no_folder_that_can_be_written(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await pull(hub, tmp_path)
    spec = Catalog.builtin(tmp_path).get(REPOSITORY)
    assert await fetch(spec, tmp_path, allow_download=False) == path
    opened = Path.open

    def read_only(file: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if set(mode) & set("wax+"):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", read_only)
    assert await fetch(spec, tmp_path, allow_download=False) == path
