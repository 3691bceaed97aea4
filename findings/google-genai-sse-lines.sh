#!/usr/bin/env bash
# google-genai (Python) 3.6.1 reads the stream of `streamGenerateContent?alt=sse` line by line and takes nothing but `data: {json}`.
#
# Seen, with a stream of two texts, "One " and "two":
#   plain          both texts
#   comment        UnknownApiResponseError after "One " at the line `: keep-alive`, which the format of server-sent events lets a reader ignore
#   event-line     UnknownApiResponseError after "One " at `event: message`
#   no-blank       UnknownApiResponseError after "One " at `data:{` without the blank, which the format allows
#   done           both texts, then UnknownApiResponseError at `data: [DONE]`
#   error-first    ServerError 503
#   error-second   no error at all: a piece without text, if `error` is not the first member of its event
#
# So whoever stands between Gemini's clients and a model cannot keep such a connection alive with comments.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check google-genai==3.6.1
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google import genai


def event(text, finish=None):
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return b"data: " + json.dumps({"candidates": [candidate]}).encode() + b"\r\n\r\n"


def failure(members):
    return b"data: " + json.dumps(members).encode() + b"\r\n\r\n"


error = {"code": 503, "message": "busy", "status": "UNAVAILABLE"}
one, two = event("One "), event("two", "STOP")
streams = {
    "plain": one + two,
    "comment": one + b": keep-alive\r\n\r\n" + two,
    "event-line": one + b"event: message\r\n" + two,
    "no-blank": one + two.replace(b"data: ", b"data:", 1),
    "done": one + two + b"data: [DONE]\r\n\r\n",
    "error-first": one + failure({"error": error, "responseId": "a"}),
    "error-second": one + failure({"responseId": "a", "error": error}),
}
expected = {
    "plain": (["One ", "two"], None),
    "comment": (["One "], "UnknownApiResponseError"),
    "event-line": (["One "], "UnknownApiResponseError"),
    "no-blank": (["One "], "UnknownApiResponseError"),
    "done": (["One ", "two"], "UnknownApiResponseError"),
    "error-first": (["One "], "ServerError"),
    "error-second": (["One ", None], None),
}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(streams[self.path.split("models/")[1].split(":")[0]])


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = genai.Client(api_key="any", http_options={"base_url": f"http://127.0.0.1:{server.server_port}"})
print("google-genai", genai.__version__)
for name in streams:
    texts, raised = [], None
    try:
        for piece in client.models.generate_content_stream(model=name, contents="hi"):
            texts.append(piece.text)
    except Exception as problem:
        raised = type(problem).__name__
    print(f"{name:13} {texts} {raised or 'ended in order'}")
    assert (texts, raised) == expected[name], f"this has changed: {name}"
PYTHON
