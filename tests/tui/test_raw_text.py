"""No widget gets a raw string: strings are read as markup, and what others write is in them.

Two locks. At run time, `Plain` and `Rows` take Content alone. Here, over the source: nobody but
`tui.text` makes Content, nobody but three small modules touches Textual's text widgets, and
nobody uses the ways round them (toasts, titles, tooltips, print).
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from textual.content import Content

from tui.widgets.plain import Plain
from tui.widgets.rows import Rows

TUI = Path(__file__).parents[2] / "tui"
MODULES = sorted(TUI.rglob("*.py"))

MAY_IMPORT = {  # the only modules that may touch these, outside type annotations
    "textual.content": {"text.py", "widgets/plain.py"},
    "textual.strip": {"text.py"},
    "textual.widgets": {"widgets/plain.py", "widgets/reason.py", "screens/confirm.py"},
    "rich": {"text.py"},
}
ROUND_ABOUT = {
    "notify",
    "from_markup",
    "from_text",
    "update",
    "mount",
    "render_str",
    "log",
    "print",
}
TITLES = {"border_title", "border_subtitle", "tooltip", "title", "sub_title", "placeholder"}


def name_of(module: Path) -> str:
    return module.relative_to(TUI).as_posix()


def imports_outside_annotations(tree: ast.Module) -> set[str]:
    typing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_one_module_makes_text(module: Path) -> None:
    imports = imports_outside_annotations(ast.parse(module.read_text()))
    for package, allowed in MAY_IMPORT.items():
        if any(one == package or one.startswith(package + ".") for one in imports):
            assert name_of(module) in allowed


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_nobody_goes_round_it(module: Path) -> None:
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = (
                node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            )
            allowed = name_of(module) in ("widgets/plain.py", "emulator.py")
            assert called not in ROUND_ABOUT or allowed, ast.unparse(node)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assert not any(isinstance(t, ast.Attribute) and t.attr in TITLES for t in targets)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_the_broker_is_reached_only_over_the_control_channel(module: Path) -> None:
    imports = imports_outside_annotations(ast.parse(module.read_text()))
    broker = {one for one in imports if one.split(".")[0] == "broker"}
    assert broker <= {"broker.control.client", "broker.control.messages"}


@pytest.mark.parametrize("hole", ["[b]text[/b]", b"text", None, 7])
def test_a_widget_refuses_what_tui_text_did_not_make(hole: object) -> None:
    with pytest.raises(TypeError):
        Plain(hole)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Plain().show(hole)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Rows().show([Content("fine"), hole])  # type: ignore[list-item]
