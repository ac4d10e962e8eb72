"""Recipes by name: built-in ones and those of plugins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos.federated.port import FederatedError
from llmasos.federated.recipes import names, recipe, shelf, suited

Install = Callable[..., None]

GOOD = """
class Mean:
    name, title, kinds, proximal = "mean", "The mean", frozenset({"table"}), False

    def initial(self, schema, options, seed): ...
    def train(self, weights, examples, work, schema, options): ...
    def evaluate(self, weights, examples, schema, options): ...
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what installs a plugin as pip would leave it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(module: str, source: str, points: str) -> None:
        (tmp_path / f"{module}.py").write_text(source)
        told = tmp_path / f"{module}-1.0.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (told / "entry_points.txt").write_text(f"[llmasos.recipes]\n{points}\n")

    return put


def test_the_built_in_ones_are_there_without_being_imported() -> None:
    code = "from llmasos.federated.recipes import names; import sys; print(*names(), *sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split()[:5] == ["logistic", "mlp", "cnn", "text", "lora"]
    assert not {"torch", "sklearn", "transformers", "peft", "flwr"} & set(told.split())
    found = shelf()
    assert tuple(found.recipes) == ("logistic", "mlp", "cnn", "text", "lora") and not found.broken
    assert all(one.name == name and one.title for name, one in found.recipes.items())


def test_an_unknown_name_tells_the_names_that_there_are() -> None:
    with pytest.raises(FederatedError, match="no recipe 'tree'") as raised:
        recipe("tree")
    assert raised.value.hint == "Choose one of these: logistic, mlp, cnn, text, lora."


def test_a_recipe_learns_only_from_its_kinds_of_data() -> None:
    assert recipe("mlp", "images").name == "mlp"
    with pytest.raises(FederatedError, match="from images and table, and this data is texts") as raised:
        recipe("mlp", "texts")
    assert raised.value.hint == "Take the recipe text, or another one for such data."


def test_each_kind_of_data_has_a_recipe_that_suits_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [suited(kind) for kind in ("table", "images", "texts")] == ["logistic", "cnn", "text"]
    monkeypatch.setattr("llmasos.federated.recipes.registry.find_spec", lambda _: None)
    assert suited("images") == "mlp"


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llmasos.federated.recipes.cnn", None)
    with pytest.raises(FederatedError, match="cnn cannot be used") as raised:
        recipe("cnn")
    assert "pip install" in raised.value.hint
    assert list(shelf().broken) == ["cnn"]


def test_a_plugin_adds_its_own(install: Install) -> None:
    install("plugged_mean", GOOD, "mean = plugged_mean:Mean")
    assert names()[-1] == "mean"
    assert recipe("mean", "table").title == "The mean"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise OSError('the disk is gone')", "OSError: the disk is gone"),
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
        ("", "no attribute 'Mean'"),
        ("Mean = None", "TypeError"),
        ("class Mean:\n    name = 'mean'", "it has no title, kinds, proximal"),
        (GOOD.replace('"mean"', '"median"'), "it calls itself median"),
        (GOOD.replace('"table"', '"sounds"'), "no data of the kind sounds"),
        (GOOD.replace('frozenset({"table"})', "7"), "TypeError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_a_plugin_that_breaks_is_named_and_left_out(install: Install, source: str, said: str) -> None:
    # Each has a module of its own, since Python keeps what it has imported.
    module = f"broken_{abs(hash(source))}"
    install(module, source, f"mean = {module}:Mean")
    with pytest.raises(FederatedError, match=f"mean of the package {module} is broken") as raised:
        recipe("mean")
    assert said in str(raised.value) and module in raised.value.hint
    found = shelf()
    assert "mean" not in found.recipes and said in found.broken["mean"]
    assert "logistic" in found.recipes


def test_a_name_belongs_to_one(install: Install) -> None:
    install("plugged_mlp", GOOD, "mlp = plugged_mlp:Mean")
    install("plugged_one", GOOD, "mean = plugged_one:Mean")
    install("plugged_two", GOOD, "mean = plugged_two:Mean")
    assert recipe("mlp").title == "Multilayer perceptron"
    with pytest.raises(FederatedError, match=r"mean is in the package plugged_\w+ and the package plugged_"):
        recipe("mean")
    assert set(shelf().broken) == {"mean", "mlp of the package plugged_mlp"}
