"""Responses that are kept for a while, where the operator says so (`responses.keep_minutes`), and the door that leads on from them.

In memory alone, for a time and up to a size: a server that stops has forgotten them. Only the key that made a response may go on from it,
look at it or delete it. What is asked of a vendor is the whole conversation, as it is where nothing is kept, and so is what is billed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from aisa.answer import Part
from aisa.config.responses import ResponsesSettings
from aisa.errors import ApiError, UpstreamFailed
from aisa.wire.content import Content
from aisa.wire.door import Door, Encoder, Refused, Request
from aisa.wire.lenient_json import encode
from aisa.wire.responses import ResponsesRequest, parse_responses
from aisa.wire.responses_door import RESPONSES_DOOR, own
from aisa.wire.trees import Tree, is_tree, text_or_none, trees_in

SECONDS_PER_MINUTE = 60
SHARE_MAX = 4  # one conversation may take a quarter of all: one that grows without end does not push out everybody's
EXTRA_BYTES = 1_024  # the objects around one, so that very many small ones are counted too
TOLD_BYTES_MAX = 64  # of an id in a message
DATA = b"\ndata: "

#: Tells the event loop's time in seconds.
Clock = Callable[[], float]
#: Whose it is, and the id of a response or of an item.
Place = tuple[str, str]


class Kept(msgspec.Struct, frozen=True):
    """One response: as it was answered, what was put in before it, and what came of it. `until` is the event loop's seconds."""

    response: bytes
    before: bytes  # the input's items, those of earlier responses among them, with commas between
    items: bytes  # the output's
    names: tuple[str, ...]  # ids of these
    until: float

    @property
    def size(self) -> int:
        """The bytes that it counts for."""
        return len(self.response) + len(self.before) + len(self.items) + EXTRA_BYTES


class KeptResponses:
    """What is kept, by key and id. Belongs to one process; memory only."""

    def __init__(self, settings: ResponsesSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._kept: OrderedDict[Place, Kept] = OrderedDict()
        self._items: dict[Place, bytes] = {}
        self._bytes = 0

    @property
    def on(self) -> bool:
        """Whether anything is kept."""
        return self._settings.keep_minutes > 0

    def configure(self, settings: ResponsesSettings) -> None:
        """Let these settings count; what is beyond them is forgotten."""
        self._settings = settings
        self._shrink()

    def door(self, key_id: str) -> Door:
        """Return the door for a call of a key."""
        return KeepingDoor(self, key_id) if self.on else RESPONSES_DOOR

    def keep(self, key_id: str, response: Tree, before: Sequence[Tree]) -> bool:
        """Keep a response, with all that was put in before it. Says no of one without an id, and of one that is too large."""
        name, output = text_or_none(response.get("id")), trees_in(response.get("output"))
        if name is None or not self.on:
            return False
        named = {item_id: encode(item) for item in output if (item_id := text_or_none(item.get("id"))) is not None}
        until = self._clock() + self._settings.keep_minutes * SECONDS_PER_MINUTE
        kept = Kept(encode(response), encode(before)[1:-1], encode(output)[1:-1], tuple(named), until)
        if kept.size > self._settings.keep_bytes_max // SHARE_MAX:
            return False
        self.forget(key_id, name)
        self._kept[key_id, name] = kept
        self._items.update({(key_id, item_id): item for item_id, item in named.items()})
        self._bytes += kept.size
        self._shrink()
        return True

    def find(self, key_id: str, name: str) -> Kept | None:
        """Return a response of a key, None if it is not kept, or not any more."""
        self._shrink()
        return self._kept.get((key_id, name))

    def item(self, key_id: str, name: str) -> bytes | None:
        """Return an item of the output of a response that is kept."""
        self._shrink()
        return self._items.get((key_id, name))

    def forget(self, key_id: str, name: str) -> bool:
        """Forget a response, and say whether it was there."""
        kept = self._kept.pop((key_id, name), None)
        if kept is None:
            return False
        self._bytes -= kept.size
        for item_id in kept.names:
            self._items.pop((key_id, item_id), None)
        return True

    def _shrink(self) -> None:
        """Forget what is too old, which stands first, and what there is no room for."""
        now = self._clock()
        while self._kept:
            (key_id, name), oldest = next(iter(self._kept.items()))
            if self.on and oldest.until > now and self._bytes <= self._settings.keep_bytes_max:
                break
            self.forget(key_id, name)


class Earlier:
    """What a request may lead on from: implements `wire.responses.Earlier` for the responses of one key."""

    def __init__(self, kept: KeptResponses, key_id: str) -> None:
        self._kept = kept
        self._key_id = key_id

    def items_of(self, name: str) -> list[Tree]:
        """Return the items of a response and of all before it. Raises ApiError if it is not kept."""
        kept = self._kept.find(self._key_id, name)
        if kept is None:
            way_out = "Send the whole conversation in `input`: the earlier items and those of the answers."
            message = f"The response '{name[:TOLD_BYTES_MAX]}' is not kept here, or not any longer. {way_out}"
            raise ApiError("invalid_request", message, param="previous_response_id")
        return trees_in(msgspec.json.decode(b"[%b]" % b",".join([given for given in (kept.before, kept.items) if given])))

    def item(self, name: str) -> Tree | None:
        """Return an item of an earlier answer, None if it is not kept."""
        found = self._kept.item(self._key_id, name)
        return None if found is None else msgspec.json.decode(found, type=Tree)


class KeepingDoor:
    """The Responses API's door for calls of one key, whose responses are kept; implements `wire.door.Door`."""

    protocol, outside_body, keep_alive = RESPONSES_DOOR.protocol, RESPONSES_DOOR.outside_body, RESPONSES_DOOR.keep_alive

    def __init__(self, kept: KeptResponses, key_id: str) -> None:
        self._kept = kept
        self._key_id = key_id

    def read(self, body: bytes) -> Request:
        """Return the request in a body, with what it leads on from. Raises ApiError."""
        return parse_responses(body, Earlier(self._kept, self._key_id))

    def content(self, request: Request) -> Content:
        """Return what a request holds."""
        return RESPONSES_DOOR.content(request)

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer, and keeps it if that is wanted."""
        encoder, asked = RESPONSES_DOOR.encoder(request, call_id=call_id, created=created), own(request)
        return (
            KeepingEncoder(encoder, asked, lambda response: self._kept.keep(self._key_id, response, asked.items()))
            if asked.store
            else encoder
        )

    def refused(self, error: ApiError, request_id: str) -> Refused:
        """Return an error as a whole answer."""
        return RESPONSES_DOOR.refused(error, request_id)

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return what tells of a failure inside a stream."""
        return RESPONSES_DOOR.failure(error, request_id)


class KeepingEncoder:
    """Writes an answer as the usual encoder does, and keeps it at its end; implements `wire.door.Encoder`."""

    def __init__(self, encoder: Encoder, request: ResponsesRequest, keep: Callable[[Tree], bool]) -> None:
        self.headers = encoder.headers
        self.write = encoder.write
        self.failure = encoder.failure
        self._encoder = encoder
        self._request = request
        self._keep = keep

    @property
    def cut(self) -> UpstreamFailed | None:
        """As the usual one's."""
        return self._encoder.cut

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return what ends the answer, in which it says that it is kept."""
        last = self._encoder.closing(parts)
        begin = last.rstrip().rfind(DATA) + len(DATA) if self._request.stream else 0
        document: object = msgspec.json.decode(last[begin:])
        response = document.get("response") if self._request.stream and is_tree(document) else document
        if not (is_tree(document) and is_tree(response)):
            return last
        response |= {"store": True, "previous_response_id": self._request.known.previous_response_id}
        if not self._keep(response):
            return last
        return b"%b%b\n\n" % (last[:begin], encode(document)) if self._request.stream else encode(document)


def response_document(kept: KeptResponses, key_id: str, name: str) -> bytes:
    """Return a response as it was answered. Raises ApiError resource_not_found."""
    return found_in(kept, key_id, name).response


def input_document(kept: KeptResponses, key_id: str, name: str) -> bytes:
    """Return the items that were put in before a response. Raises ApiError resource_not_found."""
    items = trees_in(msgspec.json.decode(b"[%b]" % found_in(kept, key_id, name).before))
    ends: Tree = {"first_id": items[0].get("id"), "last_id": items[-1].get("id")} if items else {"first_id": None, "last_id": None}
    return encode({"object": "list", "data": items, **ends, "has_more": False})


def deleted_document(kept: KeptResponses, key_id: str, name: str) -> bytes:
    """Forget a response, and return what says so. Raises ApiError resource_not_found."""
    found_in(kept, key_id, name)
    kept.forget(key_id, name)
    return encode({"id": name, "object": "response", "deleted": True})


def found_in(kept: KeptResponses, key_id: str, name: str) -> Kept:
    """Return a response that a key has made. Raises ApiError resource_not_found."""
    found = kept.find(key_id, name)
    if found is None:
        off = "Its operator has not turned the keeping of responses on (`responses.keep_minutes`)."
        gone = f"This key has no response '{name[:TOLD_BYTES_MAX]}' here, or not any longer."
        raise ApiError("resource_not_found", gone if kept.on else f"This server keeps no responses. {off}")
    return found
