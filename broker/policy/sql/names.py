"""What a name in a parse tree means under the pinned search_path: pg_catalog, then public."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.policy.sql.builtin import (
    CATALOGUE,
    HARMLESS_FUNCTIONS,
    HARMLESS_VOLATILE,
    INFORMATION_FUNCTIONS,
    RESULT_COLUMNS,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.policy.sql.grammar import Json, Node

_SENSITIVE = """
pg_authid pg_shadow pg_user_mapping pg_user_mappings pg_largeobject pg_statistic
pg_statistic_ext_data pg_stats pg_stats_ext pg_stats_ext_exprs pg_hba_file_rules
pg_ident_file_mappings pg_file_settings pg_stat_activity pg_stat_replication pg_stat_wal_receiver
pg_subscription user_mapping_options _pg_user_mappings
"""
SENSITIVE = frozenset(_SENSITIVE.split())
"""Catalogue tables with secrets, values of other tables, or what other sessions do."""

SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})
HARMLESS = HARMLESS_FUNCTIONS | HARMLESS_VOLATILE
FIELDS = HARMLESS | RESULT_COLUMNS
"""Names after a dot that call nothing but harmless functions, if they call one at all."""


def relation(node: Node) -> tuple[str, str]:
    """Schema and name of a RangeVar, resolved."""
    name = node["relname"]
    if "schemaname" in node:
        return node["schemaname"], name
    if node.get("relpersistence") == "t":
        return "pg_temp", name
    return ("pg_catalog" if name in CATALOGUE else "public"), name


def dotted(*names: str) -> str:
    """Names joined by dots; one that would be ambiguous so is put in double quotes."""
    return ".".join(
        '"' + name.replace('"', '""') + '"' if not name or "." in name or '"' in name else name
        for name in names
    )


def is_system(schema: str) -> bool:
    """Does the server own the tables of this schema?"""
    return schema in SYSTEM_SCHEMAS or schema.startswith("pg_toast")


def is_open(schema: str, name: str) -> bool:
    """May whoever has any right on the target read this table of the system?"""
    if schema == "pg_catalog":
        return name in CATALOGUE and name not in SENSITIVE
    return schema == "information_schema" and name not in SENSITIVE


def function(parts: Sequence[str]) -> tuple[str, bool]:
    """The name of a function as rules write it, and whether calling it is harmless."""
    schema, name = tuple(parts[:-1]), parts[-1]
    if not schema or schema == ("pg_catalog",):
        return dotted(name), name in HARMLESS
    if schema == ("information_schema",):
        return dotted(name), name in INFORMATION_FUNCTIONS
    return dotted(*parts), False


def noun(objtype: str) -> str:
    """An object type of the grammar as a word: OBJECT_EVENT_TRIGGER is an event trigger."""
    return objtype.removeprefix("OBJECT_").replace("_", " ").lower()


def strings(nodes: Json) -> list[str]:
    """The texts of a list of String nodes; other nodes in it are left out."""
    return [node["String"].get("sval", "") for node in nodes or () if "String" in node]


def spoken(node: Json) -> str:
    """The name of any object as a person would write it, e.g. of a DROP, COMMENT or ALTER."""
    if isinstance(node, list):
        return dotted(*(spoken(each) for each in node))
    if not isinstance(node, dict):
        return str(node)
    if "relname" in node:
        return dotted(*relation(node))
    for key in ("String", "List", "ObjectWithArgs", "TypeName", "RangeVar", "RoleSpec"):
        if key in node:
            return spoken(node[key])
    for key in ("sval", "rolename", "priv_name", "items", "objname", "names"):
        if key in node:
            inner = node[key]
            return inner if isinstance(inner, str) else spoken(inner)
    return str(node.get("roletype", "?")).removeprefix("ROLESPEC_").lower()
