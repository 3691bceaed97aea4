"""What to change, by product, for each kind of damage that a proxy does. What was measured is in docs/proxies.md; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Remedies = Mapping[str, str]

SERVER = ""  # whoever writes the server
NGINX, HAPROXY, CADDY, APACHE, ENVOY, TRAEFIK = "nginx", "HAProxy", "Caddy", "Apache", "Envoy", "Traefik"
LIGHTTPD, STUNNEL, SQUID = "lighttpd", "stunnel", "Squid"
#: What stands in `server` or `via` -> the product. HAProxy says nothing of itself.
SIGNS = {
    "nginx": NGINX,
    "openresty": NGINX,
    "envoy": ENVOY,
    "caddy": CADDY,
    "apache": APACHE,
    "haproxy": HAPROXY,
    "traefik": TRAEFIK,
    "lighttpd": LIGHTTPD,
    "squid": SQUID,
}


def product_of(server: str) -> str | None:
    """Return the proxy that a `server` or `via` header names, None if it names none that is known."""
    return next((product for sign, product in SIGNS.items() if sign in server.lower()), None)


def _of(**settings: str) -> Remedies:
    names = {"haproxy": HAPROXY, "caddy": CADDY, "apache": APACHE, "envoy": ENVOY, "traefik": TRAEFIK, "stunnel": STUNNEL}
    names |= {"nginx": NGINX, "lighttpd": LIGHTTPD, "squid": SQUID, "server": SERVER}
    return MappingProxyType({names[name]: text for name, text in settings.items()})


#: Whoever breaks the protocol itself: no setting of a proxy does that.
PROTOCOL = _of(server="the server's own stream: no proxy's setting does this")

BATCHES = _of(
    nginx="in `location`: `proxy_buffering off;` and `gzip off;` (and no `proxy_ignore_headers X-Accel-Buffering`)",
    haproxy="in `defaults`: `option http-no-delay`, without which each event is up to 200 ms late",
    apache="`ProxyPass ... flushpackets=on`, no `mod_deflate` for text/event-stream",
    lighttpd="`server.stream-response-body = 2`",
    caddy="`flush_interval -1` in `reverse_proxy`, no `encode` for text/event-stream",
    envoy="no `compressor` and no `buffer` filter on this route",
    traefik="no `compress` and no `buffering` middleware on this router",
    server="send each event when it is there; pass the vendor's events on as they come",
)
SILENCE = _of(
    nginx="in `location`: `proxy_read_timeout 660s;` and `proxy_send_timeout 330s;` (60 s by default)",
    haproxy="in `defaults`: `timeout server 660s` and `timeout client 330s` (50 s in most examples)",
    apache="`ProxyPass ... timeout=660` and `ProxyTimeout 660` (60 s by default)",
    envoy="on the route: `timeout: 0s`, which counts from the request on, flowing or not (15 s by default), and `idle_timeout: 330s`",
    caddy="no `response_header_timeout` and no `read_timeout` in `transport http`",
    traefik="no `responseHeaderTimeout` in serversTransport.forwardingTimeouts; `respondingTimeouts.idleTimeout` above 330 s",
    server="let a model think: 600 s for a document, 60 s between tokens, with comments every 15 s",
)
TOTAL = _of(
    envoy="on the route: `timeout: 0s`, which counts from the request on, flowing or not (15 s by default), and `idle_timeout: 330s`",
    nginx="no `proxy_read_timeout` below 60 s; a limit of the load balancer in front",
    haproxy="no `timeout http-request` that counts for answers; no `timeout tunnel` in between",
    traefik="`respondingTimeouts.writeTimeout: 0`",
    caddy="no `write_timeout` in `servers { timeouts }`, no `stream_timeout` in `reverse_proxy`",
    apache="`Timeout 330` at least",
    server="no bound on how long a stream may flow",
)
LEAVING = _of(
    nginx='in `location`: `proxy_http_version 1.1;`, `proxy_set_header Connection "";`, `proxy_buffering off;`, '
    "no `proxy_ignore_client_abort on`",
    haproxy="in `defaults`: `option abortonclose`, without which a client that leaves is noticed 12 to 27 s later",
    apache="nothing of its own: it notices when it next writes; `stream.keep_alive_seconds: 5` at the server makes 27 s 10 s",
    lighttpd="nothing: it notices when it next writes",
    server="stop the vendor's request when the client's connection ends",
)
BORNE = "nothing: it takes a FIN for leaving, and few clients half-close; `--except half-close` leaves the check out"
HALF_CLOSE = _of(
    haproxy="no `option abortonclose`, which noticing that a client leaves needs: choose, and leave the other check out (`--except`)",
    server="a FIN says that nothing more is sent, not that the answer is unwanted",
    nginx=BORNE,
    caddy=BORNE,
    envoy=BORNE,
    traefik=BORNE,
    stunnel=BORNE,
)
SWALLOWS = _of(
    nginx="`listen ... sndbuf=16k;`, `proxy_buffering off;`, `proxy_buffer_size 4k;`, `ssl_buffer_size 4k;`, `http2_chunk_size 2k;`; and "
    "`proxy_socket_rcvbuf 16k;` (1.31), before which no `keepalive` to the server, whose connections keep grown buffers",
    haproxy="in `global`: `tune.sndbuf.client 65536` and `tune.rcvbuf.server 16384`",
    apache="`SendBufferSize 16384` and `ProxyReceiveBufferSize 16384`",
    envoy="`per_connection_buffer_limit_bytes: 16384` on listener and cluster, SO_SNDBUF and SO_RCVBUF 16384 as socket options",
    stunnel="`socket = l:SO_SNDBUF=16384` and `socket = r:SO_RCVBUF=16384`",
    caddy="small buffers for its network namespace: `net.ipv4.tcp_rmem` and `net.ipv4.tcp_wmem` `4096 16384 16384`",
    traefik="small buffers for its network namespace, as for Caddy",
    server="read from the vendor only what the client takes; TCP_NOTSENT_LOWAT and a small SO_SNDBUF",
)
BODY = _of(
    nginx="in `server`: `client_max_body_size 32m;` (1m by default)",
    apache="`LimitRequestBody` of 33554432 or 0",
    envoy="no `buffer` filter below 32 MiB",
    traefik="no `buffering.maxRequestBodyBytes` below 32 MiB",
    haproxy="no `req.body_size` rule below 32 MiB",
    caddy="no `request_body { max_size }` below 32 MiB",
    server="take bodies of 32 MiB: pictures and long conversations are that large",
)
HEADERS = _of(
    nginx="no `proxy_set_header Authorization`; `underscores_in_headers` does not matter",
    apache="no `RequestHeader unset Authorization`; with CGI `CGIPassAuth On`",
    squid="`login=PASSTHRU` on the peer, else no Authorization arrives",
    server="pass on what the client sent, and what the server answered",
)
PAGES = _of(
    nginx="no `proxy_intercept_errors on`; its own 413, 502 and 504 are pages: raise its limits",
    haproxy="no `errorfile` or `http-error` for statuses that the server answers",
    apache="`ProxyErrorOverride Off`",
    caddy="no `handle_errors` or `handle_response` for statuses that the server answers",
    traefik="no `errors` middleware on this router",
    server="an error of every status is JSON with an `error` member",
)
BROKEN_ENDS = _of(
    caddy="2.11 or newer: Debian 12's 2.6.2 ends a broken stream as if it were complete",
    lighttpd="`server.stream-response-body = 2`",
    server="a stream that broke never ends with a finish reason or `[DONE]`",
)
REPEATS = _of(
    nginx="no `proxy_next_upstream ... non_idempotent`",
    envoy="no `retry_on: 5xx` or `reset` without `num_retries: 0` for this route",
    haproxy="no `retry-on all-retryable-errors`; `option redispatch` does no harm",
    traefik="no `retry` middleware on this router",
    server="a POST whose answer broke may have been paid for: ask once, or tell the client",
)
