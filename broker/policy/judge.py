"""A statement and the rules in, a verdict out: the statement's own grammar, then `decide`.

A `Judge` belongs to one configuration and dies with it. It remembers verdicts on texts: for the
identity, the target, the version of the target's catalogue and what the session itself made, which
together with the text are all that a verdict is made of. Locks are not judged here: they end
sessions. What a text says by itself is remembered for every judge.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

from broker.errors import Unparsable
from broker.model import Answer, Facts, Language, Part, Statement, Verdict
from broker.policy import sql, terminal
from broker.policy.decide import Standing
from broker.policy.shell.facts import facts as shell_facts
from broker.policy.sql import second
from broker.policy.sql.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from broker.model import Identity
    from broker.policy.rules import Rule
    from broker.policy.sql.catalogue import Catalogue, Overlay
    from broker.policy.sql.reading import Reading

    ParseShell = Callable[[str], Mapping[str, Any]]

CACHED = 2048  # verdicts, and readings
CACHEABLE = 4096  # characters; a longer text is rarely sent twice
FEW = 64  # parts; a text of more is not kept
STANDINGS = 4096  # identities and targets; more than there may be connections
LARGE = 8192  # characters; reading more may take longer than anybody else should wait
LARGE_KEPT = 16  # large texts that were read elsewhere and wait for their judgement


class Judge:
    """The rules of one configuration and a memory of what they came to.

    `parse_shell` gives the tree of a command line (``shfmt --to-json``); `config` is the hash of
    the configuration, which is in every verdict.
    """

    def __init__(self, rules: Iterable[Rule], parse_shell: ParseShell, config: str = "") -> None:
        self._rules = tuple(rules)
        self._parse_shell = parse_shell
        self._config = config
        self._standings: OrderedDict[tuple[int, str], tuple[Identity, Standing]] = OrderedDict()
        self._verdicts: OrderedDict[tuple[Any, ...], tuple[Identity, Verdict]] = OrderedDict()

    def __call__(
        self,
        identity: Identity,
        target: str,
        statement: Statement,
        catalogue: Catalogue | None = None,
        overlay: Overlay | None = None,
    ) -> Verdict:
        """Judge one statement; Unparsable when its grammar does not accept it.

        Without a `catalogue` the text alone is judged. `overlay` is what the session made; a
        statement that may run is noted there.
        """
        if statement.language is Language.TERMINAL:
            whole = terminal.decide(self._rules, identity, target)
            return replace(whole, config=self._config)
        if statement.language is not Language.SQL:
            facts = _lines(statement, self._parse_shell)
            return self._decided(identity, target, facts)
        text = statement.text
        version = "" if catalogue is None else catalogue.version
        made = overlay.version if overlay is not None else 0
        key = (id(identity), target, version, made, text)
        found = self._verdicts.get(key)
        if found is not None and found[0] is identity:  # an id is used again, an object is not
            return found[1]
        return self._judged(identity, target, text, catalogue, overlay, key)

    def _judged(
        self,
        identity: Identity,
        target: str,
        text: str,
        catalogue: Catalogue | None,
        overlay: Overlay | None,
        key: tuple[Any, ...],
    ) -> Verdict:
        reading = _read(text)
        facts = Facts(reading.parts) if catalogue is None else resolve(reading, catalogue, overlay)
        verdict = self._decided(identity, target, facts)
        if verdict.answer is Answer.REVIEW:
            verdict = _for_people(verdict, text, reading)
        if overlay is not None and (reading.made or reading.prepares):
            _note(overlay, reading, verdict)
        elif len(text) <= CACHEABLE and len(facts.parts) <= FEW:
            _remember(self._verdicts, key, (identity, verdict))
        return verdict

    def _decided(self, identity: Identity, target: str, facts: Facts) -> Verdict:
        return self._standing(identity, target).decide(facts)

    def _standing(self, identity: Identity, target: str) -> Standing:
        key = (id(identity), target)
        found = self._standings.get(key)
        if found is not None and found[0] is identity:
            self._standings.move_to_end(key)
            return found[1]
        standing = Standing(self._rules, identity, target, self._config)
        _remember(self._standings, key, (identity, standing), STANDINGS)
        return standing


def judge(
    rules: Iterable[Rule],
    identity: Identity,
    target_name: str,
    statement: Statement,
    parse_shell: ParseShell,
    catalogue: Catalogue | None = None,
) -> Verdict:
    """Judge one statement once."""
    return Judge(rules, parse_shell)(identity, target_name, statement, catalogue)


def _lines(statement: Statement, parse_shell: ParseShell) -> Facts:
    text = statement.text
    match statement.language:
        case Language.SHELL:
            return shell_facts(parse_shell(text), text, statement.cwd, parse=parse_shell)
        case Language.TEXT:
            words = tuple(text.split())
            return Facts((Part(command=words),) if words else ())
        case Language.SQL:
            return Facts(_read(text).parts)
        case Language.TERMINAL:
            return terminal.FACTS
        case _:
            assert_never(statement.language)


# -- what a text says by itself --------------------------------------------------------------------

_readings: OrderedDict[str, Reading] = OrderedDict()
_large: OrderedDict[str, Reading | Unparsable] = OrderedDict()


def is_read(text: str) -> bool:
    """Can this text be judged without taking long?"""
    return len(text) <= LARGE or text in _large


def remember(text: str, reading: Reading | Unparsable) -> None:
    """What a large text says, read elsewhere; for the judgement that follows."""
    _remember(_large, text, reading, LARGE_KEPT)


def _read(text: str) -> Reading:
    found = _readings.get(text) or _large.get(text)
    if isinstance(found, Unparsable):
        raise found
    if found is None:
        found = sql.read(text)
        if len(text) <= CACHEABLE and len(found.parts) <= FEW:
            _remember(_readings, text, found)
    return found


def _remember(kept: OrderedDict[Any, Any], key: object, value: object, most: int = CACHED) -> None:
    kept[key] = value
    if len(kept) > most:
        kept.popitem(last=False)


def _note(overlay: Overlay, reading: Reading, verdict: Verdict) -> None:
    """A statement may run that later ones of the session build on."""
    if verdict.answer is not Answer.DENY:
        overlay.note(reading.made)
        overlay.prepare(reading.prepares, free=verdict.answer is Answer.ALLOW)


def _for_people(verdict: Verdict, text: str, reading: Reading) -> Verdict:
    """What an approver is told besides, and what a grant for similar statements goes by."""
    facts = verdict.facts
    if reading.count and len(text) <= LARGE:
        facts = replace(facts, fingerprint=sql.fingerprint(text))
    doubt = second.doubt(text, reading.count)
    reason = f"{verdict.reason}; {doubt}" if doubt else verdict.reason
    return replace(verdict, reason=reason, facts=facts)
