"""Attacks on the shell targets of a whole broker, with stock ssh and probes on the target."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fixtures.demo import Demo

pytestmark = pytest.mark.peer

TARGETS = pytest.mark.parametrize("target", ["box", "web"])


@TARGETS
@pytest.mark.parametrize(
    "line",
    [
        "sh -c 'rm -f PROBE' x",  # a rule names sh -c: its code is judged all the same
        "sh -c 'rm -f PROBE' x y z",
        "sh -ec 'rm -f PROBE' -- x",
        "sh -c 'sh -c \"rm -f PROBE\" y' x",
        "echo a\nrm -f PROBE",
        "echo a;\\\nrm -f PROBE",
        "cat <<'E' | xargs rm\nPROBE\nE",
        "echo \\\nx; 'rm' PROBE",
    ],
)
def test_what_no_rule_covers_does_not_happen(demo: Demo, target: str, line: str) -> None:
    probe = Path("/tmp") / f"interlock-probe-{uuid.uuid4().hex}"
    probe.touch(0o666)
    try:
        text = line.replace("PROBE", str(probe))
        assert demo.ssh(f"{target}@engineer", text).returncode == 77
        assert probe.exists()
        assert demo.ssh(f"{target}@engineer", given=f"{text}\n").returncode == 77
        assert probe.exists()
    finally:
        probe.unlink(missing_ok=True)
