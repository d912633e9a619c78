"""The whole story, played with stock ssh clients against a running demo, and checked."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.demo.database import free_port
from broker.demo.terminal import seat
from broker.evidence.verify import verify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from broker.demo.world import World

STEP_SECONDS = 60.0
SHOWN_LINES = 14  # lines of output that the tour prints of one command


@dataclass(frozen=True, slots=True)
class Ran:
    """What one client printed, and how it ended."""

    code: int
    out: str
    err: str


class StepFailed(Exception):
    """A step did not show what it should; the sentence says what."""


@dataclass
class Tour:
    """One run over one world. `tell` prints a line of the story."""

    world: World
    tell: Callable[[str], None]
    notes: dict[str, str] = field(default_factory=dict)

    async def run(self) -> str | None:
        """Every step in order; the name of the one that failed, or None."""
        for number, (title, step) in enumerate(STEPS, 1):
            self.tell(f"\n\x1b[1m{number:2d}. {title}\x1b[0m")
            began = time.monotonic()
            try:
                async with asyncio.timeout(STEP_SECONDS):
                    await step(self)
            except (StepFailed, TimeoutError, OSError) as error:
                self.tell(f"    FAILED: {error or 'took too long'}")
                return title
            self.tell(f"    ok ({time.monotonic() - began:.1f} s)")
        return None

    # -- clients -------------------------------------------------------------------------------

    def ssh(self, *words: str) -> list[str]:
        """The argv of a stock ssh with the demo's configuration."""
        return ["ssh", "-F", str(self.world.ssh_config), *words]

    async def run_ssh(self, *words: str, given: str = "", show: bool = True) -> Ran:
        """Run a stock ssh to its end, telling what was typed and what came back."""
        quoted = " ".join(f"'{word}'" if " " in word else word for word in words)
        self.tell(f"    $ ssh {quoted}" + (" < script" if given else ""))
        ran = await self.run_program(self.ssh(*words), given=given)
        if show:
            self._show(ran)
        return ran

    async def run_program(self, argv: list[str], *, given: str = "") -> Ran:
        """Run a program to its end."""
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(self.world.folder),
        )
        out, err = await process.communicate(given.encode() if given else None)
        return Ran(process.returncode or 0, out.decode(), err.decode())

    def _show(self, ran: Ran) -> None:
        lines = [*ran.out.rstrip().splitlines(), *ran.err.rstrip().splitlines()]
        for line in lines[:SHOWN_LINES]:
            self.tell(f"      {line}")
        if len(lines) > SHOWN_LINES:
            self.tell(f"      ... {len(lines) - SHOWN_LINES} more lines")
        if ran.code:
            self.tell(f"      [exit {ran.code}]")

    def reached_database(self, text: str) -> bool:
        """Is this text in the server's own log of statements?"""
        return text in self.world.database.log.read_text(errors="replace")


def environment(home: Path) -> dict[str, str]:
    """A person's environment, without this person's ssh-agent and configuration."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LANG": "C.UTF-8"}


def expect(condition: object, what: str) -> None:
    """Fail the step when it does not hold."""
    if not condition:
        raise StepFailed(what)


async def log_in(tour: Tour) -> None:
    """A token in, a certificate out."""
    folder = tour.world.folder
    tour.tell("    $ ssh login@agent < agent.token > agent-cert.pub")
    token = (folder / "agent.token").read_text()
    login = ["ssh", "-F", str(folder / "login_config"), "login@agent"]
    ran = await tour.run_program(login, given=token)
    expect(ran.code == 0 and "-cert-v01@openssh.com" in ran.out, f"no certificate: {ran.err}")
    (folder / "agent-cert.pub").write_text(ran.out)
    tour.tell(f"      {ran.err.strip()}")
    shown = await tour.run_program(["ssh-keygen", "-L", "-f", str(folder / "agent-cert.pub")])
    for line in shown.out.splitlines()[3:9]:
        tour.tell(f"      {line.strip()}")
    expect("agent:acme/shop@ci" in shown.out, "the key id does not name the agent")


async def ask_who(tour: Tour) -> None:
    """An agent plans from what it may do."""
    ran = await tour.run_ssh("broker@agent", "whoami")
    expect("acting for" in ran.out and "alice@example.com" in ran.out, "acting_for is missing")


async def read_masked(tour: Tour) -> None:
    """Rows come back without personal data."""
    ran = await tour.run_ssh("orders@agent", "SELECT name, email, ssn, card FROM customers")
    expect(ran.code == 0 and "Ada Byron" in ran.out, "no rows came back")
    for secret in ("ada.byron@example.com", "219-09-9999", "4111 1111 1111 1111"):
        expect(secret not in ran.out, f"{secret} came back unmasked")


async def refuse_drop(tour: Tour) -> None:
    """A denial is a sentence, an exit code, and nothing at the database."""
    ran = await tour.run_ssh("orders@agent", "DROP TABLE customers")
    expect(ran.code == 77, f"exit code {ran.code}, not 77")
    expect("no-ddl" in ran.err, "the sentence does not name the rule")
    json_format = ("-o", "SetEnv=INTERLOCK_FORMAT=json")
    ran = await tour.run_ssh(*json_format, "orders@agent", "DROP TABLE customers")
    denial = json.loads(ran.err.strip().splitlines()[0])
    expect(denial["verdict"] == "deny" and denial["rule"] == "no-ddl", "the JSON says otherwise")
    expect(not tour.reached_database("DROP TABLE"), "the database saw it")


async def refuse_unbounded(tour: Tour) -> None:
    """The grammar sees through spelling."""
    ran = await tour.run_ssh("orders@agent", "WITH x AS (DELETE FROM refunds WHERE 1=1) SELECT 1")
    expect(ran.code == 77, f"exit code {ran.code}, not 77")
    expect(not tour.reached_database("WHERE 1=1"), "the database saw it")


async def run_script(tour: Tour) -> None:
    """A script, judged statement by statement."""
    script = "SELECT count(*) AS customers FROM customers;\nSELECT item FROM orders WHERE id = 7;\n"
    ran = await tour.run_ssh("orders@engineer", given=script)
    expect(ran.code == 0 and "customers" in ran.out, "the script did not run")


async def wait_and_approve(tour: Tour) -> None:
    """A DELETE waits; an approver reads it in the TUI and says yes."""
    delete = "DELETE FROM refunds WHERE order_id = 3 AND status = 'dup'"
    argv = tour.ssh("-o", "SetEnv=INTERLOCK_REASON='duplicate refund, INC-2231'")
    tour.tell(f'    $ ssh orders@agent "{delete}"        (and it waits)')
    asking = asyncio.ensure_future(tour.run_program([*argv, "orders@agent", delete]))
    tour.tell("    $ ssh approvals@approver                (at 80x24)")
    home = environment(tour.world.folder)
    async with seat(tour.ssh("-tt", "approvals@approver"), home) as bob:
        await bob.sees("order_id = 3")
        _picture(tour, bob.screen())
        expect(not tour.reached_database(delete), "it reached the database before the approval")
        await asyncio.sleep(0.4)  # the screen ignores keys pressed just after a request appeared
        bob.type("a")
        await bob.sees("let it run")
        bob.type("y")
        ran = await asking
        bob.type("q")
    tour.tell("      (bob pressed a, then y)")
    for line in [*ran.out.splitlines(), *ran.err.splitlines()]:
        tour.tell(f"      {line}")
    expect(ran.code == 0 and "DELETE 1" in ran.out, f"the approved DELETE did not run: {ran.err}")
    expect(tour.reached_database(delete), "the database did not get the exact statement")


async def deny_from_the_command_line(tour: Tour) -> None:
    """A person's no, with its reason, in the words of the asker's own client."""
    update = "UPDATE orders SET cents = 0 WHERE id = 5"
    asking = asyncio.ensure_future(tour.run_program(tour.ssh("orders@engineer", update)))
    found = await _waiting(tour, "alice@example.com")
    own = await tour.run_ssh("broker@engineer", f"approve {found}")
    expect(own.code == 77, "alice could approve her own statement")
    ran = await tour.run_ssh("broker@approver", f"deny {found} --reason 'not during the sale'")
    expect(ran.code == 0, f"the denial was not taken: {ran.err}")
    asked = await asking
    tour.tell(f"      alice sees: {asked.err.strip().splitlines()[-1]}")
    expect(asked.code == 77 and "not during the sale" in asked.err, "the reason did not arrive")
    expect(not tour.reached_database(update), "the database saw it")


async def _waiting(tour: Tour, identity: str) -> str:
    for _ in range(100):
        ran = await tour.run_program(tour.ssh("broker@approver", "pending --json"))
        for card in json.loads(ran.out or "[]"):
            if identity in card["identity"]:
                return str(card["id"])
        await asyncio.sleep(0.1)
    msg = "the review never appeared"
    raise StepFailed(msg)


async def use_a_driver(tour: Tour) -> None:
    """A stock psql through ssh -L: the same rules, the same masking, no password."""
    port = free_port()
    forward = tour.ssh("-N", "-L", f"127.0.0.1:{port}:orders:5432", "broker@agent")
    tour.tell(f"    $ ssh -N -L {port}:orders:5432 broker@agent &")
    process = await asyncio.create_subprocess_exec(
        *forward, stdin=subprocess.DEVNULL, env=environment(tour.world.folder)
    )
    try:
        await _listening(port)
        psql = [str(tour.world.database.bin / "psql"), "-X", "-At", "-h", "127.0.0.1"]
        base = [*psql, "-p", str(port), "-d", "orders"]
        tour.tell(f"    $ psql -h 127.0.0.1 -p {port} orders")
        read = await tour.run_program([*base, "-c", "SELECT name, email FROM customers LIMIT 1"])
        tour.tell(f"      {read.out.strip()}")
        expect(read.code == 0 and "Ada Byron" in read.out, f"psql could not read: {read.err}")
        expect("ada.byron" not in read.out, "the address came back unmasked")
        drop = await tour.run_program([*base, "-c", "TRUNCATE customers"])
        tour.tell(f"      {drop.err.strip()}")
        expect("no-ddl" in drop.err, "TRUNCATE was not refused")
        expect(not tour.reached_database("TRUNCATE"), "the database saw it")
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return


async def use_psql(tour: Tour) -> None:
    """An interactive session, typed by a person."""
    tour.tell("    $ ssh orders@engineer")
    home = environment(tour.world.folder)
    async with seat(tour.ssh("-tt", "orders@engineer"), home) as alice:
        await alice.sees("orders=>")
        alice.type("SELECT id, email FROM customers\r")
        await alice.sees("orders->")
        alice.type("WHERE id < 3;\r")
        await alice.sees("(2 rows)")
        expect("ada.byron" not in alice.screen(), "the address came back unmasked")
        alice.type("\\! id\r")
        await alice.sees("is not available here")
        alice.type("DROP TABLE orders;\r")
        await alice.sees("no-ddl")
        _picture(tour, alice.screen())
        alice.type("\\q\r")


async def use_a_shell(tour: Tour) -> None:
    """Command lines are judged by a shell grammar; each runs by itself."""
    ran = await tour.run_ssh("box@agent", "cat notes.txt | grep -c order")
    expect(ran.code == 0 and ran.out.strip() == "1", f"the command did not run: {ran.err}")
    ran = await tour.run_ssh("box@agent", "cat notes.txt")
    expect("4111" not in ran.out, "the card number came back unmasked")
    ran = await tour.run_ssh("box@agent", "ls /nowhere")
    expect(ran.code not in {0, 77} and ran.err, "the exit code and stderr were lost")
    for line in ("rm -rf notes.txt", "ls; r'm' -rf notes.txt", "$(echo rm) -rf notes.txt"):
        ran = await tour.run_ssh("box@agent", line)
        expect(ran.code == 77, f"exit code {ran.code}, not 77")
    expect((tour.world.folder / "box" / "notes.txt").exists(), "the file is gone")


async def use_a_machine(tour: Tour) -> None:
    """The same on a real sshd, with a certificate signed for this session alone."""
    if tour.world.machine is None:
        tour.tell("      (no sshd on this machine: left out)")
        return
    ran = await tour.run_ssh("web@engineer", "echo reached the machine; ls /nowhere")
    expect("reached the machine" in ran.out, f"the command did not run: {ran.err}")
    expect(ran.code not in {0, 77} and ran.err, "the exit code and stderr were lost")
    ran = await tour.run_ssh("web@engineer", "reboot")
    expect(ran.code == 77, f"exit code {ran.code}, not 77")


async def refuse_the_rest(tour: Tour) -> None:
    """Nothing else passes the door."""
    ran = await tour.run_ssh("nowhere@agent", "ls")
    expect(ran.code == 77 and "no rule lets you" in ran.err, "an unknown name was not refused")
    ran = await tour.run_ssh("-s", "orders@agent", "sftp")
    expect(ran.code == 64, "a subsystem was not refused")
    ran = await tour.run_ssh("-W", "127.0.0.1:22", "broker@agent")
    expect(ran.code == 255 and not ran.out, "an arbitrary forward was not refused")


async def audit(tour: Tour) -> None:
    """An auditor finds the DELETE, plays its session, and checks that nothing was altered."""
    listed = await tour.run_program(tour.ssh("broker@auditor", "sessions --json"))
    sessions = json.loads(listed.out)
    tour.tell(f"    $ ssh broker@auditor sessions        ({len(sessions)} sessions)")
    cast, session = "", ""
    for one in sessions:
        played = await tour.run_program(tour.ssh("broker@auditor", f"play {one['id']}"))
        if re.search(r"review \w+ approved by", played.out):
            cast, session = played.out, one["id"]
    expect(cast, "no recording tells of the approval")
    tour.tell(f"    $ ssh broker@auditor play {session} > delete.cast")
    markers = [event[2] for line in cast.splitlines()[1:] if (event := json.loads(line))[1] == "m"]
    for label in markers:
        tour.tell(f"      marker: {label}")
    expect("INC-2231" in cast.splitlines()[0], "the reason is not in the recording's header")
    ran = await tour.run_ssh("broker@auditor", "verify")
    expect(ran.code == 0, "the evidence does not verify")


async def tamper(tour: Tour) -> None:
    """Somebody changes one byte of a recording's copy: the verifier says which."""
    copy = tour.world.folder / "copy"
    shutil.copytree(tour.world.folder / "state", copy)
    cast = max((copy / "recordings").rglob("*.cast"), key=lambda path: path.stat().st_size)
    data = bytearray(cast.read_bytes())
    data[len(data) // 2] ^= 1
    cast.write_bytes(data)
    tour.tell("    $ interlock verify --state copy        (one bit of one recording changed)")
    report = verify(copy)
    for problem in report.problems[:3]:
        tour.tell(f"      {problem}")
    expect(not report.ok, "the change was not found")


def _picture(tour: Tour, screen: str) -> None:
    tour.tell("      ┌" + "─" * 80 + "┐")
    for line in screen.splitlines():
        tour.tell(f"      │{line:<80}│")
    tour.tell("      └" + "─" * 80 + "┘")


STEPS: tuple[tuple[str, Callable[[Tour], Awaitable[None]]], ...] = (
    ("An agent logs in with its OIDC token", log_in),
    ("It asks what it may do", ask_who),
    ("It reads: personal data comes back masked", read_masked),
    ("It tries to DROP a table", refuse_drop),
    ("It hides an unbounded DELETE in a CTE", refuse_unbounded),
    ("An engineer runs a script", run_script),
    ("A DELETE waits for an approver, who answers in the TUI", wait_and_approve),
    ("An UPDATE is denied by a person; nobody approves their own", deny_from_the_command_line),
    ("A stock psql through ssh -L", use_a_driver),
    ("An interactive psql session", use_psql),
    ("A shell, judged by its grammar", use_a_shell),
    ("A real sshd behind the broker", use_a_machine),
    ("Everything else is refused with a sentence", refuse_the_rest),
    ("An auditor plays the session and verifies the evidence", audit),
    ("One changed bit is found", tamper),
)
