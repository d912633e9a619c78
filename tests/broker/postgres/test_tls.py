from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.errors import TargetUnreachable
from broker.postgres.tls import context_for
from broker.postgres.upstream import connect
from tests.broker.postgres.harness import SETTINGS
from tests.fixtures.tls_front import Authority, tls_front

if TYPE_CHECKING:
    from pathlib import Path

    from broker.targets import PostgresTarget
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer


async def sentence(target: PostgresTarget, password: str | None, **more: str) -> str:
    """What is said when it must not work."""
    with pytest.raises(TargetUnreachable) as caught:
        await connect(target, password, SETTINGS, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "days", "why"),
    [
        ("localhost", -1, "its certificate has expired"),
        ("elsewhere.example", 30, "its certificate is not for localhost"),
        ("", 30, "its certificate is of an authority that we do not trust"),
    ],
)
async def test_a_server_that_is_not_proven(
    postgres: PostgresServer, tmp_path: Path, name: str, days: int, why: str
) -> None:
    ours, other = Authority.make(tmp_path), Authority.make(tmp_path / "other")
    context = (ours if name else other).server_side(name or "localhost", days=days)
    with tls_front(context, postgres.port) as port:
        target = replace(postgres.target(sslmode="verify-full"), port=port, sslrootcert=ours.file)
        said = await sentence(target, postgres.app_password)
    assert said == f"orders is not who it should be: {why}"


@pytest.mark.parametrize("direct", [True, False])
async def test_tls_at_once_or_when_asked(
    postgres: PostgresServer, tmp_path: Path, direct: bool
) -> None:
    """A server that takes TLS at once must say that it speaks PostgreSQL inside it."""
    authority = Authority.make(tmp_path)
    context = authority.server_side()
    context.set_alpn_protocols(["postgresql"])
    with tls_front(context, postgres.port, direct=direct) as port:
        target = replace(
            postgres.target(sslmode="verify-full"),
            port=port,
            sslrootcert=authority.file,
            sslnegotiation="direct" if direct else "postgres",
        )
        upstream = await connect(target, postgres.app_password, SETTINGS)
        assert await upstream.query("SELECT 1") == [[b"1"]]
        await upstream.close()


async def test_a_server_of_another_protocol_behind_direct_tls(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    authority = Authority.make(tmp_path)
    with tls_front(authority.server_side(), postgres.port, direct=True) as port:
        target = replace(
            postgres.target(sslmode="verify-full"),
            port=port,
            sslrootcert=authority.file,
            sslnegotiation="direct",
        )
        said = await sentence(target, postgres.app_password)
    assert said == "orders does not take TLS at once; use sslnegotiation=postgres"


async def test_a_password_that_is_not_bound_to_tls_is_refused_on_demand(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """The server behind has no TLS of its own, as with a man in the middle: no -PLUS there."""
    authority = Authority.make(tmp_path)
    with tls_front(authority.server_side(), postgres.port) as port:
        target = replace(
            postgres.target(sslmode="verify-full"),
            port=port,
            sslrootcert=authority.file,
            channel_binding="require",
        )
        said = await sentence(target, postgres.app_password)
    assert "channel_binding=require" in said


async def test_a_bound_password_satisfies_the_demand(postgres_tls: PostgresServer) -> None:
    target = replace(postgres_tls.target(), channel_binding="require")
    await (await connect(target, postgres_tls.app_password, SETTINGS)).close()


async def test_a_root_certificate_that_went_away_is_one_sentence(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    authority = Authority.make(tmp_path)
    with tls_front(authority.server_side(), postgres.port) as port:
        target = replace(
            postgres.target(sslmode="verify-full"), port=port, sslrootcert=tmp_path / "none.pem"
        )
        said = await sentence(target, postgres.app_password)
    assert said == f"the file {tmp_path / 'none.pem'} for TLS with orders cannot be used"


# -- client certificates -------------------------------------------------------------------------


@pytest.fixture
def certified(postgres_tls: PostgresServer, tmp_path: Path) -> PostgresTarget:
    """A target whose server wants a client certificate instead of a password."""
    issued = postgres_tls.client_certificate("app")
    (tmp_path / "app.crt").write_bytes(issued.certificate)
    (tmp_path / "app.key").write_bytes(issued.key)
    (tmp_path / "app.key").chmod(0o600)
    return replace(
        postgres_tls.target("certified"),
        name="orders",
        dbname="certified",
        sslcert=tmp_path / "app.crt",
        sslkey=tmp_path / "app.key",
    )


async def test_a_client_certificate_stands_for_a_password(certified: PostgresTarget) -> None:
    upstream = await connect(certified, None, SETTINGS)
    query = "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    ((name,),) = await upstream.query(query)
    await upstream.cancel()  # which needs the certificate, too
    await upstream.close()
    assert (name or b"").endswith(b"/CN=app")


async def test_without_its_certificate_the_server_says_why(certified: PostgresTarget) -> None:
    said = await sentence(replace(certified, sslcert=None, sslkey=None), None)
    assert said == "orders refuses app: connection requires a valid client certificate"


async def test_a_certificate_for_somebody_else_is_refused(certified: PostgresTarget) -> None:
    said = await sentence(replace(certified, user="postgres"), None)
    assert said == 'orders refuses postgres: certificate authentication failed for user "postgres"'


@pytest.mark.parametrize("passphrase", ["right", "wrong", None])
async def test_a_key_with_a_passphrase(certified: PostgresTarget, passphrase: str | None) -> None:
    assert certified.sslkey is not None
    locked = certified.sslkey.with_name("locked.key")
    words = ["openssl", "pkey", "-in", str(certified.sslkey), "-aes256", "-passout", "pass:right"]
    await asyncio.to_thread(subprocess.run, [*words, "-out", str(locked)], check=True)
    target = replace(certified, sslkey=locked)
    if passphrase == "right":
        await (await connect(target, None, SETTINGS, passphrase=passphrase)).close()
        return
    with pytest.raises(TargetUnreachable) as caught:
        await connect(target, None, SETTINGS, passphrase=passphrase)
    assert str(caught.value) == (
        "the client certificate for orders has a key with another passphrase"
    )


async def test_a_key_that_others_can_read_is_not_used(certified: PostgresTarget) -> None:
    assert certified.sslkey is not None
    certified.sslkey.chmod(0o644)
    said = await sentence(certified, None)
    assert "is open to other users (mode 0644)" in said


async def test_a_certificate_of_another_key_is_not_used(
    certified: PostgresTarget, postgres_tls: PostgresServer
) -> None:
    assert certified.sslkey is not None
    certified.sslkey.write_bytes(postgres_tls.client_certificate("app").key)
    said = await sentence(certified, None)
    assert said == "the client certificate for orders does not fit its key"


async def test_a_certificate_of_an_unknown_authority_is_told(
    certified: PostgresTarget, tmp_path: Path
) -> None:
    stranger = Authority.make(tmp_path / "stranger").ca.issue_cert("x", common_name="app")
    assert certified.sslkey is not None
    assert certified.sslcert is not None
    certified.sslkey.write_bytes(stranger.private_key_pem.bytes())
    certified.sslcert.write_bytes(stranger.cert_chain_pems[0].bytes())
    said = await sentence(certified, None)
    assert said.startswith(("TLS with orders failed: ", "orders closed the connection"))


def test_what_was_verified_against_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    from broker.targets import PostgresTarget

    authority = Authority.make(tmp_path)
    target = PostgresTarget("t", "h", 1, "u", "d", "verify-full", authority.file)
    first = context_for(target)
    assert context_for(target) is first
    authority.file.write_bytes(authority.file.read_bytes() + b"\n")
    assert context_for(target) is not first
