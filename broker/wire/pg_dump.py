"""pg_dump begins by lifting the limits of its session, and gives up when it may not.

What stands in for those statements changes nothing: the limits stay for everybody, and pg_dump
works as well with them in place. Whoever only says that it is pg_dump has gained nothing.
"""

from __future__ import annotations

import re

from broker.wire import notices
from broker.wire.actions import Deliver

NAME = "pg_dump"

_LIMIT = re.compile(
    rb"SET ((?:statement|lock|transaction|idle_in_transaction_session)_timeout"
    rb"|row_security|synchronize_seqscans)(?: = | TO )(?:0|off)"
)
_RESTRICT = re.compile(
    rb"SELECT set_config\(name, '([a-z, -]*)', false\) FROM pg_settings"
    rb" WHERE name = 'restrict_nonsystem_relation_kind'"
)
_SUBSCRIPTIONS = re.compile(rb"SELECT count\(\*\) FROM pg_subscription\s+WHERE subdbid = [^;]*")
_RESTRICTED = (
    b"SELECT pg_catalog.set_config('restrict_nonsystem_relation_kind', '%b', false)"
    b" WHERE EXISTS (SELECT 1 FROM pg_catalog.pg_settings"
    b" WHERE name = 'restrict_nonsystem_relation_kind')"
)
ROWS = "interlock: row_security stays as it is: rows that a policy hides will be missing"


def stand_in(text: bytes) -> tuple[bytes, list[Deliver]]:
    """What is judged and sent in place of a text of pg_dump's, and what it is to be told."""
    limit = _LIMIT.fullmatch(text)
    if limit is not None:
        stands = b"SET xmloption TO DEFAULT /* pinned: %b */" % limit[1]
        told = [Deliver(notices.notice(ROWS))] if limit[1] == b"row_security" else []
        return stands, told
    restrict = _RESTRICT.fullmatch(text)
    if restrict is not None:
        return _RESTRICTED % restrict[1], []
    if _SUBSCRIPTIONS.fullmatch(text):  # their table holds passwords; none are told of
        return b"SELECT 0 AS count /* of subscriptions */", []
    return text, []
