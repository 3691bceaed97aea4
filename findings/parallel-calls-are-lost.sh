#!/usr/bin/env bash
# Of two calls of tools in one answer LlamaIndex's agents (llama-index-llms-openai-like 0.8.1 in Python, @llamaindex/openai 0.4.23 in Node) lose the second
# where a chunk of the stream has both, and the one in Python loses the arguments where their fragments come in turns; Strands for Node
# (@strands-agents/sdk 1.19.0) loses all but the last in every stream. Nothing is raised, and the model is told of no call that was lost.
#
# Seen, for a tool `pay(amount = 1)` and a model that pays 100 and 2500, in streams of OpenAI's form:
#                                                    LlamaIndex     LlamaIndex for Node   Strands for Node
#   each in one chunk of its own, one after the other  100, 2500    100, 2500             2500
#   in fragments, one call after the other             100, 2500    100, 2500             2500
#   both whole in one chunk, as Mistral sends them     100          100                   2500
#   both begun, then fragments in turns                1, 1         (not asked)           ModelError, "unable to parse tool input JSON"
# Documents are read right by LlamaIndex; Strands asks for none.
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

numbers = itertools.count()


def begun(index, arguments=""):
    return {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": "pay", "arguments": arguments}}


def more(index, arguments):
    return {"index": index, "function": {"arguments": arguments}}


STREAMS = {
    "apart": [[begun(0, '{"amount": 100}')], [begun(1, '{"amount": 2500}')]],
    "fragments": [[begun(0)], [more(0, '{"amount"')], [more(0, ": 100}")], [begun(1)], [more(1, '{"amount"')], [more(1, ": 2500}")]],
    "together": [[begun(0, '{"amount": 100}'), begun(1, '{"amount": 2500}')]],
    "turns": [[begun(0)], [begun(1)], [more(0, '{"amount"')], [more(1, '{"amount"')], [more(0, ": 100}")], [more(1, ": 2500}")]],
}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert asked["stream"], asked
        deltas = [({"role": "assistant", "content": None}, None)]
        if any(message["role"] == "tool" for message in asked["messages"]):
            deltas += [({"content": "Done."}, None), ({}, "stop")]
        else:
            deltas += [*(({"tool_calls": calls}, None) for calls in STREAMS[asked["model"]]), ({}, "tool_calls")]
        head = {"id": f"chatcmpl-{next(numbers)}", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": why}]} for delta, why in deltas]
        chunks.append({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(f"data: {json.dumps(head | chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
Path("made").write_text(f"http://127.0.0.1:{server.server_port}/v1")
Path("made").rename("address")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check llama-index-llms-openai-like==0.8.1 llama-index-llms-openai==0.8.3 llama-index-core==0.14.25 \
    openai==2.54.0
venv/bin/python - <<'PYTHON'
import asyncio
from pathlib import Path

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

paid = []


def pay(amount: int = 1) -> str:
    "Pay."
    paid.append(amount)
    return "paid"


async def main():
    for model, expected in {"apart": [100, 2500], "fragments": [100, 2500], "together": [100], "turns": [1, 1]}.items():
        paid.clear()
        llm = OpenAILike(model=model, api_base=Path("address").read_text(), api_key="any", is_chat_model=True, is_function_calling_model=True)
        answer = await FunctionAgent(tools=[FunctionTool.from_defaults(pay)], llm=llm).run("Pay.")
        print("LlamaIndex         ", model, paid, answer.response.content)
        assert (paid, answer.response.content) == (expected, "Done."), "this has changed"


asyncio.run(main())
PYTHON
mkdir llama strands
cd llama
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund llamaindex@0.12.1 @llamaindex/openai@0.4.23 @llamaindex/workflow@1.1.25 zod@4 >/dev/null
cat >client.mjs <<'NODE'
import assert from "node:assert";
import fs from "node:fs";
import { OpenAI } from "@llamaindex/openai";
import { agent } from "@llamaindex/workflow";
import { tool } from "llamaindex";
import { z } from "zod";

let paid = [];
const parameters = z.object({ amount: z.number().default(1) });
const pay = tool({ name: "pay", description: "Pay.", parameters, execute: ({ amount }) => (paid.push(amount), "paid") });
for (const [model, expected] of Object.entries({ apart: [100, 2500], fragments: [100, 2500], together: [100] })) {
  paid = [];
  const llm = new OpenAI({ model, apiKey: "any", baseURL: fs.readFileSync("../address", "utf8"), supportToolCall: true });
  const answer = await agent({ llm, tools: [pay] }).run("Pay.");
  console.log("LlamaIndex for Node", model, paid, answer.data.result);
  assert.deepEqual([paid, answer.data.result], [expected, "Done."], "this has changed");
}
process.exit(0);
NODE
node client.mjs
cd ../strands
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @strands-agents/sdk@1.19.0 @modelcontextprotocol/sdk@1.32.2 openai@6.49.0 zod@4 >/dev/null
cat >client.mjs <<'NODE'
import assert from "node:assert";
import fs from "node:fs";
import { Agent, tool } from "@strands-agents/sdk";
import { OpenAIModel } from "@strands-agents/sdk/models/openai";
import { z } from "zod";

let paid = [];
const inputSchema = z.object({ amount: z.number().default(1) });
const pay = tool({ name: "pay", description: "Pay.", inputSchema, callback: ({ amount }) => (paid.push(amount), "paid") });
for (const [model, expected, wanted] of [["apart", [2500]], ["fragments", [2500]], ["together", [2500]], ["turns", [], "unable to parse tool input JSON"]]) {
  paid = [];
  let raised;
  const clientConfig = { baseURL: fs.readFileSync("../address", "utf8") };
  try {
    await new Agent({ model: new OpenAIModel({ api: "chat", modelId: model, apiKey: "any", clientConfig }), tools: [pay], printer: false }).invoke("Pay.");
  } catch (error) {
    raised = error.message;
  }
  console.log("Strands for Node   ", model, paid, raised ?? "Done.");
  assert.deepEqual([paid, raised], [expected, wanted], "this has changed");
}
NODE
node client.mjs 2>/dev/null
