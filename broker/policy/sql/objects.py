"""Statements that act on one thing with a name that is no table: a role, a type, a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.policy.sql import names

if TYPE_CHECKING:
    from broker.policy.sql.grammar import Node
    from broker.policy.sql.walk import Context, Handler, Walk


def _named(action: str, noun: str, key: str, *, explicit: bool = True) -> Handler:
    def handle(walk: Walk, body: Node, context: Context) -> None:
        value = body.get(key, "")
        several = key == "roles"
        for each in value if several else [value]:
            walk.about(action, f"{noun} {names.spoken(each)}".rstrip(), explicit=explicit)
        walk.children(body, context.within(action), skip={key})

    return handle


def _create_schema(walk: Walk, body: Node, context: Context) -> None:
    elements = bool(body.get("schemaElts"))  # their unqualified names are of the new schema
    schema = body.get("schemaname", body.get("authrole", {}).get("rolename", "?"))
    walk.about("create", f"schema {schema}", explicit=elements)
    inner = [_placed(each, schema) for each in body.get("schemaElts", [])]
    walk.push(inner, context.within("create"))


def _placed(element: Node, schema: str) -> Node:
    """An element of a CREATE SCHEMA with the schema that its name is in."""
    ((kind, body),) = element.items()
    placed = {
        key: {**body[key], "schemaname": body[key].get("schemaname", schema)}
        for key in ("view", "relation")
        if key in body
    }
    return {kind: {**body, **placed}}


def _define(walk: Walk, body: Node, context: Context) -> None:
    walk.about("create", f"{names.noun(body['kind'])} {names.spoken(body.get('defnames', '?'))}")
    parts = names.strings(body.get("defnames"))
    if body["kind"] == "OBJECT_OPERATOR":
        walk.make_code("operator " + ".".join(parts))
    elif parts:
        walk.make_code(names.dotted(*(parts if len(parts) > 1 else ["public", *parts])))
    walk.children(body, context.within("create"))


def _function(walk: Walk, body: Node, context: Context) -> None:
    parts = names.strings(body["funcname"])
    walk.about("create", f"function {names.dotted(*parts)}")
    walk.make_code(names.dotted(*(parts if len(parts) > 1 else ["public", *parts])))
    walk.children(body, context.within("create"), skip={"funcname"})


def _foreign_table(walk: Walk, body: Node, context: Context) -> None:
    walk.about("create", f"foreign table on server {body.get('servername', '?')}")
    walk.push({"CreateStmt": body["base"]}, context.within("create"))


def _cast(walk: Walk, body: Node, context: Context) -> None:
    target = names.strings(body["targettype"].get("names"))
    walk.about("create", f"cast to {names.dotted(*target)}")
    walk.make_code(f"cast to {names.dotted(*target)}")
    if "func" in body:
        walk.function("create", names.strings(body["func"].get("objname")))
    walk.children(body, context.within("create"))


def _plain(walk: Walk, body: Node, context: Context) -> None:
    walk.children(body, context)


HANDLERS: dict[str, Handler] = {
    "ReturnStmt": _plain,
    "ReplicaIdentityStmt": _plain,
    "CreateSchemaStmt": _create_schema,
    "DefineStmt": _define,
    "NotifyStmt": _named("notify", "channel", "conditionname"),
    "ListenStmt": _named("listen", "channel", "conditionname"),
    "SecLabelStmt": _named("security", "label on", "object"),
    "LoadStmt": _named("other", "library", "filename"),
    "CheckPointStmt": _named("other", "checkpoint", ""),
    "DropOwnedStmt": _named("drop", "everything owned by role", "roles"),
    "ReassignOwnedStmt": _named("alter", "everything owned by role", "roles"),
    "DropRoleStmt": _named("drop", "role", "roles"),
    "CreateSeqStmt": _named("create", "sequence", "sequence", explicit=False),
    "AlterSeqStmt": _named("alter", "sequence", "sequence", explicit=False),
    "CreateDomainStmt": _named("create", "domain", "domainname", explicit=False),
    "AlterDomainStmt": _named("alter", "domain", "typeName", explicit=False),
    "CreateEnumStmt": _named("create", "type", "typeName", explicit=False),
    "AlterEnumStmt": _named("alter", "type", "typeName", explicit=False),
    "CompositeTypeStmt": _named("create", "type", "typevar", explicit=False),
    "CreateStatsStmt": _named("create", "statistics", "defnames", explicit=False),
    "AlterStatsStmt": _named("alter", "statistics", "defnames", explicit=False),
    "CreateFunctionStmt": _function,
    "CreateCastStmt": _cast,
    "AlterFunctionStmt": _named("alter", "function", "func"),
    "CreateRoleStmt": _named("create", "role", "role"),
    "AlterRoleStmt": _named("alter", "role", "role"),
    "AlterRoleSetStmt": _named("alter", "role", "role"),
    "CreatedbStmt": _named("create", "database", "dbname"),
    "AlterDatabaseStmt": _named("alter", "database", "dbname"),
    "AlterDatabaseSetStmt": _named("alter", "database", "dbname"),
    "AlterDatabaseRefreshCollStmt": _named("alter", "database", "dbname"),
    "DropdbStmt": _named("drop", "database", "dbname"),
    "CreateExtensionStmt": _named("create", "extension", "extname"),
    "AlterExtensionStmt": _named("alter", "extension", "extname"),
    "AlterExtensionContentsStmt": _named("alter", "extension", "extname"),
    "CreateForeignTableStmt": _foreign_table,
    "CreateForeignServerStmt": _named("create", "server", "servername"),
    "AlterForeignServerStmt": _named("alter", "server", "servername"),
    "CreateUserMappingStmt": _named("create", "user mapping on server", "servername"),
    "AlterUserMappingStmt": _named("alter", "user mapping on server", "servername"),
    "DropUserMappingStmt": _named("drop", "user mapping on server", "servername"),
    "CreateEventTrigStmt": _named("create", "event trigger", "trigname"),
    "AlterEventTrigStmt": _named("alter", "event trigger", "trigname"),
    "CreatePublicationStmt": _named("create", "publication", "pubname"),
    "AlterPublicationStmt": _named("alter", "publication", "pubname"),
    "CreateSubscriptionStmt": _named("create", "subscription", "subname"),
    "AlterSubscriptionStmt": _named("alter", "subscription", "subname"),
    "DropSubscriptionStmt": _named("drop", "subscription", "subname"),
    "AlterCollationStmt": _named("alter", "collation", "collname"),
    "AlterFdwStmt": _named("alter", "foreign data wrapper", "fdwname"),
    "AlterOpFamilyStmt": _named("alter", "operator family", "opfamilyname"),
    "AlterOperatorStmt": _named("alter", "operator", "opername"),
    "AlterTSConfigurationStmt": _named("alter", "text search configuration", "cfgname"),
    "AlterTSDictionaryStmt": _named("alter", "text search dictionary", "dictname"),
    "AlterTableMoveAllStmt": _named("alter", "all in tablespace", "orig_tablespacename"),
    "AlterTableSpaceOptionsStmt": _named("alter", "tablespace", "tablespacename"),
    "AlterTypeStmt": _named("alter", "type", "typeName"),
    "CreateAmStmt": _named("create", "access method", "amname"),
    "CreateConversionStmt": _named("create", "conversion", "conversion_name"),
    "CreateFdwStmt": _named("create", "foreign data wrapper", "fdwname"),
    "CreateOpClassStmt": _named("create", "operator class", "opclassname"),
    "CreateOpFamilyStmt": _named("create", "operator family", "opfamilyname"),
    "CreatePLangStmt": _named("create", "language", "plname"),
    "CreateRangeStmt": _named("create", "type", "typeName"),
    "CreateTransformStmt": _named("create", "transform for language", "lang"),
    "ImportForeignSchemaStmt": _named("create", "foreign tables of server", "server_name"),
    "CreateTableSpaceStmt": _named("create", "tablespace", "tablespacename"),
    "DropTableSpaceStmt": _named("drop", "tablespace", "tablespacename"),
}
