#!/usr/bin/env bash
# Vercel's AI SDK (ai 7.0.173, @ai-sdk/openai-compatible 3.0.92, @ai-sdk/openai 4.0.118) asks the model once more, unasked, where a stream fails in the middle
# of the arguments of a call: the half call is a call with wrong arguments to it, of which the model is told. The last `finishReason` is then "stop".
#
# Seen, of `streamText` with a tool that pays and room for three steps, for a stream that ends with {"error": {"message": "The engine is overloaded."}}
#   behind a text                    1 request, "error"
#   behind a whole call              1 request, "error"; the call is not carried out
#   behind half a call               2 requests, "stop"; in the second the assistant has called with {}, and the result says that JSON could not be parsed
# and for one that just ends behind half a call
#   openai-compatible                2 requests, "stop"
#   openai, its chat                 1 request, "interrupted"
# Only `onError` tells that something failed; the text that comes behind it is the answer to another question.
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
FAILURE = {"error": {"message": "The engine is overloaded.", "type": "server_error", "code": "overloaded", "param": None}}


def chunk(delta, finish=None):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def called(arguments, **more):
    return chunk({"tool_calls": [{"index": 0, **more, "function": {"arguments": arguments, **({"name": "pay"} if more else {})}}]})


OPENING, BEGUN, HALF = chunk({"role": "assistant", "content": ""}), called("", id="call_1", type="function"), called('{"amount": 100')
STREAMS = {
    "text": [OPENING, chunk({"content": "Half"}), FAILURE],
    "call": [OPENING, BEGUN, HALF, called("}"), FAILURE],
    "half": [OPENING, BEGUN, HALF, FAILURE],
    "cut": [OPENING, BEGUN, HALF],
    "second": [OPENING, chunk({"content": "I did not pay."}), chunk({}, "stop")],
}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(body)
        Path("asked").write_bytes(body)
        Path("count").write_text(str(next(numbers)))
        name = "second" if any(message["role"] == "tool" for message in asked["messages"]) else asked["model"]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        for event in STREAMS[name]:
            self.wfile.write(f"data: {json.dumps(event if event is FAILURE else head | event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n" if name == "second" else b"")


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
Path("count").write_text("0")
Path("made").write_text(f"http://127.0.0.1:{server.server_port}/v1")
Path("made").rename("address")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund ai@7.0.173 @ai-sdk/openai-compatible@3.0.92 @ai-sdk/openai@4.0.118 zod@4 >/dev/null
cat >client.mjs <<'NODE'
import assert from "node:assert";
import fs from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { isStepCount, streamText, tool } from "ai";
import { z } from "zod";

const baseURL = fs.readFileSync("address", "utf8");
const compatible = createOpenAICompatible({ name: "any", baseURL, apiKey: "any" });
const openai = createOpenAI({ baseURL, apiKey: "any" });
const count = () => Number(fs.readFileSync("count", "utf8"));
let paid = 0;
const execute = async () => (paid++, "paid");
const tools = { pay: tool({ description: "Pay.", inputSchema: z.object({ amount: z.number() }), execute }) };
const seen = async (who, model, name) => {
  const before = count();
  let failures = 0;
  const answer = streamText({ model, prompt: "x", tools, stopWhen: isStepCount(3), onError: () => failures++ });
  let text = "";
  for await (const piece of answer.textStream) text += piece;
  const finish = await answer.finishReason;
  console.log(who, name, count() - before, "requests,", finish, JSON.stringify(text), failures, "failures told,", paid, "paid");
  return [count() - before, finish, failures, paid];
};
for (const [who, of] of [["openai-compatible", compatible], ["openai", (name) => openai.chat(name)]]) {
  assert.deepEqual(await seen(who, of("text"), "text"), [1, "error", 1, 0], "this has changed");
  assert.deepEqual(await seen(who, of("call"), "call"), [1, "error", 1, 0], "this has changed");
  assert.deepEqual(await seen(who, of("half"), "half"), [2, "stop", 1, 0], "this has changed");
  const [, called, result] = JSON.parse(fs.readFileSync("asked", "utf8")).messages;
  assert.equal(called.tool_calls[0].function.arguments, "{}", "this has changed");
  assert.match(result.content, /JSON parsing failed/, "this has changed");
  assert.deepEqual(await seen(who, of("cut"), "cut"), who === "openai" ? [1, "interrupted", 0, 0] : [2, "stop", 1, 0], "this has changed");
}
NODE
node client.mjs 2>/dev/null
