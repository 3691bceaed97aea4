"""The names of OpenAI's chat API, where they mean something, for the check of their case. Knows no types and no limits."""

from __future__ import annotations

from aisa.wire.members import Shape

#: Members of vendors' own in any OpenAI-like request that an allow-list, a price or a hold goes by.
CACHE_CONTROL = Shape("type ttl")
MODELS = Shape("model")
VENDORS_OWN: dict[str, Shape] = {
    "models": MODELS,
    "fallbacks": MODELS,
    "compound_custom": Shape("", models=Shape("reasoning_model answering_model"), tools=Shape("enabled_tools")),
    "providerOptions": Shape("", gateway=Shape("models order only")),
    "plugins": Shape("id enabled engine max_results", pdf=Shape("engine")),
    "search_parameters": Shape("mode max_search_results"),
    "search_options": Shape("forced_search search_strategy"),
    "thinking": Shape("type budget_tokens"),
    "reasoning": Shape("effort max_tokens enabled exclude"),
    "cache_control": CACHE_CONTROL,
}
VENDORS_FLAGS = "enable_search speed enable_thinking thinking_budget top_k provider"

FUNCTION_CALL = Shape("name arguments")
FUNCTION = Shape("name description parameters strict")  # free below `parameters`
CUSTOM_TOOL = Shape("name description", format=Shape("type", grammar=Shape("definition syntax")))
NAMED = Shape("name")

PART = Shape(
    "type text refusal prompt_cache_breakpoint",
    image_url=Shape("url detail"),
    input_audio=Shape("data format"),
    audio_url=Shape("url"),
    video_url=Shape("url"),
    file=Shape("filename file_data file_id"),
    cache_control=CACHE_CONTROL,
)
TOOL_CALL = Shape("id type", function=FUNCTION_CALL, custom=Shape("name input"), cache_control=CACHE_CONTROL)
MESSAGE = Shape(
    "role name refusal reasoning_content reasoning tool_call_id",
    content=PART,
    tool_calls=TOOL_CALL,
    function_call=FUNCTION_CALL,
    audio=Shape("id"),
    cache_control=CACHE_CONTROL,
)
CONTAINER = Shape("type memory_limit")  # where a vendor runs code
TOOL = Shape(
    "type model parameters", function=FUNCTION, custom=CUSTOM_TOOL, cache_control=CACHE_CONTROL, container=CONTAINER, environment=CONTAINER
)
TOOL_CHOICE = Shape("type", function=NAMED, custom=NAMED, allowed_tools=Shape("mode", tools=Shape("type", function=NAMED, custom=NAMED)))

#: A request. `metadata` and `logit_bias` have names of the caller's; below `schema` the schema's.
REQUEST = Shape(
    "model stream logprobs top_logprobs parallel_tool_calls max_tokens max_completion_tokens temperature top_p n stop frequency_penalty "
    "presence_penalty logit_bias seed reasoning_effort verbosity service_tier modalities metadata store user safety_identifier "
    f"prompt_cache_key prompt_cache_retention {VENDORS_FLAGS}",
    messages=MESSAGE,
    tools=TOOL,
    tool_choice=TOOL_CHOICE,
    functions=FUNCTION,
    function_call=NAMED,
    stream_options=Shape("include_usage include_obfuscation"),
    response_format=Shape("type", json_schema=Shape("name description schema strict")),
    prediction=Shape("type", content=PART),
    audio=Shape("voice format"),
    prompt_cache_options=Shape("mode ttl"),
    moderation=Shape("model policy"),
    web_search_options=Shape("search_context_size", user_location=Shape("type", approximate=Shape("city country region timezone"))),
    **VENDORS_OWN,
)
