#!/usr/bin/env bash
# agno (Python) 3.1.10 gives the words of a refused request out as the agent's answer: `run()` does not raise when the key is refused.
#
# Seen, Agent(model=OpenAILike(...)).run("Say hi.") against a server that answers 401 {"error": {"message": "The key is not known."}}:
#   raised    nothing
#   content   The key is not known.
#   status    ERROR
#
# So what a gateway says of a failure may be read by people and by other models as what a model said: whole sentences, nothing of the request.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check agno==3.1.10 openai==3.57.0
AGNO_TELEMETRY=false "$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from agno.agent import Agent
from agno.models.openai.like import OpenAILike

WORDS = "The key is not known."


class Refusing(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"error": {"message": WORDS, "type": "authentication_error", "code": "invalid_api_key", "param": None}}).encode()
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


server = HTTPServer(("127.0.0.1", 0), Refusing)
threading.Thread(target=server.serve_forever, daemon=True).start()
model = OpenAILike(id="m", base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="any")
answer = Agent(model=model, telemetry=False).run("Say hi.")
print("content", answer.content)
print("status", answer.status)
assert answer.content == WORDS
assert "error" in str(answer.status).lower()
PYTHON
