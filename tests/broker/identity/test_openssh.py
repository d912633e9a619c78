from __future__ import annotations

import asyncssh
import pytest
from asyncssh.packet import String

from broker.errors import IdentityRefused
from broker.identity.openssh import (
    EXTENSION,
    HOST,
    USER,
    Terms,
    check_key,
    check_signer,
    is_damaged_certificate,
    parse,
    sign,
    single,
)
from tests.broker.identity.samples import ssh_key

CA = ssh_key(name="ca")
TERMS = Terms(
    USER, 5, "id", ("a", "b"), 10, 20, {EXTENSION: "text", "permit-pty": True, "unknown": True}
)


def test_what_is_signed_is_what_is_parsed() -> None:
    contents = parse(asyncssh.import_certificate(sign(CA, ssh_key(name="k"), TERMS)))
    assert (contents.kind, contents.serial, contents.key_id) == (USER, 5, "id")
    assert (contents.principals, contents.valid_after, contents.valid_before) == (
        ("a", "b"),
        10,
        20,
    )
    assert contents.critical == {}
    assert contents.extensions == {EXTENSION: String("text"), "permit-pty": b""}
    check_signer(contents, [ssh_key(name="other"), CA.convert_to_public()])
    with pytest.raises(IdentityRefused):
        check_signer(contents, [])


def test_a_line_says_whose_it_is() -> None:
    line = sign(CA, ssh_key(name="k"), TERMS)
    assert line.startswith(b"ssh-ed25519-cert-v01@openssh.com AAAA")
    assert line.endswith(b" id\n")
    assert line.count(b"\n") == 1


def test_a_sha1_signature_does_not_count() -> None:
    ca = ssh_key("ssh-rsa")
    cert = asyncssh.import_certificate(sign(ca, ssh_key(name="k"), TERMS))
    signed = parse(cert).signed
    cert.public_data = signed + String(ca.sign(signed, b"ssh-rsa"))
    with pytest.raises(IdentityRefused, match="signature is wrong"):
        check_signer(parse(cert), [ca.convert_to_public()])
    cert.public_data = signed + String(ca.sign(signed, b"rsa-sha2-256"))
    check_signer(parse(cert), [ca.convert_to_public()])


def test_a_certificate_of_another_key_type_inside() -> None:
    cert = asyncssh.import_certificate(sign(CA, ssh_key(name="k"), TERMS))
    cert.public_data = asyncssh.import_certificate(
        sign(CA, ssh_key("ecdsa-sha2-nistp256"), TERMS)
    ).public_data
    with pytest.raises(ValueError, match="another one"):
        parse(cert)


def test_trailing_bytes_are_not_ignored() -> None:
    cert = asyncssh.import_certificate(sign(CA, ssh_key(name="k"), TERMS))
    cert.public_data += b"x"
    with pytest.raises(ValueError, match="malformed"):
        parse(cert)


def test_host_certificates_carry_no_extensions() -> None:
    terms = Terms(HOST, 1, "h", ("*",), 1, 2, {EXTENSION: "text"})
    contents = parse(asyncssh.import_certificate(sign(CA, ssh_key(name="k"), terms)))
    assert (contents.kind, contents.extensions) == (HOST, {})


@pytest.mark.parametrize("value", [b"", b"x", String("x") + b"y", b"\0\0\0\5x"])
def test_an_option_is_one_string(value: bytes) -> None:
    with pytest.raises(ValueError, match="malformed"):
        single(value)


def test_private_and_public_keys_are_checked_alike() -> None:
    weak = asyncssh.generate_private_key("ssh-rsa", key_size=1024)
    for key in (weak, weak.convert_to_public()):
        with pytest.raises(IdentityRefused):
            check_key(key)
    check_key(ssh_key("ssh-rsa"))


def test_what_calls_itself_a_certificate_and_is_none() -> None:
    cert = asyncssh.import_certificate(sign(CA, ssh_key(name="k"), TERMS)).public_data
    assert not is_damaged_certificate(cert)
    for other in (ssh_key(name="k").public_data, b"", b"\xff\xff\xff\xff", b"\0\0\0\7ssh-rsa"):
        assert not is_damaged_certificate(other)
    for damaged in (cert.replace(b"permit", b"Permit"), cert[:-1], cert + b"x", cert[:40]):
        assert is_damaged_certificate(damaged)
