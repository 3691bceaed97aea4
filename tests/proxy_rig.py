"""Real proxies in front of a server, each as it comes and with its file in `deploy/proxies`: finds, configures and runs them. Not a test.

What is not installed is not run; nothing is installed here. A proxy is a process of its own on loopback, with its files in a folder that it
is given, and is ended when its context is.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DEPLOYED = ROOT / "deploy" / "proxies"
START_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.05
#: Where Debian has programs that are not for everybody's path, and where `make proxies` installs what Debian has too old or not at all.
PLACES = ("/usr/sbin", "/sbin", str(ROOT / "build" / "proxies" / "bin"))
AS_IT_COMES, DEPLOYED_FILE = "as it comes", "deploy/proxies"
APACHE_MODULES = "/usr/lib/apache2/modules"

NGINX = """\
server {
    listen 127.0.0.1:8080;
    location / { proxy_pass http://127.0.0.1:8000; }
}
"""
NGINX_BUFFERING = NGINX.replace("proxy_pass", "proxy_ignore_headers X-Accel-Buffering; proxy_buffering on; proxy_pass")
HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend llm
    bind 127.0.0.1:8080
    default_backend aisa
backend aisa
    server a 127.0.0.1:8000
"""
APACHE = "Listen 127.0.0.1:8080\nProxyPass / http://127.0.0.1:8000/\n"
ENVOY = """\
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 8080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: llm
          route_config: {virtual_hosts: [{name: llm, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: aisa}}]}]}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: aisa
    connect_timeout: 5s
    load_assignment:
      cluster_name: aisa
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8000}}}}]}]
"""
TRAEFIK_STATIC = """\
entryPoints:
  llm:
    address: 127.0.0.1:8080
    transport: {respondingTimeouts: {readTimeout: 0s, writeTimeout: 0s, idleTimeout: 330s}}
providers: {file: {filename: routes.yaml}}
log: {level: ERROR}
"""


class Product(NamedTuple):
    """A proxy. `programs` are names that it may have, `comes` its configuration as it comes (None: its file), `arranged` writes its files.

    `arranged` takes a folder and a configuration with the ports in it, and returns the arguments behind the program's name. `others` are
    configurations that are wrong in one way, by a name for it.
    """

    name: str
    programs: tuple[str, ...]
    version: tuple[str, ...]
    file: str
    comes: str | None
    arranged: Callable[[Path, str], Sequence[str]]
    others: Mapping[str, str] = MappingProxyType({})

    def program(self) -> str | None:
        """Return the path of its program, None if it is not here."""
        path = os.pathsep.join((PLACES[-1], os.environ.get("PATH", ""), *PLACES[:2]))
        return next((found for name in self.programs if (found := shutil.which(name, path=path))), None)

    def version_of(self) -> str:
        """Return its version, as it says it."""
        told = subprocess.run([self.program() or "", *self.version], capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+(\.\d+)?", told.stdout + told.stderr)
        return found[0] if found else "?"

    def configurations(self) -> dict[str, str]:
        """Return its configurations by name."""
        deployed = (DEPLOYED / self.file).read_text(encoding="utf-8")
        return {**({} if self.comes is None else {AS_IT_COMES: self.comes}), DEPLOYED_FILE: deployed, **self.others}


def nginx_files(folder: Path, text: str) -> Sequence[str]:
    """Wrap a server into a whole configuration."""
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    head = f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{head}http {{\naccess_log off;\n{temporary}{text}}}\n", encoding="utf-8")
    return ("-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"))


def haproxy_files(folder: Path, text: str) -> Sequence[str]:
    """Write the file as it is."""
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    return ("-q", "-db", "-f", str(folder / "haproxy.cfg"))


def caddy_files(folder: Path, text: str) -> Sequence[str]:
    """Write the file as it is."""
    (folder / "Caddyfile").write_text(text, encoding="utf-8")
    return ("run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile")


def apache_files(folder: Path, text: str) -> Sequence[str]:
    """Load the modules that a proxy needs."""
    modules = "".join(
        f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n" for name in ("mpm_event", "authz_core", "proxy", "proxy_http")
    )
    head = f"ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\nErrorLog {folder}/error.log\nDefaultRuntimeDir {folder}\n"
    (folder / "apache.conf").write_text(head + modules + text, encoding="utf-8")
    return ("-X", "-f", str(folder / "apache.conf"))


def envoy_files(folder: Path, text: str) -> Sequence[str]:
    """Write the file as it is."""
    (folder / "envoy.yaml").write_text(text, encoding="utf-8")
    return ("-c", str(folder / "envoy.yaml"), "--log-level", "error", "--concurrency", "1", "--use-dynamic-base-id")


def traefik_files(folder: Path, text: str) -> Sequence[str]:
    """Write the routes, and beside them the entry point that they are reached by."""
    routes, _, port = text.partition("# port ")
    (folder / "routes.yaml").write_text(routes, encoding="utf-8")
    static = TRAEFIK_STATIC.replace("8080", port.strip()).replace("routes.yaml", str(folder / "routes.yaml"))
    (folder / "traefik.yaml").write_text(static, encoding="utf-8")
    return (f"--configFile={folder / 'traefik.yaml'}",)


PRODUCTS = {
    product.name: product
    for product in (
        Product("nginx", ("nginx",), ("-v",), "nginx.conf", NGINX, nginx_files, {"buffering on": NGINX_BUFFERING}),
        Product("HAProxy", ("haproxy",), ("-v",), "haproxy.cfg", HAPROXY, haproxy_files),
        Product("Caddy", ("caddy",), ("version",), "Caddyfile", None, caddy_files),
        Product("Apache", ("apache2", "httpd"), ("-v",), "apache.conf", APACHE, apache_files),
        Product(
            "Envoy",
            ("envoy",),
            ("--version",),
            "envoy.yaml",
            ENVOY,
            envoy_files,
            {"a limit of 60 s": ENVOY.replace("{cluster: aisa}", "{cluster: aisa, timeout: 60s}")},
        ),
        Product("Traefik", ("traefik",), ("version",), "traefik.yaml", None, traefik_files),
    )
}


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        return int(made.getsockname()[1])


@contextmanager
def standing(product: Product, configuration: str, folder: Path, *, behind: int) -> Iterator[str]:
    """Run a proxy in front of a port, and yield its URL. Raises RuntimeError with what it said if it does not start."""
    program, port = product.program(), free_port()
    assert program is not None, "the caller looked"
    folder.mkdir(parents=True, exist_ok=True)
    text = configuration.replace("8080", str(port)).replace("8000", str(behind))
    arguments = product.arranged(folder, f"{text}# port {port}" if product.name == "Traefik" else text)
    with (folder / "said").open("wb") as said:
        variables = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        process = subprocess.Popen([program, *arguments], stdout=said, stderr=said, env=variables, cwd=folder)
    try:
        until = time.monotonic() + START_SECONDS_MAX
        while not passes_on(port):
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
            if process.poll() is not None or time.monotonic() > until:
                told = (folder / "said").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"{product.name} does not start: {told[-800:]}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(START_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def passes_on(port: int) -> bool:
    """Say whether what is asked there comes through: some listen before they know their routes, and say 404 or 503."""
    connection = HTTPConnection("127.0.0.1", port, timeout=START_SECONDS_MAX)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status not in (404, 502, 503)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
