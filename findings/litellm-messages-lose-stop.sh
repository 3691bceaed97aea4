#!/usr/bin/env bash
# LiteLLM 1.108.7 answers Anthropic's Messages API for a model of OpenAI's through that one's Responses API, which has no stop sequences.
#
# Seen, asked for at most 3 tokens, `stop_sequences: ["e"]` and `top_k: 5`, for a model `openai/m` at any address:
#   asked        /v1/responses with `max_output_tokens: 16`, and neither stop sequence nor `top_k`
#   answered     the text with its "e", `stop_reason: end_turn`, an id that begins with `resp_`
# The same proxy's `generateContent` (Gemini's API) goes to /v1/chat/completions and keeps both limits, but loses `candidateCount`.
#
# So a caller pays for up to five times the tokens that he allowed, reads on past his stop sequence, and is told of neither.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.108.7
LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm

asked = []
said = [{"type": "output_text", "text": "Hello there", "annotations": []}]
response = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "parallel_tool_calls": True,
    "tool_choice": "auto", "tools": [], "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": said}],
}  # fmt: skip
message = {"role": "assistant", "content": "Hello there"}
completion = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}  # fmt: skip


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
        body = json.dumps(response if "responses" in self.path else completion).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
at = {"model": "openai/m", "api_base": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "any"}


async def main():
    hi = [{"role": "user", "content": "Hi"}]
    message = await litellm.anthropic.messages.acreate(messages=hi, max_tokens=3, stop_sequences=["e"], top_k=5, **at)
    config = {"maxOutputTokens": 3, "stopSequences": ["e"], "candidateCount": 2}
    await litellm.google_genai.agenerate_content(contents=[{"role": "user", "parts": [{"text": "Hi"}]}], config=config, **at)
    return message


message = asyncio.run(main())
for path, body in asked:
    print(path, json.dumps(body))
print(message["id"][:5], message["stop_reason"], message["content"])
(first, limits), (second, kept) = asked
assert first.endswith("/responses"), "it asks elsewhere now"
assert limits["max_output_tokens"] == 16, "the limit has changed"
assert not {"stop", "stop_sequences", "top_k"} & limits.keys(), "they are kept now"
assert (message["id"][:5], message["stop_reason"]) == ("resp_", "end_turn"), "the answer has changed"
assert second.endswith("/chat/completions"), "it asks elsewhere now"
assert (kept["max_tokens"], kept["stop"]) == (3, ["e"]), "the limits have changed"
assert "n" not in kept, "it is kept now"
PYTHON
