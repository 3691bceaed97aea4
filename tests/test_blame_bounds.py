"""Where the rules of blame end: which verdicts tell a wait, how short a name is, which codes are whole, which window is large enough."""

from __future__ import annotations

import msgspec
import pytest

from aisa.errors import CALLER, ApiError, CreditSpent, KeyRefused, UpstreamFailed
from aisa.providers.blame import blame_for, broken_off, judge, may_do_better, refused_of, verdict_on
from aisa.providers.report import Report
from aisa.providers.shape import Target
from aisa.usage import BYTES_PER_TOKEN
from aisa.wire.vendor_error import Unintelligible
from test_blame import JSON, TARGET, refusal, saying, verdict


@pytest.mark.parametrize(("status", "told"), [(500, None), (400, None), (504, None), (429, 20.0), (503, 20.0)])
def test_a_wait_is_told_of_a_rate_and_of_capacity_alone(status: int, told: float | None) -> None:
    """[fault B7] Whatever header a vendor sends with another failure: nobody waits for what waiting does not mend."""
    assert refusal(status, saying("No."), headers={**JSON, "retry-after": "20"}).error.retry_after == told


def test_a_limit_that_is_used_up_and_says_no_time_is_a_rate_limit() -> None:
    """A header with nothing remaining and none that says until when."""
    failed = judge(Report(429, "No.", used_up=True), TARGET)
    assert (failed.error.code, failed.error.should_retry) == ("upstream_rate_limit", None)


def test_a_wait_of_an_hour_is_the_longest_that_is_a_rate() -> None:
    """[fault B1] The words of an empty account with an hour to wait are a rate limit, with a second more they are what they say."""
    words = "You exceeded your current quota, please check your plan and billing details."
    assert verdict_on(Report(429, words, wait=3_600.0), TARGET).name == "rate"
    assert verdict_on(Report(429, words, wait=3_601.0), TARGET).name == "our credit"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("This model does not support tools", "feature"),
        ("The prompt is too long: 9000 tokens > 8192 maximum", "context"),
        ("Content violates usage guidelines.", "content"),
        ("Invalid API key", "our key"),
        ("temperature is too high", "request"),
        ("model 'm-1' not found", "the caller's name for a model"),
    ],
)
def test_of_a_model_that_the_caller_named_only_an_unknown_name_is_his(words: str, told: str) -> None:
    """[fault B3] Everything else is judged as of any other target."""
    assert verdict(words, target=msgspec.structs.replace(TARGET, named_by_caller=True)) == told


def test_a_code_is_whole_unless_its_row_says_that_it_is_a_beginning() -> None:
    """[fault B2] `safety` is refused content, a parameter whose name begins so is none; `billing_*` is an account."""
    assert verdict("No.", code="safety") == "content"
    assert verdict("No.", code="safety_identifier_too_long") == "request"
    assert verdict("No.", code="billing_hard_limit_reached") == "our credit"


def test_a_name_of_two_letters_is_in_any_sentence_and_is_not_looked_for() -> None:
    """A model `o1` is not what `the tool o1 was not found` says is missing; one of three letters is looked for, whole words alone."""
    assert verdict("o1 was not found in your list", target=Target("acme", "o1", "openai")) == "request"
    assert verdict("o10 was not found", target=Target("acme", "o10", "openai")) == "our model"
    assert verdict("o101 was not found in your list", target=Target("acme", "o10", "openai")) == "request"
    assert verdict("o10 was not found", target=Target("acme", "team/o10", "openai")) == "our model"


def test_a_request_as_large_as_a_limit_is_not_above_it() -> None:
    """[fault B6] Then waiting helps; above it nothing does."""
    words = "Request too large on tokens per minute (TPM): Limit {}, Requested 9,000."
    retries = [refusal(429, saying(words.format(limit))).error.should_retry for limit in ("8,999", "9,000")]
    assert retries == [False, None]


@pytest.mark.parametrize(
    ("report", "refused"),
    [
        (Report(400, "Unknown parameter: 'stream_options'"), ("stream_options",)),
        (Report(422, "Extra inputs are not permitted", param="stream_options"), ("stream_options",)),
        (Report(422, "Extra inputs are not permitted", param="stream_options.include_usage"), ("stream_options",)),
        (Report(400, "stream options are not known"), ("stream_options",)),
        (Report(400, "my_stream_options_too is unknown"), ()),
        (Report(413, "stream_options"), ()),
    ],
)
def test_what_we_added_is_refused_where_the_words_or_the_field_name_it(report: Report, refused: tuple[str, ...]) -> None:
    """[fault W7] As a word of its own, and under a status by which vendors refuse fields."""
    assert refused_of(report, ("stream_options",)) == refused


@pytest.mark.parametrize(("window", "tokens", "may"), [(8_192, 0, False), (8_193, 0, True), (9_000, 9_000, False), (None, 0, False)])
def test_a_prompt_that_was_too_long_is_sent_to_whose_window_is_larger(window: int | None, tokens: int, *, may: bool) -> None:
    """[fault B4] By the vendor's count, else by the size of the prompt."""
    failed = UpstreamFailed(ApiError("context_length_exceeded", "x"), blame=CALLER, may_fall_back=False, overflow_tokens=tokens)
    target = msgspec.structs.replace(TARGET, context_window=window)
    assert may_do_better(failed, target, 8_192 * BYTES_PER_TOKEN) is may


@pytest.mark.parametrize(
    ("words", "kind"),
    [("Invalid API key", KeyRefused), ("Your credit balance is too low.", CreditSpent), ("model 'm-1' not found", UpstreamFailed)],
)
def test_of_several_keys_one_rests_where_it_or_its_account_was_refused_and_not_where_the_model_was(words: str, kind: type) -> None:
    """[fault B1] The kind of the failure says which of them the next call is to be made without."""
    assert type(refusal(400, saying(words))) is kind


def test_a_refusal_names_the_field_that_its_vendor_named_else_the_one_that_its_code_is_of() -> None:
    """[fault B8] Clients show it beside the message."""
    assert refusal(400, saying("temperature is too high", param="temperature")).error.param == "temperature"
    assert refusal(400, saying("temperature is too high")).error.param is None
    assert refusal(400, saying("The prompt is too long: 9000 tokens > 8192 maximum")).error.param == "messages"


def test_an_answer_that_cannot_be_read_was_none_and_one_that_broke_off_was_begun() -> None:
    """[fault B5] A page in place of an answer is another thing than half of one; both are the vendor's failures and say so in the log."""
    for failed in (blame_for(Unintelligible("a tool call without a name"), TARGET), broken_off(TARGET, heard=False)):
        assert (failed.error.code, failed.may_fall_back) == ("gateway_error", True)
        assert (failed.detail or "").startswith("acme: ")
    failed = broken_off(TARGET, heard=True)
    assert (failed.error.code, failed.detail) == ("upstream_unavailable", "acme ended without a finish reason")
