"""A vendor of the configuration as a place to ask: what each request to it carries, and what must not be shown of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.config.schema import Config, Model, Vendor
from aisa.config.schema import Target as TargetSetting
from aisa.credentials.rules import keys_of
from aisa.prices.rules import is_local
from aisa.providers.facts_of import facts_of
from aisa.providers.shape import Target
from aisa.vendors.table import row_of


def vendor_target(name: str, config: Config) -> Target:
    """Return a vendor as a target without a model: its dialect, its headers, and what must not be shown of it."""
    vendor = config.vendors[name]
    headers = tuple((header.lower(), value) for header, value in vendor.headers.items())
    host = vendor.base_url.partition("://")[2].partition("/")[0]
    keys = [*keys_of(vendor), *[app.client_secret for app in vendor.azure_credentials]]
    secrets = [*keys, vendor.base_url, host, host.partition(":")[0], *vendor.headers.values(), *vendor.query.values()]
    hidden = tuple(secret for secret in secrets if len(secret) >= SECRET_CHARACTERS_MIN)
    return Target(
        name,
        "",
        vendor.dialect,
        headers,
        answer_bytes_max=vendor.answer_bytes_max,
        host=host.lower(),
        omit=vendor.omit,
        assemble=vendor.assemble,
        cut_stop=vendor.cut_stop_sequences,
        secrets=hidden,
        fetches=vendor.fetch_pictures,
        running_usage=asks_for_running_usage(name, vendor),
        completions=goes_on_from_texts(name, vendor),
        file_addresses=(row := row_of(name, vendor.base_url, vendor.preset)) is not None and row.file_addresses,
        deployments=has_deployments(vendor),
    )


def has_deployments(vendor: Vendor) -> bool:
    """Tell whether a vendor's paths name its deployments, as Azure's do under a dated `api-version`; those of v1 are OpenAI's."""
    return "api-version" in vendor.query and vendor.base_url.rstrip("/").endswith("/openai")


def settled(target: Target, setting: TargetSetting, model: Model, *, config: Config, alias: str, listed: int | None) -> Target:
    """Return a target with what the entry of its model says, and what is known of the model: decided here, once, and not in each call.

    `alias` is as in `Offer`; `listed` the context window that a price list has for it.
    """
    vendor = config.vendors.get(target.vendor)
    row = None if vendor is None else row_of(target.vendor, vendor.base_url, vendor.preset)
    facts = facts_of(row, target.dialect, target.model, alias=alias, settings=model)
    window = setting.context_window or model.context_window or listed or (facts.row.context_window if facts.row else None)
    return msgspec.structs.replace(
        target, context_window=window, output_tokens_max=model.max_output_tokens, unsupported=model.unsupported, facts=facts
    )


def takes_of(setting: TargetSetting, target: Target, *, alone: bool) -> frozenset[str] | None:
    """Return what a request to a target may show besides text: as its setting says, else as the catalogue does; None where nobody knows.

    Of a target that stands `alone` the catalogue is not asked: there is no other to prefer, and its vendor judges.
    """
    if setting.takes is not None:
        return frozenset(setting.takes)
    row = target.facts.row if target.facts is not None and not alone else None
    return None if row is None else frozenset((*row.takes, "tools"))


def bounded_by_facts(model: Model, targets: Sequence[Target]) -> Model:
    """Return a model's entry with the most that any of its targets writes, where that is known of all and the entry does not say it."""
    known = [target.facts.row.output_tokens_max for target in targets if target.facts is not None and target.facts.row is not None]
    if model.max_output_tokens is not None or len(known) < len(targets) or None in known:
        return model
    return msgspec.structs.replace(model, max_output_tokens=max(filter(None, known), default=None))


def asks_for_running_usage(name: str, vendor: Vendor) -> bool:
    """Say whether a vendor is asked to report with each chunk: as the setting says, else if it is one that is known to take the wish."""
    if vendor.running_usage is not None:
        return vendor.running_usage
    row = row_of(name, vendor.base_url, vendor.preset)
    return row is not None and row.running_usage


def goes_on_from_texts(name: str, vendor: Vendor) -> bool:
    """Say whether a vendor has text completions: as the setting says, else if it is one that is known to, or is on this machine."""
    if vendor.completions is not None:
        return vendor.completions
    row = row_of(name, vendor.base_url, vendor.preset)
    return is_local(vendor.base_url) if row is None else row.completions


def has_list(name: str, vendor: Vendor) -> bool:
    """Say whether a vendor lists the models that may be called there, and may be asked for it."""
    row = row_of(name, vendor.base_url, vendor.preset)
    return vendor.list_models and (row is None or row.lists)


SECRET_CHARACTERS_MIN = 4  # redacting shorter strings would mangle ordinary words
