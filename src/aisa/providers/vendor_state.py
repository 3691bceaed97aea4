"""What a vendor gives with an answer and wants back unchanged in the next turn: thinking with its signature, encrypted reasoning, item ids.

It travels with the client, sealed, where the client's protocol has a place for it; for clients that send nothing back it is kept in memory
under the id of the tool call that it led to. Either way only the account that got it can use it, and only at the vendor that gave it.
Knows no dialect: a state is bytes.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from msgspec.structs import replace

from aisa.wire.reasoning_details import SEALED_PREFIX

SEAL_KEY_BYTES = 64  # of AES-256-SIV, which needs no chance: equal states are equal seals, so a history is always written as the same bytes
KEPT_SECONDS_MAX = 86_400.0  # an agent's task is over in a day
KEPT_BYTES_MAX = 67_108_864  # of all accounts together; the oldest go first
KEPT_STATE_BYTES_MAX = 4_194_304  # of one: more than the longest thinking that any model does
GIVEN_MAX = 1_000  # targets with an account's states: more than are in use
ENTRY_BYTES = 400  # what an entry takes beside its state, roughly

#: An account and a vendor, and the id of a tool call.
Place = tuple[str, str, str]
Target = TypeVar("Target", bound=msgspec.Struct)


class Entry(NamedTuple):
    """What is kept, and until when."""

    state: bytes
    expires_at: float


class Seals:
    """Seals states with the server's key: encrypted, authenticated, and bound to an account and a vendor."""

    def __init__(self, key: bytes) -> None:
        """`key` has SEAL_KEY_BYTES bytes. Every process with the same one opens the same seals."""
        self._cipher = AESSIV(key)

    def seal(self, state: bytes, account: str, vendor: str) -> str:
        """Return a state, which is not empty, as text that nobody else can read or change."""
        return SEALED_PREFIX + urlsafe_b64encode(self._cipher.encrypt(state, bound(account, vendor))).decode()

    def open(self, text: str, account: str, vendor: str) -> bytes | None:
        """Return the state in a seal; None for anything else, a changed seal, and that of another account or vendor."""
        if not is_sealed(text):
            return None
        try:
            return self._cipher.decrypt(urlsafe_b64decode(text[len(SEALED_PREFIX) :].encode("ascii")), bound(account, vendor))
        except (InvalidTag, NotBase64, ValueError):
            return None


class Memory:
    """States of tool calls, by account, vendor and call: KEPT_BYTES_MAX in all, each for KEPT_SECONDS_MAX. `now` tells seconds."""

    def __init__(self, now: Callable[[], float], *, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._now = now
        self._bytes_max = bytes_max
        self._entries: OrderedDict[Place, Entry] = OrderedDict()  # the oldest first
        self.held_bytes = 0

    def keep(self, place: Place, state: bytes) -> None:
        """Keep a state. One that is too large is not kept."""
        if len(state) > min(KEPT_STATE_BYTES_MAX, self._bytes_max - ENTRY_BYTES):
            return
        self._drop(place)
        now = self._now()
        self._entries[place] = Entry(state, now + KEPT_SECONDS_MAX)
        self.held_bytes += len(state) + ENTRY_BYTES
        while self._entries:
            oldest, entry = next(iter(self._entries.items()))
            if entry.expires_at > now and self.held_bytes <= self._bytes_max:
                return
            self._drop(oldest)

    def kept(self, place: Place) -> bytes | None:
        """Return what is kept there; None if there is nothing, or nothing any more."""
        entry = self._entries.get(place)
        return None if entry is None or entry.expires_at <= self._now() else entry.state

    def _drop(self, place: Place) -> None:
        entry = self._entries.pop(place, None)
        if entry is not None:
            self.held_bytes -= len(entry.state) + ENTRY_BYTES


class VendorState:
    """The states of one account at one vendor."""

    __slots__ = ("_account", "_memory", "_seals", "_vendor")

    def __init__(self, seals: Seals, memory: Memory, *, account: str, vendor: str) -> None:
        self._seals = seals
        self._memory = memory
        self._account = account
        self._vendor = vendor

    def seal(self, state: bytes) -> str:
        """Return a state, which is not empty, as text for the client to send back. The same state is always the same text."""
        return self._seals.seal(state, self._account, self._vendor)

    def open(self, text: str) -> bytes | None:
        """Return the state in what a client sent back; None if it is no seal of ours, or not of this account at this vendor."""
        return self._seals.open(text, self._account, self._vendor)

    def keep(self, call_id: str, state: bytes) -> None:
        """Keep the state that led to a tool call, for a client that will send nothing else back."""
        self._memory.keep((self._account, self._vendor, call_id), state)

    def kept(self, call_id: str) -> bytes | None:
        """Return the state that led to a tool call, None if it is not here, or not any more."""
        return self._memory.kept((self._account, self._vendor, call_id))


class VendorStates:
    """The states of all accounts at all vendors."""

    def __init__(self, seals: Seals, memory: Memory) -> None:
        self._seals = seals
        self._memory = memory
        self._given: dict[tuple[str, int], tuple[msgspec.Struct, msgspec.Struct]] = {}  # what was given, beside what it was given to

    def of(self, account: str, vendor: str) -> VendorState:
        """Return those of one account at one vendor."""
        return VendorState(self._seals, self._memory, account=account, vendor=vendor)

    def given(self, target: Target, account: str, vendor: str) -> Target:
        """Return a target with its vendor's states of an account: the same one for all calls, while it is one of the last GIVEN_MAX."""
        known = self._given.get((account, id(target)))
        if known is None:
            if len(self._given) >= GIVEN_MAX:
                self._given.clear()
            known = self._given[account, id(target)] = target, replace(target, state=self.of(account, vendor))
        return cast("Target", known[1])


def is_sealed(text: str) -> bool:
    """Tell whether a text looks like a seal of ours, whosever it is."""
    return text.startswith(SEALED_PREFIX)


def bound(account: str, vendor: str) -> list[bytes]:
    """Return what a seal is bound to."""
    return [account.encode(), vendor.encode()]
