"""The commands `build`, `list` and `clean`, which need Docker and the cache but no kernel."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from llmasos.config import Settings, load_settings
from llmasos.display import display
from llmasos.errors import LLMasOSError, SandboxError
from llmasos.language import translated, translated_error
from llmasos.sandbox.daemon import connect
from llmasos.sandbox.image import build_image, build_tree
from llmasos.sandbox.image._images import Image, image_state, images, remove_image
from llmasos.sandbox.image._recipe import recipe_key
from llmasos.sandbox.image._store import Tree, TreeStore
from llmasos.streams import exit_code

if TYPE_CHECKING:
    from docker import DockerClient

_CALL_SECONDS = 600.0


def build(settings: Settings, client: DockerClient | None, *, again: bool) -> None:
    """Build the tree and the image where they are missing, and print what they are.

    Args:
        settings: The configuration in force.
        client: Talks to Docker; None when there is none.
        again: Build them even if they are there, with the packages of today.
    """
    tree = None
    if client is None or not settings.sandbox_pull:
        tree = build_tree(settings, _progress, again=again)
    if client is not None:
        build_image(client, settings, _progress, replace=again)
    _progress("")
    if tree is not None:
        _show_tree(tree)
    if client is not None:
        if image_state(client, settings.sandbox_image) == "own":
            print(f"image  {display(settings.sandbox_image)}  {translated('your own, left as it is')}")
        for image in images(client):
            if image.recipe == recipe_key() and image.tags:
                _show_image(image)


def show(settings: Settings, client: DockerClient | None) -> None:
    """Print every image and tree: its digest, size, age, and whether it is in use."""
    if client is not None:
        for image in images(client):
            _show_image(image)
    for tree in TreeStore(settings).all():
        _show_tree(tree)


def clean(settings: Settings, client: DockerClient | None, *, everything: bool) -> None:
    """Remove what is neither up to date nor in use, and print what that freed.

    Args:
        settings: The configuration in force.
        client: Talks to Docker; None when there is none.
        everything: Remove what is up to date, too.
    """
    freed = 0
    if client is not None:
        for image in images(client):
            current = image.tags and image.recipe == recipe_key()
            if image.containers or (current and not everything):
                continue
            if remove_image(client, image):
                _show_image(image, translated("removed"))
                freed += image.size
            else:
                _show_image(image, translated("kept, because others are built on it"))
    for tree in TreeStore(settings).clean(_progress, all_trees=everything):
        _show_tree(tree, translated("removed"))
        freed += tree.layer.size
    print(translated(f"Freed {freed / 1e6:,.0f} MB."))


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code is 1 when it failed."""
    parser = argparse.ArgumentParser(prog="llmasos sandbox")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build").add_argument("--again", action="store_true")
    commands.add_parser("list")
    commands.add_parser("clean").add_argument("--all", action="store_true")
    asked = parser.parse_args(arguments)
    from docker.errors import DockerException

    client = None
    try:
        settings = load_settings()
        client = _docker(settings)
        if asked.command == "build":
            build(settings, client, again=asked.again)
        elif asked.command == "list":
            show(settings, client)
        else:
            clean(settings, client, everything=asked.all)
    except LLMasOSError as error:
        _progress("")
        print(display(translated_error(error.message, error.hint), keep_newlines=True), file=sys.stderr)
        return 1
    except DockerException as error:
        _progress("")
        print(translated(f"Docker failed: {display(str(error))}"), file=sys.stderr)
        return 1
    finally:
        if client is not None:
            client.close()
    return 0


def _docker(settings: Settings) -> DockerClient | None:
    if settings.sandbox in ("bubblewrap", "landlock"):
        return None
    try:
        return connect(_CALL_SECONDS)
    except SandboxError as error:
        if settings.sandbox == "docker":
            raise
        left_out = translated("Its images are left out.")
        print(display(translated(error.message)), left_out, file=sys.stderr)
        return None


def _show_image(image: Image, state: str = "") -> None:
    name = display(", ".join(image.tags)) or translated("(no name)")
    state = state or _state(image.recipe, image.containers > 0)
    print(f"image  {name}  {image.id}  {image.size / 1e6:,.0f} MB  {state}{_age(image.built)}")


def _show_tree(tree: Tree, state: str = "") -> None:
    path, digest = display(str(tree.path)), f"sha256:{tree.layer.digest}"
    state = state or _state(tree.recipe, tree.in_use)
    print(f"tree   {path}  {digest}  {tree.layer.size / 1e6:,.0f} MB  {state}{_age(tree.built)}")


def _state(recipe: str, in_use: bool) -> str:
    current = "up to date" if recipe == recipe_key() else "out of date"
    return translated(f"{current}, {'in use' if in_use else 'not in use'}")


def _age(built: float) -> str:
    if not built:
        return ""
    seconds = max(time.time() - built, 0)
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            amount = int(seconds // length)
            return "  " + translated(f"{amount:d} {unit}{'' if amount == 1 else 's'} old")
    return "  " + translated("new")


def _progress(text: str) -> None:
    """Show what is under way, on a terminal in one line; an empty text takes that line away."""
    if sys.stderr.isatty():
        print(f"\r\033[K{display(translated(text))}", end="", file=sys.stderr, flush=True)
    elif text:
        print(display(translated(text)), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(exit_code(main))
