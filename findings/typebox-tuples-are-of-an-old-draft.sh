#!/usr/bin/env bash
# TypeBox 0.34 writes tuples as drafts before 2020 do (`items` is a list) and does not say which draft it writes for. Whoever reads a schema without
# `$schema` as of the newest draft, as Python's jsonschema 4.26 does, refuses the whole schema, or, without checking it, every document.
#
# Seen, for Type.Tuple([Type.Integer(), Type.String()]):
#   {"type":"array","items":[{"type":"integer"},{"type":"string"}],"additionalItems":false,"minItems":2,"maxItems":2}
#   as of the newest draft: SchemaError; with `$schema` of draft 7: [1, "a"] is valid
#
# zod 4 writes the newest draft (`prefixItems`) and says so; Valibot's own converter writes draft 7 and says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @sinclair/typebox@0.34.52 >/dev/null
python3 -m venv venv
venv/bin/pip install --quiet jsonschema==4.26.0
cat >tuple.mjs <<'JAVASCRIPT'
import { Type } from "@sinclair/typebox";
console.log(JSON.stringify(Type.Tuple([Type.Integer(), Type.String()])));
JAVASCRIPT
node tuple.mjs >schema.json
cat schema.json
cat >judge.py <<'PYTHON'
import json

import jsonschema

schema = json.load(open("schema.json"))
assert "$schema" not in schema and isinstance(schema["items"], list), "TypeBox has changed"
try:
    jsonschema.validate([1, "a"], schema)
except jsonschema.SchemaError as error:
    print("as of the newest draft: SchemaError,", error.message)
else:
    raise SystemExit("the newest draft is borne now")
jsonschema.validate([1, "a"], {"$schema": "http://json-schema.org/draft-07/schema#", **schema})
print('with `$schema` of draft 7: [1, "a"] is valid')
PYTHON
venv/bin/python judge.py
