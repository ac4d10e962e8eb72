"""Random operations on the scheduler, with what has to hold after each of them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from llmasos.models.scheduler.decide import advance
from llmasos.models.scheduler.events import Asked, Drained, Measured, Registered, Stalled
from llmasos.models.scheduler.state import State
from llmasos.models.scheduler.types import Card, Rules
from tests.models.scheduler.world import World, frozen

MODELS = st.sampled_from("abcd")
PICK = st.integers(0, 1000)


class Operations(RuleBasedStateMachine):
    """Everything that can happen, in any order."""

    @initialize(
        host=st.sampled_from([0, 60, 200]),
        slots=st.integers(1, 3),
        keep_alive=st.sampled_from([None, 40.0]),
        reserve=st.integers(0, 2),
    )
    def begin(self, host: int, slots: int, keep_alive: float | None, reserve: int) -> None:
        rules = Rules({"gpu": 100, "cpu": 60}, host, session_queue=4, queue=12, reserve=reserve, quantum=16)
        sizes = {"a": 50, "b": 40, "c": 70, "d": 30}
        self.world = World(
            rules,
            *(
                Card(name, "cpu" if name == "d" else "gpu", size, size // 2, 200, slots, 2.0, keep_alive)
                for name, size in sizes.items()
            ),
            watch=True,
        )

    @rule(
        model=MODELS,
        session=st.sampled_from("xyz"),
        band=st.sampled_from(["interactive", "normal", "batch"]),
        seconds=st.sampled_from([None, None, 5.0, 60.0]),
        tokens=st.integers(1, 199),
        preemptible=st.sampled_from([True, True, False]),
    )
    def submit(
        self, model: str, session: str, band: str, seconds: float | None, tokens: int, preemptible: bool
    ) -> None:
        self.world.submit(model, session, (tokens, 10), band=band, seconds=seconds, preemptible=preemptible)

    @precondition(lambda self: self.world.state.jobs)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        jobs = list(self.world.state.jobs)
        self.world.cancel(jobs[pick % len(jobs)])

    @precondition(lambda self: self.world.running)
    @rule(tokens=st.integers(0, 30))
    def write(self, tokens: int) -> None:
        self.world.write(tokens=tokens)

    @precondition(lambda self: self.world.running)
    @rule(pick=PICK)
    def end(self, pick: int) -> None:
        jobs = list(self.world.running)
        self.world.end(jobs[pick % len(jobs)])

    @precondition(lambda self: self.world.halting)
    @rule(pick=PICK, decline=st.sampled_from([False, False, True]))
    def halt(self, pick: int, decline: bool) -> None:
        jobs = list(self.world.halting)
        job = jobs[pick % len(jobs)]
        if decline and self.world.halting[job] == "preempt":
            self.world.decline(job)
        else:
            self.world.halt(job)

    @precondition(lambda self: self.world.state.jobs)
    @rule(pick=PICK, slow=st.booleans())
    def read(self, pick: int, slow: bool) -> None:
        jobs = list(self.world.state.jobs)
        job = jobs[pick % len(jobs)]
        self.world.send(Stalled(job) if slow else Drained(job))

    @precondition(lambda self: self.world.tasks)
    @rule(
        pick=PICK,
        fails=st.sampled_from(["", "", "", "", "", "memory", "other"]),
        size=st.sampled_from([None, None, None, 45, 120]),
    )
    def answer(self, pick: int, fails: str, size: int | None) -> None:
        self.world.answer(fails, size, pick % len(self.world.tasks))

    @rule()
    def catch_up(self) -> None:
        for job in list(self.world.halting):
            self.world.halt(job)
        for _ in range(len(self.world.tasks)):
            self.world.answer()

    @rule(model=MODELS, session=st.sampled_from("xyz"), jobs=st.integers(2, 4))
    def burst(self, model: str, session: str, jobs: int) -> None:
        for _ in range(jobs):
            self.world.submit(model, session, (20, 100))

    @rule(model=MODELS, change=st.sampled_from(["die", 20, 60, 130, "load", "unload", "pin", "unpin"]))
    def disturb(self, model: str, change: str | int) -> None:
        if isinstance(change, int):
            self.world.send(Measured(model, change))
        elif change != "die":
            self.world.send(Asked(model, change))  # type: ignore[arg-type]
        elif self.world.state.models[model].phase in ("resident", "parked"):
            self.world.die(model)

    @rule(model=MODELS, size=st.sampled_from([None, None, 20, 60, 130]), pinned=st.booleans())
    def register(self, model: str, size: int | None, pinned: bool) -> None:
        card = self.world.state.models[model].registered
        self.world.send(Registered(replace(card, bytes=size or card.bytes, pinned=pinned)))

    @rule(seconds=st.sampled_from([0.1, 1.0, 7.0, 20.0, 70.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    def teardown(self) -> None:
        """Everybody is served in the end, and the same events lead to the same effects."""
        if not hasattr(self, "world"):
            return
        world = self.world
        for job, state in list(world.state.jobs.items()):
            if state.stalled:
                world.send(Drained(job))
        world.calm()
        assert all(session.jobs == 0 for session in world.state.sessions.values())
        replayed = State.of(world.state.rules)
        for event, now, effects in world.log:
            used_up = replayed
            replayed, again = advance(replayed, event, now)
            assert again == effects
            assert replayed is used_up
        assert frozen(replayed) == frozen(world.state)


Operations.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
test_operations = Operations.TestCase
