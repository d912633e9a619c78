from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest
from asyncssh.packet import NameList, String
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import IdentityRefused
from broker.identity.certificate import issue, issue_host, issue_target, new_serial, read
from broker.identity.openssh import EXTENSION
from tests.broker.identity.forging import Forged, forge, security_key
from tests.broker.identity.samples import ANN, NOW, ssh_key

if TYPE_CHECKING:
    from pathlib import Path

CA = ssh_key(name="ca")
KEY = ssh_key(name="ann")
LATER = NOW + timedelta(minutes=15)


def made(**changes: Any) -> asyncssh.SSHCertificate:
    options: dict[str, Any] = {"serial": 7, "not_before": NOW, "not_after": LATER} | changes
    ca, key = options.pop("ca", CA), options.pop("key", KEY)
    identity = options.pop("identity", ANN)
    return asyncssh.import_certificate(issue(ca, key, identity, **options))


def who(cert: asyncssh.SSHCertificate, now: datetime = NOW, ip: str | None = "10.0.0.1") -> Any:
    return read(cert, [CA.convert_to_public()], now, ip)


def refusal(cert: asyncssh.SSHCertificate, now: datetime = NOW, ip: str | None = None) -> str:
    with pytest.raises(IdentityRefused) as caught:
        who(cert, now, ip)
    return str(caught.value)


# -- what is right -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "algorithm",
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"],
)
def test_an_identity_comes_back_as_it_went_in(algorithm: str) -> None:
    key = ssh_key(algorithm)
    assert who(made(key=key)) == replace(
        ANN, serial=7, fingerprint=key.get_fingerprint(), expires=LATER
    )


@pytest.mark.parametrize("algorithm", ["ecdsa-sha2-nistp256", "ssh-rsa"])
def test_other_kinds_of_ca_never_sign_with_sha1(algorithm: str) -> None:
    ca = ssh_key(algorithm)
    cert = made(ca=ca)
    assert read(cert, [ca.convert_to_public()], NOW, None).name == ANN.name
    assert b"rsa-sha2-512" in cert.public_data or algorithm != "ssh-rsa"


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_keys_in_hardware(kind: str) -> None:
    key = security_key(kind)
    assert who(made(key=key)).fingerprint == key.get_fingerprint()


@pytest.mark.peer
@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", "sk"])
def test_ssh_keygen_reads_it(tmp_path: Path, algorithm: str) -> None:
    key = security_key("ed25519") if algorithm == "sk" else ssh_key(algorithm)
    file = tmp_path / "cert.pub"
    file.write_bytes(
        issue(
            CA,
            key,
            ANN,
            serial=7,
            not_before=NOW,
            not_after=LATER,
            source_address="::ffff:10.1.2.3",
        )
    )
    shown = listed(file)
    assert "user certificate" in shown
    assert f"Signing CA: ED25519 {CA.get_fingerprint()} (using ssh-ed25519)" in shown
    assert 'Key ID: "human:ann@example.com@corp"' in shown
    assert "Serial: 7" in shown
    assert "Principals: ann@example.com group:dba group:repo:acme/x Critical" in shown
    assert "Critical Options: source-address 10.1.2.3/32 Extensions: interlock@" in shown
    assert shown.endswith("permit-port-forwarding permit-pty")


def listed(file: Path) -> str:
    done = subprocess.run(
        ["ssh-keygen", "-L", "-f", str(file)],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
    )
    return " ".join(done.stdout.split())


@pytest.mark.peer
def test_a_certificate_that_ssh_keygen_signed_reads_the_same(tmp_path: Path) -> None:
    CA.write_private_key(tmp_path / "ca")
    (tmp_path / "ca").chmod(0o600)
    KEY.write_public_key(tmp_path / "key.pub")
    said: dict[str, object] = {
        "subject": "u-1",
        "issuer": "corp",
        "kind": "human",
        "name": "ann@example.com",
        "groups": ["dba"],
        "acting_for": None,
        "claims": {},
    }
    command = ["ssh-keygen", "-q", "-s", "ca", "-I", "human:ann@example.com@corp", "-z", "9"]
    command += ["-n", "ann@example.com,group:dba", "-V", "20260301115900Z:20260301121500Z"]
    command += ["-O", "clear", "-O", f"extension:{EXTENSION}={json.dumps(said)}", "key.pub"]
    subprocess.run(command, check=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "TZ": "UTC"})
    identity = who(asyncssh.read_certificate(tmp_path / "key-cert.pub"))
    assert (identity.name, identity.serial, identity.groups) == ("ann@example.com", 9, ("dba",))


# -- attacks -----------------------------------------------------------------------------------


def test_another_ca() -> None:
    assert "not signed by this broker's CA" in refusal(made(ca=ssh_key(name="mallory")))


def test_a_ca_that_only_claims_to_be_ours() -> None:
    forged = forge(ssh_key(name="mallory"), KEY, Forged.of(ANN, NOW, LATER), claim=CA)
    assert refusal(forged) == "the certificate's signature is wrong"


def test_the_key_of_somebody_else_in_a_signed_certificate() -> None:
    data = made().public_data.replace(
        KEY.public_data[-32:], ssh_key(name="mallory").public_data[-32:]
    )
    assert refusal(rewritten(data)) == "the certificate's signature is wrong"


@pytest.mark.parametrize("old", [b"dba", b"ann@example.com", b"permit-pty"])
def test_a_changed_byte_anywhere(old: bytes) -> None:
    new = old[:-1] + bytes([old[-1] ^ 1])
    data = made().public_data.replace(old, new)
    assert refusal(rewritten(data)) == "the certificate's signature is wrong"


def rewritten(data: bytes) -> asyncssh.SSHCertificate:
    """A certificate object with other bytes, as a library that did not check would give it."""
    cert = made()
    cert.public_data = data
    return cert


def test_a_host_certificate_is_not_a_person() -> None:
    line = issue_host(CA, KEY, serial=1, not_before=NOW, not_after=LATER, names=["x"])
    assert refusal(asyncssh.import_certificate(line)) == "this is not a user certificate"
    forged = forge(CA, KEY, replace(Forged.of(ANN, NOW, LATER), kind=2))
    assert refusal(forged) == "this is not a user certificate"


def test_a_session_certificate_for_a_target_is_not_a_person() -> None:
    line = issue_target(CA, KEY, user="u", identity=ANN, session="s", serial=1, now=NOW)
    assert "does not say who it is for" in refusal(asyncssh.import_certificate(line))


def test_time() -> None:
    cert = made()
    assert refusal(cert, LATER) == "the certificate has expired; log in again"
    assert refusal(cert, LATER + timedelta(days=9)).startswith("the certificate has expired")
    assert "not valid yet" in refusal(cert, NOW - timedelta(seconds=31))
    assert who(cert, NOW - timedelta(seconds=30)).name == ANN.name
    assert who(cert, LATER - timedelta(seconds=1)).name == ANN.name


@pytest.mark.parametrize(
    ("after", "before"), [(0, 2**64 - 1), (0, 86_431), (1, 1), (2, 1), (2**64 - 2, 2**64 - 1)]
)
def test_a_validity_that_we_never_sign(after: int, before: int) -> None:
    start = int(NOW.timestamp()) if before == 86_431 else 0
    forged = replace(Forged.of(ANN, NOW, LATER), after=start + after, before=start + before)
    assert "valid" in refusal(forge(CA, KEY, forged))


def test_more_than_a_day_is_not_signed() -> None:
    with pytest.raises(ValueError, match="at most"):
        made(not_after=NOW + timedelta(hours=24, seconds=1))
    with pytest.raises(ValueError, match="at most"):
        made(not_after=NOW)
    assert who(made(not_after=NOW + timedelta(hours=24))).name == ANN.name


@pytest.mark.parametrize(
    ("bound", "here", "good"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1", "fe80::1%eth0", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::1", False),
        ("10.0.0.1", None, False),
        ("10.0.0.1", "", False),
        ("10.0.0.1", "somewhere", False),
    ],
)
def test_source_address(bound: str, here: str | None, good: bool) -> None:
    cert = made(source_address=bound)
    if good:
        assert who(cert, ip=here).name == ANN.name
    else:
        assert "for another source address" in refusal(cert, ip=here)


def options(*pairs: tuple[str, bytes]) -> bytes:
    return b"".join(String(name) + String(value) for name, value in pairs)


@pytest.mark.parametrize("value", [b"", String(""), String("10.0.0.0/33"), NameList([b"x"]), b"\0"])
def test_a_source_address_that_cannot_be_read_is_nowhere(value: bytes) -> None:
    forged = replace(Forged.of(ANN, NOW, LATER), critical=options(("source-address", value)))
    with pytest.raises((IdentityRefused, asyncssh.KeyImportError)):
        who(forge(CA, KEY, forged), ip="10.0.0.1")


@pytest.mark.parametrize("name", ["force-command", "verify-required"])
def test_a_restriction_that_we_do_not_know_is_not_ignored(name: str) -> None:
    cert = made()
    forged = forge(
        CA,
        KEY,
        replace(Forged.of(ANN, NOW, LATER), critical=options((name, String("x")))),
        raw=True,
    )
    cert.public_data = forged.public_data
    assert f"a restriction that is not known here: '{name}'" in refusal(cert)


def fields(**changes: object) -> dict[str, object]:
    said: dict[str, object] = {
        "subject": "u-1",
        "issuer": "corp",
        "kind": "human",
        "name": "ann@example.com",
        "groups": ["dba", "repo:acme/x"],
        "acting_for": "bob@example.com",
        "claims": {"run_id": "42"},
    }
    return {key: value for key, value in (said | changes).items() if value is not ...}


def extension(said: object) -> bytes:
    text = said if isinstance(said, str) else json.dumps(said)
    return options((EXTENSION, String(text)))


@pytest.mark.parametrize(
    "extensions",
    [
        b"",
        options(("permit-pty", b"")),
        options(("interlock", String(json.dumps(fields())))),
        options((EXTENSION, json.dumps(fields()).encode())),
        options((EXTENSION, String(json.dumps(fields())) + b"x")),
        extension(""),
        extension("null"),
        extension("[]"),
        extension("[" * 20_000),
        extension(fields(name=...)),
        extension(fields(acting_for=...)),
        extension(fields(more="x")),
        extension(fields(kind="robot")),
        extension(fields(kind=None)),
        extension(fields(name=7)),
        extension(fields(name="kind:human")),
        extension(fields(acting_for="a b")),
        extension(fields(groups="dba")),
        extension(fields(groups=[1])),
        extension(fields(groups=["a b"])),
        extension(fields(groups=["g"] * 300)),
        extension(fields(claims=[])),
        extension(fields(claims={"a": 1})),
    ],
    ids=range(23),
)
def test_an_extension_that_is_missing_or_wrong(extensions: bytes) -> None:
    forged = forge(CA, KEY, replace(Forged.of(ANN, NOW, LATER), extensions=extensions))
    assert "does not say who it is for" in refusal(forged)


@pytest.mark.parametrize(
    "extensions",
    [
        extension(fields()) + extension(fields(name="bob@example.com")),
        options(("permit-pty", b"")) + extension(fields()),
        options(("permit-pty", b""), ("permit-pty", b"")),
        b"\0\0\0\1",
    ],
)
def test_repeated_or_unordered_extensions(extensions: bytes) -> None:
    forged = replace(Forged.of(ANN, NOW, LATER), extensions=extensions)
    cert = made()
    cert.public_data = forge(CA, KEY, forged, raw=True).public_data
    assert refusal(cert) == "the certificate is malformed"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "bob@example.com"},
        {"kind": "agent"},
        {"issuer": "github"},
        {"groups": ["dba", "repo:acme/x", "root"]},
        {"groups": ["dba"]},
        {"groups": ["repo:acme/x", "dba"]},
    ],
)
def test_an_extension_that_says_something_else_than_the_rest(changes: dict[str, object]) -> None:
    forged = replace(Forged.of(ANN, NOW, LATER), extensions=extension(fields(**changes)))
    assert "contradicts itself" in refusal(forge(CA, KEY, forged))


def test_principals() -> None:
    forged = Forged.of(ANN, NOW, LATER)
    assert "no principals" in refusal(forge(CA, KEY, replace(forged, principals=())))
    for principals in [(*ANN.principals, "root"), ANN.principals[:-1], ("root",)]:
        cert = forge(CA, KEY, replace(forged, principals=principals))
        assert "contradicts itself" in refusal(cert)


def test_weak_keys_get_no_certificate() -> None:
    with pytest.raises(IdentityRefused, match="at least 2048 bits"):
        made(key=asyncssh.generate_private_key("ssh-rsa", key_size=1024))
    with pytest.raises(IdentityRefused, match="keys of this type"):
        made(key=asyncssh.generate_private_key("ssh-dss"))
    weak = asyncssh.generate_private_key("ssh-rsa", key_size=1024)
    assert "at least 2048" in refusal(forge(CA, weak, Forged.of(ANN, NOW, LATER)))


def test_too_much_to_carry() -> None:
    claims = {f"c{n}": "x" * 1000 for n in range(80)}
    with pytest.raises(IdentityRefused, match="too long for a certificate"):
        made(identity=replace(ANN, claims=claims))


DATA = made().public_data


@settings(max_examples=200)
@given(st.integers(0, len(DATA) - 1), st.integers(0, 4), st.binary(max_size=4))
def test_no_damaged_certificate_is_anybody(at: int, cut: int, put: bytes) -> None:
    damaged = DATA[:at] + put + DATA[at + cut :]
    if damaged != DATA:
        with pytest.raises(IdentityRefused):
            who(rewritten(damaged))


# -- the other certificates --------------------------------------------------------------------


@pytest.mark.peer
def test_a_session_certificate_names_the_user_the_person_and_the_session(tmp_path: Path) -> None:
    file = tmp_path / "cert.pub"
    file.write_bytes(
        issue_target(CA, KEY, user="deploy", identity=ANN, session="s-1", serial=3, now=NOW)
    )
    shown = listed(file)
    assert 'Key ID: "interlock human:ann@example.com@corp for bob@example.com session s-1"' in shown
    assert "Valid: from 2026-03-01T11:59:30 to 2026-03-01T12:05:00" in shown
    assert "Principals: deploy Critical Options: (none) Extensions: permit-pty" in shown
    assert shown.endswith("permit-pty")


@pytest.mark.peer
def test_a_host_certificate(tmp_path: Path) -> None:
    file = tmp_path / "cert.pub"
    file.write_bytes(
        issue_host(CA, KEY, serial=3, not_before=NOW, not_after=LATER, names=["b", "*"])
    )
    shown = listed(file)
    assert "host certificate" in shown
    assert "Principals: b * Critical Options: (none) Extensions: (none)" in shown


def test_serials_differ_and_fit() -> None:
    serials = {new_serial() for _ in range(1000)}
    assert len(serials) == 1000
    assert all(0 < serial < 2**63 for serial in serials)
