"""What of a plugin goes into its sandbox."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from llmasos.errors import ToolError
from llmasos.tools.plugins import bundle as bundles
from llmasos.tools.plugins.bundle import Bundle
from llmasos.tools.plugins.discovery import Plugin, installed_plugins, plugins_in
from tests.tools.plugins.packages import GREETER, Install


def plugin_named(name: str) -> Plugin:
    found = installed_plugins()[name]
    assert isinstance(found, Plugin)
    return found


def names(bundle: Bundle) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(bundle.archive)).namelist()


def test_the_package_and_what_it_needs_are_in_it_with_our_part(install: Install) -> None:
    install("pure-dep", {"pure_dep/__init__.py": "", "pure_dep/data.txt": "x"}, requires=["deeper_dep"])
    install("deeper_dep", {"deeper_dep.py": ""})
    install("compiled-dep", {"compiled_dep/_c.cpython-311.so": b"\x7fELF"})
    install(
        "greeter",
        {"greeter/__init__.py": "", "greeter/tools.py": GREETER, "greeter/__pycache__/x.pyc": b"x"},
        plugins={"greeter": "greeter.tools"},
        requires=[
            *("pure-dep>=1", "compiled.dep", "llmasos", "numpy", "not-there", "deeper-dep; extra == 'all'"),
            "pure-dep; python_version < '3'",
        ],
    )
    made = Bundle.of(plugin_named("greeter"))
    assert set(names(made)) == {
        *("greeter/__init__.py", "greeter/tools.py", "pure_dep/__init__.py", "pure_dep/data.txt"),
        *("deeper_dep.py", "llmasos/__init__.py", "llmasos/errors.py", "llmasos/tools/__init__.py"),
        *("llmasos/tools/api.py", "llmasos/tools/running.py"),
    }
    assert made.compiled == ("compiled-dep",)


def test_any_byte_of_it_changes_the_digest(install: Install) -> None:
    files = {"greeter/__init__.py": "", "greeter/tools.py": GREETER, "greeter/words.txt": "a"}
    site = install("greeter", files, plugins={"greeter": "greeter.tools"}, requires=["pure_dep"])
    install("pure_dep", {"pure_dep.py": "x = 1"})
    digests = {Bundle.of(plugin_named("greeter")).sha256}
    for path in ("greeter/words.txt", "pure_dep.py"):
        (site / path).write_text("x = 2")
        digests.add(Bundle.of(plugin_named("greeter")).sha256)
    (site / "greeter/words.txt").rename(site / "greeter/other.txt")
    digests.add(Bundle.of(plugin_named("greeter")).sha256)
    assert len(digests) == 4
    (site / "greeter/__pycache__").mkdir()
    (site / "greeter/__pycache__/tools.pyc").write_bytes(b"x")
    assert Bundle.of(plugin_named("greeter")).sha256 in digests, "what Python has compiled is no change"


def test_what_a_plugin_calls_by_our_names_is_not_taken_for_ours(install: Install) -> None:
    install(
        "evil",
        {"llmasos/tools/running.py": "evil", "evil.py": GREETER},
        plugins={"evil": "evil"},
        requires=["helper"],
    )
    install("helper", {"llmasos/errors.py": "evil", "helper.py": ""})
    archive = zipfile.ZipFile(io.BytesIO(Bundle.of(plugin_named("evil")).archive))
    assert b"evil" not in archive.read("llmasos/errors.py") + archive.read("llmasos/tools/running.py")


def test_a_single_module_and_an_authors_folder_are_bundled(install: Install, tmp_path: Path) -> None:
    install("single", {"single.py": GREETER}, plugins={"single": "single"})
    assert "single.py" in names(Bundle.of(plugin_named("single")))
    folder = tmp_path / "mine"
    (folder / "src" / "mine").mkdir(parents=True)
    (folder / "src" / "mine" / "__init__.py").write_text(GREETER)
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "mine"\n[project.entry-points."llmasos.tools"]\nmine = "mine"\n'
    )
    (plugin,) = plugins_in(folder)
    assert "mine/__init__.py" in names(Bundle.of(plugin))


def test_a_module_that_is_not_there_is_named(install: Install) -> None:
    install("gone", {}, plugins={"gone": "gone_module.tools"})
    with pytest.raises(ToolError, match=r"names the module gone_module\.tools, which is not there"):
        Bundle.of(plugin_named("gone"))


def test_what_is_too_large_is_refused(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("large", {"large.py": "x" * 2000}, plugins={"large": "large"})
    monkeypatch.setattr(bundles, "_LARGEST", 1000)
    with pytest.raises(ToolError, match="has 2,000 bytes with what it needs"):
        Bundle.of(plugin_named("large"))


def test_files_elsewhere_and_links_to_them_are_left_out(install: Install, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    site = install("thief-dep", {"thief_dep.py": ""})
    record = site / "thief_dep-1.0.dist-info" / "RECORD"
    record.write_text(f"thief_dep.py,,\n{secret},,\n../secret.txt,,\nlinked.txt,,\n")
    (site / "linked.txt").symlink_to(secret)
    install("thief", {"thief/__init__.py": GREETER}, plugins={"thief": "thief"}, requires=["thief-dep"])
    (site / "thief" / "linked.txt").symlink_to(secret)
    assert not [
        name for name in names(Bundle.of(plugin_named("thief"))) if "secret" in name or "linked" in name
    ]


def test_all_of_a_package_is_in_it(install: Install) -> None:
    files = {"two/__init__.py": GREETER, "two_more/__init__.py": "x = 1"}
    site = install("two", files, plugins={"two": "two"})
    before = Bundle.of(plugin_named("two"))
    assert "two_more/__init__.py" in names(before)
    (site / "two_more" / "__init__.py").write_text("x = 2")
    assert Bundle.of(plugin_named("two")).sha256 != before.sha256


def test_extras_of_requirements_are_followed(install: Install) -> None:
    install(
        "base-dep", {"base_dep.py": ""}, requires=["extra-dep; extra == 'more'", "odd; os_name ~= 'linux'"]
    )
    install("extra-dep", {"extra_dep.py": ""})
    install("user", {"user_of.py": GREETER}, plugins={"user": "user_of"}, requires=["base-dep[more]"])
    assert {"base_dep.py", "extra_dep.py"} <= set(names(Bundle.of(plugin_named("user"))))
