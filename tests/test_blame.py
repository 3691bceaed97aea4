"""Whose fault a vendor's refusal is: every row of the table by more wordings than the row was made from, and what must not fit it.

Faults B1, B2, B3, B4, B6 and B7. The sentences are of the kinds that vendors write, with our own names and numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.errors import CALLER, CODES, OPERATOR, VENDOR, UpstreamFailed
from aisa.providers import blame_table as table
from aisa.providers import gemini, openai
from aisa.providers.blame import blame_for, judge, verdict_on, with_status
from aisa.providers.blame_table import ROWS, Verdict
from aisa.providers.report import read_report
from aisa.providers.shape import Asked, Target
from aisa.tries import may_pass
from aisa.wire.vendor_error import VendorError
from refusals import SENTENCES

NOW = 1_800_000_000.0  # UNIX seconds: 2027-01-15 08:00:00
TARGET = Target("acme", "m-1", "openai", host="api.acme.example", secrets=("acme-secret-key",))
ZAI = Target("zai", "glm-9", "openai", host="api.z.ai")
JSON = {"content-type": "application/json"}


def refusal(status: int, body: object, *, headers: Mapping[str, str] = JSON, target: Target = TARGET) -> UpstreamFailed:
    """What a vendor's answer with a status and this JSON amounts to."""
    return openai.read_failure(status, headers, json.dumps(body).encode(), target=target, asked=Asked(NOW, openai.ADDED))


def saying(message: str, **members: object) -> dict[str, Any]:
    """An error object with these words."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **members}}


def verdict(message: str, status: int = 400, target: Target = TARGET, **members: object) -> str:
    """The name of the verdict on a vendor's words."""
    report = read_report(saying(message, **members), status)
    return verdict_on(with_status(report), target).name


EACH = [(told, sentence) for told, sentences in SENTENCES.items() for sentence in sentences]


@pytest.mark.parametrize(("told", "sentence"), EACH, ids=[f"{told.name}-{sentence[:40]}" for told, sentence in EACH])
def test_the_words_decide_whatever_the_case_of_their_letters(told: Verdict, sentence: str) -> None:
    """[fault B1, fault B2, fault B4] A 400 is judged by what it says, shouted, whispered, and where the status is lost in an answer."""
    assert {verdict(sentence), verdict(sentence.upper()), verdict(sentence.lower())} == {told.name}
    assert verdict(sentence, 0) == told.name


#: verdict -> codes or types that stand for it whatever the words are, under a status that would say otherwise.
CODED: dict[Verdict, list[str]] = {
    table.OUR_KEY: ["invalid_api_key", "API_KEY_INVALID", "InvalidApiKey", "authentication_error", "invalid-authentication"],
    table.OUR_CREDIT: [
        "insufficient_quota",
        "Arrearage",
        "exceeded_current_quota_error",
        "billing_not_active",
        "1008",
        "INSUFFICIENT-BALANCE",
    ],
    table.OUR_MODEL: ["model_not_found", "model_decommissioned", "DeploymentNotFound", "unknown_model"],
    table.CONTENT: ["content_filter", "content_policy", "safety", "moderation", "DataInspectionFailed", "invalid_prompt"],
    table.CONTEXT: ["context_length_exceeded", "exceed_context_size_error", "model_max_prompt_tokens_exceeded"],
    table.FEATURE: ["unsupported_parameter", "unsupported_value", "unknown_parameter"],
    table.RATE: ["rate_limit_exceeded", "RESOURCE_EXHAUSTED", "Throttling.RateQuota"],
    table.CAPACITY: ["engine_overloaded", "server_is_overloaded", "UNAVAILABLE"],
    table.MADE_BADLY: ["tool_use_failed", "output_parse_failed", "json_validate_failed"],
}


@pytest.mark.parametrize(("told", "code"), [(told, code) for told, names in CODED.items() for code in names])
@pytest.mark.parametrize("member", ["code", "type", "status"])
def test_a_code_decides_wherever_it_stands(told: Verdict, code: str, member: str) -> None:
    """A code is a code under any of the names that vendors give it, and with any status."""
    report = read_report({"error": {"message": "No.", member: code}})
    assert {verdict_on(with_status(report._replace(status=status)), TARGET).name for status in (400, 422, 500, 0)} == {told.name}


@pytest.mark.parametrize("words", ["model_not_found: no such thing", "Error: model_not_found", "[model_not_found] gone"])
def test_a_code_counts_at_the_head_of_the_words_too(words: str) -> None:
    """Servers that have one text for all write the code first; in the middle of a sentence it may be the caller's."""
    assert verdict(words) == "our model"
    assert verdict("ContextWindowExceededError: no") == "context"
    assert verdict("the tool named model_not_found has no parameters") == "request"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("Unsupported parameter: 'moderation' is not supported with this model.", "feature"),
        ("Unrecognized request argument supplied: moderation", "feature"),
        ('Unknown name "moderation": Cannot find field.', "feature"),
        ("The input did not pass moderation.", "content"),
        ("Your request was rejected by moderation.", "content"),
    ],
)
def test_a_member_that_asks_for_moderation_is_no_content_that_it_refused(words: str, told: str) -> None:
    """[fault B2] The one word is both: what a request may ask for, and who refuses it."""
    assert verdict(words) == told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("image input is not supported - hint: if this is unexpected, you may need to provide the mmproj", "feature"),
        ("tools param requires --jinja flag", "feature"),
        ("this model is missing data required for image input", "feature"),
        ("Only user and assistant roles are supported!", "feature"),
        ("CUDA error: operation not supported", "failure"),
        ("this field is not supported", "failure"),
    ],
)
def test_what_a_server_was_not_started_for_is_no_failure_of_its_own(words: str, told: str) -> None:
    """[fault B2] llama.cpp and Ollama say it with a 500, which would count against the target and hide the words."""
    assert verdict(words, 500) == told


def test_a_refusal_that_names_the_field_model_is_about_our_model() -> None:
    """Where its words and codes say nothing else."""
    assert verdict("No.", param="model") == "our model"
    assert verdict("This model does not support tools", param="model") == "feature"


STATUSES = {
    401: table.OUR_KEY,
    402: table.OUR_CREDIT,
    403: table.OUR_KEY,
    404: table.OUR_MODEL,
    405: table.OUR_ADDRESS,
    408: table.TOO_SLOW,
    409: table.FAILED,
    410: table.OUR_MODEL,
    413: table.TOO_LARGE,
    418: table.FAILED,
    422: table.INVALID,
    423: table.CAPACITY,
    425: table.CAPACITY,
    429: table.RATE,
    451: table.CONTENT,
    498: table.CAPACITY,
    499: table.CAPACITY,
    500: table.FAILED,
    502: table.FAILED,
    503: table.CAPACITY,
    504: table.TOO_SLOW,
    524: table.TOO_SLOW,
    529: table.CAPACITY,
}


@pytest.mark.parametrize(("status", "told"), STATUSES.items())
def test_the_status_decides_where_words_say_nothing(status: int, told: Verdict) -> None:
    """[fault B6] A status that nobody mapped is the vendor's failure and never the caller's."""
    assert verdict("No.", status) == told.name
    assert refusal(status, {}).error.code == told.code


@pytest.mark.parametrize("status", [400, 403, 422, 429])
def test_an_empty_account_is_no_rate_limit(status: int) -> None:
    """[fault B1] No status makes it the caller's; he is told that no retry helps, and none of the vendor's words."""
    failure = refusal(status, saying("Your credit balance is too low."), headers={**JSON, "x-ratelimit-reset-requests": "1s"})
    assert (failure.error.status, failure.error.should_retry, failure.error.retry_after) == (502, False, None)
    assert (failure.blame, failure.loud, failure.may_fall_back) == (OPERATOR, True, True)
    assert "balance" not in failure.error.message


@pytest.mark.parametrize(
    ("headers", "members"),
    [
        ({"retry-after": "20"}, {}),
        ({"retry-after-ms": "900"}, {}),
        ({}, {"details": [{"@type": "RetryInfo", "retryDelay": "37.2s"}]}),
        ({}, {"message": "You exceeded your current quota, please check your plan and billing details. Please retry in 37.2s."}),
    ],
)
def test_who_tells_a_short_time_to_wait_limits_a_rate_and_has_not_run_dry(headers: dict[str, str], members: dict[str, Any]) -> None:
    """The words of an empty account with a wait of at most an hour are a rate limit; with a longer one they are what they say."""
    words = {"message": "You exceeded your current quota, please check your plan and billing details.", **members}
    assert refusal(429, {"error": words}, headers={**JSON, **headers}).error.code == "upstream_rate_limit"
    assert refusal(429, {"error": {**words, "details": [], "message": words["message"][:80]}}, headers={"retry-after": "7200"}).loud


@pytest.mark.parametrize("status", [400, 403, 422, 451])
def test_refused_content_is_the_callers_and_goes_to_nobody_else(status: int) -> None:
    """[fault B2] In the vendor's words, quiet, and no other target may be asked."""
    failure = refusal(status, {"code": "permission-denied", "error": "Content violates usage guidelines."})
    assert (failure.error.status, failure.error.code, failure.error.message) == (
        422,
        "content_policy_violation",
        "Content violates usage guidelines.",
    )
    assert (failure.blame, failure.loud, failure.may_fall_back) == (CALLER, False, False)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_what_one_target_lacks_is_asked_of_the_next_and_else_told_in_its_words(status: int) -> None:
    """[fault B2] A feature that an endpoint does not have is neither loud nor hidden."""
    failure = refusal(status, saying("No endpoints found that support tool use."))
    assert (failure.error.status, failure.error.code) == (422, "unsupported_parameter")
    assert (failure.blame, failure.may_fall_back, failure.error.message) == (CALLER, True, "No endpoints found that support tool use.")


@pytest.mark.parametrize("status", [400, 404, 410])
@pytest.mark.parametrize("words", ["The model `m-1` does not exist.", "Unknown model m-1", "", "Not Found"])
def test_a_name_that_the_caller_chose_is_his_and_one_of_the_configuration_ours(status: int, words: str) -> None:
    """[fault B3] The same refusal is a quiet 404 or a loud 502, by who wrote the name."""
    if status == 400 and "m-1" not in words:
        return
    passed = Target("acme", "m-1", "openai", named_by_caller=True)
    his, ours = refusal(status, saying(words), target=passed), refusal(status, saying(words))
    assert (his.error.status, his.error.code, his.error.param, his.blame) == (404, "unknown_model", "model", CALLER)
    assert his.error.message == (words or "The vendor 'acme' has no such model.")
    assert (ours.error.status, ours.error.code, ours.blame) == (502, "upstream_unavailable", OPERATOR)


def test_a_quota_is_ours_unless_it_is_a_rate() -> None:
    """Under a status of a refusal it is an empty account, under 429 one waits, and never is it the caller's."""
    assert [verdict("Quota exceeded for base_model.", status) for status in (400, 403, 429)] == ["our credit", "our credit", "rate"]
    assert verdict("Quota exceeded for requests per minute", 403) == "rate"


def test_numbers_of_one_vendor_mean_nothing_at_another() -> None:
    """Zhipu's 1261 is a prompt that is too long; elsewhere it is any number."""
    assert verdict("No.", target=ZAI, code="1261") == "context"
    assert verdict("No.", code="1261") == "request"


def test_a_field_of_the_caller_is_not_our_key() -> None:
    """A vendor that names the field speaks of what the caller wrote there: nobody is paged by a tool's name."""
    assert verdict("api key is not valid here", param="tools[0].function.name") == "request"
    assert verdict("api key is not valid here", param="api_key") == "our key"
    assert verdict("The model does not exist", param="model") == "our model"


def test_who_we_are_is_ours_and_a_bound_too_large_beside_the_prompt_the_callers_whatever_field_is_named() -> None:
    """[fault B1, fault B4] A field tells whose fault it is only where the words are about a key, a model or the prompt alone."""
    assert verdict("Your organization must be verified to stream this model.", param="stream", code="unsupported_value") == "our key"
    joint = "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 512 `max_new_tokens`"
    assert verdict(joint, param="max_tokens") == "context"
    assert verdict("`max_new_tokens` must be <= 512. Given: 900", param="max_tokens") == "request"
    assert verdict("The prompt is too long", param="top_p") != "context"


def test_a_file_of_somebody_else_is_the_callers_under_any_status() -> None:
    """[fault B2] Google answers 403: who names files that do not exist would else have our key benched."""
    for words in (
        "You do not have permission to access the File abc or it may not exist.",
        "CachedContent not found (or permission denied)",
    ):
        assert verdict(words, 403, code="PERMISSION_DENIED") == "feature"
    assert verdict("Your API key does not have permission", 403, code="PERMISSION_DENIED") == "our key"


def test_an_account_that_may_not_call_a_model_is_told_by_aws_in_two_words() -> None:
    """[fault B1] They say so of nobody else."""
    assert verdict("Operation not allowed", target=Target("aws", "m-1", "bedrock")) == "our key"
    assert verdict("Operation not allowed") == "request"


def test_one_request_above_the_limit_is_not_asked_again() -> None:
    """[fault B6] Waiting does not help a request that is larger than the whole minute's tokens; another target may be larger."""
    words = "Request too large on tokens per minute (TPM): Limit {}, Requested 9000, please reduce your message size and try again."
    above, below = (refusal(413, saying(words.format(limit))) for limit in (6_000, 12_000))
    assert (above.error.status, above.error.should_retry, above.error.retry_after, above.may_fall_back) == (429, False, None, True)
    assert (below.error.status, below.error.should_retry, below.error.retry_after) == (429, None, 1)


@pytest.mark.parametrize(
    ("headers", "words", "hopeless"),
    [
        ({"x-ratelimit-remaining-requests": "900", "x-ratelimit-reset-requests": "3600s"}, "", None),
        ({"x-ratelimit-reset-requests": "3600s"}, "", None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "3600s"}, "", False),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "3599s"}, "", None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "3600s", "retry-after": "5"}, "", None),
        ({"retry-after": "3599"}, "", None),
        ({"retry-after": "3600"}, "", False),
        ({"retry-after": "28800"}, "", False),
        ({}, "Rate limit reached: 1000 requests per day. Please try again in 8h12m0s.", False),
        ({}, "Rate limit reached. Please try again in 59m0s.", None),
    ],
)
def test_a_limit_that_lasts_for_hours_is_not_waited_for(headers: dict[str, str], words: str, hopeless: bool | None) -> None:
    """No client waits so long, and each of its tries sends the whole conversation; another target may do. An overload may end sooner."""
    told = refusal(429, {"error": {"message": words, "code": "rate_limit_exceeded"}}, headers={**JSON, **headers})
    assert (told.error.code, told.error.should_retry, told.may_fall_back) == ("upstream_rate_limit", hopeless, True)
    assert may_pass(told) is (hopeless is None)
    busy = refusal(503, {"error": {"message": "busy"}}, headers={**JSON, **headers})
    assert (busy.error.code, busy.error.should_retry) == ("overloaded", None)


def test_the_quota_of_a_day_is_not_waited_for_at_gemini() -> None:
    """Whatever short wait it names beside it."""
    violation = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}
    wait = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}
    target = Target("google", "gemini-3.5-flash", "gemini")
    for details, hopeless in (([violation, wait], False), ([wait], None)):
        body = {"error": {"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED", "details": details}}
        told = gemini.read_failure(429, JSON, json.dumps(body).encode(), target=target, asked=Asked(NOW))
        assert (told.error.code, told.error.should_retry) == ("upstream_rate_limit", hopeless)


WAITS = [
    ({"retry-after": "12"}, {}, 12, 12.0),
    ({"retry-after": "86400"}, {}, 60, 86_400.0),
    ({"retry-after": "9" * 10}, {}, 60, 1e9),
    ({"retry-after": "9" * 300}, {}, 60, 1e9),
    ({"retry-after": "7.66"}, {}, 8, 7.66),
    ({"retry-after": "0.2"}, {}, 1, 0.2),
    ({"retry-after": "Fri, 15 Jan 2027 08:00:31 GMT"}, {}, 31, 31.0),
    ({"retry-after": "Fri, 15 Jan 2027 09:00:00 GMT"}, {}, 60, 3_600.0),
    ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, {}, 1, 0.0),
    ({"retry-after-ms": "45000"}, {}, 45, 45.0),
    ({"retry-after-ms": "1500.5", "retry-after": "30"}, {}, 2, 1.5005),
    ({"retry-after-ms": "soon", "retry-after": "30"}, {}, 30, 30.0),
    ({"retry-after": "12s"}, {}, 12, 12.0),
    ({}, {"details": [{"@type": "type.example/RetryInfo", "retryDelay": "37.2s"}]}, 38, 37.2),
    ({}, {"message": "Slow down. Please retry in 37s."}, 37, 37.0),
    ({}, {"message": "Rate limit reached. Please try again in 6m0s."}, 60, 360.0),
    ({}, {"message": "Rate limit reached. Please try again in 20ms."}, 1, 0.02),
    ({}, {"message": "Rate limited. Please retry after 20 seconds."}, 20, 20.0),
    ({"retry-after": "5"}, {"message": "Please retry in 37s."}, 5, 5.0),
    ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "17s", "x-ratelimit-remaining-tokens": "0"}, {}, 17, 17.0),
    ({"x-ratelimit-reset": str(int(NOW) + 9)}, {}, 9, 9.0),
    ({"x-ratelimit-reset": str((int(NOW) + 9) * 1000)}, {}, 9, 9.0),
    ({"x-ratelimit-reset": "30"}, {}, 30, 30.0),
    ({"acme-ratelimit-requests-reset": "2027-01-15T08:00:21Z"}, {}, 21, 21.0),
    ({"retry-after": "3", "x-ratelimit-reset": "30"}, {}, 3, 3.0),
    ({"retry-after": "-5"}, {}, 1, None),
    ({"retry-after": "\xb2"}, {}, 1, None),
    ({"retry-after": "soon"}, {}, 1, None),
    ({"retry-after": "nan"}, {}, 1, None),
    ({"retry-after": "Fri, 99 Jan 2027 09:00:00 GMT"}, {}, 1, None),
    ({}, {}, 1, None),
]


@pytest.mark.parametrize(("headers", "members", "told", "true"), WAITS)
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_is_read_in_every_form(headers: dict[str, str], members: dict[str, Any], told: int, true: float | None, status: int) -> None:
    """[fault B7] The caller gets 1 to 60 whole seconds, and we keep the vendor's true value."""
    failure = refusal(status, {"error": {"message": "No.", **members}}, headers={**JSON, **headers})
    assert failure.error.retry_after == told
    assert failure.retry_after == (None if true is None else pytest.approx(true))


def test_an_error_inside_an_answer_is_judged_by_the_same_table() -> None:
    """[fault B1, fault B5] MiniMax's empty account, Google's array of errors, and a bare text."""
    dry = blame_for(VendorError({"base_resp": {"status_code": "1008", "status_msg": "no"}}), TARGET)
    key = blame_for(VendorError([{"error": {"code": 400, "message": "API key not valid."}}]), TARGET)
    long = blame_for(VendorError("The prompt is too long for the context window"), TARGET)
    assert (dry.error.status, dry.blame, key.blame, long.error.code) == (502, OPERATOR, OPERATOR, "context_length_exceeded")
    assert blame_for(VendorError("boom"), TARGET).error.code == "upstream_unavailable"


def test_every_row_can_be_reached_and_every_verdict_is_a_code_of_ours() -> None:
    """A row that an earlier one always wins over is no rule, and a code that the contract does not list is no answer."""
    for row in ROWS:
        assert row.verdict.code in CODES
        assert row.verdict.blame in (CALLER, OPERATOR, VENDOR)
        target = ZAI if row.vendor else TARGET
        for code in row.codes:
            assert verdict("No.", 400, target, code=code) == row.verdict.name, code


@given(st.text(max_size=300), st.integers(400, 599), st.text(max_size=30))
def test_no_words_of_a_vendor_break_the_judgement(message: str, status: int, code: str) -> None:
    """Whatever is written, a verdict comes of it, and the caller's faults are the only ones that are told in the vendor's words."""
    failure = judge(read_report(saying(message, code=code), status), TARGET)
    assert failure.error.code in CODES
    assert failure.blame == CALLER or failure.error.message.startswith("The ")
