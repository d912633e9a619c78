"""The `issuers:` section as Issuer values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.identity.claims import PLACEHOLDER
from broker.identity.issuers import Issuer
from broker.model import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.config.shapes import Fields
    from broker.config.source import Problems

OPTIONAL = ("client_id", "groups", "groups_claim", "acting_for", "keep", "ttl", "skew")


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
