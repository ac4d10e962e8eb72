"""The page about recipes: its tables tell what there is, and its plugin works as it stands there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmasos.federated.dataset import Examples
from llmasos.federated.port import FederatedError
from llmasos.federated.recipes import Work, names, recipe, shelf
from tests.federated.recipes.samples import table

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "recipes.md").read_text()
KINDS = {"tables": "table", "images": "images", "texts": "texts"}


def rows(head: str) -> list[list[str]]:
    """Return the cells of the table with this head."""
    lines = PAGE[PAGE.index(f"\n{head}\n") :].strip().split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


def block(kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_every_recipe_is_told_with_what_it_learns_from() -> None:
    told = {row[0].strip("`"): {KINDS[kind] for kind in row[1].split(", ")} for row in rows(HEAD)}
    assert told == {name: set(recipe(name).kinds) for name in names()}


HEAD = "| recipe | learns from | what it is |"


def test_every_option_is_told_with_its_default() -> None:
    told = {}
    for option, of, default, _ in rows("| option | of | default | what it says |"):
        for name in re.findall(r"`(\w+)`", of):
            told[name, option.strip("`")] = default.strip("`")

    def written(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return str(list(value)) if isinstance(value, tuple) else str(value)

    real = {
        (name, option): "" if field.is_required() else written(field.default)
        for name in names()
        for option, field in recipe(name).options.model_fields.items()  # type: ignore[attr-defined]
    }
    assert told == real


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the page's recipe, installed as pip would leave it."""
    points = tomllib.loads(block("toml"))["project"]["entry-points"]
    ((group, entries),) = points.items()
    ((name, target),) = entries.items()
    module = target.partition(":")[0]
    (tmp_path / f"{module}.py").write_text(block("python"))
    (tmp_path / f"{module}-1.0.dist-info").mkdir()
    (tmp_path / f"{module}-1.0.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n"
    )
    (tmp_path / f"{module}-1.0.dist-info" / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not shelf().broken
    return recipe(name, "table")


def test_the_plugin_is_short() -> None:
    assert len(block("python").splitlines()) < 40


def test_the_plugin_learns(plugin: Any) -> None:
    schema, examples = table(100)
    weights = plugin.initial(schema, {}, 0)
    before = plugin.evaluate(weights, examples, schema, {})
    work = Work(epochs=10, batch=16, seed=4)
    trained, loss = plugin.train(weights, examples, work, schema, {})
    after = plugin.evaluate(trained, examples, schema, {})
    assert after.accuracy > before.accuracy + 0.3 and after.loss < before.loss
    assert loss == pytest.approx(after.loss, rel=0.1)
    again, _ = plugin.train(weights, examples, work, schema, {})
    np.testing.assert_array_equal(again["weight"], trained["weight"])
    assert trained["weight"].dtype == np.float32 and not weights["weight"].any()


def test_the_plugin_adds_the_proximal_term(plugin: Any) -> None:
    schema, examples = table()
    doubled = Examples(examples.inputs.astype(np.float64), examples.labels)
    sent = {"weight": np.random.default_rng(0).normal(size=(4, 3))}
    whole: Any = {"batch": 10, "learning_rate": 0.01, "proximal": 0.7}
    at, _ = plugin.train(sent, doubled, Work(**whole), schema, {})
    after, _ = plugin.train(sent, doubled, Work(epochs=2, **whole), schema, {})

    def objective(weight: Any) -> float:
        loss = plugin.evaluate({"weight": weight}, doubled, schema, {}).loss
        return float(loss + 0.35 * ((weight - sent["weight"]) ** 2).sum())

    way, tiny = np.random.default_rng(1).normal(size=(4, 3)), 1e-6
    slope = (objective(at["weight"] + tiny * way) - objective(at["weight"] - tiny * way)) / (2 * tiny)
    assert ((at["weight"] - after["weight"]) / 0.01 * way).sum() == pytest.approx(slope, rel=1e-6)


def test_the_plugins_options_are_checked(plugin: Any) -> None:
    with pytest.raises(FederatedError, match="hinge has no option 'width'"):
        plugin.initial(table()[0], {"width": 3}, 0)
