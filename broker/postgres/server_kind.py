"""Is a server that we are logged in at the kind that `target_session_attrs` wants?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.postgres.upstream import Upstream

READ_ONLY = "default_transaction_read_only"
_STANDBY = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END"


def wanted(session_attrs: str) -> tuple[str, ...]:
    """What to look for, and then, when none was found, what to be content with."""
    return ("standby", "any") if session_attrs == "prefer-standby" else (session_attrs,)


async def serves(upstream: Upstream, kind: str, *, pinned: Mapping[str, str]) -> bool:
    """Is it one? Servers since 14 say so at login, others are asked."""
    if kind == "any":
        return True
    told = upstream.parameters.get("in_hot_standby")
    if told is None:
        ((cell,),) = await upstream.query(_STANDBY)
        told = (cell or b"").decode()
    standby = told == "on"
    if kind in {"primary", "standby"}:
        return standby == (kind == "standby")
    return (standby or await _starts_read_only(upstream, pinned)) == (kind == "read-only")


async def _starts_read_only(upstream: Upstream, pinned: Mapping[str, str]) -> bool:
    """Does the server make transactions read-only by itself, and not because we pinned that?"""
    if READ_ONLY in pinned:
        return False
    told = upstream.parameters.get(READ_ONLY)
    if told is None:
        ((cell,),) = await upstream.query("SHOW default_transaction_read_only")
        told = (cell or b"").decode()
    return told == "on"
