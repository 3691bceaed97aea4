"""Words for the strings and numbers of a document: from the prompt where it offers some, else from the model. Knows no schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from aisa.clock import Chance
from aisa.embedded.vocabulary import CAMEL, TOPIC_CHARS_MAX, WORD, normal

NUMBER = re.compile(r"(?<![\w.])-?\d{1,15}(?:\.\d{1,9})?(?![\w])")
CAPITALISED = re.compile(r"(?<=[\w,:;] )[A-Z][a-z][\w'-]*(?: [A-Z][a-z][\w'-]*)*")
AFTER_PREPOSITION = re.compile(r"\b(?:in|at|near|to|from|for)\s+(?!the\b|an?\b|my\b|me\b)(\w{2,40})")
KEY = re.compile(r"[\"'`](\w{1,40})[\"'`]\s*:")
QUOTED = re.compile(r"[\"'`](\w{1,40})[\"'`]")
EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,63}\w")
ADDRESS = re.compile(r"https?://[^\s\"'<>]{1,500}")
DATE = re.compile(r"\b\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])\b")

KEYS_MAX = 16  # of a free document
SENTENCES_MAX = 8  # that the model writes for one document: a millisecond each; more are repetitions
PLACES = frozenset("city location place country town region destination origin state".split())
NAMES = frozenset("name person author title".split())
PLACE_USUAL = "Paris"
WHOLE = frozenset("query question text prompt message input content search expression body q keyword".split())
SENTENCES = frozenset(
    "description summary answer reason explanation response result output comment note reply story poem haiku thought step".split()
)


def has_word(text: str, word: str) -> bool:
    """Say whether a text has a word or phrase that is not part of a longer word."""
    return bool(word) and word in text and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


class Phrases:
    """What can be said for one prompt. Numbers and names of the prompt are each used once, in order."""

    def __init__(self, prompt: str, topic_words: list[str], *, sentence: Callable[[], str], chance: Chance) -> None:
        self._prompt = prompt[-TOPIC_CHARS_MAX:]
        self._lower = self._prompt.lower()
        self._sentence = sentence
        self._sentences: list[str] = []
        self._chance = chance
        self._numbers = [float(text) if "." in text else int(text) for text in NUMBER.findall(self._prompt)]
        self._names = list(dict.fromkeys([*CAPITALISED.findall(self._prompt), *AFTER_PREPOSITION.findall(self._prompt)]))
        self._topic = topic_words or ["example"]

    def mentions(self, text: str) -> bool:
        """Say whether the prompt has this word or phrase."""
        return has_word(self._lower, text.lower())

    def numbers(self, fits: Callable[[int | float], bool]) -> Iterator[int | float]:
        """Yield the prompt's first unused number that fits, if there is one."""
        for place, number in enumerate(self._numbers):
            if fits(number):
                yield self._numbers.pop(place)
                return

    def named(self, name: str) -> str:
        """Return a string for a property of this name."""
        words = {normal(word) for word in WORD.findall(CAMEL.sub(" ", name))}
        if words & (PLACES | NAMES):
            found = self._names.pop(0) if self._names else PLACE_USUAL if words & PLACES else self._topic[-1]
            return found[:1].upper() + found[1:]
        if words & WHOLE:
            return " ".join(self._prompt.split())[:200] or "example"
        if words & SENTENCES:
            if len(self._sentences) < SENTENCES_MAX:
                self._sentences.append(self._sentence())
                return self._sentences[-1]
            return self._chance.choice(self._sentences)
        related = [word for word in self._topic if word not in words]
        return self._chance.choice(related or self._topic)

    def formatted(self, form: str, serial: int | None) -> str | None:
        """Return a string in a format of JSON Schema, None if the format is not known. With a number, one that is not from the prompt."""
        chance, word = self._chance, f"{self._topic[-1]}{'' if serial is None else serial}"
        day = f"{2026 + (serial or 0) % 1000}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        day = day if serial is not None else self._found(DATE) or day
        time = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}Z"
        match form:
            case "date":
                return day
            case "time":
                return time
            case "date-time":
                return f"{day}T{time}"
            case "duration":
                return f"PT{chance.randint(1, 9999)}M"
            case "email" | "idn-email":
                return (serial is None and self._found(EMAIL)) or f"{word}@example.com"
            case "uri" | "url" | "iri" | "uri-reference":
                return (serial is None and self._found(ADDRESS)) or f"https://example.com/{word}"
            case "hostname":
                return f"{word}.example.com"
            case "uuid":
                digits = f"{chance.getrandbits(128):032x}"
                return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"  # version 4, the usual variant
            case "ipv4":
                return f"192.0.2.{chance.randint(1, 254)}"
            case "ipv6":
                return f"2001:db8::{chance.randint(1, 9999)}"
            case _:
                return None

    def _found(self, what: re.Pattern[str]) -> str | None:
        found = what.search(self._prompt)
        return found[0] if found else None

    def property_names(self) -> list[str]:
        """Return the names of the properties that the prompt asks for, those before a colon first, or `answer`."""
        names = KEY.findall(self._prompt) or QUOTED.findall(self._prompt)
        return list(dict.fromkeys(names))[:KEYS_MAX] or ["answer"]
