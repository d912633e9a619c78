"""`interlock serve` as an operator runs it: ready line, reload, stop, and what stays on disk."""

from __future__ import annotations

import selectors
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.peer

CONFIG = """\
listen: 127.0.0.1:0
state: state
issuers:
  - {name: corp, issuer: "http://127.0.0.1:1", audience: interlock, kind: human, user: "{email}"}
targets:
  box: {kind: command, argv: [/bin/sh]}
rules:
  - {name: look, who: ["*"], targets: [box], allow: {commands: ["ls **"]}}
"""


class Served:
    """A running `interlock serve`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "interlock.yaml"
        self.file.write_text(CONFIG)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "broker", "serve", "--config", str(self.file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.said = ""

    def says(self, text: str, within: float = 20.0) -> str:
        """Wait until it said this on stderr; gives the whole line."""
        assert self.process.stderr is not None
        end = time.monotonic() + within
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stderr, selectors.EVENT_READ)
            while text not in self.said or not self.said.endswith("\n"):
                assert selector.select(max(0.0, end - time.monotonic())), self.said
                data = self.process.stderr.read1().decode()  # type: ignore[attr-defined]
                assert data, self.said
                self.said += data
        return next(line for line in self.said.splitlines() if text in line)

    def stop(self) -> int:
        """SIGTERM, and wait."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.wait()
        if made.process.stderr is not None:
            made.process.stderr.close()


def test_it_says_when_it_is_ready_and_stops_cleanly(served: Served) -> None:
    line = served.says("listening on")
    assert line.startswith("interlock: listening on 127.0.0.1:")
    assert int(line.rpartition(":")[2]) > 0
    assert served.stop() == 0
    verified = subprocess.run(
        [sys.executable, "-m", "broker", "verify", "--state", str(served.folder / "state")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout
    assert verified.stdout.startswith("verified: ")


def test_keys_are_made_private(served: Served) -> None:
    served.says("listening on")
    keys = served.folder / "state" / "keys"
    for name in ("user_ca", "host_key", "target_ca", "host_ca", "log"):
        assert stat.S_IMODE((keys / name).stat().st_mode) == 0o600, name
    for name in ("user_ca.pub", "host_ca.pub", "target_ca.pub", "log.pub"):
        assert (keys / name).exists(), name
    served.stop()


def test_a_reload_takes_a_good_file_and_ignores_a_bad_one(served: Served) -> None:
    served.says("listening on")
    served.file.write_text(CONFIG + "rulez: []\n")
    served.process.send_signal(signal.SIGHUP)
    served.says("the configuration in force is unchanged")
    assert "did you mean" in served.said
    served.file.write_text(CONFIG.replace("ls **", "id"))
    served.process.send_signal(signal.SIGHUP)
    served.says("is in force")
    assert served.stop() == 0


def test_a_second_broker_on_the_same_state_is_refused(served: Served) -> None:
    served.says("listening on")
    second = subprocess.run(
        [sys.executable, "-m", "broker", "serve", "--config", str(served.file)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 70
    assert second.stderr.startswith("interlock: ")
    assert "Traceback" not in second.stderr
    served.stop()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["serve", "--config", "/nowhere.yaml"], 64),
        (["frobnicate"], 64),
        (["explain", "--target", "box", "ls"], 64),
        (["verify", "--state", "/nowhere"], 70),
        (["play", "nosuch", "--state", "/nowhere"], 64),
    ],
)
def test_wrong_words_are_a_sentence_and_a_code(words: list[str], code: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "broker", *words], capture_output=True, text=True, check=False
    )
    assert ran.returncode == code, ran.stderr
    assert "Traceback" not in ran.stderr + ran.stdout
    assert ran.stderr.startswith("interlock: ") or ran.stdout.startswith("NOT verified")


@pytest.mark.parametrize(
    ("who", "line", "verdict"),
    [("group:x", "ls /tmp", "allow"), ("kind:agent", "rm x", "deny"), ("bob", "ls 'x", "deny")],
)
def test_explain_prints_the_verdict_the_rule_and_why(
    tmp_path: Path, who: str, line: str, verdict: str
) -> None:
    file = tmp_path / "interlock.yaml"
    file.write_text(
        CONFIG + f'examples:\n  - {{as: "{who}", target: box, statement: ls, verdict: allow}}\n'
    )
    base = [sys.executable, "-m", "broker"]
    ran = subprocess.run(
        [*base, "explain", "--config", str(file), "--as", who, "--target", "box", line],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"verdict  {verdict}\nrule     ")
    tested = subprocess.run(
        [*base, "test", "--config", str(file)], capture_output=True, text=True, check=False
    )
    assert tested.stdout == "1 passed, 0 failed\n"
