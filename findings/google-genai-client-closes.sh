#!/usr/bin/env bash
# google-genai (Python) 3.6.1: a client that nobody holds is closed while its own `models` is in use.
#
# Seen: `genai.Client(...).models.generate_content(...)` in one expression raises RuntimeError "Cannot send a request, as the client has been
# closed." before anything is sent; with the client in a variable the same call is sent. Its finalizer closes the connection as soon as the
# last reference to the client is gone, and `models` holds none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check google-genai==3.6.1
"$folder/venv/bin/python" - <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google import genai

ANSWER = b'{"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP"}]}'


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()


def client():
    return genai.Client(api_key="any", http_options={"base_url": f"http://127.0.0.1:{server.server_port}"})


held = client()
print("held:", held.models.generate_content(model="m", contents="hi").text)
try:
    client().models.generate_content(model="m", contents="hi")
except RuntimeError as closed:
    print("not held:", closed)
else:
    raise SystemExit("this has changed: a client that nobody holds now works")
server.shutdown()
PYTHON
