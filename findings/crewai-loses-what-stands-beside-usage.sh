#!/usr/bin/env bash
# crewai 1.15.30 throws away every chunk of a stream that has `usage` in it, with the text or the call of a tool that stands beside it. The tokens count.
#
# Seen, for a stream that says "Hello" and " world." and reports 3 tokens, each read by `LLM(..., stream=True).call`:
#   usage in a chunk of its own, behind the finish, as OpenAI sends it      "Hello world."
#   usage beside the last words and the finish                              "Hello", 3 tokens
#   usage in every chunk, as a running total                                "", 3 tokens
# and for a call of a tool that comes whole in one chunk, with the finish and the usage, as Mistral's do:
#   usage in a chunk of its own                                             the function is called
#   usage beside it                                                         it is not: the answer is ""
# Nothing is raised but by its agents, for which "" is "Invalid response from LLM call - None or empty."
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
cat >server.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "pay", "arguments": '{"amount": 100}'}}


def usage(tokens):
    return {"usage": {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}}


def chunk(delta, finish=None):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


OPENING, HELLO, WORLD = {"role": "assistant", "content": ""}, {"content": "Hello"}, {"content": " world."}
LAST = {"choices": [], **usage(3)}
STREAMS = {
    "own": [chunk(OPENING), chunk(HELLO), chunk(WORLD, "stop"), LAST],
    "last": [chunk(OPENING), chunk(HELLO), chunk(WORLD, "stop") | usage(3)],
    "running": [chunk(OPENING) | usage(0), chunk(HELLO) | usage(1), chunk(WORLD) | usage(3), chunk({}, "stop") | usage(3), LAST],
    "call-own": [chunk(OPENING), chunk({"tool_calls": [CALL]}, "tool_calls"), LAST],
    "call-last": [chunk(OPENING), chunk({"tool_calls": [CALL]}, "tool_calls") | usage(3)],
}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in STREAMS[asked["model"]]:
            self.wfile.write(f"data: {json.dumps(head | event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
Path("made").write_text(f"http://127.0.0.1:{server.server_port}/v1")
Path("made").rename("address")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check crewai==1.15.30 openai==2.54.0
cat >client.py <<'PYTHON'
from pathlib import Path

from crewai import LLM

TOOL = {"type": "function", "function": {"name": "pay", "description": "Pay.", "parameters": {"type": "object", "properties": {"amount": {"type": "integer"}}}}}
expected = {"own": "Hello world.", "last": "Hello", "running": "", "call-own": "paid 100", "call-last": ""}
for name, wanted in expected.items():
    llm = LLM(model=f"openai/{name}", base_url=Path("address").read_text(), api_key="any", stream=True)
    given = {"tools": [TOOL], "available_functions": {"pay": lambda amount: f"paid {amount}"}} if name.startswith("call") else {}
    answer = llm.call("x", **given)
    tokens = llm.get_token_usage_summary().completion_tokens
    print(f"seen: {name:10} {answer!r}, {tokens} tokens")
    assert (answer, tokens) == (wanted, 3), "this has changed"
PYTHON
export CREWAI_DISABLE_TELEMETRY=true OTEL_SDK_DISABLED=true
venv/bin/python client.py >words 2>&1 || { cat words; exit 1; }
grep -o 'seen: .*' words
