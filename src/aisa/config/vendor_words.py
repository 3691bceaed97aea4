"""What the settings mean by which vendors are found and known, in words: lines of `schema.FIELDS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

VENDORS_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "discovery.environment": "Whether vendors are used because their key is in the environment, as `docs/vendors.md` lists them.",
        "discovery.loopback": "Whether servers of models are looked for on this machine, at their usual ports: `auto` does where the "
        "file has no entry under `vendors`. Asked are the addresses in `docs/vendors.md`, for half a second at most.",
        "vendors.<name>.preset": "Which of the vendors in `docs/vendors.md` this is, such as `vllm`. An entry without `base_url` has from "
        "there what it does not say itself: address, dialect, where the key goes, and the key from the environment. If absent, that of "
        "the entry's own name. With `base_url` it only says what the vendor is like, where its host does not tell.",
        "vendors.<name>.base_url": "Where the vendor's API is, up to and without the path of the route that is asked, such as "
        "`/chat/completions`; with the dialect `anthropic` without `/v1` too, if you like. A query in it counts as `query`. May be left "
        "out of a vendor that `docs/vendors.md` lists.",
    }
)
