from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import TargetUnreachable
from broker.postgres import scram
from broker.postgres.scram import PLAIN, PLUS, Exchange, SaltedKeys, choose, verifier

# The example of RFC 7677, but for the user name, which PostgreSQL takes from the start-up packet.
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)


def test_the_proof_is_what_rfc_7677_computes() -> None:
    exchange = Exchange(choose([PLAIN], None), "pencil", NONCE)
    exchange._bare = b"n=user,r=" + NONCE.encode()
    assert exchange.first() == b"n,,n=user,r=" + NONCE.encode()
    final = exchange.final(SERVER_FIRST)
    assert final.endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    exchange.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@given(st.binary(max_size=40))
def test_a_server_that_cannot_prove_itself_is_refused(signature: bytes) -> None:
    exchange = Exchange(choose([PLAIN], None), "pencil", NONCE)
    exchange._signature = b"s" * 32
    with pytest.raises(TargetUnreachable, match="could not prove"):
        exchange.verify(b"v=" + base64.b64encode(signature))


def test_a_signature_before_the_exchange_proves_nothing() -> None:
    with pytest.raises(TargetUnreachable):
        Exchange(choose([PLAIN], None), "pencil").verify(b"v=")


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"r=other,s=W22Z,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=!!,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=0",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=99999999",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z",
    ],
)
def test_a_broken_challenge_is_refused(challenge: bytes) -> None:
    with pytest.raises(TargetUnreachable, match="broke"):
        Exchange(choose([PLAIN], None), "pencil", NONCE).final(challenge)


def test_the_best_mechanism_is_chosen_and_a_downgrade_told() -> None:
    assert choose([PLAIN, PLUS], b"hash").mechanism == PLUS
    assert choose([PLAIN], b"hash").header == b"y,,"
    assert choose([PLAIN, PLUS], None).header == b"n,,"
    with pytest.raises(TargetUnreachable):
        choose(["OAUTHBEARER"], None)


def test_a_demanded_binding_is_used_or_nothing_is() -> None:
    assert choose([PLAIN, PLUS], b"hash", "require").mechanism == PLUS
    assert choose([PLAIN, PLUS], b"hash", "disable").header == b"n,,"
    for offered, channel in (([PLAIN], b"hash"), ([PLAIN, PLUS], None)):
        with pytest.raises(TargetUnreachable, match="channel_binding=require"):
            choose(offered, channel, "require")


def test_a_password_is_salted_once_and_a_new_one_again() -> None:
    keys = SaltedKeys(size=2)
    first = Exchange(choose([PLAIN], None), "pencil", NONCE, keys)
    assert not first.is_quick(SERVER_FIRST)
    first.final(SERVER_FIRST)
    assert Exchange(choose([PLAIN], None), "pencil", NONCE, keys).is_quick(SERVER_FIRST)
    assert not Exchange(choose([PLAIN], None), "pen", NONCE, keys).is_quick(SERVER_FIRST)
    for password in (b"a", b"b"):
        keys.get(password, b"salt", 1)
    assert not first.is_quick(SERVER_FIRST), "the oldest makes room"
    assert "pencil" not in repr(vars(keys))


def test_a_verifier_is_what_postgresql_computes() -> None:
    """The keys of the example of RFC 7677."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    assert verifier("pencil", salt) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("pencil", "pencil"),
        ("ﬁ", "fi"),
        ("a\u00adb", "ab"),
        ("a\u00a0b", "a b"),
        ("a\x07", "a\x07"),
    ],
)
def test_passwords_are_prepared_like_the_server_does(password: str, prepared: str) -> None:
    assert scram._prepared(password) == prepared.encode()
