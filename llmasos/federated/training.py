"""A training from its run's folder, wherever its clients are: survey, forecast, rounds, and how it ended."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Protocol

import numpy as np
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from llmasos.federated.checkpoints import Checkpoint, newest
from llmasos.federated.data import Deal, agree
from llmasos.federated.data import prepare as prepared
from llmasos.federated.dataset import Examples
from llmasos.federated.drawing import Drawer
from llmasos.federated.ending import Ending
from llmasos.federated.events import ClientJoined, Forecast, RoundEnded, RunEvent, RunStarted
from llmasos.federated.folder import RunFolder
from llmasos.federated.local.central import LONG_SECONDS, SHORT_SECONDS, bounded, pooled, train_centrally
from llmasos.federated.local.workers import Workers
from llmasos.federated.messages import SURVEY
from llmasos.federated.plan import FIRST_NODE, Plan
from llmasos.federated.port import DataError, FederatedError, Prepared
from llmasos.federated.privacy import budget
from llmasos.federated.recipes import Score, Work
from llmasos.federated.recipes.registry import recipe, suited
from llmasos.federated.report import Comparison
from llmasos.federated.request import AUTO
from llmasos.federated.rounds import Rounds
from llmasos.federated.schema import Schema, Survey
from llmasos.federated.strategies import Guarded, State, choose, restore
from llmasos.federated.weights import Weights

_MEASURED_STEPS, _MEASURED_CLIENTS, _MEASURED_SECONDS = 4, 3, 60.0


class Stopped(BaseException):
    """Somebody asked the run to stop."""


class Cohort(Protocol):
    """The clients of one run, ready to be asked.

    Attributes:
        grid: Reaches them.
        names: What they are called, by their nodes, in order.
        deal: Their rows, where they are on this machine; None where each keeps its own.
        at_once: How many run side by side.
        start_seconds: What beginning takes, for forecasts.
        message_seconds: What a message takes beside the work itself, for forecasts.
    """

    @property
    def grid(self) -> Grid: ...
    @property
    def names(self) -> Mapping[int, str]: ...
    @property
    def deal(self) -> Deal | None: ...
    @property
    def at_once(self) -> int: ...
    @property
    def start_seconds(self) -> float: ...
    @property
    def message_seconds(self) -> float: ...

    def close(self) -> None:
        """End all that was started for them."""


class Open(Protocol):
    """Starts a plan's clients."""

    def __call__(self, plan: Plan, folder: RunFolder) -> Cohort:
        """Start them.

        Args:
            plan: The plan.
            folder: The run's folder.
        """


def prepare(folder: RunFolder, opened: Open) -> Prepared:
    """Look at the data, agree on a schema, keep it, and return what the run will take.

    Args:
        folder: The run's folder.
        opened: Starts the clients.

    Raises:
        DataError: The clients cannot train together.
        FederatedError: The plan's recipe cannot learn from the data.
    """
    with closing(opened(folder.plan, folder)) as cohort:
        training = _Training(folder.plan, folder, cohort)
        schema = training.agree()
        folder.schema = schema
        folder.forecast = training.forecast(schema)
        return Prepared(plan=training.plan, schema=schema, forecast=folder.forecast)


def train(folder: RunFolder, opened: Open, more: Callable[[], object], drawer: Drawer | None = None) -> None:
    """Train, from the newest checkpoint on where there is one.

    Args:
        folder: The run's folder.
        opened: Starts the clients.
        more: Called when there is more to read in it.
        drawer: Draws its curves.
    """

    ending = Ending(folder, more, drawer)
    try:
        _train(folder, opened, ending)
        ending.draw()
    except Stopped:
        ending.end("stopped", "you stopped it")
        ending.draw(hasty=True)
    finally:
        ending.close()


def _train(folder: RunFolder, opened: Open, ending: Ending) -> None:
    try:
        _rounds(folder, opened, ending)
    except FederatedError as error:
        ending.end("failed", f"{error.message} {error.hint}".strip())
    except Exception as error:
        traceback.print_exc()
        ending.end("failed", f"{type(error).__name__}: {error}; the folder's log.txt says where")


def _rounds(folder: RunFolder, opened: Open, ending: Ending) -> None:
    plan, checkpoint = folder.plan, newest(folder)
    done = checkpoint.round if checkpoint else 0
    with closing(opened(plan, folder)) as cohort:
        training = _Training(plan, folder, cohort)
        schema = training.agree()
        if folder.schema is not None and folder.schema != schema:
            raise DataError(
                "The data has changed since the training was planned.",
                hint="Plan it anew with: llmasos federated run",
            )
        folder.schema = schema
        forecast = folder.forecast or training.forecast(schema)
        ending.tell(RunStarted(run=folder.id, plan=training.plan, forecast=forecast, after=done))
        named = zip(cohort.names.values(), schema.rows, strict=True)
        ending.tell(*(ClientJoined(run=folder.id, client=name, samples=rows) for name, rows in named))
        training.train(schema, checkpoint, ending.tell)
        assert ending.ended is not None
        if cohort.deal is not None:
            ending.compared = training.compare(schema, ending.ended.rounds)


class _Training:
    def __init__(self, plan: Plan, folder: RunFolder, cohort: Cohort) -> None:
        self.plan = plan
        self._folder = folder
        self._cohort = cohort

    def agree(self) -> Schema:
        """Ask all clients what they have, choose the recipe that suits it, and return what they agree on.

        Raises:
            DataError: They cannot train together.
            FederatedError: The recipe cannot learn from the data.
        """
        content = RecordDict({"config": ConfigRecord()})
        messages = [Message(content, node, "query", group_id="survey") for node in self._cohort.names]
        replies = self._cohort.grid.send_and_receive(messages, timeout=self.plan.guard.join_seconds)
        surveys = [self._survey(reply) for reply in replies]
        schema = agree(surveys, standardise=self.plan.data.standardise)
        if self.plan.recipe == AUTO:
            self.plan = self.plan.model_copy(update={"recipe": suited(schema.kind)})
            self._folder.plan = self.plan
        self._recipe = recipe(self.plan.recipe, schema.kind)
        return schema

    def forecast(self, schema: Schema) -> Forecast:
        """Return what the run will take, by a few steps of one of the first clients that can train.

        Raises:
            FederatedError: None of them can.
        """
        plan, weights = self.plan, self._initial(schema)
        size = sum(array.nbytes for array in weights.values())
        mean = sum(schema.rows) / len(schema.rows) * (1 - plan.data.holdout)
        steps = max(1.0, mean / plan.training.batch) * plan.training.epochs
        step = self._step(weights, schema)
        a_round = plan.sampled * (steps * step + self._cohort.message_seconds) / self._cohort.at_once
        spent = budget(plan)
        return Forecast(
            seconds=self._cohort.start_seconds + plan.rounds * a_round,
            bytes_down=plan.rounds * (plan.sampled + self._evaluators) * size,
            bytes_up=plan.rounds * plan.sampled * size,
            parameters=sum(array.size for array in weights.values()),
            epsilon=spent.epsilon if spent else None,
        )

    def _step(self, weights: Weights, schema: Schema) -> float:
        """Return the seconds that a step takes."""
        training = self.plan.training

        def measured(place: int) -> float:
            some = self._some(place, schema, _MEASURED_STEPS * training.batch)
            work = Work(batch=training.batch, learning_rate=training.learning_rate)
            began = time.perf_counter()
            self._recipe.train(dict(weights), some, work, schema, self.plan.options)
            return (time.perf_counter() - began) / -(-len(some) // training.batch)

        seconds = min(self.plan.guard.reply_seconds, _MEASURED_SECONDS)
        failures = {}
        # In a worker: what a recipe does may fail in any way.
        with closing(Workers(measured, 1)) as workers:
            for place, name in enumerate(list(self._cohort.names.values())[:_MEASURED_CLIENTS]):
                ((_, answer),) = workers.run([place], seconds)
                if not answer.failure:
                    return float(answer.value)
                failures[name] = answer.failure
        told = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
        raise FederatedError(
            f"No client can train a few steps ({told}).", hint="Look at the recipe's options, or use another."
        )

    def train(self, schema: Schema, checkpoint: Checkpoint | None, tell: Callable[[RunEvent], None]) -> None:
        """Train from the beginning, or from a checkpoint on."""
        weights = self._initial(schema)
        names, told = self._cohort.names, dict(zip(self._cohort.names, schema.rows, strict=True))
        strategy = Guarded(choose(self.plan), self.plan, weights, names=names, samples=told)
        if checkpoint is not None:
            weights = checkpoint.weights
            restore(strategy, State(checkpoint.arrays, dict(checkpoint.facts)))
        evaluate = None if self._evaluators else self._evaluation(schema)
        rounds = Rounds(self.plan, schema, self._cohort.grid, strategy, self._folder, tell, evaluate)
        rounds.run(weights, checkpoint.round if checkpoint else 0)

    def compare(self, schema: Schema, rounds: int) -> Comparison:
        """Train the same recipe on all clients' rows at once, as far as that takes no longer than it did."""
        told = (event for event, _ in self._folder.told())
        took = sum(event.seconds for event in told if isinstance(event, RoundEnded))

        def made() -> Comparison:
            parts = (self._prepared(place, schema) for place in range(len(self._cohort.names)))
            return train_centrally(self._recipe, self.plan, schema, rounds, parts)

        return bounded(made, min(max(took, SHORT_SECONDS), LONG_SECONDS))

    @property
    def _evaluators(self) -> int:
        """How many clients evaluate each round: none when one data set was dealt, which is all here."""
        dealt = self._cohort.deal is not None and len(self.plan.data.sources) == 1
        return 0 if dealt else len(self._cohort.names)

    def _evaluation(self, schema: Schema) -> Callable[[Weights], Score]:
        """Return what evaluates on the rows that all clients hold out, at once."""
        held = pooled(self._prepared(place, schema)[1] for place in range(len(self._cohort.names)))
        return lambda weights: self._recipe.evaluate(weights, held, schema, self.plan.options)

    def _some(self, place: int, schema: Schema, rows: int) -> Examples:
        """Return a few of a client's rows, or made ones like them where they are not here."""
        if self._cohort.deal is not None:
            examples, _ = self._prepared(place, schema)
            return Examples(examples.inputs[:rows], examples.labels[:rows])
        draw = np.random.default_rng(self.plan.seed)
        inputs = (
            np.array(["a few words of a text of medium length"] * rows)
            if schema.kind == "texts"
            else draw.normal(size=(rows, *schema.shape)).astype(np.float32)
        )
        return Examples(inputs, draw.integers(0, max(1, len(schema.classes)), rows))

    def _initial(self, schema: Schema) -> Weights:
        return self._recipe.initial(schema, self.plan.options, self.plan.seed)

    def _prepared(self, place: int, schema: Schema) -> tuple[Examples, Examples]:
        assert self._cohort.deal is not None
        return prepared(
            self._cohort.deal.rows(place),
            schema,
            holdout=self.plan.data.holdout,
            seed=self.plan.seed,
            client=self._cohort.names[FIRST_NODE + place],
        )

    def _survey(self, reply: Message) -> Survey:
        name = self._cohort.names[reply.metadata.src_node_id]
        if reply.has_error():
            raise DataError(f"{name} cannot be asked for its data: {reply.error.reason}.")
        text = reply.content.config_records[SURVEY][SURVEY]
        assert isinstance(text, str)
        return Survey.model_validate_json(text)
