"""The recipe of the sandbox image: its packages, its wheels, and the Dockerfile that says the same."""

from __future__ import annotations

import hashlib
import json
import textwrap
from pathlib import Path

# Raised when the way a tree is made changes, so that trees made the old way are not taken for this one.
FORMAT = 1
LOCK = Path(__file__).with_name("sandbox.lock")
LOCK_IN_CHECKOUT = "llmasos/sandbox/image/sandbox.lock"
# The versions of Python that the lock file has wheels for.
PYTHONS = ("3.11", "3.12", "3.13")
BASE = "python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea"

TOOLS = (
    *("bash", "bc", "bsdextrautils", "bzip2", "ca-certificates", "curl", "diffutils", "file", "findutils"),
    *("fonts-droid-fallback", "gawk", "git", "grep", "gzip", "hostname", "jq", "less", "make", "patch"),
    *("procps", "ripgrep", "sed", "sqlite3", "tar", "tree", "tzdata", "unzip", "util-linux", "xz-utils"),
    *("zip", "zstd"),
)
PACKAGES = (
    # libc-bin and dash are what a Debian takes for granted: the C.UTF-8 locale and /bin/sh.
    *("coreutils", "dash", "debianutils", "libc-bin", "ncurses-base"),
    *("python3", "python3-pip", "python3-venv"),
    *TOOLS,
)
# Left out of the tree, as globs of tar.
UNNEEDED = (
    *(f"./usr/share/{name}" for name in ("bug", "doc", "doc-base", "info", "lintian", "locale", "man")),
    *("./usr/share/zoneinfo/right", "./usr/lib/python3*/test", "./usr/lib/python3*/pydoc_data"),
    # Debian's word that pip must not install here; a sandbox is nobody's system.
    "./usr/lib/python3*/EXTERNALLY-MANAGED",
    *("./usr/lib/*/perl/*/CORE", "./var/lib/dpkg", "./usr/share/perl/*/pod", "./usr/share/perl/*/*.pod"),
)
# Tests that wheels bring along.
UNNEEDED_IN_WHEELS = ("pandas/tests", "matplotlib/tests", "numpy/**/tests")
# Plots show Chinese, Japanese and Korean too.
PLOT_FONTS = "font.family: DejaVu Sans, Droid Sans Fallback"


def recipe_key() -> str:
    """Return what names this recipe: trees and images of another one are out of date."""
    parts = [FORMAT, PACKAGES, UNNEEDED, UNNEEDED_IN_WHEELS, PLOT_FONTS, LOCK.read_text()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def dockerfile() -> str:
    """Return the Dockerfile of an equivalent image, for people who want their own, and for pulling."""
    tools = " \\\n        ".join(textwrap.wrap(" ".join(TOOLS), 90, break_on_hyphens=False))
    return f"""\
# The sandbox image, for those who would rather build it from a registry's image, or add to it:
#
#     docker build --tag my-sandbox .
#     LLMASOS_SANDBOX_IMAGE=my-sandbox llmasos
#
# What LLMasOS needs inside is /bin/bash and Python 3.9 or newer at /usr/bin/python3.
ARG BASE={BASE}
FROM ${{BASE}}
COPY {LOCK_IN_CHECKOUT} /tmp/sandbox.lock
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends \\
        {tools} \\
    && rm -rf /var/lib/apt/lists/* \\
    && pip install --no-cache-dir --only-binary :all: --no-deps --require-hashes -r /tmp/sandbox.lock \\
    && python3 -c "import matplotlib; print(matplotlib.matplotlib_fname())" > /tmp/place \\
    && sed -i "s/^#font.family:.*/{PLOT_FONTS}/" "$(cat /tmp/place)" \\
    && rm /tmp/sandbox.lock /tmp/place \\
    && ln -sf "$(command -v python3)" /usr/bin/python3 \\
    && mkdir -p /workspace /run/llmasos
WORKDIR /workspace
CMD ["/usr/bin/python3"]
"""
