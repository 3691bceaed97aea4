"""The tables as they are after the newest migration. Creates none; `migrations/` does, and a test holds both to be the same.

Money is in nano-dollars. Rows of `wallet_entries` and `calls` are added and never changed; what `accounts` says follows from them.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

#: The newest migration. Kept here so that Alembic is not imported to find a database current.
HEAD = "0052"

# Names for constraints, so that later migrations can refer to them on every database.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

#: Credentials. `digest` is the secret's SHA-256; times are UNIX seconds; `models` is a list of public names, NULL for all.
#: `rpm`, `tpm`, `concurrency` are limits of the key's own, NULL for its account's. `team` is the id of the team that it is in, for good.
keys = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("label", String(100), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("hint", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("models", JSON(none_as_null=True)),
    Column("account", String(64), nullable=False),
    Column("spend_cap", BigInteger),
    Column("spend_window", String(8)),
    Column("rpm", BigInteger),
    Column("tpm", BigInteger),
    Column("concurrency", BigInteger),
    Column("team", String(32)),
    Index("ix_keys_team", "team"),
)

LIVE = keys.c.state != text("'revoked'")  # as the migration has written it
Index("uq_keys_live_label", keys.c.label, unique=True, sqlite_where=LIVE, postgresql_where=LIVE)

#: Keys of one account that share a cap: the fields of `keys.rules.Team`.
teams = Table(
    "teams",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("spend_cap", BigInteger),
    Column("spend_window", String(8)),
    Index("uq_teams_account_name", "account", "name", unique=True),
)

#: Secrets that keys had before, by their SHA-256: good until a UNIX second, and known after it, so that their use can be told.
replaced_secrets = Table(
    "replaced_secrets",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("key_id", String(32), ForeignKey("keys.id"), nullable=False),
    Column("until", BigInteger, nullable=False),
)

#: Keys for the admin API. `digest` is the secret's SHA-256, `scope` is read or write; times are UNIX seconds.
admin_keys = Table(
    "admin_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("label", String(100), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("hint", String(32), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

#: What administrators changed: the fields of `keys.changes.ChangeKept`. Rows are added and never changed.
admin_changes = Table(
    "admin_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("address", String(64)),
    Column("action", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
)

#: Who pays. `balance` is what the wallet holds, NULL for unlimited: the sum of its entries less `charged`, what prepaid calls cost.
#: `spent` is what all calls cost, `calls` how many there were. `created_at` is a UNIX second. `tier` names the limits of its keys, NULL for
#: the configuration's `limits.default_tier`; `state` is active or disabled.
accounts = Table(
    "accounts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("balance", BigInteger),
    Column("charged", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("tier", String(32)),
    Column("state", String(16), nullable=False, server_default="active"),
)

#: What was put into wallets or taken out by hand. `reference` is the operator's own, such as a payment's number: booked once.
wallet_entries = Table(
    "wallet_entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account", String(64), ForeignKey("accounts.name"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("reference", String(100)),
    Column("created_at", BigInteger, nullable=False),
    Index("uq_wallet_entries_reference", "account", "reference", unique=True),
)

#: Ended calls: the fields of `ledger.row.CallRow`. `generated`, `prices` and `billed_breakdown` are JSON; `generated` is NULL where it is
#: what was billed, `billed_breakdown` in most calls.
#: What others send is Text, because no database may refuse a row for its length. PostgreSQL has a part a month.
calls = Table(
    "calls",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("key_id", String(32), nullable=False),
    Column("model", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("began_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("price_source", Text, nullable=False),
    Column("prepaid", Boolean, nullable=False),
    Column("vendor_cost", BigInteger),
    Column("target", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("queue_ms", BigInteger),
    Column("first_token_ms", BigInteger),
    Column("total_ms", BigInteger, nullable=False),
    Column("bytes_sent", BigInteger, nullable=False),
    Column("error_code", Text),
    Column("client_request_id", Text),
    Column("idempotency", Text),
    Column("address", String(64)),
    Column("answered_model", Text),
    Column("reported_cost", BigInteger),
    Column("marks", Text),
    Column("operator_cost", BigInteger),
    Column("error_message", Text),
    Column("error_detail", Text),
    Column("billed_input_tokens", BigInteger, nullable=False),
    Column("billed_output_tokens", BigInteger, nullable=False),
    Column("billed_cached_tokens", BigInteger, nullable=False),
    Column("billed_cache_write_tokens", BigInteger, nullable=False),
    Column("billed_reasoning_tokens", BigInteger, nullable=False),
    Column("billed_source", String(16), nullable=False),
    Column("billed_input_source", String(16), nullable=False),
    Column("billed_input_audio_tokens", BigInteger, nullable=False),
    Column("billed_output_audio_tokens", BigInteger, nullable=False),
    Column("billed_counted_by", Text, nullable=False, server_default=""),
    Column("billed_counted_answers", Integer, nullable=False, server_default="0"),
    Column("billed_breakdown", Text),
    Column("generated", Text),
    Column("prices", Text),
)

Index("ix_calls_key_id", calls.c.key_id, calls.c.ended_ms)
Index("ix_calls_account", calls.c.account, calls.c.ended_ms)
HAS_IDEMPOTENCY = calls.c.idempotency.is_not(None)
Index("ix_calls_idempotency", calls.c.ended_ms, sqlite_where=HAS_IDEMPOTENCY, postgresql_where=HAS_IDEMPOTENCY)

#: Calls of known keys that were refused before they were opened: the fields of `ledger.refused.RefusedCalls`. Ids go on with the time, so
#: the primary key serves whoever looks for the newest, or for what is too old; the index serves one key's, beside another's millions.
refused_calls = Table(
    "refused_calls",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("key_id", String(32), nullable=False),
    Column("model", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("client_request_id", Text),
    Column("address", String(64)),
)

Index("ix_refused_calls_key_id", refused_calls.c.key_id, refused_calls.c.id)

#: What the last complete answers of a target, `vendor/model`, came to: a JSON list of [tokens, pieces, bytes of text], and how many they
#: are. `place` grows with each time that something is learned, `server` is who has learned it where several share the database.
learned_answers = Table(
    "learned_answers",
    metadata,
    Column("target", Text, primary_key=True),
    Column("answers", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("server", String(64)),
)

#: What has changed of keys, accounts and teams, in the order in which it counts: other servers read on from the last that they know.
key_changes = Table(
    "key_changes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("key_id", String(32)),
    Column("account", String(64)),
    Column("team", String(32)),
)

#: What each server on the database may spend of a purse (`wallet NAME`, `cap KEY_ID`) without asking again: it is nobody else's meanwhile.
allotments = Table(
    "allotments",
    metadata,
    Column("purse", Text, primary_key=True),
    Column("server", String(64), primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

#: The servers on the database, by the id in their data folder. `seen_at` is the UNIX second in which one was last known to be there.
servers = Table(
    "servers",
    metadata,
    Column("server", String(64), primary_key=True),
    Column("seen_at", BigInteger, nullable=False),
)

#: Idempotency-Keys that were used on any server, by the digest of key and owner; `body` stands for the request. `claimed_at` is a UNIX
#: second, `told` says that what was answered was brought, if it is kept.
idempotency_uses = Table(
    "idempotency_uses",
    metadata,
    Column("mark", String(32), primary_key=True),
    Column("body", String(16), nullable=False),
    Column("call_id", String(32), nullable=False),
    Column("server", String(64), nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("content_type", Text),
    Column("answer", LargeBinary),
    Index("ix_idempotency_uses_claimed_at", "claimed_at"),
)

#: What keys with a cap have spent in windows of which somebody has asked, kept with each row that is written. Times are UNIX seconds.
cap_spent = Table(
    "cap_spent",
    metadata,
    Column("key_id", String(32), primary_key=True, key="whose"),  # of a key's cap its id, of a team's that
    Column("began", BigInteger, primary_key=True),
    Column("ends", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
)

#: Sums over ended calls of each hour and each day (UTC), by account, key, model and target: the fields of `ledger.port_usage.Used`.
#: `hours` is 1 or 24, `start_ms` the UNIX millisecond in which the span begins, `last_ms` that in which the last of the calls ended.
usage_sums = Table(
    "usage_sums",
    metadata,
    Column("hours", Integer, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("account", String(64), primary_key=True),
    Column("key_id", String(32), primary_key=True),
    Column("model", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in ("requests", "failed", "otherwise")),
    *(Column(name, BigInteger, nullable=False) for name in ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens")),
    *(Column(name, BigInteger, nullable=False) for name in ("cost", "charged", "broken", "first_tokens", "first_token_ms")),
    Column("last_ms", BigInteger, nullable=False),
)

Index("ix_usage_sums_key_id", usage_sums.c.key_id, usage_sums.c.hours, usage_sums.c.start_ms)
Index("ix_usage_sums_account", usage_sums.c.account, usage_sums.c.hours, usage_sums.c.start_ms)

#: What targets made in each day (UTC), by the model that answered, an empty text where no answer named one: the fields of
#: `ledger.port_admin.Made`.
made_sums = Table(
    "made_sums",
    metadata,
    Column("start_ms", BigInteger, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("answered_model", Text, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in ("requests", "input_tokens", "output_tokens")),
    *(Column(name, BigInteger, nullable=False) for name in ("vendor_cost", "reported_cost", "reported")),
)

#: One row: calls that ended before `rolled_ms` are in the sums, those that ended before `removed_ms` may be in them alone.
rolled_up = Table(
    "rolled_up",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rolled_ms", BigInteger, nullable=False),
    Column("removed_ms", BigInteger, nullable=False),
)

#: What the removed calls of each account came to: with those that are there, what `accounts` says.
removed_calls = Table(
    "removed_calls",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("charged", BigInteger, nullable=False),
)

#: Files that removed calls were written to, whole lines: how many bytes and calls each has for good.
removed_files = Table(
    "removed_files",
    metadata,
    Column("name", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("calls", BigInteger, nullable=False),
)

#: Servers on the database that write old calls to files before they remove them, and the UNIX millisecond in which each said so last: the
#: others remove none that no file has.
exporters = Table(
    "exporters",
    metadata,
    Column("server", String(64), primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
)
