"""Names that a task gives."""

from __future__ import annotations

import pytest

from llmasos.tools.writing.checklist import Wanted, problems
from llmasos.tools.writing.names import addressee, names_in


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("draft an apology to Mr Okafor because his sofa came late", ("Mr Okafor",)),
        ("invite the whole team to lunch on Thursday. Bring Zoë Ng, too", ("Thursday", "Zoë Ng")),
        ("a talk of Ada Byron's at the University of Oxford", ("Ada Byron's", "University of Oxford")),
        ("write about rain. It falls: Always. I’d like that", ()),
        ("write a LinkedIn post in French with a FAQ in Markdown", ()),
        ("Schreibe einen Brief an die Firma über das Auto", ()),
        ("Écris une lettre à Madame Dupont", ()),
        ("写一封信给李女士", ()),
    ],
)
def test_names_are_found_in_english_tasks(task: str, names: tuple[str, ...]) -> None:
    assert names_in(task) == names


def test_a_text_has_to_give_them() -> None:
    wanted = Wanted(names=("Mr Okafor", "University of Oxford"))
    assert problems("Dear Mr. Okafor, see you in Oxford.", wanted) == [
        "it does not name University of Oxford"
    ]
    assert problems("OKAFOR’s talk at Oxford university.", wanted) == []


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("draft an apology for the delay to Mr Okafor in Leeds", "Mr Okafor"),
        ("write to Ann Smith that her coat is ready", "Ann Smith"),
        ("an article for the paper about the way from York to Leeds", ""),
        ("write a letter about the way from York to Leeds", ""),
        ("write an essay about the road to Leeds and the sea", ""),
        ("write a letter about the trip of our team to the lake", ""),
    ],
)
def test_a_message_addresses_whom_it_goes_to(task: str, name: str) -> None:
    names = names_in(task)
    assert addressee(task, names) == name
    found = problems("Your coat is ready.", Wanted(names=names, addressee=name))
    assert [problem for problem in found if "must begin" in problem] == (
        [f"it does not address {name}: it must begin with “{name}”"] if name else []
    )
