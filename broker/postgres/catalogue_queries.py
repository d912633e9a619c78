"""What a target is asked about its catalogue; each text is one round trip.

The names in these texts mean pg_catalog's and nobody else's: search_path is set for the one
transaction that a simple query is. Rows begin with a letter that says what they are about.
Objects below OID 16384 are PostgreSQL's own. The probe takes no locks; definitions of views and
rules need a lock that ALTER TABLE withholds, so the load waits for them only so long.
"""

from __future__ import annotations

LOCK_TIMEOUT = "300ms"

_PINNED = "SET LOCAL search_path TO pg_catalog;\n"
_OWN = "oid >= 16384"
_SUM = "SELECT count(*) || ':' || coalesce(sum(hashtextextended({what}, 0)), 0) FROM {table}"
_ROW = "oid::text || xmin::text"
_TABLES = ("class", "rewrite", "proc", "operator", "cast", "type", "namespace", "trigger")

PROBE = _PINNED + "\nUNION ALL ".join(
    [_SUM.format(what=_ROW, table=f"pg_{table} WHERE {_OWN}") for table in _TABLES]
    + [
        _SUM.format(what="inhrelid::text || inhparent::text", table="pg_inherits"),
        _SUM.format(what=_ROW, table=f"pg_constraint WHERE contypid <> 0 AND {_OWN}"),
    ]
)
"""Sums over rows and the transactions that wrote them: another answer, another catalogue."""

_NOT_TEMPORARY = "NOT n.nspname LIKE 'pg\\_temp\\_%' AND NOT n.nspname LIKE 'pg\\_toast%'"

_RELATIONS = """
SELECT 'r', n.nspname, c.relname, c.relkind, {query}
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND c.{own} AND {lasting} ORDER BY c.oid;
"""
_RULES = """
SELECT 'u', n.nspname, c.relname, {rule}
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.{own} AND r.rulename <> '_RETURN' AND r.ev_enabled <> 'D' AND {lasting} ORDER BY r.oid;
"""
_REST = """
SELECT 'i', pn.nspname, p.relname, cn.nspname, c.relname, c.relispartition
FROM pg_inherits i
JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
WHERE p.relkind IN ('r', 'f', 'p') ORDER BY i.inhrelid, i.inhseqno;
SELECT 't', n.nspname, c.relname, fn.nspname, f.proname
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace fn ON fn.oid = f.pronamespace
WHERE t.tgtype & 64 <> 0 AND NOT t.tgisinternal ORDER BY t.oid;
SELECT 'f', n.nspname, f.proname, l.lanname, f.prokind, f.provolatile, f.prosecdef,
  has_function_privilege('public', f.oid, 'execute'),
  f.pronargs > 0 AND f.pronargs - f.pronargdefaults <= 1
    AND EXISTS (
      SELECT FROM pg_type t WHERE t.oid = f.proargtypes[0] AND t.typtype IN ('c', 'p', 'd')),
  CASE WHEN l.lanname = 'sql' AND f.prokind = 'f' AND f.proconfig IS NULL THEN {body} END
FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang
WHERE f.{own} ORDER BY f.oid;
SELECT 'o', n.nspname, o.oprname, fn.nspname, f.proname
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
JOIN pg_proc f ON f.oid = o.oprcode JOIN pg_namespace fn ON fn.oid = f.pronamespace
WHERE o.{own} ORDER BY o.oid;
SELECT 'd', n.nspname, t.typname, fn.nspname, f.proname
FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid
JOIN pg_namespace n ON n.oid = t.typnamespace,
LATERAL regexp_matches(k.conbin::text, ':(?:funcid|opfuncid) (\\d+)', 'g') AS called
JOIN pg_proc f ON f.oid = called[1]::oid JOIN pg_namespace fn ON fn.oid = f.pronamespace
WHERE k.{own} ORDER BY t.oid, f.oid;
SELECT 'd', n.nspname, t.typname, fn.nspname, f.proname
FROM pg_cast k JOIN pg_type t ON t.oid = k.casttarget JOIN pg_namespace n ON n.oid = t.typnamespace
JOIN pg_proc f ON f.oid = k.castfunc JOIN pg_namespace fn ON fn.oid = f.pronamespace
WHERE k.{own} ORDER BY k.oid;
SELECT 'b', string_agg(DISTINCT f.proname, ' ' ORDER BY f.proname)
FROM pg_proc f WHERE f.oid < 16384 AND f.pronamespace = 'pg_catalog'::regnamespace;
"""

NEW_BODIES = 140000  # the version since which a function may have its SQL as a tree


def load(version: int, *, texts: bool = True) -> str:
    """The whole catalogue. Without `texts`, views and rules come without their definitions."""
    body = (
        "f.prosrc" if version < NEW_BODIES else "coalesce(pg_get_function_sqlbody(f.oid), f.prosrc)"
    )
    query = "CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END"
    asked = (_RELATIONS + _RULES + _REST).format(
        query=query if texts else "NULL",
        rule="pg_get_ruledef(r.oid)" if texts else "NULL",
        body=body if texts else "NULL",
        own=_OWN,
        lasting=_NOT_TEMPORARY,
    )
    return _PINNED + f"SET LOCAL lock_timeout TO '{LOCK_TIMEOUT}';\n" + asked
