"""Names that a task gives."""

from __future__ import annotations

import pytest

from llmasos.tools.writing.checklist import Wanted, problems
from llmasos.tools.writing.names import names_in


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
