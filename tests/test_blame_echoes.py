"""Whose fault a refusal is that echoes, without quotation marks, what the caller wrote: his, whatever that speaks of."""

from __future__ import annotations

import pytest

from test_blame import verdict


@pytest.mark.parametrize("before", ["", "messages.0.content: ", "Invalid value for messages[0].content: "])
@pytest.mark.parametrize(
    "text", ["fix this url error please", "why is that an unknown api-version", "it says missing required query parameter: api-version"]
)
def test_an_address_that_a_prompt_speaks_of_is_not_ours(before: str, text: str) -> None:
    """[fault B3] Vendors quote what they refuse without marks, too: only what a message begins with is about where it was asked."""
    assert verdict(f"{before}input was: {text}, all of it") == "request"
    assert verdict(f"{text.removeprefix('fix this ')}", param="messages[0].content") == "request"


@pytest.mark.parametrize(
    "words",
    [
        "Error code: 400 - url error, please check url",
        "Provider returned error: Missing required query parameter: api-version",
        "litellm.BadRequestError: AzureException - API version not supported",
        "The requested api-version is not supported",
        "This request uses an unsupported api version.",
        "The deployment m-9 is enabled only for api-version 2024-12-01-preview",
    ],
)
def test_an_address_that_is_wrong_is_ours_whoever_passes_it_on(words: str) -> None:
    """[fault B3] Gateways put their own names of errors before what the vendor said."""
    assert verdict(words) == "our address"


@pytest.mark.parametrize("place", ["messages.0.content", "body.messages.2.content.0.text", "messages[0].content", "tools.1.input_schema"])
@pytest.mark.parametrize("text", ["why is my api key invalid", "the model m-1 does not exist", "my credit balance is too low"])
def test_a_field_at_the_head_of_the_words_is_one_that_the_refusal_names(place: str, text: str) -> None:
    """[fault B3] Anthropic and servers in Python write it there alone: what they echo behind it is what the caller wrote in it."""
    assert verdict(f"{place}: input was: {text}, please") == "request"
    assert verdict(f"{place}: prompt is too long: 9000 tokens > 8192 maximum") == "context"
