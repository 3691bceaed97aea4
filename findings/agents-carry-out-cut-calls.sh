#!/usr/bin/env bash
# Agents carry out a call of a tool whose arguments were cut off, by the limit of tokens (`finish_reason: length`) or by a connection that ended: LangChain's
# (langchain 1.5.2 and langchain-openai 1.7.4 in Python, langchain 1.5.14 and @langchain/openai 1.6.0 in Node) where `stream_mode` is "messages", but not
# where the agent is invoked; LlamaIndex's (llama-index-llms-openai-like 0.8.1, llama-index-core 0.14.25) always; Strands' (strands-agents 1.62.0) where
# the connection ended, with the tool's defaults.
#
# Seen, for a tool `pay(amount = 1)` and a model that had written `{"amount": 100`, as of 10000, when the limit or the end came:
#                                     length         connection ended
#   LangChain, invoked                pays nothing   (it asks for a document then)
#   LangChain, "messages"             pays 100       pays 100
#   LangChain for Node, invoked       pays nothing   (it asks for a document then)
#   LangChain for Node, "messages"    pays 100       pays 100
#   LlamaIndex, document or stream    pays 100       pays 100
#   Strands                           raises         pays 1: what it cannot read is {} to it, and what is missing has its default
#
# Each then asks the model again, with the result, and ends as if nothing had happened. LangChain and LlamaIndex close the brace themselves, so that nobody
# behind them can tell half a call from a whole one. The runners of tools of OpenAI's and Anthropic's own clients carry nothing out then.
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

USAGE = {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18}
numbers = itertools.count()


def call(arguments, **more):
    return {"index": 0, "function": {"arguments": arguments, **({"name": "pay"} if more else {})}, **more}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if any(message["role"] == "tool" for message in asked["messages"]):
            deltas, finish = [{"role": "assistant", "content": "Done."}], "stop"
        else:
            opening = {"role": "assistant", "content": None, "tool_calls": [call("", id="call_1", type="function")]}
            deltas, finish = [opening, *({"tool_calls": [call(part)]} for part in ('{"amount"', ": 100"))], "length"
        whole = finish == "stop" or asked["model"] == "length"
        head = {"id": f"chatcmpl-{next(numbers)}", "created": 1, "model": asked["model"]}
        if asked.get("stream"):
            choices = [*((delta, None) for delta in deltas), *([({}, finish)] if whole else [])]
            chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": why}]} for delta, why in choices]
            chunks += [{"choices": [], "usage": USAGE}] if whole else []
            body = "".join(f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', **chunk})}\n\n" for chunk in chunks)
            return self.say("text/event-stream", body + ("data: [DONE]\n\n" if whole else ""))
        message = {"role": "assistant", "content": "Done." if finish == "stop" else None, "refusal": None}
        if finish == "length":
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": {"name": "pay", "arguments": '{"amount": 100'}}]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return self.say("application/json", json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": USAGE}))

    def say(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(body.encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
Path("made").write_text(f"http://127.0.0.1:{server.server_port}/v1")
Path("made").rename("address")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
install() {
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
}
install langchain langchain==1.5.2 langchain-openai==1.7.4 langchain-core==1.8.3 langgraph==1.2.24 openai==3.57.0
langchain/bin/python - <<'PYTHON'
from pathlib import Path

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

paid = []


@tool
def pay(amount: int = 1) -> str:
    "Pay."
    paid.append(amount)
    return "paid"


for model, way, expected in [("length", "invoked", []), ("length", "messages", [100]), ("ended", "messages", [100])]:
    paid.clear()
    agent = create_agent(ChatOpenAI(model=model, base_url=Path("address").read_text(), api_key="any"), [pay])
    asked = {"messages": [("user", "Pay ten thousand.")]}
    if way == "invoked":
        agent.invoke(asked)
    else:
        for _ in agent.stream(asked, stream_mode=way):
            pass
    print("LangChain ", model, way, "paid", paid)
    assert paid == expected, "this has changed"
PYTHON
install llama llama-index-llms-openai-like==0.8.1 llama-index-llms-openai==0.8.3 llama-index-core==0.14.25 openai==2.54.0
llama/bin/python - <<'PYTHON'
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
    for model, streaming in [("length", False), ("length", True), ("ended", True)]:
        paid.clear()
        llm = OpenAILike(model=model, api_base=Path("address").read_text(), api_key="any", is_chat_model=True, is_function_calling_model=True)
        await FunctionAgent(tools=[FunctionTool.from_defaults(pay)], llm=llm, streaming=streaming).run("Pay ten thousand.")
        print("LlamaIndex", model, "streamed" if streaming else "document", "paid", paid)
        assert paid == [100], "this has changed"


asyncio.run(main())
PYTHON
install strands "strands-agents[openai]==1.62.0" openai==2.54.0
strands/bin/python 2>/dev/null - <<'PYTHON'
from pathlib import Path

from strands import Agent, tool
from strands.models.openai import OpenAIModel

paid = []


@tool
def pay(amount: int = 1) -> str:
    "Pay."
    paid.append(amount)
    return "paid"


for model, expected in [("length", ([], "MaxTokensReachedException")), ("ended", ([1], None))]:
    paid.clear()
    raised = None
    try:
        client = {"base_url": Path("address").read_text(), "api_key": "any"}
        Agent(model=OpenAIModel(client_args=client, model_id=model), tools=[pay], callback_handler=None)("Pay ten thousand.")
    except Exception as problem:
        raised = type(problem).__name__
    print("Strands   ", model, "paid", paid, raised)
    assert (paid, raised) == expected, "this has changed"
PYTHON
mkdir node
cd node
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund langchain@1.5.14 @langchain/openai@1.6.0 @langchain/core@1.4.0 @langchain/langgraph@1.7.3 zod@4 >/dev/null
cat >client.mjs <<'NODE'
import assert from "node:assert";
import fs from "node:fs";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import { z } from "zod";

let paid = [];
const schema = z.object({ amount: z.number().default(1) });
const pay = tool(async ({ amount }) => (paid.push(amount), "paid"), { name: "pay", description: "Pay.", schema });
for (const [model, way, expected] of [["length", "invoked", []], ["length", "messages", [100]], ["ended", "messages", [100]]]) {
  paid = [];
  const configuration = { baseURL: fs.readFileSync("../address", "utf8") };
  const agent = createAgent({ model: new ChatOpenAI({ model, apiKey: "any", configuration }), tools: [pay] });
  const asked = { messages: [{ role: "user", content: "Pay ten thousand." }] };
  if (way === "invoked") await agent.invoke(asked);
  else for await (const _ of await agent.stream(asked, { streamMode: way }));
  console.log("LangChain for Node", model, way, "paid", paid);
  assert.deepEqual(paid, expected, "this has changed");
}
NODE
node client.mjs 2>/dev/null
