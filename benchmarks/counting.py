"""What it costs to count the tokens of a stream that may be cut, by each way of counting. No sockets and no call."""

from __future__ import annotations

import time
from collections.abc import Callable

from aisa.tokenizers.on_demand import load_tokenizer
from aisa.wire.learned_meter import LearnedMeter, LearnedRate
from aisa.wire.token_meter import BY_VENDOR, PIECES, SIZE, UNIT, TokenMeter
from benchmarks.plan import CALL_COUNT_BUDGET_US, CHUNK_COUNT_BUDGET_US, TOKEN_COUNT_BUDGET_US, Plan
from benchmarks.report import Row, Table, spread, verdict

CHUNKS = 200  # of a stream
STREAMS = 200  # a round
READ_CHUNKS = 10  # that a read of a vendor in a hurry brings
TEXT = b"The quick brown fox jumps over the lazy dog , again and again .".split(b" ")
WORDS = [b" " + TEXT[at % len(TEXT)] for at in range(CHUNKS)]
LEARNED = LearnedRate(UNIT + UNIT // 8, UNIT // 12, UNIT // 2, 64)


def counting(plan: Plan) -> Table:
    """Measure a meter's life and a chunk of each way of counting. Ways take turns, round by round."""
    tokenizer = load_tokenizer("o200k_base")
    ways: list[tuple[str, Callable[[], float], float]] = [
        ("a stream without text: a meter made, asked and forgotten", per_stream, CALL_COUNT_BUDGET_US),
        ("1 running count of the vendor, a chunk", told, CHUNK_COUNT_BUDGET_US),
        ("3 learned, a chunk that comes alone", lambda: alone(lambda: LearnedMeter(LEARNED)), CHUNK_COUNT_BUDGET_US),
        ("4 pieces, a chunk that comes alone", lambda: alone(TokenMeter), CHUNK_COUNT_BUDGET_US),
        ("3 learned, ten chunks a read", lambda: together(lambda: LearnedMeter(LEARNED)), CHUNK_COUNT_BUDGET_US),
        ("4 pieces, ten chunks a read", lambda: together(TokenMeter), CHUNK_COUNT_BUDGET_US),
        ("5 size, a chunk that comes alone", lambda: alone(lambda: TokenMeter(SIZE)), CHUNK_COUNT_BUDGET_US),
        ("2 tokenizer (o200k), a token", lambda: alone(lambda: TokenMeter(PIECES, tokenizer)), TOKEN_COUNT_BUDGET_US),
    ]
    rounds = [[measure() for _, measure, *_ in ways] for _ in range(plan.rounds)]
    rows: list[Row] = []
    for (name, _, budget), column in zip(ways, zip(*rounds, strict=True), strict=True):
        found = spread(list(column))
        rows.append((name, found, verdict(found, budget, "us")))
    how = f"{STREAMS} streams of {CHUNKS} words a round, {plan.rounds} rounds; microseconds of CPU. The rest of a chunk's way is not in it."
    return Table("counting", "What counting costs", how, (("what", 0), ("us", 2), ("", 0)), tuple(rows))


def per_stream() -> float:
    """Return the CPU time of a meter's life, without text."""
    began = time.thread_time()
    for _ in range(STREAMS * CHUNKS):
        meter = TokenMeter()
        assert meter.exact() == 0
        assert meter.way is not None
    return (time.thread_time() - began) * 1e6 / (STREAMS * CHUNKS)


def alone(made: Callable[[], TokenMeter]) -> float:
    """Return the CPU time of a chunk, where each comes by itself; the tokenizer's work at the end is in it."""
    began = time.thread_time()
    for _ in range(STREAMS):
        meter = made()
        add = meter.add_bytes
        for word in WORDS:
            add(word)
        meter.exact()
    return (time.thread_time() - began) * 1e6 / (STREAMS * CHUNKS)


def together(made: Callable[[], TokenMeter]) -> float:
    """Return the CPU time of a chunk, where several come in one read."""
    reads = [WORDS[at : at + READ_CHUNKS] for at in range(0, CHUNKS, READ_CHUNKS)]
    began = time.thread_time()
    for _ in range(STREAMS):
        meter = made()
        for read in reads:
            meter.add_all(read)
    return (time.thread_time() - began) * 1e6 / (STREAMS * CHUNKS)


def told() -> float:
    """Return the CPU time of a chunk that comes with the vendor's count."""
    sizes = [[len(word)] for word in WORDS]
    began = time.thread_time()
    for _ in range(STREAMS):
        meter = TokenMeter()
        for number, size in enumerate(sizes, 1):
            meter.tell(number, BY_VENDOR, size)
    return (time.thread_time() - began) * 1e6 / (STREAMS * CHUNKS)
