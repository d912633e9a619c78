"""One line to type a reason into."""

from __future__ import annotations

from textual.widgets import Input

LENGTH = 400

# What is typed is drawn as it is: no control, format or direction characters, not even pasted.
DRAWABLE = r"[^\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb]*"


class Reason(Input):
    """What the person who asked will read."""

    def __init__(self) -> None:
        super().__init__(restrict=DRAWABLE, max_length=LENGTH, id="reason", select_on_focus=False)
        self.cursor_blink = False
