"""The documents are true: configuration loads, commands exist, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from broker.config.load import load
from broker.control import verbs

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def test_the_readmes_configuration_is_whole(tmp_path: Path) -> None:
    (text,) = blocks(ROOT / "README.md", "yaml")
    file = tmp_path / "interlock.yaml"
    file.write_text(text)
    config = load(file, environ={"ORDERS_PASSWORD": "x"})
    assert set(config.targets) == {"orders"}


def test_the_compose_files_configuration_is_whole(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "interlock.yaml").read_text()
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKJkJV8+3vPdsc1ChNvoeIPcuvyO7zCGVoYwwGt0OXFk"
    file = tmp_path / "interlock.yaml"
    file.write_text(text.replace("WEB1_HOST_KEY", key))
    assert set(load(file, environ={"ORDERS_PASSWORD": "x"}).targets) == {"orders", "web1"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_documents_exist(page: Path) -> None:
    text = "\n".join(blocks(page, "sh"))
    for command in re.findall(r"\binterlock (\w+)", text):
        ran = subprocess.run(
            [sys.executable, "-m", "broker", command, "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"interlock {command}: {ran.stderr}"
    for verb in re.findall(r"\bbroker@\S+ ([a-z][\w-]*)", text):
        assert verb in verbs.VERBS
    for target in re.findall(r"^make (\w+)", text, re.MULTILINE):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text()
