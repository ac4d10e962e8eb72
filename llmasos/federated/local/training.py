"""A local run from its folder: the data is dealt, surveyed, and trained on by forked workers."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from contextlib import closing

from flwr.app import ConfigRecord, Context, Message, RecordDict

from llmasos.federated.checkpoints import Checkpoint, newest
from llmasos.federated.client import client_app
from llmasos.federated.data import Deal, agree
from llmasos.federated.data import prepare as prepared
from llmasos.federated.dataset import Dataset, Examples
from llmasos.federated.ending import Ending
from llmasos.federated.events import ClientJoined, Forecast, RoundEnded, RunEvent, RunStarted
from llmasos.federated.folder import RunFolder
from llmasos.federated.local.central import LONG_SECONDS, SHORT_SECONDS, bounded, pooled, train_centrally
from llmasos.federated.local.grid import LocalGrid
from llmasos.federated.local.workers import Workers
from llmasos.federated.messages import SURVEY
from llmasos.federated.plan import Plan, names_of
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

_FIRST_NODE = 2
_MEASURED_STEPS, _MEASURED_CLIENTS, _MEASURED_SECONDS = 4, 3, 60.0
_MESSAGE_SECONDS = 0.002
_START_SECONDS = 2.0


class Stopped(BaseException):
    """Somebody asked the run to stop."""


def prepare(folder: RunFolder) -> Prepared:
    """Look at the data, agree on a schema, keep it, and return what the run will take.

    Raises:
        DataError: The clients cannot train together.
        FederatedError: The plan's recipe cannot learn from the data.
    """
    with closing(_Local(folder.plan, folder)) as local:
        schema = local.agree()
        folder.schema = schema
        folder.forecast = local.forecast(schema)
        return Prepared(plan=local.plan, schema=schema, forecast=folder.forecast)


def train(folder: RunFolder, more: Callable[[], object]) -> None:
    """Train, from the newest checkpoint on where there is one.

    Args:
        folder: The run's folder.
        more: Called when there is more to read in it.
    """

    ending = Ending(folder, more)
    try:
        _train(folder, ending)
        ending.draw()
    except Stopped:
        ending.end("stopped", "you stopped it")
        ending.draw(hasty=True)
    finally:
        ending.close()


def _train(folder: RunFolder, ending: Ending) -> None:
    try:
        _rounds(folder, ending)
    except FederatedError as error:
        ending.end("failed", str(error))
    except Exception as error:
        traceback.print_exc()
        ending.end("failed", f"{type(error).__name__}: {error}; the folder's log.txt says where")


def _rounds(folder: RunFolder, ending: Ending) -> None:
    plan, checkpoint = folder.plan, newest(folder)
    done = checkpoint.round if checkpoint else 0
    with closing(_Local(plan, folder)) as local:
        schema = local.agree()
        if folder.schema is not None and folder.schema != schema:
            raise DataError(
                "The data has changed since the training was planned.",
                hint="Plan it anew with: llmasos federated run",
            )
        folder.schema = schema
        forecast = folder.forecast or local.forecast(schema)
        ending.tell(RunStarted(run=folder.id, plan=local.plan, forecast=forecast, after=done))
        named = zip(local.names.values(), schema.rows, strict=True)
        ending.tell(*(ClientJoined(run=folder.id, client=name, samples=rows) for name, rows in named))
        local.train(schema, checkpoint, ending.tell)
        assert ending.ended is not None
        ending.compared = local.compare(schema, ending.ended.rounds)


class _Local:
    """The clients of one run, in this process and its workers.

    The data is in this process before the workers are made, so that they share it.
    """

    def __init__(self, plan: Plan, folder: RunFolder) -> None:
        self.plan = plan
        self._folder = folder
        self._deal = Deal(plan.data, plan.clients, plan.seed)
        self.names = {_FIRST_NODE + place: name for place, name in enumerate(names_of(plan))}
        self._workers = min(len(os.sched_getaffinity(0)), plan.sampled)
        self._grid = LocalGrid(
            lambda: client_app(self._rows),
            {node: {} for node in self.names},
            workers=self._workers,
            seconds=plan.guard.reply_seconds,
            seed=plan.seed,
        )

    def close(self) -> None:
        """End the workers."""
        self._grid.close()

    def agree(self) -> Schema:
        """Ask all clients what they have, choose the recipe that suits it, and return what they agree on.

        Raises:
            DataError: They cannot train together.
            FederatedError: The recipe cannot learn from the data.
        """
        content = RecordDict({"config": ConfigRecord()})
        messages = [Message(content, node, "query", group_id="survey") for node in self.names]
        replies = self._grid.send_and_receive(messages, timeout=self.plan.guard.join_seconds)
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
        a_round = plan.sampled * (steps * step + _MESSAGE_SECONDS) / self._workers
        spent = budget(plan)
        return Forecast(
            seconds=_START_SECONDS + plan.rounds * a_round,
            bytes_down=plan.rounds * (plan.sampled + self._evaluators) * size,
            bytes_up=plan.rounds * plan.sampled * size,
            parameters=sum(array.size for array in weights.values()),
            epsilon=spent.epsilon if spent else None,
        )

    def _step(self, weights: Weights, schema: Schema) -> float:
        """Return the seconds that a step takes."""
        training = self.plan.training

        def measured(node: int) -> float:
            examples, _ = self._prepared(node, schema)
            rows = min(len(examples), _MEASURED_STEPS * training.batch)
            some = Examples(examples.inputs[:rows], examples.labels[:rows])
            work = Work(batch=training.batch, learning_rate=training.learning_rate)
            began = time.perf_counter()
            self._recipe.train(dict(weights), some, work, schema, self.plan.options)
            return (time.perf_counter() - began) / -(-rows // training.batch)

        seconds = min(self.plan.guard.reply_seconds, _MEASURED_SECONDS)
        failures = {}
        # In a worker: what a recipe does may fail in any way.
        with closing(Workers(measured, 1)) as workers:
            for node in list(self.names)[:_MEASURED_CLIENTS]:
                ((_, answer),) = workers.run([node], seconds)
                if not answer.failure:
                    return float(answer.value)
                failures[self.names[node]] = answer.failure
        told = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
        raise FederatedError(
            f"No client can train a few steps ({told}).", hint="Look at the recipe's options, or use another."
        )

    def train(self, schema: Schema, checkpoint: Checkpoint | None, tell: Callable[[RunEvent], None]) -> None:
        """Train from the beginning, or from a checkpoint on."""
        weights = self._initial(schema)
        strategy = Guarded(choose(self.plan), self.plan, weights, names=self.names)
        if checkpoint is not None:
            weights = checkpoint.weights
            restore(strategy, State(checkpoint.arrays, dict(checkpoint.facts)))
        evaluate = None if self._evaluators else self._evaluation(schema)
        rounds = Rounds(self.plan, schema, self._grid, strategy, self._folder, tell, evaluate)
        rounds.run(weights, checkpoint.round if checkpoint else 0)

    def compare(self, schema: Schema, rounds: int) -> Comparison:
        """Train the same recipe on all clients' rows at once, as far as that takes no longer than it did."""
        told = (event for event, _ in self._folder.told())
        took = sum(event.seconds for event in told if isinstance(event, RoundEnded))

        def made() -> Comparison:
            parts = (self._prepared(node, schema) for node in self.names)
            return train_centrally(self._recipe, self.plan, schema, rounds, parts)

        return bounded(made, min(max(took, SHORT_SECONDS), LONG_SECONDS))

    @property
    def _evaluators(self) -> int:
        """How many clients evaluate each round: none when one data set was dealt, which is all here."""
        return len(self.names) if len(self.plan.data.sources) > 1 else 0

    def _evaluation(self, schema: Schema) -> Callable[[Weights], Score]:
        """Return what evaluates on the rows that all clients hold out, at once."""
        held = pooled(self._prepared(node, schema)[1] for node in self.names)
        return lambda weights: self._recipe.evaluate(weights, held, schema, self.plan.options)

    def _initial(self, schema: Schema) -> Weights:
        return self._recipe.initial(schema, self.plan.options, self.plan.seed)

    def _rows(self, context: Context) -> tuple[str, Dataset]:
        return self.names[context.node_id], self._deal.rows(context.node_id - _FIRST_NODE)

    def _prepared(self, node: int, schema: Schema) -> tuple[Examples, Examples]:
        return prepared(
            self._deal.rows(node - _FIRST_NODE),
            schema,
            holdout=self.plan.data.holdout,
            seed=self.plan.seed,
            client=self.names[node],
        )

    def _survey(self, reply: Message) -> Survey:
        name = self.names[reply.metadata.src_node_id]
        if reply.has_error():
            raise DataError(f"{name} cannot be asked for its data: {reply.error.reason}.")
        text = reply.content.config_records[SURVEY][SURVEY]
        assert isinstance(text, str)
        return Survey.model_validate_json(text)
