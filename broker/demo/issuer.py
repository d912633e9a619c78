"""A small OIDC provider for the demo: discovery, keys, and tokens minted on the spot.

It speaks plain HTTP on the loopback address and signs with a key made at the start. It is for
trying things out; the broker treats it like any other issuer.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

REQUEST_LIMIT = 8192  # bytes of one HTTP request head
TOKEN_SECONDS = 12 * 3600


class DemoIssuer:
    """One provider with one ES256 key; `url` is its issuer identifier once it listens."""

    def __init__(self, audience: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = uuid.uuid4().hex[:8]
        self._audience = audience
        self.url = ""

    def token(self, claims: Mapping[str, object], *, lifetime: int = TOKEN_SECONDS) -> str:
        """A signed ID token with these claims (`sub` among them)."""
        now = int(time.time())
        standard = {
            "iss": self.url,
            "aud": self._audience,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(
            {**standard, **claims}, self._key, algorithm="ES256", headers={"kid": self._kid}
        )

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[DemoIssuer]:
        """Serve discovery and keys inside the block."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            path = head[:REQUEST_LIMIT].split(b" ", 2)[1].decode("ascii", "replace")
            document = self._documents().get(path)
            status = "404 Not Found" if document is None else "200 OK"
            body = json.dumps(document or {"error": "not_found"}).encode()
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (OSError, ValueError, IndexError, asyncio.IncompleteReadError, TimeoutError):
            pass  # a broken request to a demo deserves no more than a closed connection
        finally:
            writer.close()

    def _documents(self) -> dict[str, object]:
        key = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        key |= {"kid": self._kid, "use": "sig", "alg": "ES256"}
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/jwks",
                "authorization_endpoint": f"{self.url}/authorize",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            },
            "/jwks": {"keys": [key]},
        }
