"""A conversation with a fake client and a fake server, and all that came out of it."""

from __future__ import annotations

from broker.model import Answer, Verdict
from broker.wire import frontend, messages, notices
from broker.wire.actions import Deliver, ToServer
from broker.wire.conversation import Conversation
from broker.wire.messages import FROM_CLIENT, FROM_SERVER, Frames, Message
from tests.broker.wire.masker import SeenMask

ALLOW = Verdict(Answer.ALLOW, "reads", "may read")
DENY = Verdict(Answer.DENY, "no-deletes", "not here")
IN_SETTINGS = {"client_encoding": "UTF8", "is_superuser": "off"}
Z_IDLE = messages.ready("I")


class Talk:
    """A conversation with everything that came out of it."""

    def __init__(
        self, mask: SeenMask | None = None, dbname: str | None = None, marker: bytes = b""
    ) -> None:
        self.mask = mask or SeenMask(active=False)
        self.conversation = Conversation(
            self.mask,
            tainted=lambda facts: "public.customers" in facts.tables,
            say=lambda verdict: f"interlock: denied by {verdict.rule}: {verdict.reason}",
            settings=IN_SETTINGS,
            dbname=dbname,
            marker=marker,
        )
        self.server = b""
        self.client = b""
        self.transcript = b""
        self.other: list[object] = []
        self.settled = 0

    def _take(self, actions: list[object]) -> None:
        for action in actions:
            match action:
                case ToServer(data):
                    self.server += data
                case Deliver(data, transcript):
                    self.client += data
                    self.transcript += transcript
                case _:
                    self.other.append(action)

    def says(self, *data: bytes) -> Talk:
        self._take(list(self.conversation.from_client(b"".join(data))))
        return self

    def answers(self, *data: bytes) -> Talk:
        self._take(list(self.conversation.from_server(b"".join(data))))
        return self

    def judged(self, verdict: Verdict = ALLOW) -> Talk:
        ticket = self.conversation.waiting
        assert ticket is not None
        self._take(list(self.conversation.answer(ticket, verdict)))
        return self

    def deferred(self) -> Talk:
        ticket = self.conversation.waiting
        assert ticket is not None
        self._take(list(self.conversation.defer(ticket)))
        return self

    def sent(self) -> list[Message]:
        """What the server got since the last call."""
        data, self.server = self.server, b""
        return taken(data, FROM_CLIENT)

    def seen(self) -> list[Message]:
        """What the client got since the last call."""
        data, self.client = self.client, b""
        return taken(data, FROM_SERVER)


def taken(data: bytes, limits: object) -> list[Message]:
    frames = Frames(limits)  # type: ignore[arg-type]
    frames.feed(data)
    found = []
    while (message := frames.next()) is not None:
        found.append(message)
    assert not frames.buffered
    return found


def kinds(found: list[Message]) -> str:
    return "".join(message.kind for message in found)


def error_of(message: Message) -> tuple[str, str]:
    fields = notices.read(message.body)
    return fields["C"].decode(), fields["M"].decode()


def syntax_error(sent: Message) -> bytes:
    """How the server answers a stand-in: it quotes it."""
    marker = sent.body.split(b"interlock_refused_")[1].split(b"\0")[0].decode()
    return notices.error("42601", f'syntax error at or near "interlock_refused_{marker}"')


PLAIN_BIND = frontend.bind(b"", b"")
EXECUTE = frontend.execute(b"")
NO_DATA = messages.frame("n")
ONE, TWO, THREE = (messages.frame(kind) for kind in "123")
