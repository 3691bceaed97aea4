"""What the settings mean by which a model is described, in words: lines of `schema.FIELDS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MODELS_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "models.<name>.unsupported_parameters": "Parameters that the model does not have, besides those that `docs/models.md` names: what "
        "becomes of them says `unsupported`.",
        "models.<name>.shutdown_date": "The day from which the model is not served any more, where that is another than in "
        "`docs/models.md`. In the three months before it the log says so once a day.",
        "models.<name>.aliases": "Further names for the model; callers see the first.",
    }
)
