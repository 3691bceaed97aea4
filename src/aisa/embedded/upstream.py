"""The embedded model as a vendor: takes an OpenAI request, answers with the status, headers and bytes that such a vendor would send.

No socket and no network. It is a very small n-gram model (`model.py`) made for trying things out: it behaves as a chat model should, in
streams, tools, limits and log-probabilities, and what it says is only what few pages of text have taught it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Mapping

import msgspec

from aisa.clock import Chance, WallClock
from aisa.embedded.answer import Completion, count_prompt
from aisa.embedded.model import shipped_model
from aisa.embedded.request import Refusal, read_request
from aisa.embedded.vectors import embeddings, ranking
from aisa.embedded.vocabulary import Vocabulary
from aisa.errors import ApiError
from aisa.providers.port import UpstreamRequest

CHAT = "/chat/completions"
#: What it does beside chat: makes an answer of a request, and yields the tokens that were read on the way.
TASKS: Mapping[str, Callable[[object, Vocabulary], Generator[int, None, dict[str, object]]]] = {
    "/embeddings": embeddings,
    "/rerank": ranking,
}
PATHS = (CHAT, *TASKS)
READ_BYTES_MAX = 65_536  # of one read, as the port promises
TURN_BYTES_MAX = 16_384  # written before the event loop gets a turn: log-probabilities of the whole vocabulary take long
TURN_TOKENS_MAX = 32  # likewise; some two milliseconds


class Pace:
    """Keeps an answer at a number of tokens per second, and lets the event loop have its turn in any case."""

    def __init__(self, tokens_per_second: float) -> None:
        self._seconds_per_token = 1 / tokens_per_second if tokens_per_second else 0.0
        self._due = 0.0  # on the loop's clock: when the next token may be shown
        self._tokens = 0
        self._bytes = 0

    @property
    def is_turn_over(self) -> bool:
        """Whether enough was written for now."""
        return self._tokens >= (1 if self._seconds_per_token else TURN_TOKENS_MAX) or self._bytes >= TURN_BYTES_MAX

    def note(self, tokens: int, size: int) -> None:
        """Take note of tokens and bytes written."""
        self._tokens += tokens
        self._bytes += size

    async def turn(self) -> None:
        """Wait until the tokens since the last turn may have been said. A reader who was slow is not made up for."""
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now) + self._tokens * self._seconds_per_token
        self._tokens = self._bytes = 0
        await asyncio.sleep(self._due - now)


class EmbeddedAnswer:
    """An answer of the embedded model; implements `aisa.providers.port.Answer`. Generates when read, never ahead."""

    def __init__(
        self, status: int, content_type: str, *, body: bytes = b"", events: Iterator[tuple[bytes, int]] | None = None, pace: Pace
    ) -> None:
        self._status = status
        self._headers = {"content-type": content_type}
        if body:
            self._headers["content-length"] = str(len(body))
        self._ready = body
        self._events = events or iter(())
        self._pace = pace

    @property
    def status(self) -> int:
        """The HTTP status: 200, 400 or 404."""
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        """The response headers, names in lower case."""
        return self._headers

    async def read(self) -> bytes:
        """Return the next bytes, at most READ_BYTES_MAX, or b"" at the end."""
        if not self._ready:
            written = bytearray()
            for event, tokens in self._events:
                written += event
                self._pace.note(tokens, len(event))
                if self._pace.is_turn_over:
                    break
            if written:
                await self._pace.turn()
            self._ready = bytes(written)
        data, self._ready = self._ready[:READ_BYTES_MAX], self._ready[READ_BYTES_MAX:]
        return data

    def release(self) -> None:
        """Stop generating: there is no connection to keep."""
        self.close()

    def close(self) -> None:
        """Forget the rest of the answer."""
        self._ready = b""
        self._events = iter(())


class EmbeddedUpstream:
    """The way to the embedded model; implements `aisa.providers.port.Upstream`. The model file is read by the first `ask`."""

    def __init__(self, tokens_per_second: float, wall_clock: WallClock, chance: Chance) -> None:
        """`tokens_per_second` 0 means as fast as it goes. `chance` makes ids and, where no seed is given, answers."""
        self._tokens_per_second = tokens_per_second
        self._wall_clock = wall_clock
        self._chance = chance

    def prompt_tokens(self, request: UpstreamRequest) -> int | None:
        """Return the tokens that the answer to a chat would report of its prompt; None for what is refused. Takes up to some 50 ms."""
        try:
            return count_prompt(read_request(msgspec.json.decode(request.body)), shipped_model())
        except (msgspec.DecodeError, Refusal):
            return None

    async def ask(self, request: UpstreamRequest) -> EmbeddedAnswer:
        """Answer a POST to one of its paths. Never raises UpstreamFailed; what cannot be done is a status 400."""
        pace, path = Pace(self._tokens_per_second), request.path.partition("?")[0]
        if path not in PATHS:
            return refusal(404, Refusal(f"Invalid URL (POST {request.path})", None, None), pace)
        try:
            body: object = msgspec.json.decode(request.body)
            if path != CHAT:
                return await answered(TASKS[path](body, shipped_model().vocabulary))
            completion = Completion(body, model=shipped_model(), chance=self._chance, created=int(self._wall_clock()))
        except msgspec.DecodeError as error:
            return refusal(400, Refusal(f"The body is not valid JSON: {error}.", None, None), pace)
        except Refusal as error:
            return refusal(400, error, pace)
        if completion.stream:
            return EmbeddedAnswer(200, "text/event-stream; charset=utf-8", events=events_of(completion), pace=pace)
        whole = await drive(completion.whole(), pace)
        return EmbeddedAnswer(200, "application/json", body=msgspec.json.encode(whole) + b"\n", pace=pace)


async def answered(steps: Generator[int, None, dict[str, object]]) -> EmbeddedAnswer:
    """Return the answer of a task, for which nothing is written and which therefore has no pace. Raises Refusal."""
    pace = Pace(0)
    try:
        whole = await drive(steps, pace)
    except ApiError as error:
        raise Refusal(error.message, error.param, None) from None
    return EmbeddedAnswer(200, "application/json", body=msgspec.json.encode(whole), pace=pace)


def events_of(completion: Completion) -> Iterator[tuple[bytes, int]]:
    """Yield each server-sent event of a stream, `[DONE]` last, with the number of tokens in it."""
    for chunk, tokens in completion.chunks():
        yield b"data: " + msgspec.json.encode(chunk) + b"\n\n", tokens
    yield b"data: [DONE]\n\n", 0


async def drive(steps: Generator[int, None, dict[str, object]], pace: Pace) -> dict[str, object]:
    """Run a completion to its end, giving the event loop its turns, and return it."""
    while True:
        try:
            pace.note(next(steps), 0)
        except StopIteration as end:
            await pace.turn()
            whole: dict[str, object] = end.value
            return whole
        if pace.is_turn_over:
            await pace.turn()


def refusal(status: int, error: Refusal, pace: Pace) -> EmbeddedAnswer:
    """Return an answer that is an OpenAI error."""
    details = {"message": str(error), "type": "invalid_request_error", "param": error.param, "code": error.code}
    return EmbeddedAnswer(status, "application/json", body=msgspec.json.encode({"error": details}), pace=pace)
