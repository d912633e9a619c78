"""The statements that are not queries, as parts; one that has no handler anywhere is `other`.

What can undo a guard, run code, reach outside the database or give rights away is `explicit`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from broker.model import CONSTRUCT, Part
from broker.policy.sql import names, settings
from broker.policy.sql.moves import MILD, TABLES, alter_object, joined
from broker.policy.sql.queries import into
from broker.policy.sql.walk import PREPARED

if TYPE_CHECKING:
    from broker.policy.sql.grammar import Json, Node
    from broker.policy.sql.walk import Context, Handler, Walk

ACCESS_SHARE = 1
ON_TABLES = frozenset({"OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY"})


def _table(parts: list[str]) -> dict[str, str]:
    """A table named by a list of strings, as if it were a RangeVar."""
    named = {"relname": parts[-1]}
    return named | {"schemaname": parts[-2]} if len(parts) > 1 else named


def _items(node: Node) -> list[str]:
    return names.strings(node.get("List", {}).get("items"))


# -- running and reading -------------------------------------------------------------------------


def explain(walk: Walk, body: Node, context: Context) -> None:
    """EXPLAIN plans, and planning tells; with ANALYZE it runs."""
    walk.mention("explain")
    options = [each["DefElem"]["defname"] for each in body.get("options", [])]
    for part in walk.inside(body["query"]):
        walk.add(part if "analyze" in options else replace(part, unbounded=False))
        if part.table is not None:
            walk.add(replace(part, action="explain", unbounded=False))


def _prepare(walk: Walk, body: Node, context: Context) -> None:
    walk.prepares.append(body["name"])
    walk.push(body["query"], context)


def _execute(walk: Walk, body: Node, context: Context) -> None:
    walk.about("execute", f"{PREPARED}{body['name']}")
    walk.children(body, context.within("execute"))


def _declare_cursor(walk: Walk, body: Node, context: Context) -> None:
    walk.mention("cursor")
    walk.push(body["query"], context)


def _do(walk: Walk, body: Node, context: Context) -> None:
    walk.about("do", "code block", why="what the code does is not known")


def _call(walk: Walk, body: Node, context: Context) -> None:
    function = body["funccall"]
    parts = names.strings(function["funcname"])
    walk.about("call", f"procedure {names.function(parts)[0]}")
    walk.function("call", parts, harmless=True)  # so that a rule about the function can deny it
    walk.children(function, context.within("call"), skip={"funcname"})


def copy(walk: Walk, body: Node, context: Context) -> None:
    """COPY, with the right of the table that it stands for; files and programs need `other`."""
    incoming = body.get("is_from", False)
    action = "copy_from" if incoming else "copy_to"
    if "relation" in body:
        walk.table(action, body["relation"])
        walk.table("insert" if incoming else "select", body["relation"])
    else:
        walk.add(Part(action=action))
        walk.push(body["query"], context)
    if "filename" in body or body.get("is_program"):
        noun = "program" if body.get("is_program") else "file"
        walk.about("other", f"{noun} {body.get('filename', '')}", why="on the server itself")
    walk.children(body, context.within(action), skip={"relation", "query"})


# -- transactions and settings -------------------------------------------------------------------


def _transaction(walk: Walk, body: Node, context: Context) -> None:
    kind = body["kind"].removeprefix("TRANS_STMT_")
    if "PREPARE" in kind:
        walk.about("transaction", f"prepared transaction {body.get('gid', '')}")
        return
    walk.harmless("transaction")
    _read_write(walk, body.get("options", []))


def _read_write(walk: Walk, options: list[Node]) -> None:
    for each in options:
        option = each["DefElem"]
        read_only = option["defname"] == "transaction_read_only"
        if read_only and settings.literal(option.get("arg", {})) != "1":
            walk.about("set", "setting transaction_read_only")


def _variable_set(walk: Walk, body: Node, context: Context) -> None:
    kind, name = body["kind"], body.get("name", "all")
    if kind == "VAR_SET_MULTI" and name in {"TRANSACTION", "SESSION CHARACTERISTICS"}:
        walk.harmless("transaction")
        _read_write(walk, body.get("args", []))
        return
    arguments = body.get("args", [])
    value = settings.literal(arguments[0]) if len(arguments) == 1 else None
    single = kind in {"VAR_SET_VALUE", "VAR_SET_DEFAULT", "VAR_RESET"}
    default = kind != "VAR_SET_VALUE"
    if single and settings.is_harmless(name, value, default=default):
        walk.harmless("set", f"setting {name}")
    elif name.lower() == "search_path":
        walk.about("set", f"{CONSTRUCT}search_path", why=settings.PATH)
    else:
        walk.about("set", f"setting {name.lower()}")


def _show(walk: Walk, body: Node, context: Context) -> None:
    walk.harmless("show", f"setting {body['name']}")


def _discard(walk: Walk, body: Node, context: Context) -> None:
    walk.about("set", "session state (DISCARD)")


def _alter_system(walk: Walk, body: Node, context: Context) -> None:
    walk.about("alter", f"system setting {body['setstmt'].get('name', 'all')}")


def _harmless(action: str) -> Handler:
    def handle(walk: Walk, body: Node, context: Context) -> None:
        walk.harmless(action)

    return handle


# -- tables --------------------------------------------------------------------------------------


def _create_table(walk: Walk, body: Node, context: Context) -> None:
    inner = context.within("create")
    walk.table("create", body["relation"])
    walk.make(body["relation"])
    walk.push(body.get("inhRelations"), replace(inner, reads="alter"))
    walk.children(body, inner, skip={"relation", "inhRelations"})


def _create_table_as(walk: Walk, body: Node, context: Context) -> None:
    inner = context.within("create")
    into(walk, body["into"], inner)
    walk.push(body["query"], inner)


def _alter_table(walk: Walk, body: Node, context: Context) -> None:
    objtype = body.get("objtype", "OBJECT_TABLE")
    if objtype in TABLES:
        walk.table("alter", body["relation"])
    else:
        walk.about(
            "alter", f"{names.noun(objtype)} {names.spoken(body['relation'])}", explicit=False
        )
    for each in body.get("cmds", []):
        joined(walk, body["relation"], each["AlterTableCmd"])
    walk.children(body, replace(context.within("alter"), reads="alter"), skip={"relation"})


def drop(walk: Walk, body: Node, context: Context) -> None:
    """DROP: each object of the list; CASCADE reaches what nobody named."""
    objtype = body["removeType"]
    cascade = body.get("behavior") == "DROP_CASCADE"
    for each in body["objects"]:
        if objtype in TABLES:
            walk.table("drop", _table(_items(each)))
            continue
        mild = objtype in MILD and not cascade
        walk.about("drop", f"{names.noun(objtype)} {_resolved(objtype, each)}", explicit=not mild)
        if objtype in ON_TABLES:
            walk.table("alter", _table(_items(each)[:-1]))


def _resolved(objtype: str, node: Node) -> str:
    if objtype in {"OBJECT_VIEW", "OBJECT_INDEX", "OBJECT_SEQUENCE"}:
        return names.dotted(*names.relation(_table(_items(node))))
    return names.spoken(node)


def _on_tables(action: str, *keys: str) -> Handler:
    """A statement about the tables that these fields hold, or about all when they hold none."""

    def handle(walk: Walk, body: Node, context: Context) -> None:
        found = [table for key in keys for table in _listed(body.get(key))]
        for table in found:
            walk.table(action, table)
        if not found:
            walk.about(action, "every table", explicit=False)
        walk.children(body, context.within(action), skip=keys)

    return handle


def _truncate(walk: Walk, body: Node, context: Context) -> None:
    _on_tables("truncate", "relations")(walk, body, context)
    if body.get("behavior") == "DROP_CASCADE":
        walk.about("truncate", "every table that refers to them", why="CASCADE names none of them")


def _lock_tables(walk: Walk, body: Node, context: Context) -> None:
    """The weakest lock is the one that a SELECT takes, and needs no other right."""
    if body.get("mode") != ACCESS_SHARE:
        _on_tables("lock", "relations")(walk, body, context)
        return
    for table in _listed(body.get("relations")):
        walk.table("select", table)
        walk.add(Part("lock", names.dotted(*names.relation(table)), along=True))


def _listed(value: Json) -> list[Node]:
    if value is None:
        return []
    return [each["RangeVar"] for each in value] if isinstance(value, list) else [value]


def _vacuum(walk: Walk, body: Node, context: Context) -> None:
    action = "vacuum" if body.get("is_vacuumcmd") else "analyze"
    relations = [each["VacuumRelation"]["relation"] for each in body.get("rels", [])]
    for relation in relations:
        walk.table(action, relation)
    if not relations:
        walk.about(action, "every table", explicit=False)


def _rebuild(word: str) -> Handler:
    """CLUSTER and REINDEX lock and rewrite a table, or all of them."""

    def handle(walk: Walk, body: Node, context: Context) -> None:
        if "relation" in body:
            walk.table("alter", body["relation"])
        walk.about(
            "other", f"{word} {names.spoken(body.get('relation') or body.get('name') or '')}"
        )

    return handle


def _comment(walk: Walk, body: Node, context: Context) -> None:
    objtype, named = body["objtype"], body["object"]
    if objtype in TABLES:
        walk.table("comment", _table(_items(named)))
    elif objtype == "OBJECT_COLUMN":
        walk.table("comment", _table(_items(named)[:-1]))
    else:
        walk.about("comment", f"{names.noun(objtype)} {names.spoken(named)}", explicit=False)


def _attached(noun: str, name: str, table: str = "relation") -> Handler:
    """A trigger, rule or policy: code or conditions that run with every use of a table."""

    def handle(walk: Walk, body: Node, context: Context) -> None:
        verb = "alter" if "Alter" in noun else "create"
        word = noun.removeprefix("Alter ")
        walk.about(verb, f"{word} {body.get(name, '')} on {names.spoken(body[table])}")
        walk.table("alter", body[table])
        inner = context.within(verb)
        if "funcname" in body:
            walk.function(verb, names.strings(body["funcname"]))
        walk.children(body, inner, skip={table, "funcname"})

    return handle


def _index(walk: Walk, body: Node, context: Context) -> None:
    walk.about("create", f"index on {names.spoken(body['relation'])}", explicit=False)
    walk.table("alter", body["relation"])
    walk.children(body, context.within("create"), skip={"relation"})


def _view(walk: Walk, body: Node, context: Context) -> None:
    walk.about("create", f"view {names.spoken(body['view'])}", explicit=False)
    walk.children(body, context.within("create"), skip={"view"})
    parts = walk.inside(body["query"])
    tables = tuple(dict.fromkeys(part.table for part in parts if part.table is not None))
    walk.make(body["view"], parts, tables)


def _rule(walk: Walk, body: Node, context: Context) -> None:
    _attached("rule", "rulename")(walk, body, context)
    parts = [part for action in body.get("actions", []) for part in walk.inside(action)]
    walk.make(body["relation"], tuple(parts))


# -- rights --------------------------------------------------------------------------------------


def _grant(walk: Walk, body: Node, context: Context) -> None:
    action = "grant" if body.get("is_grant") else "revoke"
    listed = body.get("targtype") == "ACL_TARGET_OBJECT"
    for each in body.get("objects", []):
        if listed and body["objtype"] == "OBJECT_TABLE":
            walk.table(action, each["RangeVar"])
        else:
            scope = "" if listed else "every one in schema "
            walk.about(action, f"{names.noun(body['objtype'])} {scope}{names.spoken(each)}")


def _grant_role(walk: Walk, body: Node, context: Context) -> None:
    action = "grant" if body.get("is_grant") else "revoke"
    for each in body.get("granted_roles", []):
        walk.about(action, f"role {each['AccessPriv'].get('priv_name', '?')}")


def _default_privileges(walk: Walk, body: Node, context: Context) -> None:
    granted = body["action"].get("is_grant")
    walk.about("grant" if granted else "revoke", "default privileges")


HANDLERS: dict[str, Handler] = {
    "ExplainStmt": explain,
    "PrepareStmt": _prepare,
    "ExecuteStmt": _execute,
    "DeallocateStmt": _harmless("execute"),
    "DeclareCursorStmt": _declare_cursor,
    "FetchStmt": _harmless("cursor"),
    "ClosePortalStmt": _harmless("cursor"),
    "DoStmt": _do,
    "CallStmt": _call,
    "CopyStmt": copy,
    "TransactionStmt": _transaction,
    "ConstraintsSetStmt": _harmless("transaction"),
    "VariableSetStmt": _variable_set,
    "VariableShowStmt": _show,
    "DiscardStmt": _discard,
    "AlterSystemStmt": _alter_system,
    "CreateStmt": _create_table,
    "CreateTableAsStmt": _create_table_as,
    "AlterTableStmt": _alter_table,
    "RenameStmt": alter_object,
    "AlterObjectSchemaStmt": alter_object,
    "AlterObjectDependsStmt": alter_object,
    "AlterOwnerStmt": alter_object,
    "DropStmt": drop,
    "TruncateStmt": _truncate,
    "LockStmt": _lock_tables,
    "RefreshMatViewStmt": _on_tables("refresh", "relation"),
    "VacuumStmt": _vacuum,
    "ClusterStmt": _rebuild("cluster"),
    "ReindexStmt": _rebuild("reindex"),
    "CommentStmt": _comment,
    "IndexStmt": _index,
    "ViewStmt": _view,
    "CreateTrigStmt": _attached("trigger", "trigname"),
    "RuleStmt": _rule,
    "CreatePolicyStmt": _attached("policy", "policy_name", "table"),
    "AlterPolicyStmt": _attached("Alter policy", "policy_name", "table"),
    "GrantStmt": _grant,
    "GrantRoleStmt": _grant_role,
    "AlterDefaultPrivilegesStmt": _default_privileges,
    "UnlistenStmt": _harmless("listen"),
}
