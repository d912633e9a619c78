"""The shape of the house: every module says what it is for, and no room is called `utils`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    path for package in ("broker", "recordings", "tui") for path in (ROOT / package).rglob("*.py")
)
SHAPELESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "service", "base"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_opens_with_its_purpose(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, "a module opens with one sentence of purpose"
    assert len(docstring.splitlines()[0]) > 15


def test_no_room_has_a_shapeless_name() -> None:
    assert not [name(path) for path in MODULES if path.stem in SHAPELESS]


def test_only_the_grammar_module_knows_the_sql_parser() -> None:
    knows = [name(path) for path in MODULES if "postgast" in path.read_text()]
    assert knows == ["broker/policy/sql/grammar.py"]


def test_only_the_command_prints() -> None:
    rooms = ("broker/cli/", "broker/demo/", "tui/__main__.py", "broker/postgres/launcher.py")
    printing = [
        name(path)
        for path in MODULES
        if re.search(r"^\s+print\(", path.read_text(), re.MULTILINE)
        and not name(path).startswith(rooms)
    ]
    assert printing == []


def test_no_pattern_is_possessive_behind_a_group() -> None:
    """CPython before 3.11.5 matches those wrongly or never comes back; Debian 12 has 3.11.2."""
    broken = re.compile(r"[^(]\)(?:[*+?]|\{\{?\d*,?\d*\}?\})\+|\(\?>")
    found = [
        f"{name(path)}: {text!r}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(text := node.value, (str, bytes))
        and broken.search(text if isinstance(text, str) else text.decode("latin-1"))
    ]
    assert found == []
