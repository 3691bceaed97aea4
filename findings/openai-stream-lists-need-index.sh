#!/usr/bin/env bash
# openai (Python) 3.54.0: `chat.completions.stream()` wants an integer `index` in every object of every list of a delta.
#
# Seen: RuntimeError "Expected list delta entry to have an `index` key" for citations (`annotations`) that come in two chunks of a stream, shaped as a message has them, although
# its own type for them has no `index`; `create(stream=True)` reads the same bytes. With an `index` in each of them the helper puts the
# answer together.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai==3.54.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

numbered = False


def event(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def cited(number):
    page = {"url": f"https://example.com/{number}", "title": "t", "start_index": 0, "end_index": 2}
    return {"annotations": [{"type": "url_citation", "url_citation": page} | ({"index": number} if numbered else {})]}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        said = [event({"role": "assistant", "content": "hi"}), event(cited(0)), event(cited(1)), event({}, "stop"), b"data: [DONE]\n\n"]
        self.wfile.write(b"".join(said))


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="any", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0)
asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def helped():
    with client.chat.completions.stream(**asked) as stream:
        return stream.until_done().get_final_completion().choices[0].message.content


print("create(stream=True):", len(list(client.chat.completions.create(stream=True, **asked))), "chunks")
try:
    helped()
except Exception as refusal:
    print("stream() without index:", type(refusal).__name__, refusal)
else:
    raise SystemExit("this has changed: the helper now takes lists without an index")
numbered = True
print("stream() with index:", helped())
server.shutdown()
PYTHON
