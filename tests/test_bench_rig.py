"""The bench's own parts: the fake vendor, the clients that check it, the clocks and the report. Measures nothing."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import uvloop

from aisa.testing.clock import run_virtual

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the bench is beside the package, not in it

from benchmarks import instructions, leaks, machine, path, report, speaking, upstream
from benchmarks.against import AIMS, COSTS, MEASURES, in_turn, row
from benchmarks.bench import arguments, plan_of
from benchmarks.bookkeeping import counting_us
from benchmarks.builds import OLDER, REPOSITORY, older
from benchmarks.calls import CALL_MODEL, CallChannel, request
from benchmarks.load import BenchFailed, Load, connect
from benchmarks.microseconds import ENDS, Samples, python_by_folder, shapes
from benchmarks.plan import PACED_CHUNKS, QUICK
from benchmarks.rates import one_round, rates
from benchmarks.served import DoorChannel
from benchmarks.streams import StreamChannel, check_stream, dechunk, finish_streams, open_streams
from benchmarks.subjects import Running, Subject, ask_once, fake_vendor, nginx, nginx_program, started
from benchmarks.upstream import reply_to

from ports import free_port

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="the bench reads /proc and sets kernel timers")

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(answer: Answer | None = None) -> AsyncGenerator[int]:
    """Run the fake vendor, or a server of one coroutine per connection, in this process; yields its port."""
    server = await (asyncio.start_server(answer, "127.0.0.1", 0) if answer else upstream.listen())
    async with server:
        yield int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Hold one connection open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def raw_answer(model: str, *, ends: bytes, extra: dict[str, Any]) -> bytes:
    """Return what the fake vendor sends for a streamed request, up to and with `ends`."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "x"}], "stream": True, **extra}).encode()
    async with listening() as port, connected(port) as (reader, writer):
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return await reader.readuntil(ends)


def events_of(answer: bytes) -> list[Any]:
    """Return the JSON events of a whole streamed answer; `[DONE]` as a string."""
    text = dechunk(answer.partition(b"\r\n\r\n")[2]).decode()
    return [line[6:] if line == "data: [DONE]" else json.loads(line[6:]) for line in text.split("\n\n") if line]


def test_the_fake_vendor_streams_what_its_model_name_says_as_the_dialect_says_it() -> None:
    """Role once, numbered words, one finish reason, usage because it was asked for, `[DONE]` last."""
    extra = {"stream_options": {"include_usage": True}}
    role, *words, finish, usage, done = events_of(run_virtual(raw_answer("bench-3x20", ends=upstream.LAST_CHUNK, extra=extra)))
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [word["choices"][0]["delta"] for word in words] == [{"content": f" w00000{number}"} for number in range(3)]
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["completion_tokens"], done) == ([], 3, "[DONE]")


def test_the_fake_vendor_sends_no_usage_unless_asked() -> None:
    """Without include_usage no event of a stream has a usage field."""
    events = events_of(run_virtual(raw_answer("bench-2x0", ends=upstream.LAST_CHUNK, extra={})))
    assert [event for event in events if "usage" in event] == []


def test_a_paced_stream_takes_its_chunks_times_its_pace() -> None:
    """Fifty chunks 20 ms apart and the ending come within 1.02 s of the loop's clock, and not sooner."""

    async def seconds() -> float:
        began = asyncio.get_running_loop().time()
        await raw_answer("bench-50x20", ends=upstream.LAST_CHUNK, extra={})
        return asyncio.get_running_loop().time() - began

    assert run_virtual(seconds()) == pytest.approx(51 * 0.02, abs=0.005)


def test_a_silent_stream_begins_and_stays_open() -> None:
    """After the role chunk the fake vendor neither writes nor hangs up."""

    async def silence() -> bool:
        async with listening() as port, connected(port) as (reader, writer):
            writer.write(request("bench-silent", stream=True))
            await reader.readuntil(b"\n\n\r\n")
            done, _ = await asyncio.wait([reading := asyncio.ensure_future(reader.read(1))], timeout=30)
            reading.cancel()
            return not done

    assert run_virtual(silence())


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"model":"bench-1x1","messages":[]}', b'{"model":"x","messages":[1],"stream":true}'])
def test_the_fake_vendor_refuses_what_it_has_no_script_for(body: bytes) -> None:
    """A gateway that garbles the request is seen by its status, not by a stream that never comes."""
    assert upstream.reply_to(body).first.startswith(b"HTTP/1.1 40")


def test_calls_and_streams_run_in_a_closed_loop_and_are_counted() -> None:
    """Every answer that a closed loop counts has been checked, and every stream brought all of its chunks."""

    async def drive() -> tuple[int, int, int]:
        async with listening() as port:
            calls = Load(await connect(lambda: CallChannel(request("bench-model")), port, 4))
            streams = await connect(lambda: StreamChannel(request("bench-200x0", stream=True), 200), port, 2)
            await calls.closed(0.3)
            load = Load(streams)
            await load.closed(0.3)
            calls.leave()
            load.leave()
            return calls.answers, load.answers, sum(stream.check() for stream in streams)

    calls, streams, chunks = uvloop.run(drive())
    assert calls > 4
    assert chunks == 200 * streams > 400


def test_an_open_loop_begins_as_many_calls_as_its_rate_says() -> None:
    """A tenth of a second at 500 calls/s is fifty latencies, each a sane number of seconds."""

    async def drive() -> list[float]:
        async with listening() as port:
            load = Load(await connect(lambda: CallChannel(request("bench-model")), port, 8))
            await load.open(500, 0.1)
            load.leave()
            return load.latencies

    latencies = uvloop.run(drive())
    assert len(latencies) == 50
    assert 0 < min(latencies) <= max(latencies) < 5


def test_an_open_loop_charges_a_stall_to_every_call_that_was_due_during_it() -> None:
    """With one connection and a vendor that needs 50 ms a call, the wait of a call due every 10 ms grows from call to call."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            await asyncio.sleep(0.05)
            writer.write(upstream.completion("bench-model").first)
        writer.close()

    async def drive() -> list[float]:
        async with listening(slow) as port:
            load = Load(await connect(lambda: CallChannel(request("bench-model")), port, 1))
            await load.open(100, 0.05)
            load.leave()
            return load.latencies

    latencies = uvloop.run(drive())
    assert [later - earlier > 0.03 for earlier, later in pairwise(latencies)] == [True] * 4


def test_an_open_loop_charges_its_own_lateness_to_the_calls() -> None:
    """When the client itself is held up, the calls that it could not send in time have waited for as long."""

    def hold_up() -> None:
        until = time.perf_counter() + 0.06
        while time.perf_counter() < until:
            pass

    async def drive() -> list[float]:
        async with listening() as port:
            load = Load(await connect(lambda: CallChannel(request("bench-model")), port, 8))
            asyncio.get_running_loop().call_later(0.02, hold_up)
            await load.open(100, 0.1)
            load.leave()
            return load.latencies

    assert sum(latency > 0.015 for latency in uvloop.run(drive())) >= 4


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\n w000000 ", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]
)
def test_a_call_without_a_200_and_the_vendors_text_ends_the_bench(answer: bytes) -> None:
    """A subject cannot become fast by refusing, nor by answering something else."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(answer)
        writer.close()

    async def drive() -> None:
        async with listening(refuse) as port:
            await Load(await connect(lambda: CallChannel(request("bench-model")), port, 1)).closed(0.05)

    with pytest.raises(BenchFailed, match="not answered with a 200"):
        uvloop.run(drive())


def test_a_stream_that_is_cut_off_ends_the_bench() -> None:
    """A connection lost inside a stream is a failure even when the chunks so far were right."""
    beginning = b"".join(upstream.events("bench-3x0", 3, with_usage=False))[:600]

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(upstream.STREAM_HEAD + beginning)
        writer.close()

    async def drive() -> None:
        async with listening(cut) as port:
            await finish_streams(await open_streams(port, request("bench-3x0", stream=True), chunks=3, count=2), 1)

    with pytest.raises(BenchFailed, match="the connection was lost inside an answer"):
        uvloop.run(drive())


def whole_stream(chunks: list[bytes]) -> bytes:
    """Return a complete response made of these chunks of a body."""
    return upstream.STREAM_HEAD + b"".join(chunks) + upstream.LAST_CHUNK


CHUNKS = list(upstream.events("bench-5x0", 5, with_usage=False))


def test_a_stream_is_whole_however_its_body_is_cut_into_chunks() -> None:
    """A proxy may frame the bytes anew at any place, inside a number too."""
    text = dechunk(b"".join(CHUNKS) + upstream.LAST_CHUNK)
    for size in (1, 7, 100, len(text)):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        check_stream(whole_stream([b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]), 5)


@pytest.mark.parametrize(
    "chunks",
    [
        CHUNKS[:2] + CHUNKS[3:],
        CHUNKS[:2] + CHUNKS[1:],
        [*CHUNKS[:2], CHUNKS[3], CHUNKS[2], *CHUNKS[4:]],
        CHUNKS[:-1],
        CHUNKS[:-2] + CHUNKS[-1:],
    ],
    ids=["one missing", "one twice", "two swapped", "no DONE", "no finish reason"],
)
def test_a_stream_with_a_fault_is_refused(chunks: list[bytes]) -> None:
    """Each chunk is asked for by its number, and so is the end."""
    check_stream(whole_stream(CHUNKS), 5)
    with pytest.raises(BenchFailed):
        check_stream(whole_stream(chunks), 5)


@pytest.mark.parametrize("address", speaking.SPOKEN)
def test_the_vendor_of_other_doors_says_as_many_words_as_a_paced_stream_has_one_by_one(address: bytes) -> None:
    """And a stream that lacks one of them, or its end, ends the bench."""
    reply = speaking.said(address, stream=True)
    assert len(reply.rest) == PACED_CHUNKS + 1
    channel = DoorChannel(b"", address.decode().strip("/ "))
    for lost, end in ((0, PACED_CHUNKS + 1), (7, PACED_CHUNKS + 1), (0, PACED_CHUNKS)):
        pieces = [piece for place, piece in enumerate(reply.rest[:end], 1) if place != lost]
        whole = not lost and end > PACED_CHUNKS
        channel.finished = [b"".join([reply.first, *pieces, *([] if whole else [upstream.LAST_CHUNK])])]
        with nullcontext() if whole else pytest.raises(BenchFailed, match="not whole"):
            assert channel.check() == PACED_CHUNKS


def test_the_process_clock_counts_work_and_not_waiting() -> None:
    """A twentieth of a second of arithmetic is seen on the CPU clock of another process's kind, to a millisecond."""
    mine = [os.getpid()]
    before, own = machine.cpu_seconds(mine), time.process_time()
    while time.process_time() - own < 0.05:
        pass
    assert machine.cpu_seconds(mine) - before == pytest.approx(time.process_time() - own, abs=0.005)


def test_the_fake_vendor_and_a_proxy_run_as_programs_and_their_memory_is_read() -> None:
    """The vendor starts on a port of its own, answers a call, is a process with memory, and ends with the bench."""
    with fake_vendor() as (port, pid):
        answer = ask_once(Subject("direct", (), port, Path()))
        held = machine.memory(machine.tree(pid))
        assert pid in machine.tree(os.getpid())
        assert answer.startswith("HTTP/1.1 200 ")
        assert 0 < held.pss <= held.rss
    with pytest.raises(OSError, match=r"."):
        machine.cpu_seconds([pid])


@pytest.mark.skipif(nginx_program() is None, reason="nginx is not installed")
def test_nginx_relays_a_stream_chunk_by_chunk(tmp_path: Path) -> None:
    """The yardstick's configuration is accepted, and a silent stream's role chunk comes through a master and one worker."""

    async def drive(subject: Subject) -> int:
        channels = await open_streams(subject.port, request("bench-silent", stream=True), chunks=0, count=3)
        for channel in channels:
            channel.leave()
        return sum(channel.events for channel in channels)

    with fake_vendor() as (port, _), started(nginx(tmp_path, port)) as running:
        assert uvloop.run(drive(running.subject)) == 3
        assert len(running.pids) == 2


def test_ratios_pair_the_rounds_and_verdicts_judge_their_median() -> None:
    """A slow minute that hits both subjects in one round does not move the ratio."""
    ratio = report.ratios([20.0, 40.0, 24.0], [10.0, 20.0, 10.0])
    assert ratio == report.Spread(2.0, 2.0, 2.4)
    assert report.verdict(ratio, 2.0, "x nginx") == "within (<= 2 x nginx)"
    assert report.verdict(2.01, 2.0, "ms") == "over (<= 2 ms)"


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 50), (99, 99), (100, 100)])
def test_a_percentile_is_a_value_that_was_seen(percent: float, expected: float) -> None:
    """Of the numbers one to a hundred the p-th percentile is p."""
    assert report.percentile([float(number) for number in range(100, 0, -1)], percent) == expected


TABLE = report.Table("calls", "Title", "How.", (("subject", 0), ("us", 1)), (("nginx", report.Spread(1.0, 0.5, 2.0)), ("aisa", None)))


def test_a_table_is_the_same_figures_as_text_as_markdown_and_as_values() -> None:
    """Each rendering holds the median and the spread, and a dash or null where there is no figure."""
    assert "nginx    1.0 (0.5-2.0)\naisa     -" in report.as_text(TABLE)
    assert "| nginx | 1.0 (0.5-2.0) |\n| aisa | - |" in report.as_markdown(TABLE)
    assert report.as_values(TABLE)["rows"] == [
        {"subject": "nginx", "us": {"median": 1.0, "low": 0.5, "high": 2.0}},
        {"subject": "aisa", "us": None},
    ]


def test_writing_the_page_changes_only_what_is_between_the_markers(tmp_path: Path) -> None:
    """Prose around the figures survives, and writing twice is writing once."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    for _ in range(2):
        report.put_between_markers(page, "new")
        assert page.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"


def test_options_choose_what_is_measured_and_for_how_long() -> None:
    """`chunks` stands for both kinds of chunks, a quick run has fewer rounds, and a number given wins."""
    options = arguments(["--quick", "--only", "calls,chunks", "--streams", "50"])
    assert options.only == ["calls", "paced", "burst"]
    assert plan_of(options).streams == 50
    assert plan_of(options).rounds < plan_of(arguments([])).rounds
    assert plan_of(arguments(["--rounds", "9"])).rounds == 9


def test_calls_a_second_by_workers_are_measured_only_where_there_are_cores_for_them(tmp_path: Path) -> None:
    """[issue 13] Elsewhere the table says why it has no figures; how many are enough is the plan's, so that it can be tried."""
    table = rates(replace(QUICK, rate_cores=10_000), tmp_path, {})
    assert (table.rows, "10000 are needed" in table.how) == ((), True)
    assert (plan_of(arguments([])).rate_cores, plan_of(arguments(["--rate-cores", "2"])).rate_cores) == (6, 2)


def test_clients_in_processes_of_their_own_count_what_one_vendor_answers_and_tell_of_a_failure() -> None:
    """The load of `rates`: each begins at the moment it is told, and one that fails ends with the reason."""
    with fake_vendor() as (port, pid):
        alone = Running(Subject("vendor", (), port, Path("/nowhere")), (pid,), 0.0)
        plan = replace(QUICK, warm_up_seconds=0.1, call_seconds=0.2)
        found = one_round(alone, 4, [pid], plan=plan, models=(CALL_MODEL, CALL_MODEL))
        assert (found.calls > 10, found.server > 0, found.clients > 0) == (True, True, True)
        nobody = replace(alone, subject=replace(alone.subject, port=free_port()))
        with pytest.raises(BenchFailed, match="connections could be opened"):
            one_round(nobody, 1, [pid], plan=plan, models=(CALL_MODEL,))


def test_what_is_counted_of_a_call_that_has_ended_is_measured() -> None:
    """[issue 13] The cost of metrics is a figure of the bench, judged there: it is some time, and no more than anybody would notice."""
    assert all(0 < microseconds < 1_000 for microseconds in counting_us())


def test_the_path_without_sockets_makes_whole_calls_and_streams(capfd: pytest.CaptureFixture[str]) -> None:
    """What is measured as our own Python is the real path: answers are checked for failure, and each ends before the next is asked."""
    for model, stream in ((CALL_MODEL, False), (path.STREAM_MODEL, True)):
        reply = reply_to(request(model, stream=stream).partition(b"\r\n\r\n")[2])
        whole = b"".join((reply.first, *reply.rest))
        pieces = [whole[start : start + 1_000] for start in range(0, len(whole), 1_000)]
        assert uvloop.run(path.seconds_of_cpu(40, pieces, partial(path.asking, model, stream))) > 0
    with pytest.raises(BenchFailed, match="the path answered"):
        uvloop.run(path.seconds_of_cpu(40, [b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"], partial(path.asking, CALL_MODEL, False)))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("shape", instructions.SHAPES)
def test_every_way_whose_instructions_are_counted_makes_whole_calls(shape: str) -> None:
    """A way whose answer failed, or that asks the wrong vendor, would be counted as anything."""
    for door, dialect in instructions.WAYS:
        switched: list[float] = []

        def switch(switched: list[float] = switched) -> float:
            switched.append(0.0)
            return 0.0

        if instructions.is_counted(door, dialect, shape):
            instructions.counted(door, dialect, shape, switch, calls=2)
            assert len(switched) == 2, (door, dialect)


def test_the_microseconds_of_our_own_python_are_shared_out_by_folder_and_the_bench_is_left_out() -> None:
    """Of a call: some samples fall into the wire's folder, none stays at the bench's, and nobody is asked any more at the end."""
    call = shapes()[0]
    where = python_by_folder(call._replace(calls=call.calls // 4), rounds=1)
    assert where["wire/"] > 0
    assert where["http/"] > 0
    assert ENDS not in where
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_samples_are_taken_between_two_looks_at_the_clock() -> None:
    """And nowhere else; what runs here is none of the package's."""
    samples = Samples()
    began = samples.spent()
    assert signal.getitimer(signal.ITIMER_PROF)[1] > 0
    while not samples.found:
        sum(range(1_000))
    assert samples.spent() > began
    assert set(samples.found) == {ENDS}
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_a_comparison_judges_the_median_of_ratios_within_rounds() -> None:
    """A minute in which everything takes twice as long moves neither ratio nor verdict, and what added nothing is no divisor."""
    aim = AIMS["calls"]
    title, before, after, unit, ratio, judged = row(aim, [(200.0, 90.0), (400.0, 180.0), (100.0, 60.0)])
    assert (title, unit) == (aim.title, "us")
    assert (before, after) == (report.Spread(200.0, 100.0, 400.0), report.Spread(90.0, 60.0, 180.0))
    assert ratio == report.Spread(0.45, 0.45, 0.6)
    assert judged == "within (<= 0.5 x)"
    assert row(aim, [(-0.1, 0.2), (2.0, 3.0)])[4] == report.Spread(1.5, 1.5, 1.5)
    assert row(aim, [(-0.1, 0.2)])[4:] == (None, "")


def test_a_long_soak_is_judged_by_the_slope_of_its_second_half() -> None:
    """What a start takes does not count; 3 MiB an hour are too many for one hour, 1.5 for a release, and a short run has no slope."""
    rising = [leaks.Reading(60.0 * minute, 50.0 + 30.0 * min(minute, 20) / 20 + 3.0 * minute / 60) for minute in range(61)]
    slope = leaks.slope_mib(rising)
    assert slope == pytest.approx(3.0)
    assert leaks.judged(rising, 1.0) == (False, "+3.00 MiB an hour over the second half (<= 2)")
    slower = [leaks.Reading(60.0 * minute, 50.0 + 1.5 * minute / 60) for minute in range(241)]
    assert [leaks.judged(slower, hours)[0] for hours in (1.0, 4.0)] == [True, False]
    steady, words = leaks.judged(slower[:10], 0.15)
    assert steady
    assert words.endswith("too short to judge")
    assert leaks.slope_mib(slower[:1]) is None


def test_the_allocators_last_words_are_read_from_a_log_and_the_kernels_kinds_add_up() -> None:
    """Of an allocator that spoke twice the second time counts; heap, arenas and files are all that is resident."""
    said = "# arenas allocated current           =                   3\n# bytes in allocated blocks        =            1,040,480\n"
    assert leaks.allocator_figures(said.replace("3", "2") + "noise\n" + said) == {"arenas": 3, "used bytes": 1_040_480}
    assert leaks.allocator_figures("") == {}
    kinds = leaks.kinds_mib([os.getpid()])
    assert sum(kinds.values()) == pytest.approx(machine.memory([os.getpid()]).rss / 2**20, rel=0.05)
    assert min(kinds.values()) > 0


def test_either_build_goes_first_in_every_other_round() -> None:
    """A load that grows through a run meets both alike, and a pair has the older build's figure first in any case."""
    asked: list[str] = []

    def one(subject: Subject) -> float:
        asked.append(subject.name)
        return 1.0 if subject.name == OLDER else 2.0

    builds = (Subject(OLDER, (), 0, Path()), Subject("aisa", (), 0, Path()))
    assert in_turn(3, builds, one) == [(1.0, 2.0)] * 3
    assert asked == ["aisa", OLDER, OLDER, "aisa", "aisa", OLDER]


def test_a_comparison_measures_what_has_an_aim_and_is_asked_for_by_a_revision() -> None:
    """With `--against` the default is everything that there is to compare, and every cost that is measured has its line."""
    assert arguments(["--against", "v1"]).only == list(MEASURES)
    assert set(COSTS) <= set(AIMS)


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a clone")
def test_an_older_build_is_the_files_of_its_commit(tmp_path: Path) -> None:
    """It is run from a folder of its own, with its own code first on the path; what is no commit ends the bench."""
    build, name = older("HEAD", tmp_path)
    assert (tmp_path / "src" / "aisa" / "relay.py").is_file()
    assert (tmp_path / "benchmarks" / "bench.py").is_file()
    assert build.environment == {"PYTHONPATH": str(tmp_path / "src")}
    assert build.tree == tmp_path
    assert 4 <= len(name) <= 40
    with pytest.raises(BenchFailed, match="rev-parse"):
        older("no-such-commit", tmp_path)
