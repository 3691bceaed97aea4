"""What is measured, for how long, against which budget: the numbers of the bench in one place. Does nothing."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.calls import CALL_MODEL

YARDSTICK = "nginx"
JUDGED = "aisa"  # the budgets are ours, not the others'

CALL_CONNECTIONS = 32
PACED_STREAMS = 64
PACED_CHUNKS = 100  # two seconds a stream: 32 new ones a second
PACE_MS = 20
SHORT_CONNECTIONS = 32
BURST_CONNECTIONS = 8
BURST_CHUNKS = 200
FIRST_TOKEN_CHUNKS = 16
WATCH_EVERY = 10  # of many streams, one in so many is read as it comes; reading each costs the client more than the streams cost nginx
STALL_SECONDS = 0.2  # ten paces without a chunk: a reader sees that
SETTLE_SECONDS = 1.0  # for what a start or an opening left behind to be given back

CALL_BUDGET = 3.0  # times nginx
CHUNK_BUDGET = 2.5  # times nginx
ADDED_P50_MS_BUDGET = 0.5
ADDED_P99_MS_BUDGET = 2.0
IDLE_MIB_BUDGET = 90.0
STREAM_KIB_BUDGET = 25.0
START_SECONDS_BUDGET = 1.0
CALL_COUNT_BUDGET_US = 3.0  # of counting a call's tokens, beside what each chunk takes
CHUNK_COUNT_BUDGET_US = 0.3
TOKEN_COUNT_BUDGET_US = 1.0  # by a tokenizer
PACED_DIALECT_BUDGET = 2.0  # times the relay of OpenAI's dialect, of a chunk that comes alone
BURST_DIALECT_BUDGET_US = 6.0  # a chunk
WRITING_BUDGET = 1.5  # times chat on openai, of another door on openai
PASSING_BUDGET = 1.1  # ... of another door whose vendor speaks its own protocol
WORKERS_BUDGET = 1.1  # times one process
STORES_BUDGET = 1.5  # times one process with its own database
ADMISSION_BUDGET_US = 5.0
METRICS_BUDGET_US = 3.0  # a call
RATE_WORKERS = (1, 2, 4)
GAP_MS_BUDGET = 200.0  # added at p99.9
MANY_PACE_MS = 500
ROUTE_BUDGET_US = 20.0  # of a cold plan, beyond that of targets in order

SILENT_MODEL = "bench-silent"
BURST_MODEL = f"bench-{BURST_CHUNKS}x0"
SHORT_MODEL = "bench-1x0"
FIRST_TOKEN_MODEL = f"bench-{FIRST_TOKEN_CHUNKS}x0"


def paced_model(chunks: int) -> str:
    """Return the name of the script that sends so many chunks at the bench's pace."""
    return f"bench-{chunks}x{PACE_MS}"


PACED_MODEL = paced_model(PACED_CHUNKS)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often. Seconds are per subject and round."""

    rounds: int = 5
    warm_up_seconds: float = 0.5
    call_seconds: float = 2.0
    paced_seconds: float = 4.0
    burst_seconds: float = 1.5
    latency_seconds: float = 2.0
    latency_rounds: int = 5
    starts: int = 5
    fresh_rounds: int = 3  # of memory beside an older build: a fresh process and a thousand streams each
    streams: int = 1_000
    crowd_seconds: float = 10.0
    many_streams: int = 5_000
    many_open_seconds: float = 60.0
    many_seconds: float = 20.0
    rate_cores: int = 6  # that the machine must have for calls a second by the number of workers

    @property
    def crowd_chunks(self) -> int:
        """How many chunks each of the many streams has."""
        return round(self.crowd_seconds * 1000 / PACE_MS)

    @property
    def models(self) -> list[str]:
        """Every model that the bench asks for."""
        paced = {PACED_MODEL, paced_model(self.crowd_chunks)}
        return sorted({CALL_MODEL, SILENT_MODEL, BURST_MODEL, SHORT_MODEL, FIRST_TOKEN_MODEL, *paced})


QUICK = Plan(
    rounds=3,
    warm_up_seconds=0.2,
    call_seconds=0.8,
    paced_seconds=1.5,
    burst_seconds=0.5,
    latency_seconds=0.8,
    latency_rounds=1,
    starts=2,
    fresh_rounds=1,
    crowd_seconds=3.0,
    many_streams=500,
    many_open_seconds=6.0,
    many_seconds=5.0,
)
