"""The screens in a real terminal: python -m tui over an inherited socket, seen through tmux."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tui.fake_control import review
from tui.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


class Tmux:
    """One pane of 80x24 on a tmux server of its own."""

    def __init__(self, name: str) -> None:
        self._name = name

    def run(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, "-f", "/dev/null", *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        return done.stdout

    def start(self, command: str) -> None:
        size = ["-x", "80", "-y", "24"]
        self.run("new-session", "-d", *size, "-c", str(ROOT), command)
        self.run("set-option", "-g", "remain-on-exit", "on")

    def press(self, *keys: str) -> None:
        self.run("send-keys", *keys)

    def screen(self) -> str:
        return self.run("capture-pane", "-p")

    def until(self, *texts: str) -> str:
        """Look until one of the texts is there; fails with the screen when none ever is."""
        end, pause = time.monotonic() + PATIENCE, threading.Event()
        while time.monotonic() < end:
            screen = self.screen()
            if any(text in screen for text in texts):
                return screen
            pause.wait(0.05)
        msg = f"never on the screen: {texts!r}\n{self.screen()}"
        raise AssertionError(msg)


@contextmanager
def tmux() -> Iterator[Tmux]:
    pane = Tmux(f"interlock-test-{uuid.uuid4().hex}")  # the last one may still be going
    try:
        yield pane
    finally:
        subprocess.run(
            ["tmux", "-L", pane._name, "kill-server"], capture_output=True, check=False, timeout=10
        )


def serving(answers: Path, *more: str) -> str:
    command = shlex.join([sys.executable, "-m", "tests.tui.serve", str(answers), *more])
    return f"sh -c {shlex.quote(f'{command}; echo left with $?; exec cat')}"


@pytest.mark.peer
def test_an_approver_in_a_real_terminal(tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    with tmux() as pane:
        pane.start(serving(answers))
        screen = pane.until("84021")
        assert "bob@example.com" in screen
        assert "2 waiting" in screen
        assert pane.run("display-message", "-p", "#{pane_title}").strip() == "(2) approvals"
        ask(pane)
        pane.press("y")
        pane.until("was approved by bob@example.com")
        pane.until("1 waiting")
        assert json.loads(answers.read_text()) == ["approve", "7f3a", review().digest, ""]
        pane.press("s")
        pane.until("2026-01-01 11:00")
        pane.press("Enter")
        pane.until("SELECT 1;")
        pane.press("]", "]")
        pane.until("DELETE FROM refunds;")
        pane.press("p")
        pane.until("sudo systemctl restart nginx")
        pane.press("q")
        assert "Traceback" not in pane.until("left with 0")


def ask(pane: Tmux) -> None:
    """Press a; again if it was within the 300 ms in which no key answers."""
    question, ignored = "Let alice@example.com run this DELETE on orders?", "key ignored"
    pane.press("a")
    while question not in pane.until(question, ignored):
        pane.press("a")


@pytest.mark.peer
def test_a_fault_is_one_sentence_and_never_a_traceback(tmp_path: Path) -> None:
    with tmux() as pane:
        pane.start(serving(tmp_path / "answers", "crash"))
        screen = pane.until("left with 70")
        assert "interlock: the approvals screen stopped because of a fault" in screen
        assert "Traceback" not in screen
        assert "RuntimeError" not in screen
        assert "no approver should see" not in screen


def test_a_channel_that_is_not_there_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(write_end)
    os.close(read_end)
    assert main(["--control-fd", str(read_end)]) == 64
    assert capsys.readouterr().err.startswith("interlock: the control channel is not open")
