#!/usr/bin/env bash
# openai (Python) 3.57.0, Responses: an empty `output` in `response.completed` erases the text that was streamed; a missing one keeps it.
#
# Seen, with one message "Hello" that was added, filled and done before the last event:
#   full     `output` holds the message: "Hello"
#   absent   no `output` in the last event: "Hello", taken from the items that were done
#   empty    `output: []`: get_final_response().output_text is "", without any error
#
# So a server that keeps nothing must still repeat every item at the end, or leave the member out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai==3.57.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai


def event(kind, **members):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': 0, **members})}\n\n".encode()


def response(status, **members):
    fixed = {"object": "response", "created_at": 1, "model": "m", "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {"id": "resp_1", "status": status, **fixed, **members}


item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
item["content"] = [{"type": "output_text", "text": "Hello", "annotations": []}]
begin = (
    event("response.created", response=response("in_progress", output=[]))
    + event("response.output_item.added", output_index=0, item={**item, "status": "in_progress", "content": []})
    + event("response.content_part.added", item_id="msg_1", output_index=0, content_index=0, part={**item["content"][0], "text": ""})
    + event("response.output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta="Hello", logprobs=[])
    + event("response.output_item.done", output_index=0, item=item)
)
streams = {
    "full": begin + event("response.completed", response=response("completed", output=[item])),
    "absent": begin + event("response.completed", response=response("completed")),
    "empty": begin + event("response.completed", response=response("completed", output=[])),
}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = streams[json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="any", base_url=f"http://127.0.0.1:{server.server_port}/v1", max_retries=0)
print("openai", openai.__version__)
for name, text in {"full": "Hello", "absent": "Hello", "empty": ""}.items():
    with client.responses.stream(model=name, input="x") as stream:
        seen = stream.get_final_response().output_text
    print(f"{name:7} {seen!r}")
    assert seen == text, f"this has changed: {name}"
PYTHON
