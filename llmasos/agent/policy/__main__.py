"""The commands `show`, `check`, `test`, `explain` and `suggest`, which need no kernel."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from llmasos.agent.policy.book import Policy
from llmasos.agent.policy.layers import load_policy, sources
from llmasos.agent.policy.proposals import (
    Proposal,
    ProposalError,
    Proposals,
    check,
    read_expectations,
    read_proposal,
)
from llmasos.agent.policy.suggest import Past, collect, suggest
from llmasos.config import Settings, load_settings
from llmasos.decisions import Decision
from llmasos.display import display, display_json
from llmasos.errors import ConfigError, LLMasOSError
from llmasos.flips import otherwise
from llmasos.language import translated, translated_error
from llmasos.streams import exit_code

_LONGEST_EXAMPLE = 300
_THEN = {"allow": "that were allowed", "ask": "that were asked about", "deny": "that were denied"}


def show(policy: Policy, folder: Path, administrator: Path, *, as_json: bool) -> int:
    """Print the files, the version and the rules in force, the decisive first.

    Args:
        policy: The rules.
        folder: The folder whose rules count.
        administrator: The administrator's file.
        as_json: Print the policy as JSON.
    """
    if as_json:
        print(json.dumps({"version": policy.version, **policy.model_dump(mode="json", exclude_none=True)}))
        return 0
    print(f"version {policy.version}")
    print("layer built-in")
    for source in sources(folder, administrator=administrator):
        print(f"layer {source.layer}  {display(str(source.path))}{'' if source.present else ' (not there)'}")
    for rule in policy.rules:
        print(f"\n{rule.decision:<5} {rule.id}  [{rule.layer}, priority {rule.priority}]")
        print(f"      {display(rule.reason)}")
        for name, value in rule.when.model_dump(mode="json", exclude_none=True).items():
            print(f"      {name} = {display(json.dumps(value, ensure_ascii=False))}")
    return 0


def check_files(policy: Policy) -> int:
    """Print that the files of rules have no mistake; 1 when one has, which has been told.

    Args:
        policy: The rules.
    """
    if policy.notices:
        return 1
    print(translated(f"{len(policy.rules)} rules, version {policy.version}."))
    return 0


def check_lines(proposals: Proposals, lines: Iterable[bytes], write: Callable[[str], object]) -> int:
    """Answer each line with a proposal by a line with the decision; 2 when one of them cannot be read.

    Args:
        proposals: Decides.
        lines: The lines.
        write: Writes an answer.
    """
    status = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        answer: dict[str, Any] = {"line": number}
        try:
            proposal = read_proposal(line)
            if proposal.id is not None:
                answer["id"] = proposal.id
            answer |= proposals.decide(proposal).model_dump(mode="json")
        except ProposalError as error:
            status = 2
            answer["error"] = error.message
        write(json.dumps(answer))
    return status


def test(proposals: Proposals, file: Path) -> int:
    """Print which expectations are not met; 1 when there are some.

    Args:
        proposals: Decides.
        file: Where the expectations are.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ProposalError(f"{file} cannot be read: {why}.") from None
    outcomes = list(check(read_expectations(text, str(file)), proposals))
    for outcome in outcomes:
        if not outcome.met:
            wanted = f"{outcome.expectation.expect} {outcome.expectation.rule}".strip()
            got = f"{outcome.decision.verdict} {outcome.decision.rule}"
            print(
                display(f"{file}, {outcome.number}: {outcome.expectation.tool}: wanted {wanted}, got {got}")
            )
    missed = sum(not outcome.met for outcome in outcomes)
    print(translated(f"{len(outcomes) - missed} of {len(outcomes)} as expected."))
    return int(missed > 0 or not outcomes)


def explain(proposals: Proposals, proposal: Proposal, *, as_json: bool) -> int:
    """Print what is decided of one proposal, and why.

    Args:
        proposals: Decides.
        proposal: The proposal.
        as_json: Print the decision as JSON.
    """
    decision = proposals.decide(proposal)
    if as_json:
        print(display_json(decision.model_dump_json()))
        return 0
    for line in lines_of(decision):
        print(display(line))
    return 0


def lines_of(decision: Decision) -> list[str]:
    """Return a decision as lines for people."""
    facts = (f"  {name} = {json.dumps(value, ensure_ascii=False)}" for name, value in decision.facts.items())
    return [
        f"{decision.verdict}: {translated(decision.reason)}",
        f"rules: {', '.join(decision.rules)} (policy {decision.policy})",
        translated("facts:"),
        *facts,
        translated("it would be:"),
        *(f"  {otherwise(flip.facts, flip.verdict, translated)}" for flip in decision.flips),
    ]


def main(arguments: list[str] | None = None, stdin: BinaryIO | None = None) -> int:
    """Run a command; 1 when it failed or found something, 2 for what cannot be read."""
    asked = _parser().parse_args(arguments)
    try:
        settings = load_settings()
        administrator, folder = settings.policy.administrator, _folder(asked.folder)
        policy = load_policy(folder, administrator=administrator)
        _tell(policy.notices)
        if asked.command == "show":
            return show(policy, folder, administrator, as_json=asked.json)
        if asked.command == "check" and not asked.jsonl:
            return check_files(policy)
        if asked.command == "suggest":
            return suggest_rules(policy, past_of(settings), as_json=asked.json)
        proposals = Proposals(policy, _defaults(settings, folder))
        if asked.command == "check":
            return check_lines(proposals, stdin or sys.stdin.buffer, lambda line: print(line, flush=True))
        if asked.command == "test":
            return test(proposals, asked.file)
        line = (stdin or sys.stdin.buffer).read() if asked.call == "-" else asked.call
        return explain(proposals, _proposal(line), as_json=asked.json)
    except ProposalError as error:
        print(display(translated(error.message)), file=sys.stderr)
        return 2
    except LLMasOSError as error:
        print(display(translated_error(error.message, error.hint), keep_newlines=True), file=sys.stderr)
        return 1


def suggest_rules(policy: Policy, past: Past, *, as_json: bool) -> int:
    """Print rules that allow what was approved before, with what they would have matched.

    Args:
        policy: The rules.
        past: What the log says.
        as_json: Print one object of JSON a line.
    """
    if past.lost:
        _tell([f"{past.lost} stored events cannot be read any more, and do not count."])
    found = suggest(past.approved, past.log, policy)
    for suggestion in found:
        if as_json:
            print(display_json(suggestion.model_dump_json(exclude_none=True)))
            continue
        then = ", ".join(f"{count} {_THEN[verdict]}" for verdict, count in suggestion.matched.items())
        print(f"# Approved {suggestion.approvals} times; of {len(past.log)} calls so far it matches {then}.")
        print(display(suggestion.toml, keep_newlines=True))
    if not found and not as_json:
        print(translated("Nothing was approved often enough to make a rule of it."))
    return 0


def past_of(settings: Settings) -> Past:
    """Return what the stored events of all sessions say.

    Args:
        settings: Say where they are stored.

    Raises:
        ConfigError: The database cannot be read.
    """
    from sqlalchemy import inspect, select
    from sqlalchemy.exc import SQLAlchemyError

    from llmasos.agent._tables import EventRow
    from llmasos.events import EVENT
    from llmasos.store import Store

    store = Store(settings.database)
    try:
        if (store.sqlite and not _is_there(store.engine.url.database)) or not inspect(store.engine).has_table(
            "events"
        ):
            return Past()
        query = select(EventRow.body).where(EventRow.type.in_(("call_decided", "approval_resolved")))
        query = query.order_by(EventRow.session, EventRow.seq)
        bodies = store.run_sync(lambda transaction: list(transaction.scalars(query)))
    except SQLAlchemyError as error:
        why, where = getattr(error, "orig", error), store.engine.url.render_as_string()
        raise ConfigError(
            f"The database {where} cannot be read: {why}.",
            hint="Put back a copy of it, or check LLMASOS_DATABASE_URL.",
        ) from error
    finally:
        store.close()
    events, lost = [], 0
    for body in bodies:
        try:
            events.append(EVENT.validate_json(body))
        except ValueError:
            lost += 1
    return replace(collect(events), lost=lost)


def _proposal(line: bytes | str) -> Proposal:
    try:
        return read_proposal(line)
    except ProposalError as error:
        text = line.decode(errors="replace") if isinstance(line, bytes) else line
        if not text.strip() or text.lstrip().startswith("{") or len(text) > _LONGEST_EXAMPLE:
            raise
        example = shlex.quote(json.dumps({"command": text.strip()}, ensure_ascii=False))
        raise ProposalError(f"A call is an object of JSON; for a command write {example}.") from error


def _folder(path: Path) -> Path:
    try:
        folder = path.absolute()
        if folder.is_dir():
            return folder
    except OSError:
        pass
    raise ProposalError(f"{path} is no folder.")


def _is_there(database: str | None) -> bool:
    return database is not None and Path(database).exists()


def _defaults(settings: Settings, folder: Path) -> dict[str, Any]:
    return {"access": settings.policy.access, "asking": settings.policy.asking, "folder": str(folder)}


def _tell(notices: Iterable[str]) -> None:
    for notice in notices:
        print(display(translated(notice)), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmasos policy")
    parser.add_argument("-C", "--folder", type=Path, default=Path())
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show").add_argument("--json", action="store_true")
    commands.add_parser("check").add_argument("--jsonl", action="store_true")
    commands.add_parser("suggest").add_argument("--json", action="store_true")
    commands.add_parser("test").add_argument("file", type=Path)
    explained = commands.add_parser("explain")
    explained.add_argument("call")
    explained.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(exit_code(main))
