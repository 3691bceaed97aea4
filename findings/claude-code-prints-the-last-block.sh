#!/usr/bin/env bash
# Claude Code (2.1.332) with -p prints the last block of the answer alone: a block of thinking without a text behind the answer, and it
# prints nothing and exits 0.
#
# Seen, with streams of the Messages API that Anthropic's own client reads without a word:
#   text            the text
#   thinking-text   the text
#   text-thinking   nothing: a signature without thinking stands behind the text
#
# So who translates for it, from vendors that sign at the end of an answer, must not put the signature where it came.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --prefix "$folder" @anthropic-ai/claude-code@2.1.332
cat > "$folder/server.py" <<'PYTHON'
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

folder = sys.argv[1]
TEXT = ({"type": "text", "text": ""}, {"type": "text_delta", "text": "It is cold."})
SIGNED = ({"type": "thinking", "thinking": "", "signature": ""}, {"type": "signature_delta", "signature": "c2ln"})
ANSWERS = {"text": [TEXT], "thinking-text": [SIGNED, TEXT], "text-thinking": [TEXT, SIGNED]}
EXPECTED = {"text": "It is cold.", "thinking-text": "It is cold.", "text-thinking": ""}


def events(model):
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**message, "usage": usage}}
    for index, (start, delta) in enumerate(ANSWERS[model]):
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


class Server(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in events(asked["model"]):
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
for name, expected in EXPECTED.items():
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}",
        "ANTHROPIC_AUTH_TOKEN": "any",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        **dict.fromkeys(("ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_SMALL_FAST_MODEL"), name),
    }
    command = [f"{folder}/node_modules/.bin/claude", "-p", "Hi."]
    ended = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    said = ended.stdout.strip()
    print(f"{name:14} exit {ended.returncode} {said!r}")
    assert (ended.returncode, said) == (0, expected), f"this has changed: {name}: {ended.stderr[-300:]}"
PYTHON
python3 "$folder/server.py" "$folder"
