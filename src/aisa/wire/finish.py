"""Why answers end, in the words of all vendors: a table from their finish reasons to OpenAI's five. Knows no choice and no stream.

Case does not matter, nor do the separators `-`, `_`, `:` and blank. The exact words come first, then what a word contains, in the order of
`CONTAINING`: an answer that was given up is never shown as finished because its reason also says something harmless.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from aisa.wire.trees import is_tree

STOP = "stop"
LENGTH = "length"
TOOL_CALLS = "tool_calls"
FUNCTION_CALL = "function_call"
CONTENT_FILTER = "content_filter"
FAILURE = "failure"  # the answer was given up: no finish
UNKNOWN = "unknown"  # in no row

CUT = frozenset({LENGTH, CONTENT_FILTER})  # what ends an answer wherever it was, in the middle of a call of a tool too

NO_REASONS = frozenset({"null", "none"})  # as text, in every chunk before the last: DashScope, servers of their own making
WORD_CHARACTERS_MAX = 60  # of a vendor's word that are looked at and shown; the longest real one has 31


class Row(NamedTuple):
    """What some vendors say, what the client gets for it, and who says it where."""

    words: tuple[str, ...]
    verdict: str
    source: str


EXACT = (
    Row(("stop", "length", "tool_calls", "function_call", "content_filter"), "", "OpenAI chat completions, finish_reason"),
    Row(("end_turn", "stop_sequence"), STOP, "Anthropic Messages, stop_reason"),
    Row(("pause_turn", "compaction"), STOP, "Anthropic Messages, stop_reason: the model may go on where it is asked to"),
    Row(("complete",), STOP, "Cohere v2 chat, finish_reason"),
    Row(("completed",), STOP, "OpenAI Responses, status"),
    Row(("eos", "eos_token"), STOP, "Together AI; Hugging Face TGI"),
    Row(("finished", "done", "end"), STOP, "servers of open models, self-made gateways"),
    Row(("max_tokens", "model_context_window_exceeded"), LENGTH, "Anthropic Messages, stop_reason; Gemini, FinishReason"),
    Row(("max_output_tokens", "max_length"), LENGTH, "OpenAI Responses, incomplete_details; Cohere v1"),
    Row(("model_length",), LENGTH, "Mistral chat, finish_reason"),
    Row(("tool_use",), TOOL_CALLS, "Anthropic Messages and Bedrock Converse"),
    Row(("tool_call",), TOOL_CALLS, "Cohere v2 chat"),
    Row(("function_calls",), TOOL_CALLS, "self-made gateways"),
    Row(("sensitive",), CONTENT_FILTER, "Zhipu GLM, finish_reason"),
    Row(("refusal",), CONTENT_FILTER, "Anthropic Messages, stop_reason"),
    Row(("safety", "recitation", "blocklist", "prohibited_content", "spii", "language"), CONTENT_FILTER, "Gemini, FinishReason"),
    Row(("moderation", "content_policy"), CONTENT_FILTER, "routers and image models"),
    Row(("content_filtered", "guardrail_intervened"), CONTENT_FILTER, "Bedrock Converse, stopReason"),
    Row(("error", "network_error"), FAILURE, "OpenRouter and Mistral; Zhipu GLM"),
    Row(("insufficient_system_resource",), FAILURE, "DeepSeek chat, finish_reason"),
    Row(("abort", "aborted"), FAILURE, "vLLM and SGLang, a request that the engine gave up"),
    Row(("cancel", "cancelled", "canceled", "timeout", "failed"), FAILURE, "OpenAI Responses, status; routers"),
    Row(("model_armor", "escalation", "pup_limited_disabled", "image_recitation"), CONTENT_FILTER, "Gemini, FinishReason"),
    Row(("image_other", "no_image", "finish_reason_unspecified"), STOP, "Gemini, FinishReason"),
    Row(("malformed_function_call", "unexpected_tool_call", "malformed_response"), FAILURE, "Gemini, FinishReason"),
    Row(("too_many_tool_calls", "missing_thought_signature"), FAILURE, "Gemini, FinishReason"),
    Row(("continuation",), FAILURE, "Gemini, FinishReason, where the rest of the answer cannot be asked for"),
)


class Trait(NamedTuple):
    """What a word contains, and what that says of it whatever else it says. Matched on the word in lower case, its parts joined by `_`."""

    pattern: re.Pattern[str]
    verdict: str


CONTAINING = (
    Trait(re.compile("error|abort|cancel|time_?out|fail|malformed|invalid"), FAILURE),
    Trait(re.compile("safety|(?<!un)filter|prohibited|policy"), CONTENT_FILTER),
    Trait(re.compile("length|(?:^|_)max(?:_|imum)|context"), LENGTH),
)

SEPARATORS = re.compile(r"[-_:\s]+")


def joined(word: str) -> str:
    """Return a word as it is looked up: in lower case, without separators."""
    return SEPARATORS.sub("", word).casefold()


#: The words as they are written, and as they are looked up if they are not found so.
VERDICTS = {spelling: row.verdict or word for row in EXACT for word in row.words for spelling in (word, joined(word))}


def spoken(reason: object) -> str:
    """Return a vendor's finish reason as a word, shortened; nothing if it gave none. Some wrap it in an object with a `type`."""
    if is_tree(reason):
        reason = reason.get("type") or reason.get("reason")
    word = "" if reason is None or reason is False else str(reason)[:WORD_CHARACTERS_MAX].strip()
    return "" if word.casefold() in NO_REASONS else word


def verdict_on(word: str) -> str:
    """Return what a vendor's word means: one of OpenAI's five reasons, FAILURE or UNKNOWN."""
    known = VERDICTS.get(word) or VERDICTS.get(joined(word))
    if known is not None:
        return known
    parts = SEPARATORS.sub("_", word).casefold()
    return next((trait.verdict for trait in CONTAINING if trait.pattern.search(parts)), UNKNOWN)


def later_of(earlier: str, later: str) -> str:
    """Return which of two verdicts on one choice counts: the last, but nothing unknown over what is known, and calls over `stop`."""
    if later == UNKNOWN and earlier:
        return earlier
    return earlier if later == STOP and earlier in (TOOL_CALLS, FUNCTION_CALL) else later
