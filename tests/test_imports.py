"""Imports that a model forgot are added, and nothing else is changed."""

from __future__ import annotations

import pytest

from llmasos.imports import completed, defined, with_imports

DOCUMENTED = '''"""Slugs."""

from __future__ import annotations


def slug(text):
    return re.sub(" ", "-", text)
'''


def test_what_is_used_is_imported_where_imports_stand() -> None:
    made = with_imports(DOCUMENTED)
    assert made == DOCUMENTED.replace("annotations\n", "annotations\nimport re\n", 1)
    assert with_imports(made) == made


def test_tests_import_what_they_test() -> None:
    tests = "def test_slug():\n    assert slug('a b') == 'a-b' and math.pi > LIMIT and other\n"
    made = with_imports(tests, "slugs", {"slug", "LIMIT", "unused"})
    assert made == f"import math\nfrom slugs import LIMIT, slug\n{tests}"


def test_imports_stand_below_what_has_to_be_at_the_top() -> None:
    script = "#!/usr/bin/env python3\n# -*- coding: utf-8 -*-\nprint(re.sub)\n"
    assert with_imports(script) == script.replace("print", "import re\nprint")
    odd = '"""A\x0cB\x85C."""\nprint(re.sub)\n'
    assert with_imports(odd) == odd.replace("print", "import re\nprint")
    assert with_imports("assert f()\n", "my-slug", {"f"}) == "assert f()\n"


@pytest.mark.parametrize(
    "text",
    [
        "from slugs import *\nassert slug('a') and re.sub\n",
        "import re as r\nre = r\nre.sub\n",
        "def f(re, *os, **sys):\n    return re.sub, os.path, sys.path\n",
        "for re in []:\n    re.sub\n",
        "try:\n    pass\nexcept OSError as re:\n    re.args\n",
        "match {}:\n    case {'a': re, **os}:\n        re.x, os.x\n    case [*sys]:\n        sys.x",
        "import os.path\nos.path\n",
        "class re:\n    x = 1\nre.x\n",
        "[re.x for re in []]\nprint(len.__doc__, __file__, __name__)\n",
        "slug\n",
    ],
)
def test_what_is_there_is_left(text: str) -> None:
    assert with_imports(text, "slugs", {"unused"}) == text


def test_what_a_module_defines() -> None:
    text = (
        "import re\nA, (B, c) = 1, (2, 3)\nD: int = 4\nasync def e(): pass\nclass F: x = 1\ndef g(): h = 1\n"
    )
    assert defined("def f(:") == set()
    assert defined(text) == {"A", "B", "c", "D", "e", "F", "g"}


def test_a_script_gets_the_imports_that_it_forgot() -> None:
    script = "print(json.dumps([str(p) for p in Path('.').rglob('*')]), datetime.now(), Counter(words))"
    imports = ("from datetime import datetime", "import json", "from collections import Counter")
    assert completed(script) == "\n".join((*imports, "from pathlib import Path", script))
    assert completed(completed(script)) == completed(script)


@pytest.mark.parametrize(
    "script",
    [
        "",
        "def (",
        "from a import *\nPath",
        "Path = 1\nprint(Path)",
        "print(mean, product, date)",
        "csv.head()",
        "pickle.loads(data)",
        "ctypes.CDLL(None)",
        "msvcrt.getch()",
        "\x00",
    ],
)
def test_a_script_that_may_have_its_names_from_elsewhere_is_left(script: str) -> None:
    assert completed(script) == script


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("datetime.now()", "from datetime import datetime"),
        ("datetime.strptime(a, b) - datetime.min", "from datetime import datetime"),
        ("datetime.datetime.now() - datetime.timedelta(days=1)", "import datetime"),
    ],
)
def test_datetime_is_what_its_attributes_tell(script: str, line: str) -> None:
    assert completed(script) == f"{line}\n{script}"
