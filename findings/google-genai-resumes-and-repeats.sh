#!/usr/bin/env bash
# google-genai (Python) 3.6.1: a stream that ends early behind a `continuationToken` is asked for again, and text behind the token comes twice.
#
# Seen: an event has text and a token, the next has text, and the body ends without a finish. By default, and without a word, the client sends
# a second request with the token and goes on; what the vendor says from that token on is given to the caller behind what he has already.
# Usage of both requests is added up. `automatic_continuation=False` turns it off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check google-genai==3.6.1
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google import genai

asked = []


def event(text, made, **more):
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": made, "totalTokenCount": 10 + made}
    return b"data: " + json.dumps({"candidates": [candidate], "usageMetadata": usage}).encode() + b"\r\n\r\n"


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))).get("continuationToken"))
        first = event("one ", 1, continuationToken="dDE=") + event("two ", 2)
        answer = event("two ", 1) + event("three", 2, finishReason="STOP") if asked[-1] else first
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = genai.Client(api_key="any", http_options={"base_url": f"http://127.0.0.1:{server.server_port}"})
chunks = list(client.models.generate_content_stream(model="m", contents="hi"))
text, used = "".join(chunk.text or "" for chunk in chunks), chunks[-1].usage_metadata
print("requests:", asked)
print("text:", repr(text), "input tokens:", used.prompt_token_count)
if (text, len(asked), used.prompt_token_count) != ("one two two three", 2, 20):
    raise SystemExit("this has changed")
server.shutdown()
PYTHON
