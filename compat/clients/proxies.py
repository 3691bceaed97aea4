"""The two reverse proxies that agents are sent through, each set up as its documentation and ours say for streams, on a loopback port."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: From its start until it takes connections.
START_SECONDS_MAX = 20.0


class Proxy(NamedTuple):
    """A program, how it is started with a configuration, and the configuration."""

    program: str
    arguments: tuple[str, ...]
    text: str


NGINX = Proxy(
    "nginx",
    ("-p", "{folder}", "-c", "{file}", "-e", "{folder}/nginx.log", "-g", "daemon off;"),
    """\
pid nginx.pid;
events {{}}
http {{
    access_log off;
    upstream aisa {{ server {address}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 33m;
        location / {{
            proxy_pass http://aisa;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 700s;
        }}
    }}
}}
""",
)
HAPROXY = Proxy(
    "haproxy",
    ("-db", "-f", "{file}"),
    """\
defaults
    mode http
    option http-no-delay
    option abortonclose
    timeout connect 5s
    timeout client 330s
    timeout server 700s
frontend front
    bind 127.0.0.1:{port}
    default_backend aisa
backend aisa
    server one {address}
""",
)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def proxied(proxy: Proxy, url: str, folder: Path) -> Iterator[str]:
    """Run a proxy in front of a server and yield its address."""
    port, file = free_port(), folder / f"{proxy.program}.conf"
    file.write_text(proxy.text.format(address=url.removeprefix("http://"), port=port), encoding="utf-8")
    arguments = [argument.format(folder=folder, file=file) for argument in proxy.arguments]
    with subprocess.Popen([proxy.program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    """Return when somebody listens at a port. Raises TimeoutError."""
    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nobody listens at port {port} after {START_SECONDS_MAX:.0f} s")
