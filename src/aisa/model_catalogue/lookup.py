"""Finds a model of a vendor in the catalogue, by its own name or one of its vendor's other names for it."""

from __future__ import annotations

from types import MappingProxyType

from aisa.model_catalogue.models import MODELS
from aisa.model_catalogue.row import ModelRow

#: Vendors that serve another's models under their own names, and whose those are.
SERVE = MappingProxyType({"azure": "openai", "vertex": "google"})
#: Makers as vendors that serve models of many write them before a model's name.
MAKERS = MappingProxyType(
    {"openai": "openai", "anthropic": "anthropic", "google": "google", "mistralai": "mistral", "deepseek": "deepseek", "x-ai": "xai"}
)
MIXED = frozenset({"openrouter", "github"})

_BY_NAME = {vendor: {name: row for row in rows for name in (row.name, *row.aliases)} for vendor, rows in MODELS.items()}


def model_row(vendor: str, model: str) -> ModelRow | None:
    """Return what is known of a model, None of one that is not in the catalogue. `vendor` is a name in `aisa.vendors`."""
    name = model.lower().removeprefix("models/")
    maker = SERVE.get(vendor, vendor)
    if vendor in MIXED:
        written, _, name = name.partition("/")
        maker = MAKERS.get(written, "")
    return _BY_NAME.get(maker, {}).get(name)
