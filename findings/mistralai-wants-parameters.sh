#!/usr/bin/env bash
# mistralai (Python) 3.7.0 takes no function without `parameters`, which OpenAI's API lets a caller leave out for a function without any.
#
# Seen, a function {"name": "now"} as OpenAI's clients send it:
#   read by mistralai's own type     ValidationError: parameters, Field required
#   with {"parameters": {}}          read
#
# So a gateway that passes OpenAI's tools on to Mistral's API adds an empty schema where there is none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mistralai==3.7.0
"$folder/venv/bin/python" - <<'PYTHON'
from mistralai.client.models import Tool
from pydantic import ValidationError

seen = {}
for name, function in {"without": {"name": "now"}, "with": {"name": "now", "parameters": {}}}.items():
    try:
        Tool.model_validate({"type": "function", "function": function})
        seen[name] = "read"
    except ValidationError as error:
        seen[name] = " ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
print(seen)
assert seen["with"] == "read"
assert seen["without"] == "function.parameters: Field required"
PYTHON
