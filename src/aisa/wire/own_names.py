"""What clients of another protocol call the member of chat completions that our refusal is about. Refuses nothing."""

from __future__ import annotations

from collections.abc import Mapping

from aisa.errors import ApiError
from aisa.wire.gemini_config import SAME

#: Our names -> theirs; those that begin with a point stand behind a place in the messages or the tools (`origins.py`).
RESPONSES: Mapping[str, str] = {
    "max_completion_tokens": "max_output_tokens",
    "logprobs": "top_logprobs",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    ".function.name": "name",
    ".function.parameters": "parameters",
    ".tool_call_id": "call_id",
}
MESSAGES: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_effort": "thinking",
    "response_format": "output_config.format",
    "stop": "stop_sequences",
    "file_data": "source",
    ".function.name": "name",
    ".function.parameters": "input_schema",
    ".tool_call_id": "tool_use_id",
}
COMPLETIONS: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "messages": "prompt",
    "top_logprobs": "logprobs",
}
GEMINI: Mapping[str, str] = {
    **{ours: f"generationConfig.{theirs}" for theirs, (ours, _) in SAME.items()},
    "messages": "contents",
    "modalities": "generationConfig.responseModalities",
    "reasoning_effort": "generationConfig.thinkingConfig",
    "response_format": "generationConfig.responseMimeType",
    "tool_choice": "toolConfig.functionCallingConfig",
    "file_data": "inlineData",
    ".function.name": "name",
    ".tool_call_id": "functionResponse",
}


def in_own_names(error: ApiError, names: Mapping[str, str]) -> ApiError:
    """Return a refusal that says which member it is about as its client knows it; any other error, and a vendor's words, as they are.

    Ours begin with the member's name (`providers.concessions`), say that it asks for something (`prices.lacking`), or do not say it. What
    vendors write some clients read, and repair their requests by it.
    """
    param = error.param or ""
    name = names.get(param)
    if name is None:
        return error
    message = error.message.replace(f"`{param}` asks for", f"`{name}` asks for")
    begins = f"'{param}' "
    if message.startswith(begins):
        message = f"'{name}' {message.removeprefix(begins)}"
    return error if message == error.message and param in message else retold(error, message, name)


def retold(error: ApiError, message: str, param: str | None) -> ApiError:
    """Return an error with other words."""
    told = ApiError(error.code, message, param=param, retry_after=error.wait, should_retry=error.should_retry, allow=error.allow)
    told.reason, told.kept = error.reason, error.kept
    return told
