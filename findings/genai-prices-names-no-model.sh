#!/usr/bin/env bash
# genai-prices 0.2.3: some ids in its list are beginnings and endings that names are matched by, and no model can be called by them.
#
# Whoever offers a list of models from this catalogue (as a gateway does before the vendor's own list is there) shows names that answer 404.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check genai-prices==0.2.3
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from genai_prices.data import providers

odd = sorted(model.id for provider in providers if provider.id == "openai" for model in provider.models if model.id.endswith(("-", ".ft-")))
print(version("genai-prices"), odd)
assert odd
PYTHON
