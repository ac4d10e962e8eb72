"""What a text names, and what only looks like it."""

import pytest

from llmasos.agent.provenance.identifiers import identifiers


def named(text: str, language: str = "") -> set[tuple[str, str]]:
    return {(found.kind, found.text) for found in identifiers(text, language)}


@pytest.mark.parametrize(
    ("text", "language", "names"),
    [
        (
            "See https://a.example.org/x?y=1#z.",
            "",
            {
                ("link", "https://a.example.org/x?y=1#z"),
                ("host", "a.example.org"),
                ("host", "example.org"),
            },
        ),
        (
            "http://user:pw@evil.com@10.0.0.1:80/",
            "",
            {("link", "http://user:pw@evil.com@10.0.0.1:80/"), ("host", "10.0.0.1")},
        ),
        ("a.b.co.uk is ours", "", {("host", "a.b.co.uk"), ("host", "b.co.uk")}),
        (
            "scp key kim@host.example:/tmp",
            "bash",
            {("address", "kim@host.example"), ("host", "host.example"), ("path", "/tmp")},
        ),
        (
            "cat src/a.py notes.txt ./run",
            "bash",
            {("path", "src/a.py"), ("path", "notes.txt"), ("path", "./run")},
        ),
        ("os.path.join(x.y, 'notes.txt')", "python", {("path", "notes.txt")}),
        ("The end.Then self.name and os.path follow, e.g. in notes.txt", "", set()),
        ("call +1 (555) 010-9999", "", {("account", "+1 (555) 010-9999")}),
        ("in 2024, 1.5 of 300", "", set()),
        ("2026-05-05 08:00:01 10 20 30 40 50 60 70", "", set()),
        ("3.14159265358979 12,345,678 20260505 20260505120000 734003200", "", set()),
        ("de38a7be3c0d1f6a3c0d1f6a3c0d1f6a3c0d1f6a py39 with more text", "", set()),
        ("356a192b7913b04c54574d18c28d46e6395428ab", "", set()),
        ("to 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "", {("account", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2")}),
        ("55779911", "", {("account", "55779911")}),
        (
            "3782 822463 10005, 0301/12345",
            "",
            {("account", "3782 822463 10005"), ("account", "0301/12345")},
        ),
        ("report.docx", "", {("path", "report.docx")}),
    ],
)
def test_names_are_told_by_where_they_stand(text: str, language: str, names: set[tuple[str, str]]) -> None:
    assert named(text, language) == names


@pytest.mark.parametrize("piece", ["a", "a.", "a-", "1", "ab12", "AB12 ", "/", "a/", "@", ":", "a+", "a://"])
def test_text_that_nearly_names_something_costs_little(piece: str) -> None:
    assert sum(1 for _ in identifiers(piece * 20_000)) <= 20_001
