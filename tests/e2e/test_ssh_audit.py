"""What an auditor's scanner (`ssh-audit`) says of the listener: no fail, one known warning."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.certified import door

pytestmark = pytest.mark.peer

SCANNER = Path(sys.executable).with_name("ssh-audit")
KINDS = ("kex", "key", "enc", "mac")
PLAIN_CURVE = {  # for clients before OpenSSH 9.9; newer ones take the hybrid, which comes first
    "curve25519-sha256": ["does not provide protection against post-quantum attacks"],
    "curve25519-sha256@libssh.org": ["does not provide protection against post-quantum attacks"],
}


async def scan(port: int) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        SCANNER,
        *("-j", "--skip-rate-test", "-p", str(port), "127.0.0.1"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    report: dict[str, Any] = json.loads(out)
    return report


def notes(report: dict[str, Any], level: str) -> dict[str, list[str]]:
    return {
        one["algorithm"]: one["notes"][level]
        for kind in KINDS
        for one in report[kind]
        if level in one["notes"]
    }


async def test_the_scanner_finds_no_fault_and_one_known_warning(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        report = await scan(at.broker.port)
    assert all(report[kind] for kind in KINDS), "it saw what is offered"
    assert notes(report, "fail") == {}
    assert notes(report, "warn") == PLAIN_CURVE
    offered = [one["algorithm"] for one in report["kex"]]
    assert offered[0] == "mlkem768x25519-sha256"
    assert "kex-strict-s-v00@openssh.com" in offered
    assert report["cves"] == []
    assert report["banner"]["raw"] == "SSH-2.0-Interlock", "no version, and of no library"
    assert report["compression"] == ["none"]
    assert {one["algorithm"] for one in report["key"]} == {
        "ssh-ed25519-cert-v01@openssh.com",
        "ssh-ed25519",
    }
