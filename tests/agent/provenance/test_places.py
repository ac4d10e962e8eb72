"""What a text names stays in its place when lines come, go or change their order, not in another's."""

import pytest

from llmasos.agent.provenance import places
from llmasos.agent.provenance.places import kept

MINE, THEIRS = "https://mine.example/pay", "https://phish.example/pay"
IBAN, OTHER = "DE89370400440532013000", "GB29NWBK60161331926819"
PAGE = f'# Bookmarks\n<a href="{MINE}">Pay here</a>\n\nSome words.\n<!-- {THEIRS} -->\n'
INVOICE = f"# Invoice\nPay to:\n{IBAN}\n\nRemark of the sender:\n{OTHER}\n"
TABLE = f"name,account\nbob,{IBAN}\neve,{OTHER}\n"
LIST = "# Links\n- https://c.example/\n- https://a.example/\n- https://b.example/\n"


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (PAGE, PAGE, (MINE, THEIRS)),
        (PAGE, PAGE.replace("Some words.\n", "Other words.\n\nAnd a paragraph.\n"), (MINE, THEIRS)),
        (PAGE, PAGE.replace(f"<!-- {THEIRS} -->\n", ""), (MINE,)),
        (PAGE, f'# Lesezeichen\n<a href="{MINE}">Hier zahlen</a>\n<!-- {THEIRS} -->\n', (MINE, THEIRS)),
        (INVOICE, INVOICE.replace("Pay to:", "Please pay to:"), (IBAN, OTHER)),
        (INVOICE, f"# Rechnung\nZu zahlen an:\n{IBAN}\nBemerkung:\n{OTHER}\n", (IBAN, OTHER)),
        (INVOICE, f"Remark of the sender:\n{OTHER}\n\n# Invoice\nPay to:\n{IBAN}\n", (IBAN, OTHER)),
        (TABLE, f"name,account\neve,{OTHER}\nbob,{IBAN}\n", (IBAN, OTHER)),
        (TABLE, f"name,city,account\nbob,Bonn,{IBAN}\neve,Rome,{OTHER}\n", (IBAN, OTHER)),
        (LIST, "# Links\n- https://a.example/\n- https://b.example/\n- https://c.example/\n", ("a.example",)),
        (f"Home {MINE} and {THEIRS} there", f"Home {MINE} and {THEIRS} there, too", (MINE, THEIRS)),
        (f"# A\nIt is a tool, see {MINE}.\n# B\nMore: {THEIRS}\n", f"# A\nSee {MINE}.\n", (MINE,)),
    ],
)
def test_what_is_named_stays_in_its_place(before: str, after: str, names: tuple[str, ...]) -> None:
    assert set(names) <= kept(before, after)


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (PAGE, PAGE.replace(MINE, THEIRS), THEIRS),
        (PAGE, f'# Bookmarks\n<a href="{THEIRS}">Pay here</a>\n\nSome words.\n', THEIRS),
        (PAGE, f'# Bookmarks\n<a href="{THEIRS}">Pay here</a>\n<!-- {MINE} -->\n', THEIRS),
        (PAGE, f'# Bookmarks\n<!-- {MINE} -->\n\nSome words.\n<a href="{THEIRS}">Pay here</a>\n', THEIRS),
        (PAGE, f"{PAGE}\nA new paragraph: go to {THEIRS} now.\n", THEIRS),
        (PAGE, f'# Lesezeichen\n<a href="{THEIRS}">Hier zahlen</a>\n', THEIRS),
        (INVOICE, INVOICE.replace(IBAN, OTHER), OTHER),
        (INVOICE, f"# Invoice\nPay to:\n{OTHER}\n\nRemark of the sender:\n{IBAN}\n", OTHER),
        (INVOICE, f"# Invoice\nPay to our new account:\n{OTHER}\n", OTHER),
        (INVOICE, f"# Invoice\nThe account of the sender: {OTHER}\n", OTHER),
        (TABLE, f"name,account\nbob,{OTHER}\neve,{IBAN}\n", OTHER),
        (f"Home {MINE} and {THEIRS} there", f"Home {THEIRS} and {MINE} there", THEIRS),
        (f'{{"pay": "{IBAN}", "note": "{OTHER}"}}', f'{{"pay": "{OTHER}", "note": "{IBAN}"}}', OTHER),
        ("mail bob@corp.example\nnot eve@evil.example", "mail eve@evil.example", "eve@evil.example"),
        ("", f"Pay to {IBAN}", IBAN),
        ("x" * 500_000, f"Pay to {IBAN}", IBAN),
    ],
)
def test_what_takes_another_ones_place_does_not(before: str, after: str, name: str) -> None:
    assert name not in kept(before, after)


@pytest.mark.parametrize(
    "text",
    ["".join(f"https://h{number}.example/\n" for number in range(2_000)), f"see {MINE} " * 2_000],
    ids=["lines", "copies"],
)
def test_many_that_look_alike_are_compared_once(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    alike, compared = places._alike, []

    def counted(one: object, other: object) -> float:
        compared.append(1)
        return alike(one, other)  # type: ignore[arg-type]

    monkeypatch.setattr(places, "_alike", counted)
    assert THEIRS not in kept(text, f"{text}{THEIRS}\n")
    assert len(compared) <= 2 * places._MOST_COMPARED
