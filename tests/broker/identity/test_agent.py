"""A CA key in a real ssh-agent, and in agents that lie."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import asyncssh
import pytest
from asyncssh.packet import Byte, String, UInt32

from broker.errors import IdentityRefused, InterlockError, TryLater
from broker.identity import agent
from broker.identity.authority import Authority
from broker.identity.custody import InAgent, InFile
from broker.identity.openssh import parse
from tests.broker.identity.forging import security_key
from tests.broker.identity.samples import ANN, NOW, ssh_key
from tests.fixtures.agent import running_agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TTL = timedelta(minutes=10)


def granted(authority: Authority) -> asyncssh.SSHCertificate:
    line, _ = authority.grant(ssh_key(name="ann"), ANN, ttl=TTL, now=NOW)
    return asyncssh.import_certificate(line)


def name_in(authority: Authority, cert: asyncssh.SSHCertificate) -> str:
    return authority.read(cert, NOW, None).name


# -- a real one --------------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp384", "ssh-rsa"])
def test_the_agent_signs(tmp_path: Path, algorithm: str) -> None:
    ca = ssh_key(algorithm, "ca in agent")
    with running_agent(tmp_path / "s", ssh_key(name="another"), ca) as path:
        custody = InAgent(ca.get_fingerprint(), path)
        authority = Authority.open(tmp_path / "keys", custody)
        cert = granted(authority)
    assert name_in(authority, cert) == ANN.name, "the agent is not needed for reading"
    assert not (tmp_path / "keys" / "user_ca").exists()
    file = tmp_path / "cert.pub"
    cert.write_certificate(file)
    shown = subprocess.run(
        ["ssh-keygen", "-L", "-f", file], capture_output=True, text=True, check=True
    ).stdout
    assert ca.get_fingerprint() in shown
    assert algorithm != "ssh-rsa" or "using rsa-sha2-512" in shown


@pytest.mark.peer
def test_the_environment_names_the_agent(tmp_path: Path) -> None:
    ca = ssh_key(name="ca in agent")
    with running_agent(tmp_path / "s", ca) as path:
        environ = {"SSH_AUTH_SOCK": str(path)}
        authority = Authority.open(tmp_path / "keys", InAgent(ca.get_fingerprint()), (), environ)
        assert name_in(authority, granted(authority)) == ANN.name
    with pytest.raises(InterlockError, match="there is no ssh-agent: set SSH_AUTH_SOCK"):
        Authority.open(tmp_path / "keys", InAgent(ca.get_fingerprint()))


@pytest.mark.peer
def test_while_the_agent_is_away_certificates_are_read_and_none_is_signed(tmp_path: Path) -> None:
    ca = ssh_key(name="ca in agent")
    custody = InAgent(ca.get_fingerprint(), tmp_path / "s")
    with running_agent(tmp_path / "s", ca):
        cert = granted(Authority.open(tmp_path / "keys", custody))
    restarted = Authority.open(tmp_path / "keys", custody)
    assert name_in(restarted, cert) == ANN.name
    with pytest.raises(TryLater, match=r"the CA key cannot be used now \(cannot reach the ssh-ag"):
        granted(restarted)
    with running_agent(tmp_path / "s", ca):
        assert name_in(restarted, granted(restarted)) == ANN.name
    with (
        running_agent(tmp_path / "s", ssh_key(name="another")),
        pytest.raises(TryLater, match="refused"),
    ):
        granted(restarted)


@pytest.mark.peer
def test_an_agent_without_the_key(tmp_path: Path) -> None:
    wanted = ssh_key(name="ca in agent").get_fingerprint()
    with (
        running_agent(tmp_path / "s", ssh_key(name="another")) as path,
        pytest.raises(InterlockError, match="has no key SHA256:"),
    ):
        Authority.open(tmp_path / "keys", InAgent(wanted, path))
    with pytest.raises(
        InterlockError, match=r"cannot reach the ssh-agent at .*/gone: No such file"
    ):
        Authority.open(tmp_path / "keys", InAgent(wanted, tmp_path / "gone"))


@pytest.mark.peer
def test_what_is_known_of_another_key_does_not_stand_for_this_one(tmp_path: Path) -> None:
    ca = ssh_key(name="ca in agent")
    with running_agent(tmp_path / "s", ca) as path:
        Authority.open(tmp_path / "keys", InAgent(ca.get_fingerprint(), path))
    other = ssh_key(name="another").get_fingerprint()
    with pytest.raises(InterlockError, match="cannot reach the ssh-agent"):
        Authority.open(tmp_path / "keys", InAgent(other, tmp_path / "s"))


# -- agents that lie ---------------------------------------------------------------------------


@contextmanager
def lying(path: Path, *answers: bytes) -> Iterator[None]:
    """An agent that gives these answers (with their length in front), one a connection."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join(10)


def listed(*keys: asyncssh.SSHKey) -> bytes:
    blobs = b"".join(String(key.public_data) + String("") for key in keys)
    return String(Byte(12) + UInt32(len(keys)) + blobs)


def signature(data: bytes) -> bytes:
    return String(Byte(14) + String(data))


CA = ssh_key(name="ca in agent")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (signature(ssh_key(name="x").sign(b"other", b"ssh-ed25519")), "gave a wrong signature"),
        (signature(CA.sign(b"other data", b"ssh-ed25519")), "gave a wrong signature"),
        (signature(String("ssh-rsa") + String(b"x" * 64)), "gave a wrong signature"),
        (signature(b""), "cannot be used now"),
        (String(Byte(5)), "refused"),
        (String(b""), "refused"),
        (listed(CA), "refused"),
        (b"", "it closed the connection"),
        (b"\0\0\0\x50\x0e", "it closed the connection"),
        (b"\xff\xff\xff\xff", "its answer is too long"),
    ],
    ids=count(),  # their bytes are new at each run
)
def test_a_bad_answer_is_no_signature(tmp_path: Path, answer: bytes, said: str) -> None:
    custody = InAgent(CA.get_fingerprint(), tmp_path / "s")
    with lying(tmp_path / "s", listed(CA), answer):
        authority = Authority.open(tmp_path / "keys", custody)
        with pytest.raises(TryLater, match=said):
            granted(authority)


@pytest.mark.parametrize(
    "answer",
    [
        listed(),
        listed(ssh_key(name="another")),
        String(Byte(12)),
        String(Byte(12) + UInt32(9)),
        String(Byte(12) + UInt32(1) + String(b"junk") + String("")),
        String(Byte(5)),
        b"",
    ],
    ids=count(),  # their bytes are new at each run
)
def test_a_list_without_the_key_is_a_sentence(tmp_path: Path, answer: bytes) -> None:
    with lying(tmp_path / "s", answer), pytest.raises(InterlockError, match=r"^user_ca: "):
        Authority.open(tmp_path / "keys", InAgent(CA.get_fingerprint(), tmp_path / "s"))


def test_an_agent_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "TIMEOUT_S", 0.2)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with pytest.raises(InterlockError, match="does not answer"):
            Authority.open(tmp_path / "keys", InAgent(CA.get_fingerprint(), tmp_path / "s"))


# -- other files, and earlier CAs --------------------------------------------------------------


def test_a_key_in_another_file_must_be_there_and_be_private(tmp_path: Path) -> None:
    file = tmp_path / "ca"
    with pytest.raises(InterlockError, match=f"No such file or directory .{file}"):
        Authority.open(tmp_path / "keys", InFile(file))
    assert not file.exists(), "a mistyped path does not make a new CA"
    CA.write_private_key(file)
    file.chmod(0o640)
    with pytest.raises(InterlockError, match="chmod 600"):
        Authority.open(tmp_path / "keys", InFile(file))
    file.chmod(0o600)
    authority = Authority.open(tmp_path / "keys", InFile(file))
    assert authority.user_ca.public_data == CA.public_data
    assert not (tmp_path / "keys" / "user_ca").exists()


def rotated(tmp_path: Path) -> tuple[Authority, Authority]:
    """Before and after: the CA in `keys`, then another one that trusts it."""
    before = Authority.open(tmp_path / "keys")
    ssh_key(name="next").write_private_key(tmp_path / "next")
    (tmp_path / "next").chmod(0o600)
    old = tmp_path / "keys" / "user_ca.pub"
    return before, Authority.open(tmp_path / "keys", InFile(tmp_path / "next"), [old])


def test_both_cas_are_accepted_and_the_new_one_signs(tmp_path: Path) -> None:
    before, after = rotated(tmp_path)
    old, new = granted(before), granted(after)
    assert name_in(after, old) == name_in(after, new) == ANN.name
    assert parse(new).signing_key == ssh_key(name="next").public_data
    with pytest.raises(IdentityRefused, match="not signed by this broker's CA"):
        before.read(new, NOW, None)


def test_a_ca_that_is_off_the_list_is_nobody(tmp_path: Path) -> None:
    before, _ = rotated(tmp_path)
    without = Authority.open(tmp_path / "keys", InFile(tmp_path / "next"))
    with pytest.raises(IdentityRefused, match="not signed by this broker's CA"):
        without.read(granted(before), NOW, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"old\.pub is not a public key"),
        (b"junk\n", r"old\.pub is not a public key"),
        (CA.export_private_key(), "its public half belongs here"),
        (security_key("ed25519").export_public_key(), "cannot be the CA"),
    ],
)
def test_an_earlier_ca_is_a_public_key(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "old.pub"
    file.write_bytes(content)
    with pytest.raises(InterlockError, match=said):
        Authority.open(tmp_path / "keys", None, [file])


def test_a_serial_of_the_store_is_taken(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "keys")
    line, signed = authority.grant(ssh_key(), ANN, ttl=TTL, now=NOW, serial=2**63 - 1)
    assert signed.serial == authority.read(asyncssh.import_certificate(line), NOW, None).serial
    assert signed.serial == 2**63 - 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "ca"
    file.touch(0o000)
    with pytest.raises(InterlockError, match="Permission denied"):
        Authority.open(tmp_path / "keys", InFile(file))
