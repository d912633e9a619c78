"""From an issuer's entry and a verified token's claims to an Identity; pure.

A template is text with ``{claim}`` in it; `paths` says how claims are named. A condition of
`require` holds when the claim equals one of the patterns (``*`` is any run of characters); a claim
that is a list satisfies it when one of its elements does. A claim that is missing fails every
template and every condition: nothing is guessed.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from broker.errors import IdentityRefused
from broker.identity.paths import MISSING, look_up, path_problem
from broker.model import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from broker.identity.issuers import Issuer

NAME_LIMIT = 200
GROUP_LIMIT = 255  # OpenSSH takes 256 principals: the name and these
KEPT_LIMIT = 1000  # characters of one kept claim
SUBJECT_LIMIT = 255

SAFE = re.compile(r"[A-Za-z0-9._@:/+-]+")
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
RESERVED = ("group:", "kind:", "issuer:", "human:", "agent:")  # they mean something in `who`


def identity_from(
    issuer: Issuer, claims: Mapping[str, object], *, fingerprint: str = ""
) -> Identity:
    """The identity that verified claims stand for, or IdentityRefused with the claim's name."""
    check_required(issuer, claims)
    acting_for = issuer.acting_for
    return Identity(
        name=checked_name(fill(issuer.user, claims)),
        kind=issuer.kind,
        issuer=issuer.name,
        subject=_subject(claims),
        groups=_groups(issuer, claims),
        acting_for=None if acting_for is None else _person(fill(acting_for, claims)),
        claims=_kept(issuer, claims),
        fingerprint=fingerprint,
    )


def fill(template: str, claims: Mapping[str, object]) -> str:
    """The template with every placeholder replaced by its claim's value."""
    return PLACEHOLDER.sub(lambda found: _scalar(found.group(1), claims), template)


def template_problem(template: str) -> str | None:
    """What is wrong with a template's form, or None."""
    rest = PLACEHOLDER.sub("", template)
    if "{" in rest or "}" in rest:
        return "has a brace without its partner; write claims as {name}"
    if rest and SAFE.fullmatch(rest) is None:
        return "may hold only letters, digits and . _ @ : / + - around its claims"
    problems = (path_problem(name) for name in PLACEHOLDER.findall(template))
    return next((problem for problem in problems if problem), None)


def is_safe(name: str) -> bool:
    """May this be a user or group name: short, and of characters that nothing interprets?"""
    return len(name) <= NAME_LIMIT and SAFE.fullmatch(name) is not None


def checked_name(name: str, what: str = "user name") -> str:
    """A user name that cannot be mistaken for another kind of entry in a rule."""
    if not is_safe(name):
        msg = (
            f"the {what} {_shown(name)} is empty, longer than {NAME_LIMIT} characters, "
            "or has characters other than letters, digits and . _ @ : / + -"
        )
        raise IdentityRefused(msg)
    if name.startswith(RESERVED):
        msg = f"the {what} {_shown(name)} begins with a word that rules reserve"
        raise IdentityRefused(msg)
    return name


def _person(name: str) -> str:
    return checked_name(name, "name of the person that it acts for (acting_for),")


def matches(pattern: str, value: str) -> bool:
    """Is this value what the pattern says, ``*`` being any run of characters?"""
    words = (re.escape(word) for word in pattern.split("*"))
    return re.fullmatch(".*".join(words), value, re.DOTALL) is not None


def check_required(issuer: Issuer, claims: Mapping[str, object]) -> None:
    """Refuse when a condition of the issuer's `require` does not hold."""
    for claim, patterns in issuer.require.items():
        values = list(_values(look_up(claim, claims)))
        if not any(matches(pattern, value) for pattern in patterns for value in values):
            msg = f"the claim {claim} is not what the issuer {issuer.name} requires"
            raise IdentityRefused(msg)


def _subject(claims: Mapping[str, object]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LIMIT:
        msg = f"the claim sub must be a text of 1 to {SUBJECT_LIMIT} characters"
        raise IdentityRefused(msg)
    if not subject.isprintable():
        msg = "the claim sub has characters that cannot be shown"
        raise IdentityRefused(msg)
    return subject


def _groups(issuer: Issuer, claims: Mapping[str, object]) -> tuple[str, ...]:
    groups = [fill(template, claims) for template in issuer.groups]
    if unsafe := next((group for group in groups if not is_safe(group)), None):
        msg = f"the group name {_shown(unsafe)} has characters that a group may not have"
        raise IdentityRefused(msg)
    if issuer.groups_claim is not None:
        groups += _claimed_groups(issuer.groups_claim, claims)
    once = tuple(dict.fromkeys(groups))
    if len(once) > GROUP_LIMIT:
        msg = f"the token names {len(once)} groups; a certificate holds {GROUP_LIMIT} at most"
        raise IdentityRefused(msg)
    return once


def _claimed_groups(claim: str, claims: Mapping[str, object]) -> list[str]:
    """A list, or one text with blanks or commas between.

    Names with other characters are left out: no rule can name them, because the configuration
    refuses such a `who`, so that leaving them out can neither give nor save anything.
    """
    value = look_up(claim, claims)
    if isinstance(value, str):
        value = re.split(r"[\s,]+", value.strip())
    if not isinstance(value, list) or not all(isinstance(group, str) for group in value):
        msg = f"the claim {claim} must be a list of group names"
        raise IdentityRefused(msg if value is not MISSING else _absent(claim))
    return [group for group in value if is_safe(group)]


def _kept(issuer: Issuer, claims: Mapping[str, object]) -> dict[str, str]:
    """The claims that `keep:` lists, as text; one that the token does not have is left out."""
    kept = {}
    for claim in issuer.keep:
        value = look_up(claim, claims)
        if value is MISSING or value is None:
            continue
        text = _text(value)
        if text is None:
            text = json.dumps(value, ensure_ascii=True, sort_keys=True)
        if len(text) > KEPT_LIMIT or not text.isprintable():
            msg = f"the claim {claim} is too long to keep, or has characters that cannot be shown"
            raise IdentityRefused(msg)
        kept[claim] = text
    return kept


def _scalar(claim: str, claims: Mapping[str, object]) -> str:
    value = look_up(claim, claims)
    if value is MISSING or value is None:
        raise IdentityRefused(_absent(claim))
    text = _text(value)
    if text is None:
        msg = f"the claim {claim} is neither text, nor a whole number, nor true or false"
        raise IdentityRefused(msg)
    if not text:
        msg = f"the claim {claim} is empty"
        raise IdentityRefused(msg)
    return text


def _values(value: object) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        text = _text(one)
        if text is not None:
            yield text


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) else None


def _absent(claim: str) -> str:
    return f"the token has no claim {claim}"


def _shown(name: str) -> str:
    return ascii(name[:60])
