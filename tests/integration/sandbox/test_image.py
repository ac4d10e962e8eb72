"""The sandbox's image, built for real from packages and wheels, and run by Docker."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from llmasos.config import Settings
from llmasos.sandbox.image import Tree, build_image, build_tree, sandbox_tree
from llmasos.sandbox.image._images import image_state
from llmasos.sandbox.image._pack import RECIPE_LABEL, TREE_LABEL, image_config
from llmasos.sandbox.image._recipe import PACKAGES, recipe_key

from .places import Place
from .users import as_user

pytestmark = pytest.mark.integration

NAME = "llmasos-sandbox-test:built"


def quiet(text: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """Settings whose cache everybody may read, which folders of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="llmasos-test-") as cache:
        Path(cache).chmod(0o755)
        yield Settings(cache_dir=Path(cache), sandbox_image=NAME)


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def tree(settings: Settings, told: list[str]) -> Tree:
    return build_tree(settings, told.append)


@pytest.fixture(scope="module")
def client(settings: Settings, tree: Tree) -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=600)
    build_image(client, settings, quiet)
    yield client
    client.images.remove(NAME, force=True)
    client.close()


def run(client: docker.DockerClient, *command: str) -> str:
    """Return what a command prints in a container as locked up as a sandbox's."""
    output = client.containers.run(
        NAME,
        list(command),
        remove=True,
        user="1234:1234",
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        environment={"HOME": "/tmp"},
        tmpfs={"/tmp": "mode=1777"},
    )
    return str(output.decode())


def test_it_was_told_how_far_the_build_was(tree: Tree, told: list[str]) -> None:
    assert any("packages (" in text and " of " in text for text in told)
    assert any("libraries (" in text and " of " in text for text in told)


def test_two_builds_give_one_tree_and_one_image(settings: Settings, tree: Tree, tmp_path: Path) -> None:
    again = build_tree(settings.model_copy(update={"cache_dir": tmp_path}), quiet)
    assert again.layer == tree.layer


def test_the_image_is_the_trees(client: docker.DockerClient, settings: Settings, tree: Tree) -> None:
    image = client.images.get(NAME)
    assert image.id == f"sha256:{hashlib.sha256(image_config(tree.layer, tree.recipe)).hexdigest()}"
    assert image.labels == {RECIPE_LABEL: recipe_key(), TREE_LABEL: tree.layer.digest}
    assert sandbox_tree(settings) == tree.path


def test_an_image_that_a_person_builds_on_it_is_their_own(client: docker.DockerClient) -> None:
    assert image_state(client, NAME) == "current"
    container = client.containers.run(NAME, ["touch", "/added"], detach=True)
    container.wait()
    derived = container.commit("llmasos-sandbox-test", "derived")
    container.remove()
    try:
        assert derived.labels[RECIPE_LABEL] == recipe_key()
        assert image_state(client, derived.id) == "own"
    finally:
        client.images.remove(derived.id, force=True)


def test_the_libraries_work_compiled(client: docker.DockerClient) -> None:
    code = """
__import__("sys").stderr = __import__("sys").stdout  # a complaint shows
import bs4, matplotlib, numpy, openpyxl, pandas, PIL, requests, duckdb
assert pandas.__cached__ and __import__("os").path.exists(pandas.__cached__)
matplotlib.use("Agg")
import matplotlib.pyplot as plot
__import__("warnings").simplefilter("error")
plot.plot([1, 2, 3])
plot.title("今天 plot")
plot.savefig("/tmp/plot.png")
frame = pandas.DataFrame({"a": [1, 2]})
frame.to_excel("/tmp/table.xlsx")
duckdb.sql("copy frame to '/tmp/table.parquet'")
print(duckdb.sql("select sum(a) from '/tmp/table.parquet'").fetchall())
"""
    assert run(client, "python3", "-c", code) == "[(3,)]\n"


@pytest.mark.parametrize("user", ["root", "somebody"])
def test_a_jail_has_the_trees_libraries(settings: Settings, tree: Tree, user: str) -> None:
    code = """
import matplotlib.pyplot as plot, pandas, sys
frame = pandas.DataFrame({"a": [1, 2, 3]})
frame.plot(title="今天 plot")
int(frame.a.sum()), pandas.__file__.startswith("/usr/"), sys.executable
"""
    with tempfile.TemporaryDirectory(prefix="llmasos-test-") as base:
        Path(base).chmod(0o755)
        Place.make(Path(base))
        errands = Path(base, "errands")
        errands.write_text(
            json.dumps(
                [
                    ("run_python", code),
                    ("run_command", "jq --version"),
                ]
            )
        )
        program = [sys.executable, "-m", "tests.integration.sandbox.errand"]
        run = [*program, base, str(settings.cache_dir), "1024", str(errands)]
        if user == "somebody":
            run = as_user(run, Path(base))
        done = subprocess.run(run, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    _, cell, command = map(json.loads, done.stdout.splitlines())
    status, output, result, ((name, media_type, size),) = cell
    assert (status, output, result) == ("ok", "", "(6, True, '/usr/bin/python3')")
    assert (name, media_type) == ("figure-1.png", "image/png")
    assert size > 5000
    assert command[1].splitlines()[0].startswith("jq-")


@pytest.mark.parametrize(
    "command",
    [
        "git --version",
        "curl --version",
        "jq --version",
        "rg --version",
        "sqlite3 --version",
        "tree --version",
        "file /bin/bash",
        "zip -v",
        "xz --version",
        "zstd --version",
        "make --version",
        "awk 'BEGIN {}'",
        "which which",
        "perl -e ''",
        "pip install requests",
        "python -m venv /tmp/venv",
        "test -s /etc/ssl/certs/ca-certificates.crt",
    ],
)
def test_the_tools_are_there(client: docker.DockerClient, command: str) -> None:
    assert run(client, "bash", "-c", f"({command}) >/dev/null && echo fine") == "fine\n"


def test_nothing_in_it_gives_rights_or_can_be_written(client: docker.DockerClient) -> None:
    find = "find / -xdev ! -type l \\( -perm /6000 -o -writable \\) ! -path '/tmp*' ! -path '/var/tmp'"
    assert run(client, "bash", "-c", f"{find} 2>/dev/null; true") == ""


def test_a_tree_that_a_jail_has_mounted_is_in_use(tree: Tree, tmp_path: Path) -> None:
    # Tests beside this one have jails of the real tree.
    own = dataclasses.replace(tree, path=tmp_path / "tree")
    own.path.mkdir()
    jail = ["bwrap", "--die-with-parent", "--ro-bind", "/", "/", "--ro-bind", str(own.path), "/mnt"]
    assert not own.in_use
    with subprocess.Popen(
        [*jail, "/bin/bash", "-c", "echo started; read"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        assert own.in_use
        process.communicate()
    assert not own.in_use


def test_the_manifest_names_every_package_and_wheel(client: docker.DockerClient) -> None:
    manifest = json.loads(run(client, "cat", "/usr/share/llmasos/manifest.json"))
    assert manifest["recipe"] == recipe_key()
    assert set(PACKAGES) <= set(manifest["packages"])
    assert any(name.startswith("pandas-") for name in manifest["wheels"])
    assert all(len(digest) == 64 for digest in manifest["wheels"].values())
