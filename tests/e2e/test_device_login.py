"""`ssh login@broker > KEY-cert.pub`: a stock ssh, a certified provider, and no token to paste."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from tests.fixtures.log_entries import entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.oidc_provider import CertifiedProvider

pytestmark = pytest.mark.peer

PATIENCE = 20.0
CONFIG = """\
listen: 127.0.0.1:0
state: state
issuers:
  - {{name: corp, issuer: "{url}", audience: interlock, client_id: cli-es256, kind: human,
     user: "{{email}}", groups_claim: groups}}
targets:
  box: {{kind: command, argv: [/bin/sh]}}
rules:
  - {{name: look, who: ["*"], targets: [box], allow: {{commands: ["ls **"]}}}}
"""


class Door:
    """A broker whose people log in at the provider, and one person's key."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        (folder / "interlock.yaml").write_text(CONFIG.format(url=url))
        self.key, self.certificate = folder / "key", folder / "key-cert.pub"
        keygen("-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        self.broker = subprocess.Popen(
            [sys.executable, "-m", "broker", "serve", "--config", str(folder / "interlock.yaml")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        said = until(self.broker.stderr, rb"listening on \S+\n")
        self.port = said.rsplit(b":", 1)[1].decode().strip()

    def log_in(
        self, keyboard: int, *words: str, flags: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """A stock ssh whose standard output is the certificate's file."""
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
        }
        argv = ["ssh", "-F", "none", "-p", self.port, "-i", str(self.key)]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        with self.certificate.open("wb") as certificate:
            return subprocess.Popen(
                [*argv, *flags, "login@127.0.0.1", *words],
                stdin=keyboard,
                stdout=certificate,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "TERM": "xterm"},
            )

    def stop(self) -> None:
        self.broker.terminate()
        self.broker.wait(timeout=20)
        if self.broker.stderr is not None:
            self.broker.stderr.close()


@pytest.fixture
def door(tmp_path: Path, certified_provider: CertifiedProvider) -> Iterator[Door]:
    opened = Door(tmp_path, certified_provider.url)
    try:
        yield opened
    finally:
        opened.stop()


@pytest.fixture
def keyboard() -> Iterator[tuple[int, int]]:
    """A terminal: the person's side and ssh's side."""
    person, theirs = os.openpty()
    try:
        yield person, theirs
    finally:
        os.close(person)
        os.close(theirs)


def test_a_person_at_a_terminal_gets_a_certificate_and_nothing_else_in_the_file(
    door: Door, keyboard: tuple[int, int], certified_provider: CertifiedProvider
) -> None:
    with ended(door.log_in(keyboard[1])) as ssh:
        shown = until(ssh.stderr, rb"Ctrl-C gives up\.\r\n")
        asyncio.run(certified_provider.approve(complete(shown), "alice"))
        rest = until(ssh.stderr, rb"you are human:alice@example.com@corp")
        assert ssh.wait(PATIENCE) == 0
    assert door.certificate.read_bytes().count(b"\n") == 1
    assert b"\r" not in door.certificate.read_bytes()
    listed = keygen("-L", "-f", str(door.certificate))
    fingerprint = keygen("-l", "-f", str(door.key)).split()[1]
    assert fingerprint in listed
    assert f"The certificate is for {fingerprint}.\r\n" in shown.decode()
    assert 'Key ID: "human:alice@example.com@corp"' in listed
    assert "group:dba" in listed
    assert "eyJ" not in (shown + rest).decode()


def test_without_a_keyboard_and_with_the_issuers_name_it_is_the_same(
    door: Door, certified_provider: CertifiedProvider
) -> None:
    with ended(door.log_in(subprocess.DEVNULL, "corp")) as ssh:
        shown = until(ssh.stderr, rb"Ctrl-C gives up\.\n")
        asyncio.run(certified_provider.deny(complete(shown), "alice"))
        until(ssh.stderr, rb"interlock: the login was refused at the issuer corp\n")
        assert ssh.wait(PATIENCE) == 77
    assert door.certificate.read_bytes() == b""
    refused = [entry for entry in entries(door.folder / "state" / "log") if "refused" in str(entry)]
    assert "SHA256:" in str(refused)


@pytest.mark.parametrize(
    ("holds", "words"),
    [("", ()), ("", ("-T",)), ("", ("-n",)), ("\n  \n", ()), (None, ())],
    ids=["empty file", "no terminal", "ssh -n", "blank lines", "/dev/null"],
)
def test_a_token_that_is_missing_is_a_sentence_at_once_and_no_wait_for_a_person(
    door: Door, holds: str | None, words: tuple[str, ...]
) -> None:
    file = door.folder / "token"
    file.write_text(holds or "")
    with (
        (file if holds is not None else Path(os.devnull)).open() as given,
        ended(door.log_in(given.fileno(), flags=words)) as ssh,
    ):
        shown = until(ssh.stderr, rb"\n").decode()
        assert ssh.wait(PATIENCE) == 64
    assert shown == (
        "interlock: there was no ID token on standard input; send an ID token on standard input: "
        "ssh login@THIS-HOST < id-token > KEYFILE-cert.pub - or name the issuer to log in by "
        "browser: ssh login@THIS-HOST corp\n"
    )
    assert door.certificate.read_bytes() == b""


def test_a_token_may_come_late_and_in_parts(
    door: Door, certified_provider: CertifiedProvider
) -> None:
    token = asyncio.run(certified_provider.id_token("alice")).encode()
    with ended(door.log_in(subprocess.PIPE)) as ssh:
        assert ssh.stdin is not None
        for part in (token[:100], token[100:], b"\n"):
            ssh.stdin.write(part)
            ssh.stdin.flush()
        ssh.stdin.close()
        until(ssh.stderr, rb"you are human:alice@example.com@corp")
        assert ssh.wait(PATIENCE) == 0


def test_ctrl_c_gives_up_at_once(door: Door, keyboard: tuple[int, int]) -> None:
    with ended(door.log_in(keyboard[1])) as ssh:
        until(ssh.stderr, rb"Ctrl-C gives up\.\r\n")
        os.write(keyboard[0], b"\x03")
        until(ssh.stderr, rb"interlock: the login was given up; run it again\r\n")
        assert ssh.wait(PATIENCE) == 75
    assert door.certificate.read_bytes() == b""


def complete(shown: bytes) -> str:
    found = re.search(rb"http\S+user_code=\S+", shown)
    assert found is not None, shown
    return found[0].decode()


def keygen(*words: str) -> str:
    return subprocess.run(["ssh-keygen", *words], capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the block."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def until(stream: IO[bytes] | None, pattern: bytes) -> bytes:
    """What a process says, up to this."""
    assert stream is not None
    said, end = b"", time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not re.search(pattern, said):
            assert selector.select(max(0.0, end - time.monotonic())), said
            data = os.read(stream.fileno(), 65536)
            assert data, said
            said += data
    return said
