"""The Docker image of the sandbox, built from Debian packages without any image registry."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llmasos.config import Settings
from llmasos.errors import SandboxError

if TYPE_CHECKING:
    from docker import DockerClient

Progress = Callable[[str], None]

PACKAGES = (
    # libc-bin and dash are what a Debian takes for granted: the C.UTF-8 locale and /bin/sh.
    *("libc-bin", "dash", "hostname", "ncurses-base", "util-linux"),
    *("bash", "bc", "coreutils", "diffutils", "file", "findutils", "gawk", "git", "grep", "gzip"),
    *("jq", "less", "patch", "procps", "python3", "sed", "tar", "unzip", "zip"),
)
_MERGED = ("bin", "sbin", "lib", "lib64")
_UNNEEDED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var/lib/dpkg")
_SECONDS = 600


def build_image(client: DockerClient, settings: Settings, progress: Progress) -> None:
    """Build the image that `sandbox_image` names.

    Raises:
        SandboxError: The tools or the packages are missing; the message holds what the tool said.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise SandboxError(
                f"The sandbox image cannot be built: {tool} is not installed.",
                hint=f"Load an image with bash and python3 and name it {settings.sandbox_image}.",
            )
    repository, _, tag = settings.sandbox_image.partition(":")
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.cache_dir, prefix="image-") as place:
        folder = Path(place)
        progress("Downloading the sandbox's packages")
        packages = _download(folder)
        progress(f"Unpacking {len(packages)} packages")
        tree = _unpack(packages, folder / "tree")
        progress("Handing the image to Docker")
        archive = folder / "image.tar"
        _pack(tree, archive)
        client.api.import_image_from_file(str(archive), repository=repository, tag=tag or "latest")


def _download(folder: Path) -> list[Path]:
    # An empty package status makes apt fetch the whole closure, not what this machine lacks.
    (folder / "status").touch()
    (folder / "archives" / "partial").mkdir(parents=True)
    options = [f"Dir::State::status={folder / 'status'}", f"Dir::Cache::archives={folder / 'archives'}"]
    options += ["Debug::NoLocking=1", "APT::Sandbox::User="]
    lists = Path("/var/lib/apt/lists")
    if not any(lists.glob("*_Packages*")):
        (folder / "lists" / "partial").mkdir(parents=True)
        options.append(f"Dir::State::lists={folder / 'lists'}")
        _apt(options, "update")
    _apt(options, "install", "--download-only", "--no-install-recommends", "--yes", *PACKAGES)
    return sorted((folder / "archives").glob("*.deb"))


def _apt(options: list[str], *arguments: str) -> None:
    _run(["apt-get", "-qq", *(part for option in options for part in ("-o", option)), *arguments])


def _unpack(packages: list[Path], tree: Path) -> Path:
    # Debian's packages still name /bin and /lib; on a merged system these are links into /usr.
    for name in _MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for package in packages:
        _run(["dpkg-deb", "--extract", str(package), str(tree)])
    for name in _UNNEEDED:
        shutil.rmtree(tree / name, ignore_errors=True)
    awk = tree / "usr" / "bin" / "awk"
    if not awk.exists():
        awk.symlink_to("gawk")
    for name in ("workspace", "run/llmasos"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    return tree


def _pack(tree: Path, archive: Path) -> None:
    """Pack the tree so that the same packages give the same bytes."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if member.ischr() or member.isblk():
            return None
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = "root"
        # Nothing in a sandbox may gain rights by running a program.
        member.mode &= 0o1777
        return member

    with tarfile.open(archive, "w") as tar:
        tar.add(tree, ".", filter=plain)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise SandboxError(
            f"{command[0]} took longer than {_SECONDS} s.", hint="Check the network."
        ) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise SandboxError(
            f"The sandbox image cannot be built: {command[0]}: {said[-1] if said else done.returncode}.",
            hint="Run apt-get update and try again, or set LLMASOS_SANDBOX=bubblewrap.",
        )
