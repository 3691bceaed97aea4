#!/usr/bin/env bash
# mistralai (Python) 3.7.0 cannot read a tool call that comes in OpenAI's fragments: name first, then pieces of the arguments.
#
# Seen, with one call f({"x":1}):
#   whole        one fragment with name and arguments: read
#   fragments    as OpenAI streams it: ResponseValidationError at the second fragment, "function.name Field required"
#   empty-name   the later fragment repeats the name as "": read, but its id becomes the text "null"
#
# So a gateway that speaks OpenAI's protocol to every client breaks this one, and only in calls with tools.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mistralai==3.7.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from mistralai.client import Mistral


def chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def fragment(**function):
    return chunk({"tool_calls": [{"index": 0, "function": function}]})


def named(arguments):
    return chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}]})


begin, end = chunk({"role": "assistant", "content": ""}), chunk({}, "tool_calls") + b"data: [DONE]\n\n"
streams = {
    "whole": begin + named('{"x":1}') + end,
    "fragments": begin + named("") + fragment(arguments='{"x":1}') + end,
    "empty-name": begin + named("") + fragment(name="", arguments='{"x":1}') + end,
}
expected = {
    "whole": ([("a", "f", '{"x":1}')], None),
    "fragments": ([("a", "f", "")], "ResponseValidationError"),
    "empty-name": ([("a", "f", ""), ("null", "", '{"x":1}')], None),
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
client = Mistral(api_key="any", server_url=f"http://127.0.0.1:{server.server_port}")
print("mistralai", version("mistralai"))
for name in streams:
    calls, raised = [], None
    try:
        for event in client.chat.stream(model=name, messages=[{"role": "user", "content": "x"}]):
            calls += [(call.id, call.function.name, call.function.arguments) for call in event.data.choices[0].delta.tool_calls or []]
    except Exception as problem:
        raised = type(problem).__name__
    print(f"{name:11} {calls} {raised or 'ended in order'}")
    assert (calls, raised) == expected[name], f"this has changed: {name}"
PYTHON
