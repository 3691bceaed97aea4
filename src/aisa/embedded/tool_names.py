"""Whether a text names a tool, so that it may be called unasked. Calls none.

A name that is one ordinary word ("write", "task", "hello") is named only where the text says that it means the tool.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from aisa.embedded.vocabulary import CAMEL, WORD, normal

CLAUSE_CHARS_MAX = 200  # before a name that are looked at for what is said of it
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
#: Where a text means a tool by a name that is an ordinary word.
MEANT = r"(?i:`{0}`|\b(?:use|using|call|calling|invoke|tool|function) (?:the )?[`'\"]?{0}\b|\b{0}[`'\"]? (?:tool|function)\b)"
#: Where a question asks for what such a name says.
ASKED_FOR = r"(?i)\b(?:what|how|which|when|where)\b[^.;!?\n]{{0,60}}\b(?:the|a|an|current) {0}\b"
CLAUSE = re.compile(r"[.;:!?\n]|,(?= )|\b(?:but|instead)\b", re.IGNORECASE)
DENIED = re.compile(
    r"\b(?:don[’']?t|do not|doesn[’']?t|never|not|no|without|avoid|cannot|can[’']?t|nicht|kein|pas|jamais|nunca)\b", re.IGNORECASE
)
ASKED_ABOUT = re.compile(r"\s*(?:what|which|who|why|how|when|explain|describe|tell me)\b", re.IGNORECASE)


def words_of(text: str) -> set[str]:
    """Return the words of a text or a name, in their normal form."""
    return set(map(normal, WORD.findall(CAMEL.sub(" ", text))))


def is_named(text: str, name: str) -> bool:
    """Say whether a text has the name of a tool, and means the tool by it: an ordinary word is said of one, and none is denied.

    A tool that changes something is not meant by a question about it either.
    """
    words = words_of(name)
    form = rf"(?<!\w){re.escape(name)}(?!\w)" if len(words) > 1 else MEANT.format(re.escape(name))
    for found in re.finditer(form, text) if name and name.casefold() in text.casefold() else ():
        said = CLAUSE.split(text[max(0, found.start() - CLAUSE_CHARS_MAX) : found.start()])[-1]
        if not DENIED.search(said) and not (words & CHANGING and ASKED_ABOUT.match(said)):
            return True
    return False


def paraphrase(text: str) -> Callable[[str], bool]:
    """Return what says of a tool's name whether a text has all its words, in any form and order.

    Never of one that changes something. A name that is one word alone must be what a question asks for ("what is the weather"): people say
    hello, and do not mean the tool.
    """
    said = words_of(text)

    def is_meant(name: str) -> bool:
        own = words_of(name)
        if own & CHANGING or not own - UNSAID or not own - UNSAID <= said:
            return False
        return len(own) > 1 or re.search(ASKED_FOR.format(re.escape(name)), text) is not None

    return is_meant
