"""The names of OpenAI's Responses API, where they mean something, for the check of their case. Knows no types and no limits."""

from __future__ import annotations

from aisa.wire.chat_members import CONTAINER, VENDORS_FLAGS, VENDORS_OWN
from aisa.wire.members import Shape

PART = Shape(
    "type text refusal image_url file_id detail file_data file_url filename prompt_cache_breakpoint stdout stderr",
    input_audio=Shape("data format"),
    outcome=Shape("type exit_code"),
)
ENVIRONMENT = Shape("type container_id memory_limit", skills=Shape("name description path"))
ITEM = Shape(
    "type id status role phase name namespace call_id arguments input encrypted_content execution max_output_length",
    content=PART,
    output=PART,
    summary=Shape("type text"),
    action=Shape("type commands command timeout_ms max_output_length env user working_directory"),
    operation=Shape("type path diff"),
    environment=ENVIRONMENT,
)
FUNCTION = Shape("type name description parameters strict defer_loading", format=Shape("type syntax definition"))
TOOL = Shape(
    "type name description parameters strict defer_loading execution external_web_access search_context_size server_label server_url model",
    filters=Shape("allowed_domains blocked_domains"),
    user_location=Shape("type city country region timezone"),
    container=CONTAINER,
    format=Shape("type syntax definition"),
    tools=FUNCTION,
    environment=ENVIRONMENT,
)
NAMED = Shape("type name namespace server_label")

#: A request. `metadata` and `client_metadata` have names of the caller's; below `schema` and `parameters` the schema's.
REQUEST = Shape(
    "model instructions stream store previous_response_id conversation background prompt parallel_tool_calls max_output_tokens "
    "max_tool_calls temperature top_p frequency_penalty presence_penalty top_logprobs include metadata client_metadata truncation "
    "service_tier user safety_identifier prompt_cache_key prompt_cache_retention context_management "
    f"{VENDORS_FLAGS}",
    input=ITEM,
    tools=TOOL,
    tool_choice=Shape("type name namespace server_label mode", tools=NAMED),
    text=Shape("verbosity", format=Shape("type name description schema strict")),
    stream_options=Shape("include_obfuscation"),
    prompt_cache_options=Shape("mode ttl"),
    moderation=Shape("model policy"),
    **(VENDORS_OWN | {"reasoning": Shape("effort summary generate_summary context mode max_tokens enabled exclude")}),
)
