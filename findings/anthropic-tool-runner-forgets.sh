#!/usr/bin/env bash
# The tool runner of Anthropic's clients (Python 2.14.0) has the server keep the conversation, unasked: its second request is the result of
# the tool alone, without tools, system and history.
#
# Seen, with a server that ignores the member `thread`, as compatible servers ignore what they do not know:
#   ignores      the first request has thread {"type": "create"}; the second has one message, no tools, and thread {"type": "continue", ...}
#   refuses      a first request answered with 400 and details {"error_code": "thread_unsupported_request"} is sent again without `thread`,
#                and the second turn has all three messages and the tools
#   thread=False as "refuses", without the refused request
#
# So a server that speaks this protocol must know of threads to be without them. (The runner for JavaScript, 1.14.0, does the same.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check anthropic==2.14.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from anthropic import Anthropic, beta_tool

asked, refuses = [], False
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Oslo"}}


class Server(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked.append((body.get("thread", {}).get("type"), len(body["messages"]), "tools" in body))
        content, reason = [{"type": "text", "text": "Cold."}], "end_turn"
        if len(asked) - refuses == 1 or (refuses and "thread" in body):
            content, reason = [CALL], "tool_use"
        usage = {"input_tokens": 1, "output_tokens": 1}
        answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": reason, "usage": usage}
        status = 200
        if refuses and "thread" in body:
            details = {"error_code": "thread_unsupported_request"}
            status, answer = 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "No.", "details": details}}
        sent = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)


@beta_tool
def look(city: str) -> str:
    """Look out of the window."""
    return f"Cold in {city}."


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = Anthropic(api_key="any", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0)
whole = [(None, 1, True), (None, 3, True)]
expected = {
    "ignores": (False, {}, [("create", 1, True), ("continue", 1, False)]),
    "refuses": (True, {}, [("create", 1, True), *whole]),
    "thread=False": (False, {"thread": False}, whole),
}
print("anthropic", version("anthropic"))
for name, (refuses, more, requests) in expected.items():
    asked.clear()
    runner = client.beta.messages.tool_runner(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi."}], tools=[look], **more)
    last = runner.until_done()
    print(f"{name:13} {asked} {last.content[0].type}")
    assert asked == requests, f"this has changed: {name}"
PYTHON
