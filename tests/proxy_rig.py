"""Real proxies in front of a server, each as it comes and with its file in `deploy/proxies`: finds, configures and runs them. Not a test.

What is not installed is not run; nothing is installed here. A proxy is a process of its own on loopback, with its files in a folder that it
is given, and is ended when its context is.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ports import free_port

ROOT = Path(__file__).resolve().parents[1]
DEPLOYED = ROOT / "deploy" / "proxies"
START_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.05
WHEELS = ROOT / "build" / "proxies"  # where `make proxies` installs what Debian has too old or not at all
#: Where programs are: of the system, of which Debian has some that are not for everybody's path, and in wheels.
OF_SYSTEM = ("", "/usr/sbin", "/sbin")
IN_WHEELS = (str(WHEELS / "bin"), *(str(path) for path in WHEELS.glob("lib/*/site-packages/*/bin/**/") if path.name != "lib"))
AS_IT_COMES, DEPLOYED_FILE, SMALL_BUFFERS = "as it comes", "deploy/proxies", "as it comes, small buffers"
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
STUNNEL = """\
[aisa]
accept = 8443
connect = 127.0.0.1:8000
cert = cert.pem
key = key.pem
"""
CERTIFICATE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x -keyout key.pem -out cert.pem"
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
    configurations that are wrong in one way, by a name for it. `places` are folders of its program ("" for those on the path), `scheme`
    what it speaks; `called` is its name where that differs, and `sized` says that it can size its sockets.
    """

    name: str
    programs: tuple[str, ...]
    version: tuple[str, ...]
    file: str
    comes: str | None
    arranged: Callable[[Path, str], Sequence[str]]
    others: Mapping[str, str] = MappingProxyType({})
    places: tuple[str, ...] = OF_SYSTEM
    scheme: str = "http"
    called: str = ""
    sized: bool = True

    def program(self) -> str | None:
        """Return the path of its program, None if it is not here."""
        path = os.pathsep.join(place or os.environ.get("PATH", "") for place in self.places)
        return next((found for name in self.programs if (found := shutil.which(name, path=path))), None)

    def title(self) -> str:
        """Return its name and its version, as it says it."""
        told = subprocess.run([self.program() or "", *self.version], capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+(\.\d+)?", told.stdout + told.stderr)
        return f"{self.called or self.name} {found[0] if found else '?'}"

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


def stunnel_files(folder: Path, text: str) -> Sequence[str]:
    """Make a certificate, and keep stunnel in the foreground."""
    subprocess.run(CERTIFICATE.split(), cwd=folder, capture_output=True, check=True)
    (folder / "stunnel.conf").write_text(f"foreground = yes\npid =\n{text}", encoding="utf-8")
    return (str(folder / "stunnel.conf"),)


def traefik_files(folder: Path, text: str) -> Sequence[str]:
    """Write the routes, and beside them the entry point that they are reached by."""
    routes, _, port = text.partition("# port ")
    (folder / "routes.yaml").write_text(routes, encoding="utf-8")
    static = TRAEFIK_STATIC.replace("127.0.0.1:8080", port.strip()).replace("routes.yaml", str(folder / "routes.yaml"))
    (folder / "traefik.yaml").write_text(static, encoding="utf-8")
    return (f"--configFile={folder / 'traefik.yaml'}",)


NGINX_WRONG = MappingProxyType({"buffering on": NGINX_BUFFERING})
#: What stands as a comment in the file, as older ones refuse it.
NGINX_NEWER = MappingProxyType(
    {
        "deploy/proxies, proxy_socket_rcvbuf": (DEPLOYED / "nginx.conf")
        .read_text(encoding="utf-8")
        .replace("# proxy_socket_rcvbuf", "proxy_socket_rcvbuf")
    }
)
ENVOY_WRONG = MappingProxyType({"a limit of 60 s": ENVOY.replace("{cluster: aisa}", "{cluster: aisa, timeout: 60s}")})
STUNNEL_NAMES = ("stunnel4", "stunnel")
PRODUCTS = {
    product.name: product
    for product in (
        Product("nginx", ("nginx",), ("-v",), "nginx.conf", NGINX, nginx_files, NGINX_WRONG),
        Product("nginx mainline", ("nginx",), ("-v",), "nginx.conf", NGINX, nginx_files, NGINX_NEWER, places=IN_WHEELS, called="nginx"),
        Product("HAProxy", ("haproxy",), ("-v",), "haproxy.cfg", HAPROXY, haproxy_files),
        Product("HAProxy 2.8", ("haproxy",), ("-v",), "haproxy.cfg", HAPROXY, haproxy_files, places=IN_WHEELS, called="HAProxy"),
        Product("Caddy", ("caddy",), ("version",), "Caddyfile", None, caddy_files, places=IN_WHEELS, sized=False),
        Product("Caddy 2.6", ("caddy",), ("version",), "Caddyfile", None, caddy_files, called="Caddy"),  # Debian's, which must not be used
        Product("Apache", ("apache2", "httpd"), ("-v",), "apache.conf", APACHE, apache_files),
        Product("Envoy", ("envoy",), ("--version",), "envoy.yaml", ENVOY, envoy_files, ENVOY_WRONG, places=IN_WHEELS),
        Product("Traefik", ("traefik",), ("version",), "traefik.yaml", None, traefik_files, places=IN_WHEELS, sized=False),
        Product("stunnel", STUNNEL_NAMES, ("-version",), "stunnel.conf", STUNNEL, stunnel_files, scheme="https"),
    )
}


class Within(NamedTuple):
    """Where a proxy runs and is reached: `enter` is put before its command, `here` is its address, `there` that of what is behind it."""

    enter: tuple[str, ...] = ()
    here: str = "127.0.0.1"
    there: str = "127.0.0.1"


HERE = Within()


@contextmanager
def standing(product: Product, configuration: str, folder: Path, *, behind: int, within: Within = HERE) -> Iterator[str]:
    """Run a proxy in front of a port, and yield its URL. Raises RuntimeError with what it said if it does not start."""
    program, port = product.program(), free_port()
    assert program is not None, "the caller looked"
    folder.mkdir(parents=True, exist_ok=True)
    placed = configuration.replace("127.0.0.1:8080", f"{within.here}:{port}").replace("127.0.0.1:8000", f"{within.there}:{behind}")
    text = re.sub(r"\b(8080|8443)\b", str(port), placed).replace("8000", str(behind))
    arguments = product.arranged(folder, f"{text}# port {within.here}:{port}" if product.name == "Traefik" else text)
    with (folder / "said").open("wb") as said:
        variables = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        process = subprocess.Popen([*within.enter, program, *arguments], stdout=said, stderr=said, env=variables, cwd=folder)
    try:
        until = time.monotonic() + START_SECONDS_MAX
        url = f"{product.scheme}://{within.here}:{port}"
        while not passes_on(url):
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
            if process.poll() is not None or time.monotonic() > until:
                told = (folder / "said").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"{product.name} does not start: {told[-800:]}")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(START_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def passes_on(url: str) -> bool:
    """Say whether what is asked there comes through: some listen before they know their routes, and say 404 or 503."""
    scheme, _, where = url.partition("://")
    connection: HTTPConnection = HTTPConnection(where, timeout=START_SECONDS_MAX)
    if scheme == "https":
        connection = HTTPSConnection(where, timeout=START_SECONDS_MAX, context=unchecked())
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status not in (404, 502, 503)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def unchecked() -> ssl.SSLContext:
    """Return the client's side of TLS that takes any certificate: here it is made on the spot."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
