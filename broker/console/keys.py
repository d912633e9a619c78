"""Bytes typed at a terminal to keys: a closed set, so that nothing else can reach the editor.

The editor's library knows hundreds of key sequences, among them keyboard macros, repeat counts,
quoted control characters and programs to start. A person at a broker needs none of them, and each
is a way to make the broker work hard; so keys are recognised here, and others are dropped.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass, field

PASTE = "paste"
TEXT_LIMIT = 32 * 1024  # characters of one edited text, and bytes of one paste
AHEAD_LIMIT = TEXT_LIMIT - 1024  # bytes typed ahead that fit into one paste
SEQUENCE_LIMIT = 38  # bytes of an escape sequence that is not whole yet
RUN_LIMIT = 4096  # bytes of text taken at once
VISIBLE = frozenset("\n\t\u200c\u200d")
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
PASTE_BEGINS, PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"

CONTROLS = {
    **{ord(letter) - 96: f"c-{letter}" for letter in "abcdefghklnprstuwy"},
    0x09: "tab",
    0x0A: "enter",
    0x0D: "enter",
    0x7F: "backspace",
    0x08: "backspace",
}
SEQUENCES = {
    **{
        b"\x1b[" + final: key
        for final, key in zip(
            (b"A", b"B", b"C", b"D", b"H", b"F"),
            ("up", "down", "right", "left", "home", "end"),
            strict=True,
        )
    },
    **{
        b"\x1bO" + final: key
        for final, key in zip(
            (b"A", b"B", b"C", b"D", b"H", b"F"),
            ("up", "down", "right", "left", "home", "end"),
            strict=True,
        )
    },
    b"\x1b[1~": "home",
    b"\x1b[4~": "end",
    b"\x1b[7~": "home",
    b"\x1b[8~": "end",
    b"\x1b[3~": "delete",
    b"\x1b[1;5C": "c-right",
    b"\x1b[1;5D": "c-left",
    b"\x1b[1;3C": "c-right",
    b"\x1b[1;3D": "c-left",
    b"\x1bb": "c-left",
    b"\x1bf": "c-right",
    b"\x1bd": "escape d",
    b"\x1b\x7f": "escape backspace",
    b"\x1b\x08": "escape backspace",
}
_CSI = re.compile(rb"\x1b\[[0-?]{0,32}[ -/]{0,4}[@-~]")
_CSI_BEGUN = re.compile(rb"\x1b\[[0-?]{0,32}[ -/]{0,4}")
_TEXT = re.compile(rb"[^\x00-\x1f\x7f]{1,%d}" % RUN_LIMIT)


@dataclass(frozen=True, slots=True)
class Key:
    """One key by name, or a run of text under the name ``paste``.

    `pasted`: the terminal marked the text as a paste, so no letter of it is a command.
    """

    name: str
    text: str = ""
    pasted: bool = field(default=False, compare=False)


class Keys:
    """What was typed and not used yet. Feed bytes in, take keys out one by one, or all as bytes.

    With `vi`, Escape is a key of its own: what follows it is not meant with Alt.
    """

    def __init__(self) -> None:
        self.vi = False
        self._raw = bytearray()
        self._skipping = False  # a paste that was too long: drop it to its end

    def feed(self, data: bytes) -> None:
        """More was typed."""
        self._raw += data

    def give_back(self, data: bytes) -> None:
        """The rest of a key that was used in part: it comes next."""
        self._raw[:0] = data

    def take_all(self) -> bytes:
        """Everything not used yet, for somebody else."""
        raw = bytes(self._raw)
        self._raw.clear()
        return raw

    @property
    def may_be_escape(self) -> bool:
        """Is there nothing but an Escape, which the next byte may make a part of a sequence?"""
        return self.vi and self._raw == b"\x1b"

    def escape(self) -> Key:
        """Nothing followed: it was the key."""
        del self._raw[:1]
        return Key("escape")

    def next(self) -> Key | None:
        """The next key, or None when there is no whole one."""
        while self._raw:
            size, key = self._recognise()
            if size == 0:
                return None
            del self._raw[:size]
            if key is not None:
                return key
        return None

    def _recognise(self) -> tuple[int, Key | None]:
        """How many bytes at the front belong together (0: more must come), and their key."""
        if self._skipping:
            return self._skip()
        first = self._raw[0]
        if first == 0x1B:
            return self._escape()
        if first < 0x20 or first == 0x7F:
            name = CONTROLS.get(first)
            return 1, None if name is None else Key(name)
        return self._run()

    def _run(self) -> tuple[int, Key | None]:
        match = _TEXT.match(self._raw)
        if match is None:
            return 1, None
        final = match.end() < len(self._raw)
        text, used = codecs.utf_8_decode(match[0], "ignore", final and match.end() < RUN_LIMIT)
        if used == 0 and len(self._raw) > 3:
            return 1, None
        text = clean(text)
        return used, Key(PASTE, text) if text else None

    def _escape(self) -> tuple[int, Key | None]:
        raw = self._raw
        if raw.startswith(PASTE_BEGINS):
            return self._paste()
        if len(raw) < 2:
            return 0, None
        if raw[1:2] == b"[":
            return self._sequence()
        if raw[1:2] == b"O" and not self._is_vi_line_above():
            return (0, None) if len(raw) < 3 else (3, _named(SEQUENCES.get(bytes(raw[:3]))))
        return self._alone()

    def _alone(self) -> tuple[int, Key | None]:
        """An Escape that begins no sequence: vi's key; elsewhere Alt, for the few that we know."""
        if self.vi:
            return 1, Key("escape")
        if name := SEQUENCES.get(bytes(self._raw[:2])):
            return 2, Key(name)
        return 1, None  # a lone Escape means nothing here; what follows is itself

    def _is_vi_line_above(self) -> bool:
        return self.vi and len(self._raw) >= 3 and bytes(self._raw[:3]) not in SEQUENCES

    def _sequence(self) -> tuple[int, Key | None]:
        match = _CSI.match(self._raw)
        if match is not None:
            return match.end(), _named(SEQUENCES.get(match[0]))
        begun = _CSI_BEGUN.match(self._raw)
        may_come = begun is not None and begun.end() == len(self._raw) < SEQUENCE_LIMIT
        return (0 if may_come else 2), None

    def _paste(self) -> tuple[int, Key | None]:
        end = self._raw.find(PASTE_ENDS, len(PASTE_BEGINS))
        if end < 0:
            if len(self._raw) <= TEXT_LIMIT:
                return 0, None
            self._skipping = True
            return len(PASTE_BEGINS), Key("bell")
        size = end + len(PASTE_ENDS)
        if end > TEXT_LIMIT:
            return size, Key("bell")
        text = bytes(self._raw[len(PASTE_BEGINS) : end]).decode("utf-8", "ignore")
        return size, Key(PASTE, clean(text), pasted=True)

    def _skip(self) -> tuple[int, Key | None]:
        end = self._raw.find(PASTE_ENDS)
        if end >= 0:
            self._skipping = False
            return end + len(PASTE_ENDS), None
        return max(0, len(self._raw) - len(PASTE_ENDS)), None


def _named(name: str | None) -> Key | None:
    return None if name is None else Key(name)


def clean(text: str) -> str:
    """Pasted text as text: line ends as one character, no control characters but tabs.

    Nothing that would be sent without being seen, or be seen in another order: of the invisible
    characters only the joiners that scripts and emoji need.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in VISIBLE or unicodedata.category(c) not in UNSEEN)


def as_paste(data: bytes) -> bytes:
    """What was typed unseen, as one paste: shown for editing, and its line ends submit nothing."""
    text = clean(data[:AHEAD_LIMIT].decode("utf-8", "ignore")).rstrip("\n")
    return PASTE_BEGINS + text.encode() + PASTE_ENDS if text else b""
