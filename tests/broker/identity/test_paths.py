from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.identity.paths import MISSING, look_up, path_problem

CLAIMS = {
    "email": "ann",
    "a": {"b": {"c": "deep"}, "x.y": "inner dots"},
    "a.b": "whole name",
    "https://acme.example/team": "blue",
    "kubernetes.io": {"namespace": "shop", "pod": {"name": "p"}, "x/y.z": "slash"},
    "list": [{"b": "c"}],
    '"kubernetes.io".evil': "a claim named like a path",
    "kubernetes": {"io": {"namespace": "another"}},
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email", "ann"),
        ("a.b", "whole name"),
        ("a.b.c", "deep"),
        ('a."b".c', "deep"),
        ('"a".b.c', "deep"),
        ('a."x.y"', "inner dots"),
        ("https://acme.example/team", "blue"),
        ('"https://acme.example/team"', "blue"),
        ('"kubernetes.io".namespace', "shop"),
        ('"kubernetes.io".pod.name', "p"),
        ('"kubernetes.io"."x/y.z"', "slash"),
        ('"a.b"', "whole name"),
        ("kubernetes.io.namespace", "another"),
        ('"kubernetes.io".evil', MISSING),
        ('"a.b".c', MISSING),
        ("email.x", MISSING),
        ("list.b", MISSING),
        ("list.0", MISSING),
        ("nothing", MISSING),
        ("a..b", MISSING),
    ],
)
def test_where_a_name_leads(name: str, value: object) -> None:
    assert path_problem(name) is None
    assert look_up(name, CLAIMS) is value


@pytest.mark.parametrize(
    "name",
    [
        '"',
        '""',
        '"a',
        'a"',
        '"a"b',
        'a"b"',
        '"a".',
        '."a"',
        '"a".."b"',
        '"a b"',
        '"a".{b}',
        '"a""b"',
    ],
)
def test_what_is_not_a_name(name: str) -> None:
    assert path_problem(name) is not None


STEP = st.text("ab./-", min_size=1, max_size=4)


@settings(max_examples=200)
@given(
    st.lists(STEP, min_size=1, max_size=4), st.dictionaries(st.text('ab."', max_size=6), st.just(0))
)
def test_a_quoted_name_leads_to_the_one_place_that_it_spells(
    steps: list[str], others: dict[str, int]
) -> None:
    name = ".".join(f'"{step}"' for step in steps)
    claims: dict[str, object] = dict(others)
    inner = claims
    for step in steps[:-1]:
        inner[step] = inner = {}
    inner[steps[-1]] = found = object()
    assert path_problem(name) is None
    assert look_up(name, claims) is found
