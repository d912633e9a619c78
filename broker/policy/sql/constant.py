"""Is a WHERE always true? In doubt about constants yes, in doubt about columns no.

An expression that names no column of the target is the same for each of its rows, so it bounds
nothing unless it is provably false. One that names columns is always true only in shapes that
people and tools write to get round a missing WHERE (id = id, x IS NULL OR x IS NOT NULL, name LIKE
'%'). Limits: a condition may hold for every row because of the data (id > 0, id IN (SELECT id FROM
t)); no parser can tell.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from broker.policy.sql.settings import literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from broker.policy.sql.grammar import Json, Node

REFLEXIVE = frozenset({"=", ">=", "<=", "~~", "~~*"})
NEGATED = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
EVERYTHING = {"~~": "%", "~~*": "%", "~": ".*", "~*": ".*"}
_LOCATION = re.compile(rb',?"location":-?\d+')  # inside a string the quotes are escaped
SYSTEM_COLUMNS = frozenset({"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"})


def always_true(where: Node | None, target: Collection[str]) -> bool:
    """Does this WHERE leave every row of the target (known by these names) in?"""
    if not where:
        return True
    if not _depends_on(where, target):
        return not _always_false(where)
    if "BoolExpr" in where:
        return _bool(where["BoolExpr"], target)
    if "A_Expr" in where:
        return _comparison(where["A_Expr"], target)
    if "NullTest" in where:
        test = where["NullTest"]
        column = _column(test.get("arg", {}), target)
        return test["nulltesttype"] == "IS_NOT_NULL" and column in SYSTEM_COLUMNS
    return False


def nodes(tree: Json) -> Iterator[Node]:
    """Every node of a tree, in no order."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            yield node
            stack.extend(node.values())


def _depends_on(tree: Json, target: Collection[str]) -> bool:
    """May a column of the target stand anywhere in this expression?"""
    for node in nodes(tree):
        if "CurrentOfExpr" in node:
            return True
        fields = node["ColumnRef"]["fields"] if "ColumnRef" in node else ()
        if len(fields) == 1 or (fields and fields[-2]["String"]["sval"] in target):
            return True
    return False


def _bool(body: Node, target: Collection[str]) -> bool:
    arms = body.get("args", [])
    match body["boolop"]:
        case "AND_EXPR":
            return all(always_true(arm, target) for arm in arms)
        case "OR_EXPR":
            return any(always_true(arm, target) for arm in arms) or _complementary(arms)
        case _:
            opposites = [opposite for arm in arms for opposite in _opposites(arm)]
            return any(always_true(opposite, target) for opposite in opposites)


def _always_false(node: Node) -> bool:
    """Provably false, or null, for every row: constants only, and only plain comparisons."""
    if "A_Const" in node:
        return node["A_Const"].get("isnull", False) or literal(node) in {"off", "f", "false"}
    if "TypeCast" in node:
        return _always_false(node["TypeCast"].get("arg", {}))
    if "BoolExpr" in node:
        body = node["BoolExpr"]
        results = [_always_false(arm) for arm in body.get("args", [])]
        if body["boolop"] == "AND_EXPR":
            return any(results)
        return body["boolop"] == "OR_EXPR" and all(results)
    return "A_Expr" in node and _false_comparison(node["A_Expr"])


def _false_comparison(body: Node) -> bool:
    """Integers only: what a comparison of other constants means depends on their types."""
    sides = [body.get(side, {}).get("A_Const", {}).get("ival") for side in ("lexpr", "rexpr")]
    if None in sides:
        return False
    a, b = (int(side.get("ival", 0)) for side in sides)
    return {"=": a != b, "<>": a == b, "<": a >= b, ">": a <= b}.get(_operator(body), False)


def _operator(body: Node) -> str:
    if body.get("kind") not in {"AEXPR_OP", "AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_NOT_DISTINCT"}:
        return ""
    if body["kind"] == "AEXPR_NOT_DISTINCT":
        return "="
    name = body.get("name", [])
    return name[-1]["String"]["sval"] if name else ""


def _column(node: Node, target: Collection[str]) -> str | None:
    """The column of the target that a node names, or None when it is anything else."""
    fields = node.get("ColumnRef", {}).get("fields", [])
    names = [field["String"]["sval"] for field in fields if "String" in field]
    if not names or len(names) != len(fields):
        return None
    return names[-1] if len(names) == 1 or names[-2] in target else None


def _comparison(body: Node, target: Collection[str]) -> bool:
    left, right = body.get("lexpr", {}), body.get("rexpr", {})
    column = _column(left, target) if isinstance(left, dict) else None
    if column is None:
        return False
    if body.get("kind") == "AEXPR_IN":
        items = right.get("List", {}).get("items", []) if isinstance(right, dict) else right
        positive = body["name"][-1]["String"]["sval"] == "="
        return positive and any(_column(item, target) == column for item in items)
    operator = _operator(body)
    if operator in REFLEXIVE and _column(right, target) == column:
        return True
    text = literal(right)
    if text is None or operator not in EVERYTHING:
        return False
    return set(text) <= set(EVERYTHING[operator]) and (bool(text) or operator in {"~", "~*"})


def _complementary(arms: list[Node]) -> bool:
    """Does one arm say the opposite of another? (x = 1 OR x <> 1, x IS NULL OR x IS NOT NULL)"""
    seen = {_plain(arm) for arm in arms}
    return any(_plain(opposite) in seen for arm in arms for opposite in _opposites(arm))


def _opposites(node: Node) -> list[Node]:
    found: list[Node] = []
    if "BoolExpr" in node and node["BoolExpr"]["boolop"] == "NOT_EXPR":
        found.extend(node["BoolExpr"]["args"])
    if "NullTest" in node:
        test = node["NullTest"]
        other = "IS_NULL" if test["nulltesttype"] == "IS_NOT_NULL" else "IS_NOT_NULL"
        found.append({"NullTest": {**test, "nulltesttype": other}})
    if "A_Expr" in node and _operator(node["A_Expr"]) in NEGATED:
        name = [{"String": {"sval": NEGATED[_operator(node["A_Expr"])]}}]
        found.append({"A_Expr": {**node["A_Expr"], "name": name}})
    return found


def _plain(node: Json) -> bytes:
    """A node as text, without the places where it was found."""
    return _LOCATION.sub(b"", msgspec.json.encode(node))
