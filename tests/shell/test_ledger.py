"""`llmasos ledger`, from the command line down to a ledger in memory."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from llmasos.api import LedgerInfo, RecordQuery, VerifyProgress, VerifyReport
from llmasos.errors import LLMasOSError
from llmasos.ledger import Entry, Filter, MemoryLedger, Verdict
from llmasos.shell import proofs
from llmasos.shell.records import report_lines, status_lines
from llmasos.shell.times import parse_time
from tests.shell.conftest import TARGET, Fakes, Run


def action_of(fakes: Fakes) -> str:
    return next(entry.action for entry in fakes.ledger.entries if entry.kind == "intent")


def test_the_log_lists_filters_and_prints_json(run: Run, fakes: Fakes) -> None:
    lines = run("ledger", "log").out.splitlines()
    assert len(lines) == len(fakes.ledger.entries) and len({line[:9] for line in lines}) == len(lines)
    assert "read_file" in next(line for line in lines if "outcome" in line)
    one = json.loads(run("ledger", "log", "--kind", "outcome", "--since", "2h", "--json").out)
    assert (one["kind"], one["tool"], one["body"]["status"]) == ("outcome", "read_file", "ok")
    assert one["body"]["asked_by"]["client"] == "python"
    assert run("ledger", "log", "--limit", "2").out.splitlines() == lines[-2:]
    empty = run("ledger", "log", "--until", "yesterday")
    assert (empty.code, empty.out) == (0, "") and "Nothing is recorded" in empty.err


def test_the_log_says_how_many_calls_were_refused(run: Run, fakes: Fakes) -> None:
    body = {"status": "refused", "error": "quota", "calls": 7}
    anyio.run(fakes.ledger.record, Entry(session="api:k-1", kind="model", body=body))
    assert "7 refused: quota" in run("ledger", "log", "--session", "api:k-1").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["log", "--kind", "wish"], "The kinds are: intent"),
        (["log", "--session", "s-nothere"], "session 's-nothere'"),
        (["log", "--action", "a/%2F?"], "action 'a/%2F?'"),
        (["log", "--since", "soon"], "names no time"),
        (["log", "-f", "--kind", "wish"], "There is no kind"),
        (["show", "a-nothere"], "a-nothere"),
        (["show", "a/../b?c#d"], "a/../b?c#d"),
        (["show", "0"], "There is no record 0"),
        (["show", "9" * 30], "There is no record 999"),
        (["prove", "999999"], "There is no record"),
        (["prove", "a-nothere"], "Nothing is recorded of an action"),
        (["prove", "1", "-o", "nowhere/x.json"], "There is no folder nowhere"),
        (["prove", "1", "--up-to-anchor"], "vouches for record 1"),
        (["check", "nothere.json"], "There is no file"),
        (["export", "--tool", "hammer", "-o", "-"], "tool 'hammer'"),
        (["anchor", "file:/else"], "file:/else"),
        (["erase", "a-nothere", "--reason", "x", "--yes"], "a-nothere"),
        (["rotate-key"], "consent"),
        (["rotate-key", "--key-file", "nothere"], "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_next_step(run: Run, arguments: list[str], said: str) -> None:
    done = run("ledger", *arguments)
    assert done.code == 1 and said in done.err and done.out == ""
    assert done.err.count("\n") >= 2, "the next step is missing"
    assert "Traceback" not in done.err


def test_what_is_missing_on_the_command_line_is_a_usage_error(run: Run) -> None:
    assert run("ledger", "erase").code == 2
    assert run("ledger", "erase", "--session", "s").code == 2
    assert run("ledger", "export", "--json", "--html").code == 2


def test_a_record_and_an_action_are_shown_with_all_that_is_known(run: Run, fakes: Fakes) -> None:
    action = action_of(fakes)
    shown = run("ledger", "show", action).out
    assert "intent of read_file" in shown and "outcome of read_file" in shown and "#intent" not in shown
    for name in ("arguments_sha256", "result_sha256", "weights_sha256", "transaction", "asked_by"):
        assert name in shown
    assert shown.endswith(f"llmasos ledger prove {action}\n")
    first = run("ledger", "show", "1").out
    assert first.startswith("#1 ") and first.endswith("llmasos ledger prove 1\n")


def test_a_proof_is_written_once_and_checked(run: Run, fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[tuple[str, ...]] = []

    def check(file: Path, *options: str) -> int:
        checked.append((str(file), *options))
        return 3

    monkeypatch.setattr(proofs, "_check", check)
    action = action_of(fakes)
    done = run("ledger", "prove", action)
    file = Path(f"{action}.proof.json")
    assert done.code == 0 and checked == [(str(file),)] and "--block-hash" in done.out
    assert [proof["record"]["kind"] for proof in json.loads(file.read_text())["proofs"]] == [
        "intent",
        "outcome",
    ]
    again = run("ledger", "prove", action)
    assert again.code == 1 and "exists" in again.err and "--force" in again.err
    assert run("ledger", "prove", action, "--force").code == 0
    assert json.loads(run("ledger", "prove", "1", "-o", "-").out)["proofs"][0]["record"]["number"] == 1
    options = ("--block-hash", "0x1", "--account", "0x2", "--json")
    assert run("ledger", "check", str(file), *options).code == 3
    assert checked[-1] == (str(file), *options)


def test_exports_are_written_whole(run: Run, fakes: Fakes) -> None:
    assert run("ledger", "export", "--json", "--kind", "intent").code == 0
    (line,) = Path("ledger.jsonl").read_text().splitlines()
    assert json.loads(line)["kind"] == "intent"
    assert run("ledger", "export").code == 0
    assert Path("ledger.html").read_text().startswith("<!doctype html>")
    assert sorted(path.name for path in Path().iterdir()) == ["ledger.html", "ledger.jsonl"]
    assert run("ledger", "export").code == 1
    assert run("ledger", "export", "-o", "-", "--json").out.count("\n") == len(fakes.ledger.entries)


def test_anchors_are_told_and_stand_in_the_status(run: Run) -> None:
    assert f"{TARGET}: nothing yet" in run("ledger", "status").out
    assert TARGET in run("ledger", "anchor").out
    assert "of" in run("ledger", "status").out
    info = json.loads(run("ledger", "status", "--json").out)
    assert info["anchors"][0]["last"] == info["records"]
    assert run("ledger", "prove", "1", "--up-to-anchor", "-o", "-").code == 0
    said = run("ledger", "verify")
    assert said.code == 0 and "Anchored: records 1 to" in said.out and "Not anchored" not in said.out


def test_erasing_asks_counts_and_leaves_the_reason(run: Run, fakes: Fakes) -> None:
    with fakes.client() as client:
        session = client.session(fakes.folder)
    asked = run("ledger", "erase", "--session", session.id, "--reason", "x")
    assert asked.code == 1 and "consent" in asked.err
    done = run("ledger", "erase", "--session", session.id, "--reason", "ada asked for it", "--yes")
    assert done.code == 0 and "Erased the bodies of 1 record." in done.out
    number = str(
        next(entry for entry in enumerate(fakes.ledger.entries, 1) if entry[1].session == session.id)[0]
    )
    shown = run("ledger", "show", number).out
    assert "because: ada asked for it" in shown and "(shell)" in shown
    assert "(erased)" in run("ledger", "log", "--session", session.id).out
    assert "nothing to erase" in run("ledger", "erase", "--session", session.id, "--reason", "x", "--yes").out
    verified = run("ledger", "verify")
    assert verified.code == 0 and "The bodies of 1 record were erased" in verified.out


def test_a_key_is_handed_over_and_never_shown(run: Run, fakes: Fakes, tmp_path: Path) -> None:
    before = fakes.ledger.account
    key = "ab" * 32
    Path("key").write_text(f"0x{key}\n")
    done = run("ledger", "rotate-key", "--key-file", "key", "--yes")
    assert done.code == 0 and fakes.ledger.account in done.out and fakes.ledger.account != before
    assert "key is not needed" in done.out and key not in done.out + done.err
    Path("key").write_text(f"{key[:-1]}x\n")
    wrong = run("ledger", "rotate-key", "--key-file", "key", "--yes")
    assert wrong.code == 1 and "64 hexadecimal digits" in wrong.err and key[:20] not in wrong.err


@pytest.mark.parametrize(("finding", "code"), [("ok", 0), ("bad", 1), ("pending", 3), ("unreachable", 4)])
def test_each_verdict_has_its_exit_code(
    run: Run, fakes: Fakes, monkeypatch: pytest.MonkeyPatch, finding: str, code: int
) -> None:
    real = fakes.ledger.verify

    async def verify(progress: object = None) -> Verdict:
        problems = ("Record 3 was altered.", "Record 5 is missing.") if finding == "bad" else ()
        message = problems[0] if problems else "That is how it stands."
        return replace(await real(), finding=finding, problems=problems, message=message)  # type: ignore[arg-type]

    monkeypatch.setattr(fakes.ledger, "verify", verify)
    done = run("ledger", "verify")
    assert done.code == code
    assert ("Record 3 was altered.\n  Record 5 is missing.\n" in done.out) == (finding == "bad")
    report = VerifyReport.model_validate_json(run("ledger", "verify", "--json").out)
    assert report.finding == finding


def test_a_verification_that_fails_is_not_a_verdict(
    run: Run, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def verify(progress: object = None) -> Verdict:
        raise LLMasOSError("The disk is gone.", hint="Look for it.")

    monkeypatch.setattr(fakes.ledger, "verify", verify)
    done = run("ledger", "verify")
    assert done.code == 4 and "The disk is gone." in done.err and done.out == ""


def test_progress_is_streamed_and_events_that_differ_are_found(fakes: Fakes) -> None:
    steps: list[VerifyProgress] = []
    with fakes.client() as client:
        assert client.verify(steps.append).ok
    assert {step.step for step in steps} == {"records", "sessions"}
    assert steps[-1].done == steps[-1].total > 0


def test_a_terminal_sees_how_far_it_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    done = run("ledger", "verify")
    assert done.code == 0 and "records" in done.err and "sessions" in done.err


def test_following_shows_what_is_there_and_what_comes(fakes: Fakes) -> None:
    with fakes.client() as client:
        there = len(client.records(limit=1000))
        with client.follow_records(RecordQuery(limit=2, kinds=("session",))) as records:
            first = next(records)
            assert first.kind == "session" and first.number <= there
            session = client.session(fakes.folder)
            assert any(record.session == session.id for record in records), "the stream has no end"


def test_times_are_read_as_people_write_them() -> None:
    now = datetime(2026, 11, 24, 18, 30, tzinfo=UTC)
    assert parse_time("2h", now) == now - timedelta(hours=2)
    assert parse_time(" 3D ", now) == now - timedelta(days=3)
    assert parse_time("") is None
    today = parse_time("today", now)
    yesterday = parse_time("yesterday", now)
    assert today and yesterday and (today.hour, today.minute) == (0, 0)
    assert timedelta(hours=23) <= today - yesterday <= timedelta(hours=25)
    assert parse_time("2026-11-24T18:00Z") == datetime(2026, 11, 24, 18, tzinfo=UTC)
    for wrong in ("soon", "2 years", "999999w", "2026-13-01", "h"):
        with pytest.raises(LLMasOSError, match="names no time"):
            parse_time(wrong, now)


def test_a_status_tells_all_that_is_wrong() -> None:
    info = LedgerInfo(
        backend="rpc",
        records=10,
        confirmed=5,
        pending=4,
        failed=1,
        spent=3 * 10**15,
        backlog=100,
        anchor_error="The place is away.",
        error="No funds.\x1b[2J",
        hint="Send some.",
    )
    text = "\n".join(status_lines(info))
    for said in (
        "not reached",
        "1 refused",
        "0.003000000 coins",
        "4 of 100",
        "The place is away.",
        "Send some.",
    ):
        assert said in text
    assert "\x1b" not in text


def test_a_report_tells_ranges_apart() -> None:
    report = VerifyReport(ok=True, message="All is well.", checked=9, unanchored=4, anchored=())
    assert "Not anchored: records 4 to 9." in "\n".join(report_lines(report))


@pytest.mark.anyio
async def test_numbers_of_the_first_record_are_found() -> None:
    ledger = MemoryLedger()
    await ledger.record(Entry(session="a", kind="intent"))
    await ledger.record(Entry(session="a", kind="outcome"))
    assert [record.number for record in await ledger.records(Filter(after=-1), 1)] == [1]
