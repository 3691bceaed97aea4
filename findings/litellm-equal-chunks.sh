#!/usr/bin/env bash
# LiteLLM 1.108.7 ends a stream in which a vendor says the same text a hundred times in a row, in library and proxy alike.
#
# Seen, with streams of 300 tokens:
#   different   300 tokens, ended in order
#   equal       the iteration raises MidStreamFallbackError ("InternalServerError: The model is repeating the same chunk") after a hundred; none of the later ones is read
#
# A table of dashes, a long run of newlines, or a column of zeros is such an answer. What had come is paid for. So a scripted vendor that says
# `word ` again and again measures this guard, and not the gateway.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.108.7
LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm

TOKENS = 300


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        try:
            for number in range(TOKENS):
                text = "- - " if model == "equal" else f"word{number} "
                choice = {"index": 0, "delta": {"content": text, **({"role": "assistant"} if not number else {})}, "finish_reason": None}
                self.say({"choices": [choice]}, model)
            self.say({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, model)
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            pass

    def say(self, members, model):
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model}
        self.wfile.write(b"data: " + json.dumps({**head, **members}).encode() + b"\n\n")


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
for name in ("different", "equal"):
    came, raised = 0, None
    try:
        where = f"http://127.0.0.1:{server.server_port}/v1"
        stream = litellm.completion(model=f"openai/{name}", api_base=where, api_key="k", stream=True, messages=[{"role": "user", "content": "Hi."}])
        for piece in stream:
            came += bool(piece.choices[0].delta.content)
    except Exception as problem:
        raised = problem
    print(f"{name:10} {came} tokens, {type(raised).__name__ if raised else 'ended in order'}: {str(raised)[:110]}")
    if name == "different":
        assert (came, raised) == (TOKENS, None), "this has changed"
    else:
        assert raised is not None and came <= 110 and "repeating the same chunk" in str(raised), "this has changed"
PYTHON
