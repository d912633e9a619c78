"""Attacks on who somebody is, at a running broker; each row once was, or might be, a way in."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest

from broker.identity.openssh import EXTENSION
from tests.e2e.certified import ANN, NAME, SAID, door, forge, make_key
from tests.e2e.test_certificates import OURS, REFUSED, keygen
from tests.fixtures.oidc import provider
from tests.fixtures.served import Person, issuers, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.oidc import Provider
    from tests.fixtures.served import Served

pytestmark = pytest.mark.peer

REST = """\
listen: 127.0.0.1:0
state: state
drain: 1s
targets:
  box: {kind: command, argv: [/bin/sh]}
rules:
  - {name: look, who: ["*"], targets: [box], allow: {commands: ["ls **"]}}
"""
PERSON = {"email": "ann@acme.example", "groups": ["engineers"]}
JOB: dict[str, object] = {
    "repository": "acme/shop",
    "actor": "ann@acme.example",
    "run_id": "1",
    "ref": "main",
}


@pytest.mark.parametrize("sha", ["ssh-rsa", "rsa-sha2-256"])
async def test_an_rsa_key_signs_with_sha2_or_not_at_all(tmp_path: Path, sha: str) -> None:
    key = make_key(tmp_path, "id", "-t", "rsa", "-b", "2048")
    old = sha == "ssh-rsa"
    only = f"PubkeyAcceptedAlgorithms={sha},{sha}-cert-v01@openssh.com"
    async with door(tmp_path) as at:
        token = at.issuer.token(ANN)
        login = await at.ssh(key, "login", given=token, options=only)
        assert (login.code == 255) is old, login.err
        assert (await at.log_in(key)).code == 0
        told = await at.ssh(key, "broker", "whoami", options=only)
        assert (told.code == 255) is old, told.err
    assert len(at.events("login.granted")) == (1 if old else 2)


async def test_a_certificate_for_nobody_in_particular_is_for_nobody(tmp_path: Path) -> None:
    """asyncssh takes an empty list of principals for any user."""
    key = make_key(tmp_path, "id")
    async with door(tmp_path) as at:
        said = f"extension:{EXTENSION}={json.dumps(SAID)}"
        who = ["-I", f"human:{NAME}@corp", "-V", "-1m:+5m", "-O", "clear", "-O", said]
        keygen("-q", "-s", tmp_path / OURS, *who, tmp_path / f"{key}.pub")
        ran = await at.whoami(key)
    assert ran.code == 255
    assert f"{REFUSED}the certificate has no principals" in ran.err
    assert [one["issuer"] for one in at.events("login.refused")] == [None]


async def test_an_rsa_ca_that_signs_with_sha1_is_nobodys(tmp_path: Path) -> None:
    key, ca = make_key(tmp_path, "id"), make_key(tmp_path, "ca", "-t", "rsa", "-b", "2048")
    async with door(tmp_path, f"user_ca: {{file: {ca}}}") as at:
        forge(tmp_path / ca, tmp_path / key, "-t", "rsa-sha2-256")
        assert (await at.whoami(key)).code == 0
        forge(tmp_path / ca, tmp_path / key, "-t", "ssh-rsa")
        ran = await at.whoami(key)
        assert ran.code == 255, ran.out


async def test_a_plain_key_opens_the_login_and_nothing_else(tmp_path: Path) -> None:
    private = asyncssh.read_private_key(tmp_path / make_key(tmp_path, "id"))
    async with door(tmp_path) as at:
        async with at.connect("login", [private]) as connection:
            with pytest.raises(asyncssh.ChannelOpenError, match="a certificate is needed here"):
                await connection.open_connection("box", 5432)
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_unix_connection("/run/x")
            refused = await connection.run(subsystem="sftp", input="")
            assert refused.exit_status == 64
            good = await connection.run(input=at.issuer.token(ANN))
            assert good.exit_status == 0, "and it still is a login"
        for user in ("box", "broker", "approvals", "Login", "login ", "LOGIN"):
            with pytest.raises(asyncssh.PermissionDenied):
                await at.connect(user, [private])
    assert at.events("certificate.used") == []


async def test_a_login_is_for_the_key_that_signed_and_no_other(tmp_path: Path) -> None:
    """A key that was only offered, and never proven, gets nothing."""
    mine, theirs = make_key(tmp_path, "mine"), make_key(tmp_path, "theirs")

    class Probe(asyncssh.SSHClient):
        """Offers somebody else's public key first; the signature would have to be theirs."""

        def __init__(self) -> None:
            public = asyncssh.read_public_key(tmp_path / f"{theirs}.pub")
            private = asyncssh.read_private_key(tmp_path / mine)
            self._keys = [_Borrowed(private, public), private]

        def public_key_auth_requested(self) -> Any:
            return self._keys.pop(0) if self._keys else None

    async with door(tmp_path) as at:
        known = asyncssh.import_known_hosts((tmp_path / "known_hosts").read_text())
        async with asyncssh.connect(
            *("127.0.0.1", at.broker.port),
            client_factory=Probe,
            username="login",
            known_hosts=known,
            config=None,
            agent_path=None,
            client_keys=(),
        ) as connection:
            ran = await connection.run(input=at.issuer.token(ANN))
    certificate = asyncssh.import_certificate(str(ran.stdout))
    public = asyncssh.read_public_key(tmp_path / f"{mine}.pub")
    assert certificate.key.get_fingerprint() == public.get_fingerprint()
    (granted,) = at.events("login.granted")
    assert granted["fingerprint"] == public.get_fingerprint()
    assert granted["actor"] == f"human:{NAME}@corp"


class _Borrowed(asyncssh.public_key.SSHLocalKeyPair):
    """Says that it is one key, and signs with another."""

    def __init__(self, private: asyncssh.SSHKey, public: asyncssh.SSHKey) -> None:
        super().__init__(private, None, None, None)
        self.public_data = public.public_data


# -- issuers -----------------------------------------------------------------------------------


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[tuple[Served, Provider, Provider, Person]]:
    """A broker with two issuers, and somebody with a key and no certificate."""
    with contextlib.ExitStack() as stack:
        corp, ci = stack.enter_context(provider("RS256")), stack.enter_context(provider("ES256"))
        (tmp_path / "broker").mkdir()
        broker = stack.enter_context(serving(tmp_path / "broker", issuers(corp, ci) + REST))
        home = tmp_path / "home"
        home.mkdir()
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "key")]
        subprocess.run(argv, check=True)
        yield broker, corp, ci, Person(broker, home)


def test_garbage_cannot_make_us_hammer_an_issuer_nor_keep_others_out(
    firm: tuple[Served, Provider, Provider, Person],
) -> None:
    _, corp, ci, person = firm
    for at, claims in ((corp, PERSON), (ci, JOB)):
        assert person.ssh("login", given=at.token(**claims)).returncode == 0
        published, at.kid = at.kid, "unknown"
        for number in range(8):
            at.kid = f"unknown-{number}"
            refused = person.ssh("login", given=at.token(**claims))
            assert refused.returncode == 77
        at.kid = published
        assert person.ssh("login", given=at.token(**claims)).returncode == 0
        assert at.fetched <= 2, "once at first, and once for all the unknown ones"


def test_a_key_is_rotated_without_a_restart_and_the_old_one_is_over(
    firm: tuple[Served, Provider, Provider, Person],
) -> None:
    _, corp, _, person = firm
    assert person.ssh("login", given=corp.token(**PERSON)).returncode == 0
    old = corp.token(**PERSON)
    corp.rotate()
    ran = person.ssh("login", given=corp.token(**PERSON))
    assert ran.returncode == 0, ran.stderr
    assert person.ssh("login", given=old).returncode == 77


@pytest.mark.parametrize("size", [15_000, 17_000, 200_000])
def test_a_large_token_is_bounded(
    firm: tuple[Served, Provider, Provider, Person], size: int
) -> None:
    _, corp, _, person = firm
    token = corp.token(**PERSON, more="x" * (size * 3 // 4 - 600))
    ran = person.ssh("login", given=token)
    assert ran.returncode == (0 if len(token) <= 16 * 1024 else 64), ran.stderr
    assert ran.stderr.count("\n") == 1
