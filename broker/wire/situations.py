"""Where a statement that is held stands: what people should know of its transaction and values."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from broker.model import Parameter
from broker.wire import frontend
from broker.wire.actions import Situation

if TYPE_CHECKING:
    from broker.model import Verdict
    from broker.wire.ledger import Ledger
    from broker.wire.messages import Message


def situation(ledger: Ledger, held: Message | None) -> Situation:
    """The situation of the message that is held."""
    before = None if ledger.status == "I" else tuple(ledger.ran)
    if held is None or held.kind != "B":
        return Situation(before)
    bind = frontend.read_bind(held.body)
    prepared = ledger.statements.find(bind.statement)
    types = () if prepared is None else prepared.types
    known = zip_longest(types[: len(bind.binary)], bind.binary, fillvalue=0)
    return Situation(before, tuple(Parameter(kind, bool(form)) for kind, form in known))


def word(verdict: Verdict) -> str:
    """The verdict on what may run, as people read it."""
    return "allow" if verdict.review is None else f"review {verdict.review} approved"
