"""Making the tree of the sandbox: Debian packages and wheels, unpacked without being root."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from llmasos.errors import SandboxError
from llmasos.sandbox.image._recipe import (
    LOCK,
    PACKAGES,
    PLOT_FONTS,
    PYTHONS,
    UNNEEDED,
    UNNEEDED_IN_WHEELS,
    recipe_key,
)

Progress = Callable[[str], None]

MANIFEST = "usr/share/llmasos/manifest.json"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_MERGED = ("bin", "sbin", "lib", "lib64")
_FOLDERS = ("dev", "home", "proc", "root", "run/llmasos", "sys", "tmp", "workspace")
# Links that packages make only when they are installed.
_LINKS = {"awk": "gawk", "pager": "less", "python": "python3", "sh": "dash", "which": "which.debianutils"}
_FILES = {
    "etc/passwd": "root:x:0:0::/:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/resolv.conf": "",
    "etc/hostname": "sandbox\n",
}
_SECONDS = 900
_DOCKERFILE_HINT = (
    "Build an image with the Dockerfile of the LLMasOS repository, and name it with LLMASOS_SANDBOX_IMAGE."
)


def make_tree(tree: Path, progress: Progress) -> None:
    """Make the tree of the sandbox in a new folder; the same packages and wheels give the same tree.

    Args:
        tree: The folder, which is not there yet.
        progress: Told what is under way.

    Raises:
        SandboxError: A tool, a package or a wheel is missing; the message holds what the tool said.
    """
    for tool in ("apt-get", "dpkg-deb", "tar"):
        if shutil.which(tool) is None:
            raise SandboxError(
                f"The sandbox image cannot be built: {tool} is not installed.", hint=_DOCKERFILE_HINT
            )
    with tempfile.TemporaryDirectory(dir=tree.parent, prefix="downloads-") as place:
        packages = _download_packages(Path(place), progress)
        _unpack_packages(packages, tree, progress)
        python = _Python(tree)
        wheels = _download_wheels(python, Path(place) / "wheels", progress)
        _unpack_wheels(wheels, python.packages, progress)
        _choose_fonts(python.packages / "matplotlib/mpl-data/matplotlibrc")
        progress("Compiling Python's modules")
        python.compile()
        manifest = {
            "recipe": recipe_key(),
            "python": python.version,
            "packages": dict(_package_version(path) for path in packages),
            "wheels": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in wheels},
        }
    (tree / MANIFEST).parent.mkdir(parents=True)
    (tree / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    _level_modes(tree)


def _choose_fonts(file: Path) -> None:
    """Have plots fall back to a font with Chinese, Japanese and Korean letters."""
    # In the place of the default, which is read as well although it stands in a comment.
    text, found = re.subn(r"(?m)^#font\.family:.*$", PLOT_FONTS, file.read_text())
    if not found:
        raise SandboxError("matplotlib keeps its fonts in another place.", hint="Report this.")
    file.write_text(text)


def _download_packages(folder: Path, progress: Progress) -> list[Path]:
    # An empty package status makes apt fetch the whole closure, not what this machine lacks.
    (folder / "status").touch()
    (folder / "archives" / "partial").mkdir(parents=True)
    (folder / "lists" / "partial").mkdir(parents=True)
    options = [f"Dir::State::status={folder / 'status'}", f"Dir::Cache={folder}", "Debug::NoLocking=1"]
    options += ["APT::Sandbox::User=", "APT::Status-Fd=1", "APT::Update::Error-Mode=any"]

    what, told = "Downloading the sandbox's packages", ""

    def on_line(line: str) -> None:
        # apt reports `dlstatus:3:1.9:Retrieving file 3 of 140`, several times for each file.
        nonlocal told
        amount = line.partition("Retrieving file ")[2]
        if line.startswith("dlstatus:") and amount and amount != told:
            told = amount
            progress(f"{what} ({amount})")

    def apt(*arguments: str) -> None:
        settings = (part for option in options for part in ("-o", option))
        _run(["apt-get", "-qq", *settings, *arguments], on_line=on_line)

    install = ("install", "--download-only", "--no-install-recommends", "--yes", *PACKAGES)
    progress(what)
    try:
        apt(*install)
    except SandboxError:
        # The machine's lists are missing, or name versions that the mirror no longer has.
        options.append(f"Dir::State::lists={folder / 'lists'}")
        apt("update")
        apt(*install)
    return sorted((folder / "archives").glob("*.deb"))


def _unpack_packages(packages: list[Path], tree: Path, progress: Progress) -> None:
    progress(f"Unpacking {len(packages)} packages")
    # Older packages still name /bin and /lib; on a merged system these are links into /usr.
    for name in _MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    unpack = ["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", f"--directory={tree}"]
    unpack += [f"--exclude={glob}" for glob in UNNEEDED]
    for package in packages:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as source:
            _run(unpack, stdin=source.stdout)
        if source.returncode:
            raise SandboxError(f"The package {package.name} cannot be unpacked.", hint="Try again.")
    for name, target in _LINKS.items():
        link = tree / "usr" / "bin" / name
        if not link.is_symlink() and not link.exists():
            link.symlink_to(target)
    for name in _FOLDERS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name, text in _FILES.items():
        (tree / name).write_text(text)
    authorities = sorted((tree / "usr/share/ca-certificates").rglob("*.crt"))
    (tree / _CERTIFICATES).parent.mkdir(parents=True, exist_ok=True)
    (tree / _CERTIFICATES).write_text("".join(path.read_text() for path in authorities))


class _Python:
    """The tree's own Python, run through the tree's own loader: neither root nor a chroot is needed."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        found = sorted((tree / "usr/bin").glob("python3.*[0-9]"))
        self.version = found[0].name.removeprefix("python") if found else "missing"
        if self.version not in PYTHONS:
            raise SandboxError(
                f"The sandbox image cannot be built: this system's Python is {self.version},"
                f" and it takes one of {', '.join(PYTHONS)}.",
                hint=_DOCKERFILE_HINT,
            )
        self.packages = tree / f"usr/local/lib/python{self.version}/dist-packages"
        loader = next(path for folder in ("lib64", "lib") for path in (tree / folder).glob("ld-linux*.so.*"))
        libraries = ":".join(str(path) for path in sorted((tree / "usr/lib").glob("*-linux-gnu*")))
        self._command = [str(loader), "--library-path", libraries, str(found[0]), "-s", "-P"]

    def run(self, *arguments: str, on_line: Callable[[str], None] | None = None) -> None:
        """Run it with these arguments."""
        ours = {"PYTHONHOME": str(self._tree / "usr"), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | ours
        if not Path("/", _CERTIFICATES).exists():
            env.setdefault("PIP_CERT", str(self._tree / _CERTIFICATES))
        _run([*self._command, *arguments], on_line=on_line, env=env)

    def compile(self) -> None:
        """Compile all modules, so that the result depends on nothing but their text."""
        system = [self._tree / f"usr/lib/python{self.version}", self._tree / "usr/lib/python3/dist-packages"]
        self.run(
            *("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(self._tree), "-p", "/", "-x", "lib2to3/tests"),
            *(str(folder) for folder in [*system, self.packages]),
        )


def _download_wheels(python: _Python, folder: Path, progress: Progress) -> list[Path]:
    found = 0
    what = "Downloading Python's libraries"

    def on_line(line: str) -> None:
        nonlocal found
        if line.startswith(("Collecting ", "Processing ")):
            found += 1
            progress(f"{what} ({found} of about {total})")

    total = LOCK.read_text().count("==")
    progress(what)
    python.run(
        *("-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes"),
        *("--progress-bar", "off", "--no-input", "--dest", str(folder), "--requirement", str(LOCK)),
        on_line=on_line,
    )
    return sorted(folder.glob("*.whl"))


def _unpack_wheels(wheels: list[Path], packages: Path, progress: Progress) -> None:
    progress(f"Unpacking {len(wheels)} libraries")
    packages.mkdir(parents=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
    for spread in packages.glob("*.data"):
        for name in ("purelib", "platlib"):
            if (spread / name).is_dir():
                shutil.copytree(spread / name, packages, dirs_exist_ok=True)
        shutil.rmtree(spread)
    for glob in UNNEEDED_IN_WHEELS:
        for folder in sorted(packages.glob(glob)):
            shutil.rmtree(folder, ignore_errors=True)


def _package_version(path: Path) -> tuple[str, str]:
    name, version, _ = path.name.split("_", 2)
    return name, version.replace("%3a", ":")


def _level_modes(tree: Path) -> None:
    # Nothing in a sandbox may gain rights by running a program, and its user owns none of the files.
    for folder, names, files in os.walk(tree):
        for name in [*names, *files]:
            path = Path(folder, name)
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(0o755 if path.is_dir() or mode & 0o111 else 0o644)
    for name in ("tmp", "var/tmp"):
        if (tree / name).is_dir():
            (tree / name).chmod(0o1777)
    tree.chmod(0o755)


def _run(
    command: list[str],
    *,
    on_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
) -> None:
    """Run a tool, giving each line of its output to `on_line` as it comes."""
    tool = next((part for part in command if part in ("pip", "compileall")), Path(command[0]).name)
    said: list[str] = []
    late = threading.Event()
    with subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
    ) as process:

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(_SECONDS, stop)
        timer.start()
        try:
            assert process.stdout is not None
            for line in map(str.strip, process.stdout):
                if on_line is not None:
                    on_line(line)
                if line and not line.startswith(("dlstatus:", "WARNING")):
                    said.append(line)
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
    if process.returncode:
        # The first complaint tells the cause; those after it follow from it.
        complaints = [line for line in said if line.startswith(("E:", "ERROR:"))] or said[-1:]
        problem = complaints[0].rstrip(".") if complaints else f"exit code {process.returncode}"
        if late.is_set():
            problem = f"it took longer than {_SECONDS} s"
        raise SandboxError(
            f"The sandbox image cannot be built: {tool}: {problem}.",
            hint="Check the network and try again, or set LLMASOS_SANDBOX_IMAGE to an image of your own.",
        )
