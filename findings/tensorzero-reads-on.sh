#!/usr/bin/env bash
# TensorZero's gateway 2026.6.0 (as its Python client carries it in itself; openai 2.9.0) reads a vendor's stream to its end when its own client has left,
# and gives a vendor's 429 to its client as 502.
#
# Seen, for a vendor of OpenAI's dialect that streams a chunk every 0.1 s for 6 s, to a client that closes its connection after the first chunk:
#   the vendor could write all 60 chunks: nobody hung up
# and for a vendor that answers 429 with `Retry-After: 7`:
#   502, without Retry-After
#
# So whoever leaves still pays the vendor for the whole answer, and a client that would wait as the vendor asks does not learn that it should.
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorzero==2026.6.0 openai==2.9.0
cat >"$folder/vendor.py" <<'PYTHON'
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CHUNKS = 60


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "busy" in json.dumps(asked):
            body = b'{"error": {"message": "Too many requests.", "type": "requests", "code": "rate_limit_exceeded"}}'
            self.send_response(429)
            self.send_header("retry-after", "7")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        written = 0
        try:
            for number in range(CHUNKS):
                last = number == CHUNKS - 1
                choice = {"index": 0, "delta": {"content": " word"}, "finish_reason": "stop" if last else None}
                chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"], "choices": [choice]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()
                written += 1
                time.sleep(0.1)
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            pass
        Path("written").write_text(str(written))


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
Path("vendor-port").write_text(str(server.server_port))
server.serve_forever()
PYTHON
cd "$folder"
venv/bin/python vendor.py &
pids+=($!)
until [ -s vendor-port ]; do sleep 0.1; done
cat >tensorzero.toml <<TOML
[gateway]
observability.enabled = false
[models.check]
routing = ["played"]
[models.check.providers.played]
type = "openai"
model_name = "check"
api_base = "http://127.0.0.1:$(cat vendor-port)/v1/"
api_key_location = "none"
TOML
cat >gateway.py <<'PYTHON'
import pathlib
import threading
import urllib.parse

import openai
import tensorzero

client = tensorzero.patch_openai_client(openai.OpenAI(api_key="k"), config_file="tensorzero.toml", async_setup=False)
parts = urllib.parse.urlsplit(str(client.base_url))
pathlib.Path("address").write_text(f"http://127.0.0.1:{parts.port}{parts.path.rstrip('/')}")
threading.Event().wait()
PYTHON
venv/bin/python gateway.py >log 2>&1 &
pids+=($!)
for _ in $(seq 600); do [ -s address ] && break || sleep 0.2; done
ask() {
    curl -s "$@" "$(cat address)/chat/completions" -H 'content-type: application/json' \
        -d "{\"model\": \"tensorzero::model_name::check\", \"stream\": $stream, \"messages\": [{\"role\": \"user\", \"content\": \"$text\"}]}"
}
stream=true text=long
ask -N -m 1 >first || true # it leaves after a second
for _ in $(seq 100); do [ -s written ] && break || sleep 0.1; done
stream=false text=busy
busy=$(ask -m 20 -D heads -o body -w '%{http_code}')
echo "chunks that the client had: $(grep -c ' word' first || true), that the vendor wrote: $(cat written)"
echo "a vendor's 429 is told as $busy, Retry-After: $(grep -i '^retry-after' heads || echo none)"
[ "$(cat written)" = 60 ] && [ "$busy" = 502 ] && ! grep -qi '^retry-after' heads
