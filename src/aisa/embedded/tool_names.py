"""Whether a text names a tool, so that it may be called unasked. Calls none.

A name that is an ordinary verb of changing something ("write", "bash", "task") is named only where the text says that it means the tool.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from aisa.embedded.phrases import has_word
from aisa.embedded.vocabulary import CAMEL, WORD, normal

UNSAID = frozenset({"get", "fetch", "lookup", "current"})  # in the names of tools, but not in what people ask of them
#: Words of tools that change something, or run what does; in their normal form.
CHANGING = frozenset(
    map(
        normal,
        "add agent apply bash browser cancel commit computer copy create cron delete deploy drop edit editor exec execute insert install "
        "kill mkdir modify move notebook order patch pay post publish push put remove rename replace reset restart rm run save schedule "
        "send set shell spawn start stop submit task terminal todo transfer trigger undo uninstall update upload write".split(),
    )
)
MEANT = r"(?i:`{0}`|\b(?:use|using|call|calling|invoke|tool|function) (?:the )?[`'\"]?{0}\b|\b{0}[`'\"]? (?:tool|function)\b)"


def words_of(text: str) -> set[str]:
    """Return the words of a text or a name, in their normal form."""
    return set(map(normal, WORD.findall(CAMEL.sub(" ", text))))


def is_named(text: str, name: str) -> bool:
    """Say whether a text has the name of a tool, and means the tool by it."""
    words = words_of(name)
    if len(words) > 1 or not words & CHANGING:
        return has_word(text, name)
    return re.search(MEANT.format(re.escape(name)), text) is not None


def paraphrase(text: str) -> Callable[[str], bool]:
    """Return what says of a tool's name whether a text has all its words, in any form and order; never of one that changes something."""
    said = words_of(text)

    def is_meant(name: str) -> bool:
        own = words_of(name)
        return not own & CHANGING and bool(own - UNSAID) and own - UNSAID <= said

    return is_meant
