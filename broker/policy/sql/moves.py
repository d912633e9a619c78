"""Statements after which a name stands for something else: rename, move, inherit, attach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.policy.sql import names

if TYPE_CHECKING:
    from broker.policy.sql.grammar import Json, Node
    from broker.policy.sql.walk import Context, Walk

TABLES = frozenset({"OBJECT_TABLE", "OBJECT_FOREIGN_TABLE", "OBJECT_MATVIEW"})
_MILD = "VIEW INDEX SEQUENCE TYPE DOMAIN STATISTIC_EXT COLUMN TABCONSTRAINT"
MILD = TABLES | {f"OBJECT_{kind}" for kind in _MILD.split()}


def alter_object(walk: Walk, body: Node, context: Context) -> None:
    """RENAME, SET SCHEMA, OWNER TO, DEPENDS ON of anything."""
    objtype = body.get("renameType") or body.get("objectType") or body.get("objtype") or ""
    if "relation" in body:
        walk.table("alter", body["relation"])
        _moved(walk, body, objtype)
    if "relation" not in body or objtype not in MILD:
        named = body.get("object") or body.get("subname") or "?"
        walk.about(
            "alter", f"{names.noun(objtype)} {names.spoken(named)}", explicit=objtype not in MILD
        )
        _recoded(walk, body, named)


def _moved(walk: Walk, body: Node, objtype: str) -> None:
    """A table under another name is still that table, whatever the new name used to mean."""
    if objtype not in TABLES | {"OBJECT_VIEW"}:
        return
    schema, name = names.relation(body["relation"])
    new = {"schemaname": body.get("newschema", schema), "relname": body.get("newname", name)}
    walk.make(new, stands=(names.dotted(schema, name),))


def _recoded(walk: Walk, body: Node, named: Json) -> None:
    """A function under another name, or in another schema."""
    parts = _object_name(named)
    if parts:
        schema, name = (parts[-2] if len(parts) > 1 else "public"), parts[-1]
        new = names.dotted(body.get("newschema", schema), body.get("newname", name))
        walk.make_code(new)


def _object_name(named: Json) -> list[str]:
    body = named.get("ObjectWithArgs", {}) if isinstance(named, dict) else {}
    return names.strings(body.get("objname"))


def joined(walk: Walk, table: Node, command: Node) -> None:
    """INHERIT and ATTACH PARTITION put one table's rows into another."""
    other = command.get("def", {})
    match command.get("subtype"):
        case "AT_AddInherit":
            child, parent = table, other.get("RangeVar", other)
        case "AT_AttachPartition":
            child, parent = other.get("PartitionCmd", other)["name"], table
        case _:
            return
    walk.make(parent, stands=(names.dotted(*names.relation(child)),))
