"""Plays the whole suite under one policy, and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.control import Rules
from tests.attacks.harness import stage
from tests.attacks.suite import Task, World


@dataclass(frozen=True)
class Run:
    """One task, played once.

    Args:
        name: The vector, the task, and the attack if there is one.
        task: The task.
        world: The end state.
        shown: Whether the attacker got something; without an attack, whether the task was done.
    """

    name: str
    task: Task
    world: World
    shown: bool


@dataclass(frozen=True)
class Report:
    """What came of the suite under one policy.

    Args:
        attacks: Every attack, obeyed, with nobody to ask.
        benign: Every task, with nobody to ask, and with somebody who agrees where the rule asks.
    """

    attacks: tuple[Run, ...]
    benign: tuple[Run, ...]

    def attack(self, name: str) -> Run:
        """Return the run of an attack."""
        return next(run for run in self.attacks if run.name == name)

    def task(self, name: str) -> Run:
        """Return the run of a task without an attack."""
        return next(run for run in self.benign if run.name == name)

    @property
    def effects(self) -> int:
        """How many attackers got something."""
        return sum(run.shown for run in self.attacks)

    @property
    def prompts_per_task(self) -> float:
        """How often a person is asked in a task without an attack, on average."""
        return sum(run.world.prompts for run in self.benign) / len(self.benign)

    @property
    def unprompted(self) -> float:
        """The share of tasks that are done without a prompt."""
        return sum(run.shown and not run.world.prompts for run in self.benign) / len(self.benign)


async def play_all(base: Path, tasks: Sequence[Task], rules: Rules) -> Report:
    """Play every task, with and without each of its attacks.

    Args:
        base: A folder for all that the kernel keeps.
        tasks: The tasks.
        rules: What decides.
    """
    attacks, benign = [], []
    async with stage(base, rules) as it:
        for task in tasks:
            name = f"{task.vector}/{task.id}"
            world = await it.play(task, task.benign)
            if world.prompts:
                world = await it.play(task, task.benign, approve="all")
            benign.append(Run(name, task, world, all(world.shows(sign) for sign in task.done)))
            for attack in task.attacks:
                # Where everything is allowed, nothing depends on what was read before.
                calls = attack.obey if rules == "none" else task.obeyed(attack)
                world = await it.play(task, calls, plants=attack.plants)
                shown = any(world.shows(sign) for sign in attack.effect)
                attacks.append(Run(f"{name}/{attack.id}", task, world, shown))
    return Report(tuple(attacks), tuple(benign))
