"""Globs match what a person means, and whatever looks like it where a rule is to hold something back."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.agent.policy.globs import matcher
from llmasos.agent.policy.patterns import escaped


@pytest.mark.parametrize(
    ("glob", "allows", "not_allows", "only_holds_back"),
    [
        ("docs/**", ["docs/a", "docs/a/b"], ["docs", "adocs/a", "docs/../a"], ["DOCS/a", "./docs//a"]),
        ("docs/*.md", ["docs/a.md"], ["docs/a/b.md", "docs/a.mdx"], ["docs/a.md/b", "docs/A.MD"]),
        ("*.md", ["a.md", "x/y/a.md"], ["a.md.txt"], ["a.md/b", "A.mD ", "a.md\u200b"]),
        ("./*.md", ["a.md"], ["x/a.md"], ["a.md/x"]),
        (".git", [".git", "a/.git"], ["a.git", ".gitx"], [".git/x", "a/.GIT", ".git./x", "x\\.git\\y"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "ab"], ["a/b/c"]),
        ("[ab]?", ["ac", "x/bz"], ["c", "cc", "abc"], ["AC", "ax/y"]),
        ("[!a]", ["b"], ["a", "bc"], []),
        ("[*]", ["*"], ["a"], []),
        ("!a*", ["b", "xa"], ["a", "ab"], []),
        ("/etc/**", ["/etc/x"], ["etc/x", "/etc/../x"], ["/ETC/x"]),
        (".", ["."], ["a", ".a"], ["./"]),
    ],
)  # fmt: skip
def test_paths(glob: str, allows: list[str], not_allows: list[str], only_holds_back: list[str]) -> None:
    strict, broad = (matcher((glob,), paths=True, strict=strict) for strict in (True, False))
    assert [path for path in allows if not strict(path)] == []
    assert [path for path in allows if not broad(path)] == []
    assert [path for path in not_allows if strict(path)] == []
    assert [path for path in only_holds_back if strict(path)] == []
    assert [path for path in only_holds_back if not broad(path)] == []


def test_an_exception_is_wide_where_a_rule_allows_and_narrow_where_it_holds_back() -> None:
    globs = ("a/**", "!a/secret")
    allows, holds_back = (matcher(globs, paths=True, strict=strict) for strict in (True, False))
    assert allows("a/x") and not allows("a/secret") and not allows("a/secret/x") and not allows("a/SECRET")
    assert holds_back("a/x") and not holds_back("a/secret")
    assert holds_back("a/secret/x") and holds_back("a/SECRET") and holds_back("a/../a/secret")


@pytest.mark.parametrize(
    ("glob", "allows", "not_allows"),
    [
        ("**/a/**/b", ["a/b", "x/a/b", "x/y/a/z/w/b"], ["b", "a", "xa/b", "a/xb"]),
        ("a/**/**/b", ["a/b", "a/x/b"], ["ab", "a"]),
        ("a/**/b/**", ["a/b/c", "a/x/b/c/d"], ["a/b", "a/x/b", "a/c"]),
        ("/**/x/**", ["/x/a", "/a/x/b"], ["x/a", "/x"]),
        ("**/a**c/*.md", ["ac/x.md", "z/abc/x.md", "a/b/c/x.md", "abb/q/bc/x.md"], ["a/x.md", "z/c/x.md"]),
    ],
)
def test_globs_with_several_ways_down(glob: str, allows: list[str], not_allows: list[str]) -> None:
    strict, broad = (matcher((glob,), paths=True, strict=strict) for strict in (True, False))
    assert [path for path in allows if not strict(path)] == []
    assert [path for path in allows if not broad(path.upper() + "/below")] == []
    assert [path for path in not_allows if strict(path)] == []


def test_texts() -> None:
    def matches(glob: str, text: str, strict: bool = True) -> bool:
        return matcher((glob,), paths=False, strict=strict)(text)

    assert matches("npm test*", "npm test a/b") and not matches("npm test", "npm test a")
    assert matches("*.example.org", "a.b.example.org") and not matches("*.example.org", "example.org")
    assert not matches("RM*", "rm x") and matches("RM*", "rm x", strict=False)
    assert matches("a*", "a\nb")


TEXT = st.text("ab/.*?[]!\n", max_size=12)


@given(st.text("ab.*?", min_size=1, max_size=8), st.text("ab.\n", max_size=10))
def test_texts_match_as_the_librarys_globs_do(glob: str, text: str) -> None:
    assert matcher((glob,), paths=False, strict=True)(text) == fnmatch.fnmatchcase(text, glob)


@given(TEXT.filter(bool), TEXT)
def test_an_escaped_text_matches_itself_only(text: str, other: str) -> None:
    matches = matcher((escaped(text),), paths=False, strict=True)
    assert matches(text)
    assert matches(other) == (other == text)


NAMES = st.lists(st.sampled_from(("a", "b", "ba", "b.c")), min_size=1, max_size=4).map("/".join)
PATHS = st.lists(st.sampled_from(("a", "b*", "?", "[ab]", "**", "*.c")), min_size=1, max_size=4).map("/".join)


@given(PATHS, NAMES)
def test_what_an_allowance_covers_a_refusal_covers_too(glob: str, path: str) -> None:
    strict, broad = (matcher((glob,), paths=True, strict=strict) for strict in (True, False))
    assert broad(path) or not strict(path)
    assert broad(f"{path}/below") or not broad(path)


def test_long_texts_are_matched_at_once() -> None:
    """What takes the square of the length, or more, would not end here."""
    text = "a" * 50_000
    assert not matcher(("*a*a*a*a*a*b",), paths=False, strict=True)(text)
    assert not matcher(("*a*a*a*a*a*b/*a*a*b",), paths=True, strict=True)(f"{text}b/{text}")
    assert not matcher(("**a**a**a**a**a**b",), paths=False, strict=True)(text)
    path = "a/" * 5_000
    for glob in ("**/**/**/**/**/**/b", "**/a/**/a/**/a/**/a/**/b", "a**/a**/a**/a**/b", "**a**a**a**a**b"):
        assert not matcher((glob,), paths=True, strict=True)(path + "a")
