"""Where a sensitive value may lie: runs, the stretches of text that detectors look into one by one.

Every detector sees one run and nothing around it, so two facts about runs make the stream right:

1. A value lies within one run. Between runs there is at least one character that no value holds.
2. Runs are prefix-closed: if a run goes on beyond the end of what has arrived, then the run found
   in what has arrived reaches that end (but for blanks, which may yet turn out to join). Hence a
   run that ended, with a known character behind it, is the same whatever follows.

So text may be cut before any run that has not ended, and nowhere else, and the values found are
those of the whole text. Word characters make a run; a blank joins two words only in numbers
(``4111 1111``), in IBAN groups and behind words that announce a secret (``password: ``).
"""

from __future__ import annotations

import re

CAP = 8192  # a run is looked at in windows of this size: what is held never exceeds it by much
OVERLAP = 1024  # longer than any value of bounded length

KEY = (
    r"(?ai:pass(?:word|wd|phrase|code)|[_-]pass(?![a-z])|pwd|secret|token"
    r"|(?:api|access|secret|private|auth|account)[_-]?key)"
)
BLANKS = r"[ \t]{0,8}+"
EOL = r"\n\r\x0b\x0c"
ESCAPED = rf'\\"(?:(?!\\")[^{EOL}])*'
DOUBLE = rf'"(?:\\[^{EOL}]?+|[^"\\{EOL}])*'
SINGLE = rf"'(?:''|'\Z|\\[^{EOL}]?+|[^'\\{EOL}])*"  # a last quote may be half of two
BARE = r"""[^\s"'][^\s"']*+"""
QUOTED = rf"(?:{ESCAPED}|{DOUBLE}|{SINGLE})"

# Possessive quantifiers stand behind single characters only: behind groups they are broken in
# CPython before 3.11.5 (Debian 12 has 3.11.2), where this pattern never came back. Nothing here
# fails after a group, so a greedy one finds the same.

# The alternatives in the order tried. All of them may stop at any point of themselves: that is
# what keeps runs prefix-closed.
_ATOMS = (
    # what no alternative below begins with: a short cut
    r"[0-9c-oC-OqrQRu-zU-Z.%+@()]++",
    # --password VALUE
    rf"(?<=--){KEY}[ \t]{{1,8}}+(?![:=])(?:{QUOTED}|{BARE})?",
    # password: VALUE, "password" = "VALUE", PASSWORD 'VALUE'
    rf"{KEY}[0-9]{{0,2}}+\\?+[\"']?+{BLANKS}"
    rf"(?:[:=]{{1,3}}+>?+{BLANKS}(?:{QUOTED}|{BARE})?|{QUOTED}|\\\Z)?",
    # Authorization: Bearer VALUE
    r"(?ai:bearer|basic)[ \t]{1,8}+[\w.~+/=-]*+",
    r"-----BEGIN(?: [A-Z0-9]{1,24}+){0,5}",
    # ://user:password@
    r"""(?::(?:/(?:/[^\s"'<>/]{0,512}+)?)?)""",
    r"(?<=[0-9)]) (?=[0-9(])",
    r"(?<=[A-Z0-9]{4})(?<![A-Za-z0-9_][A-Z0-9]{4}) (?=[A-Z0-9])",
    r"[\w.%+@()-]",
)
RUN = re.compile(f"(?:{'|'.join(_ATOMS)})+")

_ENDED = re.compile(r"'?+(?:[ \t]{10}|[ \t]*+[^ \t])")  # a quote may be half of two


def has_ended(text: str, end: int) -> bool:
    """Is the run that ends at `end` certain to end there, whatever follows this text?

    Blanks behind it might join it to what comes, or be taken back by a backspace.
    """
    return _ENDED.match(text, end) is not None
