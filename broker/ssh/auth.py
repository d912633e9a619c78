"""One connection's authentication: a certificate of ours becomes an Identity, or a reason.

`login@` takes plain keys only (possession is what it proves); every other user name takes
certificates only. An identity is kept only after the client's signature was verified: the same
callbacks run for the *probe* of a key, which proves nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import asyncssh

from broker import events
from broker.errors import EvidenceFailure, IdentityRefused, InterlockError, TryLater
from broker.identity.openssh import is_damaged_certificate
from broker.ssh.algorithms import encryption_for
from broker.ssh.budget import Budget
from broker.ssh.channel import Channel, Request
from broker.ssh.stream import Stream
from broker.ssh.visitor import LOGIN, Visitor
from broker.transport.adoption import adopt
from broker.transport.pressure import Pressure
from broker.transport.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from broker.model import Identity
    from broker.ports import Audit
    from broker.ssh.crowd import Crowd

KEY_TRIES = 30  # keys and certificates that one connection may offer
CHANNELS = 64  # channels open at once on one connection
SURPLUS_S = 10.0  # for a connection over a limit to read why
GUEST_S = 3600.0  # for a login, with a person who finds their telephone
DAMAGED = "it was altered or is damaged, or has a restriction that is not known here"
UNPROVEN = "the signature by its key is wrong, or a FIDO key was not touched"
NO_CERTIFICATE = (
    "interlock: a certificate for your key is needed here; get one with: "
    "ssh login@THIS-HOST < id-token > KEYFILE-cert.pub"
)
NO_KEY = "interlock: login needs a key; make one with: ssh-keygen -t ed25519 -f KEYFILE"
REFUSALS_LOGGED = 3  # refused certificates that one connection may add to the audit log


@dataclass(frozen=True, slots=True)
class Door:
    """What a connection needs of the broker; the listener makes one for all connections."""

    host_keys: Callable[[bytes], Sequence[asyncssh.SSHKeyPair]]
    read_certificate: Callable[[asyncssh.SSHCertificate, str], Identity]
    still_valid: Callable[[Identity], bool]
    stopping: Callable[[], bool]
    audit: Audit
    spawn: Callable[[Coroutine[object, object, None]], None]
    serve: Callable[[Visitor, Channel, Request], Coroutine[object, object, None]]
    forward: Callable[[Visitor, str], Callable[[Stream], Awaitable[None]]]
    crowd: Crowd
    turns: Turns = field(default_factory=Turns)


class FrontDoor(asyncssh.SSHServer):
    """asyncssh's callbacks for one connection."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._conn: asyncssh.SSHServerConnection | None = None
        self._pressure = Pressure()
        self._budget = Budget(lambda: self.disconnect("too much sent before authentication"))
        self._offered: Identity | asyncssh.SSHKey | None = None
        self._visitor: Visitor | None = None
        self._user = ""
        self._tries = 0
        self._refused: set[str] = set()
        self._channels = 0
        self._is_noted = False
        self._advised = False
        self._leaving: asyncio.TimerHandle | None = None

    # -- the connection ------------------------------------------------------------------------

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Take the door's place in asyncssh's certificate check, and hear the socket's pressure."""
        self._conn = conn
        adopt(conn)
        self._pressure.attach(conn)
        self._budget.attach(conn)
        check = conn.validate_public_key

        async def proving(user: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
            self._offered = None
            if not self._may_try():
                return False
            proven = await check(user, key_data, msg, signature)
            if proven and msg:
                self._prove(user)
            if not proven:
                self._explain(key_data, signed=bool(msg))
            return bool(proven)

        conn.validate_public_key = proving  # type: ignore[method-assign,assignment]
        conn._validate_openssh_certificate = self._certificate  # type: ignore[method-assign]  # noqa: SLF001 - no public hook knows the user name *and* the certificate
        offer = conn._send_kexinit  # noqa: SLF001 - the only moment between version and offer

        def offering() -> None:
            self._door.crowd.moved(self)
            version = conn._client_version  # noqa: SLF001
            conn._enc_algs = encryption_for(version)  # noqa: SLF001
            pairs = self._door.host_keys(version)
            conn._server_host_keys = OrderedDict(  # noqa: SLF001
                (algorithm, pair) for pair in pairs for algorithm in pair.host_key_algorithms
            )
            offer()

        conn._send_kexinit = offering  # type: ignore[method-assign]  # noqa: SLF001
        self._door.crowd.arrived(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody may wait for this connection any longer."""
        self._pressure.release()
        if self._leaving is not None:
            self._leaving.cancel()
        if self._visitor is not None:
            self._noted(self._visitor)  # one that opened no channel was here, too
        self._door.crowd.left(self)

    def disconnect(self, why: str) -> None:
        """End the connection and all its channels."""
        if self._conn is not None:
            self._conn.disconnect(asyncssh.DISC_BY_APPLICATION, why)

    # -- who ------------------------------------------------------------------------------------

    def begin_auth(self, username: str) -> bool:
        """Everybody has to prove something."""
        self._user = username
        self._door.crowd.moved(self)
        return True

    def public_key_auth_supported(self) -> bool:
        """Keys and certificates are the only method that lets anybody in."""
        return True

    def kbdint_auth_supported(self) -> bool:
        """A stock client comes to this when its keys were refused: the place for a sentence."""
        return True

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> bool | tuple[str, str, str, list[tuple[str, bool]]]:
        """No question, only what to do; once, and not after a refusal that said more."""
        if self._advised or self._refused:
            return False
        self._advised = True
        return "", NO_KEY if username == LOGIN else NO_CERTIFICATE, "", []

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        """Nothing that is typed proves anything."""
        return False

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """A plain key is enough for `login@` alone."""
        if username != LOGIN:
            return False  # stock clients offer the plain key first and the certificate next
        self._offered = key
        return True

    async def _certificate(
        self, username: str, cert: asyncssh.SSHCertificate
    ) -> asyncssh.SSHKey | None:
        """In place of asyncssh's own check, which takes the user name for a principal."""
        if username == LOGIN or self._conn is None:
            return None  # the plain key is tried next
        try:
            self._offered = self._door.read_certificate(cert, self.source)
        except IdentityRefused as refused:
            self._refuse(str(refused), cert.key.get_fingerprint(), refused)
            return None
        self._conn._cert_options = cert.options  # type: ignore[attr-defined]  # noqa: SLF001 - permit-pty and permit-port-forwarding are checked there
        cert.key.set_touch_required(True)
        key: asyncssh.SSHKey = cert.key
        return key

    def _prove(self, user: str) -> None:
        match self._offered:
            case asyncssh.SSHKey():
                self._visitor = Visitor(user, self.source, key=self._offered)
            case None:
                return
            case identity:
                self._visitor = Visitor(user, self.source, identity=identity)
                self._budget.lift()
        surplus = self._door.crowd.admitted(self)
        self._visitor = replace(self._visitor, surplus=surplus)
        if surplus or self._visitor.identity is None:
            loop, seconds = asyncio.get_running_loop(), SURPLUS_S if surplus else GUEST_S
            self._leaving = loop.call_later(seconds, self.disconnect, surplus or "time is up")

    def _noted(self, visitor: Visitor) -> Visitor:
        """The use of a certificate goes into the log before anything is done with it.

        That is at its first channel, where a log that fails can be told in the same breath.
        """
        if visitor.identity is None or self._is_noted:
            return self._visitor or visitor
        self._is_noted = True
        try:
            self._door.audit.append(
                events.certificate_used(visitor.identity, source=visitor.source, user=visitor.user)
            )
        except EvidenceFailure as error:
            self._visitor = replace(visitor, fault=str(error))  # for all channels from now on
        return self._visitor or visitor

    def _explain(self, key_data: bytes, *, signed: bool) -> None:
        """Why a key is not accepted, when nobody has said so; no word about a mere probe."""
        if is_damaged_certificate(key_data):
            self._refuse(DAMAGED, "")
        if not signed:
            return
        match self._offered:
            case asyncssh.SSHKey() as key:
                self._refuse(UNPROVEN, key.get_fingerprint())
            case None:
                return
            case identity:
                unproven = IdentityRefused(UNPROVEN)
                unproven.claimed = {"key_id": str(identity), "serial": str(identity.serial)}
                self._refuse(UNPROVEN, identity.fingerprint, unproven)

    def _refuse(self, why: str, fingerprint: str, about: IdentityRefused | None = None) -> None:
        if why in self._refused or len(self._refused) >= REFUSALS_LOGGED:
            return
        self._refused.add(why)
        try:
            known = about or IdentityRefused(why)
            self._door.audit.append(
                events.login_refused(
                    why,
                    source=self.source,
                    fingerprint=fingerprint,
                    issuer=known.issuer,
                    subject=known.subject,
                    serial=known.serial,
                    claimed=known.claimed,
                )
            )
        finally:
            if self._conn is not None:
                what = "key" if self._user == LOGIN else "certificate"
                self._conn.send_auth_banner(f"interlock: this {what} is refused: {why}\n")

    def _may_try(self) -> bool:
        self._tries += 1
        self._door.crowd.moved(self)
        if self._tries > KEY_TRIES and self._conn is not None:
            self._conn.disconnect(asyncssh.DISC_BY_APPLICATION, "too many keys offered")
            return False
        return True

    @property
    def source(self) -> str:
        """The address that the connection comes from."""
        peer = self._conn.get_extra_info("peername") if self._conn is not None else None
        return str(peer[0]) if peer else ""

    @property
    def identity(self) -> Identity | None:
        """Who this connection belongs to, once proven."""
        return self._visitor.identity if self._visitor is not None else None

    # -- what they want ------------------------------------------------------------------------

    def session_requested(self) -> Channel:
        """A session channel: nothing about it is shared with any other channel."""
        visitor = self._admit()

        def begin(channel: Channel, request: Request) -> None:
            noted = self._noted(visitor)
            self._door.spawn(self._counted(self._door.serve(noted, channel, request)))

        return Channel(begin, self._pressure, self._door.turns)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Stream:
        """A ``-L`` or ``-W`` channel: only to a database target, by its name."""
        visitor = self._admit()
        try:
            self._noted(visitor)  # a fault ends the session that the relay opens, in its own words
            if visitor.surplus:
                raise TryLater(visitor.surplus)
            relay = self._door.forward(visitor, dest_host)
        except InterlockError as error:
            self._channels -= 1
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, f"interlock: {error}"
            ) from error

        def begin(stream: Stream) -> None:
            self._door.spawn(self._counted(relay(stream)))

        return Stream(begin, self._pressure, self._door.turns)

    def _admit(self) -> Visitor:
        visitor = self._visitor
        refused = asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
        if visitor is None:
            raise asyncssh.ChannelOpenError(refused, "interlock: not authenticated")
        if self._door.stopping():
            raise asyncssh.ChannelOpenError(refused, "interlock: the broker is stopping")
        if visitor.identity is not None and not self._door.still_valid(visitor.identity):
            raise asyncssh.ChannelOpenError(
                refused, "interlock: your certificate has expired; log in again"
            )
        if self._channels >= CHANNELS:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE,
                f"interlock: {CHANNELS} channels are open already; close one first",
            )
        self._channels += 1
        return visitor

    async def _counted(self, work: Awaitable[None]) -> None:
        try:
            await work
        finally:
            self._channels -= 1
