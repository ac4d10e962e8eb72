"""Trainings in words: who is named, and that foreign names are shown and not obeyed."""

from llmasos.federated.events import Refused, RoundEnded
from llmasos.federated.plan import Plan
from llmasos.federated.port import RunStatus
from llmasos.federated.wording import duration, end_text, round_line

PLAN = Plan.model_validate(
    {"name": "n", "recipe": "mlp", "clients": 3, "rounds": 4, "data": {"sources": ["a", "b", "c"]}}
)


def test_a_round_names_who_is_not_in_it_and_why() -> None:
    event = RoundEnded(
        run="f-1",
        round=2,
        participants=(),
        accuracy=0.5,
        failed=(Refused(client="b", reason="it died"),),
        rejected=(Refused(client="c\x1b[2J", reason="not finite"),),
        weights_sha256="",
    )
    line = round_line(PLAN, event)
    assert line.startswith(
        "Round 2 of 4: accuracy 0.5000, 0 of 2 clients, no answer from b (it died), rejected"
    )
    assert "\x1b" not in line and "(not finite)" in line


def test_the_end_is_said_with_its_reason_and_the_rejected() -> None:
    status = RunStatus(id="f-1", plan=PLAN, state="failed", round=1, reason="too few clients")
    assert end_text(status, ["c", "c"]) == (
        "1 of 4 rounds; it failed (too few clients). Rejected updates: c."
    )
    good = RunStatus(id="f-1", plan=PLAN, state="target", round=3, accuracy=0.97)
    assert end_text(good) == "3 of 4 rounds, accuracy 0.9700; the target is reached."


def test_figures_have_units() -> None:
    assert (duration(42.4), duration(90), duration(7200)) == ("42 s", "1.5 min", "2.0 h")
