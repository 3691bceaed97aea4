"""Facts as lines on standard error: one JSON object each, or what `columns.py` makes for people. Writes off the path; holds no secret."""

from __future__ import annotations

import asyncio
import errno
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import BinaryIO, cast, get_type_hints

import msgspec

from aisa.clock import SECONDS_PLACES, WallClock
from aisa.facts import CallEnded, Fact, ServerWarning
from aisa.observe.levels import INFO, LEVELS, level_of

#: Facts kept while standard error does not take them; beyond, they are dropped and counted. About 5 MB.
WAITING_FACTS_MAX = 10_000
WAITING_BATCHES_MAX = 200
LINE_CHARACTERS_MAX = 8_000  # of the texts in one line; a long trace has 4,000
LINE_BYTES_MAX = 3 * LINE_CHARACTERS_MAX  # no line is looked at closer below it
LISTED_MAX = 20  # entries of a list in a line that is too long
FLUSH_SECONDS = 0.05  # facts of one burst are written together

Stamped = tuple[float, Fact]
JSON = msgspec.json.Encoder(enc_hook=str)  # of all that is no value of JSON there is a trace, which writes itself


class Log:
    """Collects facts on the event loop and writes them from a thread of its own, so that a slow terminal never slows a call."""

    def __init__(self, out: BinaryIO, line: Callable[[float, Fact], bytes], wall_clock: WallClock) -> None:
        self._out = LinesOut(out, lambda said: line(wall_clock(), ServerWarning(said)))
        self._line = line
        self._wall_clock = wall_clock
        self._waiting: list[Stamped] = []
        self._dropped = 0
        self._armed = False
        self._batches: queue.SimpleQueue[list[Stamped] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def report(self, fact: Fact) -> None:
        """Note a fact. Returns at once."""
        if len(self._waiting) >= WAITING_FACTS_MAX or self._batches.qsize() >= WAITING_BATCHES_MAX:
            self._dropped += 1
            return
        self._waiting.append((self._wall_clock(), fact))
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def trouble(self) -> str | None:
        """Say why lines are lost now, None if they are not. From any thread."""
        lost, why = self._out.lost, self._out.why
        return f"The log cannot be written, {lost:,} line{' is' if lost == 1 else 's are'} lost so far: {why}." if lost else None

    def close(self) -> None:
        """Write what is left, waiting a few seconds at most."""
        self._flush()
        self._batches.put(None)
        self._thread.join(CLOSE_SECONDS_MAX)

    def _flush(self) -> None:
        self._armed = False
        batch, self._waiting = self._waiting, []
        if self._dropped:
            batch.append((self._wall_clock(), ServerWarning(f"{self._dropped} log lines were dropped: standard error was too slow")))
            self._dropped = 0
        self._batches.put(batch)

    def _write(self) -> None:
        while (batch := self._batches.get()) is not None:
            with suppress(ValueError):  # a fact cannot be written; the server and the thread go on
                self._out.write(b"".join([self._line(at, fact) for at, fact in batch]))


CLOSE_SECONDS_MAX = 2.0


class LinesOut:
    """Where lines go. What is not taken (a full disk, a reader who has left) is lost, counted, and told once lines are taken again.

    Nothing of it is kept: a disk may be full for days. `told` makes the line that says so.
    """

    def __init__(self, out: BinaryIO, told: Callable[[str], bytes]) -> None:
        self._out = getattr(out, "raw", out)  # what a buffer keeps of a failed write would come later, or in part
        self._told = told
        self.lost = 0
        self.why = ""
        self._torn = False  # the last line that was taken has no end

    def write(self, lines: bytes) -> None:
        """Write lines. Returns whatever becomes of them."""
        if not lines:
            return
        before = b"\n" if self._torn else b""
        if self.lost:
            before += self._told(f"{self.lost:,} log line{' was' if self.lost == 1 else 's were'} lost: {self.why}")
        rest = memoryview(before + lines)
        try:
            while rest:
                taken = self._out.write(rest)
                if not taken:  # a pipe that waits for nobody is full
                    raise BlockingIOError(errno.EAGAIN, "standard error takes nothing")
                rest = rest[taken:]
        except (OSError, ValueError) as error:
            written = len(before) + len(lines) - len(rest)
            self._torn = not (before + lines)[:written].endswith(b"\n") if written else self._torn
            # A line that lacks its end alone is there: the next write begins with that.
            told = written >= len(before) - 1
            there = written > len(before) and bytes(rest[:1]) == b"\n"
            self.lost = (0 if told else self.lost) + bytes(rest[-len(lines) :]).count(b"\n") - there
            self.why = getattr(error, "strerror", None) or str(error)
        else:
            self.lost, self._torn = 0, False


@lru_cache(1)
def second_text(second: int) -> str:
    """Return a UNIX second in ISO 8601; all lines of a second share it."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class JsonLines:
    """Writes facts from a level on as JSON, and nothing of the others."""

    def __init__(self, least: str = INFO) -> None:
        self._shown = LEVELS[LEVELS.index(least) :]

    def __call__(self, at: float, fact: Fact) -> bytes:
        """Return a fact's line, none if it is below the level. `at` is in UNIX seconds."""
        level = level_of(fact)
        return json_line(at, fact, level) if level in self._shown else b""


def json_line(at: float, fact: Fact, level: str = "") -> bytes:
    """Write a fact as one JSON object; `type` says which fact, `level` how much it matters, `time` is ISO 8601 in UTC."""
    written = JSON.encode(fact if type(fact) is CallEnded else rounded(fact))  # calls are many, and made with round times
    if len(written) > LINE_BYTES_MAX or len(written := in_one_line(written)) > LINE_BYTES_MAX:
        written = in_one_line(JSON.encode(shortened(fact)))
    second, millisecond = divmod(int(at * 1000), 1000)
    begin = f'{{"time":"{second_text(second)}.{millisecond:03}+00:00","level":"{level or level_of(fact)}",'
    return begin.encode() + written[1:] + b"\n"  # a fact is an object, never an empty one


def in_one_line(written: bytes) -> bytes:
    """Return JSON without what some reader takes for a line's end (U+2028) or a terminal for a command (U+009B): it is escaped."""
    if written.isascii() or (text := written.decode()).isprintable():
        return written
    return "".join([character if character.isprintable() else escaped(character) for character in text]).encode()


def escaped(character: str) -> str:
    """Return what JSON takes for a character, and U+FFFD for one that would take two escapes."""
    return f"\\u{ord(character):04x}" if character <= "\uffff" else "\ufffd"


@lru_cache(None)  # as many as there are kinds of facts
def seconds_of(kind: type[Fact]) -> tuple[str, ...]:
    """Return the fields of a kind of facts that are measured."""
    return tuple(name for name, hint in get_type_hints(kind).items() if "float" in str(hint))


def rounded(fact: Fact) -> Fact:
    """Return a fact whose measured times have the digits that mean something."""
    names = seconds_of(type(fact))
    measured = {name: round(value, SECONDS_PLACES) for name in names if isinstance(value := getattr(fact, name), float)}
    return msgspec.structs.replace(fact, **measured) if measured else fact


def shortened(fact: Fact) -> Fact:
    """Return a fact whose texts fit a line together."""
    fields = {name: getattr(fact, name) for name in fact.__struct_fields__}
    texts = {name: cast("str | tuple[str, ...]", value) for name, value in fields.items() if isinstance(value, str | tuple)}
    room = LINE_CHARACTERS_MAX // len(texts)
    return msgspec.structs.replace(fact, **{name: cut(value, room) for name, value in texts.items()})


def cut(value: str | tuple[str, ...], characters_max: int) -> str | tuple[str, ...]:
    """Return a text or a list of texts of at most so many characters."""
    if isinstance(value, str):
        return middle_cut(value, characters_max)
    return tuple(middle_cut(each, characters_max // LISTED_MAX) for each in value[:LISTED_MAX])


def middle_cut(text: str, characters_max: int) -> str:
    """Return a text without its middle if it is too long: a trace says what happened at its end."""
    half = characters_max // 2
    return text if len(text) <= characters_max else f"{text[:half]} … {text[-half:]}"
