"""`llmasos keys`, from the command line down to the database."""

from __future__ import annotations

import json

import pytest

from tests.shell.conftest import Fakes, Run


def test_a_key_is_printed_once_listed_shown_and_revoked(run: Run, fakes: Fakes) -> None:
    made = run("keys", "create", "--name", "a \x1b[31mprogram", "--scope", "models", "--scope", "agent")
    assert made.code == 0 and made.out.startswith("sk-llmasos-") and made.out.count("\n") == 1
    assert "models, agent" in made.err and "only now" in made.err
    secret = made.out.strip()
    number = f"k-{secret.split('-')[2]}"
    shown = run("keys", "show", number).out
    assert (
        "valid" in shown
        and "models: all" in shown
        and "limits    none" in shown
        and "used      never" in shown
    )
    listed = run("keys", "list").out
    assert number in listed and "0 calls" in listed and "\x1b" not in listed + shown
    assert secret not in shown + listed + run("keys", "list", "--json").out
    assert run("keys", "revoke", number).out == f"The key {number} is not valid any more.\n"
    assert "revoked" in run("keys", "list").out
    changes = [entry.body for entry in fakes.ledger.entries if entry.kind == "key"]
    assert [body["change"] for body in changes[-2:]] == ["created", "revoked"]
    assert changes[-1]["asked_by"]["client"] == "shell"


def test_a_key_is_named_by_its_name_and_by_itself(run: Run) -> None:
    first = run("keys", "create", "--name", "twice").out.strip()
    number = f"k-{first.split('-')[2]}"
    assert f"key       {number}" in run("keys", "show", "twice").out
    assert f"key       {number}" in run("keys", "show", first).out
    second = run("keys", "create", "--name", "twice").out.strip()
    many = run("keys", "revoke", "twice")
    assert many.code == 1 and number in many.err and "2 keys with the name 'twice'" in many.err
    assert number in run("keys", "revoke", first).out
    assert second.split("-")[2] in run("keys", "revoke", "twice").out, "the one that is still valid"


def test_where_programs_reach_the_kernel_is_said_with_a_key(run: Run) -> None:
    assert "llmasos serve --port" in run("keys", "create", "--name", "x").err


def test_limits_are_kept_as_they_are_given(run: Run) -> None:
    limits = ["--requests-per-minute", "60", "--tokens-per-minute", "1000", "--tokens-per-day", "5000"]
    more = ["--models", "qwen*,other", "--models", "third", "--expires", "2", "--priority", "batch", "--json"]
    made = json.loads(run("keys", "create", "--name", "x", *limits, *more).out)
    key = made["key"]
    assert (key["requests_per_minute"], key["tokens_per_minute"], key["tokens_per_day"]) == (60, 1000, 5000)
    assert key["models"] == ["qwen*", "other", "third"] and key["priority"] == "batch" and key["expires"]
    shown = run("keys", "show", key["id"]).out
    assert "60 requests a minute, 1,000 tokens a minute, 5,000 tokens a day" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["create"], 2, "--name"),
        (["create", "--name", ""], 2, "--name"),
        (["create", "--name", "x", "--scope", "everything"], 2, "--scope"),
        (["create", "--name", "x", "--expires", "0"], 2, "--expires"),
        (["create", "--name", "x", "--budget", "nan"], 2, "--budget"),
        (["create", "--name", "x", "--priority", "urgent"], 2, "--priority"),
        (["create", "--name", "x", "--tokens-per-day", "0"], 2, "--tokens-per-day"),
        (["create", "--name", "x", "--budget", "1"], 1, "LLMASOS_MODELS__PRICES"),
        (["show", "k-nothere"], 1, "k-nothere"),
        (["revoke", "k/../%2e"], 1, "k/../%2e"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, arguments: list[str], code: int, said: str) -> None:
    done = run("keys", *arguments)
    assert done.code == code and said in done.err and done.out == "" and "Traceback" not in done.err
