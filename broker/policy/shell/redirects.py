"""Redirections of shfmt's tree: to literal paths, other descriptors, and literal input."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from broker.policy.shell.bounds import is_control
from broker.policy.shell.tree import Duplicate, File, Here, Refused
from broker.policy.shell.words import word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from broker.policy.shell.tree import Redirect
    from broker.policy.shell.words import Reading

    Json = Mapping[str, Any]

KNOWN = {"Type", "Op", "N", "Word", "Hdoc", "OpPos", "Pos", "End"}
DESCRIPTOR = re.compile(r"[0-9]+|-")
FILES = {"<": "<", ">": ">", ">|": ">", ">>": ">>"}


def redirects(nodes: Sequence[Json], reading: Reading) -> tuple[Redirect, ...]:
    """All redirections of one command, in order."""
    return tuple(one for node in nodes for one in _redirect(node, reading))


def _redirect(node: Json, reading: Reading) -> Iterator[Redirect]:
    if set(node) - KNOWN:
        raise Refused("redirection", "this form is not understood")
    op = str(node["Op"])
    if op in FILES:
        yield File(_descriptor(node, 0 if op == "<" else 1), FILES[op], _path(node, reading))
    elif op in (">&", "<&") and DESCRIPTOR.fullmatch(_target(node, reading)):
        yield _duplicate(node, op, reading)
    elif op in ("<<", "<<-"):
        yield Here(_descriptor(node, 0), _document(node, stripped=op == "<<-"))
    elif reading.portable:
        raise Refused(f"redirection {op}", "not every shell reads it the same way")
    elif op == "<<<":
        yield Here(_descriptor(node, 0), _target(node, reading) + "\n")
    elif op in ("&>", "&>>", ">&") and not node.get("N"):
        yield File(1, ">>" if op == "&>>" else ">", _path(node, reading))
        yield Duplicate(2, ">&", "1")
    else:
        raise Refused(f"redirection {op}", "this form is not understood")


def _duplicate(node: Json, op: str, reading: Reading) -> Duplicate:
    target = _target(node, reading)
    if len(target) > 1:
        raise Refused("descriptor", "only 0 to 9 are read the same by every shell")
    return Duplicate(_descriptor(node, 0 if op == "<&" else 1), op, target)


def _descriptor(node: Json, default: int) -> int:
    number = node.get("N")
    if not number:
        return default
    text = str(number["Value"])
    if len(text) != 1 or text not in "0123456789":
        raise Refused("descriptor", "only 0 to 9 are read the same by every shell")
    return int(text)


def _target(node: Json, reading: Reading) -> str:
    text = word(node["Word"], reading).literal
    if text is None:
        raise Refused("redirection", "its target must be known here; write it out")
    return text


def _path(node: Json, reading: Reading) -> str:
    path = _target(node, reading)
    if not path:
        raise Refused("redirection", "its target is empty")
    return path


def _document(node: Json, *, stripped: bool) -> str:
    """The body of a here-document, when nothing in it would be expanded."""
    parts = node["Hdoc"]["Parts"] if node.get("Hdoc") else ()
    if any(part.get("Type") != "Lit" for part in parts):
        raise Refused("here-document", "it expands something; quote its delimiter: <<'EOF'")
    body = "".join(part["Value"] for part in parts)
    if not _is_quoted(node["Word"]) and any(char in body for char in "\\$`"):
        raise Refused("here-document", "it may expand something; quote its delimiter: <<'EOF'")
    if stripped:
        body = "".join(line.lstrip("\t") for line in body.splitlines(keepends=True))
    if any(is_control(char) for char in body) or (body and not body.endswith("\n")):
        raise Refused("here-document", "its text is not plain lines")
    return body


def _is_quoted(delimiter: Json) -> bool:
    parts = delimiter.get("Parts", ())
    return any(part.get("Type") != "Lit" or "\\" in part["Value"] for part in parts)
