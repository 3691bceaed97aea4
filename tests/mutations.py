"""Vendors' answers as no vendor sends them: the corpus, cut, doubled, swapped, strewn with what real vendors sent amiss. Not a test.

`python tests/mutations.py COUNT [FIRST]` looks at so many, numbered from FIRST, and prints what is wrong with any of them.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

from aisa.errors import UpstreamFailed
from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.testing.conformance import check_answer, check_stream
from aisa.wire.chat import ChatRequest, parse_chat
from aisa.wire.reply import error_event
from rig import closing_of

CORPUS = Path(__file__).parent / "corpus" / "openai"
TARGET = Target(vendor="acme", model="m-1-2026", dialect=openai.NAME)
REQUEST_ID = "req_MUTATED"
MUTATIONS_MAX = 4  # of one answer; with more of them little of it is left to be read
SPLITS_MAX = 3
FINISHED = re.compile(rb'\[DONE\]|"finish_reason"\s*:\s*[^\sn,}]')

FINISH_SHOWN = re.compile(rb'(?<!\\)"finish_reason":\s*(?<!\\)"')

#: What is put in place of some value, or between two bytes.
VALUES = (
    b"null", b"true", b"0", b"-1", b"1e400", b"-Infinity", b"NaN", b'""', b'"\\ud83d"', b'"\\ude00"', b"[]", b"{}", b'[{"index":1}]', b"10",
    b'"stop"', b'"length"', b'"abort"', b'"whatever"', b'"tool_calls"', b'"get_weather"', b'"{}"', b'{"a":1}', b'[null,1,"x"]', b'"\xff"',
    b'"' + b"x" * 3000 + b'"', b"[" * 70 + b"]" * 70, b"123456789012345678901234567890",
)  # fmt: skip
PIECES = (
    b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"\xef\xbb\xbf", b"data: ", b"data: [DONE]\n\n", b": ping\n\n", b"event: error\n", b"\\ud83d", b'"',
    b"{", b"}", b",", b"\x00", b"\xed\xa0\xbd", b'data: {"error":"no"}\n\n', b'data: {"choices":[{"index":0,"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"\\ude00"}}]}\n\n', b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"tool_calls":{"index":0,"function":{"name":"now","arguments":"{}"}}}}]}\n\n',
    b'data: {"choices":[{"index":1,"message":{"content":"x"},"finish_reason":"max-tokens"}]}\n\n',
)  # fmt: skip
VALUE = re.compile(rb'(?<=:)(?:"(?:[^"\\]|\\.)*"|[\w.+-]+|\[\]|\{\})')


class Mutant:
    """One mutated answer: the client's request, the vendor's body, and the reads in which it arrives."""

    def __init__(self, number: int) -> None:
        chance = random.Random(number)
        self.case = chance.choice(CASES)
        self.chat = parse_chat((self.case / "request.json").read_bytes())
        body = b"".join(path.read_bytes() for path in sorted(self.case.glob("upstream.[sj]s*[en]")))
        for _ in range(chance.randint(1, MUTATIONS_MAX)):
            body = chance.choice(MUTATIONS)(body, chance)
        self.body = body
        cuts = sorted(chance.randrange(len(body) + 1) for _ in range(chance.randint(0, SPLITS_MAX)))
        self.reads = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def replace_value(body: bytes, chance: random.Random) -> bytes:
    """Put another value in place of one."""
    places = list(VALUE.finditer(body))
    if not places:
        return body
    place = chance.choice(places)
    return body[: place.start()] + chance.choice(VALUES) + body[place.end() :]


def insert(body: bytes, chance: random.Random) -> bytes:
    """Put something between two bytes, oftenest between two events."""
    ends = [match.end() for match in re.finditer(rb"\n\n", body)]
    at = chance.choice(ends) if ends and chance.random() < 0.7 else chance.randrange(len(body) + 1)
    return body[:at] + chance.choice(PIECES) + body[at:]


def drop(body: bytes, chance: random.Random) -> bytes:
    """Leave out some bytes."""
    start = chance.randrange(len(body) + 1)
    return body[:start] + body[start + chance.choice((1, 2, 8, 80)) :]


def cut_off(body: bytes, chance: random.Random) -> bytes:
    """End early."""
    return body[: chance.randrange(len(body) + 1)]


def flip(body: bytes, chance: random.Random) -> bytes:
    """Change one byte."""
    at = chance.randrange(len(body) + 1)
    return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]


def shuffle(body: bytes, chance: random.Random) -> bytes:
    """Move an event, say it twice, or leave it out."""
    events = body.split(b"\n\n")
    event = events.pop(chance.randrange(len(events)))
    for _ in range(chance.randint(0, 2)):
        events.insert(chance.randrange(len(events) + 1), event)
    return b"\n\n".join(events)


def cross(body: bytes, chance: random.Random) -> bytes:
    """Go on with another vendor's answer."""
    other = chance.choice(CASES)
    more = b"".join(path.read_bytes() for path in sorted(other.glob("upstream.[sj]s*[en]")))
    return body[: chance.randrange(len(body) + 1)] + more[chance.randrange(len(more) + 1) :]


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (replace_value, replace_value, insert, drop, cut_off, flip, shuffle, cross)
CASES = sorted(path for path in CORPUS.iterdir() if not (path / "upstream.meta.json").exists())


def wrong_with(mutant: Mutant) -> list[str]:
    """Return what a client could complain of in what it gets for an answer; nothing must be raised, whatever the vendor sent."""
    chat = mutant.chat
    decoder = openai.decoder(chat, TARGET, call_id="MUTATED", created=1)
    pieces = []
    for data in mutant.reads:
        pieces += decoder.feed(data) if data else []
        if decoder.done or decoder.failure:
            break
    else:
        pieces += decoder.end()
    sent = b"".join(piece.data for piece in pieces)
    decoder.usage()
    if not (decoder.done or decoder.failure):
        return ["the answer does not end"]
    if decoder.failure is not None:
        return after_failure(sent, decoder.failure, chat)
    wrong = ["tokens and pieces differ"] if chat.stream and sum(piece.tokens for piece in pieces) != decoder.tokens else []
    sent += closing_of(decoder, "0.25")
    if not FINISHED.search(mutant.body) and b'"message"' not in mutant.body:
        wrong.append("the vendor neither finished nor said that it was done")
    if not chat.stream:
        return wrong + check_answer(sent)
    return wrong + check_stream(sent, include_usage=chat.include_usage, choices=choices_in(sent, chat))


def after_failure(sent: bytes, failure: UpstreamFailed, chat: ChatRequest) -> list[str]:
    """Return what is wrong with what was sent before a failure."""
    if not sent:
        return []
    if b"data: [DONE]" in sent.split(b"\n\n") or FINISH_SHOWN.search(sent):
        return ["a failure follows a finish"]
    whole = sent + error_event(failure.error, REQUEST_ID)
    return check_stream(whole, include_usage=chat.include_usage, choices=chat.known.n or 1)


def choices_in(sent: bytes, chat: ChatRequest) -> int:
    """Return how many choices came, where a vendor made fewer than were asked for."""
    return min(chat.known.n or 1, 1 + max([int(found) for found in re.findall(rb'"choices":\s*\[\{"index":\s*(\d+)', sent)], default=0))


def look_at_many(wrong_with: Callable[[int], list[str]]) -> int:
    """Look at as many mutants as the command line says; return how many went wrong. What one raises is told, and the next is looked at."""
    count, first = [int(word) for word in [*sys.argv[1:], *["8000", "0"][len(sys.argv) - 1 :]]]
    faults = 0
    for number in range(first, first + count):
        try:
            wrong = wrong_with(number)
        except Exception as error:
            wrong = [f"raised {error!r}"]
        if wrong:
            faults += 1
            sys.stdout.write(f"{number}: {wrong}\n")
    sys.stdout.write(f"{count} mutants, {faults} faults\n")
    return faults


if __name__ == "__main__":
    sys.exit(look_at_many(lambda number: wrong_with(Mutant(number))) > 0)
