"""What a `tokenizer.json` is read as where tiktoken counts as it does, many times as quick. Loads no library and counts nothing itself.

Whoever uses what was read holds both counts of `samples` against each other first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

#: What is counted both ways before one stands in for the other: what tokenizers treat unlike.
WORDS = (
    "Tides follow the moon, and it's 12345 or 3.14; we'LL see.",
    "def f(x):\n    return {'a': [1, 2.5]}\r\n\r\n\t# done\n\n\n",
    "日本語のテキスト mixed 中文abc 123中文",
    "مرحبا بالعالم कैसे हो แมว",
    "😀👩‍👩‍👧 🇩🇪 e\u0301 naïve \u00a0\u2028 \ufeff",
    '{"a": [1, 2, {"b": null}]}  \t\n',
    "<b>tags</b><table>\n<tr>   <td> 1\u2581 2\u0378\ufdd0\U0001fbff</td>",
)
MIXED = 200  # more, of characters of all of these
MIXED_CHARACTERS = 60


class Added(msgspec.Struct):
    """A token that is found in a text before anything else, whatever stands around it."""

    content: str
    single_word: Literal[False] = False
    lstrip: Literal[False] = False
    rstrip: Literal[False] = False


class Merges(msgspec.Struct, kw_only=True):
    """Which pairs become one token, the first before the others, and nothing that changes that."""

    merges: list[tuple[str, str] | str]
    dropout: None = None
    continuing_subword_prefix: Literal[""] | None = None
    end_of_word_suffix: Literal[""] | None = None

    def pairs(self) -> list[tuple[str, str]]:
        """Return the pairs, which older files write as one text. Raises ValueError for what is none."""
        found: list[tuple[str, str]] = []
        for merge in self.merges:
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            found.append((left, right))
        return found


class AsEncoding(NamedTuple):
    """A pattern of words and the rank of each token, as tiktoken takes them.

    `written` returns a text as it is to be encoded, and how many tokens are to be added to the number of those that come out; not for
    texts in which `beyond` finds something.
    """

    pattern: str
    ranks: Mapping[bytes, int]
    written: Callable[[str], tuple[str, int]]
    beyond: re.Pattern[str]


def any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Return what finds the longest of some texts that stands at a place; nothing of none."""
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or "(?!)")


def samples() -> list[str]:
    """Return texts that two ways of counting are held against each other by: the same each time."""
    characters = "".join(WORDS) * MIXED_CHARACTERS
    return [*WORDS, *[characters[place :: 2 + place % 17][:MIXED_CHARACTERS] for place in range(MIXED)]]
