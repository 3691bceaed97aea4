"""A call's place in a trace: what is read of a caller's, what a vendor is told, and which calls are sampled."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.trace import STATE_CHARACTERS_MAX, TRIES_MAX, Trace, Traces

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def begun(headers: dict[str, str], **options: Any) -> Trace:
    """Begin a call's trace at UNIX second 1,000, which is the loop's second 7."""
    traces = Traces(random.Random(1), lambda: 1_000.0, share=options.get("share", 1.0), passes_on=options.get("passes_on", True))
    return traces.begin(headers, 7.0, route="/v1/chat/completions", protocol="openai")


def test_a_callers_trace_goes_on_at_the_vendor_below_the_call_and_below_the_try() -> None:
    """The trace's id stays; each span is new, and its parent is the one that came before."""
    trace = begun({"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1,other=2"})
    assert (trace.trace_id, trace.parent_id, trace.sampled, trace.began, trace.loop_began) == (TRACE, PARENT, True, 1_000.0, 7.0)
    told = dict(trace.ask("v/m", 8.0))
    assert told == {"traceparent": f"00-{TRACE}-{trace.tries[0].span_id}-01", "tracestate": "vendor=1,other=2"}
    assert len({PARENT, trace.span_id, trace.tries[0].span_id}) == 3
    assert str(trace) == f"00-{TRACE}-{trace.span_id}-01"


@pytest.mark.parametrize("flags", ["00", "01", "02", "03", "ff"])
def test_what_is_said_of_a_traces_id_stays_with_it(flags: str) -> None:
    """[issue 13] Who samples by chance relies on it; flags that nobody knows are not told on."""
    trace = begun({"traceparent": f"00-{TRACE}-{PARENT}-{flags}"})
    assert dict(trace.ask("v/m", 8.0))["traceparent"][-2:] == f"{int(flags, 16) & 3:02x}"
    assert dict(begun({}).ask("v/m", 8.0))["traceparent"][-2:] == "01"


def test_who_said_not_to_sample_is_heeded_and_told_on() -> None:
    """Whatever our own share is; nothing is kept of such a call's tries."""
    trace = begun({"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert (trace.sampled, dict(trace.ask("v/m", 8.0)), trace.tries) == (False, {"traceparent": f"00-{TRACE}-{trace.span_id}-00"}, [])


def test_vendors_are_told_nothing_where_that_is_off() -> None:
    """The call is traced all the same."""
    trace = begun({"traceparent": f"00-{TRACE}-{PARENT}-01"}, passes_on=False)
    assert (trace.ask("v/m", 8.0), len(trace.tries)) == ((), 1)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"00-{TRACE[:-1]}é-{PARENT}-01",
    ],
)
def test_what_is_no_trace_context_begins_a_trace_of_its_own(header: str) -> None:
    """And its tracestate goes with it."""
    trace = begun({"traceparent": header, "tracestate": "a=1"})
    assert (trace.trace_id != TRACE, len(trace.trace_id), trace.parent_id, trace.state) == (True, 32, "", "")


def test_a_later_version_is_read_as_far_as_this_one_knows_it() -> None:
    """As the recommendation asks, with whatever stands behind the flags."""
    trace = begun({"traceparent": f"01-{TRACE}-{PARENT}-03-what-is-new"})
    assert (trace.trace_id, trace.sampled, str(trace)[:2]) == (TRACE, True, "00")


@pytest.mark.parametrize("state", ["a=" + "b" * STATE_CHARACTERS_MAX, "a=1\tb=2", "a=é"])
def test_a_state_that_cannot_be_passed_on_is_left_out(state: str) -> None:
    """The trace itself goes on."""
    trace = begun({"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": state})
    assert (trace.trace_id, trace.state, [name for name, _ in trace.ask("v/m", 8.0)]) == (TRACE, "", ["traceparent"])


@given(share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
def test_the_share_that_is_sampled_is_that_of_the_setting_and_a_matter_of_the_id_alone(share: float) -> None:
    """Within a few per cent of two thousand calls; two servers decide alike of one trace."""
    traces = Traces(random.Random(2), lambda: 0.0, share=share, passes_on=True)
    begins = [traces.begin({}, 0.0, route="", protocol="openai") for _ in range(2_000)]
    assert abs(sum(trace.sampled for trace in begins) / 2_000 - share) < 0.04
    assert all(trace.sampled == (int(trace.trace_id[16:], 16) < share * 2**64) for trace in begins)


def test_a_call_that_is_tried_without_end_keeps_a_bounded_number_of_tries() -> None:
    """Vendors are still told where they stand."""
    trace = begun({})
    told = [trace.ask("v/m", float(at)) for at in range(TRIES_MAX + 5)]
    assert (len(trace.tries), all(told)) == (TRIES_MAX, True)
