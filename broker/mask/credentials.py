"""Secrets: tokens that show by their form what they are, and values that their context gives away.

Form: AWS, GitHub, GitLab, Slack, Stripe, Google, npm, OpenAI and Anthropic keys, JSON web tokens.
Context: ``password=...`` and its like, ``Bearer ...``, ``scheme://user:password@host``. Private
keys span lines and have a module of their own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from broker.mask.runs import BARE, BLANKS, EOL, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

# What must be there for any of this to match (in lower case): the cheap test before the dear one.
# An address with a password in it needs its @ besides.
HINT = re.compile(
    rb"akia|asia|glpat-|xox|xapp-|aiza|sk-proj-|sk-ant-|eyj|-----begin|(?:bearer|basic)[ \t]|pwd"
    rb"|pass[wpc]|[_-]pass|secret|token|(?:api|access|private|auth|account)[_-]?key"
    rb"|k_live_|k_test_|npm_|github_pat_|gh[pousr]_"
)

_TOKEN = re.compile(
    r"""
    (?: gh[pousr]_[A-Za-z0-9]{20,}+
      | github_pat_[A-Za-z0-9_]{20,}+
      | glpat-[\w-]{16,}+
      | xox[a-z]-[A-Za-z0-9-]{10,}+
      | (?<![A-Za-z0-9])
        (?: (?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])
          | xapp-[A-Za-z0-9-]{10,}+
          | [rs]k_(?:live|test)_[A-Za-z0-9]{10,}+
          | sk-(?:proj|ant)-[\w-]{16,}+
          | AIza[\w-]{35}(?![\w-])
          | npm_[A-Za-z0-9]{30,}+
          | eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+){0,3}
        )
    )
    """,
    re.VERBOSE | re.ASCII,
)
_QUOTED_VALUES = (
    rf'\\"(?P<escaped>(?:(?!\\")[^{EOL}])+)'
    rf'|"(?P<double>(?:\\[^{EOL}]|[^"\\{EOL}])+)'
    rf"|'(?P<single>(?:''|\\[^{EOL}]|[^'\\{EOL}])+)"
)
_NAMED = re.compile(
    rf"(?P<key>{KEY})[0-9]{{0,2}}+\\?+[\"']?+{BLANKS}"
    rf"(?:(?:[:=]{{1,3}}+>?+{BLANKS}|(?<=[ \t])(?=[\"']))(?:{_QUOTED_VALUES}|(?P<bare>{BARE})))"
)
_FLAG = re.compile(rf"--(?P<key>{KEY})[ \t]{{1,8}}+(?![:=-])(?:{_QUOTED_VALUES}|(?P<bare>{BARE}))")
_BEARER = re.compile(r"(?ai:bearer)[ \t]{1,8}+(?=[\w.~+/=-]*?[0-9])([\w.~+/=-]{16,}+)", re.ASCII)
_BASIC = re.compile(r"(?ai:basic)[ \t]{1,8}+(?=[A-Za-z0-9+/]*?[a-z][A-Z])([\w+/=-]{8,}+)", re.ASCII)
_URL = re.compile(r"""://[^\s"'<>/@:]{0,256}+:([^\s"'<>/]{1,256})@""")
_PLAIN_WORDS = frozenset(["null", "none", "nil", "true", "false", "undefined"])
_SHORTEST = 8  # of a value behind "token" or "secret": these words are common in prose


def credentials(run: str) -> Iterator[tuple[int, int]]:
    """Secrets in one run, by form and by context; they may overlap."""
    for m in _TOKEN.finditer(run):
        yield m.span()
    for pattern in (_NAMED, _FLAG):
        for m in pattern.finditer(run):
            if span := _value(run, m):
                yield span
    for pattern in (_BEARER, _BASIC, _URL):
        for m in pattern.finditer(run):
            yield m.span(1)


def _value(run: str, m: re.Match[str]) -> tuple[int, int] | None:
    """The value's span, without the punctuation behind a bare one; None when it is no secret."""
    start, end = m.span(m.lastgroup or 0)
    if m.lastgroup == "bare":
        end = start + len(run[start:end].rstrip(",;)]}"))
    value, key = run[start:end], m["key"].lower()
    if not value.strip("*") or value.lower() in _PLAIN_WORDS:
        return None
    if key == "pwd" and value.startswith(("/", "~")):
        return None  # the working directory
    if "pass" not in key and key != "pwd" and len(value) < _SHORTEST:
        return None
    return start, end
