"""The convolutional network, and torch as it is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from llmasos.federated.port import FederatedError
from llmasos.federated.recipes import Work
from llmasos.federated.schema import Schema
from tests.federated.recipes.samples import sample

ROOT = Path(__file__).parents[3]


def test_counts_of_batches_stay_whole_numbers() -> None:
    one = sample("cnn:norm")
    weights = one.recipe.initial(one.schema, one.options, 0)
    trained, _ = one.recipe.train(weights, one.examples, Work(epochs=2, batch=4), one.schema, one.options)
    counts = {name: array for name, array in trained.items() if name.endswith("num_batches_tracked")}
    assert len(counts) == 2
    assert all(array.dtype == np.int64 and array.shape == () and array == 6 for array in counts.values())


def test_images_that_are_too_small_are_refused() -> None:
    one = sample("cnn")
    small = Schema(kind="images", shape=(3, 8, 1), classes=("0", "1"))
    with pytest.raises(FederatedError, match="3 x 8 pixels") as raised:
        one.recipe.initial(small, one.options, 0)
    assert "mlp" in raised.value.hint


def test_torch_is_left_as_it_was() -> None:
    import torch

    one = sample("cnn")
    torch.set_num_threads(2)
    state = torch.get_rng_state()
    one.recipe.train(one.initial(), one.examples, Work(), one.schema, one.options)
    assert torch.get_num_threads() == 2
    assert torch.get_deterministic_debug_mode() == 0
    assert torch.equal(torch.get_rng_state(), state)


def test_a_process_that_was_forked_off_a_busy_one_trains(tmp_path: Path) -> None:
    script = tmp_path / "forking.py"
    script.write_text(
        "import os, signal, torch\n"
        "from llmasos.federated.recipes import Work\n"
        "from tests.federated.recipes.samples import sample\n"
        "torch.set_num_threads(2)\n"
        "(torch.ones(600, 600) @ torch.ones(600, 600)).sum()\n"
        "one = sample('cnn')\n"
        "if child := os.fork():\n"
        "    raise SystemExit(os.waitpid(child, 0)[1])\n"
        "signal.alarm(90)\n"
        "one.recipe.train(one.initial(), one.examples, Work(), one.schema, one.options)\n"
    )
    subprocess.run([sys.executable, str(script)], check=True, env={"PYTHONPATH": str(ROOT)})


def test_how_many_threads_there_are_elsewhere_changes_nothing() -> None:
    import torch

    one = sample("cnn")
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(one.recipe.train(one.initial(), one.examples, Work(), one.schema, one.options)[1])
    assert results[0] == results[1]
