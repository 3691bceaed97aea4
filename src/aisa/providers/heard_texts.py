"""Further texts of a choice, found in JSON without being decoded, as parts of an answer. Finds none itself: templates do."""

from __future__ import annotations

from itertools import accumulate
from operator import le

from aisa.answer import Text
from aisa.wire.generated import text_bytes
from aisa.wire.shown import VISIBLE_PER_BYTE
from aisa.wire.token_meter import BY_VENDOR, TokenMeter


def heard(choice: int, texts: list[bytes], meter: TokenMeter) -> list[Text]:
    """Return texts, each the inside of a JSON string without escapes, as parts. The meter counts them."""
    if len(texts) == 1:
        return [Text(choice, texts[0].decode(), meter.add_bytes(texts[0]))]
    counts = meter.add_all(texts)
    return [Text(choice, text.decode(), count - before) for text, before, count in zip(texts, (0, *counts), counts, strict=False)]


def heard_as_told(texts: list[str], told: list[int], meter: TokenMeter) -> list[Text] | None:
    """Return texts of the first choice, by each of which its vendor says so many tokens are shown; None, uncounted, if that cannot be."""
    sizes = list(map(len, texts)) if "".join(texts).isascii() else [text_bytes(text) for text in texts]
    before = [meter.tokens, *told]
    most = list(map(VISIBLE_PER_BYTE.__mul__, accumulate(sizes, initial=meter.total[1])))[1:]
    if not (all(sizes) and all(map(le, before, told)) and all(map(le, told, most))):
        return None
    meter.tell(told[-1], BY_VENDOR, sizes)
    return [Text(0, text, now - was) for text, was, now in zip(texts, before, told, strict=False)]
