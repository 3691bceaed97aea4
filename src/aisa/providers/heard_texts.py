"""Further texts of a choice, found in JSON without being decoded, as parts of an answer. Finds none itself: templates do."""

from __future__ import annotations

from aisa.answer import Text
from aisa.wire.token_meter import TokenMeter


def heard(choice: int, texts: list[bytes], meter: TokenMeter) -> list[Text]:
    """Return texts, each the inside of a JSON string without escapes, as parts. The meter counts them."""
    if len(texts) == 1:
        return [Text(choice, texts[0].decode(), meter.add_bytes(texts[0]))]
    counts = meter.add_all(texts)
    return [Text(choice, text.decode(), count - before) for text, before, count in zip(texts, (0, *counts), counts, strict=False)]
