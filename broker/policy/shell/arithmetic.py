"""``$((...))`` of whole numbers that are known: computed here, so that only the number is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from broker.policy.shell.tree import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Json = Mapping[str, Any]

LIMIT = 2**31  # all shells agree below it
_NUMBER = re.compile(r"0|[1-9]\d{0,9}")  # a leading zero is octal to some
_NAME = re.compile(r"[A-Za-z_]\w*")


def computed(node: Json, value: Callable[[str], str | None]) -> int:
    """The number; `value` gives what is known of a variable. Refused for all else."""
    kind = node.get("Type")
    if kind == "Word":
        result = _operand(node, value)
    elif kind == "ParenArithm":
        result = computed(node["X"], value)
    elif kind == "UnaryArithm" and node.get("Op") in ("-", "+") and not node.get("Post"):
        result = computed(node["X"], value) * (-1 if node["Op"] == "-" else 1)
    elif kind == "BinaryArithm":
        result = _binary(
            str(node.get("Op")), computed(node["X"], value), computed(node["Y"], value)
        )
    else:
        raise Refused("arithmetic expansion", "only numbers with + - * / % and ( ) are computed")
    if abs(result) >= LIMIT:
        raise Refused("arithmetic expansion", "the number is too large")
    return result


def _binary(op: str, left: int, right: int) -> int:
    if op in "+-*" and len(op) == 1:
        return {"+": left + right, "-": left - right, "*": left * right}[op]
    if op not in ("/", "%"):
        raise Refused("arithmetic expansion", f"{op} is not computed here")
    if right == 0:
        raise Refused("arithmetic expansion", "division by zero")
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return quotient if op == "/" else left - quotient * right


def _operand(node: Json, value: Callable[[str], str | None]) -> int:
    parts = node.get("Parts", ())
    part = parts[0] if len(parts) == 1 else {}
    text = str(part.get("Value", "")) if part.get("Type") == "Lit" else ""
    if part.get("Type") == "ParamExp":
        text = str(part["Param"]["Value"])
        if set(part) - {"Type", "Short", "Param", "Dollar", "Rbrace", "Pos", "End"}:
            text = ""
    if _NAME.fullmatch(text):
        known = value(text)
        if known is None or not re.fullmatch(r"-?(?:0|[1-9]\d{0,9})", known):
            raise Refused("arithmetic expansion", f"{text} is not a number that is known here")
        return int(known)
    if not _NUMBER.fullmatch(text):
        raise Refused("arithmetic expansion", "only numbers with + - * / % and ( ) are computed")
    return int(text)
