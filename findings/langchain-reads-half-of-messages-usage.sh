#!/usr/bin/env bash
# Of the two reports of usage in a stream of Anthropic's Messages API LangChain for Python (langchain-anthropic 1.7.10) reads only the last, LangChain for
# Node (@langchain/anthropic 1.5.11) the input only of the first; and where there are several at the end, as the protocol allows, both add them up, though
# each is the sum so far. Vercel's AI SDK (@ai-sdk/anthropic 3.0.140) reads them as they are meant.
#
# Seen, input + output, for 100 + 15 tokens:
#                                                              Python      Node        AI SDK
#   input in message_start alone, as in Anthropic's examples     0 + 15    100 + 16    100 + 15
#   in message_start and message_delta, as from Anthropic itself 100 + 15  100 + 16    100 + 15
#   in message_delta alone, as from who learns it at the end     100 + 15    0 + 15    100 + 15
#   two message_delta, of 10 and of 15 tokens                    0 + 25    100 + 26    100 + 15
# Node's one too many is the first report's `output_tokens: 1`.
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
cat >server.py <<'PYTHON'
import itertools
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

numbers = itertools.count(1)
STREAMS = {  # the usage of message_start, and of each message_delta
    "claude-start": ({"input_tokens": 100, "output_tokens": 1}, [{"output_tokens": 15}]),
    "claude-both": ({"input_tokens": 100, "output_tokens": 1}, [{"input_tokens": 100, "output_tokens": 15}]),
    "claude-end": ({"input_tokens": 0, "output_tokens": 0}, [{"input_tokens": 100, "output_tokens": 15}]),
    "claude-two": ({"input_tokens": 100, "output_tokens": 1}, [{"output_tokens": 10}, {"output_tokens": 15}]),
}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        first, later = STREAMS[asked["model"]]
        head = {"id": f"msg_{next(numbers)}", "type": "message", "role": "assistant", "model": asked["model"], "content": []}
        events = [
            {"type": "message_start", "message": {**head, "stop_reason": None, "stop_sequence": None, "usage": first}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}},
            {"type": "content_block_stop", "index": 0},
            *({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage} for usage in later),
            {"type": "message_stop"},
        ]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in events:
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
Path("made").write_text(f"http://127.0.0.1:{server.server_port}")
Path("made").rename("address")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langchain-anthropic==1.7.10 langchain-core==1.8.3 anthropic==2.14.0
venv/bin/python - <<'PYTHON'
from pathlib import Path

from langchain_anthropic import ChatAnthropic

for model, expected in {"claude-start": (0, 15), "claude-both": (100, 15), "claude-end": (100, 15), "claude-two": (0, 25)}.items():
    answer = None
    for chunk in ChatAnthropic(model=model, base_url=Path("address").read_text(), api_key="any").stream("x"):
        answer = chunk if answer is None else answer + chunk
    usage = answer.usage_metadata
    print("LangChain         ", model, usage["input_tokens"], "+", usage["output_tokens"])
    assert (usage["input_tokens"], usage["output_tokens"]) == expected, "this has changed"
PYTHON
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @langchain/anthropic@1.5.11 @langchain/core@1.4.0 ai@7.0.173 @ai-sdk/anthropic@3.0.140 >/dev/null
cat >client.mjs <<'NODE'
import assert from "node:assert";
import fs from "node:fs";
import { createAnthropic } from "@ai-sdk/anthropic";
import { ChatAnthropic } from "@langchain/anthropic";
import { streamText } from "ai";

const address = fs.readFileSync("address", "utf8");
const expected = { "claude-start": [100, 16], "claude-both": [100, 16], "claude-end": [0, 15], "claude-two": [100, 26] };
for (const [model, wanted] of Object.entries(expected)) {
  let answer;
  for await (const chunk of await new ChatAnthropic({ model, apiKey: "any", anthropicApiUrl: address }).stream("x")) answer = answer?.concat(chunk) ?? chunk;
  const { input_tokens, output_tokens } = answer.usage_metadata;
  console.log("LangChain for Node", model, input_tokens, "+", output_tokens);
  assert.deepEqual([input_tokens, output_tokens], wanted, "this has changed");
  const result = streamText({ model: createAnthropic({ baseURL: `${address}/v1`, apiKey: "any" })(model), prompt: "x" });
  for await (const _ of result.textStream);
  const { inputTokens, outputTokens } = await result.usage;
  console.log("AI SDK            ", model, inputTokens, "+", outputTokens);
  assert.deepEqual([inputTokens, outputTokens], [100, 15], "this has changed");
}
NODE
node client.mjs 2>/dev/null
