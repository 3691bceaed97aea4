"""What the settings of the listening side mean, for the schema, which documents itself. Sets nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SERVER_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "retries": "What becomes of a document that was whole, did not reach its client, and is asked for again within a minute, by "
        "the same key with the same body and `x-stainless-retry-count` of 1 or more: `new`, a call of its own at the vendor, or `replay`, "
        "what was kept, at the price of one call. Streams are new calls always.",
        "server.host": "Address or host name to listen on; `0.0.0.0` or `::` for every interface.",
        "server.port": "TCP port to listen on; 0 takes any free one.",
        "server.data_dir": "Folder of all that the server keeps: keys, database, control socket. One process owns it; made if absent.",
        "server.header_bytes_max": "Largest request line plus headers; above it the answer is `431 headers_too_large`.",
        "server.body_bytes_max": "Largest request body; above it the answer is `413 request_too_large`.",
        "server.header_timeout_seconds": "How long a request's headers may take to arrive.",
        "server.unfinished_bodies_bytes_max": "What all request bodies together that have begun to arrive may hold in memory, and again "
        "what compressed ones unpack to beyond 1 MiB each while their calls run; beyond it the answer is `503 overloaded`. At least "
        "`body_bytes_max`, or the largest never fit.",
        "server.body_timeout_seconds": "In any span of so many seconds while a request's body arrives, at least 1,000 bytes for each of "
        "them must come, or all that is left of it; else the answer is `408 request_timeout`.",
        "server.keep_alive_timeout_seconds": "How long an idle connection is kept for a next request.",
        "server.connections_max": "Connections of clients open at the same time; further ones are answered `503 overloaded`.",
        "server.workers": "Processes that serve calls; with more than one, another process accepts connections and writes the database "
        "(`docs/workers.md`). What bounds memory or connections to vendors holds for each.",
        "server.drain_seconds": "How long calls in flight may go on after SIGTERM before they are ended with an error.",
        "server.drain_grace_seconds": "How long new connections are still accepted after SIGTERM, while `/health/ready` says 503 and every "
        "answer closes its connection: longer than a load balancer takes to notice. Ctrl-C does not wait.",
        "server.trusted_proxies": "Networks of the proxies in front, such as `10.0.0.0/8`: they alone are believed when they name the "
        "client, in `X-Forwarded-For` or by the PROXY protocol.",
        "server.proxy_protocol": "Whether connections begin with a head of the PROXY protocol (version 1 or 2) that names the client: not "
        "(`off`), those from `trusted_proxies` may (`accept`), or all must (`require`).",
        "tls.cert": "File with the certificate and its chain (PEM).",
        "tls.key": "File with the certificate's private key (PEM, without a passphrase).",
        "cors.origins": "Web origins whose pages may call from a browser, such as `https://app.example.com`; `*` for all.",
        "stream.head_hold_seconds": "How long a stream's head waits for the vendor's first event, so early failures keep their status.",
        "stream.keep_alive_seconds": "Silence after which a stream gets a comment line that keeps proxies from closing it.",
        "stream.client_stall_seconds": "How long a client may take nothing of its stream before it is cut.",
    }
)
