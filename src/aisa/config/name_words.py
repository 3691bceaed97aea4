"""What the settings mean that say which names callers may use, for the schema, which documents itself. Sets nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NAMES_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "models_only": "Whether only the names under `models` may be called. Otherwise callers may also name any model as "
        "`vendor/model`, and by its bare name where one vendor has it. It stands beside `models`, not in it, as every name "
        "in there is a model's: `models.only` would be a model that is called `only`.",
        "models_prefer": "Vendors in the order in which they get a bare name that several of them have; without it such a call is "
        "`404 unknown_model`, which names them.",
        "vendors.<name>.list_models": "Whether the vendor is asked for the list of its models, at the start and every hour, apart from any "
        "call: for `GET /v1/models`, and to know which vendor a bare name belongs to.",
    }
)


def beside_models(name: str) -> str | None:
    """Return what to write instead of an entry of `models` that is half of a setting's name: of `models: {only: true}`."""
    setting = f"models_{name}"
    if setting not in NAMES_IN_WORDS:
        return None
    return f"What stands under `models` are names of your own. The setting is `{setting}`, at the left margin, beside `models`."
