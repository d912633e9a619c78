"""The approvals screens through a real terminal: tmux at 80x24 and the stock ssh."""

from __future__ import annotations

import shlex
import subprocess
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.demo import Demo

pytestmark = pytest.mark.peer


@dataclass
class Pane:
    """One tmux pane of 80x24."""

    server: str

    def tmux(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self.server, *words], capture_output=True, text=True, check=True
        ).stdout

    def press(self, *keys: str) -> None:
        """Keys by tmux's names, or text; a semicolon at the end would end the tmux command."""
        self.tmux("send-keys", *(k[:-1] + "\\;" if k.endswith(";") else k for k in keys))

    def shown(self) -> str:
        return self.tmux("capture-pane", "-p")

    def sees(self, text: str, within: float = 20.0) -> str:
        end = time.monotonic() + within
        while text not in (screen := self.shown()):
            assert time.monotonic() < end, f"{text!r} did not appear:\n{screen}"
        return screen


@contextmanager
def pane(demo: Demo, *words: str) -> Iterator[Pane]:
    made = Pane(f"interlock-{uuid.uuid4().hex[:8]}")
    command = shlex.join(
        [
            "env",
            "-i",
            *(f"{k}={v}" for k, v in demo.environment.items()),
            "TERM=xterm-256color",
            *demo.argv(*words),
        ]
    )
    made.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", command + "; read x")
    try:
        yield made
    finally:
        made.tmux("kill-server")


def test_an_approver_reads_and_approves_at_80x24(demo: Demo) -> None:
    delete = "DELETE FROM refunds WHERE id = 7 AND status = 'done'"
    asking = demo.begin("-o", "SetEnv=INTERLOCK_REASON=INC-77", "orders@agent", delete)
    demo.waiting("id = 7")
    with pane(demo, "approvals@approver") as bob:
        screen = bob.sees("id = 7")
        assert "acme/shop" in screen
        assert "INC-77" in screen
        assert "writes-need-two-eyes" in screen
        time_to_read = time.monotonic() + 0.5  # keys are ignored just after a request appeared
        while time.monotonic() < time_to_read:
            bob.shown()
        bob.press("a", "a", "a", "a")
        bob.sees("let it run")
        assert asking.poll() is None
        assert not demo.database_saw("id = 7")
        bob.press("y")
        out, err = asking.communicate(timeout=30)
        assert asking.returncode == 0, err
        assert "DELETE 1" in out
        bob.press("q")


def test_hostile_text_is_drawn_and_not_obeyed(demo: Demo) -> None:
    hostile = "\x1b]0;PWNED\x07[@click=app.approve]x[/] [/red] \u202e"
    delete = f"DELETE FROM refunds WHERE id = 8 AND status = '{hostile}'"
    asking = demo.begin("orders@engineer", delete)
    demo.waiting("id = 8")
    with pane(demo, "approvals@approver") as bob:
        screen = bob.sees("id = 8")
        assert "[@click=" in bob.sees("[@click=")
        assert "⟨1B⟩" in screen
        assert "PWNED" not in bob.tmux("display-message", "-p", "#{pane_title}")
        bob.press("q")
    asking.terminate()
    asking.communicate(timeout=30)


def test_an_auditor_plays_a_session(demo: Demo) -> None:
    demo.ssh("box@engineer", "echo played back to carol")
    with pane(demo, "approvals@auditor") as carol:
        carol.sees("Nothing waits")
        carol.press("s")
        carol.sees("alice@example.com")
        carol.press("Enter")
        carol.sees("played back to carol")
        carol.press("q")


def test_an_interactive_psql_session(demo: Demo) -> None:
    with pane(demo, "orders@engineer") as alice:
        alice.sees("orders=>")
        alice.press("SELECT id, email FROM customers", "Enter")
        alice.sees("orders->")
        alice.press("WHERE id < 3;", "Enter")
        screen = alice.sees("(2 rows)")
        assert "ada.byron" not in screen
        alice.press("\\! id", "Enter")
        alice.sees("interlock: ")
        alice.press("DROP TABLE orders;", "Enter")
        alice.sees("no-ddl")
        alice.press("SELECT 40 + 2 AS answer;", "Enter")
        alice.sees("42")
        alice.press("\\q", "Enter")


def test_an_interactive_shell_session(demo: Demo) -> None:
    with pane(demo, "box@engineer") as alice:
        alice.sees("box$")
        alice.press("ls", "Enter")
        alice.sees("notes.txt")
        alice.press("rm -rf notes.txt", "Enter")
        alice.sees("denied by")
        alice.press("cat notes.txt", "Enter")
        screen = alice.sees("order 17")
        assert "ada.byron" not in screen
        alice.press("cd /", "Enter")
        alice.sees("box:/$")
        alice.press("exit", "Enter")
    assert (demo.folder / "box" / "notes.txt").exists()
