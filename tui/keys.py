"""The one table of keys: bindings, footer and help all come from it."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType

APPROVALS, SESSIONS, REPLAY = "approvals", "sessions", "replay"
CONFIRM, REFUSE, HELP = "confirm", "refuse", "help"

TITLES = {
    APPROVALS: "Requests that wait",
    SESSIONS: "Sessions",
    REPLAY: "Playing a recording",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A key (or several, for one action), where it works, and what it does in words.

    `mark` is how the key is written for people; `footer` the word beside it, if it is shown there.
    """

    id: str
    key: str
    mark: str
    action: str
    help: str
    where: tuple[str, ...]
    footer: str = ""


LISTS = (APPROVALS, SESSIONS)
PLACES = (APPROVALS, SESSIONS, REPLAY)

KEYS = (
    Key("approve", "a", "a", "approve", "let it run (asks once more)", (APPROVALS,), "approve"),
    Key("deny", "d", "d", "deny", "refuse it, with a reason", (APPROVALS,), "deny"),
    Key("exact", "x", "x", "exact", "formatted or the exact bytes", (APPROVALS,), "exact"),
    Key("dry-run", "e", "e", "dry_run", "count it in a dry run", (APPROVALS,), "dry run"),
    Key("down", "j,down", "j", "move(1)", "next", LISTS),
    Key("up", "k,up", "k", "move(-1)", "previous", LISTS),
    *(
        Key(f"jump-{n}", str(n), "1-9" if n == 1 else "", f"jump({n})", "go to that row", LISTS)
        for n in range(1, 10)
    ),
    Key("page-down", "space,pagedown", "space", "page(1)", "more of it", (APPROVALS,), "more"),
    Key("page-up", "b,pageup", "b", "page(-1)", "back up in it", (APPROVALS,)),
    Key("play", "enter", "enter", "play", "play the recording", (SESSIONS,), "play"),
    Key("pause", "space", "space", "pause", "play or pause", (REPLAY,), "pause"),
    Key("back-5", "left", "←", "seek(-5)", "five seconds back", (REPLAY,)),
    Key("on-5", "right", "→", "seek(5)", "five seconds on", (REPLAY,), "5 s"),
    Key("slower", "minus", "-", "pace(-1)", "slower", (REPLAY,)),
    Key("faster", "plus,equals_sign", "+", "pace(1)", "faster", (REPLAY,), "faster"),
    Key("mark-back", "left_square_bracket", "[", "mark(-1)", "previous marker", (REPLAY,)),
    Key("mark-on", "right_square_bracket", "]", "mark(1)", "next marker", (REPLAY,), "marker"),
    Key("marks", "m", "m", "marks", "list the markers", (REPLAY,)),
    Key("sessions", "s", "s", "app.sessions", "sessions and recordings", (APPROVALS,), "sessions"),
    Key("pending", "p", "p", "app.pending", "back to what waits", (SESSIONS, REPLAY), "pending"),
    Key("help", "question_mark", "?", "app.keys", "this help", PLACES, "help"),
    Key("quit", "q", "q", "app.quit", "leave", PLACES, "quit"),
    Key("back", "escape", "esc", "back", "go back", (SESSIONS, REPLAY)),
    Key("yes", "y", "y", "answer(True)", "let it run", (CONFIRM,)),
    Key("no", "n,escape,enter", "n", "answer(False)", "leave it waiting", (CONFIRM,)),
    Key("cancel", "escape", "esc", "cancel", "leave it waiting", (REFUSE,)),
    Key("close", "escape,enter,question_mark,q", "esc", "close", "close this help", (HELP,)),
)


def bindings(where: str) -> list[BindingType]:
    """Textual's bindings for one screen."""
    return [
        Binding(key.key, key.action, key.help, id=f"{where}.{key.id}", show=False)
        for key in KEYS
        if where in key.where
    ]


def of(where: str) -> list[Key]:
    """The keys of one screen that people are told of."""
    return [key for key in KEYS if where in key.where and key.mark]
