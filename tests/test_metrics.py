"""Metrics: what is counted is what happened, labels are bounded, and what the dashboard and the alerts ask for is there."""

from __future__ import annotations

import asyncio
import json
import re
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml

from aisa.facts import BugFound, CallEnded, CallQueued, DocumentLost, FolderGone, LedgerAway, LedgerBack, Refused, VendorFailed
from aisa.observe.counters import COUNTERS_BYTES, RECORDS, Counters
from aisa.observe.metrics import SECONDS, SERIES_MAX, Gauge, Metrics, braces, stateless
from aisa.states import START_TIME, held, together
from aisa.usage import Usage
from aisa.workers.crew import Crew
from aisa.workers.office import CrewStates
from server import Server, serving
from test_admin_api import asked_at
from test_reload import asked, until
from vendor import ScriptedVendor

ROOT = Path(__file__).resolve().parents[1]
#: A line of the text format: a name, labels whose quotes are escaped, a number.
LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?[0-9.e+-]+|\+Inf)')


def ended(**more: Any) -> CallEnded:
    """A call that ended."""
    known: dict[str, Any] = {
        "request_id": "req_1",
        "outcome": "completed",
        "status": 200,
        "model": "m",
        "stream": True,
        "key_id": "key_1",
        "key_label": "secret-label",
        "target": "v/m-1",
        "attempts": 1,
        "usage": Usage(input_tokens=10, output_tokens=21),
        "billed_tokens": 21,
        "cost_nanos": 1_500_000_000,
        "first_token_seconds": 0.2,
        "total_seconds": 1.2,
        "bytes_sent": 9,
    }
    return CallEnded(**(known | more))


def read(text: bytes) -> dict[str, float]:
    """Return every sample by its name and labels; each line must be of the format, each family announced once, before its samples."""
    found: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for line in text.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds, f"{name} is announced twice"
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = LINE.fullmatch(line)
            assert match is not None, line
            bare = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert match[1] in kinds or kinds.get(bare) == "histogram", line
            sample = f"{match[1]}{{{match[2]}}}" if match[2] else match[1]
            assert sample not in found, sample
            found[sample] = float(match[3])
    return found


def counted(*facts: Any) -> dict[str, float]:
    """The samples after some facts."""
    metrics = Metrics()
    for fact in facts:
        metrics.note(fact)
    return read(asyncio.run(metrics.text()))


def test_calls_tokens_and_money_are_summed_by_model_and_vendor() -> None:
    """Two targets of one vendor are one; a failed call has its own outcome and costs nothing."""
    found = counted(ended(), ended(target="v/m-2"), ended(outcome="failed", cost_nanos=None, billed_tokens=0, first_token_seconds=None))
    assert found['aisa_calls_total{model="m",vendor="v",outcome="completed",stream="true"}'] == 2
    assert found['aisa_calls_total{model="m",vendor="v",outcome="failed",stream="true"}'] == 1
    assert found['aisa_tokens_total{model="m",vendor="v",side="input"}'] == 30
    assert found['aisa_tokens_total{model="m",vendor="v",side="output"}'] == 42
    assert found['aisa_cost_dollars_total{model="m",vendor="v"}'] == 3.0


def test_answers_that_broke_off_are_counted_by_whose_fault_it_was() -> None:
    """A wallet that was empty in the stream is its caller's; where a bug of ours ended the call, nobody else is to blame."""
    cuts = [ended(outcome="cut", blame=blame) for blame in ("caller", "vendor", "vendor", None)]
    found = counted(*cuts, ended(), ended(outcome="failed", blame="vendor"))
    shares = {sample.partition('blame="')[2][:-2]: value for sample, value in found.items() if sample.startswith("aisa_cut_total{")}
    assert shares == {"caller": 1, "vendor": 2, "server": 1}


def test_waits_for_vendors_limits_are_counted_by_how_they_ended() -> None:
    """How many and how long, of each vendor."""
    waits = [
        CallQueued("req_1", "key_1", "m", "v/m", seconds, ended) for seconds, ended in ((1.5, "served"), (2.0, "served"), (9.0, "left"))
    ]
    found = counted(*waits)
    assert found['aisa_queued_total{vendor="v",ended="served"}'] == 2
    assert found['aisa_queued_seconds_total{vendor="v",ended="served"}'] == 3.5
    assert found['aisa_queued_total{vendor="v",ended="left"}'] == 1


def test_what_slow_clients_and_silent_vendors_cost_is_counted_by_every_process() -> None:
    """[issue 13] Seconds of throttling, which a gauge loses between two readings, and stalls, which no mean between tokens shows."""
    memories = [memoryview(bytearray(COUNTERS_BYTES)) for _ in range(2)]
    for seconds, memory in zip((0.25, 1.5), memories, strict=True):
        process = Metrics(counters=Counters(memory))
        process.note_throttled(seconds)
        process.note_throttled(seconds)
        process.note_silence("v")
    found = read(asyncio.run(Metrics(all_counters=lambda: [Counters(memory) for memory in memories]).text()))
    assert (found["aisa_throttled_seconds_total"], found['aisa_stream_silences_total{vendor="v"}']) == (3.5, 2)
    assert counted()["aisa_throttled_seconds_total"] == 0


def test_times_are_histograms_that_add_up() -> None:
    """Cumulative, the last bucket is the count, a value on a bound is in its bucket."""
    found = counted(ended(), ended(total_seconds=0.1, first_token_seconds=0.1, stream=False), ended(total_seconds=9_999.0))
    assert found['aisa_first_token_seconds_bucket{vendor="v",le="0.1"}'] == 1
    assert found['aisa_first_token_seconds_bucket{vendor="v",le="0.25"}'] == 3
    buckets = [found[f'aisa_call_seconds_bucket{{vendor="v",le="{bound}"}}'] for bound in (*SECONDS, "+Inf")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == found['aisa_call_seconds_count{vendor="v"}'] == 3
    assert found['aisa_call_seconds_sum{vendor="v"}'] == pytest.approx(9_999 + 1.2 + 0.1)
    assert found['aisa_output_token_seconds_count{vendor="v"}'] == 2, "a document has no time between tokens"
    assert found['aisa_output_token_seconds_bucket{vendor="v",le="0.05"}'] == 1


def test_failures_refusals_bugs_and_an_absent_database_are_counted() -> None:
    """By whose fault, by code; away is a state that ends."""
    away, back = LedgerAway("full", "free space"), LedgerBack(1)
    failed = VendorFailed("r", "v", "m", "upstream_unavailable", "d", loud=True, blame="operator")
    lost = DocumentLost("r", "key_1", "laptop", 1)
    facts = (failed, failed, Refused("r", 401, "invalid_api_key", "GET", "/"), BugFound("r", "t"), lost, away)
    found = counted(*facts)
    assert found['aisa_vendor_failures_total{vendor="v",code="upstream_unavailable",blame="operator"}'] == 2
    assert found['aisa_refused_total{code="invalid_api_key"}'] == 1
    assert (found["aisa_bugs_total"], found["aisa_documents_lost_total"], found["aisa_ledger_away"]) == (1, 1, 1)
    assert counted(FolderGone("gone", "put it back"))["aisa_ledger_away"] == 1
    assert counted(*facts, back)["aisa_ledger_away"] == 0


def test_labels_are_bounded_and_say_nothing_of_who_called() -> None:
    """Callers make names up: beyond a bound all are one, and no call is lost. Keys are in no label."""
    found = counted(*(ended(model=f"made-up-{number}", target=f"v/made-up-{number}") for number in range(SERIES_MAX + 50)))
    calls = {sample: value for sample, value in found.items() if sample.startswith("aisa_calls_total")}
    assert len(calls) == SERIES_MAX + 1
    assert sum(calls.values()) == SERIES_MAX + 50
    assert calls['aisa_calls_total{model="other",vendor="v",outcome="completed",stream="true"}'] == 50
    assert "secret-label" not in "".join(found)


def test_labels_are_bounded_in_all_processes_together() -> None:
    """[issue 13] Each process had a bound of its own, and so did each successor of one that died; no call is lost."""
    memories = [memoryview(bytearray(COUNTERS_BYTES)) for _ in range(3)]
    processes = [Metrics(counters=Counters(memory), all_counters=lambda: map(Counters, memories)) for memory in memories]
    for number in range(SERIES_MAX):
        for at, process in enumerate(processes):
            process.note(ended(model=f"made-up-{at}-{number}", target="v/m"))
            process.note(ended(model=f"shared-{number % 10}", target="v/m"))
        if number == SERIES_MAX // 2:
            processes[1] = Metrics(counters=Counters(memories[1]), all_counters=lambda: map(Counters, memories))
    found = {sample: value for sample, value in read(asyncio.run(processes[2].text())).items() if sample.startswith("aisa_calls_total")}
    assert SERIES_MAX - len(processes) <= len(found) <= SERIES_MAX + 1
    assert sum(found.values()) == 2 * 3 * SERIES_MAX
    assert found['aisa_calls_total{model="shared-7",vendor="v",outcome="completed",stream="true"}'] == 3 * SERIES_MAX / 10


def test_what_would_break_the_format_is_escaped() -> None:
    """A model's name may have quotes, backslashes and line ends."""
    assert braces((("model", 'a"b\\c\nd'),)) == '{model="a\\"b\\\\c\\nd"}'
    found = counted(ended(model='x"} 1\naisa_bugs_total 99', target="v/x"))
    assert found["aisa_bugs_total"] == 0


@pytest.mark.parametrize("name", ["a\0b", "\0", "a\x1fb", "a\u2028b", "a\x85b", "\u202eb"])
def test_no_caller_can_make_the_metrics_unreadable_by_a_models_name(name: str) -> None:
    """[fault S11] Prometheus' reader takes no NUL in a label, and throws away all of what it is told then; others end lines at others."""
    metrics = Metrics()
    metrics.note(ended(model=name, target=f"v/{name}"))
    text = asyncio.run(metrics.text()).decode()
    assert text.replace("\n", "").isprintable()
    assert read(text.encode())
    assert [line for line in text.splitlines() if line.startswith("aisa_calls_total{")] != []


def test_states_are_asked_for_at_each_reading() -> None:
    """A gauge has no memory."""

    async def busy() -> list[Gauge]:
        return [Gauge("calls_in_flight", "Calls.", (((("kind", "stream"),), 2.0),))]

    metrics = Metrics(busy)
    assert read(asyncio.run(metrics.text()))['aisa_calls_in_flight{kind="stream"}'] == 2
    metrics.states = stateless
    assert not [name for name in read(asyncio.run(metrics.text())) if "in_flight" in name]


def test_what_several_processes_count_is_told_together_and_stays_when_one_dies() -> None:
    """[issue 13] Two processes and the successor of one, which counts on in the same memory; each alone sees only what it counted."""
    memories = [memoryview(bytearray(COUNTERS_BYTES)) for _ in range(2)]
    office = Metrics(all_counters=lambda: [Counters(memory) for memory in memories])
    one, two = (Metrics(counters=Counters(memory)) for memory in memories)
    failed = VendorFailed("r", "v", "m", "upstream_unavailable", "d", loud=True, blame="operator")
    for fact in (ended(), ended(model="n"), failed):
        one.note(fact)
        two.note(fact)
    successor = Metrics(counters=Counters(memories[1]))
    for fact in (ended(total_seconds=9.0), failed, BugFound("r", "t")):
        successor.note(fact)
    successor.note_untold("invalid_api_key")
    found = read(asyncio.run(office.text()))
    assert found['aisa_calls_total{model="m",vendor="v",outcome="completed",stream="true"}'] == 3
    assert found['aisa_calls_total{model="n",vendor="v",outcome="completed",stream="true"}'] == 2
    assert found['aisa_cost_dollars_total{model="m",vendor="v"}'] == 4.5
    assert found['aisa_call_seconds_sum{vendor="v"}'] == pytest.approx(4 * 1.2 + 9)
    assert found['aisa_vendor_failures_total{vendor="v",code="upstream_unavailable",blame="operator"}'] == 3
    assert (found["aisa_bugs_total"], found['aisa_refused_unlogged_total{code="invalid_api_key"}']) == (1, 1)
    assert read(asyncio.run(one.text()))['aisa_calls_total{model="m",vendor="v",outcome="completed",stream="true"}'] == 1


def test_more_records_than_fit_do_no_harm() -> None:
    """Names beyond all records, or too long for one, are counted where nobody looks: what is there stays right."""
    counters = Counters()
    places = {counters.place(b"%d" % number) for number in range(RECORDS + 10)}
    assert len(places) == RECORDS
    assert counters.place(b"x" * 600) == counters.place(b"another") == max(places)
    counters.words[counters.place(b"7")] += 5
    assert dict(Counters(counters._whole).records())[b"7"] == counters.place(b"7")
    assert len(list(counters.records())) == RECORDS - 1


def test_states_of_several_processes_are_added_up() -> None:
    """But when they began, which is when the first did that has started the others, and their lag, of which the longest is told."""
    ones = [[Gauge("x", "X.", (((("a", "1"),), 2.0),)), Gauge(START_TIME, "S.", (((), float(number)),))] for number in range(3)]
    ones[2][0] = Gauge("x", "X.", (((("a", "2"),), 5.0),))
    for number, states in enumerate(ones):
        states.append(Gauge("lag", "L.", (((), float(number)),), most=True))
    assert together(ones) == [
        Gauge("x", "X.", (((("a", "1"),), 4.0), ((("a", "2"),), 5.0))),
        Gauge(START_TIME, "S.", (((), 0.0),)),
        Gauge("lag", "L.", (((), 2.0),), most=True),
    ]


def test_open_files_of_several_processes_are_those_of_the_fullest() -> None:
    """[issue 13] Each has a limit of its own: of the sums, two workers that had none left and their office had two thirds, and no alert."""
    states = list(held(0.0))
    one, two = ({gauge.name: dict(gauge.values)[()] for gauge in each} for each in (states, together([states, states])))
    assert two["process_open_files_max"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert two["process_open_files"] == one["process_open_files"] > 0
    assert two["process_resident_bytes"] == 2 * one["process_resident_bytes"]


def test_what_is_counted_does_not_fall_while_a_worker_is_missing() -> None:
    """[issue 13] One that stands still does not answer, and processor time fell by all of its own: a new start, to Prometheus."""
    answers = iter([[4_000.0, 5_000.0], [4_010.0], [4_020.0, 5_030.0]])

    class Workers:
        """What is asked of workers of which one stands still for a while."""

        workers: Mapping[int, object] = {}

        async def ask(self, _what: str) -> list[bytes]:
            """Answer as those do that run."""
            states = [[Gauge("process_cpu_seconds_total", "P.", (((), seconds),), counter=True)] for seconds in next(answers)]
            return [msgspec.msgpack.encode(each) for each in states]

    states = CrewStates(cast(Crew, Workers()), 0.0, None)
    told = [{gauge.name: dict(gauge.values) for gauge in asyncio.run(ask_now(states))} for _ in range(3)]
    seconds = [each["process_cpu_seconds_total"][()] for each in told]
    assert seconds == sorted(seconds)
    assert (int(seconds[1] - seconds[0]), seconds[2] - seconds[1] > 40) == (0, True)
    assert [each["workers"][()] for each in told] == [2, 1, 2], "what is a state is told as it is"


async def ask_now(states: CrewStates) -> list[Gauge]:
    """Ask for what is now."""
    return await states()


# By a real server


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with metrics at an address of their own."""
    with serving(tmp_path_factory.mktemp("measured"), "metrics: {listen: '127.0.0.1:0'}") as server:
        yield server


def own_address(server: Server) -> str:
    """Where the metrics are without a key."""
    until(lambda: "metrics is at " in server.log)
    return server.log.partition("metrics is at ")[2].partition('"')[0]


def test_metrics_need_an_admin_key_but_at_an_address_of_their_own(measured: Server) -> None:
    """[issue 13] There is no such route before there is a key; a caller's key is none; and nothing else is at that address."""
    api, own = urlsplit(measured.url).netloc, own_address(measured)
    assert asked_at(api, "/metrics").status == 404
    read(asked_at(own, "/metrics").body)
    key = measured.aisa("admin-keys", "create", "prometheus", "--scope", "read", "--quiet").strip()
    answer = asked_at(api, "/metrics", key=key)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert read(answer.body)["aisa_bugs_total"] == 0
    assert [asked_at(api, "/metrics", key=wrong).status for wrong in ("", measured.key, "sk-aisa-admin-x")] == [401, 401, 401]
    assert asked_at(api, "/metrics", key=key, Host="evil.example").status == 403
    assert asked_at(api, "/metrics", {}, key=key).status == 405
    assert [asked_at(own, path, key=key).status for path in ("/admin/v1/keys", "/v1/models", "/")] == [404, 404, 404]


def test_a_call_is_in_the_metrics_and_everything_that_is_asked_for_is_there(measured: Server) -> None:
    """What the dashboard, the alerts and the page name are metrics that a server has, or `up`, which is Prometheus' own."""
    asked(measured, "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "Hi."}]})
    asked(measured, "/nothing")
    own = own_address(measured)
    until(lambda: b'aisa_calls_total{model="m",vendor="embedded",outcome="completed",stream="false"} 1' in asked_at(own, "/metrics").body)
    text = asked_at(own, "/metrics").body.decode()
    there = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    dashboard = json.loads((ROOT / "deploy/grafana/aisa.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    expressions = [rule["expr"] for rule in rules] + [each["expr"] for panel in dashboard["panels"] for each in panel["targets"]]
    named = {re.sub(r"_bucket$", "", name) for text in expressions for name in re.findall(r"\baisa_\w+", text)}
    assert named <= there
    assert there <= set(re.findall(r"`(aisa_\w+)`", page)), "every metric has its line"
    assert {rule["alert"] for rule in rules} == set(re.findall(r"^\*\*(Aisa\w+)\.\*\*", page, re.MULTILINE)), "every alert is explained"


METRIC, GIVEN = r"\baisa_\w+", {"instance", "job", "le"}  # what Prometheus adds itself, and what histograms have


def labels_of_the_page() -> dict[str, set[str]]:
    """The labels of each metric, as the page has them."""
    found: dict[str, set[str]] = {}
    for names, labels in re.findall(r"^\| (`aisa_[^|]+) \|([^|]*)\|", (ROOT / "docs/metrics.md").read_text(encoding="utf-8"), re.MULTILINE):
        found |= {name: set(re.findall(r"\w+", labels)) for name in re.findall(METRIC, names)}
    return found


def test_what_the_dashboard_and_the_alerts_ask_for_has_these_labels() -> None:
    """[issue 13] A sum by a label that is not there is one line for all, and a legend of one is empty: nobody is told."""
    known = labels_of_the_page()
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    panels = json.loads((ROOT / "deploy/grafana/aisa.json").read_text(encoding="utf-8"))["panels"]
    asked = [(rule["expr"], "".join(rule["annotations"].values()).replace("$labels.", "")) for rule in rules]
    asked += [(each["expr"], each["legendFormat"]) for panel in panels for each in panel["targets"]]
    for expression, said in asked:
        names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(METRIC, expression)}
        there = GIVEN.union(*(known[name] for name in names))
        kept = {label for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in re.findall(r"\w+", group)}
        matched = set(re.findall(r'(\w+)=~?"', expression))
        shown = set(re.findall(r"{{ ?(\w+) ?}}", said))
        assert kept | matched | shown <= there, expression
        assert shown <= kept or not re.search(r"\b(sum|max)\b", expression), f"{expression} keeps no {shown - kept}"


def test_the_page_tells_the_labels_that_there_are() -> None:
    """Of every metric of which something was counted, and of states."""
    facts = (
        *(ended(outcome="cut", blame="vendor"), VendorFailed("r", "v", "m", "upstream_unavailable", "d", loud=True, blame="operator")),
        *(Refused("r", 401, "invalid_api_key", "GET", "/"), CallQueued("r", "key_1", "m", "v/m", 1.0, "served")),
    )
    known = labels_of_the_page()
    for sample in counted(*facts):
        name, _, labels = sample.partition("{")
        there = set(re.findall(r'(\w+)="', labels)) - {"le"}
        name = name if name in known else re.sub(r"_(bucket|sum|count)$", "", name)
        assert there == known[name] | ({"version"} if name == "aisa_build_info" else set()), name


def test_the_dashboard_shows_what_is_measured() -> None:
    """[issue 13] Each measure that was asked for; how far the database is behind was not among them."""
    panels = json.loads((ROOT / "deploy/grafana/aisa.json").read_text(encoding="utf-8"))["panels"]
    shown = {name for panel in panels for each in panel["targets"] for name in re.findall(METRIC, each["expr"])}
    of_calls = {f"aisa_{name}" for name in ("calls_total", "tokens_total", "cost_dollars_total", "calls_in_flight", "refused_total")}
    of_times = {f"aisa_{name}" for name in ("first_token_seconds_bucket", "output_token_seconds_bucket", "throttled_seconds_total")}
    of_the_rest = {f"aisa_{name}" for name in ("vendor_failures_total", "journal_slots_taken", "unwritten_seconds", "store_away")}
    assert of_calls | of_times | of_the_rest <= shown
    assert [panel["title"] for panel in panels if "unit" not in panel["fieldConfig"]["defaults"]] == []
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len({panel["id"] for panel in panels}) == len(set(places)) == len(panels)


SILENT = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
models:
  m: {{to: [local/stall], idle_timeout_seconds: 1}}
stream: {{keep_alive_seconds: 0.1}}
metrics: {{listen: '127.0.0.1:0'}}
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_vendors_silence_is_in_the_metrics_of_a_server(tmp_path: Path, workers: int) -> None:
    """Whichever process had the call."""
    with ScriptedVendor() as vendor, serving(tmp_path, SILENT.format(vendor=vendor.url), workers=workers) as server:
        asked(server, "/v1/chat/completions", {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi."}]})
        own = own_address(server)
        until(lambda: read(asked_at(own, "/metrics").body).get('aisa_stream_silences_total{vendor="local"}', 0) > 0)
