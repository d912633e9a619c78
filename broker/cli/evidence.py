"""`interlock verify` and `interlock play`: the evidence, from the files alone."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from broker.cli import options
from broker.cli.terminal import OwnTerminal
from broker.errors import ExitCode, UsageError
from broker.evidence.verify import verify
from broker.ssh.replay import replay
from recordings.library import Library

if TYPE_CHECKING:
    import argparse


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    check = commands.add_parser("verify", help="check the audit log and every recording")
    options.add_config(check)
    check.add_argument("--json", action="store_true")
    check.set_defaults(run=run_verify)
    play = commands.add_parser("play", help="play a recording in this terminal")
    options.add_config(play)
    play.add_argument("session", help="a session id, or a .cast file")
    play.add_argument("--speed", type=float, default=1.0, help="how many times faster")
    play.add_argument("--idle", type=float, default=2.0, help="the longest pause, in seconds")
    play.set_defaults(run=run_play)


def run_verify(words: argparse.Namespace) -> int:
    """Say what was checked, and what is wrong, one problem a line."""
    report = verify(options.state(words))
    if words.json:
        told = {
            "ok": report.ok,
            "entries": report.entries,
            "recordings": report.recordings,
            "problems": list(report.problems),
        }
        print(json.dumps(told))
    elif report.ok:
        print(
            f"verified: {report.entries} entries, {report.recordings} recordings; "
            "nothing altered, removed or reordered"
        )
    else:
        print(f"NOT verified: {report.entries} entries, {report.recordings} recordings")
        for problem in report.problems:
            print(f"  - {problem}")
    return ExitCode.OK if report.ok else ExitCode.FAULT


def run_play(words: argparse.Namespace) -> int:
    """Play in time on a terminal; print the file itself into a pipe."""
    path = Path(words.session)
    if not path.is_file():
        found = Library(options.state(words) / "recordings").find(words.session)
        if found is None:
            msg = f"there is no recording of session {words.session!r}"
            raise UsageError(msg)
        path = found
    if not sys.stdout.isatty():
        sys.stdout.write(path.read_text(encoding="utf-8"))
        return ExitCode.OK
    asyncio.run(replay(path, OwnTerminal(), speed=words.speed, idle=words.idle))
    return ExitCode.OK
