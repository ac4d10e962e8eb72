"""Whatever the rules, what a decision says would flip it does flip it."""

import json
from typing import Any, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmasos.agent.policy import Access, Asking, Call, Facts, Policy, Rule, builtin, decide, flipped
from llmasos.decisions import Decision, Effect, Flip, Identifier, SourceKind, Verdict

WORDS = ("a", "b", "a/b", ".git/x", "ab", "example.org", "rm x")
GLOBS = st.lists(
    st.sampled_from(("a", "a*", "*b", "!a", "!ab*", "[ab]", "?", "a/**")), min_size=1, max_size=3
)


def kinds(*names: str) -> st.SearchStrategy[Any]:
    patterns = st.lists(st.sampled_from([*names, *(f"!{name}" for name in names)]), min_size=1, max_size=3)
    return st.one_of(st.booleans(), patterns)


LISTS = st.one_of(st.booleans(), GLOBS)
CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "tool": GLOBS,
    **dict.fromkeys(("plugin", "capabilities", "programs", "commands", "reads", "writes", "outside"), LISTS),
    **dict.fromkeys(("hosts", "closed_hosts", "options", "folder"), LISTS),
    "arguments": st.dictionaries(st.sampled_from(("x", "y")), LISTS, min_size=1),
    **dict.fromkeys(("sinks", "copied", "untrusted"), kinds(*get_args(SourceKind))),
    "effects": kinds(*get_args(Effect)),
    "identifiers": kinds(*get_args(Identifier)),
    "only_effects": st.lists(st.sampled_from(get_args(Effect)), min_size=1),
    "given": st.one_of(st.booleans(), st.integers(1, 3)),
    **dict.fromkeys(("secrets", "dynamic", "attended", "in_place"), st.booleans()),
    "access": st.lists(st.sampled_from(get_args(Access)), min_size=1, max_size=2),
    "asking": st.lists(st.sampled_from(get_args(Asking)), min_size=1, max_size=2),
}
CONDITION = st.sampled_from(sorted(CONDITIONS)).flatmap(
    lambda name: st.tuples(st.just(name), CONDITIONS[name])
)
WHEN = st.lists(CONDITION, min_size=1, max_size=4).map(dict)
RULE = st.fixed_dictionaries(
    {
        "decision": st.sampled_from(get_args(Verdict)),
        "priority": st.sampled_from((0, 20, 50, 80, 99)),
        "when": WHEN,
    }
)
SEVERAL = st.lists(st.sampled_from(WORDS), max_size=3).map(tuple)
CALL = st.builds(
    Call,
    tool=st.sampled_from(WORDS),
    arguments=st.dictionaries(
        st.sampled_from(("x", "y")), st.one_of(SEVERAL.map(list), st.integers(), st.text())
    ),
)
FACTS = st.builds(
    Facts,
    capabilities=SEVERAL,
    plugin=st.sampled_from(("", "a", "mcp:x")),
    effects=st.frozensets(st.sampled_from(get_args(Effect)), max_size=3),
    programs=SEVERAL,
    commands=SEVERAL,
    dynamic=st.booleans(),
    reads=SEVERAL,
    writes=SEVERAL,
    outside=SEVERAL,
    hosts=SEVERAL,
    open_hosts=SEVERAL,
    sinks=st.frozensets(st.sampled_from(get_args(SourceKind)), max_size=2),
    copied=st.frozensets(st.sampled_from(get_args(SourceKind)), max_size=2),
    identifiers=st.frozensets(st.sampled_from(get_args(Identifier)), max_size=2),
    untrusted=st.frozensets(st.sampled_from(get_args(SourceKind)), max_size=2),
    carries=st.frozensets(st.sampled_from(get_args(SourceKind)), max_size=2),
    gains=st.frozensets(st.sampled_from(get_args(Effect)), max_size=2),
    disguised=SEVERAL,
    given=st.integers(0, 3),
    ungiven=SEVERAL,
    secrets=st.booleans(),
    attended=st.booleans(),
    in_place=st.booleans(),
    folder=st.sampled_from(("", "/a", "/a/b")),
    access=st.sampled_from(get_args(Access)),
    asking=st.sampled_from(get_args(Asking)),
)


def rules(raw: list[dict[str, Any]]) -> list[Rule]:
    return [Rule.model_validate({"id": f"r{number}", **each}) for number, each in enumerate(raw)]


def holds(call: Call, facts: Facts, policy: Policy, flip: Flip) -> None:
    # As the log has them.
    read = Flip.model_validate(json.loads(flip.model_dump_json()))
    again = decide(*flipped(call, facts, read), policy)
    assert again.verdict == flip.verdict, (flip, again.rules)


def strongest(call: Call, facts: Facts, policy: Policy) -> Verdict:
    """Return the verdict by the words of the rule book."""
    matched = [rule for rule in policy.rules if decide(call, facts, Policy.of([rule])).rule == rule.id]
    if any(rule.decision == "deny" for rule in matched):
        return "deny"
    highest = max((rule.priority for rule in matched), default=0)
    decisions = {rule.decision for rule in matched if rule.priority == highest}
    asks = not matched or "ask" in decisions
    return "allow" if not asks else "deny" if facts.asking == "never" else "ask"


SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(st.lists(RULE, max_size=8), CALL, FACTS)
def test_flips_of_any_rules_hold(raw: list[dict[str, Any]], call: Call, facts: Facts) -> None:
    policy = Policy.of(rules(raw))
    decision = decide(call, facts, policy)
    assert decision.verdict == strongest(call, facts, policy)
    assert decision.policy == policy.version
    for flip in decision.flips:
        assert flip.facts and flip.verdict != decision.verdict
        holds(call, facts, policy, flip)
    again = Decision.model_validate_json(decision.model_dump_json())
    assert again == decision


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(CALL, FACTS)
def test_each_decision_of_the_built_in_rules_has_a_flip(call: Call, facts: Facts) -> None:
    policy = Policy.of(builtin())
    decision = decide(call, facts, policy)
    assert decision.flips
    for flip in decision.flips:
        holds(call, facts, policy, flip)


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(st.lists(RULE, max_size=5), CALL, FACTS)
def test_there_is_a_flip_beside_more_rules_unless_a_search_finds_none(
    raw: list[dict[str, Any]], call: Call, facts: Facts
) -> None:
    policy = Policy.of([*builtin(), *rules(raw)])
    decision = decide(call, facts, policy)
    for flip in decision.flips:
        holds(call, facts, policy, flip)
    if not decision.flips:
        everything = [
            Facts(effects=frozenset({"reads"}), attended=attended, given=given, access=access, asking=asking)
            for attended in (True, False)
            for given in (0, 1, 9)
            for access in get_args(Access)
            for asking in get_args(Asking)
        ]
        assert {decide(call, each, policy).verdict for each in everything} == {decision.verdict}


def test_a_rule_for_any_folder_flips_where_there_is_none() -> None:
    raw = [{"decision": "deny", "when": {"folder": True}}, {"decision": "allow", "when": {"tool": "a"}}]
    policy = Policy.of(rules(raw))
    decision = decide(Call(tool="a", arguments={}), Facts(folder="/a"), policy)
    assert [dict(flip.facts) for flip in decision.flips] == [{"folder": ""}]


def test_a_flip_names_what_matters_before_what_the_call_is() -> None:
    facts = Facts(
        capabilities=("writes",),
        effects=frozenset({"writes"}),
        untrusted=frozenset({"web"}),
        sinks=frozenset({"web"}),
        copied=frozenset({"web"}),
    )
    first = decide(Call(tool="write_file"), facts, Policy.of(builtin())).flips[0]
    assert first.verdict == "allow"
    assert {"sinks", "copied"} <= set(first.facts) and "effects" not in first.facts
    quiet = facts.model_copy(update={"untrusted": frozenset(), "sinks": frozenset(), "copied": frozenset()})
    allowed = decide(Call(tool="write_file"), quiet, Policy.of(builtin()))
    assert allowed.verdict == "allow" and set(allowed.flips[0].facts) <= {"copied", "sinks", "untrusted"}
