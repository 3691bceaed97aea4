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
        "models.<name>.tokenizer": "What counts the model's tokens where its vendor does not report them: a `tokenizer.json` or a "
        "Tekken file, or an encoding, such as `o200k_base` or `cl100k_base`; if absent, the vendor's. Needs the `tokenizers` extra.",
        "models.<name>.context_window": "Input and output tokens that fit the model together; shown in `GET /v1/models`.",
        "models.<name>.modalities": "What the model takes and gives, such as `text`, `image`; shown in `GET /v1/models`.",
        "models.<name>.unsupported": "What becomes of a field that the vendor's dialect cannot express: `refuse` the call, or `drop` the "
        "field and name it in the answer's `x-aisa-dropped-params` header. A value that the model cannot take is moved to the nearest one, "
        "which `x-aisa-changed-params` names; with `refuse_values` it is refused too.",
        "models.<name>.name_in_answers": "What answers call the model: `own`, its name here, or `vendor`, the vendor's name for it. If "
        "absent, `own` where the two differ. A path on a vendor's machine is never shown.",
        "models.<name>.documents": "How answers that are not streams are sent: `plain`, when they are complete, or `padded`: after 10 s "
        "a head with status 200 and `x-aisa-padded: true`, then a newline every 10 s, so that no proxy on the way takes the silence "
        "for a dead connection. A failure after that is an error object under status 200 (`docs/padded-documents.md`).",
    }
)
