"""What clients of another protocol call the member of chat completions that our refusal is about. Refuses nothing."""

from __future__ import annotations

from collections.abc import Mapping

from aisa.errors import ApiError
from aisa.wire.gemini_config import SAME

RESPONSES: Mapping[str, str] = {
    "max_completion_tokens": "max_output_tokens",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
MESSAGES: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_effort": "thinking",
    "response_format": "output_config.format",
    "stop": "stop_sequences",
}
GEMINI: Mapping[str, str] = {
    **{ours: f"generationConfig.{theirs}" for theirs, (ours, _) in SAME.items()},
    "messages": "contents",
    "modalities": "generationConfig.responseModalities",
    "reasoning_effort": "generationConfig.thinkingConfig",
    "response_format": "generationConfig.responseMimeType",
    "tool_choice": "toolConfig.functionCallingConfig",
}


def in_own_names(error: ApiError, names: Mapping[str, str]) -> ApiError:
    """Return a refusal that says which member it is about as its client knows it; any other error, and a vendor's words, as they are.

    Ours begin with the member's name (`providers.concessions`). Places inside the messages are told as chat completions have them. What
    vendors write some clients read, and repair their requests by it.
    """
    name = names.get(error.param or "")
    begins = f"'{error.param}' "
    if name is None or not error.message.startswith(begins):
        return error
    message = f"'{name}' {error.message.removeprefix(begins)}"
    return ApiError(error.code, message, param=name, retry_after=error.wait, should_retry=error.should_retry, allow=error.allow)
