from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from broker.config.schema import FILE, json_schema, store_problem, who_problem
from tests.broker.config.samples import DESIGN

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYWORDS = {
    "$schema", "title", "description", "type", "properties", "additionalProperties", "required",
    "enum", "const", "pattern", "minLength", "minimum", "maximum", "items", "minItems", "anyOf",
    "oneOf", "propertyNames", "minProperties", "maxProperties",
}  # fmt: skip
TYPES: dict[str, type] = {
    "object": dict, "array": list, "string": str, "integer": int, "boolean": bool,
}  # fmt: skip


def schemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    nested = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    nested += [*schema.get("oneOf", ()), schema.get("items"), schema.get("propertyNames")]
    nested += [schema.get("additionalProperties")]
    for one in nested:
        if isinstance(one, dict):
            yield from schemas(one)


def accepts(schema: dict[str, Any], value: Any) -> bool:  # noqa: PLR0911 - one a keyword
    """Just as much of JSON Schema as ours uses."""
    if "const" in schema:
        return bool(value == schema["const"])
    if "anyOf" in schema:
        return any(accepts(one, value) for one in schema["anyOf"])
    if "oneOf" in schema:
        return sum(accepts(one, value) for one in schema["oneOf"]) == 1
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if type(value) not in [TYPES[kind] for kind in kinds]:
        return False
    if isinstance(value, dict):
        known = schema.get("properties", {})
        rest = schema["additionalProperties"]
        return set(schema.get("required", ())) <= set(value) and all(
            accepts(known[key], one) if key in known else rest and accepts(rest, one)
            for key, one in value.items()
        )
    if isinstance(value, list):
        return all(accepts(schema["items"], one) for one in value)
    if isinstance(value, str):
        return value in schema.get("enum", [value]) and bool(
            re.search(schema.get("pattern", ""), value)
        )
    return True


def test_the_schema_is_json_of_known_keywords_and_every_pattern_compiles() -> None:
    whole = json_schema()
    assert json.loads(json.dumps(whole)) == whole
    for schema in schemas(whole):
        assert set(schema) <= KEYWORDS
        re.compile(schema.get("pattern", ""))
        assert set(schema.get("required", ())) <= set(schema.get("properties", {}))


def test_the_schema_names_every_key_that_validates() -> None:
    whole = json_schema()
    assert set(whole["properties"]) == set(FILE.fields)
    assert whole["additionalProperties"] is False
    rule = whole["properties"]["rules"]["items"]["properties"]
    assert {"allow", "review", "deny", "when", "who"} <= set(rule)
    assert rule["review"]["required"] == ["approvers"]
    assert "approvers" not in rule["allow"]["properties"]


def test_the_schema_takes_the_sample_of_the_design() -> None:
    assert accepts(json_schema(), yaml.safe_load(DESIGN))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("issuers:", "isuers:"),
        ("kind: ssh", "kind: shh"),
        ("ttl: 10m", "ttl: 10"),
        ("quorum: 1", "quorum: one"),
        ("host: web1.internal", "port: 22"),
        ("{env: ORDERS_PASSWORD}", "hunter2"),
        ("audience: interlock", "audience: true"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(old: str, new: str) -> None:
    assert not accepts(json_schema(), yaml.safe_load(DESIGN.replace(old, new, 1)))


@pytest.mark.parametrize("who", ["*", "ann@x.com", "group:ci", "kind:agent", "issuer:a", "a/b+c"])
def test_who(who: str) -> None:
    assert who_problem(who) is None


@pytest.mark.parametrize("who", ["**", "a*", "group:", "group: x", "kind:", "kind:x", "a b", "ü"])
def test_who_refuses(who: str) -> None:
    assert who_problem(who) is not None


def test_store() -> None:
    assert store_problem("sqlite") is None
    assert store_problem("postgresql://db/interlock?passfile=/etc/interlock/pgpass") is None
    assert store_problem("mysql://x") == "must be sqlite, or postgresql://... for several nodes"
