"""Further texts of a choice, many at a time, as parts of an answer: counted by its meter, or as their vendor told. Finds none itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import le, sub

from aisa.answer import Text
from aisa.wire.shown import VISIBLE_PER_BYTE
from aisa.wire.token_meter import BY_VENDOR, TokenMeter


def heard(choice: int, texts: list[bytes], meter: TokenMeter) -> list[Text]:
    """Return texts, each the inside of a JSON string without escapes, as parts. The meter counts them."""
    if len(texts) == 1:
        return [Text(choice, texts[0].decode(), meter.add_bytes(texts[0]))]
    return counted(choice, [text.decode() for text in texts], texts, meter=meter)


def counted(choice: int, texts: Sequence[str], written: Sequence[bytes], *, meter: TokenMeter) -> list[Text]:
    """Return texts, which are also here in UTF-8, as parts. The meter counts them."""
    counts = meter.add_all(written)
    return [Text(choice, text, count - before) for text, before, count in zip(texts, (0, *counts), counts, strict=False)]


def as_told(choice: int, texts: Sequence[str], told: Sequence[int], *, meter: TokenMeter) -> list[Text] | None:
    """Return texts as parts, with each of which the vendor told how many tokens there are by then.

    None, and the meter has taken nothing, where the figures fall, or are more than can be in the text.
    """
    if len(texts) == 1:
        size = size_of(texts[0])
        usual = size and meter.tokens <= told[0] <= VISIBLE_PER_BYTE * (meter.total[1] + size)
        return [Text(choice, texts[0], meter.tell(told[0], BY_VENDOR, (size,)))] if usual else None
    sizes = list(map(size_of, texts))
    before = [meter.tokens, *told[:-1]]
    most = [VISIBLE_PER_BYTE * size for size in accumulate(sizes, initial=meter.total[1])][1:]
    if not (all(sizes) and all(map(le, before, told)) and all(map(le, told, most))):
        return None
    meter.tell(told[-1], BY_VENDOR, sizes)
    return [Text(choice, text, tokens) for text, tokens in zip(texts, map(sub, told, before), strict=True)]


def size_of(text: str) -> int:
    """Return the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
