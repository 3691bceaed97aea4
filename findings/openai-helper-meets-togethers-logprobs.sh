#!/usr/bin/env bash
# Together's streams have one number as the `logprobs` of a choice (together 3.1.1: Optional[float]). The stream helper of Python's client for
# OpenAI (openai 3.57.0), which Together's pages recommend as a client, raises on it in the middle of the answer; the plain iterator passes it.
#
# Seen, with {"delta": {"content": "It"}, "logprobs": -0.25} and one more such chunk:
#   together's own type       read
#   openai, iterated          -0.25, -0.5
#   openai, stream()          AttributeError: 'float' object has no attribute 'content'
#
# So a gateway that passes such chunks on breaks whoever asks for log-probabilities through that helper.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai==3.57.0 together==3.1.1
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from openai import OpenAI
from together.types.chat import ChatCompletionChunk


def chunk(delta, finish=None, **choice):
    choices = [{"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish, **choice}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}


chunks = [chunk({"content": "It"}, logprobs=-0.25), chunk({"content": " is"}, logprobs=-0.5), chunk({}, "stop")]
assert [ChatCompletionChunk.model_validate(each).choices[0].logprobs for each in chunks] == [-0.25, -0.5, None]


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks) + b"data: [DONE]\n\n")


vendor = HTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=vendor.serve_forever, daemon=True).start()
client = OpenAI(base_url=f"http://127.0.0.1:{vendor.server_port}/v1", api_key="k", max_retries=0)
asked = {"model": "m", "messages": [{"role": "user", "content": "x"}], "logprobs": True}
iterated = [each.choices[0].logprobs for each in client.chat.completions.create(**asked, stream=True)]
try:
    with client.chat.completions.stream(**asked) as events:
        helped = [event.type for event in events]
except AttributeError as error:
    helped = str(error)
vendor.shutdown()
print({"iterated": iterated, "stream()": helped})
assert iterated == [-0.25, -0.5, None]
assert helped == "'float' object has no attribute 'content'"
PYTHON
