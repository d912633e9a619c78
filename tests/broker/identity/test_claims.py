from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import IdentityRefused
from broker.identity.claims import (
    GROUP_LIMIT,
    checked_name,
    fill,
    identity_from,
    is_safe,
    matches,
    template_problem,
)
from broker.model import Identity, Kind
from tests.broker.identity.samples import claims, issuer

GITHUB = issuer(
    name="github",
    kind=Kind.AGENT,
    user="{repository}",
    groups=("ci", "repo:{repository}"),
    groups_claim=None,
    acting_for="{actor}",
    require={"repository_owner": ("acme",)},
    keep=("run_id", "ref", "none"),
)
RUN = {
    "sub": "repo:acme/x",
    "repository": "acme/x",
    "repository_owner": "acme",
    "actor": "bob",
    "run_id": 42,
    "ref": "refs/heads/main",
    "secret": "not kept",
}


def test_an_agent_is_who_its_claims_say() -> None:
    assert identity_from(GITHUB, RUN, fingerprint="SHA256:x") == Identity(
        name="acme/x",
        kind=Kind.AGENT,
        issuer="github",
        subject="repo:acme/x",
        groups=("ci", "repo:acme/x"),
        acting_for="bob",
        claims={"run_id": "42", "ref": "refs/heads/main"},
        fingerprint="SHA256:x",
    )


@pytest.mark.parametrize(
    ("given", "groups"),
    [
        (["dba", "sre", "dba"], ("dba", "sre")),
        ("dba sre", ("dba", "sre")),
        ("dba, sre", ("dba", "sre")),
        ([], ()),
        ("", ()),
        (["Domain Users", "dba", "*", "", "ü"], ("dba",)),
    ],
)
def test_groups_of_a_claim(given: object, groups: tuple[str, ...]) -> None:
    assert identity_from(issuer(), claims(groups=given)).groups == groups


def test_exact_names_come_before_steps() -> None:
    said = {"a": {"b": "inner"}, "x.y": "whole", "x": {"y": "inner"}}
    assert fill("{a.b}-{x.y}", said) == "inner-whole"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"email": None}, "the token has no claim email"),
        ({"email": ""}, "the claim email is empty"),
        ({"email": ["a"]}, "the claim email is neither text, nor a whole number"),
        ({"email": 1.5}, "the claim email is neither text, nor a whole number"),
        ({"email": "*"}, "has characters other than letters"),
        ({"email": "a b"}, "has characters other than letters"),
        ({"email": "ann@example.com\n"}, "has characters other than letters"),
        ({"email": "änn"}, "has characters other than letters"),
        ({"email": "a,b"}, "has characters other than letters"),
        ({"email": "x" * 201}, "longer than 200"),
        ({"email": "group:dba"}, "begins with a word that rules reserve"),
        ({"email": "kind:human"}, "begins with a word that rules reserve"),
        ({"email": "issuer:corp"}, "begins with a word that rules reserve"),
        ({"email": "human:bob@corp"}, "begins with a word that rules reserve"),
        ({"email": "agent:bob@corp"}, "begins with a word that rules reserve"),
        ({"sub": None}, "the claim sub must be a text"),
        ({"sub": "a\nb"}, "the claim sub has characters that cannot be shown"),
        ({"sub": "x" * 256}, "the claim sub must be a text"),
        ({"groups": None}, "the token has no claim groups"),
        ({"groups": {"a": "b"}}, "the claim groups must be a list of group names"),
        ({"groups": [1]}, "the claim groups must be a list of group names"),
        ({"groups": [f"g{n}" for n in range(GROUP_LIMIT + 1)]}, "names 256 groups"),
    ],
)
def test_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(IdentityRefused, match=said.replace("*", r"\*")):
        identity_from(issuer(), claims(**changes))


@pytest.mark.parametrize("actor", ["dependabot[bot]", "group:dba", "a b", "x" * 201])
def test_whom_it_acts_for_is_a_name_too(actor: str) -> None:
    with pytest.raises(IdentityRefused, match=r"the name of the person that it acts for"):
        identity_from(GITHUB, RUN | {"actor": actor})


def test_a_claim_cannot_smuggle_a_group() -> None:
    with pytest.raises(IdentityRefused, match="the group name 'repo:acme/x ci'"):
        identity_from(
            issuer(groups=("repo:{repository}",), groups_claim=None),
            claims(repository="acme/x ci"),
        )


@pytest.mark.parametrize(
    ("patterns", "value", "holds"),
    [
        (("acme",), "acme", True),
        (("acme",), "acme2", False),
        (("acme",), "ACME", False),
        (("acme", "other"), "other", True),
        (("acme-*",), "acme-x", True),
        (("acme-*",), "not-acme-x", False),
        (("a.c",), "abc", False),
        (("true",), True, True),
        (("true",), False, False),
        (("1",), True, False),
        (("3",), 3, True),
        (("a",), ["b", "a"], True),
        (("a",), ["b"], False),
        (("a",), [], False),
        (("a",), {"a": "a"}, False),
        (("*",), None, False),
        (("*",), {}, False),
    ],
)
def test_conditions(patterns: tuple[str, ...], value: object, holds: bool) -> None:
    asking = issuer(require={"org": patterns})
    said = claims(org=value)
    if holds:
        assert identity_from(asking, said).name == "ann@example.com"
    else:
        with pytest.raises(IdentityRefused, match="the claim org is not what the issuer corp"):
            identity_from(asking, said)


def test_every_condition_must_hold() -> None:
    with pytest.raises(IdentityRefused, match="the claim b"):
        identity_from(issuer(require={"a": ("1",), "b": ("1",)}), claims(a="1", b="2"))


def test_kept_claims_are_text() -> None:
    kept = identity_from(
        issuer(keep=("a", "b", "c", "d")), claims(a=1, b=True, c=["x"], d={"y": "z"})
    ).claims
    assert kept == {"a": "1", "b": "true", "c": '["x"]', "d": '{"y": "z"}'}


@pytest.mark.parametrize("value", ["x" * 1001, "a\nb", "\x1b[2J"])
def test_what_cannot_be_shown_is_not_kept(value: str) -> None:
    with pytest.raises(IdentityRefused, match="the claim a is too long to keep"):
        identity_from(issuer(keep=("a",)), claims(a=value))


@pytest.mark.parametrize(
    "template", ['{"a}', '{a"b"}', '{"a".}', "{a", "a}", "{}", "{{a}}", "a b{c}", "a\n{c}", "*{c}"]
)
def test_bad_templates(template: str) -> None:
    assert template_problem(template) is not None


@pytest.mark.parametrize(
    "template", ['{"a.b".c}-{"d"}', "{a}", "x/{a.b}@{c}", "plain", "{https://x/y}"]
)
def test_good_templates(template: str) -> None:
    assert template_problem(template) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["sub", "email", "groups", "a", "a.b"]), JSON))
def test_any_claims_are_a_safe_identity_or_a_refusal(said: dict[str, Any]) -> None:
    try:
        identity = identity_from(issuer(keep=("a", "a.b"), require={"a": ("*",)}), said)
    except IdentityRefused:
        return
    assert checked_name(identity.name) == identity.name
    assert all(map(is_safe, identity.groups))
    assert all(value.isprintable() for value in identity.claims.values())


@settings(max_examples=100)
@given(st.text("ab.*\n", max_size=8), st.text("ab.\n", max_size=8))
def test_only_a_star_is_special(pattern: str, value: str) -> None:
    if "*" not in pattern:
        assert matches(pattern, value) == (pattern == value)
    elif matches(pattern, value):
        first, last = pattern.split("*")[0], pattern.split("*")[-1]
        assert value.startswith(first)
        assert value.endswith(last)
