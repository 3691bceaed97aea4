#!/usr/bin/env bash
# A gap in the block indexes of a Messages stream: anthropic 2.14.0 (Python) raises IndexError; @anthropic-ai/sdk 1.14.0 (Node) loses the text.
#
# Seen, with two blocks of text, "One " and "two", whose indexes are 0 and 2:
#   Python   IndexError: list index out of range
#   Node     the `text` events bring "One two", but the final message has the texts "One " and "": no error anywhere
#
# A translator that leaves a block out (a server's own tool, say) must number the rest anew.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check anthropic==2.14.0
(cd "$folder" && npm init --yes >/dev/null && npm install --silent --no-audit --no-fund @anthropic-ai/sdk@1.14.0 >/dev/null)
cat >"$folder/vendor.py" <<'PYTHON'
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic


def event(kind, **members):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def block(index, text):
    return (
        event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        + event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})
        + event("content_block_stop", index=index)
    )


usage = {"input_tokens": 1, "output_tokens": 1}
message = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [], "stop_reason": None, "stop_sequence": None}
begin = event("message_start", message={**message, "usage": usage})
end = event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 2}) + event("message_stop")
streams = {"dense": begin + block(0, "One ") + block(1, "two") + end, "gap": begin + block(0, "One ") + block(2, "two") + end}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = streams[json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
client = anthropic.Anthropic(api_key="any", base_url=address, max_retries=0)
seen = {}
for name in streams:
    try:
        with client.messages.stream(model=name, max_tokens=9, messages=[{"role": "user", "content": "x"}]) as stream:
            seen[f"python {name}"] = [part.text for part in stream.get_final_message().content]
    except IndexError as problem:
        seen[f"python {name}"] = f"IndexError: {problem}"
ran = subprocess.run(["node", "client.mjs", address], capture_output=True, text=True, check=True)
seen |= json.loads(ran.stdout)
for name, what in seen.items():
    print(f"{name:13} {what}")
assert seen == {
    "python dense": ["One ", "two"],
    "python gap": "IndexError: list index out of range",
    "node dense": {"events": "One two", "message": ["One ", "two"]},
    "node gap": {"events": "One two", "message": ["One ", ""]},
}, "this has changed"
PYTHON
cat >"$folder/client.mjs" <<'NODE'
import Anthropic from "@anthropic-ai/sdk";
const client = new Anthropic({ apiKey: "any", baseURL: process.argv[2], maxRetries: 0 });
const seen = {};
for (const name of ["dense", "gap"]) {
  const stream = client.messages.stream({ model: name, max_tokens: 9, messages: [{ role: "user", content: "x" }] });
  let events = "";
  stream.on("text", (text) => (events += text));
  const message = await stream.finalMessage();
  seen[`node ${name}`] = { events, message: message.content.map((part) => part.text) };
}
console.log(JSON.stringify(seen));
NODE
cd "$folder" && venv/bin/python vendor.py
