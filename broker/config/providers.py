"""The `issuers:` section as Issuer values, and where the key is that signs for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.identity.claims import PLACEHOLDER
from broker.identity.custody import InAgent, InFile
from broker.identity.issuers import Issuer
from broker.model import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.config.backends import Surroundings
    from broker.config.shapes import Fields
    from broker.config.source import Problems
    from broker.identity.custody import Custody

OPTIONAL = ("client_id", "groups", "groups_claim", "acting_for", "keep", "ttl", "skew", "keys_life")


def make_issuers(entries: Sequence[Fields], problems: Problems) -> tuple[Issuer, ...]:
    """Every whole entry; no two with one name, or for the same tokens."""
    names: set[str] = set()
    tokens: set[tuple[str, str]] = set()
    made = []
    for entry in entries:
        if not entry.whole:
            continue
        issuer = _issuer(entry)
        if issuer.name in names:
            problems.add(entry.line_of("name"), f"{entry.path}: the name {issuer.name} is taken")
        if (issuer.issuer, issuer.audience) in tokens:
            problems.add(
                entry.line_of("issuer"),
                f"{entry.path}: an issuer above takes the same tokens (issuer and audience)",
            )
        if issuer.kind is Kind.HUMAN and PLACEHOLDER.search(issuer.user) is None:
            problems.add(
                entry.line_of("user"),
                f"{entry.path}.user: names every person alike; use a claim such as {{email}}",
            )
        names.add(issuer.name)
        tokens.add((issuer.issuer, issuer.audience))
        made.append(issuer)
    return tuple(made)


def make_custody(entry: Fields | None, around: Surroundings) -> Custody | None:
    """What `user_ca` says, if anything."""
    if entry is None or not entry.whole:
        return None
    if ("file" in entry) == ("agent" in entry):
        around.problems.add(entry.line, f"{entry.path}: exactly one of file, agent is needed")
    elif "agent" in entry:
        socket = around.path(entry["socket"]) if "socket" in entry else None
        return InAgent(entry["agent"], socket)
    elif "socket" in entry:
        around.problems.add(entry.line_of("socket"), f"{entry.path}.socket: belongs to agent")
    elif around.environ is None:
        return InFile(around.path(entry["file"]))
    else:
        return InFile(around.readable(entry["file"], entry.line_of("file"), f"{entry.path}.file"))
    return None


def _issuer(entry: Fields) -> Issuer:
    given = {key: entry[key] for key in OPTIONAL if key in entry}
    return Issuer(
        name=entry["name"],
        issuer=entry["issuer"],
        audience=entry["audience"],
        kind=Kind(entry["kind"]),
        user=entry["user"],
        require=dict(entry.get("require", {})),
        pin_source=entry.get("pin_source", False),
        **given,
    )
