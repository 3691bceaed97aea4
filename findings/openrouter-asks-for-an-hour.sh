#!/usr/bin/env bash
# OpenRouter's own clients, @openrouter/sdk 1.3.19 (Node) and openrouter 1.3.84 (Python), ask again for an hour where a server answers 5xx, whatever it says
# of retries: nothing counts the requests, and the caller waits. 429 they do not repeat.
#
# Seen, with default settings, a server that answers at once, and a clock that leaps over the waits between two requests:
#   503, `x-should-retry: false`   more than 60 requests in 60 minutes, then the error, in both
#   502 without a word             as much
#   429, `retry-after: 1`          1 request
#
# A gateway that has tried every vendor by itself, and says so, is asked to do all of that sixty times more; what was begun and broke off is made anew each
# time. `retryConfig: {strategy: "none"}` and `retry_config=RetryConfig("none", ...)` turn it off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @openrouter/sdk@1.3.19 >/dev/null
cat >client.mjs <<'NODE'
import assert from "node:assert";
import http from "node:http";
import { OpenRouter } from "@openrouter/sdk";

let requests = 0;
let answer = {};
const server = http.createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    requests++;
    response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
    response.end(JSON.stringify({ error: { code: answer.status, message: "All vendors failed." } }));
  });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
// The clock: a wait of half a second or more passes at once.
const { now } = Date;
const wait = globalThis.setTimeout;
let leapt = 0;
Date.now = () => now() + leapt;
globalThis.setTimeout = (work, milliseconds = 0, ...rest) => {
  leapt += milliseconds;
  return wait(work, 0, ...rest);
};
const client = new OpenRouter({ apiKey: "any", serverURL: `http://127.0.0.1:${server.address().port}/v1` });
const chatRequest = { model: "m", messages: [{ role: "user", content: "x" }] };
for (answer of [
  { status: 503, headers: { "x-should-retry": "false" } },
  { status: 502, headers: {} },
  { status: 429, headers: { "retry-after": "1" } },
]) {
  requests = leapt = 0;
  let raised = null;
  try {
    await client.chat.send({ chatRequest });
  } catch (error) {
    raised = error.constructor.name;
  }
  const minutes = Math.round(leapt / 60_000);
  console.log("Node  ", answer.status, `${requests} requests in ${minutes} minutes`, raised);
  assert(answer.status === 429 ? requests === 1 : requests > 60 && minutes >= 60, "this has changed");
}
server.close();
NODE
node client.mjs
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openrouter==1.3.84
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from openrouter import OpenRouter

answer, requests, leapt = (0, {}), 0, 0.0


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        global requests
        requests += 1
        self.rfile.read(int(self.headers["content-length"]))
        status, headers = answer
        body = json.dumps({"error": {"code": status, "message": "All vendors failed."}}).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)


def leap(seconds):
    global leapt
    leapt += seconds


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
clock, time.sleep = time.time, leap  # a wait passes at once
time.time = lambda: clock() + leapt
client = OpenRouter(api_key="any", server_url=f"http://127.0.0.1:{server.server_port}/v1")
for answer in ((503, {"x-should-retry": "false"}), (502, {}), (429, {"retry-after": "1"})):
    requests, leapt, raised = 0, 0.0, None
    try:
        client.chat.send(model="m", messages=[{"role": "user", "content": "x"}])
    except Exception as problem:
        raised = type(problem).__name__
    minutes = round(leapt / 60)
    print("Python", answer[0], f"{requests} requests in {minutes} minutes", raised)
    assert requests == 1 if answer[0] == 429 else requests > 60 and minutes >= 60, "this has changed"
PYTHON
