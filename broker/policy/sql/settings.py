"""Which SET is harmless: an allow-list, because a setting can move every other guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.policy.sql.grammar import Node

_HARMLESS = """
application_name client_min_messages datestyle extra_float_digits intervalstyle jit timezone
xmloption
"""
HARMLESS = frozenset(_HARMLESS.split())
"""Settings that change how values are written, or what the session calls itself."""

PINNED = {
    "client_encoding": frozenset({"utf8", "utf-8", "unicode"}),
    "standard_conforming_strings": frozenset({"on", "true", "yes", "1"}),
    "search_path": frozenset({"public", ""}),  # with none, names mean less, and nothing else
}
"""Settings that may only be set to what they are already; drivers do so at the start."""


RESTRICTS = "restrict_nonsystem_relation_kind"  # given more, a session may do less
PATH = "another search_path would let every name mean something else; write schema.name"


def moves_path(arguments: Sequence[Node]) -> bool:
    """Can this call of set_config change which tables names mean?"""
    name = literal(arguments[0]) if arguments else None
    if name is not None and name.lower() != "search_path":
        return False
    return len(arguments) < 2 or name is None or not is_harmless(name, literal(arguments[1]))


def is_harmless(name: str, value: str | None, *, default: bool = False) -> bool:
    """May whoever has any right on the target make this setting, or give it its default?

    `value` is None when it is not one constant.
    """
    name = name.lower()
    if name in HARMLESS:
        return True
    if default and name == "search_path":
        return True  # it is what our start-up packet said
    return value is not None and value.lower() in PINNED.get(name, ())


def literal(node: Node) -> str | None:
    """The text of a constant, or None when the node is not one."""
    constant = node.get("A_Const")
    if constant is None or constant.get("isnull"):
        return None
    for key, inner in (("sval", "sval"), ("ival", "ival"), ("fval", "fval")):
        if key in constant:
            return str(constant[key].get(inner, "" if key == "sval" else 0))
    if "boolval" in constant:
        return "on" if constant["boolval"].get("boolval") else "off"
    return None


def is_harmless_set_config(arguments: Sequence[Node]) -> bool:
    """Is this set_config(name, value, is_local) like a harmless SET LOCAL, or one of pg_dump's?"""
    if len(arguments) != 3:
        return False
    name, value, local = (literal(argument) for argument in arguments)
    if name is None or value is None:
        return name is not None and name.lower() == "jit"  # asyncpg's, for its look at types
    if name.lower() == "jit":
        return True
    if name.lower() == "search_path" or name == RESTRICTS:
        return is_harmless(name, value) or (name == RESTRICTS and bool(value))
    return local == "on" and is_harmless(name, value)
