"""The fake vendor of `served`: what `upstream.py` says at a pace, in the words of three protocols, each at its own address.

Run as a program, as that is. Scripts are models' names; of the two protocols besides chat completions each has a call and a paced stream.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, this folder's siblings are not importable otherwise

import uvloop

from benchmarks.doors import messages_document, messages_events, responses_document, responses_events
from benchmarks.plan import PACE_MS, PACED_CHUNKS
from benchmarks.upstream import LAST_CHUNK, Connection, Reply, main, reply_to

WORDS = [f" w{number:06d}" for number in range(PACED_CHUNKS)]
SPOKEN = {b"/messages ": (messages_document, messages_events), b"/responses ": (responses_document, responses_events)}


@cache
def said(address: bytes, *, stream: bool) -> Reply:
    """Return an answer of the protocol at an address: what opens it at once, a word at a time, what ends it with the last."""
    document, events = SPOKEN[address]
    if not stream:
        return Reply(document())
    pieces = events(WORDS)
    first = next(place for place, piece in enumerate(pieces) if WORDS[0].encode() + b'"' in piece)
    behind = first + len(WORDS)
    ending = b"".join(pieces[behind:]) + LAST_CHUNK
    return Reply(b"".join(pieces[:first]), (*pieces[first:behind], ending), PACE_MS / 1000)


class Speaking(Connection):
    """One connection of a gateway."""

    def reply_to(self, head: bytes, body: bytes) -> Reply:
        """Return the answer to a request."""
        line = head.partition(b"\r\n")[0]
        address = next((each for each in SPOKEN if each in line), None)
        return reply_to(body) if address is None else said(address, stream=b'"stream":true' in body.replace(b" ", b""))


if __name__ == "__main__":
    uvloop.run(main(Speaking))
