"""Plays the corpus of a dialect that is translated: a folder is a case, as `test_corpus.py` says of OpenAI's. Not a test.

Further files: `upstream.frames.json` is AWS's binary event stream, as `aisa.testing.aws_frames` writes it; `upstream.next.sse` or `.json`
is what the vendor sends where it is asked for the rest of its answer; `asked.json` is what the vendor must be asked for `request.json`;
`case.json` may say `model`, the vendor's, and `unsupported`, as a model's entry has it; of frames `cut_bytes` and `flipped_byte`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import msgspec

from aisa.answer import Part
from aisa.errors import UpstreamFailed
from aisa.providers.shape import Asked, Target, continued
from aisa.testing.aws_frames import frames_of
from aisa.testing.conformance import check_answer, check_stream
from aisa.wire.chat import ChatRequest, parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from repeats import repeats, some

CALL_ID, CREATED = "01CORPUS", 1750000000
#: A longer case is split at this many bytes, evenly spread, and where a line or a character could break.
SPLITS_MAX = 200
FRAGILE = frozenset(b"\r\n") | frozenset(range(128, 256))
FILES = {"request.json", "asked.json", "upstream.sse", "upstream.json", "upstream.frames.json", "upstream.meta.json"}
FILES |= {"client.sse", "client.json", "usage.json", "failure.json", "case.json", "upstream.next.sse", "upstream.next.json"}
#: Where one part of an answer that comes in several ends, and the next begins.
NEXT = b""


class Outcome(NamedTuple):
    """What came of one arrival of a vendor's body: events or document for the client, tokens said to be carried, counts, failure."""

    sent: bytes
    tokens: int
    usage: dict[str, Any]
    failure: dict[str, Any] | None


#: As it was sent.
NOT_RENAMED: Mapping[str, str] = MappingProxyType({})


class DialectCase:
    """One case of a dialect's corpus. `renamed` are texts that stand otherwise in the vendor's body."""

    def __init__(self, dialect: ModuleType, folder: Path, *, renamed: Mapping[str, str] = NOT_RENAMED) -> None:
        self.dialect = dialect
        self.folder = folder
        self._renamed = renamed
        self.flags = self.json("case.json", {})
        self.chat: ChatRequest = parse_chat((folder / "request.json").read_bytes())
        self.target = Target("acme", self.flags.get("model", "m-1"), dialect.NAME, unsupported=self.flags.get("unsupported", "refuse"))
        self.asked_next: list[bytes] = []  # what the vendor was asked for the rest of its answer
        self.meta = self.json("upstream.meta.json", {"status": 200, "headers": {}})

    def json(self, name: str, otherwise: Any = None) -> Any:
        """The JSON of a file, or something else if there is none."""
        path = self.folder / name
        return json.loads(path.read_bytes()) if path.exists() else otherwise

    @property
    def upstream(self) -> bytes:
        """The vendor's body. `cut_bytes` are left off its end, and `flipped_byte` is not as it was sent."""
        if self.has("upstream.frames.json"):
            body = bytearray(frames_of(json.loads(self._file("upstream.frames.json"))))
            del body[len(body) - self.flags.get("cut_bytes", 0) :]
            if "flipped_byte" in self.flags:
                body[self.flags["flipped_byte"]] ^= 1
            return bytes(body)
        return b"".join(self._file(f"upstream.{kind}") for kind in ("sse", "json") if self.has(f"upstream.{kind}"))

    @property
    def next(self) -> bytes:
        """What the vendor sends where it is asked for the rest of its answer; nothing if it is not."""
        return b"".join(self._file(f"upstream.next.{kind}") for kind in ("sse", "json") if self.has(f"upstream.next.{kind}"))

    def _file(self, name: str) -> bytes:
        data = (self.folder / name).read_bytes()
        for text, other in self._renamed.items():
            data = data.replace(text.encode(), other.encode())
        return data

    def has(self, name: str) -> bool:
        """Tell whether the case has a file."""
        return (self.folder / name).exists()

    def asked(self) -> dict[str, Any]:
        """What the vendor is asked: `body`, and `dropped` and `changed`; or the `refused` parameter's name."""
        try:
            request = self.dialect.to_upstream(self.chat, self.target)
        except UpstreamFailed as failure:
            return {"refused": failure.error.param, "code": failure.error.code}
        told = {name: list(value) for name in ("dropped", "changed") if (value := getattr(request, name))}
        return {"path": request.path, "body": json.loads(request.body), **told}

    def play(self, arrival: Iterable[bytes]) -> Outcome:
        """Feed a body through decoder and door as the path of a call does."""
        if self.meta["status"] != 200:
            asked = Asked(now=float(CREATED))
            refusal = self.dialect.read_failure(self.meta["status"], self.meta["headers"], self.upstream, target=self.target, asked=asked)
            return Outcome(b"", 0, {}, told(refusal, after_pieces=False))
        decoder = self.dialect.decoder(self.chat, self.target, call_id=CALL_ID, created=CREATED, protocol=CHAT_DOOR.protocol)
        encoder = CHAT_DOOR.encoder(self.chat, call_id=CALL_ID, created=CREATED)
        sent, tokens = b"", 0

        def take(parts: list[Part]) -> None:
            nonlocal sent, tokens
            piece = encoder.write(parts) if parts else None
            if piece is not None:
                sent, tokens = sent + piece.data, tokens + piece.tokens

        for data in arrival:
            if data == NEXT:
                take(list(decoder.end()))
                assert not decoder.done, "it is not to be asked for more"
                self.asked_next.append(continued(decoder, self.dialect.to_upstream(self.chat, self.target)).body)
            else:
                take(list(decoder.feed(data)))
            if decoder.done or decoder.failure:
                break
        else:
            take(list(decoder.end()))
        failure = decoder.failure
        sent += b"" if failure else encoder.closing(decoder.closing(None))
        return Outcome(sent, tokens, msgspec.to_builtins(decoder.usage()), failure and told(failure, after_pieces=sent != b""))

    def faults(self, sent: bytes) -> list[str]:
        """What the client could complain of in a complete answer."""
        if self.chat.stream:
            return check_stream(sent, include_usage=self.chat.include_usage, choices=self.flags.get("choices", self.chat.choices))
        return check_answer(sent)


def told(failure: UpstreamFailed, *, after_pieces: bool) -> dict[str, Any]:
    """What a case says of a failure."""
    return {"code": failure.error.code, "status": failure.error.status, "after_pieces": after_pieces}


def cases(folder: Path) -> list[Path]:
    """The cases of a dialect."""
    return sorted(path for path in folder.iterdir() if path.is_dir())


def parts_of(*bodies: bytes) -> list[bytes]:
    """The parts of an answer, as `play` takes them."""
    return [each for body in bodies for each in (NEXT, body)][1:]


def arrivals_in_parts(first: bytes, rest: bytes) -> Iterable[list[bytes]]:
    """Yield the ways in which an answer in two parts may arrive: of each the ways in which a body may."""
    yield from ([*arrival, NEXT, rest] for arrival in arrivals(first))
    yield from ([first, NEXT, *arrival] for arrival in arrivals(rest))


def arrivals(body: bytes) -> Iterable[list[bytes]]:
    """Yield the ways in which a body may arrive: in two parts at every split, and byte by byte. `make quick` takes every tenth split."""
    step = max(1, len(body) // repeats(SPLITS_MAX))
    splits = [at for at in range(1, len(body)) if at % step == 0 or body[at - 1] in FRAGILE or body[at] in FRAGILE]
    for split in some(splits):
        yield [body[:split], body[split:]]
    yield [body[place : place + 1] for place in range(len(body))]


def values(body: bytes, *, stream: bool) -> list[object]:
    """The JSON of a body's events, or of the one document."""
    if not stream:
        return [json.loads(body)] if body else []
    return [
        event if event == "data: [DONE]" else json.loads(event.removeprefix("data: ")) for event in body.decode().split("\n\n") if event
    ]


def check_case(case: DialectCase) -> None:
    """Compare what a case says with what comes of it, however the vendor's bytes arrive."""
    if case.has("asked.json"):
        assert case.asked() == case.json("asked.json")
    if not case.upstream:
        return
    rest = case.next
    outcome = case.play(parts_of(case.upstream, rest) if rest else [case.upstream])
    assert outcome.failure == case.json("failure.json")
    stream = case.chat.stream
    client = b"".join((case.folder / f"client.{kind}").read_bytes() for kind in ("sse", "json") if case.has(f"client.{kind}"))
    assert values(outcome.sent, stream=stream) == values(client, stream=stream)
    wanted = case.json("usage.json", {})
    assert {name: outcome.usage[name] for name in wanted} == wanted
    if outcome.failure is None:
        assert case.faults(outcome.sent) == []
    for arrival in arrivals_in_parts(case.upstream, rest) if rest else arrivals(case.upstream):
        assert case.play(arrival) == outcome, f"another outcome when split after {len(arrival[0])} bytes"
