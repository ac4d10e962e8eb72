"""Paths that try to get out of a folder, in every spelling that we know, and a folder that helps them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

CANARY = "canary-7f3a-outside"


@dataclass(frozen=True)
class Ground:
    """A folder with links that lead out of it, beside a folder that nobody may reach."""

    base: Path

    @property
    def inside(self) -> Path:
        """The folder."""
        return self.base / "inside"

    @property
    def outside(self) -> Path:
        """What lies beside it."""
        return self.base / "outside"

    @classmethod
    def make(cls, base: Path) -> Ground:
        """Lay both out."""
        ground = cls(base)
        for folder in (ground.inside / "sub" / "deep", ground.outside / "sub"):
            folder.mkdir(parents=True)
        (ground.inside / "a.txt").write_text("one\n")
        (ground.inside / "sub" / "b.txt").write_text("two\n")
        (ground.outside / "canary.txt").write_text(CANARY)
        (ground.outside / "sub" / "canary.txt").write_text(CANARY)
        (ground.outside / "linked.txt").write_text("a hard link leads here\n")
        os.link(ground.outside / "linked.txt", ground.inside / "hard")
        for name, target in (
            ("out", "../outside"),
            ("abs", str(ground.outside)),
            ("file", "../outside/canary.txt"),
            ("up", ".."),
            ("sub/deep/back", "../../../outside"),
            ("chain", "out/sub"),
            ("loop", "loop"),
            ("missing", "../outside/new.txt"),
            ("cwd", "/proc/self/cwd/../outside"),
            ("root", f"/proc/self/root{ground.outside}"),
        ):
            (ground.inside / name).symlink_to(target)
        return ground

    def placed(self, path: str) -> str:
        """Return a path with the places in it that only this ground knows."""
        return path.replace("{outside}", str(self.outside)).replace("{inside}", str(self.inside))

    def touched(self) -> dict[str, tuple[bool, bytes]]:
        """Return all that lies outside, to be compared."""
        return {
            path.relative_to(self.outside).as_posix(): (
                path.is_dir(),
                b"" if path.is_dir() else path.read_bytes(),
            )
            for path in sorted(self.outside.rglob("*"))
        }


_NAMES = (
    *("..", ".", "", "...", "a.txt", "sub", "deep", "back", "b.txt", "new.txt", "outside", "inside"),
    *(
        "canary.txt",
        "linked.txt",
        "out",
        "abs",
        "file",
        "up",
        "chain",
        "loop",
        "missing",
        "cwd",
        "root",
        "hard",
    ),
    *("\u2024\u2024", "\u2025", "\uff0e\uff0e", "..\uff0foutside", "..\u2215outside", "..\u200b", "\u202e.."),
    *(
        "%2e%2e",
        "%2e%2e%2foutside",
        "..\\outside",
        ".. ",
        " ..",
        "..;",
        "~",
        "$HOME",
        "$(pwd)",
        "*",
        "?",
        "[.]..",
    ),
    *(
        "x" * 255,
        "x" * 256,
        "𝐨𝐮𝐭𝐬𝐢𝐝𝐞",
        "оutside",
        "out\u00adside",
        "\n",
        "-rf",
        "a.txt\0.png",
        "CON",
        ":",
        "file:",
    ),
)


_PREFIXES = (
    *(
        "",
        "",
        "",
        "/",
        "//",
        "./",
        "../",
        "../../",
        "sub/../../",
        "up/",
        "out/",
        "/proc/self/cwd/",
        "./.././",
    ),
    *(
        "/proc/self/root/",
        "/proc/1/root/",
        "/dev/fd/../",
        "/dev/shm/../",
        "file://",
        "~/",
        "/./../",
        "{inside}2/",
    ),
    *(
        "{outside}/",
        "{inside}/",
        "{inside}/../outside/",
        "/proc/self/root{outside}/",
        "{inside}/" + "sub/../" * 300,
    ),
    "../" * 40 + ".{outside}/",
)


def paths() -> st.SearchStrategy[str]:
    """Return paths that mostly try to get out, to be placed on a ground."""
    parts = st.lists(st.sampled_from(_NAMES), max_size=5).map("/".join)
    return st.builds(str.__add__, st.sampled_from(_PREFIXES), parts | st.text(max_size=8))
