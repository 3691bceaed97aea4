"""Answers that come in several parts: the vendor ends one with a token, with which the next is asked for. Asks nobody itself."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from aisa.providers.port import UpstreamRequest
from aisa.wire.trees import Tree, is_list, text_or_none
from aisa.wire.usage_report import count_of, merged

CONTINUATIONS_MAX = 32  # of one answer: each is billed with its whole input, and a part holds thousands of tokens
TOTAL = "totalTokenCount"  # by which counts are understood: of those of all parts, or it says nothing
MEMBERS = msgspec.json.Decoder(dict[str, Raw])


class Continuation:
    """Where one answer stands. `member` is the name under which a request has the token."""

    def __init__(self, member: str) -> None:
        self.wanted = False  # the part that was read last has ended with the wish to be asked for the next
        self._member = member
        self._token = self._asked_with = ""
        self._left = CONTINUATIONS_MAX
        self._spent: Tree = {}  # usage of the parts that have ended
        self._used: Tree = {}  # and of the one that is being read

    def note(self, token: object) -> None:
        """The part that is being read names a token; the last one counts."""
        self._token = text_or_none(token) or self._token

    def used(self, usage: Tree) -> Tree:
        """Return the usage of the whole answer so far, of which this is what the part that is being read reports now."""
        self._used = merged(self._used, usage)
        if TOTAL not in usage:
            self._used.pop(TOTAL, None)  # it was of less
        return summed(self._spent, usage) if self._spent else usage

    def lacking(self, usage: Tree) -> None:
        """The part that is being read is over; this is our own count of what it may not have reported."""
        self._used = self._with(usage)

    def whole(self, usage: Tree) -> Tree:
        """Return the usage of the whole answer so far, where this is our own count of what the part that is read may not have reported."""
        return summed(self._spent, self._with(usage))

    def lacks(self, usage: Tree) -> bool:
        """Tell whether the part that is being read has not reported one of these counts so far."""
        return any(not count_of(self._used.get(name)) for name, count in usage.items() if count)

    def want(self) -> bool:
        """The part has ended with the wish to be asked for the next. False if that cannot be: it would be the same again."""
        if not self._token or self._token == self._asked_with or not self._left:
            return False
        self.wanted = True
        return True

    def request(self, first: UpstreamRequest) -> UpstreamRequest:
        """Return what asks for the next part: the first request, with the token."""
        self.wanted = False
        self._left -= 1
        self._asked_with = self._token
        self._spent, self._used = summed(self._spent, self._used), {}
        body = MEMBERS.decode(first.body) | {self._member: Raw(msgspec.json.encode(self._token))}
        return msgspec.structs.replace(first, body=msgspec.json.encode(body))

    def _with(self, usage: Tree) -> Tree:
        return usage | {name: value for name, value in self._used.items() if count_of(value) or name not in usage}


def summed(spent: Tree, usage: Tree) -> Tree:
    """Return what parts have used together: counts are added, lists of counts by kind joined, of all else the later holds."""
    whole = dict(spent)
    for name, value in usage.items():
        known = whole.get(name)
        before, now = count_of(known), count_of(value)
        if before is not None and now is not None:
            whole[name] = before + now
        elif is_list(known) and is_list(value):
            whole[name] = [*known, *value]
        elif value is not None and before is None:
            whole[name] = value
    if spent and not (TOTAL in spent and TOTAL in usage):
        whole.pop(TOTAL, None)
    return whole
