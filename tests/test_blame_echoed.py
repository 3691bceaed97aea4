"""Words about keys, credit and prompts that stand for something else, and refusals in the shapes of other frameworks."""

from __future__ import annotations

from typing import Any

import pytest

from aisa.errors import CALLER, VENDOR
from test_blame import refusal, saying, verdict


@pytest.mark.parametrize(
    "words",
    [
        "tool 'api_key' argument is invalid",
        "Invalid schema: property 'access_token' is missing type",
        "Invalid parameter: the field `credentials` is not a valid string",
        'the function "secret key" is required',
        "Schema of member 'authorization header' is malformed",
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_name_that_the_caller_chose_is_not_our_key(words: str, status: int) -> None:
    """[fault B2] Vendors quote it at no place: such a tool or property paged the operator, and the request went on to the next vendor."""
    assert refusal(status, saying(words)).blame == CALLER


def test_a_key_that_is_quoted_is_still_ours() -> None:
    """Where nothing of a request's is named beside it."""
    for words in ("Consumer 'api_key' has been suspended.", "'x-api-key' is required", "the header 'api-key' is missing"):
        assert verdict(words) == "our key"


GOOGLE = (
    "Quota exceeded for quota metric 'Generate Content API requests per minute' and limit 'GenerateContent request limit per minute for a "
    "region' of service 'generativelanguage.googleapis.com' for consumer 'project_number:1'."
)


def test_a_limit_that_google_names_in_quotation_marks_is_a_rate() -> None:
    """[fault B1] What is quoted is not judged, and without it the words were those of an account that has run dry."""
    told = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com"}]
    for members in ({}, {"details": told}):
        failure = refusal(429, {"error": {"code": 429, "message": GOOGLE, "status": "RESOURCE_EXHAUSTED", **members}})
        assert (failure.error.code, failure.blame, failure.error.should_retry) == ("upstream_rate_limit", VENDOR, None)


@pytest.mark.parametrize("words", ["stop: too many sequences", "tools: too many tokens in the description", "`stop`: too many texts"])
def test_a_place_before_the_colon_is_what_is_too_long(words: str) -> None:
    """[fault B4] The subject decides, also where the field's name stands for it."""
    assert verdict(words) == "request"


@pytest.mark.parametrize("words", ["prompt: too many tokens", "messages: too many tokens (9000)", "the max input characters is 5120"])
def test_the_prompt_before_the_colon_or_counted_in_characters_is(words: str) -> None:
    """[fault B4] Baidu counts so."""
    assert verdict(words) == "context"


SHAPES: dict[str, tuple[Any, str, str | None]] = {
    "by field": (
        {"title": "Validation failed.", "errors": {"temperature": ["must be <= 1", "again"]}},
        "temperature: must be <= 1",
        "temperature",
    ),
    "by field alone": ({"errors": {"stop": ["too many"]}}, "stop: too many", "stop"),
    "a problem": ({"type": "about:blank", "title": "Bad stop list.", "status": 400}, "Bad stop list.", None),
    "a fault": ({"fault": {"faultstring": "Bad stop list.", "detail": {"errorcode": "x.y"}}}, "Bad stop list.", None),
    "a reason in words": ({"reason": "Bad stop list."}, "Bad stop list.", None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_words_are_found_where_other_frameworks_put_them(shape: str) -> None:
    """[fault B8] The caller was told no more than that the request is invalid."""
    body, words, field = SHAPES[shape]
    error = refusal(400, body).error
    assert (error.message.endswith(words), error.param) == (True, field)


def test_a_reason_of_one_word_is_a_code_and_nothing_to_show() -> None:
    """As Google's."""
    assert refusal(400, {"reason": "badRequest", "message": "Bad stop list."}).error.message == "Bad stop list."
    assert refusal(400, {"reason": "badRequest"}).error.message == "The vendor refused the request as invalid."


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"retry_after": 9}, 9),
        ({"retryAfter": 9}, 9),
        ({"retryAfter": "9s"}, 9),
        ({"retry_after_seconds": 8.2}, 9),
        ({"retryAfterSeconds": 9}, 9),
        ({"retry_after_ms": 8_400}, 9),
        ({"retryAfterMs": 8_400}, 9),
        ({"retryAfter": -4}, 1),
        ({"retryAfter": True}, 1),
        ({"retry_after_ms": "soon"}, 1),
    ],
)
def test_a_wait_is_read_by_every_name_that_bodies_have_for_it(told: dict[str, Any], seconds: int) -> None:
    """[fault B7] At the top or in the error."""
    for body in ({"message": "Slow down.", **told}, {"error": {"message": "Slow down.", **told}}):
        assert refusal(429, body).error.retry_after == seconds
