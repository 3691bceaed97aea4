#!/usr/bin/env bash
# boto3 1.44.8 shows a broken stream of Bedrock's ConverseStream as a complete one.
#
# Seen, with frames for "One ", "two" and the end, every checksum right:
#   whole          six events
#   cut-in-frame   the connection ends inside the third frame, after the promised length of the body: two events, no exception
#   cut-between    it ends between frames, before messageStop: two events, no exception
#   empty          a body of nothing: no event, no exception
#
# The only sign of a whole answer is the event messageStop; the loop over the stream ends alike in all four cases.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.8 botocore==1.44.8
"$folder/venv/bin/python" - <<'PYTHON'
import json
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from botocore.config import Config


def frame(kind, **payload):
    body = json.dumps(payload).encode()
    headers = b""
    for name, value in {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}.items():
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", 12 + len(headers) + len(body) + 4, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack(">I", zlib.crc32(message))


frames = [
    frame("messageStart", role="assistant"),
    frame("contentBlockDelta", contentBlockIndex=0, delta={"text": "One "}),
    frame("contentBlockDelta", contentBlockIndex=0, delta={"text": "two"}),
    frame("contentBlockStop", contentBlockIndex=0),
    frame("messageStop", stopReason="end_turn"),
    frame("metadata", usage={"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, metrics={"latencyMs": 1}),
]
bodies = {"whole": b"".join(frames), "cut-in-frame": b"".join(frames[:2]) + frames[2][:-9], "cut-between": b"".join(frames[:2]), "empty": b""}
two = ["messageStart", "contentBlockDelta"]
expected = {"whole": [*two, "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"], "cut-in-frame": two, "cut-between": two, "empty": []}


class Vendor(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = bodies[self.path.split("/")[2]]
        self.send_response(200)
        self.send_header("content-type", "application/vnd.amazon.eventstream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = boto3.client(
    "bedrock-runtime",
    region_name="us-east-1",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    aws_access_key_id="any",
    aws_secret_access_key="any",
    config=Config(retries={"max_attempts": 0}),
)
print("boto3", boto3.__version__)
for name in bodies:
    answer = client.converse_stream(modelId=name, messages=[{"role": "user", "content": [{"text": "x"}]}])
    events = [next(iter(event)) for event in answer["stream"]]
    print(f"{name:13} {events} no exception")
    assert events == expected[name], f"this has changed: {name}"
PYTHON
