#!/usr/bin/env bash
# agent-framework-openai 1.17.0, the Python of Microsoft's Agent Framework: whoever prints a stream of the Responses API piece by piece prints the text twice. The
# pieces end with one more that is the whole text, as `response.output_text.done` repeats it; `.text` of it looks like that of any other.
#
# Seen, for a stream that says "Hello" and " world.", in `async for part in Agent(client).run("x", stream=True)`:
#   OpenAIChatClient (Responses API)                       "Hello", " world.", "Hello world."
#     its `get_final_response().text`                      "Hello world."
#   OpenAIChatCompletionClient (chat completions)          "Hello", " world."
# The last piece's content says `merge_mode: replace`, the others' `append`, which the parts' own `.text` does not heed.
#
# The same loop, pointed from one client to the other, says everything twice. The events are those of OpenAI's API.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check agent-framework-openai==1.17.0 agent-framework-core==1.23.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from agent_framework import Agent
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient


def event(kind, **members):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': 0, **members})}\n\n".encode()


def response(status, output):
    fixed = {"object": "response", "created_at": 1, "model": "m", "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {"id": "resp_1", "status": status, "output": output, **fixed}


def chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm', 'choices': [choice]})}\n\n".encode()


item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
item["content"] = [{"type": "output_text", "text": "Hello world.", "annotations": [], "logprobs": []}]
place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
streams = {
    "/v1/responses": event("response.created", response=response("in_progress", []))
    + event("response.output_item.added", output_index=0, item={**item, "status": "in_progress", "content": []})
    + event("response.content_part.added", **place, part={**item["content"][0], "text": ""})
    + event("response.output_text.delta", **place, delta="Hello", logprobs=[])
    + event("response.output_text.delta", **place, delta=" world.", logprobs=[])
    + event("response.output_text.done", **place, text="Hello world.", logprobs=[])
    + event("response.content_part.done", **place, part=item["content"][0])
    + event("response.output_item.done", output_index=0, item=item)
    + event("response.completed", response=response("completed", [item])),
    "/v1/chat/completions": chunk({"role": "assistant", "content": ""})
    + chunk({"content": "Hello"})
    + chunk({"content": " world."})
    + chunk({}, "stop")
    + b"data: [DONE]\n\n",
}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(streams[self.path])


async def seen(client):
    said = Agent(client(model="m", api_key="any", base_url=f"http://127.0.0.1:{server.server_port}/v1")).run("x", stream=True)
    pieces = [part.text async for part in said if part.text]
    return pieces, (await said.get_final_response()).text


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("agent-framework-openai", version("agent-framework-openai"))
for client, expected in ((OpenAIChatClient, ["Hello", " world.", "Hello world."]), (OpenAIChatCompletionClient, ["Hello", " world."])):
    pieces, whole = asyncio.run(seen(client))
    print(f"{client.__name__:28} {pieces!r:40} in the end {whole!r}")
    assert (pieces, whole) == (expected, "Hello world."), f"this has changed: {client.__name__}"
os._exit(0)  # its connections outlive their loops, and say so
PYTHON
