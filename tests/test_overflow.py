"""A context overflow is known by a rule: who exceeds what. Fault B4; no list of wordings would be complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.providers.overflow import is_overflow, tokens_named

#: The prompt is too long.
OVERFLOWS = [
    "request (9000 tokens) exceeds the available context size (8192 tokens)",
    "the request exceeds the available context size, try increasing it",
    "Context size has been exceeded.",
    "maximum prompt length is 8192 but the request contains 9000 tokens",
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "The input token count (9000) exceeds the maximum number of tokens allowed (8192).",
    "prompt token count of 9000 exceeds the limit of 8192",
    "Input is too long for requested model.",
    "Range of input length should be [1, 8192]",
    "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]",
    "Prompt exceeds max length",
    "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
    "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
    "Trying to keep the first 9000 tokens when the context overflows.",
    "prompt is too long: 9000 tokens > 8192 maximum",
    "input length and `max_tokens` exceed context limit: 9000 + 1000 > 8192, decrease input length or `max_tokens` and try again",
    "This model's maximum context length is 65536 tokens.",
    (
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in"
        " the completion). Please reduce the length of the messages or completion."
    ),
    (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 8545 tokens. Please reduce the"
        " length of the messages."
    ),
    (
        "This model's maximum context length is 2048 tokens. However, your request has 20006 input tokens. Please reduce the"
        " length of the input messages."
    ),
    (
        "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens (8000 of text input,"
        " 1000 in the output). Please reduce the length of either one, or use the context-compression plugin."
    ),
    "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292. Try using a shorter prompt",
    "Unable to submit request because the input token count is 9000 but model only supports up to 8192.",
    "Prompt contains 9000 tokens and 0 draft tokens, too large for model with 8192 maximum context length",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 0 `max_new_tokens`",
    "Input validation error: `inputs` must have less than 8192 tokens. Given: 9000",
    "size limit exceeded by 127 tokens. Try using shorter or fewer inputs.",
    "The prompt is too long: 9000, model maximum context length: 8191",
    "Please reduce the length of the messages or completion.",
    "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192",
    "Your request exceeded model token limit: 8192 (requested: 9000)",
    "Invalid request: Your request exceeded model token limit: 262144",
    "invalid params, context window exceeds limit (2013)",
    "prompt too long; exceeded max context length by 808 tokens",
    "input length exceeds maximum context length",
    (
        "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 9000>= n_ctx: 8192)."
        " Try to load the model with a larger context length, or provide a shorter input"
    ),
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Request body too large for gpt-4o model. Max size: 8000 tokens.",
    "Input length 133034 exceeds the maximum length 131072",
    "Total tokens of image and text exceed max message tokens",
    (
        "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 9000 tokens:"
        " 8000 tokens from the input messages and 1000 tokens for the completion."
    ),
    "Prompt length (9000) exceeds maximum input length (8192). Set log level to info and check",
    "Requested tokens (9000) exceed context window of 8192",
    "the number of input tokens 9000 cannot exceed the total tokens limit 8192 for this model",
    "The estimated number of input and maximum output tokens (9000) exceeded this model context window limit (8192).",
    "Conversation is too long",
    "Too many tokens in the prompt",
    "Too many tokens",
    "tokens in request more than max tokens allowed",
    "token limit exceeded",
    "Message too long: 9000 tokens",
    "The context length is only 8192 tokens, resulting in a maximum input length of 8000 tokens. However you requested 9000",
    "Prompt exceeds the length limit",
    "Your messages are over the context limit",
    "The input is out of range: maximum context window is 8192",
    (
        "input tokens exceed the configured limit of 8192 tokens. Your messages resulted in 9000 tokens. Please reduce the"
        " length of the messages."
    ),
    "too many input tokens",
    "The total length of the messages exceeds the model's window of 8192",
    "slot unavailable, n_ctx too small for the prompt",
    "The conversation history does not fit into the context window",
    "输入长度超过模型最大长度",
    "Requested generation length 1000 plus prompt 9000 is larger than the context",
    "The prompt has 9000 tokens, which is more than the 8192 that the model can take",
    "Text is longer than the maximum context",
    "Input too large: 9000 tokens, limit 8192",
    "Your prompt is longer than allowed (9000 > 8192)",
    "messages: total size in tokens is above the limit of 8192",
    "Invalid 'messages': array too long. Expected an array with maximum length 2048, but got an array with length 3000 instead.",
    (
        "This model's maximum context length is 262144 tokens. However, you requested 0 output tokens and your prompt contains"
        " at least 262145 input tokens, for a total of at least 262145 tokens. Please reduce the length of the input prompt or"
        " the number of requested output tokens. (parameter=input_tokens, value=262145)"
    ),
    "Input tokens (9000) exceed model limit",
    "The prompt is larger than the model can handle",
    "Request exceeds model's context",
    "token count exceeds",
    "Total tokens exceed the model limit",
    "Context limit reached",
    "Context window is full",
    "The context window has been exceeded",
    "prompt has 9000 tokens but max is 8192",
    "Prompt tokens 9000 > 8192",
    "The request is too long: 9000 tokens",
    "Your prompt contains 9000 tokens, which exceeds the limit",
    (
        "You passed 9000 input tokens and requested 100 output tokens. However, the model's context length is only 8192"
        " tokens, resulting in a maximum input length of 8092 tokens."
    ),
    "The input is longer than the model's maximum sequence length",
    "Maximum tokens exceeded for prompt",
    "The sequence length 9000 exceeds max_seq_len 8192",
    "Sequence is too long",
    "Input exceeds maximum allowed token count",
    "Your messages exceeded the maximum number of tokens",
    "the input prompt of 9000 tokens does not fit in 8192",
    "Number of input tokens exceeds max_prefill_tokens",
    "Prompt is over the limit of 8192 tokens",
    "Message exceeds context limit",
    "The combined input is beyond the context window",
    "The request of 9000 tokens is over the context window",
    "messages length out of range [1, 8192]",
    "input length must be at most 8192",
    "Input must not exceed 8192 tokens",
    "the length of the prompt (9000) can not be larger than 8192",
    "max input length is 8192, got 9000",
    "context too long",
    "Query is too long",
    "The prompt's length exceeds the maximum",
    "Your conversation exceeded the maximum context",
    "Request size exceeds model context window",
    "prompt is too long: 210000 tokens > 200000 maximum. Please start a new chat or try again in a new conversation.",
    "This model's maximum context length is 8192 tokens, however you requested 9000 tokens. Please shorten it or try again later.",
    "The prompt has 9000 tokens, more than the maximum of 8192. Retry again in a moment with a shorter one.",
    "Your prompt exceeds the context window; try again in an emptier chat",
]
#: Something else is: a stop list, `max_tokens`, the output, a tool, a file, a picture, bytes, a rate, a time.
OTHERS = [
    "Too many tokens in the `stop` list",
    "stop sequences too long",
    "max_tokens: 9000 > 8192, which is the maximum allowed number of output tokens for claude",
    "max_tokens is too large: 9000. This model supports at most 4096 completion tokens, whereas you provided 9000.",
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length is 8192 tokens and your"
        " request has 100 input tokens (9000 > 8192 - 100)."
    ),
    "The output limit is exceeded: 9000 output tokens",
    "Tool name exceeds 64 characters",
    "tools.0.custom.name: String should have at most 64 characters",
    "Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64, but got a string with length 70 instead.",
    "messages.5.content.1.image.source.base64: image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes",
    "The file in your request exceeds the size limit",
    "Too many images in request: 30 > 20",
    "Request contains too many images",
    "Too many tools: 200 > 128",
    "Too many requests",
    "Request too large. Max 32MB",
    "Request exceeds the maximum allowed number of bytes.",
    "Request entity too large",
    (
        "Request too large for model `x` in organization `org` service tier `on_demand` on tokens per minute (TPM): Limit 6000,"
        " Requested 9000, please reduce your message size and try again."
    ),
    "context deadline exceeded",
    "Range of max_tokens should be [1, 8192]",
    "Range of top_p should be (0, 1]",
    "temperature must be at most 2",
    "The requested max_tokens exceeds the limit",
    "Function description is too long",
    "The image is too large: 9000 x 9000",
    "The generated output exceeds the maximum length",
    "Invalid 'stop': array too long. Expected an array with maximum length 4",
    "rate limit exceeded for tokens",
    "n must be less than 8",
    "budget_tokens must be less than max_tokens",
    "The number of images in the prompt exceeds the limit of 10",
    "File too large: 9000 pages",
    "The response is longer than allowed",
    "metadata value too long",
    "top_logprobs must be less than 20",
    "The user id is longer than 64 characters",
    "Audio is longer than 1500 seconds",
    "The PDF has more than 100 pages",
    "Invalid request",
    "thinking.budget_tokens: must be less than max_tokens",
    "The model's maximum output is 4096 tokens",
    "request timeout exceeded",
    "max_completion_tokens exceeds the model's maximum of 8192 tokens",
    "The name of the tool in message 3 is too long",
    "body.top_p: Input should be greater than 0",
    "Too many tokens, please wait before trying again.",
    "Too many tokens, wait and retry",
    "The number of input tokens exceeds what is left of your allowance, try again in 20 seconds",
    "Your input tokens exceed what is left, try again in a few minutes",
    "Too many tokens in the prompts of this account. Try again later.",
    "when calling the Converse operation (reached max retries: 4): Too many tokens, please wait before trying again.",
]


@pytest.mark.parametrize("words", OVERFLOWS)
def test_a_prompt_that_exceeds_what_fits_is_an_overflow(words: str) -> None:
    """Clients shorten their history on this code alone, so every wording must give it."""
    assert is_overflow(words.lower())


@pytest.mark.parametrize("words", OTHERS)
def test_what_is_too_long_beside_the_prompt_is_none(words: str) -> None:
    """Shortening the history would not help, and a client that tries loses what the user said."""
    assert not is_overflow(words.lower())


ACCUSED = [
    "the prompt",
    "your input",
    "the request of 9000 tokens",
    "the number of tokens in the messages",
    "this conversation",
    "the context",
]
INNOCENT = [
    "the stop list",
    "`max_tokens`",
    "the output",
    "the tool's name",
    "the file",
    "an image",
    "the function description",
    "the metadata",
]
EXCEEDING = ["exceeds", "is longer than", "is larger than", "is over", "surpasses", "does not fit"]
LIMITS = ["the maximum length", "the model's limit of 8192", "the context window", "the maximum size"]


@given(
    st.sampled_from(ACCUSED + INNOCENT),
    st.sampled_from(EXCEEDING),
    st.sampled_from(LIMITS),
    st.sampled_from(["", "Bad request: ", "Error. "]),
)
def test_the_subject_decides(who: str, exceeds: str, limit: str, before: str) -> None:
    """The same sentence is an overflow or none, by whom it is about."""
    assert is_overflow(f"{before}{who} {exceeds} {limit}.".lower()) is (who in ACCUSED)


@pytest.mark.parametrize(
    ("words", "tokens"),
    [("9000 tokens > 8192 maximum", 9_000), ("131,072 but 537,812", 537_812), ("Prompt exceeds max length", 0)],
)
def test_the_tokens_that_a_window_must_exceed_are_read_from_the_words(words: str, tokens: int) -> None:
    """The larger of what was asked and what fits; nothing where no number is named."""
    assert tokens_named(words) == tokens
