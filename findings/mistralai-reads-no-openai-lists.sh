#!/usr/bin/env bash
# mistralai (Python) 3.7.0 reads neither OpenAI's list of models nor OpenAI's embeddings, though both have the addresses of Mistral's own API.
#
# Seen, of the documents as OpenAI's API has them:
#   models       Value error, ModelListData: expected object with 'type' field
#   embeddings   id, Field required
#
# So a server that is compatible with OpenAI adds a `type` to each model and an `id` to embeddings, which nobody else reads.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mistralai==3.7.0
"$folder/venv/bin/python" - <<'PYTHON'
from mistralai.client.models import EmbeddingResponse, ModelList
from pydantic import ValidationError

MODEL = {"id": "m", "object": "model", "created": 1, "owned_by": "x"}
USAGE = {"prompt_tokens": 1, "total_tokens": 1}
VECTORS = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m", "usage": USAGE}


def read(kind, document):
    try:
        kind.model_validate(document)
    except (ValidationError, ValueError) as error:
        return " ".join(str(error).split())
    return "read"


seen = {
    "models": read(ModelList, {"object": "list", "data": [MODEL]}),
    "models with a type": read(ModelList, {"object": "list", "data": [{**MODEL, "type": "base"}]}),
    "embeddings": read(EmbeddingResponse, VECTORS),
    "embeddings with an id": read(EmbeddingResponse, {**VECTORS, "id": "e"}),
}
for name, outcome in seen.items():
    print(f"{name:36}{outcome[:120]}")
assert "expected object with 'type' field" in seen["models"]
assert seen["models with a type"] == "read"
assert "Field required" in seen["embeddings"]
assert seen["embeddings with an id"] == "read"
PYTHON
