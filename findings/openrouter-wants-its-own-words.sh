#!/usr/bin/env bash
# OpenRouter's own clients, @openrouter/sdk 1.3.19 (Node) and openrouter 1.3.84 (Python), read no refusal whose code is a word, as OpenAI's are; the one for
# Node also breaks off a stream at `usage: null`, which OpenAI sends in every chunk where usage is asked for.
#
# Seen, for a server that answers as OpenAI's API does:
#   a document                                read by both
#   401, {"error": {"code": "invalid_api_key", "message": "The key is not known."}}
#                                             ResponseValidationError, "Response validation failed": the words are in no message
#   a stream with `usage: null` in its chunks Node: ZodError at the first chunk, nothing of the text; Python: read
#   the same without that member              read by both
#
# So an application that is moved from there to another address shows "Response validation failed" for a key that is refused and for money that is spent.
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
cat >server.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HEAD = {"id": "c", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
ERROR = {"error": {"message": "The key is not known.", "type": "authentication_error", "code": "invalid_api_key", "param": None}}


class Server(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked["model"] == "refused":
            return self.say(401, "application/json", json.dumps(ERROR))
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "Hello.", "refusal": None}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            document = {**HEAD, "object": "chat.completion", "system_fingerprint": "f", "choices": [choice], "usage": USAGE}
            return self.say(200, "application/json", json.dumps(document))
        beside = {"usage": None} if asked["model"] == "null" else {}
        deltas = ({"role": "assistant", "content": ""}, None), ({"content": "Hello."}, None), ({}, "stop")
        chunks = [{**HEAD, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": why}], **beside} for delta, why in deltas]
        chunks.append({**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
        return self.say(200, "text/event-stream", "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n")

    def say(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
Path("made").write_text(f"http://127.0.0.1:{server.server_port}/v1")
Path("made").rename("address")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @openrouter/sdk@1.3.19 >/dev/null
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openrouter==1.3.84
cat >client.mjs <<'NODE'
import assert from "node:assert";
import fs from "node:fs";
import { OpenRouter } from "@openrouter/sdk";

const client = new OpenRouter({ apiKey: "any", serverURL: fs.readFileSync("address", "utf8"), retryConfig: { strategy: "none" } });
const ask = (model, stream) => client.chat.send({ chatRequest: { model, stream, messages: [{ role: "user", content: "x" }] } });
const expected = {
  document: ["Hello.", null],
  refused: ["", "ResponseValidationError: Response validation failed"],
  without: ["Hello.", null],
  null: ["", "ZodError"],
};
for (const model of Object.keys(expected)) {
  let text = "";
  let raised = null;
  try {
    const stream = model === "without" || model === "null";
    const answer = await ask(model, stream);
    if (stream) for await (const chunk of answer) text += chunk.choices[0]?.delta.content ?? "";
    else text = answer.choices[0].message.content;
  } catch (error) {
    raised = error.constructor.name === "ResponseValidationError" ? `${error.constructor.name}: ${error.message}` : "ZodError";
    assert(raised !== "ZodError" || /usage/.test(error.message), error);
  }
  console.log("Node  ", model, JSON.stringify(text), raised);
  assert.deepEqual([text, raised], expected[model], "this has changed");
}
NODE
node client.mjs
venv/bin/python - <<'PYTHON'
from pathlib import Path

from openrouter import OpenRouter
from openrouter.utils import RetryConfig

client = OpenRouter(api_key="any", server_url=Path("address").read_text(), retry_config=RetryConfig("none", None, False))
expected = {"document": ("Hello.", None), "refused": ("", "ResponseValidationError"), "without": ("Hello.", None), "null": ("Hello.", None)}
for model, wanted in expected.items():
    text, raised = "", None
    try:
        answer = client.chat.send(model=model, messages=[{"role": "user", "content": "x"}], stream=model in ("without", "null"))
        if model in ("without", "null"):
            text = "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
        else:
            text = answer.choices[0].message.content
    except Exception as problem:
        raised = type(problem).__name__
        assert str(problem).startswith("Response validation failed") and "The key is not known." not in str(problem), problem
    print("Python", model, repr(text), raised)
    assert (text, raised) == wanted, "this has changed"
PYTHON
