"""Config to a running broker: the only place that knows every adapter."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import asyncssh
import sqlparse

from broker import events
from broker.clock import utc_now
from broker.config.in_force import InForce
from broker.config.secrets import resolve
from broker.control.dry_runs import DryRuns
from broker.control.holds import Holds
from broker.control.locks import LockVerbs
from broker.control.nodes import Membership
from broker.control.operations import Operations
from broker.control.server import Server
from broker.errors import EvidenceFailure, IdentityRefused, Unparsable
from broker.evidence import recorder
from broker.evidence.keys import load_or_create
from broker.evidence.log import AuditLog
from broker.evidence.verify import verify
from broker.identity.authority import Authority
from broker.identity.device import DeviceFlow
from broker.identity.jwks import KeySource, new_client
from broker.identity.login import Login
from broker.live import Live
from broker.mask.values import Redactor
from broker.model import Answer, Verdict
from broker.policy import may, terminal
from broker.policy.judge import Judge
from broker.postgres.ways import PostgresWays
from broker.review.desk import Desk
from broker.shell.credentials import Credentials
from broker.shell.local_target import LocalRunner
from broker.shell.parser import ShellParser
from broker.shell.ssh_target import SshRunner
from broker.shell.ways import ShellWays
from broker.ssh import login
from broker.ssh.algorithms import any_name
from broker.ssh.approvals import Approvals
from broker.ssh.broker_verbs import Verbs
from broker.ssh.crowd import Crowd
from broker.ssh.device_login import DeviceLogin
from broker.ssh.forward import Forward
from broker.ssh.knocks import Knocks
from broker.ssh.listener import Listener
from broker.ssh.routes import Routes
from broker.store.opening import opened
from broker.targets import CommandTarget, SshTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
    from datetime import timedelta

    from broker.config.model import Config
    from broker.live import Opened
    from broker.model import Identity, Statement
    from broker.policy.sql.catalogue import Overlay
    from broker.shell.runner import Runner
    from broker.store.opening import Stores
    from broker.targets import SecretSource

log = logging.getLogger("interlock")

LAST_S = 10  # seconds in which a broker without an audit log tells everybody why
TICK = 1.0  # seconds between seals of the log and syncs of the recordings
FORMAT_LIMIT = 16 * 1024  # characters of SQL that are formatted for a card


@dataclass(frozen=True, slots=True)
class Running:
    """A broker that listens. `reload` puts another configuration in force for all that follows."""

    host: str
    port: int
    reload: Callable[[Config], None]


@asynccontextmanager
async def running(config: Config, *, environ: Mapping[str, str]) -> AsyncIterator[Running]:
    """A broker inside the block."""
    async with AsyncExitStack() as stack:
        broker = await _Broker.assemble(config, environ, stack)
        stack.push_async_callback(broker.postgres.lookups.reader.close)
        listener = broker.listener()
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        ticking = [tasks.create_task(work()) for work in broker.works()]
        async with listener.listening(config.host, config.port) as (host, port):
            try:
                yield Running(host, port, broker.reload)
            finally:
                await listener.drain(config.drain.total_seconds())
        for task in ticking:
            task.cancel()


class _Broker:
    """Everything that one running broker is made of."""

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        authority: Authority,
        audit: AuditLog,
        stores: Stores,
        keys: KeySource,
        flow: DeviceFlow,
    ) -> None:
        self._in_force = InForce(config)
        self._environ = environ
        self._authority = authority
        self._audit = audit
        self._store = store = stores.store
        self._nodes = stores.nodes
        self._keys = keys
        self._used = stores.used
        self._flow = flow
        self._exchange = Login(config.issuers, keys, self._used, utc_now)
        self._redactor = Redactor(config.masking)
        self._node = self._nodes.name
        self._parser = ShellParser()
        self._verdict = Judge(config.rules, self._parser, config.hash)
        key = secrets.token_bytes(32)
        self.postgres = PostgresWays(
            lambda: self._config.masking,
            key,
            self._secret,
            audit=audit,
            only_reads=lambda who, target: may.only_reads(self._config.rules, who, target),
            session_ttl=lambda: self._config.session_ttl,
        )
        self._desk = Desk(store, audit, utc_now, redact=self._redact)
        self.holds = Holds(
            stores.locks,
            audit,
            self._in_force,
            self._desk.waits,
            self._nodes.sessions_elsewhere,
        )
        self._crowd = Crowd(
            lambda: self._config.limits, self.holds.note, self._nodes.connections_elsewhere
        )
        self._live = Live(
            config=self._in_force,
            store=store,
            audit=audit,
            reviews=self._desk,
            clock=utc_now,
            new_id=new_session_id,
            node=self._node,
            judge=self._judge,
            redact=self._redact,
            guard=self.holds,
        )
        self._membership = Membership(
            stores,
            self._desk,
            audit,
            utc_now,
            running=self._live.running,
            connections=self._crowd.counts,
            look=self.holds.look,
        )

    @classmethod
    async def assemble(
        cls, config: Config, environ: Mapping[str, str], stack: AsyncExitStack
    ) -> _Broker:
        """Open what is on disk, mend what a crash left, and put it together."""
        state = config.state
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _authority(config, environ)
        log_key = load_or_create(state / "keys", "interlock")
        audit = AuditLog.open(state / "log", log_key.private, log_key.verifier.name, utc_now)
        stack.callback(audit.close)
        interrupted = recorder.salvage_all(state / "recordings", audit)
        stores = stack.enter_context(opened(config.store, state))
        _say_started(config, audit, stores, interrupted)
        client = await stack.enter_async_context(new_client())
        keys, flow = KeySource(client), DeviceFlow(client)
        broker = cls(config, environ, authority, audit, stores, keys, flow)
        broker._membership.begin()
        stack.callback(broker._membership.leave)
        return broker

    def works(self) -> tuple[Callable[[], Coroutine[object, object, None]], ...]:
        """What goes on beside the listener for as long as it listens."""
        watches = (self.holds.watch, self._desk.watch, self._membership.watch, self.watch_roles)
        return self.tick, *watches

    def listener(self) -> Listener:
        """The front door with every way behind it."""
        postgres = self.postgres
        shell = ShellWays(
            self._runner,
            self._parser,
            lambda who, target: may.commands(self._config.rules, who, target),
            self._raw_only,
        )
        operations = self._operations()
        try_out = partial(postgres.try_out, lambda name: self._config.targets.get(name))
        dry_runs = DryRuns(operations, self._audit, self._redact, try_out)
        routes = Routes(
            config=self._in_force,
            live=self._live,
            login=login.Login(
                self._identify,
                self._sign,
                self._audit,
                DeviceLogin(self._flow, lambda: self._config.issuers),
            ),
            approvals=Approvals(
                lambda by, reader, writer: Server(by, operations, dry_runs, reader, writer).run()
            ),
            verbs=Verbs(operations, self._lock_verbs(), dry_runs),
            ways={"postgres": postgres.console, "ssh": shell, "command": shell},
            holds=self.holds,
            knock=Knocks(
                lambda: self._config.limits.logins_per_source,
                self.holds.refuse,
                shared=self._nodes.knock,
            ),
        )
        return Listener(
            host_keys=self._host_keys(),
            read_certificate=lambda cert, source: self._authority.read(cert, utc_now(), source),
            still_valid=lambda identity: identity.expires is None or utc_now() < identity.expires,
            audit=self._audit,
            route=routes,
            forward=Forward(self._in_force, self._live, {"postgres": self.postgres.forward}),
            crowd=self._crowd,
        )

    def reload(self, config: Config) -> None:
        """Put a configuration in force; audited before it is."""
        authority = _authority(replace(config, state=self._config.state), self._environ)
        self._audit.append(config_told(config), durable=True)
        kept = self._in_force.swap(config)
        self._verdict = Judge(config.rules, self._parser, config.hash)
        self._authority = authority
        self._exchange = Login(config.issuers, self._keys, self._used, utc_now)
        self._redactor = Redactor(config.masking)
        for key in kept:
            log.warning("%s differs now; it needs a restart", key)
        log.info("configuration %s is in force", config.hash[:12])

    async def tick(self) -> None:
        """Once a second: what was acknowledged comes under a signature and onto the disk."""
        while True:
            await asyncio.sleep(TICK)
            self._live.tick()
            try:
                self._audit.seal()
            except EvidenceFailure as error:  # whoever comes now is still told so
                log.error("%s; all work is refused, and the broker ends in %d s", error, LAST_S)
                await asyncio.sleep(LAST_S)
                raise

    async def watch_roles(self) -> None:
        """Look for roles that a dead broker left on a target."""
        await self.postgres.watch(lambda: self._config.targets.values())

    @property
    def _config(self) -> Config:
        return self._in_force()

    def _redact(self, text: str) -> str:
        return self._redactor.redact(text)

    async def _identify(self, token: str) -> tuple[Identity, timedelta]:
        identity, ttl = await self._exchange.exchange(token)
        if (lock := self.holds.barring(identity)) is not None:
            refused = IdentityRefused(lock.refusal())
            refused.issuer, refused.subject = identity.issuer, identity.subject
            raise refused
        return identity, ttl

    # -- judging -------------------------------------------------------------------------------

    def _judge(
        self, identity: Identity, target: str, statement: Statement, overlay: Overlay | None = None
    ) -> Verdict:
        return self._verdict(identity, target, statement, self.postgres.lookups.of(target), overlay)

    def _checked(self, identity: Identity, target: str, statement: Statement) -> Verdict:
        try:
            return self._judge(identity, target, statement)
        except Unparsable as error:
            return Verdict(Answer.DENY, "grammar", error.sentence, unparsable=True)

    def _operations(self) -> Operations:
        return Operations(
            config=self._in_force,
            store=self._store,
            desk=self._desk,
            audit=self._audit,
            clock=utc_now,
            node=self._node,
            judge=self._checked,
            prepare=self.postgres.lookups.reader.prepare,
            verify=self._verify,
            formatted=formatted,
            before=self._live.before,
        )

    def _lock_verbs(self) -> LockVerbs:
        return LockVerbs(
            config=self._in_force,
            holds=self.holds,
            store=self._store,
            audit=self._audit,
            clock=utc_now,
            redact=self._redact,
            answers_for=lambda by, target: may.answers_for(self._config.rules, by, target),
        )

    async def _verify(self) -> Mapping[str, object]:
        self._live.tick()
        self._audit.seal()
        report = await asyncio.to_thread(verify, self._config.state)
        return report.as_json()

    # -- keys and secrets ----------------------------------------------------------------------

    async def _sign(
        self, key: asyncssh.SSHKey, identity: Identity, ttl: timedelta, source: str
    ) -> tuple[bytes, Identity]:
        """In a thread, for the CA key may be in an agent that takes its time."""
        pinned = {issuer.name for issuer in self._config.issuers if issuer.pin_source}
        now = utc_now()
        return await asyncio.to_thread(
            self._authority.grant,
            key,
            identity,
            ttl=ttl,
            now=now,
            serial=self._store.next_serial(now),
            source_address=source if identity.issuer in pinned else None,
        )

    def _host_keys(self) -> Callable[[bytes], Sequence[asyncssh.SSHKeyPair]]:
        """The host key with a certificate for any name, as each client spells that."""
        made: dict[tuple[str, ...], Sequence[asyncssh.SSHKeyPair]] = {}
        spellings: tuple[tuple[str, ...], ...] = ((), ("*",))
        for names in spellings:
            line = self._authority.host_certificate(utc_now(), names)
            certificate = asyncssh.import_certificate(line)
            made[names] = asyncssh.load_keypairs([(self._authority.host_key, certificate)])
        return lambda version: made[any_name(version)]

    def _secret(self, source: SecretSource) -> str:
        return resolve(source, self._environ).reveal()

    def _runner(self, opened: Opened) -> Runner:
        target = opened.target
        if isinstance(target, SshTarget):
            certify = partial(self._certified, target, opened)
            return SshRunner(target, Credentials(target, self._secret, certify))
        if isinstance(target, CommandTarget):
            return LocalRunner(target, partial(self._given, opened))
        raise TypeError(target)

    def _given(self, opened: Opened, source: SecretSource) -> str:
        """A secret that a target's program is given; the session never shows it."""
        secret = self._secret(source)
        opened.gate.hide(secret)
        return secret

    def _raw_only(self, opened: Opened) -> bool:
        session = opened.session
        return terminal.is_all(self._config.rules, session.identity, session.target)

    def _certified(
        self, target: SshTarget, opened: Opened, key: asyncssh.SSHKey, sources: Sequence[str]
    ) -> bytes:
        """A certificate of our target CA for this session alone."""
        return self._authority.target_certificate(
            key,
            user=target.user,
            identity=opened.session.identity,
            session=opened.session.id,
            now=utc_now(),
            sources=sources,
        )


def _authority(config: Config, environ: Mapping[str, str]) -> Authority:
    keys = config.state / "keys"
    return Authority.open(keys, config.user_ca, config.trusted_user_cas, environ)


def _say_started(config: Config, audit: AuditLog, stores: Stores, interrupted: list[str]) -> None:
    if interrupted or audit.torn:
        audit.append(
            events.broker_event(
                "recovered", {"interrupted": list(interrupted), "torn_bytes": audit.torn}
            )
        )
        log.warning("the last run ended abruptly: %d recordings closed", len(interrupted))
    stores.store.interrupt_sessions(utc_now(), stores.own)
    audit.append(config_told(config), durable=True)


def config_told(config: Config) -> events.Event:
    """The event that a configuration is in force."""
    return events.config_loaded(config.hash, config.file.name, version("interlock"))


def formatted(sql: str) -> str:
    """SQL for reading on a card; as it is when it is too long or sqlparse gives up."""
    if len(sql) > FORMAT_LIMIT:
        return sql
    try:
        return str(sqlparse.format(sql, reindent=True, keyword_case="upper"))
    except Exception:  # noqa: BLE001 - a pretty form is a courtesy; the exact text is shown anyway
        return sql


def new_session_id() -> str:
    """Sorts by time and is hard to guess: milliseconds and 40 random bits, in base 32."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    number = (int(utc_now().timestamp() * 1000) << 40) | secrets.randbits(40)
    return "".join(alphabet[(number >> shift) & 31] for shift in range(85, -1, -5))
