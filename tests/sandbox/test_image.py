"""The sandbox's image without Docker and without Debian: packing, the cache of trees, and the recipe."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound

from llmasos.config import Settings
from llmasos.errors import SandboxError
from llmasos.sandbox.image import __main__ as commands
from llmasos.sandbox.image import build_image, sandbox_tree
from llmasos.sandbox.image._images import NAME_LABEL
from llmasos.sandbox.image._pack import RECIPE_LABEL, TREE_LABEL, image_archive, image_config, measure
from llmasos.sandbox.image._recipe import (
    BASE,
    LOCK,
    LOCK_IN_CHECKOUT,
    PACKAGES,
    PYTHONS,
    TOOLS,
    dockerfile,
    recipe_key,
)
from llmasos.sandbox.image._store import NEEDED_BYTES, TreeStore
from llmasos.sandbox.image._tree import Progress, make_tree

ROOT = Path(__file__).parents[2]


def quiet(text: str) -> None:
    """Say nothing."""


def small_tree(tree: Path, progress: Progress) -> None:
    """Make a tree of a few files of every kind."""
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/tool").write_text("#!/bin/sh\n")
    (tree / "usr/bin/tool").chmod(0o4755)
    os.link(tree / "usr/bin/tool", tree / "usr/bin/twin")
    (tree / "bin").symlink_to("usr/bin")
    (tree / "usr/Főtanúsítvány.crt").write_text("x" * 1000)
    (tree / "tmp").mkdir()
    (tree / "tmp").chmod(0o1777)
    os.mkfifo(tree / "pipe")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache", sandbox_image="registry:5000/some/name")


def test_two_trees_of_the_same_files_have_one_digest(tmp_path: Path) -> None:
    for name in ("one", "two"):
        small_tree(tmp_path / name, quiet)
    os.utime(tmp_path / "two/usr/bin/tool", (1, 1))
    assert measure(tmp_path / "one") == measure(tmp_path / "two")
    (tmp_path / "two/usr/bin/tool").chmod(0o644)
    assert measure(tmp_path / "one") != measure(tmp_path / "two")


def test_the_archive_is_what_docker_loads(tmp_path: Path) -> None:
    small_tree(tmp_path / "tree", quiet)
    layer = measure(tmp_path / "tree")
    archive = io.BytesIO(b"".join(image_archive(tmp_path / "tree", layer, "r")))
    with tarfile.open(fileobj=archive) as outer:
        (manifest,) = json.load(outer.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = outer.extractfile(manifest["Config"]).read()  # type: ignore[union-attr]
        inner = outer.extractfile(manifest["Layers"][0]).read()  # type: ignore[union-attr]
    assert config == image_config(layer, "r")
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(inner).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(inner)) as tar:
        members = {member.name: member for member in tar}
    assert "pipe" not in members
    assert all((member.uid, member.gid, member.mtime) == (0, 0, 0) for member in members.values())
    assert members["usr/bin/tool"].mode == 0o755
    assert members["usr/bin/twin"].islnk()
    assert members["bin"].linkname == "usr/bin"
    assert members["tmp"].mode == 0o1777


def test_a_tree_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    small_tree(tmp_path / "tree", quiet)
    layer = measure(tmp_path / "tree")
    (tmp_path / "tree/usr/bin/tool").write_text("#!/bin/no\n")
    with pytest.raises(SandboxError, match="was changed"):
        list(image_archive(tmp_path / "tree", layer, "r"))


def test_a_tree_is_built_once_and_found_again(settings: Settings) -> None:
    assert sandbox_tree(settings) is None
    store = TreeStore(settings, small_tree)
    built = store.build(quiet)
    assert sandbox_tree(settings) == built.path
    assert (built.path / "usr/bin/tool").exists()
    assert TreeStore(settings, _unwanted).build(quiet) == built
    again = store.build(quiet, again=True)
    assert (again.path, again.layer) == (built.path, built.layer)
    assert store.all() == [built]


def test_of_two_builders_one_builds_and_the_other_waits(settings: Settings) -> None:
    builds, told = [], []
    second_waits = threading.Event()

    def slow(tree: Path, progress: Progress) -> None:
        second_waits.wait(30)
        builds.append(tree)
        small_tree(tree, progress)

    def on_progress(text: str) -> None:
        told.append(text)
        if text.startswith("Waiting"):
            second_waits.set()

    threads = [threading.Thread(target=lambda: TreeStore(settings, slow).build(on_progress)) for _ in "12"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1
    assert [text for text in told if text.startswith("Waiting")]


def test_an_interrupted_build_leaves_nothing(settings: Settings) -> None:
    def interrupted(tree: Path, progress: Progress) -> None:
        small_tree(tree, progress)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TreeStore(settings, interrupted).build(quiet)
    assert sandbox_tree(settings) is None
    assert [path.name for path in (settings.cache_dir / "sandbox").iterdir()] == ["lock"]


def test_the_next_build_removes_what_a_killed_one_left(settings: Settings) -> None:
    left = settings.cache_dir / "sandbox" / "building-x" / "tree"
    left.mkdir(parents=True)
    built = TreeStore(settings, small_tree).build(quiet)
    assert not left.exists()
    assert sandbox_tree(settings) == built.path


def test_a_full_disk_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tree: Path, progress: Progress) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SandboxError, match="free space") as raised:
        TreeStore(settings, full).build(quiet)
    assert "LLMASOS_CACHE_DIR" in raised.value.hint
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=NEEDED_BYTES - 1))
    with pytest.raises(SandboxError, match="free space"):
        TreeStore(settings, _unwanted).build(quiet)


def test_cleaning_keeps_what_is_current_or_mounted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(tree: Path, progress: Progress) -> None:
        small_tree(tree, progress)
        (tree / "newer").touch()

    old = TreeStore(settings, small_tree).build(quiet)
    store = TreeStore(settings, other)
    current = store.build(quiet, again=True)
    (settings.cache_dir / "sandbox" / "building-x").mkdir()
    assert store.clean(quiet) == [old]
    assert sandbox_tree(settings) == current.path
    monkeypatch.setattr("llmasos.sandbox.image._store.Tree.in_use", True)
    assert store.clean(quiet, all_trees=True) == []
    monkeypatch.undo()
    assert store.clean(quiet, all_trees=True) == [current]
    assert sandbox_tree(settings) is None
    assert [path.name for path in (settings.cache_dir / "sandbox").iterdir()] == ["lock"]


def test_where_there_is_no_debian_the_dockerfile_is_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="apt-get is not installed") as raised:
        make_tree(tmp_path / "tree", quiet)
    assert "Dockerfile" in raised.value.hint


def test_what_a_tool_complained_about_first_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(
        "#!/bin/sh\necho 'W: this'\necho 'E: Could not resolve the mirror.'\necho 'E: Bad'\nexit 100\n"
    )
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxError, match=r"apt-get: E: Could not resolve the mirror\.\n") as raised:
        make_tree(tmp_path / "tree", quiet)
    assert "network" in raised.value.hint


class FakeDocker:
    """Docker as far as images go; `containers` says which images have some."""

    def __init__(self, present: dict[str, dict[str, str]] | None = None, containers: str = "") -> None:
        self.present = present or {}
        self.built: dict[str, Any] = {}
        self.loaded: list[bytes] = []
        self.tagged: list[tuple[str, str]] = []
        self.removed: list[str] = []
        self.images = self
        self.containers = SimpleNamespace(
            list=lambda filters, **_: [1] if filters["ancestor"] == containers else []
        )

    def get(self, name: str) -> Any:
        if name not in self.present:
            raise ImageNotFound(name)
        attrs = {"Size": 10, "RootFS": {"Layers": ["sha256:one"]}}
        return SimpleNamespace(id=name, tags=[name], attrs=attrs, labels=self.present[name], tag=self._tag)

    def list(self, filters: dict[str, str]) -> Any:
        return [self.get(name) for name, labels in self.present.items() if filters["label"] in labels]

    def load(self, data: Any) -> Any:
        self.loaded += data
        return [SimpleNamespace(tag=self._tag)]

    def build(self, **arguments: Any) -> None:
        self.built = arguments

    def remove(self, name: str, force: bool) -> None:
        if name == "parent":
            raise APIError("others depend on it", SimpleNamespace(status_code=409))
        self.removed.append(name)

    def close(self) -> None:
        """Nothing is open."""

    def _tag(self, repository: str, tag: str) -> None:
        self.tagged.append((repository, tag))


def test_an_image_is_loaded_from_the_tree_under_its_name(settings: Settings) -> None:
    TreeStore(settings, small_tree).build(quiet)
    docker: Any = FakeDocker()
    build_image(docker, settings, quiet)
    assert docker.loaded
    assert docker.tagged == [("registry:5000/some/name", "latest")]


@pytest.mark.parametrize(
    ("labels", "loaded"),
    [
        ({}, False),
        ({RECIPE_LABEL: recipe_key(), TREE_LABEL: "one"}, False),
        ({RECIPE_LABEL: "older", TREE_LABEL: "one"}, True),
        ({RECIPE_LABEL: "older", TREE_LABEL: "base"}, False),
        ({RECIPE_LABEL: "older", NAME_LABEL: "registry:5000/some/name"}, True),
        ({RECIPE_LABEL: "older", NAME_LABEL: "base"}, False),
    ],
    ids=["own", "current", "outdated", "own on ours", "outdated on pulled", "own on pulled"],
)
def test_only_an_image_of_ours_that_is_out_of_date_is_replaced(
    settings: Settings, labels: dict[str, str], loaded: bool
) -> None:
    TreeStore(settings, small_tree).build(quiet)
    docker: Any = FakeDocker({settings.sandbox_image: labels})
    build_image(docker, settings, quiet)
    assert bool(docker.loaded) == loaded


def test_a_persons_own_image_is_never_replaced(settings: Settings) -> None:
    docker: Any = FakeDocker({settings.sandbox_image: {}})
    build_image(docker, settings, quiet, replace=True)
    assert not docker.loaded


def test_an_image_named_by_digest_is_not_built(settings: Settings) -> None:
    TreeStore(settings, small_tree).build(quiet)
    docker: Any = FakeDocker()
    named = settings.model_copy(update={"sandbox_image": "some/name@sha256:00"})
    with pytest.raises(SandboxError, match="digest") as raised:
        build_image(docker, named, quiet)
    assert "docker pull some/name@sha256:00" in raised.value.hint


def test_where_pulling_is_allowed_the_dockerfile_is_built(settings: Settings, tmp_path: Path) -> None:
    docker: Any = FakeDocker()
    build_image(docker, settings.model_copy(update={"sandbox_pull": True}), quiet)
    assert not docker.loaded
    assert docker.built["tag"] == "registry:5000/some/name:latest"
    assert docker.built["labels"] == {RECIPE_LABEL: recipe_key(), NAME_LABEL: docker.built["tag"]}
    with tarfile.open(fileobj=docker.built["fileobj"]) as context:
        context.extractall(tmp_path, filter="data")
    assert (tmp_path / "Dockerfile").read_text() == dockerfile()
    assert (tmp_path / LOCK_IN_CHECKOUT).read_bytes() == LOCK.read_bytes()


def test_clean_removes_images_that_are_out_of_date_and_not_in_use(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    older = {RECIPE_LABEL: "older", TREE_LABEL: "one"}
    labels = {name: older for name in ("idle", "busy", "parent")}
    labels |= {"current": {RECIPE_LABEL: recipe_key(), TREE_LABEL: "one"}, "own": {}}
    labels |= {"own on ours": {RECIPE_LABEL: "older", TREE_LABEL: "base"}}
    docker: Any = FakeDocker(labels, containers="busy")
    commands.clean(settings, docker, everything=False)
    assert docker.removed == ["idle"]
    commands.clean(settings, docker, everything=True)
    assert docker.removed == ["idle", "idle", "current"]
    shown = capsys.readouterr().out
    assert "parent  parent  0 MB  kept" in shown
    assert "Freed 0 MB." in shown


def test_list_shows_images_and_trees(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    tree = TreeStore(settings, small_tree).build(quiet)
    docker: Any = FakeDocker({"name": {RECIPE_LABEL: "older", TREE_LABEL: "one"}}, containers="name")
    commands.show(settings, docker)
    first, second = capsys.readouterr().out.splitlines()
    assert "name" in first and "out of date, in use" in first
    assert tree.layer.digest in second and "up to date, not in use" in second


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [(["list"], 0, "up to date, not in use"), (["clean", "--all"], 0, "Freed"), (["build", "--no"], 2, "")],
)
def test_the_commands_need_no_kernel(settings: Settings, arguments: list[str], code: int, said: str) -> None:
    TreeStore(settings, small_tree).build(quiet)
    done = subprocess.run(
        [sys.executable, "-c", "from llmasos.shell.entry import main; main()", "sandbox", *arguments],
        env={**os.environ, "LLMASOS_CACHE_DIR": str(settings.cache_dir), "LLMASOS_SANDBOX": "bubblewrap"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout


def test_a_cache_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("LLMASOS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("LLMASOS_SANDBOX", "bubblewrap")
    assert commands.main(["build"]) == 1
    assert "LLMASOS_CACHE_DIR" in capsys.readouterr().err


def test_the_dockerfile_has_the_builders_packages_and_lock() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert text == dockerfile()
    joined = text.replace("\\\n", " ")
    (installed,) = re.findall(r"--no-install-recommends ([^&]+)&&", joined)
    assert set(installed.split()) == set(TOOLS)
    assert set(PACKAGES) > set(TOOLS)
    (copied,) = re.findall(r"^COPY (\S+) (\S+)$", text, re.MULTILINE)
    assert (ROOT / copied[0]).samefile(LOCK)
    assert f"--require-hashes -r {copied[1]}" in joined
    assert re.fullmatch(r"python:(3\.\d+)-slim@sha256:[0-9a-f]{64}", BASE)
    assert BASE.partition(":")[2].partition("-")[0] in PYTHONS


def test_the_lock_has_a_hash_for_every_wheel_and_names_no_index() -> None:
    text = LOCK.read_text()
    pinned = re.split(r"^(?=[a-z])", "".join(text.splitlines(keepends=True)), flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in pinned)
    assert "://" not in text
    wanted = LOCK.with_suffix(".in").read_text().split()
    assert {entry.partition("==")[0] for entry in pinned} >= set(wanted)


def _unwanted(tree: Path, progress: Progress) -> None:
    raise AssertionError("nothing is to be built")
