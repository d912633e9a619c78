"""A client in memory, and a gate over the real judge, for sessions without a listener."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.gate import Gate
from broker.model import Answer, Statement, Verdict
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from broker.shell.parser import ShellParser
from tests.fakes import ALICE, FakeAudit, FakeMask, FakeRecorder, FakeReviews, Journal, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.console.client import Terminal
    from broker.model import Session
    from broker.ports import Notice

PARSER = ShellParser()
RULES = (
    Rule("all", ("*",), ("*",), allow=Block()),
    Rule("named", ("*",), ("*",), allow=Block(commands=("sh **", "sleepy **"))),
    Rule("held", ("*",), ("*",), review=Block(commands=("touch **",), approvers=("group:sre",))),
    Rule("no-rm", ("*",), ("*",), deny=Block(commands=("rm -rf **",)), reason="no rm -rf"),
    Rule("no-shadow", ("*",), ("*",), deny=Block(paths=("/etc/shadow",))),
)


class FakeClient:
    """What was written, and input that the test gives; `slow` must be set for each write."""

    def __init__(self, terminal: Terminal | None = None, *, json: bool = False) -> None:
        self.terminal = terminal
        self.json = json
        self.out = b""
        self.errors = b""
        self.resize: Callable[[Terminal], None] | None = None
        self.signal: Callable[[str], None] | None = None
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._ended = False
        self.wrote = asyncio.Event()
        self.most = 0

    def type(self, *chunks: bytes) -> FakeClient:
        """Type or pipe in; ``b""`` ends the input."""
        for chunk in chunks:
            self._input.put_nowait(chunk)
        return self

    def leave(self) -> None:
        """Drop the connection."""
        self._input.put_nowait(None)

    async def read(self) -> bytes:
        if self._ended:
            return b""
        data = await self._input.get()
        if data is None:
            raise ConnectionResetError
        self._ended = not data
        return data

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(0)
        self.out += data
        self.wrote.set()

    async def write_error(self, data: bytes) -> None:
        await asyncio.sleep(0)
        self.errors += data
        self.wrote.set()

    def on_resize(self, call: Callable[[Terminal], None] | None) -> None:
        self.resize = call

    def on_signal(self, call: Callable[[str], None] | None) -> None:
        self.signal = call

    async def until(self, text: bytes) -> None:
        """Wait until this was shown on either stream."""
        async with asyncio.timeout(10):
            while text not in self.out + self.errors:
                self.wrote.clear()
                await self.wrote.wait()


class HeldReviews(FakeReviews):
    """People who answer only when the test lets them."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.asked = asyncio.Event()
        self.decided = asyncio.Event()
        self.withdrawn = False
        self.statements: list[Statement] = []

    async def ask(
        self, session: Session, statement: Statement, verdict: Verdict, notice: Notice
    ) -> Verdict:
        self.statements.append(statement)
        answer = await super().ask(session, statement, verdict, notice)
        self.asked.set()
        try:
            await self.decided.wait()
        except asyncio.CancelledError:
            self.withdrawn = True
            raise
        return answer


class Desk:
    """A gate and everything behind it, at hand."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.audit = FakeAudit(self.journal)
        self.recorder = FakeRecorder(self.journal)
        self.reviews = HeldReviews(self.journal)
        self.judged: list[Statement] = []
        self.gate = Gate(
            session(target="web1"),
            judge=self._judge,
            reviews=self.reviews,
            audit=self.audit,
            recorder=self.recorder,
            new_mask=lambda: FakeMask(self.journal),
            redact=lambda text: text.replace("secret", "******"),
        )

    def _judge(self, statement: Statement) -> Verdict:
        self.judged.append(statement)
        return judge(RULES, ALICE, "web1", statement, PARSER)

    def deny(self) -> None:
        """People say no from now on."""
        self.reviews.answer = Verdict(Answer.DENY, "held", "not today")
