"""What the tests of the path share: the path in front of scripted vendors, and one call through it. Not a test."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from aisa.admission.unlimited import Unlimited
from aisa.answer import Piece
from aisa.background_reads import BackgroundReads
from aisa.call import Call
from aisa.config.schema import Config, Model, Prices, Stream, Vendor
from aisa.context import Dependencies
from aisa.facts import Fact
from aisa.keys.rules import Key
from aisa.large_events import LargeEvents
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.notices import Notices
from aisa.prices.rules import LookUp
from aisa.providers.port import Upstream
from aisa.providers.shape import Decoder
from aisa.providers.tasks import DIALECTS
from aisa.relay import relay
from aisa.routing import Routes
from aisa.testing.client import MemoryClient
from aisa.testing.upstream import Break, Script, ScriptedUpstream, Stall
from aisa.timers import Timers
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door, Request
from ledger_rig import ledger_into

__all__ = ["Break", "MemoryClient", "Script", "ScriptedUpstream", "Stall"]

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "some-model"}
OPENING = {"role": "assistant", "content": "", "refusal": None}
DONE = b"data: [DONE]\n\n"


def event(value: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> bytes:
    """One chunk of a vendor's stream."""
    return event({**HEAD, "choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}]})


def text(*words: str) -> list[bytes]:
    """An opening and one chunk a word."""
    return [chunk(OPENING), *(chunk({"content": word}) for word in words)]


def usage(prompt: int, completion: int) -> bytes:
    """The usage chunk."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return event({**HEAD, "choices": [], "usage": counts})


def whole_stream(*words: str) -> list[bytes]:
    """A complete stream, with usage as vendors send it when asked."""
    return [*text(*words), chunk({}, "stop"), usage(9, len(words)), DONE]


def document(content: str = "Hello.") -> bytes:
    """A complete answer that is not streamed."""
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    return json.dumps({**HEAD, "object": "chat.completion", "choices": [choice], "usage": counts}).encode()


def body(**fields: object) -> bytes:
    """A chat request."""
    return json.dumps({"model": "fast", "messages": [{"role": "user", "content": "Hi."}], **fields}).encode()


def closing_of(decoder: Decoder, cost_usd: str | None) -> bytes:
    """What a decoder for the chat door gives back once the bill is settled."""
    return b"".join(part.data for part in decoder.closing(cost_usd) if isinstance(part, Piece))


class OneKey:
    """Lets everybody in."""

    def verify(self, secret: str | None) -> Key:
        """Return the one key."""
        return Key("key_1", "test", b"", "sk-…", "active", 0)

    def again(self, key: Key, secret: str) -> Key:
        """Ask anew."""
        return self.verify(secret)

    def known(self, secret: str | None) -> Key | None:
        """Return the same, or None."""
        return self.verify(secret)


async def at_once(_body_bytes: int, task: Callable[[], object]) -> None:
    """Do a task here and now."""
    task()


async def read(door: Door, data: bytes) -> Request:
    """Parse in place."""
    return door.read(data)


class Rig:
    """The path in front of scripted vendors `a`, `b`, … that all serve the model `fast`, in this order, at `each` one's prices.

    `vendor` are further settings of all vendors, `model` those of the model; `look_up` is the catalogue, without which no price is needed.
    """

    def __init__(
        self,
        *upstreams: ScriptedUpstream,
        stream: Stream | None = None,
        wallets: Sequence[Wallet] = (),
        each: Sequence[Prices | None] = (),
        vendor: Mapping[str, Any] = MappingProxyType({}),
        look_up: LookUp | None = None,
        **model: Any,
    ) -> None:
        names = [chr(ord("a") + position) for position in range(len(upstreams))]
        priced = dict(zip(names, each, strict=False))
        vendors = {
            name: Vendor(
                base_url=f"http://{name}.example:9/v1",
                api_key=f"secret-of-{name}",
                prices={} if (prices := priced.get(name)) is None else {"some-model": prices},
                **vendor,
            )
            for name in names
        }
        model = {"name_in_answers": "vendor", **model}  # so that conformant bytes of the scripts pass as they are
        settings = Model(to=tuple(f"{name}/some-model" for name in names), **model)
        config = Config(vendors=vendors, models={"fast": settings})
        self.key = OneKey().verify("k")
        self._number = 0
        self.facts: list[Fact] = []
        self.rows: list[CallRow] = []
        self.ledger = ledger_into(self.rows, *wallets)
        table: dict[str, Upstream] = dict(zip(names, upstreams, strict=True))
        self.dependencies = Dependencies(
            keys=OneKey(),
            read=read,
            work=at_once,
            routes=Routes(config, look_up),
            admission=Unlimited(),
            ledger=self.ledger,
            dialects=DIALECTS,
            upstreams=table,
            stream=stream or Stream(),
            large_events=LargeEvents((stream or Stream()).large_events_bytes_max),
            chance=random.Random(1),
            report=self.facts.append,
            notices=Notices(self.facts.append),
            timers=Timers(),
            background_reads=BackgroundReads(),
        )

    async def call(self, client: MemoryClient, data: bytes, door: Door = CHAT_DOOR) -> None:
        """Make one call and wait for its end."""
        began = asyncio.get_running_loop().time()
        self._number += 1
        name = f"req_{self._number}"
        call = Call(id=name, key=self.key, body=data, created=1, began=began, headers=[("x-request-id", name)], door=door)
        client.task = asyncio.current_task()
        await relay(call, client, self.dependencies)


def events_of(data: bytes) -> list[Any]:
    """The JSON of each event of a stream, `[DONE]` as text, comments left out."""
    blocks = [block for block in data.decode().split("\n\n") if block.startswith("data: ")]
    return [block[6:] if block == "data: [DONE]" else json.loads(block[6:]) for block in blocks]


def content_of(data: bytes) -> str:
    """The text of choice 0 of a stream."""
    chunks = [item for item in events_of(data) if isinstance(item, dict) and item.get("choices")]
    return "".join(item["choices"][0]["delta"].get("content") or "" for item in chunks)


def outcome(facts: Sequence[Fact]) -> Any:
    """The fact that the call ended."""
    return facts[-1]
