"""Which models the lists show to a key. Writes no list: `models` does in OpenAI's and Anthropic's shape, `gemini` in Gemini's."""

from __future__ import annotations

from contextlib import suppress

from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.offer import Entry
from aisa.routing import Routes


def visible(routes: Routes, key: Key) -> list[Entry]:
    """Return the models that a key may use and that can be listed: the configuration's, then the vendors', or its allow-list's."""
    if key.models is None:
        return [*(routes.find(name) for name in routes.names()), *routes.offered]
    found = [entry for name in routes.names() if routes.is_allowed(key.models, entry := routes.find(name))]
    for name in key.models:
        with suppress(ApiError):
            found.append(routes.find(name))
    return list({entry.name: entry for entry in found if len(entry.unpriced) < len(entry.offers)}.values())
