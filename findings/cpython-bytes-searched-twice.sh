#!/usr/bin/env bash
# CPython 3.11: two searches in bytes take several times as long as the search itself, for want of nothing that the caller did wrong.
#
# Seen, best of many runs, as a ratio to the same answer by another way:
#   80 events split at the 200 bytes that lie between two texts        5 times the time of splitting at the blank line, and cutting
#   b"\r" in a line of 120 bytes                                       6 times the time of 13 in it
#
# A separator of a hundred bytes and more is prepared for (critical factorisation, a table of shifts), which pays for one long search. `split`
# does it for each piece anew. And `in` of bytes first tries whether its left side is a number: for bytes that is a TypeError, made with its
# text and thrown away. Who relays streams does both for every event: together they were a third of what an event of a burst cost us.
set -euo pipefail
python3 - <<'PYTHON'
import platform
import sys
from timeit import repeat


def best(statement, **names):
    """Return the shortest time of a statement in microseconds."""
    return min(repeat(statement, globals=names, number=200, repeat=60)) / 200 * 1e6


before, after = b'data: {"id":"' + b"x" * 140 + b'","choices":[{"delta":{"content":"', b'"},"index":0}]}'
separator = after + b"\n\n" + before
texts = [b"word "] * 80
events = before + separator.join(texts) + after
slow = best("events[len(before) : -len(after)].split(separator)", **globals())
quick = best("[event[len(before) : -len(after)] for event in events.split(b'\\n\\n')]", **globals())
line = (before + b"word" + after)[:120]
asked, named = best("b'\\r' in line", line=line), best("13 in line", line=line)
assert events[len(before) : -len(after)].split(separator) == texts == [event[len(before) : -len(after)] for event in events.split(b"\n\n")]
print(f"CPython {platform.python_version()}: split {slow:.1f} us and {quick:.1f} us; in {asked:.3f} us and {named:.3f} us")
sys.exit(0 if slow > 1.5 * quick and asked > 2 * named else "this has changed")
PYTHON
