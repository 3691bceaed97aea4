"""The shipped settings behind the shipped proxies: whoever asks is known by an address of their own, and nobody can take another's.

Skipped by name where a proxy is not installed.
"""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from proxy_rig import DEPLOYED, PRODUCTS, ROOT, standing
from server import PROCESS_SECONDS_MAX, Server, serving
from test_reload import until

GUESSES = 10  # wrong admin keys a minute that an address may try
OUTSIDER, OPERATOR = "127.0.0.2", "127.0.0.3"  # as the proxy sees them, who itself is 127.0.0.1
#: Our files with an nginx or the like in front -> the networks that they trust there.
SHIPPED = {
    "nginx": ("nginx/aisa.conf", "aisa.yaml"),
    "HAProxy": ("proxies/haproxy.cfg", "systemd/aisa.yaml"),
    "Envoy": ("proxies/envoy.yaml", "systemd/aisa.yaml"),
    "Caddy": ("proxies/Caddyfile", "systemd/aisa.yaml"),
    "Apache": ("proxies/apache.conf", "systemd/aisa.yaml"),
    "Traefik": ("proxies/traefik.yaml", "systemd/aisa.yaml"),
}


def settings(name: str) -> str:
    """A shipped aisa.yaml, with what is on this machine in place of its network and without its vendor, and addresses kept whole."""
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8").partition("vendors:")[0]
    assert "trusted_proxies" in text
    return re.sub(r"trusted_proxies: \[\S+\]", "trusted_proxies: [127.0.0.1/32]", text) + "log: {client_address: whole}\n"


@contextmanager
def deployed(product: str, folder: Path) -> Iterator[tuple[Server, int]]:
    """A server behind a proxy, each with its file; yields it and the proxy's port."""
    configuration, aisa = SHIPPED[product]
    with serving(folder, settings(aisa)) as server:
        port = int(server.url.rpartition(":")[2])
        text = (ROOT / "deploy" / configuration).read_text(encoding="utf-8")
        text = re.sub(r"aisa-\d:8000", f"127.0.0.1:{port}", text).replace("listen 8080", "listen 127.0.0.1:8080")
        with standing(PRODUCTS[product], text, folder / "proxy", behind=port) as url:
            yield server, int(url.rpartition(":")[2])


def asked(port: int, address: str, path: str, key: str, *, forwarded: str | None = None) -> int:
    """The status of a request from an address."""
    headers = {"authorization": f"Bearer {key}"} | ({} if forwarded is None else {"x-forwarded-for": forwarded})
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PROCESS_SECONDS_MAX, source_address=(address, 0))) as client:
        client.request("GET", path, headers=headers)
        answer = client.getresponse()
        answer.read()
        return answer.status


def test_every_recipe_is_tried_here() -> None:
    """But stunnel, which says addresses by another protocol and only if it is told to."""
    assert {path.name for path in DEPLOYED.iterdir()} - {"stunnel.conf"} == {PRODUCTS[name].file for name in SHIPPED}


@pytest.mark.parametrize("product", SHIPPED)
def test_wrong_keys_of_one_address_keep_out_nobody_else(product: str, tmp_path: Path) -> None:
    """[issue 13] Nor can whoever guesses take an administrator's address, or a new one for each guess, by naming it."""
    if PRODUCTS[product].program() is None:
        pytest.skip(f"{product} is not installed")
    with deployed(product, tmp_path) as (server, port):
        key = server.aisa("admin-keys", "create", "op", "--scope", "read", "--quiet").strip()
        until(lambda: asked(port, OPERATOR, "/admin/v1/keys", key) == 200)
        wrong = key[:-4] + "0000"
        tried = [asked(port, OUTSIDER, "/admin/v1/keys", wrong, forwarded=f"{OPERATOR}, 203.0.113.{at}") for at in range(GUESSES + 1)]
        assert tried == [401] * GUESSES + [429]
        assert asked(port, OPERATOR, "/admin/v1/keys", key) == 200
        assert asked(port, OUTSIDER, "/v1/models", "sk-aisa-nobody", forwarded=OPERATOR) == 401
        until(lambda: f'"address":"{OUTSIDER}"' in server.log)
        assert f'"address":"{OPERATOR}"' not in server.log


def test_a_replica_whose_machine_is_gone_is_passed_over(tmp_path: Path) -> None:
    """[issue 13] It stays in turn, as no failure bans it, and neither takes a connection nor refuses one: calls waited a minute for it."""
    if PRODUCTS["nginx"].program() is None:
        pytest.skip("nginx is not installed")
    text = (ROOT / "deploy/nginx/aisa.conf").read_text(encoding="utf-8").replace("listen 8080", "listen 127.0.0.1:8080")
    with serving(tmp_path, settings("aisa.yaml")) as server, nowhere() as gone:
        port = int(server.url.rpartition(":")[2])
        text = text.replace("aisa-1:8000", f"127.0.0.1:{port}").replace("aisa-2:8000", f"127.0.0.1:{gone}")
        with standing(PRODUCTS["nginx"], text, tmp_path / "proxy", behind=port) as url:
            assert [asked(int(url.rpartition(":")[2]), OUTSIDER, "/v1/models", server.key) for _ in range(4)] == [200] * 4


@contextmanager
def nowhere() -> Iterator[int]:
    """A port at which connections are neither taken nor refused: as many wait there as may."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
