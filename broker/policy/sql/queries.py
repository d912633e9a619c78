"""SELECT, INSERT, UPDATE, DELETE, MERGE and what stands inside them, as parts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from broker.errors import Unparsable
from broker.model import CONSTRUCT, Part
from broker.policy.sql import names
from broker.policy.sql.constant import always_true, nodes
from broker.policy.sql.settings import PATH, is_harmless_set_config, moves_path
from broker.policy.sql.walk import UNNAMED_FIELD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.policy.sql.grammar import Json, Node
    from broker.policy.sql.walk import Context, Handler, Walk

MAX_CTES = 500  # each sees the names before it: the time goes with the square
BETWEEN = frozenset(
    f"AEXPR_{word}BETWEEN{symmetric}" for word in ("", "NOT_") for symmetric in ("", "_SYM")
)
OWN_CLAUSES = frozenset({"withClause", "intoClause", "lockingClause", "larg", "rarg"})


def scope(walk: Walk, clause: Node | None, context: Context) -> Context:
    """Walk the queries of a WITH; give back the context in which its names are taken.

    Without RECURSIVE a query sees only the names before it: its own name is the real table.
    """
    if not clause:
        return context
    ctes = [each["CommonTableExpr"] for each in clause["ctes"]]
    if len(ctes) > MAX_CTES:
        msg = f"a WITH holds more than {MAX_CTES} queries"
        raise Unparsable(msg)
    taken = context.ctes | {cte["ctename"] for cte in ctes}
    known = taken if clause.get("recursive") else context.ctes
    for cte in ctes:
        walk.push(cte, replace(context, ctes=known))
        if not clause.get("recursive"):
            known |= {cte["ctename"]}
    return replace(context, ctes=taken)


def _select(walk: Walk, body: Node, context: Context) -> None:
    if context.top:
        walk.mention("select")
    inner = scope(walk, body.get("withClause"), context.within("select"))
    if "intoClause" in body:
        walk.mention("create")
        into(walk, body["intoClause"], inner)
    if "lockingClause" in body:
        _lock(walk, body, inner)
    for side in ("larg", "rarg"):
        if side in body:
            walk.push({"SelectStmt": body[side]}, inner)
    walk.children(body, inner, skip=OWN_CLAUSES)


def into(walk: Walk, clause: Node, context: Context) -> None:
    """The table that CREATE TABLE AS, SELECT INTO or CREATE MATERIALIZED VIEW makes."""
    walk.table("create", clause["rel"])
    walk.make(clause["rel"])
    walk.children(clause, context, skip={"rel"})


def _lock(walk: Walk, body: Node, context: Context) -> None:
    """FOR UPDATE and its kin lock rows of the tables in FROM, or of those that OF names."""
    walk.mention("lock")
    tables = list(_tables(body.get("fromClause"), context))
    clauses = [each["LockingClause"].get("lockedRels", []) for each in body["lockingClause"]]
    named = {each["RangeVar"]["relname"] for clause in clauses for each in clause}
    chosen = [table for table in tables if _alias(table) in named]
    if not all(clauses) or {_alias(table) for table in chosen} != named:
        chosen = tables  # a name may be a subquery's: then all that it may hold
    for table in chosen:
        walk.table("lock", table)


def _alias(table: Node) -> str:
    return str(table.get("alias", {}).get("aliasname", table["relname"]))


def _tables(tree: Json, context: Context) -> Iterator[Node]:
    for node in nodes(tree):
        if "relname" in node and ("schemaname" in node or node["relname"] not in context.ctes):
            yield node


def range_var(walk: Walk, body: Node, context: Context) -> None:
    """A table that is named where it is read; a name that WITH took is no table."""
    if "schemaname" in body or body["relname"] not in context.ctes:
        walk.table(context.reads, body)
    else:
        walk.alias(_alias(body))


def _range_function(walk: Walk, body: Node, context: Context) -> None:
    alias = body.get("alias", {})
    columns = names.strings(alias.get("colnames"))
    columns += [each["ColumnDef"]["colname"] for each in _column_definitions(body)]
    calls = [call for each in body.get("functions", []) for call in each["List"]["items"] if call]
    for name in [alias["aliasname"]] if alias else [_default_alias(call) for call in calls]:
        walk.result(name, columns)
    walk.children(body, context, skip={"alias"})


def _default_alias(call: Node) -> str:
    if "FuncCall" in call:
        return names.strings(call["FuncCall"]["funcname"])[-1]
    operation = call.get("SQLValueFunction", {}).get("op", "")
    return str(operation).removeprefix("SVFOP_").removesuffix("_N").lower()


def _column_definitions(body: Node) -> Iterator[Node]:
    lists = [body.get("coldeflist", [])]
    for each in body.get("functions", []):
        lists += [item["List"]["items"] for item in each["List"]["items"] if "List" in item]
    for columns in lists:
        yield from (each for each in columns if "ColumnDef" in each)


def _insert(walk: Walk, body: Node, context: Context) -> None:
    inner = scope(walk, body.get("withClause"), context.within("insert"))
    walk.table("insert", body["relation"])
    if body.get("onConflictClause", {}).get("action") == "ONCONFLICT_UPDATE":
        walk.table("update", body["relation"])
        _returning(walk, body, inner)
    walk.children(body, inner, skip={"withClause", "relation"})


def _update(walk: Walk, body: Node, context: Context) -> None:
    _change(walk, body, context, "update")


def _delete(walk: Walk, body: Node, context: Context) -> None:
    _change(walk, body, context, "delete")


def _change(walk: Walk, body: Node, context: Context, action: str) -> None:
    inner = scope(walk, body.get("withClause"), context.within(action))
    target = body["relation"]
    everything = always_true(body.get("whereClause"), {_alias(target)})
    walk.table(action, target, unbounded=everything)
    _returning(walk, body, inner)
    walk.children(body, inner, skip={"withClause", "relation"})


def _returning(walk: Walk, body: Node, context: Context) -> None:
    """RETURNING columns of rows that were there before reads them."""
    if any("ColumnRef" in node for node in nodes(body.get("returningClause"))):
        walk.table("select", body["relation"])


def _merge(walk: Walk, body: Node, context: Context) -> None:
    inner = scope(walk, body.get("withClause"), context.within("merge"))
    target = body["relation"]
    walk.table("merge", target)
    joined = always_true(body.get("joinCondition"), {_alias(target)})
    for each in body.get("mergeWhenClauses", []):
        clause = each["MergeWhenClause"]
        action = clause["commandType"].removeprefix("CMD_").lower()
        if action not in {"insert", "update", "delete"}:
            continue
        loose = joined or clause["matchKind"] == "MERGE_WHEN_NOT_MATCHED_BY_SOURCE"
        everything = loose and always_true(clause.get("condition"), {_alias(target)})
        walk.table(action, target, unbounded=everything and action != "insert")
    _returning(walk, body, inner)
    walk.children(body, inner, skip={"withClause", "relation"})


def _call(walk: Walk, body: Node, context: Context) -> None:
    parts = names.strings(body["funcname"])
    harmless = None
    if parts[-1] == "set_config" and parts[:-1] in ([], ["pg_catalog"]):
        arguments = body.get("args", [])
        harmless = is_harmless_set_config(arguments)
        if not harmless and moves_path(arguments):
            walk.about(context.action, f"{CONSTRUCT}search_path", why=PATH)
    walk.function(context.action, parts, harmless=harmless)
    walk.children(body, context, skip={"funcname"})


def _expression(walk: Walk, body: Node, context: Context) -> None:
    if body["kind"] in BETWEEN:  # two comparisons
        walk.operators.update((context.action, each) for each in ("<", "<=", ">", ">="))
    else:
        walk.operator(body.get("name"), context)
    walk.push(body.get("lexpr"), context)
    walk.push(body.get("rexpr"), context)


def _sort_by(walk: Walk, body: Node, context: Context) -> None:
    walk.operator(body.get("useOp"), context)
    walk.children(body, context, skip={"useOp"})


def _sub_link(walk: Walk, body: Node, context: Context) -> None:
    walk.operator(body.get("operName"), context)
    walk.children(body, replace(context, top=False), skip={"operName"})


def _result(walk: Walk, body: Node, context: Context) -> None:
    walk.push(body.get("val"), context)
    walk.push(body.get("indirection"), context)


def _column_ref(walk: Walk, body: Node, context: Context) -> None:
    walk.column(body["fields"], context)


def _type_name(walk: Walk, body: Node, context: Context) -> None:
    walk.type(names.strings(body.get("names")), context)
    walk.children(body, context, skip={"names"})


def indirection(walk: Walk, body: Node, context: Context) -> None:
    """(value).name: a field, or a call of the function of that name with the value."""
    for name in names.strings(body.get("indirection")):
        if name not in names.FIELDS:
            part = Part(action=context.action, function=name, explicit=True, why=UNNAMED_FIELD)
            walk.add(part)
    walk.children(body, context)


def _table_sample(walk: Walk, body: Node, context: Context) -> None:
    method = names.strings(body.get("method"))
    walk.function(context.action, method, harmless=method in (["system"], ["bernoulli"]))
    walk.children(body, context, skip={"method"})


HANDLERS: dict[str, Handler] = {
    "SelectStmt": _select,
    "InsertStmt": _insert,
    "UpdateStmt": _update,
    "DeleteStmt": _delete,
    "MergeStmt": _merge,
    "RangeVar": range_var,
    "RangeFunction": _range_function,
    "RangeTableSample": _table_sample,
    "FuncCall": _call,
    "A_Expr": _expression,
    "SortBy": _sort_by,
    "SubLink": _sub_link,
    "ResTarget": _result,
    "ColumnRef": _column_ref,
    "TypeName": _type_name,
    "A_Indirection": indirection,
}
