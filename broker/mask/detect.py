"""Which parts of a text are sensitive: the detectors, put together.

    prefilter (worth a look?) ──► runs (where) ──► mail, numbers, credentials, private_key (what)

`Scanner` is the one engine. It takes text in pieces and says what is certain; a complete text is
one piece with nothing to follow, so a stream and a cell can never disagree. Its cost is linear: a
run is looked at in windows of bounded size, and a value of unlimited length that outgrows its
window is masked for as long as it goes on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from broker.mask import credentials, mail, numbers
from broker.mask.prefilter import Prefilter, prefilter_of
from broker.mask.private_key import HEADER, KeyBody
from broker.mask.runs import BLANKS, CAP, KEY, OVERLAP, RUN, has_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator


class Span(NamedTuple):
    """A sensitive part of a text. One that `continues` was counted with what came before it."""

    start: int
    end: int
    type: str
    continues: bool = False


def spans(text: str, detect: Iterable[str]) -> list[Span]:
    """The values in a complete text: leftmost first, none overlapping."""
    return Scanner(detect).advance(text, final=True)[0]


# -- one run ---------------------------------------------------------------------------------------

# In the order in which they win where two begin at the same character; the shortest value of each.
_FINDERS: tuple[tuple[str, int, Callable[[str], Iterator[tuple[int, int]]]], ...] = (
    ("secrets", 5, credentials.credentials),
    ("email", 6, mail.emails),
    ("credit_card", 13, numbers.cards),
    ("iban", 15, numbers.ibans),
    ("us_ssn", 11, numbers.us_ssns),
    ("phone", 10, numbers.phones),
)


def in_run(run: str, detect: Container[str]) -> list[Span]:
    """The values in one run, leftmost first; of two that overlap, the second's rest goes on."""
    found: list[tuple[int, int, int, str]] = []
    for rank, (name, shortest, finder) in enumerate(_FINDERS):
        if len(run) >= shortest and name in detect:
            found += [(start, rank, end, name) for start, end in finder(run)]
    return _apart(run, sorted(found)) if found else []


def _apart(run: str, found: list[tuple[int, int, int, str]]) -> list[Span]:
    result: list[Span] = []
    covered = 0
    for start, _, end, name in found:
        if start >= covered:
            result.append(Span(start, end, name))
        elif end > covered and not _is_host(run, covered, name):
            result.append(Span(covered, end, name, continues=True))
        covered = max(covered, end)
    return result


def _is_host(run: str, covered: int, name: str) -> bool:
    """Is what is left of an address only the host behind ``scheme://user:password@``?"""
    return name == "email" and run[covered : covered + 1] == "@"


def _moved(found: Iterable[Span], by: int) -> list[Span]:
    return [Span(s.start + by, s.end + by, s.type, s.continues) for s in found] if found else []


# -- text in pieces --------------------------------------------------------------------------------

_PIECE = 4 * CAP  # looked at in one go
_SLACK = 16  # more than the blanks that may follow a run and yet belong to it
_SHORTEST = 5  # pwd:x
_TOKENS = re.compile(r"""[^\s"'<>,;]*+""")
_LINE = re.compile(r"[^\n]*+")

# So much of a value that the rest may not be awaited on screen.
_STRONG = re.compile(
    r"""
    \w@\w
    | [0-9](?:[ ().-]{0,2}[0-9]){5}
    | (?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}[ -]?[A-Z0-9]{4}
    | (?:AKIA|ASIA)[A-Z0-9]{4} | gh[pousr]_\w | github_pat_ | glpat- | xox[a-z]- | xapp-
    | [rs]k_(?:live|test)_ | sk-(?:proj|ant)- | AIza\w{4} | npm_\w{4} | eyJ[\w-]{8}
    | ://[^\s"'<>/@:]*:[^\s"'<>/]
    | (?ai:bearer|basic)[ ]+[^ \n]
    | -----BEGIN[ ]
    | """
    rf"{KEY}[0-9]{{0,2}}\\?[\"']?{BLANKS}[:=]+>?{BLANKS}[\"'\\]*[^\s\"'\\]",
    re.VERBOSE,
)


class Scanner:
    """Finds values in text that comes in pieces; keeps in mind only what it is in the middle of."""

    def __init__(self, detect: Iterable[str]) -> None:
        self._detect = frozenset(detect)
        self._prefilter = prefilter_of(self._detect)
        self._key: KeyBody | None = None
        self._outgrown: tuple[re.Pattern[str], str] | None = None  # how it goes on, its type

    def advance(self, text: str, *, final: bool = False) -> tuple[list[Span], int]:
        """The values in `text` up to where all is certain, and that place.

        What is behind that place must be given again, with more behind it.
        """
        found: list[Span] = []
        at = 0
        while at < len(text):
            before = self._key, self._outgrown
            piece = text[at : at + _PIECE]
            some, done = self._next(piece, final=final and at + len(piece) == len(text))
            found += _moved(some, at)
            at += done
            if not done and before == (self._key, self._outgrown):
                break
        return found, at

    def held(self, text: str) -> list[Span] | None:
        """What to mask of `text`, which is held, if it is to be shown; None: it is not yet to be.

        A complete value is masked, even if more might belong to it.
        """
        if self._key:
            return None if text.strip() else []
        found = in_run(text, self._detect)
        rest = list(text)
        for span in found:
            rest[span.start : span.end] = "\n" * (span.end - span.start)
        return None if _STRONG.search("".join(rest)) else found

    def _next(self, text: str, *, final: bool) -> tuple[list[Span], int]:
        if self._outgrown:
            return self._go_on(text, *self._outgrown)
        if self._key:
            return self._key_body(text, self._key, final=final)
        found: list[Span] = []
        if end := text.rfind("\n") + 1:
            return found, self._lines(text, 0, end, self._prefilter, found)
        names = self._prefilter(_encode(text))
        return found, self._runs(text, 0, names, found, final=final)

    def _go_on(self, text: str, pattern: re.Pattern[str], name: str) -> tuple[list[Span], int]:
        """The rest of a value that outgrew its window."""
        found = pattern.match(text)
        end = found.end() if found else 0
        if end < len(text):
            self._outgrown = None
        return ([Span(0, end, name, continues=True)] if end else []), end

    def _key_body(self, text: str, body: KeyBody, *, final: bool) -> tuple[list[Span], int]:
        counted = body.started
        step = body.step(text, 0, final=final)
        if step.over:
            self._key = None
        found = [Span(step.start, step.end, "secrets", counted)] if step.end > step.start else []
        return found, step.resume

    def _lines(
        self, text: str, start: int, stop: int, prefilter: Prefilter, found: list[Span]
    ) -> int:
        """Whole lines: most hold nothing, and are passed without being split into runs.

        Like `_runs`, adds to `found` and says where to go on.
        """
        names = prefilter(_encode(text[start:stop]))
        if not names:
            return stop
        middle = (start + stop) // 2
        half = text.find("\n", middle, stop - 1) + 1 or text.rfind("\n", start, middle) + 1
        if not half:  # one line
            return start + self._runs(text[start:stop], start, names, found, final=True)
        prefilter = Prefilter(names)
        done = self._lines(text, start, half, prefilter, found)
        return done if done < half else self._lines(text, half, stop, prefilter, found)

    def _runs(
        self, line: str, base: int, names: list[str], found: list[Span], *, final: bool
    ) -> int:
        """The values of the runs that have ended; says where the first that has not begins."""
        for m in RUN.finditer(line):
            start, end = m.span()
            if end - start > CAP - _SLACK and (window := _outgrown_window(line, start)):
                some, done = self._window(window, names)
                found += _moved(some, base + start)
                return start + done
            if not (final or has_ended(line, end)):
                return start
            if names and end - start >= _SHORTEST and not (run := m.group()).isalpha():
                some, done = self._run(run, names)
                found += _moved(some, base + start)
                if self._key:
                    return start + done
        return len(line)

    def _run(self, run: str, names: list[str]) -> tuple[list[Span], int]:
        """The values in a run, up to where a private key's body begins."""
        header = HEADER.search(run) if "secrets" in names else None
        if header is None:
            return in_run(run, names), len(run)
        self._key = KeyBody()
        return in_run(run[: header.start()], names), header.end()

    def _window(self, window: str, names: list[str]) -> tuple[list[Span], int]:
        """The first `CAP` characters of a longer run: what is certain of them, and how far.

        It depends on these characters alone, so that it is the same however they arrived.
        """
        found, done = self._run(window, names)
        if self._key:
            return found, done
        if found and found[-1].end >= CAP - 1:
            last = found[-1]
            quoted = last.type == "secrets" and window[last.start - 1 : last.start] in ("'", '"')
            self._outgrown = (_LINE if quoted else _TOKENS), last.type
            return [*found[:-1], last._replace(end=CAP)], CAP
        kept = [span for span in found if span.start < CAP - OVERLAP]
        return kept, max([CAP - OVERLAP, *(span.end for span in kept)])


def _outgrown_window(line: str, start: int) -> str | None:
    """The first `CAP` characters of the run that begins here, when it does not end in them."""
    window = line[start : start + CAP]
    run = RUN.match(window)
    ended = len(window) < CAP or (run is not None and has_ended(window, run.end()))
    return None if ended else window


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
