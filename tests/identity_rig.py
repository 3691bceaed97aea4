"""An identity provider on a real socket: its discovery document, its keys, and tokens that it signs. Knows nothing of the server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

AUDIENCE = "aisa"
#: A moment in the tests' own time, UNIX seconds.
NOW = 1_790_000_000


@lru_cache(None)
def private_key(name: str) -> RSAPrivateKey:
    """Return the key of a name; making one takes a tenth of a second."""
    return generate_private_key(public_exponent=65_537, key_size=2_048)


def public_key(name: str, **members: object) -> dict[str, object]:
    """Return a key as a set of keys has it."""
    written: dict[str, object] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key(name).public_key()))
    return {**written, "kid": name, "use": "sig", "alg": "RS256", **members}


class Provider:
    """A provider that runs. `keys` are those that it publishes; `asked` counts the requests by path."""

    def __init__(self) -> None:
        self.keys = [public_key("one")]
        self.asked: list[str] = []
        provider = self

        class Pages(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                """Answer with one of the two documents."""
                provider.asked.append(self.path)
                found: dict[str, object] = {"issuer": provider.issuer, "jwks_uri": f"{provider.issuer}/keys"}
                body = json.dumps({"keys": provider.keys} if self.path.endswith("/keys") else found).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def issuer(self) -> str:
        """How its tokens name it."""
        return f"http://127.0.0.1:{self._server.server_port}/realms/team"

    def token(self, signed_by: str = "one", *, now: float = NOW, headers: dict[str, Any] | None = None, **claims: object) -> str:
        """Return a token of Ann's, for an hour."""
        usual = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ann", "iat": int(now), "exp": int(now) + 3_600}
        payload = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(payload, private_key(signed_by), algorithm="RS256", headers={"kid": signed_by, **(headers or {})})

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def identity_provider() -> Iterator[Provider]:
    """Run a provider."""
    provider = Provider()
    try:
        yield provider
    finally:
        provider.close()
