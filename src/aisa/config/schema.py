"""The whole configuration as frozen types with defaults, units and limits. Reads no file and no environment.

Every field's documentation is its line in FIELDS at the end of this module; `docs/configuration.md` is generated from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Bytes = Annotated[int, Meta(ge=1024, le=1 << 32)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the configuration: immutable, unknown keys refused.

    Subclasses repeat `frozen` for the type checkers, and `kw_only`, which is not inherited.
    """


class Server(Section, frozen=True, kw_only=True):
    """The listening side."""

    host: str = "127.0.0.1"
    port: Port = 8000
    data_dir: str = "./aisa-data"
    header_bytes_max: Bytes = 65_536
    body_bytes_max: Bytes = 33_554_432
    header_timeout_seconds: Seconds = 10.0
    body_timeout_seconds: Seconds = 20.0
    keep_alive_timeout_seconds: Seconds = 75.0
    connections_max: Count = 20_000
    drain_seconds: Seconds = 30.0


class Tls(Section, frozen=True, kw_only=True):
    """Certificate and key files (PEM) for the listening side."""

    cert: str
    key: str


class Cors(Section, frozen=True, kw_only=True):
    """Which web origins may call from a browser."""

    origins: tuple[str, ...] = ("*",)


class Stream(Section, frozen=True, kw_only=True):
    """The clocks of a call that are the same for every model."""

    head_hold_seconds: Seconds = 15.0
    keep_alive_seconds: Seconds = 15.0
    client_stall_seconds: Seconds = 300.0


class Embedded(Section, frozen=True, kw_only=True):
    """The small built-in language model."""

    enabled: Literal["auto", "always", "never"] = "auto"
    tokens_per_second: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0


class Log(Section, frozen=True, kw_only=True):
    """What is written to standard error."""

    format: Literal["auto", "text", "json", "off"] = "auto"


class Vendor(Section, frozen=True, kw_only=True):
    """Where a vendor is and how to talk to it."""

    dialect: Literal["openai"] = "openai"
    base_url: str
    api_key: str | None = None
    headers: dict[str, str] = {}
    connect_timeout_seconds: Seconds = 5.0
    answer_bytes_max: Bytes = 67_108_864
    connections_max: Count = 1_000
    verify_tls: bool = True
    ca_file: str | None = None
    proxy: str | None = None


class Prices(Section, frozen=True, kw_only=True):
    """US dollars per million tokens."""

    input: Annotated[float, Meta(ge=0, le=1_000_000)]
    output: Annotated[float, Meta(ge=0, le=1_000_000)]
    cached_input: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    cache_write: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    reasoning: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None


class Target(Section, frozen=True, kw_only=True):
    """One place that can serve a model: `vendor/model` and its share of the traffic."""

    target: str
    weight: Annotated[int, Meta(ge=0, le=1_000_000)] = 1


class Model(Section, frozen=True, kw_only=True):
    """A public model name: where it is served, in what order, at what price and within what limits."""

    to: tuple[Target | str, ...]
    prices: Prices | None = None
    idle_timeout_seconds: Seconds = 60.0
    answer_timeout_seconds: Seconds | None = None  # ten times idle_timeout_seconds
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_top_logprobs: Annotated[int, Meta(ge=0)] | None = None
    context_window: Annotated[int, Meta(ge=1)] | None = None
    modalities: tuple[str, ...] = ()
    unsupported: Literal["refuse", "drop"] = "refuse"


class Config(Section, frozen=True, kw_only=True):
    """Everything an operator can set."""

    server: Server = Server()
    tls: Tls | None = None
    cors: Cors = Cors()
    stream: Stream = Stream()
    embedded: Embedded = Embedded()
    log: Log = Log()
    vendors: dict[str, Vendor] = {}
    models: dict[str, Model | tuple[Target | str, ...]] = {}


#: dotted path of a setting -> what it means, in one sentence. `<name>` stands for a key that the operator chooses, `[]` for a list's entry.
FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "server.host": "Address or host name to listen on; `0.0.0.0` or `::` for every interface.",
        "server.port": "TCP port to listen on; 0 takes any free one.",
        "server.data_dir": "Folder of all that the server keeps: keys, database, control socket. One process owns it; made if absent.",
        "server.header_bytes_max": "Largest request line plus headers; above it the answer is `431 headers_too_large`.",
        "server.body_bytes_max": "Largest request body; above it the answer is `413 request_too_large`.",
        "server.header_timeout_seconds": "How long a request's headers may take to arrive.",
        "server.body_timeout_seconds": "How long a request's body may take to arrive, on top of one second per 1,000 bytes received.",
        "server.keep_alive_timeout_seconds": "How long an idle connection is kept for a next request.",
        "server.connections_max": "Connections of clients open at the same time; further ones are answered `503 overloaded`.",
        "server.drain_seconds": "How long calls in flight may go on after SIGTERM before they are ended with an error.",
        "tls.cert": "File with the certificate and its chain (PEM).",
        "tls.key": "File with the certificate's private key (PEM, without a passphrase).",
        "cors.origins": "Web origins whose pages may call from a browser, such as `https://app.example.com`; `*` for all.",
        "stream.head_hold_seconds": "How long a stream's head waits for the vendor's first event, so early failures keep their status.",
        "stream.keep_alive_seconds": "Silence after which a stream gets a comment line that keeps proxies from closing it.",
        "stream.client_stall_seconds": "How long a client may take nothing of its stream before it is cut.",
        "embedded.enabled": "Whether the built-in model is there: as `embedded/tiny` and, while there is no vendor, under every name "
        "(`auto`); under every name that nothing else serves (`always`); or not at all (`never`).",
        "embedded.tokens_per_second": "Pace of the built-in model's streams; 0 for as fast as possible.",
        "log.format": "`text` for people, `json` for machines, `off`, or `auto`: text on a terminal, else JSON.",
        "vendors.<name>.dialect": "The API that the vendor speaks.",
        "vendors.<name>.base_url": "Where the vendor's API is, up to and without `/chat/completions`.",
        "vendors.<name>.api_key": "Credential sent to the vendor as a bearer token; best written as `${VARIABLE}`. None is sent if absent.",
        "vendors.<name>.headers": "Further request headers for the vendor, name to value.",
        "vendors.<name>.connect_timeout_seconds": "How long a connection to the vendor may take to open, TLS included.",
        "vendors.<name>.answer_bytes_max": "Largest answer that is not a stream; a larger one is a failure of the vendor.",
        "vendors.<name>.connections_max": "Connections open to the vendor at the same time.",
        "vendors.<name>.verify_tls": "Whether the vendor's certificate is checked; leave it on outside a laboratory.",
        "vendors.<name>.ca_file": "File with further certificate authorities to trust for this vendor (PEM).",
        "vendors.<name>.proxy": "HTTP proxy on the way to the vendor, `http://[user:password@]host:port`; "
        "without it `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count.",
        "models.<name>.to": "Where the model is served: each as `vendor/model`, tried in this order, or with a weight. "
        "A model with no other setting may be written as this list alone.",
        "models.<name>.to[].target": "The vendor's name and the model's name there, as `vendor/model`.",
        "models.<name>.to[].weight": "The target's share of the calls among those with weights next to it; 0 makes it their stand-by.",
        "models.<name>.prices.input": "Price of input tokens.",
        "models.<name>.prices.output": "Price of output tokens.",
        "models.<name>.prices.cached_input": "Price of input tokens that the vendor had cached; as `input` if absent.",
        "models.<name>.prices.cache_write": "Price of input tokens that the vendor writes to its cache; as `input` if absent.",
        "models.<name>.prices.reasoning": "Price of reasoning tokens; as `output` if absent.",
        "models.<name>.idle_timeout_seconds": "How long a stream may go without a token, the first one included.",
        "models.<name>.answer_timeout_seconds": "How long an answer that is not a stream may take; if absent, ten times "
        "`idle_timeout_seconds`.",
        "models.<name>.max_output_tokens": "The model's output limit; a larger `max_tokens` is `422 max_tokens_exceeded`.",
        "models.<name>.max_top_logprobs": "The most `top_logprobs` that the model can give.",
        "models.<name>.context_window": "Input and output tokens that fit the model together; shown in `GET /v1/models`.",
        "models.<name>.modalities": "What the model takes and gives, such as `text`, `image`; shown in `GET /v1/models`.",
        "models.<name>.unsupported": "What becomes of a field that the vendor's dialect cannot express: `refuse` the call, or `drop` the "
        "field and name it in the answer's `x-aisa-dropped-params` header.",
    }
)
