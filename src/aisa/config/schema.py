"""The whole configuration as frozen types with defaults, units and limits. Reads no file and no environment.

Every field's documentation is its line in FIELDS at the end of this module; `docs/configuration.md` is generated from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aisa.config.admin_settings import ADMIN_IN_WORDS, AdminSettings, MetricsSettings
from aisa.config.identity import IDENTITY_IN_WORDS, IdentitySettings
from aisa.config.ledger_settings import LEDGER_IN_WORDS, Ledger
from aisa.config.limits import LIMITS_IN_WORDS, Limits
from aisa.config.model_words import MODELS_IN_WORDS
from aisa.config.name_words import NAMES_IN_WORDS
from aisa.config.price_words import PRICE_FIELDS
from aisa.config.responses import RESPONSES_IN_WORDS, ResponsesSettings
from aisa.config.route import ROUTE_IN_WORDS, Route, Shown
from aisa.config.section import Bytes, Count, Dollars, Factor, Fee, Limit, Port, Seconds, Section
from aisa.config.server_words import SERVER_IN_WORDS
from aisa.config.stores import STORES_IN_WORDS, StoreSettings
from aisa.config.telemetry import TELEMETRY_IN_WORDS, TelemetrySettings
from aisa.config.vendor_words import VENDORS_IN_WORDS


class Server(Section, frozen=True, kw_only=True):
    """The listening side."""

    host: str = "127.0.0.1"
    port: Port = 8000
    data_dir: str = "./aisa-data"
    header_bytes_max: Bytes = 65_536
    body_bytes_max: Bytes = 33_554_432
    unfinished_bodies_bytes_max: Bytes = 268_435_456
    header_timeout_seconds: Seconds = 10.0
    body_timeout_seconds: Seconds = 20.0
    keep_alive_timeout_seconds: Seconds = 75.0
    connections_max: Count = 20_000
    workers: Annotated[int, Meta(ge=1, le=16)] = 1
    drain_seconds: Seconds = 30.0
    drain_grace_seconds: Annotated[float, Meta(ge=0, le=3_600)] = 0.0
    trusted_proxies: tuple[str, ...] = ()
    proxy_protocol: Literal["off", "accept", "require"] = "off"


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
    large_events_bytes_max: Bytes = 134_217_728


class Embedded(Section, frozen=True, kw_only=True):
    """The small built-in language model."""

    enabled: Literal["auto", "always", "never"] = "auto"
    tokens_per_second: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0


class Log(Section, frozen=True, kw_only=True):
    """What is written to standard error."""

    format: Literal["auto", "text", "json", "off"] = "auto"
    level: Literal["info", "warning", "error"] = "info"
    client_address: Literal["whole", "network", "none"] = "network"


class PriceTier(Section, frozen=True, kw_only=True):
    """What all tokens of a call cost whose input is above a threshold, in US dollars per million tokens."""

    over_input_tokens: Annotated[int, Meta(ge=1)]
    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None
    cache_write: Dollars | None = None
    reasoning: Dollars | None = None
    input_audio: Dollars | None = None
    output_audio: Dollars | None = None
    cached_input_audio: Dollars | None = None
    cache_write_30m: Dollars | None = None
    cache_write_1h: Dollars | None = None
    cache_write_12h: Dollars | None = None
    input_image: Dollars | None = None
    output_image: Dollars | None = None


class VendorTier(Section, frozen=True, kw_only=True):
    """What a service tier of the vendor costs, where it differs: US dollars per million tokens, by kind of token."""

    factor: Factor = 1.0
    input: Dollars | None = None
    output: Dollars | None = None
    cached_input: Dollars | None = None
    cache_write: Dollars | None = None
    reasoning: Dollars | None = None
    input_audio: Dollars | None = None
    output_audio: Dollars | None = None
    cached_input_audio: Dollars | None = None
    cache_write_30m: Dollars | None = None
    cache_write_1h: Dollars | None = None
    cache_write_12h: Dollars | None = None
    input_image: Dollars | None = None
    output_image: Dollars | None = None
    per_request: Fee | None = None
    per_search: Fee | None = None
    per_source: Fee | None = None
    per_file_search: Fee | None = None
    per_code_run: Fee | None = None
    tiers: tuple[PriceTier, ...] = ()


class PriceHours(Section, frozen=True, kw_only=True):
    """What tokens cost at certain hours or days of the week, where it differs: US dollars per million tokens, by kind of token."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    from_: Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")] = msgspec.field(name="from", default="00:00")
    to: Annotated[str, Meta(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")] = "24:00"
    factor: Factor = 1.0
    input: Dollars | None = None
    output: Dollars | None = None
    cached_input: Dollars | None = None
    cache_write: Dollars | None = None
    reasoning: Dollars | None = None
    input_audio: Dollars | None = None
    output_audio: Dollars | None = None
    cached_input_audio: Dollars | None = None
    cache_write_30m: Dollars | None = None
    cache_write_1h: Dollars | None = None
    cache_write_12h: Dollars | None = None
    input_image: Dollars | None = None
    output_image: Dollars | None = None
    per_request: Fee | None = None
    per_search: Fee | None = None
    per_source: Fee | None = None
    per_file_search: Fee | None = None
    per_code_run: Fee | None = None


class Prices(Section, frozen=True, kw_only=True):
    """US dollars per million tokens, by kind of token."""

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None
    cache_write: Dollars | None = None
    reasoning: Dollars | None = None
    input_audio: Dollars | None = None
    output_audio: Dollars | None = None
    cached_input_audio: Dollars | None = None
    cache_write_30m: Dollars | None = None
    cache_write_1h: Dollars | None = None
    cache_write_12h: Dollars | None = None
    input_image: Dollars | None = None
    output_image: Dollars | None = None
    per_request: Fee | None = None
    per_search: Fee | None = None
    per_source: Fee | None = None
    per_file_search: Fee | None = None
    per_code_run: Fee | None = None
    tiers: tuple[PriceTier, ...] = ()
    factor: Factor = 1.0
    service_tiers: dict[str, VendorTier] = {}
    hours: tuple[PriceHours, ...] = ()
    time_zone: str = "UTC"
    from_: date | None = msgspec.field(name="from", default=None)


class AzureApp(Section, frozen=True, kw_only=True):
    """An application that is registered with Entra ID, and may use Azure OpenAI."""

    tenant_id: str
    client_id: str
    client_secret: str = ""
    client_secret_file: str | None = None


class Discovery(Section, frozen=True, kw_only=True):
    """Where vendors are looked for that have no entry under `vendors`."""

    environment: bool = True
    loopback: Literal["auto", "always", "never"] = "auto"


class Vendor(Section, frozen=True, kw_only=True):
    """Where a vendor is and how to talk to it."""

    preset: str | None = None
    dialect: Literal["anthropic", "bedrock", "cohere", "gemini", "mistral", "openai", "responses"] = "openai"
    base_url: str = ""
    api_key: str | None = None
    api_key_file: str | None = None
    api_keys: tuple[str, ...] = ()
    api_key_files: tuple[str, ...] = ()
    google_credentials: tuple[str, ...] = ()
    azure_credentials: tuple[AzureApp, ...] = ()
    aws_credentials: tuple[str, ...] = ()
    api_key_as: str | None = None
    on_disconnect: Literal["cancel", "drain"] = "cancel"
    deltas: Literal["token", "text"] = "token"
    tokenizer: str | None = None
    running_usage: bool | None = None
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    idle_timeout_seconds: Seconds = 60.0
    omit: tuple[Literal["stream_options"], ...] = ()
    assemble: bool = False
    completions: bool | None = None
    cut_stop_sequences: bool = False
    fetch_pictures: bool = False
    connect_timeout_seconds: Seconds = 5.0
    answer_bytes_max: Bytes = 67_108_864
    receive_buffer_bytes: Annotated[int, Meta(ge=4096, le=1 << 26)] = 16_384
    connections_max: Count = 1_000
    verify_tls: bool = True
    ca_file: str | None = None
    proxy: str | None = None
    allow_unpriced: bool | None = None
    prices: dict[str, Prices | tuple[Prices, ...]] = {}
    price_as: dict[str, str] = {}
    price_by: Literal["answer", "asked"] = "answer"
    price_factor: Factor | None = None
    list_models: bool = True


class Target(Section, frozen=True, kw_only=True):
    """One place that can serve a model: `vendor/model` and its share of the traffic."""

    target: str
    weight: Annotated[int, Meta(ge=0, le=1_000_000)] = 1
    context_window: Annotated[int, Meta(ge=1)] | None = None
    takes: tuple[Shown, ...] | None = None
    price_as: str | None = None


class Model(Section, frozen=True, kw_only=True):
    """A public model name: where it is served, in what order, at what price and within what limits."""

    to: tuple[Target | str, ...]
    prices: Prices | tuple[Prices, ...] | None = None
    price_by: Literal["answer", "asked"] | None = None
    idle_timeout_seconds: Seconds = 60.0
    answer_timeout_seconds: Seconds | None = None  # ten times idle_timeout_seconds
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    hold_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_top_logprobs: Limit | None = None
    max_n: Annotated[int, Meta(ge=1)] | None = None
    max_stop_sequences: Limit | None = None
    max_tools: Limit | None = None
    max_temperature: Annotated[float, Meta(ge=0)] | None = None
    max_penalty: Annotated[float, Meta(ge=0)] | None = None
    reasoning_efforts: tuple[str, ...] | None = None
    allowed_tiers: tuple[str, ...] | None = None
    context_window: Annotated[int, Meta(ge=1)] | None = None
    tokenizer: str | None = None
    modalities: tuple[str, ...] = ()
    unsupported: Literal["refuse", "drop", "refuse_values"] = "refuse"
    unsupported_parameters: tuple[str, ...] = ()
    shutdown_date: date | None = None
    aliases: tuple[str, ...] = ()
    name_in_answers: Literal["own", "vendor"] | None = None
    documents: Literal["plain", "padded"] = "plain"
    route: Route | None = None


class Config(Section, frozen=True, kw_only=True):
    """Everything an operator can set."""

    server: Server = Server()
    tls: Tls | None = None
    cors: Cors = Cors()
    stream: Stream = Stream()
    embedded: Embedded = Embedded()
    log: Log = Log()
    ledger: Ledger = Ledger()
    limits: Limits = Limits()
    admin: AdminSettings = AdminSettings()
    metrics: MetricsSettings = MetricsSettings()
    stores: StoreSettings = StoreSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    identity: IdentitySettings | None = None
    responses: ResponsesSettings = ResponsesSettings()
    console: bool = True
    price_catalogues: tuple[str, ...] = ()
    discovery: Discovery = Discovery()
    vendors: dict[str, Vendor] = {}
    models: dict[str, Model | tuple[Target | str, ...]] = {}
    retries: Literal["new", "replay"] = "new"
    models_only: bool = False
    models_prefer: tuple[str, ...] = ()


#: dotted path of a setting -> what it means, in one sentence. `<name>` stands for a key that the operator chooses, `[]` for a list's entry.
FIELDS: Mapping[str, str] = MappingProxyType(
    {
        **SERVER_IN_WORDS,
        "stream.large_events_bytes_max": "What all answers together may hold of documents and events above 64 KiB, counted as the vendors "
        "sent them; beyond it all vendors but one that are in such an answer are not read, and after 30 s they end with `overloaded`.",
        "embedded.enabled": "Whether the built-in model is there: as `embedded/tiny` and, while there is no vendor, under every name "
        "(`auto`); under every name that nothing else serves (`always`); or not at all (`never`).",
        "embedded.tokens_per_second": "Pace of the built-in model's streams; 0 for as fast as possible.",
        "log.format": "`text` for people, `json` for machines, `off`, or `auto`: text on a terminal, else JSON.",
        "log.level": "The least that is written: everything (`info`), what should be looked at (`warning`) or be acted on (`error`).",
        "log.client_address": "What of clients' addresses stands in the log and in the rows of calls: the `whole` address, its `network` "
        "(/24 of IPv4, /48 of IPv6), or `none`.",
        **LEDGER_IN_WORDS,
        **LIMITS_IN_WORDS,
        **ADMIN_IN_WORDS,
        **STORES_IN_WORDS,
        **TELEMETRY_IN_WORDS,
        **IDENTITY_IN_WORDS,
        **NAMES_IN_WORDS,
        **RESPONSES_IN_WORDS,
        **VENDORS_IN_WORDS,
        "models.<name>.to": "Where the model is served: each as `vendor/model`, tried in this order, or with a weight. "
        "A model with no other setting may be written as this list alone.",
        "models.<name>.to[].target": "The vendor's name and the model's name there, as `vendor/model`.",
        "models.<name>.to[].weight": "The target's share of the calls among those with weights next to it; 0 makes it their stand-by.",
        "models.<name>.to[].context_window": "Input and output tokens that fit this target together, where targets differ; if absent, what "
        "the price catalogue lists. A prompt that is too long for one target is sent only to those whose window is known to hold it.",
        "models.<name>.to[].takes": "What requests to this target may show besides text: any of `image`, `audio`, `file`, `video`, "
        "`tools`; if absent, everything. It goes only to those that take what it shows; if none does it is `422 unsupported_parameter`.",
        "models.<name>.to[].price_as": "The name, as `vendor/model`, under which the price catalogue has this target; before the vendor's "
        "`price_as`.",
        **PRICE_FIELDS,
        **MODELS_IN_WORDS,
        **ROUTE_IN_WORDS,
        "models.<name>.idle_timeout_seconds": "How long a stream may go without a token, the first one included.",
        "models.<name>.answer_timeout_seconds": "How long an answer that is not a stream may take; if absent, ten times "
        "`idle_timeout_seconds`.",
        "models.<name>.max_output_tokens": "The model's output limit; a larger `max_tokens` is `422 max_tokens_exceeded`.",
        "models.<name>.hold_output_tokens": "Output tokens, hidden reasoning included, that are held for against wallet and cap before a "
        "call; if absent, what all but one in twenty of the model's last calls made. Until 20 are known: a stream's first 256 tokens, or "
        "its bound if that is one of hidden reasoning too (all but `max_tokens` of chats and completions); a document's bound, else 4,096. "
        "Never more than the request and `max_output_tokens` allow.",
        "models.<name>.max_top_logprobs": "The most `top_logprobs` that the model can give; more is `422 unsupported_parameter`, as beyond "
        "each of the limits that follow. What no limit is set for, its vendor judges.",
        "models.<name>.max_n": "The most choices, `n`, that the model makes of one request.",
        "models.<name>.max_stop_sequences": "The most sequences that `stop` may list, such as 4 at OpenAI, 5 at Gemini, 16 at DeepSeek.",
        "models.<name>.max_tools": "The most entries that `tools` or `functions` may have.",
        "models.<name>.max_temperature": "The highest `temperature`, such as 2 at OpenAI, 1 at Anthropic; the lowest is 0.",
        "models.<name>.max_penalty": "The largest `frequency_penalty` and `presence_penalty`, up and down from 0.",
        "models.<name>.reasoning_efforts": "The words that the model takes for `reasoning_effort`.",
        "models.<name>.allowed_tiers": "The service tiers that callers may ask for, besides the usual one; none: `[]`. If absent, all that "
        "have a price.",
    }
)

#: Where a section can stand as well -> where it is documented.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "models.<name>[]": "models.<name>.to[]",  # a model may be written as the list of its targets alone
        "models.<name>.prices[]": "models.<name>.prices",
        "vendors.<name>.prices.<name>": "models.<name>.prices",
        "models.<name>.prices.service_tiers.<name>.tiers[]": "models.<name>.prices.tiers[]",
    }
)
