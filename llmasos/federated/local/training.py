"""A local run from its folder: the data is dealt, surveyed, and trained on by forked workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from llmasos.federated.checkpoints import Checkpoint, newest
from llmasos.federated.client import client_app
from llmasos.federated.data.deal import Dealt, deal
from llmasos.federated.data.survey import agree
from llmasos.federated.data.survey import prepare as prepared
from llmasos.federated.dataset import Dataset, Examples
from llmasos.federated.events import ClientJoined, Forecast, RunEnded, RunEvent, RunStarted
from llmasos.federated.folder import RunFolder
from llmasos.federated.local.grid import LocalGrid
from llmasos.federated.messages import SURVEY
from llmasos.federated.plan import Plan
from llmasos.federated.port import DataError, FederatedError
from llmasos.federated.privacy import epsilon_of, mods_of
from llmasos.federated.recipes import Score, Work
from llmasos.federated.recipes.registry import recipe
from llmasos.federated.rounds import Rounds
from llmasos.federated.schema import Schema, Survey
from llmasos.federated.strategies.guard import Guarded
from llmasos.federated.weights import Weights, save_weights

_FIRST_NODE = 2
_MEASURED_STEPS = 4
_MESSAGE_SECONDS = 0.002
_START_SECONDS = 2.0


class Stopped(BaseException):
    """Somebody asked the run to stop."""


def prepare(folder: RunFolder) -> Forecast:
    """Look at the data, agree on a schema, keep it, and return what the run will take.

    Raises:
        DataError: The clients cannot train together.
        FederatedError: The plan's recipe cannot learn from the data.
    """
    plan = folder.plan
    with closing(_Local(plan, folder)) as local:
        schema = local.agree()
        folder.schema = schema
        return local.forecast(schema)


def train(folder: RunFolder, more: Callable[[], object]) -> None:
    """Train, from the newest checkpoint on where there is one.

    Args:
        folder: The run's folder.
        more: Called when there is more to read in it.
    """

    def tell(event: RunEvent) -> None:
        folder.tell(event)
        more()

    plan, checkpoint = folder.plan, newest(folder)
    done = checkpoint.round if checkpoint else 0
    try:
        with closing(_Local(plan, folder)) as local:
            schema = local.agree()
            if folder.schema is not None and folder.schema != schema:
                raise DataError(
                    "The data has changed since the training was planned.",
                    hint="Plan it anew with: llmasos federated run",
                )
            folder.schema = schema
            tell(RunStarted(run=folder.id, plan=plan, forecast=local.forecast(schema), after=done))
            for name, rows in zip(local.names.values(), schema.rows, strict=True):
                tell(ClientJoined(run=folder.id, client=name, samples=rows))
            local.train(schema, checkpoint, tell)
    except Stopped:
        tell(RunEnded(run=folder.id, state="stopped", rounds=_rounds(folder), reason="you stopped it"))
    except FederatedError as error:
        tell(RunEnded(run=folder.id, state="failed", rounds=_rounds(folder), reason=str(error)))
    except Exception as error:
        tell(
            RunEnded(
                run=folder.id,
                state="failed",
                rounds=_rounds(folder),
                reason=f"{type(error).__name__}: {error}; the folder's log.txt says where",
            )
        )
        raise


class _Local:
    """The clients of one run, in this process and its workers.

    The data is in this process before the workers are made, so that they share it.
    """

    def __init__(self, plan: Plan, folder: RunFolder) -> None:
        self._plan = plan
        self._folder = folder
        self._recipe = recipe(plan.recipe)
        self._dealt: Dealt = deal(plan)
        self.names = {_FIRST_NODE + place: name for place, name in enumerate(self._dealt.clients)}
        self._workers = min(len(os.sched_getaffinity(0)), plan.sampled)
        self.grid = LocalGrid(
            self._app,
            {node: {} for node in self.names},
            workers=self._workers,
            seconds=plan.guard.reply_seconds,
            seed=plan.seed,
        )

    def close(self) -> None:
        """End the workers."""
        self.grid.close()

    def agree(self) -> Schema:
        """Ask all clients what they have, and return what they agree on.

        Raises:
            DataError: They cannot train together.
        """
        content = RecordDict({"config": ConfigRecord()})
        messages = [Message(content, node, "query", group_id="survey") for node in self.names]
        schema = agree([self._survey(reply) for reply in self.grid.send_and_receive(messages)])
        if schema.kind not in self._recipe.kinds:
            raise DataError(
                f"{self._recipe.title} learns from {' or '.join(sorted(self._recipe.kinds))}, and these are "
                f"{schema.kind}.",
                hint="Choose another recipe; `llmasos federated recipes` lists them.",
            )
        return schema

    def forecast(self, schema: Schema) -> Forecast:
        """Return what the run will take, by a few steps of the first client."""
        plan, weights = self._plan, self._initial(schema)
        size = sum(array.nbytes for array in weights.values())
        rows = min(schema.rows[0], _MEASURED_STEPS * plan.training.batch)
        examples = self._examples(self._dealt.clients[next(iter(self._dealt.clients))], schema)
        some = Examples(examples.inputs[:rows], examples.labels[:rows])
        work = Work(batch=plan.training.batch, learning_rate=plan.training.learning_rate)
        began = time.perf_counter()
        self._recipe.train(weights, some, work, schema, plan.options)
        step = (time.perf_counter() - began) / max(1, -(-len(some) // plan.training.batch))
        mean = sum(schema.rows) / len(schema.rows) * (1 - plan.data.holdout)
        steps = max(1.0, mean / plan.training.batch) * plan.training.epochs
        a_round = plan.sampled * (steps * step + _MESSAGE_SECONDS) / self._workers
        evaluated = 0 if self._dealt.held is not None else 1
        return Forecast(
            seconds=_START_SECONDS + plan.rounds * a_round,
            bytes_down=plan.rounds * plan.sampled * size * (1 + evaluated),
            bytes_up=plan.rounds * plan.sampled * size,
            parameters=sum(array.size for array in weights.values()),
            epsilon=epsilon_of(plan, plan.rounds),
        )

    def train(self, schema: Schema, checkpoint: Checkpoint | None, tell: Callable[[RunEvent], None]) -> None:
        """Train from the beginning, or from a checkpoint on."""
        weights = self._initial(schema)
        aggregator = Guarded(self._plan, weights)
        if checkpoint is not None:
            weights = checkpoint.weights
            aggregator.restore(checkpoint.arrays, checkpoint.facts)
        evaluate = None
        if self._dealt.held is not None:
            held = self._examples(self._dealt.held, schema)

            def evaluate(weights: Weights) -> Score:
                return self._recipe.evaluate(weights, held, schema, self._plan.options)

        rounds = Rounds(self._plan, schema, self.grid, aggregator, self.names, self._folder, tell, evaluate)
        trained = rounds.run(weights, checkpoint.round if checkpoint else 0)
        self._folder.results.mkdir(exist_ok=True)
        save_weights(self._folder.results / "model.safetensors", trained)

    def _initial(self, schema: Schema) -> Weights:
        return self._recipe.initial(schema, self._plan.options, self._plan.seed)

    def _examples(self, dataset: Dataset, schema: Schema) -> Examples:
        return prepared(dataset, schema, holdout=0.0, seed=self._plan.seed, client="")[0]

    def _app(self) -> ClientApp:
        def rows(context: Context) -> tuple[str, Dataset]:
            name = self.names[context.node_id]
            return name, self._dealt.clients[name]

        return client_app(rows, mods_of(self._plan))

    def _survey(self, reply: Message) -> Survey:
        name = self.names[reply.metadata.src_node_id]
        if reply.has_error():
            raise DataError(f"{name} cannot be asked for its data: {reply.error.reason}.")
        text = reply.content.config_records[SURVEY][SURVEY]
        assert isinstance(text, str)
        return Survey.model_validate_json(text)


def _rounds(folder: RunFolder) -> int:
    checkpoint = newest(folder)
    return checkpoint.round if checkpoint else 0
