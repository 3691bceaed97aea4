#!/usr/bin/env bash
# LlamaIndex (llama-index-llms-openai-like 0.8.1, llama-index-llms-openai 0.8.3) makes a request for a document that fails twelve times and one for a stream
# four times: its `max_retries` of 3 counts for OpenAI's client and, for documents, again around it. A document that takes too long is paid twelve times.
#
# Seen, with all defaults but, in the last row, the time:
#                                                        document      stream
#   429 or 503                                           12 requests   4
#   the same with `x-should-retry: false`                3             1
#   400                                                  1             1
#   an answer after 1 s, for a client that waits 0.3 s   12, then "Request timed out."
# The time that it waits is 60 s of itself: an answer that takes 61 s is asked for twelve times, and the model computes each to its end where the server
# does not look whether somebody is still there.
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
cat >server.py <<'PYTHON'
import itertools
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

numbers = itertools.count(1)
MESSAGE = {"role": "assistant", "content": "Hello.", "refusal": None}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Path("count").write_text(str(next(numbers)))
        status, _, useless = asked["model"].partition("-")
        if status == "slow":
            time.sleep(1)
            choice = {"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "slow", "choices": [choice], "usage": usage}
        else:
            answer = {"error": {"message": "Refused.", "type": "requests", "code": None, "param": None}}
        body = json.dumps(answer).encode()
        try:
            self.send_response(200 if status == "slow" else int(status))
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if useless:
                self.send_header("x-should-retry", "false")
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            pass  # the client has left


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
Path("count").write_text("0")
Path("made").write_text(f"http://127.0.0.1:{server.server_port}/v1")
Path("made").rename("address")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check llama-index-llms-openai-like==0.8.1 llama-index-llms-openai==0.8.3 llama-index-core==0.14.25 \
    openai==2.54.0
venv/bin/python 2>/dev/null - <<'PYTHON'
import sys
import time
from pathlib import Path

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike


def count():
    return int(Path("count").read_text())


def requests(model, stream, **more):
    before, raised = count(), None
    llm = OpenAILike(model=model, api_base=Path("address").read_text(), api_key="any", is_chat_model=True, **more)
    try:
        list(llm.stream_chat([ChatMessage("x")])) if stream else llm.chat([ChatMessage("x")])
    except Exception as problem:
        raised = type(problem).__name__
    time.sleep(0.2)
    made = count() - before
    print(f"{model:12} {'stream' if stream else 'document':9} {made:3} requests, {raised}")
    return made


seen = {model: (requests(model, False), requests(model, True)) for model in ("429", "503", "429-useless", "503-useless", "400")}
slow = requests("slow", False, timeout=0.3)
expected = {"429": (12, 4), "503": (12, 4), "429-useless": (3, 1), "503-useless": (3, 1), "400": (1, 1)}
sys.exit(0 if (seen, slow) == (expected, 12) else print("this has changed") or 1)
PYTHON
