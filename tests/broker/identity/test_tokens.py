from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from broker.errors import IdentityRefused
from broker.identity.tokens import (
    ALGORITHMS,
    TOKEN_LIMIT,
    choose,
    last_moment,
    one_use,
    peek,
    verify,
)
from tests.broker.identity.samples import (
    CORP,
    NOW,
    claims,
    issuer,
    jwk,
    private_key,
    token,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = {"k1": jwk("ES256")}


def part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def check(text: str, keys: Mapping[str, Any] = KEYS, **changes: Any) -> Mapping[str, Any]:
    return verify(text, issuer(**changes), keys, NOW)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_that_is_accepted(algorithm: str) -> None:
    said = verify(token(algorithm=algorithm), CORP, {"k1": jwk(algorithm)}, NOW)
    assert said == claims()


# -- the signature -----------------------------------------------------------------------------


def test_no_algorithm_is_no_signature() -> None:
    for name in ("none", "None", "NONE", "", "nOnE"):
        text = f"{part({'alg': name, 'kid': 'k1'})}.{part(claims())}."
        with pytest.raises(IdentityRefused, match="the token's algorithm is not one of"):
            check(text)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_not_a_shared_secret(algorithm: str) -> None:
    public = private_key("RS256").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': algorithm, 'kid': 'k1'})}.{part(claims())}"
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
    forged = f"{signed}.{part(hmac.new(pem, signed.encode(), digest).digest())}"
    for key in (jwk("RS256"), {"kty": "oct", "k": part(pem), "kid": "k1"}):
        with pytest.raises(IdentityRefused, match="the token's algorithm is not one of"):
            check(forged, {"k1": key})


def test_a_key_in_the_token_is_not_used() -> None:
    mallory = jwt.algorithms.ECAlgorithm.to_jwk(private_key("ES384").public_key(), as_dict=True)
    for header in ({"jwk": mallory}, {"jku": "https://evil.example"}, {"x5u": "https://evil"}):
        text = token(algorithm="ES384", headers={"kid": "k1", **header})
        with pytest.raises(IdentityRefused, match="no key that fits"):
            check(text)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", jwk("ES256")),
        ("ES256", jwk("ES384")),
        ("ES256", jwk("EdDSA")),
        ("RS256", jwk("RS256", use="enc")),
        ("RS256", jwk("RS256", alg="PS256")),
        ("RS256", jwk("RS256", alg="RS512")),
        ("RS256", jwk("RS256") | {"key_ops": ["encrypt"]}),
        ("RS256", jwk("RS256") | {"key_ops": "verify"}),
    ],
)
def test_the_key_must_be_of_the_algorithm_and_for_signatures(
    algorithm: str, key: dict[str, Any]
) -> None:
    with pytest.raises(IdentityRefused, match="no key that fits"):
        check(token(algorithm=algorithm), {"k1": key})


def test_another_key_of_the_same_kind_is_another_signer() -> None:
    other = rsa.generate_private_key(65537, 2048)
    text = jwt.encode(claims(), other, "RS256", headers={"kid": "k1"})
    with pytest.raises(IdentityRefused, match="the token's signature is wrong"):
        check(text, {"k1": jwk("RS256")})


def test_a_weak_key_is_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - on purpose
    key = RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True) | {"kid": "k1"}
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        text = jwt.encode(claims(), weak, "RS256", headers={"kid": "k1"})
    with pytest.raises(IdentityRefused, match="too weak"):
        check(text, {"k1": key})


def test_changed_claims_lose_the_signature() -> None:
    header, _, signature = token().split(".")
    forged = f"{header}.{part(claims(email='mallory@example.com'))}.{signature}"
    with pytest.raises(IdentityRefused, match="the token's signature is wrong"):
        check(forged)


@pytest.mark.parametrize("headers", [{"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}])
def test_extensions_of_the_format_are_not_understood(headers: dict[str, Any]) -> None:
    header = {"alg": "ES256", "kid": "k1", **headers}
    text = f"{part(header)}.{token().split('.')[1]}.{token().split('.')[2]}"
    with pytest.raises(IdentityRefused, match="this is not an ID token"):
        check(text)


@pytest.mark.parametrize("kind", ["at+jwt", "logout+jwt", 7])
def test_a_token_of_another_kind_is_not_an_id_token(kind: object) -> None:
    header = part({"alg": "ES256", "kid": "k1", "typ": kind})
    with pytest.raises(IdentityRefused, match="a token of another kind"):
        check(f"{header}.{part(claims())}.x")


def test_without_key_id_only_a_single_fitting_key_will_do() -> None:
    text = token(headers={})
    keys = {"a": jwk("ES256"), "b": jwk("RS256")}
    assert check(text, keys) == claims()
    with pytest.raises(IdentityRefused, match="no key that fits"):
        check(text, keys | {"c": jwk("ES256")})
    with pytest.raises(IdentityRefused, match="no key that fits"):
        check(token(headers={"kid": "zz"}), keys)


@pytest.mark.parametrize("broken", [{"x": "!"}, {"x": 7}, {"x": None}, {"y": "AA"}])
def test_a_key_that_cannot_be_read(broken: dict[str, Any]) -> None:
    with pytest.raises(IdentityRefused, match=r"cannot be read|too weak|wrong"):
        check(token(), {"k1": jwk("ES256") | broken})


# -- the claims --------------------------------------------------------------------------------

AT = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iss": "https://other.example.com"}, "the token is not from the issuer corp"),
        ({"iss": "https://id.example.com/"}, "the token is not from the issuer corp"),
        ({"iss": None}, "does not say who issued it"),
        ({"iss": ["https://id.example.com"]}, "does not say who issued it"),
        ({"aud": "other"}, "the token is not meant for us"),
        ({"aud": "Interlock"}, "the token is not meant for us"),
        ({"aud": None}, "does not say whom it is for"),
        ({"aud": []}, "does not say whom it is for"),
        ({"aud": ["interlock", 1]}, "does not say whom it is for"),
        ({"aud": {"interlock": 1}}, "does not say whom it is for"),
        ({"aud": ["interlock", "other"]}, "for several audiences"),
        ({"aud": ["interlock", "other"], "azp": "other"}, "for several audiences"),
        ({"azp": "other"}, "asked for by another client"),
        ({"azp": ["cli"]}, "asked for by another client"),
        ({"azp": ""}, "asked for by another client"),
        ({"exp": None}, "no valid time in its claim exp"),
        ({"iat": None}, "no valid time in its claim iat"),
        ({"exp": AT - 30}, "the token has expired"),
        ({"exp": str(AT + 300)}, "no valid time in its claim exp"),
        ({"exp": True}, "no valid time in its claim exp"),
        ({"exp": float("inf")}, "no valid time in its claim exp"),
        ({"exp": float("nan")}, "no valid time in its claim exp"),
        ({"exp": 10**400}, "no valid time in its claim exp"),
        ({"iat": AT + 31}, "issued in the future"),
        ({"nbf": AT + 31}, "not valid yet"),
        ({"nbf": "soon"}, "no valid time in its claim nbf"),
    ],
)
def test_refused(changes: dict[str, object], said: str) -> None:
    payload = json.dumps(claims(**changes)).encode()
    text = jwt.PyJWS().encode(payload, private_key("ES256"), "ES256", headers={"kid": "k1"})
    with pytest.raises(IdentityRefused, match=said):
        check(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["interlock"]},
        {"aud": ["interlock", "other"], "azp": "interlock"},
        {"aud": ["interlock", "other"], "azp": "cli"},
        {"exp": AT - 29},
        {"iat": AT + 30},
        {"nbf": AT + 30},
        {"exp": AT + 0.5},
    ],
)
def test_accepted(changes: dict[str, object]) -> None:
    assert check(token(claims(**changes)))["email"] == "ann@example.com"


def test_a_workload_names_itself_as_the_party_that_asked() -> None:
    itself = {"azp": "117171717171717171717", "sub": "117171717171717171717"}
    assert check(token(claims(**itself)), client_id=None)["azp"] == itself["azp"]


@pytest.mark.parametrize("kind", ["JWT", "jwt", "JOSE"])
def test_a_plain_token_may_say_so(kind: str) -> None:
    assert check(token(headers={"kid": "k1", "typ": kind}))["sub"] == "u-1"


def test_without_skew_the_second_counts() -> None:
    with pytest.raises(IdentityRefused, match="expired"):
        check(token(claims(exp=AT)), skew=timedelta())
    with pytest.raises(IdentityRefused, match="several audiences"):
        check(token(claims(aud=["interlock", "b"], azp=None)), client_id=None)


# -- choosing, and using once ------------------------------------------------------------------


def test_the_issuer_is_chosen_by_who_signed_and_for_whom() -> None:
    others = [
        issuer(name="b", audience="b"),
        issuer(name="x", issuer="https://x.example"),
    ]
    assert choose(peek(token()), [*others, CORP]) is CORP
    assert choose(peek(token(claims(aud=["x", "b"]))), [*others, CORP]).name == "b"
    with pytest.raises(IdentityRefused, match="not configured here"):
        choose(peek(token(claims(iss="https://evil.example"))), [CORP])
    with pytest.raises(IdentityRefused, match="ask the issuer for audience interlock"):
        choose(peek(token(claims(aud="evil"))), [CORP])


def test_a_token_is_known_by_its_jti_or_by_what_was_signed() -> None:
    said = claims(jti="j-1")
    assert one_use(token(said), CORP, said) == one_use(token(claims()), CORP, said)
    first, second = token(claims(jti="a")), token(claims(jti="b"))
    assert one_use(first, CORP, claims()) != one_use(second, CORP, claims())
    resigned = first.rpartition(".")[0] + ".other-signature"  # ECDSA signatures are malleable
    assert one_use(first, CORP, claims()) == one_use(resigned, CORP, claims())
    other = issuer(issuer="https://x.example")
    assert one_use(first, CORP, said) != one_use(first, other, said)
    assert last_moment(CORP, claims()) == AT + 330


# -- garbage -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.b.c", "x" * (TOKEN_LIMIT + 1), "\0..\0"]
)
def test_what_is_not_a_token(text: str) -> None:
    with pytest.raises(IdentityRefused):
        peek(text)


GOOD = token()
CHARACTERS = "abcXYZ019-_=+/. \n\0é"


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(GOOD) - 1), st.integers(0, 3), st.text(CHARACTERS, min_size=0, max_size=3)
)
@example(len(GOOD) - 1, 0, "=")
@example(len(GOOD) - 1, 1, "")
def test_a_damaged_token_is_refused_and_never_repeated(at: int, cut: int, put: str) -> None:
    damaged = GOOD[:at] + put + GOOD[at + cut :]
    said, refusal = None, ""
    try:
        said = check(damaged)
    except IdentityRefused as refused:
        refusal = str(refused)
    assert not any(len(word) > 8 and word in refusal for word in damaged.split("."))
    if said is not None:
        assert said == claims()
        assert damaged.rpartition(".")[0] == GOOD.rpartition(".")[0]


@settings(max_examples=200)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "iss", "aud", "exp", "crit", "b64"]), inner
    ),
    max_leaves=6,
))  # fmt: skip
def test_any_header_and_claims_are_refused_without_a_signature(value: Any) -> None:
    header = {"alg": "ES256", "kid": "k1"} | (value if isinstance(value, dict) else {})
    for text in (f"{part(header)}.{part(value)}.AA", f"{part(value)}.{part(claims())}.AA"):
        with pytest.raises(IdentityRefused):
            check(text)


def test_deep_nesting_is_refused() -> None:
    deep = part(b"[" * 6000)
    with pytest.raises(IdentityRefused):
        check(f"{deep}.{deep}.AA"[:TOKEN_LIMIT])
