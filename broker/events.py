"""The facts that the audit log is made of: one constructor a fact, named for grep.

An event is denormalised: it says by itself who did what to which target. It never holds a token,
a credential or a clear sensitive value: statement texts arrive here already redacted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.model import Identity, Impact, Session, Statement, Verdict

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"

LISTED = 50  # files and hosts of one statement that are named in an event
USER_LIMIT = 200  # characters of a user name that a client chose
STATEMENT_LIMIT = 8192  # characters of a statement kept in an event; its digest is always whole


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `actor` is who caused it (``kind:name@issuer`` or ``broker``), `sid` the session.

    The log adds id, time and sequence. `fields` holds JSON values without floats.
    """

    type: str
    actor: str
    fields: Mapping[str, Json]
    sid: str | None = None


def _about(session: Session) -> dict[str, Json]:
    identity = session.identity
    return {
        "identity": str(identity),
        "acting_for": identity.acting_for,
        "target": session.target,
    }


def login_granted(identity: Identity, *, source: str, ttl_s: int) -> Event:
    """A certificate was issued."""
    return Event(
        "login.granted",
        str(identity),
        {
            "issuer": identity.issuer,
            "subject": identity.subject,
            "groups": list(identity.groups),
            "acting_for": identity.acting_for,
            "claims": dict(identity.claims),
            "fingerprint": identity.fingerprint,
            "serial": identity.serial,
            "source": source,
            "ttl_s": ttl_s,
        },
    )


def login_refused(
    why: str,
    *,
    source: str,
    fingerprint: str,
    issuer: str | None = None,
    subject: str | None = None,
    serial: int | None = None,
    claimed: Mapping[str, str] | None = None,
) -> Event:
    """A token or certificate did not prove what it claims.

    `issuer`, `subject` and `serial` were proven by its signature; `claimed` is only what it says.
    """
    fields: dict[str, Json] = {
        "why": why,
        "source": source,
        "fingerprint": fingerprint,
        "issuer": issuer,
        "subject": subject,
        "serial": serial,
        "claimed": None if claimed is None else dict(claimed),
    }
    return Event("login.refused", "unknown", fields)


def certificate_used(identity: Identity, *, source: str, user: str) -> Event:
    """A certificate opened a connection; `user` is the user name: a target, or a word of ours."""
    fields: dict[str, Json] = {
        "identity": str(identity),
        "acting_for": identity.acting_for,
        "issuer": identity.issuer,
        "subject": identity.subject,
        "fingerprint": identity.fingerprint,
        "serial": identity.serial,
        "source": source,
        "user": user[:USER_LIMIT],
    }
    return Event("certificate.used", str(identity), fields)


def session_opened(session: Session) -> Event:
    """A way through to a target begins."""
    identity = session.identity
    fields = _about(session) | {
        "kind": session.target_kind,
        "way": session.way.value,
        "reason": session.reason,
        "source": session.source,
        "serial": identity.serial,
        "claims": dict(identity.claims),
        "config": session.config_hash,
    }
    return Event("session.opened", str(identity), fields, session.id)


def session_closed(session: Session, *, status: str, exit_code: int | None) -> Event:
    """A way through ended: `status` is ``ended``, ``failed``, ``interrupted`` or ``killed``."""
    fields = _about(session) | {"status": status, "exit": exit_code}
    return Event("session.closed", str(session.identity), fields, session.id)


def judged(
    session: Session, statement: Statement, verdict: Verdict, *, redact: Callable[[str], str]
) -> Event:
    """A statement got its final answer. `redact` masks sensitive values wherever it is quoted."""
    fields = _about(session) | {
        "answer": verdict.answer.value,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "review": verdict.review,
        "statement": redact(statement.text)[:STATEMENT_LIMIT],
        "digest": statement.digest,
        "actions": list(verdict.facts.actions),
        "tables": [redact(table) for table in verdict.facts.tables],
        "commands": [redact(each)[:STATEMENT_LIMIT] for each in verdict.facts.commands],
        "config": verdict.config or session.config_hash,
    }
    for how, listed in verdict.facts.resources.items():
        fields[how] = [redact(each)[:STATEMENT_LIMIT] for each in listed[:LISTED]]
    return Event("statement.judged", str(session.identity), fields, session.id)


def review_asked(
    session: Session, review: str, *, digest: str, rule: str, shown: str, impact: Impact
) -> Event:
    """A statement begins to wait for people, who are told this of its impact."""
    fields = _about(session) | {
        "review": review,
        "digest": digest,
        "rule": rule,
        "statement": shown[:STATEMENT_LIMIT],
        "estimate": impact.estimate,
        "max_affected": impact.max_affected,
    }
    return Event("review.asked", str(session.identity), fields, session.id)


def review_answered(
    by: Identity, review: str, *, answer: str, digest: str, reason: str, sid: str
) -> Event:
    """One person's answer: ``approve`` or ``deny``."""
    fields: dict[str, Json] = {
        "review": review,
        "answer": answer,
        "digest": digest,
        "reason": reason,
        "by": str(by),
        "serial": by.serial,
    }
    return Event("review.answered", str(by), fields, sid)


def review_tried(by: Identity, review: str, *, digest: str, sid: str, found: str) -> Event:
    """A dry run for an approver: `found` is ``asked`` before it, then its result in words."""
    fields: dict[str, Json] = {
        "review": review,
        "digest": digest,
        "found": found,
        "by": str(by),
        "serial": by.serial,
    }
    return Event("review.tried", str(by), fields, sid)


def review_closed(review: str, *, state: str, digest: str, sid: str) -> Event:
    """A review reached a final state: approved, denied, expired, withdrawn or used."""
    return Event(
        "review.closed", "broker", {"review": review, "state": state, "digest": digest}, sid
    )


def masked(session: Session, counts: Mapping[str, int]) -> Event:
    """How many values of each type were masked in this session."""
    fields = _about(session) | {"counts": dict(counts)}
    return Event("mask.applied", "broker", fields, session.id)


def recording_chunk(sid: str, *, n: int, offset: int, length: int, sha256: str) -> Event:
    """A stretch of a recording file, tied into the log: bytes `offset` to `offset + length`."""
    rec: dict[str, Json] = {"n": n, "off": offset, "len": length, "sha256": sha256}
    return Event("recording.chunk", "broker", {"rec": rec}, sid)


def recording_opened(sid: str, *, file: str) -> Event:
    """A recording file begins; `file` is relative to ``recordings/``."""
    return Event("recording.opened", "broker", {"rec": {"file": file}}, sid)


def recording_closed(
    sid: str, *, file: str, size: int, sha256: str, events: int, ms: int, status: str
) -> Event:
    """A recording file is complete; its whole hash."""
    rec: dict[str, Json] = {
        "file": file,
        "bytes": size,
        "sha256": sha256,
        "events": events,
        "ms": ms,
        "status": status,
    }
    return Event("recording.close", "broker", {"rec": rec}, sid)


def lock_set(by: Identity, lock: str, *, reason: str) -> Event:
    """Something is barred from now on; `lock` is what, such as ``target:orders``."""
    return Event("lock.set", str(by), {"lock": lock, "reason": reason, "serial": by.serial})


def lock_lifted(by: Identity, lock: str, *, reason: str) -> Event:
    """A lock is no longer in force."""
    return Event("lock.lifted", str(by), {"lock": lock, "reason": reason, "serial": by.serial})


def lock_refused(
    identity: Identity, lock: str, *, target: str | None, source: str, times: int
) -> Event:
    """A lock was in somebody's way, `times` since this was last told of them."""
    fields = _at_the_door(identity, source, times) | {"lock": lock, "target": target}
    return Event("lock.refused", str(identity), fields)


def session_killed(by: Identity, sid: str, *, about: str, reason: str) -> Event:
    """Somebody ends one session; `about` is whose it is."""
    fields: dict[str, Json] = {"about": about, "reason": reason, "serial": by.serial}
    return Event("session.killed", str(by), fields, sid)


def limit_reached(
    limit: str,
    told: str,
    *,
    identity: Identity | None = None,
    session: Session | None = None,
    source: str = "",
    times: int = 1,
) -> Event:
    """A limit refused or ended something: its name in the configuration, and what was told."""
    source = session.source if session is not None else source
    actor = "unknown" if identity is None else str(identity)
    fields = _at_the_door(identity, source, times) | {"limit": limit, "told": told}
    return Event("limit.reached", actor, fields, session.id if session is not None else None)


def _at_the_door(identity: Identity | None, source: str, times: int) -> dict[str, Json]:
    known: dict[str, Json] = {"source": source, "times": times}
    if identity is not None:
        known |= {"identity": str(identity), "acting_for": identity.acting_for}
        known["serial"] = identity.serial
    return known


def role_made(session: Session, role: str, member_of: tuple[str, ...]) -> Event:
    """A role of the target's own is made for one session, just after this."""
    fields = _about(session) | {"role": role, "member_of": list(member_of)}
    return Event("role.made", str(session.identity), fields, session.id)


def role_ended(session: Session, role: str, *, dropped: bool) -> Event:
    """A session's role is gone; or could not be dropped, and a reaper will."""
    return Event(
        "role.ended", "broker", _about(session) | {"role": role, "dropped": dropped}, session.id
    )


def role_reaped(target: str, role: str) -> Event:
    """A role that a dead broker left is ended, just after this."""
    sid = role.rpartition("_")[2]
    return Event("role.reaped", "broker", {"target": target, "role": role}, sid)


def watched(by: Identity, act: str, about: str) -> Event:
    """Somebody looked at evidence: `act` is play or verify; `about` a session id or ``log``."""
    return Event("evidence." + act, str(by), {"about": about, "serial": by.serial})


def config_loaded(config_hash: str, file: str, version: str) -> Event:
    """The configuration in force from now on."""
    return Event(
        "config.loaded", "broker", {"config": config_hash, "file": file, "version": version}
    )


def broker_event(what: str, fields: Mapping[str, Json]) -> Event:
    """The broker's own life: ``started``, ``stopping``, ``recovered``."""
    return Event("broker." + what, "broker", fields)
