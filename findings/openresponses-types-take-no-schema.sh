#!/usr/bin/env bash
# openresponses-types 2.4.0, the published Python types of the Open Responses specification, read no response to a call that asked for a JSON schema.
#
# Seen, for a response whose `text.format` repeats the schema that was asked for, as OpenAI's API and its client (openai 2.9.0) have it:
#   openresponses_types.ResponseResource: text.format.JsonSchemaResponseFormat.schema: Input should be None
#   openai.types.responses.Response: read
# Without the schema, and without anything else that a response must have, each lacking member is an error; null is none for these five:
#   frequency_penalty, presence_penalty, temperature, top_logprobs, top_p
# which OpenAI's own types let out or take as null.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openresponses-types==2.4.0 openai==2.9.0
"$folder/venv/bin/python" - <<'PYTHON'
import openresponses_types
from openai.types.responses import Response
from pydantic import ValidationError

form = {"type": "json_schema", "name": "n", "description": None, "strict": True, "schema": {"type": "object", "properties": {}}}
response = {
    "id": "resp_1", "object": "response", "created_at": 1, "completed_at": 2, "status": "completed", "model": "m", "output": [], "error": None,
    "incomplete_details": None, "previous_response_id": None, "instructions": None, "tools": [], "tool_choice": "auto", "truncation": "disabled",
    "parallel_tool_calls": True, "text": {"format": form}, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "top_logprobs": 0,
    "temperature": 1.0, "reasoning": None, "usage": None, "max_output_tokens": None, "max_tool_calls": None, "store": False, "background": False,
    "service_tier": "default", "metadata": {}, "safety_identifier": None, "prompt_cache_key": None,
}  # fmt: skip


def faults(given):
    try:
        openresponses_types.ResponseResource.model_validate(given)
    except ValidationError as found:
        return [(".".join(map(str, each["loc"])), each["msg"]) for each in found.errors()]
    return []


told = dict(faults(response))
print("with the schema:", told.get("text.format.JsonSchemaResponseFormat.schema"))
assert told["text.format.JsonSchemaResponseFormat.schema"] == "Input should be None"
assert Response.model_validate(response).text.format.schema_ == form["schema"]
plain = {**response, "text": {"format": {"type": "text"}}}
assert faults(plain) == []
numbers = [name for name in sorted(plain) if faults({**plain, name: None}) and "number" in str(faults({**plain, name: None})) or name == "top_logprobs"]
lacking = [name for name in plain if not faults({each: plain[each] for each in plain if each != name})]
print("null is refused where there is a number:", ", ".join(numbers))
print("members that may be left out:", lacking)
assert numbers == ["frequency_penalty", "presence_penalty", "temperature", "top_logprobs", "top_p"]
assert faults({**plain, "top_logprobs": None}) and lacking == []
Response.model_validate({name: value for name, value in plain.items() if name not in ("top_logprobs", "presence_penalty", "completed_at")} | {"temperature": None})
PYTHON
