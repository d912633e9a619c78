"""A stream of terminal output, masked as it comes: the same bytes out however they came in.

    bytes ──► visible (text, with escapes noted) ──► detect.Scanner ──► masked text ──► bytes

What is held is the last run of characters that may still be part of a value, never more than
`runs.CAP` of them; a value longer than that is masked as far as it goes. A stream that is idle
may show what it holds (`idle`, for a person's screen only), unless it looks like a good part of a
value already; what was shown stays part of what is matched, so the rest of a value whose
beginning slipped out is still masked.

Limits: a value that a program splits over lines (psql's wrapped format, a narrow editor) or draws
with cursor motion is not seen as one here; rows of PostgreSQL are masked in `rows`, before
anything is laid out. Text is UTF-8; digits and letters of other widths or scripts that only look
like ASCII are not folded. A prompt such as ``alice@web1.example.com`` is an address to a matcher.
Whoever may run commands can also encode what they print.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from broker.mask.detect import Scanner
from broker.mask.rules import Masking
from broker.mask.values import Redactor
from broker.mask.visible import Visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.mask.detect import Span
    from broker.ports import Mask

_BITE = 32768  # bytes taken at a time; a bigger piece would only cost more


class StreamMask:
    """One stream's masker (`ports.Mask`)."""

    def __init__(self, detect: tuple[str, ...]) -> None:
        self._scanner = Scanner(detect)
        self._redactor = Redactor(Masking(detect))  # for titles and links
        self._visible = Visible(self._redactor.redact)
        self._counts: Counter[str] = Counter()

    def feed(self, data: bytes) -> bytes:
        """Take bytes, give back what is certain to be final, masked."""
        if len(data) <= _BITE:
            return self._pass(data, final=False)
        bites = range(0, len(data), _BITE)
        return b"".join(self._pass(data[at : at + _BITE], final=False) for at in bites)

    def idle(self) -> bytes:
        """Show what is held, masked where it is a value, unless it is likely to become one."""
        visible = self._visible
        spans = self._scanner.held(visible.view) if len(visible.text) > visible.shown else []
        if spans is None:
            return b""
        return _encode(visible.render(len(visible.text), spans))

    def close(self) -> bytes:
        """Give back all that is held: the stream has ended."""
        return self._pass(b"", final=True)

    def take_counts(self) -> dict[str, int]:
        """How many values of each type were masked since the last call."""
        counts, self._counts = self._counts, Counter()
        counts.update(self._redactor.take_counts())
        return dict(counts)

    def _pass(self, data: bytes, *, final: bool) -> bytes:
        visible = self._visible
        visible.write(data, final=final)
        spans, done = self._scanner.advance(visible.view, final=final)
        self._count(spans)
        shown = visible.render(done, spans, final=final)
        visible.drop(done)
        return _encode(shown)

    def _count(self, spans: Sequence[Span]) -> None:
        self._counts.update(span.type for span in spans if not span.continues)


class PassThrough:
    """A stream on a target where nothing is detected (`ports.Mask`)."""

    def feed(self, data: bytes) -> bytes:
        """The bytes as they are."""
        return data

    def idle(self) -> bytes:
        """Nothing is ever held."""
        return b""

    def close(self) -> bytes:
        """Nothing is ever held."""
        return b""

    def take_counts(self) -> dict[str, int]:
        """Nothing is ever masked."""
        return {}


def new_stream(masking: Masking) -> Mask:
    """A masker for one new stream."""
    return StreamMask(masking.detect) if masking.detect else PassThrough()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
