"""A broker in this process with one issuer, stock ssh against it, and forged certificates."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncssh

from broker.app import running
from broker.config.load import load
from broker.demo.issuer import DemoIssuer
from broker.identity.openssh import EXTENSION
from tests.fixtures.log_entries import entries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from broker.app import Running

SECONDS = 30.0
NAME = "ann@acme.example"
ANN = {"sub": "u-1", "email": NAME, "groups": ["engineers"]}
SAID: dict[str, object] = {
    "subject": "u-1",
    "issuer": "corp",
    "kind": "human",
    "name": NAME,
    "groups": ["engineers"],
    "acting_for": None,
    "claims": {},
}

CONFIG = """\
listen: 127.0.0.1:0
state: state
{top}
issuers:
  - {{name: corp, issuer: "{url}", audience: interlock, kind: human, user: "{{email}}",
      groups_claim: groups, {issuer}}}
targets:
  box: {{kind: command, argv: [/bin/sh]}}
rules:
  - {{name: look, who: [group:engineers], targets: [box], allow: {{commands: ["ls **"]}}}}
"""


@dataclass(frozen=True)
class Ran:
    """What a client came to."""

    code: int
    out: str
    err: str


@dataclass
class Door:
    """The broker and what its clients need; keys are files in `folder`."""

    folder: Path
    broker: Running
    issuer: DemoIssuer

    async def ssh(
        self, key: str, user: str, *words: str, given: str = "", options: str = ""
    ) -> Ran:
        """A stock ssh with one key (and its certificate, when there is one) and nothing else."""
        given_options = [
            *options.split(),  # the first one counts
            f"UserKnownHostsFile={self.folder / 'known_hosts'}",
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
        ]
        argv = ["ssh", "-F", "none", "-p", str(self.broker.port), "-i", str(self.folder / key)]
        argv += [word for option in given_options for word in ("-o", option)]
        process = await asyncio.create_subprocess_exec(
            *argv,
            f"{user}@127.0.0.1",
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
        )
        try:
            async with asyncio.timeout(SECONDS):
                out, err = await process.communicate(given.encode())
        except BaseException:
            process.kill()
            await process.wait()
            raise
        return Ran(process.returncode or 0, out.decode(), err.decode())

    async def whoami(self, key: str, *, options: str = "") -> Ran:
        """Does the certificate open the door?"""
        return await self.ssh(key, "broker", "whoami", "--json", options=options)

    async def log_in(self, key: str) -> Ran:
        """A new certificate beside the key."""
        (self.folder / f"{key}-cert.pub").unlink(missing_ok=True)
        ran = await self.ssh(key, "login", given=self.issuer.token(ANN))
        if ran.code == 0:
            (self.folder / f"{key}-cert.pub").write_text(ran.out)
        return ran

    def connect(self, user: str, keys: Sequence[Any], heard: list[str] | None = None) -> Any:
        """asyncssh's client, for what a stock one would not send; `heard` gets the banners."""

        class Client(asyncssh.SSHClient):
            def auth_banner_received(self, msg: str, lang: str) -> None:
                if heard is not None:
                    heard.append(msg)

        known = asyncssh.import_known_hosts((self.folder / "known_hosts").read_text())
        return asyncssh.connect(
            "127.0.0.1",
            self.broker.port,
            client_factory=Client,
            username=user,
            client_keys=keys,
            known_hosts=known,
            config=None,
            agent_path=None,
            login_timeout=SECONDS,
        )

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The entries of one type in the audit log; whole once the broker has stopped."""
        return [one for one in entries(self.folder / "state" / "log") if one["type"] == kind]

    def write(self, top: str = "", issuer: str = "") -> Path:
        """The configuration file."""
        file = self.folder / "interlock.yaml"
        file.write_text(CONFIG.format(top=top, url=self.issuer.url, issuer=issuer))
        return file


@asynccontextmanager
async def door(folder: Path, top: str = "", issuer: str = "") -> AsyncIterator[Door]:
    """A broker inside the block; `top` and `issuer` are more lines and keys of its file."""
    async with DemoIssuer("interlock").listening() as provider:
        made = Door(folder, None, provider)  # type: ignore[arg-type]
        config = load(made.write(top, issuer), environ={})
        async with running(config, environ={}) as broker:
            made.broker = broker
            public = (folder / "state" / "keys" / "host_ca.pub").read_text()
            (folder / "known_hosts").write_text(f"@cert-authority * {public}")
            yield made


def make_key(folder: Path, name: str, *words: str) -> str:
    """A key pair by ssh-keygen; gives its name."""
    words = words or ("-t", "ed25519")
    file = folder / name
    subprocess.run(
        ["ssh-keygen", "-q", *words, "-N", "", "-f", file], check=True, capture_output=True
    )
    return name


def forge(ca: Path, key: Path, *more: str, said: dict[str, object] | None = None) -> None:
    """A certificate by ssh-keygen beside the key, as a thief of the CA key would make it.

    What is not given is as it should be; `more` comes last and wins.
    """
    text = json.dumps(SAID if said is None else said)
    words = ["-s", str(ca), "-I", f"human:{NAME}@corp", "-n", f"{NAME},group:engineers"]
    words += ["-z", "77", "-V", "-1m:+5m", "-O", "clear", "-O", "permit-pty"]
    words += ["-O", f"extension:{EXTENSION}={text}"] if said != {} else []
    subprocess.run(
        ["ssh-keygen", "-q", *words, *more, f"{key}.pub"], check=True, capture_output=True
    )
