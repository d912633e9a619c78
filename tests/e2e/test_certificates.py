"""Certificates at the door of a running broker: keys of every kind, and every kind of forgery."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shlex
import subprocess
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh
import pytest
from asyncssh.packet import Byte, String, UInt32
from asyncssh.public_key import SSHLocalKeyPair

from broker.config.load import load
from broker.errors import InterlockError
from tests.broker.identity.forging import security_key
from tests.broker.identity.samples import ssh_key
from tests.e2e.certified import NAME, SAID, door, forge, make_key
from tests.fixtures.agent import running_agent

if TYPE_CHECKING:
    from tests.e2e.certified import Door

pytestmark = pytest.mark.peer

REFUSED = "interlock: this certificate is refused: "


def keygen(*words: str | Path) -> str:
    ran = subprocess.run(["ssh-keygen", *words], capture_output=True, text=True, check=True)
    return ran.stdout


def fingerprint(folder: Path, key: str) -> str:
    return keygen("-l", "-f", folder / f"{key}.pub").split()[1]


def listed(file: Path) -> str:
    """The certificate as an auditor sees it."""
    return keygen("-L", "-f", file)


def inside(file: Path) -> bytes:
    """What the extension holds, by the command line that docs/identity.md gives."""
    page = (Path(__file__).parents[2] / "docs" / "identity.md").read_text()
    (command,) = re.findall(
        r"^ssh-keygen -L -f (?:\S+) \| (sed .*) \| xxd -r -p$", page, re.MULTILINE
    )
    words = shlex.split(command)
    ran = subprocess.run(words, input=listed(file), capture_output=True, text=True, check=True)
    return bytes.fromhex(ran.stdout)


# -- what is right -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("-t", "ed25519"),
        ("-t", "ecdsa", "-b", "256"),
        ("-t", "ecdsa", "-b", "521"),
        ("-t", "rsa", "-b", "2048"),
    ],
    ids=lambda words: "-".join(words[1::2]),
)
async def test_keys_of_every_kind(tmp_path: Path, words: tuple[str, ...]) -> None:
    key = make_key(tmp_path, "id", *words)
    async with door(tmp_path) as at:
        login = await at.log_in(key)
        assert login.code == 0, login.err
        told = await at.whoami(key)
        assert told.code == 0, told.err
        assert json.loads(told.out)["identity"] == f"human:{NAME}@corp"
    (granted,) = at.events("login.granted")
    shown = listed(tmp_path / "id-cert.pub")
    assert f"Serial: {granted['serial']}\n" in shown
    assert f'Key ID: "human:{NAME}@corp"' in shown
    assert json.loads(inside(tmp_path / "id-cert.pub")) == SAID
    assert granted["fingerprint"] == fingerprint(tmp_path, key)
    assert granted["source"] == "127.0.0.1"


class SecurityKey(SSHLocalKeyPair):
    """A FIDO key whose hardware is software: what it signs has its counter and its touch."""

    def __init__(
        self, kind: str, cert: asyncssh.SSHCertificate | None = None, *, touched: bool = True
    ) -> None:
        super().__init__(security_key(kind), None, cert, None)
        self._inside = ssh_key() if kind == "ed25519" else ssh_key("ecdsa-sha2-nistp256")
        self._flags = Byte(1 if touched else 0)

    def sign(self, data: bytes) -> bytes:
        application = hashlib.sha256(b"ssh:").digest()
        what = application + self._flags + UInt32(7) + hashlib.sha256(data).digest()
        kind = self._inside.algorithm
        signature = self._inside.sign(what, kind).removeprefix(String(kind))
        return String(self._key.algorithm) + signature + self._flags + UInt32(7)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
async def test_fido_keys(tmp_path: Path, kind: str) -> None:
    async with door(tmp_path) as at:
        async with at.connect("login", [SecurityKey(kind)]) as connection:
            made = await connection.run(
                input=at.issuer.token({"sub": "u", "email": NAME, "groups": []})
            )
            assert made.exit_status == 0, made.stderr
        cert = asyncssh.import_certificate(made.stdout)
        async with at.connect("broker", [SecurityKey(kind, cert)]) as connection:
            told = await connection.run("whoami --json")
        assert json.loads(told.stdout)["identity"] == f"human:{NAME}@corp"
        for user, proof in (("broker", cert), ("login", None)):
            with pytest.raises(asyncssh.PermissionDenied):
                await at.connect(user, [SecurityKey(kind, proof, touched=False)])
    whys = [one["why"] for one in at.events("login.refused")]
    assert whys == ["the signature by its key is wrong, or a FIDO key was not touched"] * 2
    (granted,) = at.events("login.granted")
    assert granted["fingerprint"] == security_key(kind).get_fingerprint()


async def test_a_weak_key_gets_no_certificate_and_the_log_says_why(tmp_path: Path) -> None:
    key = make_key(tmp_path, "id", "-t", "rsa", "-b", "1024")
    async with door(tmp_path) as at:
        login = await at.log_in(key)
    assert login.code == 77
    assert "interlock: an RSA key must have at least 2048 bits" in login.err
    assert [one["why"] for one in at.events("login.refused")] == [
        "an RSA key must have at least 2048 bits"
    ]


# -- forgeries ---------------------------------------------------------------------------------

OURS = "state/keys/user_ca"


@pytest.mark.parametrize(
    ("ca", "more", "said", "why"),
    [
        ("mallory", (), None, "the certificate was not signed by this broker's CA"),
        ("state/keys/target_ca", (), None, "the certificate was not signed by this broker's CA"),
        ("state/keys/host_ca", (), None, "the certificate was not signed by this broker's CA"),
        (OURS, ("-V", "-2h:-1h"), None, "the certificate has expired"),
        (OURS, ("-V", "+1h:+2h"), None, "the certificate is not valid yet"),
        (OURS, ("-V", "always:forever"), None, "valid for longer than this broker ever signs"),
        (OURS, (), {}, "does not say who it is for"),
        (OURS, (), SAID | {"groups": ["engineers", "dba"]}, "the certificate contradicts itself"),
        (OURS, (), SAID | {"name": "bob@acme.example"}, "the certificate contradicts itself"),
        (OURS, (), SAID | {"kind": "agent"}, "the certificate contradicts itself"),
        (OURS, (), SAID | {"admin": True}, "does not say who it is for"),
        (OURS, ("-n", f"{NAME},group:dba"), None, "the certificate contradicts itself"),
        (OURS, ("-O", "force-command=true"), None, "has a restriction that is not known here"),
        (OURS, ("-O", "critical:x@y=z"), None, "has a restriction that is not known here"),
        (OURS, ("-O", "source-address=10.0.0.0/8"), None, "is for another source address"),
    ],
)
async def test_a_forgery_is_refused_with_a_sentence_and_a_reason_in_the_log(
    tmp_path: Path, ca: str, more: tuple[str, ...], said: dict[str, object] | None, why: str
) -> None:
    key = make_key(tmp_path, "id")
    make_key(tmp_path, "mallory")
    async with door(tmp_path) as at:
        forge(tmp_path / ca, tmp_path / key, *more, said=said)
        ran = await at.whoami(key)
    assert ran.code == 255
    assert ran.out == ""
    assert REFUSED in ran.err
    assert why in ran.err
    refused = at.events("login.refused")
    assert len(refused) == 1
    assert why in refused[0]["why"]
    assert refused[0]["source"] == "127.0.0.1"
    assert refused[0]["fingerprint"] in (fingerprint(tmp_path, key), "")


async def test_what_the_forger_would_have_to_make_opens_the_door(tmp_path: Path) -> None:
    """So that the forgeries above fail for the one thing that is wrong with them."""
    key = make_key(tmp_path, "id")
    async with door(tmp_path) as at:
        forge(tmp_path / OURS, tmp_path / key)
        assert (await at.whoami(key)).code == 0
        forge(tmp_path / OURS, tmp_path / key, "-O", "source-address=127.0.0.0/8")
        assert (await at.whoami(key)).code == 0


async def attempt(at: Door, key: str, change: bytes = b"", into: bytes = b"") -> str:
    """Offer a certificate, its bytes changed, as stock clients would not; gives what is heard."""
    heard: list[str] = []
    private = asyncssh.read_private_key(at.folder / key)
    cert = asyncssh.read_certificate(at.folder / f"{key}-cert.pub")
    assert change in cert.public_data
    cert.public_data = cert.public_data.replace(change, into)
    with pytest.raises(asyncssh.PermissionDenied):
        await at.connect("broker", [(private, cert)], heard)
    return "".join(heard)


async def test_a_host_certificate_is_not_a_person(tmp_path: Path) -> None:
    key = make_key(tmp_path, "id")
    async with door(tmp_path) as at:
        who = ["-h", "-I", f"human:{NAME}@corp", "-n", f"{NAME},group:engineers", "-V", "-1m:+5m"]
        keygen("-q", "-s", tmp_path / OURS, *who, tmp_path / "id.pub")
        assert (await at.whoami(key)).code == 255, "a stock ssh does not even offer it"
        assert await attempt(at, key) == f"{REFUSED}this is not a user certificate\n"
    assert [one["why"] for one in at.events("login.refused")] == ["this is not a user certificate"]


@pytest.mark.parametrize(
    ("change", "into"),
    [
        (b'"engineers"', b'"dba"      '),
        (b"group:engineers", b"group:approvers"),
        (NAME.encode(), b"bob@acme.example"),
        (b"interlock@", b"interlocK@"),
    ],
)
async def test_an_altered_certificate_is_refused_and_the_log_says_so(
    tmp_path: Path, change: bytes, into: bytes
) -> None:
    key = make_key(tmp_path, "id")
    async with door(tmp_path) as at:
        assert (await at.log_in(key)).code == 0
        heard = await attempt(at, key, change, into)
    why = "it was altered or is damaged, or has a restriction that is not known here"
    assert heard == f"{REFUSED}{why}\n"
    assert [one["why"] for one in at.events("login.refused")] == [why]


async def test_somebody_elses_certificate_without_their_key(tmp_path: Path) -> None:
    key, other = make_key(tmp_path, "id"), make_key(tmp_path, "other")

    class Pretender(SSHLocalKeyPair):
        def sign(self, data: bytes) -> bytes:
            return asyncssh.read_private_key(tmp_path / other).sign(data, b"ssh-ed25519")

    async with door(tmp_path) as at:
        assert (await at.log_in(key)).code == 0
        cert = asyncssh.read_certificate(tmp_path / f"{key}-cert.pub")
        theirs = asyncssh.read_private_key(tmp_path / key)
        with pytest.raises(asyncssh.PermissionDenied):
            await at.connect("broker", [Pretender(theirs, None, cert, None)])
    (refused,) = at.events("login.refused")
    assert "the signature by its key is wrong" in refused["why"]
    assert refused["fingerprint"] == fingerprint(tmp_path, key)


# -- where and when ----------------------------------------------------------------------------


async def test_a_certificate_that_is_bound_to_an_address_works_only_from_there(
    tmp_path: Path,
) -> None:
    key = make_key(tmp_path, "id")
    async with door(tmp_path, issuer="pin_source: true") as at:
        assert (await at.log_in(key)).code == 0
        assert (await at.whoami(key)).code == 0
        elsewhere = await at.whoami(key, options="BindAddress=127.0.0.2")
    assert elsewhere.code == 255
    assert f"{REFUSED}the certificate is for another source address" in elsewhere.err
    (refused,) = at.events("login.refused")
    assert refused["source"] == "127.0.0.2"
    shown = listed(tmp_path / "id-cert.pub")
    assert "source-address 127.0.0.1/32" in shown


async def ask_until_refused(connection: asyncssh.SSHClientConnection) -> None:
    async with asyncio.timeout(20):
        while True:
            assert (await connection.run("whoami")).exit_status == 0


async def test_a_connection_outlives_its_certificate_but_opens_no_new_channel(
    tmp_path: Path,
) -> None:
    key = make_key(tmp_path, "id")
    async with door(tmp_path, issuer="ttl: 4s") as at:
        assert (await at.log_in(key)).code == 0
        private = asyncssh.read_private_key(tmp_path / key)
        cert = asyncssh.read_certificate(tmp_path / f"{key}-cert.pub")
        async with at.connect("broker", [(private, cert)]) as connection:
            first = await connection.run("whoami --json")
            end = datetime.fromisoformat(json.loads(first.stdout)["expires"])
            with pytest.raises(asyncssh.ChannelOpenError, match="your certificate has expired"):
                await ask_until_refused(connection)
            assert datetime.now(end.tzinfo) >= end
            with pytest.raises(asyncssh.ChannelOpenError, match="your certificate has expired"):
                await connection.open_connection("box", 5432)
        late = await at.whoami(key)
        assert f"{REFUSED}the certificate has expired; log in again" in late.err


# -- the CA ------------------------------------------------------------------------------------


async def test_the_ca_key_in_an_agent(tmp_path: Path) -> None:
    key = make_key(tmp_path, "id")
    ca = ssh_key(name="ca in agent")
    top = f"user_ca: {{agent: '{ca.get_fingerprint()}', socket: agent.sock}}"
    with running_agent(tmp_path / "agent.sock", ca):
        async with door(tmp_path, top) as at:
            assert (await at.log_in(key)).code == 0
            assert (await at.whoami(key)).code == 0
    async with door(tmp_path, top) as at:
        make_key(tmp_path, "late")
        late = await at.log_in("late")
        assert late.code == 75
        assert "interlock: the CA key cannot be used now (cannot reach the ssh-agent" in late.err
        assert (await at.whoami(key)).code == 0, "certificates are good while the agent is away"
    assert not (tmp_path / "state" / "keys" / "user_ca").exists()


async def test_a_ca_that_cannot_be_opened_changes_nothing(tmp_path: Path) -> None:
    key = make_key(tmp_path, "id")
    (tmp_path / "ca2027").write_text("not a key")
    (tmp_path / "ca2027").chmod(0o600)
    async with door(tmp_path) as at:
        with pytest.raises(InterlockError, match="ca2027 is not a private key"):
            at.broker.reload(load(at.write("user_ca: {file: ca2027}"), environ={}))
        assert (await at.log_in(key)).code == 0
        assert (await at.whoami(key)).code == 0
    assert len(at.events("config.loaded")) == 1


async def test_a_ca_is_replaced_without_a_restart(tmp_path: Path) -> None:
    old, new = make_key(tmp_path, "old"), make_key(tmp_path, "new")
    make_key(tmp_path, "ca2027")
    async with door(tmp_path) as at:
        assert (await at.log_in(old)).code == 0
        top = "user_ca: {file: ca2027}\ntrusted_user_cas: [state/keys/user_ca.pub]"
        at.broker.reload(load(at.write(top), environ={}))
        assert (await at.log_in(new)).code == 0
        assert [(await at.whoami(key)).code for key in (old, new)] == [0, 0]
        at.broker.reload(load(at.write("user_ca: {file: ca2027}"), environ={}))
        assert [(await at.whoami(key)).code for key in (old, new)] == [255, 0]
        again = await at.log_in(old)
        assert again.code == 0
    signer = listed(tmp_path / "new-cert.pub")
    assert f"Signing CA: ED25519 {fingerprint(tmp_path, 'ca2027')}" in signer
    serials = [one["serial"] for one in at.events("login.granted")]
    assert len(set(serials)) == 3
